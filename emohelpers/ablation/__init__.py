"""What each step of a recipe is worth: the same training with one thing changed at a time.

`equal_time` changes the network, and gives each the same time of the processor.
"""

from emohelpers.ablation._compare import compare, compare_classes
from emohelpers.ablation._equal_time import (
    NETWORKS,
    TIMED,
    Contender,
    EqualTime,
    equal_time,
)
from emohelpers.ablation._run import keep, results, run, seconds
from emohelpers.ablation._steps import BASE, STEPS, Step, changed
from emohelpers.ablation._studies import STUDIES, Study

__all__ = [
    "BASE",
    "NETWORKS",
    "STEPS",
    "STUDIES",
    "TIMED",
    "Contender",
    "EqualTime",
    "Step",
    "Study",
    "changed",
    "compare",
    "compare_classes",
    "equal_time",
    "keep",
    "results",
    "run",
    "seconds",
]

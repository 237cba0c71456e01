"""What each step of a recipe is worth: the same training with one thing changed at a time."""

from emohelpers.ablation._compare import compare, compare_classes
from emohelpers.ablation._run import keep, results, run, seconds
from emohelpers.ablation._steps import BASE, STEPS, Step, changed
from emohelpers.ablation._studies import STUDIES, Study

__all__ = [
    "BASE",
    "STEPS",
    "STUDIES",
    "Step",
    "Study",
    "changed",
    "compare",
    "compare_classes",
    "keep",
    "results",
    "run",
    "seconds",
]

"""How a network stands what a camera, a bad picture or an adversary does to a face.

`corrupt` and `CORRUPTIONS` make images worse as cameras do, in five severities; `fgsm` and `pgd`
look for the smallest changes that deceive. `correct_answers` and `attacked_answers` say which faces
a network still gets right, `compare` and `by_group` make tables with intervals of that, and `study`
does it for published networks. `corrupt_some` spoils training images, so that a network can learn
to stand it.
"""

from emohelpers.robustness._answers import attacked_answers, correct_answers
from emohelpers.robustness._attacks import fgsm, pgd
from emohelpers.robustness._compare import by_group, compare
from emohelpers.robustness._corruptions import (
    CORRUPTIONS,
    SEVERITIES,
    STRENGTHS,
    corrupt,
    corrupt_some,
)
from emohelpers.robustness._study import study

__all__ = [
    "CORRUPTIONS",
    "SEVERITIES",
    "STRENGTHS",
    "attacked_answers",
    "by_group",
    "compare",
    "correct_answers",
    "corrupt",
    "corrupt_some",
    "fgsm",
    "pgd",
    "study",
]

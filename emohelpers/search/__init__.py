"""Which hyperparameters to train with: a grid search, and successive halving, for the same budget.

`FaceClassifier` makes a small network an estimator of scikit-learn, whose searches then work on
faces; `fixed_split` lays out a data set for them, `Trials` writes down what they try. `study` asks
on one of the `PLANS` which of the two finds the better network, and `main_effects` how much each
hyperparameter matters.
"""

from emohelpers.search._classifier import OPTIMIZERS, FaceClassifier
from emohelpers.search._effects import main_effects
from emohelpers.search._plans import PLANS, Plan
from emohelpers.search._study import study
from emohelpers.search._trials import Trials, fixed_split

__all__ = [
    "OPTIMIZERS",
    "PLANS",
    "FaceClassifier",
    "Plan",
    "Trials",
    "fixed_split",
    "main_effects",
    "study",
]

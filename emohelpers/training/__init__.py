"""Training that writes its state as it goes and continues where it was cut off."""

from emohelpers.training._batches import mix
from emohelpers.training._fit import fit
from emohelpers.training._head import discriminant_analysis, fit_head, softmax_regression
from emohelpers.training._odds import multiply_odds
from emohelpers.training._rates import rates_by_depth
from emohelpers.training._recorder import HISTORY_COLUMNS
from emohelpers.training._steadiness import steadiness

__all__ = [
    "HISTORY_COLUMNS",
    "discriminant_analysis",
    "fit",
    "fit_head",
    "mix",
    "multiply_odds",
    "rates_by_depth",
    "softmax_regression",
    "steadiness",
]

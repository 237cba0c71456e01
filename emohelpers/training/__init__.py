"""Training that writes its state as it goes and continues where it was cut off."""

from emohelpers.training._batches import mix
from emohelpers.training._devices import on_devices
from emohelpers.training._fit import fit
from emohelpers.training._head import discriminant_analysis, fit_head, softmax_regression
from emohelpers.training._odds import multiply_odds
from emohelpers.training._processes import Process, join_processes, this_process
from emohelpers.training._rates import rates_by_depth
from emohelpers.training._recorder import HISTORY_COLUMNS
from emohelpers.training._steadiness import steadiness

__all__ = [
    "HISTORY_COLUMNS",
    "Process",
    "discriminant_analysis",
    "fit",
    "fit_head",
    "join_processes",
    "mix",
    "multiply_odds",
    "on_devices",
    "rates_by_depth",
    "softmax_regression",
    "steadiness",
    "this_process",
]

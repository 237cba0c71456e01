"""Folders of trained networks: the network, what it was trained as, and its figures.

`save` and `open_model` write and read such a folder, `combine` makes one of several; `metrics`
and `write_metrics` make its ``metrics.json``, `calibration` and `write_calibration` its
``calibration.json``, `results_table` and `renew_table` turn those of many
into one table. `transfer_matrix` scores each network on the data sets of the others.
"""

from emohelpers.publishing._calibration import calibration, write_calibration
from emohelpers.publishing._ensembles import combine
from emohelpers.publishing._files import holds_network, read_recipe, write
from emohelpers.publishing._metrics import (
    best_epoch,
    groups_file,
    metrics,
    metrics_file,
    predict_out_of_fold,
    read_groups,
    read_metrics,
    write_metrics,
)
from emohelpers.publishing._models import SavedModel, open_model, save
from emohelpers.publishing._results import (
    markdown,
    recipes_table,
    renew_table,
    results_table,
    temperatures_table,
)
from emohelpers.publishing._transfer import TRAVELLERS, transfer_matrix

__all__ = [
    "TRAVELLERS",
    "SavedModel",
    "best_epoch",
    "calibration",
    "combine",
    "groups_file",
    "holds_network",
    "markdown",
    "metrics",
    "metrics_file",
    "open_model",
    "predict_out_of_fold",
    "read_groups",
    "read_metrics",
    "read_recipe",
    "recipes_table",
    "renew_table",
    "results_table",
    "save",
    "temperatures_table",
    "transfer_matrix",
    "write",
    "write_calibration",
    "write_metrics",
]

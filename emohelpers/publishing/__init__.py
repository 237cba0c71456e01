"""Folders of trained networks: the network, what it was trained as, and its figures.

`save` and `open_model` write and read such a folder, `combine` makes one of several; `metrics`
and `write_metrics` make its ``metrics.json``, `results_table` and `renew_table` turn those of many
into one table.
"""

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
)

__all__ = [
    "SavedModel",
    "best_epoch",
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
    "write",
    "write_metrics",
]

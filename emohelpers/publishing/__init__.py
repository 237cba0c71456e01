"""Folders of trained networks: the network, what it was trained as, and its figures.

`save` and `open_model` write and read such a folder, `metrics` and `write_metrics` make its
``metrics.json``, `results_table` and `renew_table` turn those of many into one table.
"""

from emohelpers.publishing._models import (
    SavedModel,
    best_epoch,
    metrics,
    metrics_file,
    open_model,
    read_metrics,
    save,
    write_metrics,
)
from emohelpers.publishing._results import markdown, renew_table, results_table

__all__ = [
    "SavedModel",
    "best_epoch",
    "markdown",
    "metrics",
    "metrics_file",
    "open_model",
    "read_metrics",
    "renew_table",
    "results_table",
    "save",
    "write_metrics",
]

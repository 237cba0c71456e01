"""Predictions, metrics with intervals, and the protocol by which a network is scored."""

from emohelpers.evaluation._calibration import (
    calibrate,
    calibration_scores,
    calibration_table,
    coverage,
    reliability,
    with_temperature,
)
from emohelpers.evaluation._predictions import VIEWS, answers_table, both_classes, predict
from emohelpers.evaluation._protocol import (
    evaluate,
    predict_parts,
    protocol,
    restrict,
    score_parts,
    training_rows,
)
from emohelpers.evaluation._scores import score
from emohelpers.evaluation._tables import (
    confusion_table,
    interval_entries,
    interval_text,
    markdown,
    most_confused,
    per_class_table,
    summary_table,
    taken_for,
)

__all__ = [
    "VIEWS",
    "answers_table",
    "both_classes",
    "calibrate",
    "calibration_scores",
    "calibration_table",
    "confusion_table",
    "coverage",
    "evaluate",
    "interval_entries",
    "interval_text",
    "markdown",
    "most_confused",
    "per_class_table",
    "predict",
    "predict_parts",
    "protocol",
    "reliability",
    "restrict",
    "score",
    "score_parts",
    "summary_table",
    "taken_for",
    "training_rows",
    "with_temperature",
]

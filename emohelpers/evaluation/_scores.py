"""Every metric from one confusion matrix, with its bootstrap interval."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError, LabelError

__all__ = ["PER_CLASS", "SUMMARY", "confusion_metrics", "draw_groups", "group_counts", "score"]

SUMMARY = ("accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1")
PER_CLASS = ("precision", "recall", "f1", "specificity")
_BLOCK = 200


def confusion_metrics(confusion: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Compute every metric from confusion matrices of shape (..., true, predicted).

    A class without images (or never predicted) has no recall (or precision): it is NaN, and the
    means over classes leave it out.
    """
    counts = confusion.astype(float)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    true, predicted = counts.sum(-1), counts.sum(-2)
    total = counts.sum((-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        values = {
            "precision": hits / predicted,
            "recall": hits / true,
            "f1": 2 * hits / (true + predicted),
            "specificity": 1 - (predicted - hits) / (total[..., None] - true),
            "accuracy": hits.sum(-1) / total,
        }
    # scikit-learn's convention for a class that is there but never predicted.
    precision = np.where((true > 0) & (predicted == 0), 0.0, values["precision"])
    values["macro_precision"] = _mean_over_classes(precision)
    values["macro_recall"] = _mean_over_classes(values["recall"])
    values["balanced_accuracy"] = values["macro_recall"]
    values["macro_f1"] = _mean_over_classes(values["f1"])
    return values


def _mean_over_classes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    there = ~np.isnan(values)
    count = there.sum(-1)
    total = np.where(there, values, 0.0).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def group_counts(
    cells: NDArray[np.int64], groups: ArrayLike, *, n_cells: int
) -> NDArray[np.float64]:
    """Count in each group how many images fall into each cell of a table: (groups, cells)."""
    members = np.asarray(groups)
    if members.shape != cells.shape:
        raise ConfigurationError(
            f"groups of shape {members.shape}: expected {cells.shape}, one for each image"
        )
    names, places = np.unique(members, return_inverse=True)
    counts = np.zeros((len(names), n_cells))
    np.add.at(counts, (places, cells), 1)
    return counts


def draw_groups(
    counts: NDArray[np.float64], *, n_bootstrap: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw groups with replacement and add up what they count: (draws, cells)."""
    n_groups = len(counts)
    parts = []
    # In blocks: all draws of thousands of groups at once would fill a hundred megabytes.
    for start in range(0, n_bootstrap, _BLOCK):
        size = min(_BLOCK, n_bootstrap - start)
        parts.append(rng.multinomial(n_groups, [1 / n_groups] * n_groups, size) @ counts)
    return np.concatenate(parts)


def score(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    class_names: Sequence[str],
    *,
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Score predictions, each figure with a bootstrap interval.

    The images are drawn with replacement `n_bootstrap` times and the interval spans the middle
    `confidence` of the figures of these draws (the percentile bootstrap, Efron and Tibshirani
    1993, chapter 13). Every metric is a function of the confusion matrix, so the draws are made of
    its cells, which is the same distribution as drawing rows.

    Parameters
    ----------
    y_true : array_like of int, shape (n,)
        Positions in `class_names`.
    probabilities : array_like of float, shape (n, n_classes)
        Of each class; the largest is the prediction.
    class_names : sequence of str
        The classes in label order.
    confidence : float
        Of the intervals, in (0, 1).
    n_bootstrap : int
        Draws.
    groups : array_like, shape (n,), optional
        Who is on each image. Persons are drawn then, each with all of their images, which are no
        news of each other: the intervals become wider where a few persons have many images.
    seed : int
        Of the draws.

    Returns
    -------
    dict
        ``n``; ``accuracy``, ``balanced_accuracy``, ``macro_precision``, ``macro_recall`` and
        ``macro_f1``, each ``{"value", "low", "high"}`` in 0..1; ``per_class`` with ``n`` and
        ``precision``, ``recall``, ``f1``, ``specificity`` of each class (None where it is
        undefined: a class without images has no recall); ``confusion``, counts of true class by
        predicted class.

    Raises
    ------
    ConfigurationError
        If lengths or shapes do not fit each other, or there is nothing to score.
    LabelError
        If a label is not a position in `class_names`.

    Examples
    --------
    >>> result = score([0, 0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.1, 0.9]], ["a", "b"])
    >>> result["accuracy"]["value"], result["confusion"]
    (0.75, [[1, 1], [0, 2]])
    """
    labels, outputs = np.asarray(y_true), np.asarray(probabilities)
    n_classes = len(class_names)
    if len(labels) == 0:
        raise ConfigurationError("no images to score: expected at least one")
    if outputs.shape != (len(labels), n_classes):
        raise ConfigurationError(
            f"probabilities of shape {outputs.shape}: expected ({len(labels)}, {n_classes}), a row "
            "for each label and a column for each class"
        )
    if not np.isfinite(outputs).all():
        raise ConfigurationError("probabilities with NaN or infinity: expected numbers in 0..1")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise LabelError(
            f"labels from {labels.min()} to {labels.max()}: expected 0 to {n_classes - 1}"
        )
    confusion = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(confusion, (labels, outputs.argmax(1)), 1)
    rng = np.random.default_rng(seed)
    draws: NDArray[Any]
    if groups is None:
        draws = rng.multinomial(len(labels), confusion.ravel() / len(labels), size=n_bootstrap)
    else:
        cells = labels * n_classes + outputs.argmax(1)
        counts = group_counts(cells, groups, n_cells=n_classes**2)
        draws = draw_groups(counts, n_bootstrap=n_bootstrap, rng=rng)
    values = confusion_metrics(confusion)
    drawn = confusion_metrics(draws.reshape(-1, n_classes, n_classes))
    bounds = [50 * (1 - confidence), 50 * (1 + confidence)]

    def entry(name: str, pick: Any = ...) -> dict[str, float] | None:
        value, spread = values[name][pick], drawn[name][(slice(None), pick)]
        if np.isnan(value):
            return None
        low, high = np.nanpercentile(spread, bounds)
        return {
            "value": round(float(value), 6),
            "low": round(float(low), 6),
            "high": round(float(high), 6),
        }

    return {
        "n": len(labels),
        **{name: entry(name) for name in SUMMARY},
        "per_class": {
            class_name: {
                "n": int(confusion[position].sum()),
                **{name: entry(name, position) for name in PER_CLASS},
            }
            for position, class_name in enumerate(class_names)
        },
        "confusion": confusion.tolist(),
    }

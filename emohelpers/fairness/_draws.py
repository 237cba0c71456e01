"""Figures of groups, and of what these groups might have been."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.evaluation._scores import SUMMARY, confusion_metrics
from emohelpers.fairness._inputs import Cases, Feature

__all__ = [
    "Metric",
    "Outcomes",
    "check_draws",
    "draw",
    "extremes",
    "figures_by_group",
    "half_wrong",
    "interval",
    "metric_name",
]

Metric = str | Callable[[Any, Any], float]
"""A name of `evaluation.score`, or a function of labels and predictions, as scikit-learn's are."""

# Shares of images, or means of shares: an image more, half of it wrong, changes them a little.
# It would give a precision to classes that were never predicted.
_SHARES = ("accuracy", "balanced_accuracy", "macro_recall")
_BLOCK = 250


def metric_name(metric: Metric) -> str:
    """Return what a metric's column is called."""
    if isinstance(metric, str):
        if metric not in SUMMARY:
            raise ConfigurationError(
                f"no metric {metric!r}: expected one of {', '.join(SUMMARY)}, or a function of "
                "y_true and y_pred"
            )
        return metric
    if not callable(metric):
        raise ConfigurationError(f"metric {metric!r}: expected a name or a function")
    return str(getattr(metric, "__name__", type(metric).__name__))


def check_draws(confidence: float, draws: int, min_group_size: int) -> None:
    """Refuse settings under which there is nothing to draw or to compare."""
    if not 0 < confidence < 1:
        raise ConfigurationError(f"confidence={confidence}: expected a share between 0 and 1")
    if draws < 1:
        raise ConfigurationError(f"{draws} draws: expected 1 or more")
    if min_group_size < 1:
        raise ConfigurationError(f"min_group_size={min_group_size}: expected 1 or more images")


class Outcomes:
    """The different pairs of label and prediction, of which every metric is a function.

    A set of images is then how often each pair occurs, (pairs,).

    Parameters
    ----------
    cases : Cases
        Where predictions are classes, all pairs of classes are listed, in the order of a confusion
        matrix.
    """

    def __init__(self, cases: Cases) -> None:
        self.n_classes = len(cases.class_names)
        self.of_classes = cases.y_pred.dtype.kind != "f"
        if self.of_classes:
            places = np.arange(self.n_classes**2)
            self.y_true, self.y_pred = np.divmod(places, self.n_classes)
            self.cells = cases.y_true * self.n_classes + cases.y_pred
        else:
            pairs, cells = np.unique(
                np.column_stack([cases.y_true, cases.y_pred]), axis=0, return_inverse=True
            )
            self.y_true, self.y_pred = pairs[:, 0].astype(np.int64), pairs[:, 1]
            self.cells = cells.reshape(-1)

    def counts(self, feature: Feature, rows: Any = ...) -> NDArray[np.int64]:
        """Count the pairs of each group, (groups, pairs), of all images or of some."""
        size, n_groups = len(self.y_true), len(feature.groups)
        places = feature.codes[rows] * size + self.cells[rows]
        return np.bincount(places, minlength=n_groups * size).reshape(n_groups, size)

    def figure(self, metric: Metric, counts: NDArray[Any]) -> NDArray[np.float64]:
        """Compute a metric of sets of images, (..., pairs) to (...); NaN of an empty set."""
        if isinstance(metric, str):
            if not self.of_classes:
                raise ConfigurationError(f"y_pred of numbers: expected classes for {metric}")
            shape = (*counts.shape[:-1], self.n_classes, self.n_classes)
            return confusion_metrics(counts.reshape(shape))[metric]
        values = [
            float(metric(np.repeat(self.y_true, row), np.repeat(self.y_pred, row)))
            if row.any()
            else np.nan
            for row in counts.reshape(-1, counts.shape[-1])
        ]
        return np.array(values).reshape(counts.shape[:-1])


def half_wrong(class_counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return one image more, half right and half wrong, as a confusion matrix, flat.

    `class_counts`, (..., classes), says of which class it is; what is wrong is spread evenly.
    """
    n_classes = class_counts.shape[-1]
    kinds = np.full((n_classes, n_classes), 0.5 / (n_classes - 1))
    np.fill_diagonal(kinds, 0.5)
    mix = class_counts / np.maximum(class_counts.sum(-1, keepdims=True), 1)
    return (mix[..., None] * kinds).reshape(*mix.shape[:-1], -1)


def draw(
    metric: Metric,
    outcomes: Outcomes,
    counts: NDArray[np.int64],
    n_draws: int,
    rng: np.random.Generator,
    *,
    parts: int = 1,
) -> NDArray[Any]:
    """Draw what groups might have been, each for itself: (groups, pairs) to (draws, groups, pairs).

    The sizes of the groups stay what they are. Where each row is one of several `parts` of a group,
    they share the image that is half wrong.
    """
    sizes = counts.sum(-1)
    if not isinstance(metric, str):
        # A function of rows needs whole images.
        shares = counts / np.maximum(sizes, 1)[:, None]
        drawn = [
            rng.multinomial(size, share, n_draws) for size, share in zip(sizes, shares, strict=True)
        ]
        return np.stack(drawn, axis=1)
    known: NDArray[Any] = counts.astype(float)
    if metric in _SHARES:
        by_class = counts.reshape(-1, outcomes.n_classes, outcomes.n_classes).sum(-1)
        known = known + half_wrong(by_class) / parts
    weights = rng.standard_gamma(known, (n_draws, *counts.shape))
    return weights / weights.sum(-1, keepdims=True) * sizes[:, None]


def figures_by_group(
    metric: Metric,
    outcomes: Outcomes,
    counts: NDArray[np.int64],
    *,
    n_draws: int,
    seed: int,
) -> NDArray[np.float64]:
    """Return a metric of draws of all groups, and of all images in the last column.

    (groups, pairs) to (draws, groups + 1).
    """
    rng = np.random.default_rng(seed)
    parts = []
    for start in range(0, n_draws, _BLOCK):
        drawn = draw(metric, outcomes, counts, min(_BLOCK, n_draws - start), rng)
        together = np.concatenate([drawn, drawn.sum(axis=1, keepdims=True)], axis=1)
        parts.append(outcomes.figure(metric, together))
    return np.concatenate(parts)


def interval(
    name: str, value: float, draws: NDArray[np.float64], confidence: float
) -> dict[str, float]:
    """Return the columns of a value and the middle share of its draws, which holds the value."""
    low = high = np.nan
    known = draws[np.isfinite(draws)]
    if np.isfinite(value) and len(known):
        low, high = np.percentile(known, [50 * (1 - confidence), 50 * (1 + confidence)])
        low, high = min(low, value), max(high, value)
    return {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}


def extremes(values: NDArray[np.float64]) -> tuple[int, int]:
    """Return the places of the first highest and the last lowest value: two, if all are equal."""
    return int(np.nanargmax(values)), len(values) - 1 - int(np.nanargmin(values[::-1]))

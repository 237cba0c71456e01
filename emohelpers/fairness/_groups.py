"""Any metric by group."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.fairness._draws import (
    Metric,
    Outcomes,
    check_draws,
    figures_by_group,
    interval,
    metric_name,
)
from emohelpers.fairness._inputs import Cases, Feature, check_cases

__all__ = ["ALL", "by_group", "frame"]

ALL = "all"
"""The feature and the group under which the figure of all images stands."""


def by_group(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    by: Sequence[str] | None = None,
    metrics: Metric | Sequence[Metric] = "accuracy",
    class_names: Sequence[str] | None = None,
    min_group_size: int = 30,
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compute metrics for each group of images.

    Intervals are those of the Bayesian bootstrap (Rubin 1981), within each group: images keep
    their number and draw their weights. A bootstrap can draw only what was seen, so that a small
    group without a mistake would get an interval without a width. Where the metric is a share of
    images (accuracy, balanced accuracy) each group therefore has one image more, half right and
    half wrong. For accuracy that is Jeffreys' interval, which covers the truth as often as it says
    in groups of some tens, too (Brown, Cai and DasGupta 2001). Images count as independent of each
    other: where several are of the same person, intervals are too narrow.

    Parameters
    ----------
    y_true, y_pred : array_like of int, shape (n,)
        Labels and predicted classes, positions in `class_names`. With a metric of your own,
        `y_pred` may be floats, for instance probabilities.
    sensitive_features : DataFrame, mapping or array_like of n rows
        A column for each feature, such as the ``table`` of a `FaceDataset`. Images without a value
        are the group ``(missing)``, the last.
    by : sequence of str, optional
        Which columns, and which intersections of them: ``["race", "race+gender"]``. Without it
        each column by itself.
    metrics : str, function, or sequence of them
        ``accuracy``, ``balanced_accuracy``, ``macro_precision``, ``macro_recall`` or ``macro_f1``,
        or a function ``f(y_true, y_pred) -> float`` as those of `sklearn.metrics`. Intervals of a
        function are those of the ordinary bootstrap, which calls it for each draw.
    class_names : sequence of str, optional
        Without it, as many classes as the greatest label or prediction asks for.
    min_group_size : int
        Groups with fewer images are marked as not ``reliable``.
    confidence : float
        Of the intervals, in (0, 1).
    n_bootstrap : int
        Draws.
    seed : int
        Of the draws.

    Returns
    -------
    DataFrame
        A row for all images and one for each group: ``feature``, ``group``, ``n``, ``reliable``,
        and for each metric ``NAME``, ``NAME_low`` and ``NAME_high``. Categories stand in their
        order, other values sorted. A metric that is undefined for a group is NaN.

    Raises
    ------
    ConfigurationError
        If lengths do not fit, a feature is not there, is missing for all images or has more than
        100 groups, or a metric is not known.
    LabelError
        If a label or prediction is not one of the classes.

    References
    ----------
    D. B. Rubin (1981), The Bayesian Bootstrap, Annals of Statistics 9(1).
    L. D. Brown, T. T. Cai and A. DasGupta (2001), Interval Estimation for a Binomial Proportion,
    Statistical Science 16(2).

    Examples
    --------
    >>> table = by_group([0, 1, 1, 0], [0, 1, 0, 0], {"age": ["old", "old", "young", "young"]})
    >>> table[["feature", "group", "n", "reliable", "accuracy"]]
      feature  group  n  reliable  accuracy
    0     all    all  4     False      0.75
    1     age    old  2     False      1.00
    2     age  young  2     False      0.50
    """
    asked = [metrics] if isinstance(metrics, str) or callable(metrics) else list(metrics)
    names = [metric_name(metric) for metric in asked]
    if not names or len(set(names)) < len(names):
        raise ConfigurationError(f"metrics {names}: expected one or more different ones")
    check_draws(confidence, n_bootstrap, min_group_size)
    own = not any(isinstance(metric, str) for metric in asked)
    cases = check_cases(
        y_true, y_pred, sensitive_features, by=by, class_names=class_names, scores=own
    )
    outcomes = Outcomes(cases)
    everybody = Feature(ALL, (ALL,), np.zeros(len(cases), np.int64))
    parts = []
    for feature in (everybody, *cases.features):
        columns: dict[str, Any] = {
            "feature": feature.name,
            "group": list(feature.groups),
            "n": feature.sizes,
            "reliable": feature.reliable(min_group_size),
        }
        values = frame(cases, outcomes, feature, dict(zip(names, asked, strict=True))).by_group
        for name, metric in zip(names, asked, strict=True):
            draws = figures_by_group(
                metric, outcomes, outcomes.counts(feature), n_draws=n_bootstrap, seed=seed
            )
            found = values[name].reindex(list(feature.groups)).to_numpy(float)
            rows = [interval(name, value, draws[:, k], confidence) for k, value in enumerate(found)]
            columns |= {key: [row[key] for row in rows] for key in rows[0]}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def frame(
    cases: Cases,
    outcomes: Outcomes,
    feature: Feature,
    metrics: dict[str, Metric],
    *,
    rows: Any = slice(None),
) -> MetricFrame:
    """Disaggregate metrics by one feature, of all images or of some."""
    return MetricFrame(
        metrics={name: _function(metric, outcomes) for name, metric in metrics.items()},
        y_true=cases.y_true[rows],
        y_pred=cases.y_pred[rows],
        sensitive_features=pd.Series(
            np.array(feature.groups, dtype=object)[feature.codes[rows]], name=feature.name
        ),
    )


def _function(metric: Metric, outcomes: Outcomes) -> Callable[[Any, Any], float]:
    if not isinstance(metric, str):
        return metric

    def figure(y_true: NDArray[Any], y_pred: NDArray[Any]) -> float:
        cells = np.asarray(y_true) * outcomes.n_classes + np.asarray(y_pred)
        counts = np.bincount(cells, minlength=outcomes.n_classes**2)
        return float(outcomes.figure(metric, counts))

    return figure

"""How far groups lie apart, and from all images together."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.fairness._draws import (
    Metric,
    Outcomes,
    check_draws,
    extremes,
    figures_by_group,
    interval,
    metric_name,
)
from emohelpers.fairness._groups import frame
from emohelpers.fairness._inputs import Cases, Feature, check_cases

__all__ = ["comparable", "differences", "largest_differences"]


def differences(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    against: Literal["overall", "groups"] = "overall",
    by: Sequence[str] | None = None,
    metric: Metric = "accuracy",
    class_names: Sequence[str] | None = None,
    min_group_size: int = 30,
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare the figure of each group with the overall one, or with each other group's.

    Groups that are not reliable, or whose feature is missing, are not compared; their images count
    in the overall figure. Intervals are of each comparison by itself: among many, some exclude
    zero by chance, see `permutation_test`.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, by, class_names, min_group_size
        As in `by_group`.
    confidence, n_bootstrap, seed
        As in `by_group`.
    against : {"overall", "groups"}
        The figure of all images, or of every other group of the feature (each two once).
    metric : str or function
        One of those that `by_group` takes.

    Returns
    -------
    DataFrame
        A row for each comparison: ``feature``, ``group``, ``against``, ``n``, ``difference``
        (group minus the other) and ``ratio`` (group by the other), each with ``_low`` and
        ``_high``. `emohelpers.plots.differences` draws it.

    Raises
    ------
    ConfigurationError
        As in `by_group`, and if no feature has a group to compare (two, against groups).
    LabelError
        As in `by_group`.

    Examples
    --------
    >>> race = ["A"] * 40 + ["B"] * 40
    >>> y_pred = [0] * 36 + [1] * 4 + [0] * 32 + [1] * 8
    >>> table = differences([0] * 80, y_pred, {"race": race}, against="groups")
    >>> table[["group", "against", "difference", "ratio"]].round(3)
      group against  difference  ratio
    0     A       B         0.1  1.125
    """
    if against not in ("overall", "groups"):
        raise ConfigurationError(f"against={against!r}: expected 'overall' or 'groups'")
    name = metric_name(metric)
    check_draws(confidence, n_bootstrap, min_group_size)
    cases = check_cases(
        y_true,
        y_pred,
        sensitive_features,
        by=by,
        class_names=class_names,
        scores=callable(metric),
    )
    outcomes = Outcomes(cases)
    rows = []
    for feature in comparable(cases, min_group_size, at_least=1 if against == "overall" else 2):
        counts = outcomes.counts(feature)
        draws = figures_by_group(metric, outcomes, counts, n_draws=n_bootstrap, seed=seed)
        found = frame(cases, outcomes, feature, {name: metric})
        values = [*found.by_group[name].reindex(list(feature.groups)), found.overall[name]]
        names = [*feature.groups, "overall"]
        compared = np.flatnonzero(feature.reliable(min_group_size)).tolist()
        for place, k in enumerate(compared):
            others = [len(values) - 1] if against == "overall" else compared[place + 1 :]
            rows += [
                {
                    "feature": feature.name,
                    "group": feature.groups[k],
                    "against": names[other],
                    "n": int(feature.sizes[k]),
                    **_apart(values, draws, k, other, confidence),
                }
                for other in others
            ]
    return pd.DataFrame(rows)


def largest_differences(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    by: Sequence[str] | None = None,
    metric: Metric = "accuracy",
    class_names: Sequence[str] | None = None,
    min_group_size: int = 30,
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare the group with the highest figure and that with the lowest, for each feature.

    The two were chosen for lying far apart, and among several small groups some always do: the
    difference is too large on average, and its interval, which is that of these two groups, does
    not know of the choice. `permutation_test` says how large it would be by chance.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, by, class_names, min_group_size
        As in `by_group`.
    confidence, n_bootstrap, seed
        As in `by_group`.
    metric : str or function
        One of those that `by_group` takes.

    Returns
    -------
    DataFrame
        A row for each feature with two reliable groups or more: ``feature``, ``groups`` (how many
        were compared), ``highest`` and ``lowest`` (their names), ``difference`` and ``ratio``
        (lowest by highest), each with ``_low`` and ``_high``.

    Raises
    ------
    ConfigurationError
        As in `by_group`, and if no feature has two reliable groups.
    LabelError
        As in `by_group`.

    Examples
    --------
    >>> race = ["A"] * 40 + ["B"] * 40
    >>> y_pred = [0] * 36 + [1] * 4 + [0] * 32 + [1] * 8
    >>> table = largest_differences([0] * 80, y_pred, {"race": race})
    >>> table[["feature", "groups", "highest", "lowest", "difference"]].round(3)
      feature  groups highest lowest  difference
    0    race       2       A      B         0.1
    """
    name = metric_name(metric)
    check_draws(confidence, n_bootstrap, min_group_size)
    cases = check_cases(
        y_true,
        y_pred,
        sensitive_features,
        by=by,
        class_names=class_names,
        scores=callable(metric),
    )
    outcomes = Outcomes(cases)
    rows = []
    for feature in comparable(cases, min_group_size):
        reliable = feature.reliable(min_group_size)
        found = frame(cases, outcomes, feature, {name: metric}, rows=reliable[feature.codes])
        values = found.by_group[name].reindex(list(feature.groups)).to_numpy(float)
        if not np.isfinite(values).any():
            continue
        highest, lowest = extremes(values)
        counts = outcomes.counts(feature)
        draws = figures_by_group(metric, outcomes, counts, n_draws=n_bootstrap, seed=seed)
        apart = _apart(values, draws, highest, lowest, confidence)
        below = _apart(values, draws, lowest, highest, confidence)
        rows.append(
            {
                "feature": feature.name,
                "groups": int(reliable.sum()),
                "highest": feature.groups[highest],
                "lowest": feature.groups[lowest],
                **{key: apart[key] for key in apart if key.startswith("difference")},
                **{key: below[key] for key in below if key.startswith("ratio")},
            }
        )
    return pd.DataFrame(rows)


def comparable(cases: Cases, min_group_size: int, *, at_least: int = 2) -> list[Feature]:
    """Return the features that have reliable groups to compare, or say that none has."""
    found = [
        feature for feature in cases.features if feature.reliable(min_group_size).sum() >= at_least
    ]
    if not found:
        sizes = "; ".join(
            f"{feature.name} "
            + ", ".join(map("{} {}".format, feature.groups[:8], feature.sizes.tolist()))
            for feature in cases.features
        )
        raise ConfigurationError(
            f"nothing to compare ({sizes}): expected a feature with {at_least} or more groups of "
            f"at least {min_group_size} images"
        )
    return found


def _apart(
    values: Any, draws: NDArray[np.float64], k: int, other: int, confidence: float
) -> dict[str, float]:
    """Return the difference and the ratio of two figures with their intervals."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio, ratios = np.divide(values[k], values[other]), draws[:, k] / draws[:, other]
    difference, drawn = values[k] - values[other], draws[:, k] - draws[:, other]
    return {
        **interval("difference", difference, drawn, confidence),
        **interval("ratio", ratio, ratios, confidence),
    }

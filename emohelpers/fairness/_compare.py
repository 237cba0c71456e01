"""What a mitigation costs everybody, and each group."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.fairness._draws import Outcomes, half_wrong, interval
from emohelpers.fairness._groups import ALL, by_group
from emohelpers.fairness._inputs import Feature, check_cases

__all__ = ["compare"]

_BLOCK = 250


def compare(
    y_true: ArrayLike,
    predictions: Mapping[str, ArrayLike],
    sensitive_features: Any,
    *,
    by: Sequence[str] | None = None,
    metric: str = "accuracy",
    class_names: Sequence[str] | None = None,
    min_group_size: int = 30,
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Say how a metric changes from one way to another, overall and in each group.

    Changes are of the same images, so that their intervals are narrower than those of the figures:
    they are drawn as in `by_group`, from what both ways said of each image.

    Parameters
    ----------
    y_true, sensitive_features, by, class_names, min_group_size
        As in `by_group`.
    predictions : mapping of str to array_like of int, shape (n,)
        The predicted classes of each way, by its name; the first is what the others are compared
        with.
    metric : str
        A name that `by_group` takes.
    confidence, n_bootstrap, seed
        As in `by_group`.

    Returns
    -------
    DataFrame
        For each way the rows of `by_group` with ``way`` before them and ``change``,
        ``change_low`` and ``change_high`` after them, which are NaN for the first way.

    Raises
    ------
    ConfigurationError
        As in `by_group`, and if there are fewer than two ways.
    LabelError
        As in `by_group`.

    Examples
    --------
    >>> ways = {"as it is": [0, 0, 1, 0], "reweighed": [0, 1, 1, 1]}
    >>> table = compare([0, 1, 1, 0], ways, {"age": ["old", "old", "young", "young"]})
    >>> table[["way", "group", "accuracy", "change"]]
             way  group  accuracy  change
    0   as it is    all      0.75     NaN
    1   as it is    old      0.50     NaN
    2   as it is  young      1.00     NaN
    3  reweighed    all      0.75     0.0
    4  reweighed    old      1.00     0.5
    5  reweighed  young      0.50    -0.5
    """
    if len(predictions) < 2:
        raise ConfigurationError(f"{len(predictions)} ways: expected two or more to compare")
    if not isinstance(metric, str):
        raise ConfigurationError(f"metric {metric!r}: expected a name, to be computed of weights")
    highest = max(int(np.max(values)) for values in (y_true, *predictions.values()))
    names = class_names or [str(label) for label in range(max(highest, 1) + 1)]
    options: dict[str, Any] = {"by": by, "class_names": names}
    parts: list[pd.DataFrame] = []
    first: NDArray[np.int64] | None = None
    for way, y_pred in predictions.items():
        cases = check_cases(y_true, y_pred, sensitive_features, **options)
        table = by_group(
            y_true,
            y_pred,
            sensitive_features,
            metrics=metric,
            min_group_size=min_group_size,
            confidence=confidence,
            n_bootstrap=n_bootstrap,
            seed=seed,
            **options,
        )
        table.insert(0, "way", way)
        changes = np.full(len(table), np.nan)
        drawn = np.full((1, len(table)), np.nan)
        if first is None:
            first = cases.y_pred
        else:
            everybody = Feature(ALL, (ALL,), np.zeros(len(cases), np.int64))
            cells = (cases.y_true * len(names) + first) * len(names) + cases.y_pred
            spread = [
                _changes(metric, Outcomes(cases), cells, feature, n_bootstrap, seed)
                for feature in (everybody, *cases.features)
            ]
            changes = table[metric].to_numpy() - parts[0][metric].to_numpy()
            drawn = np.concatenate(spread, axis=1)
        rows = [
            interval("change", value, drawn[:, k], confidence) for k, value in enumerate(changes)
        ]
        parts.append(pd.concat([table, pd.DataFrame(rows)], axis=1))
    return pd.concat(parts, ignore_index=True)


def _changes(
    metric: str,
    outcomes: Outcomes,
    cells: NDArray[np.int64],
    feature: Feature,
    n_draws: int,
    seed: int,
) -> NDArray[np.float64]:
    """Draw each group's change, (draws, groups), of triples: label, first and second prediction."""
    k = outcomes.n_classes
    places = feature.codes * k**3 + cells
    counts = np.bincount(places, minlength=len(feature.groups) * k**3).reshape(-1, k, k, k)
    mix = counts.sum((2, 3))
    share = half_wrong(mix).reshape(-1, k, k)
    # One image more, half wrong in either way, whatever it is in the other.
    of_class = np.maximum(share.sum(-1), 1e-300)[:, :, None, None]
    known = counts + share[:, :, :, None] * share[:, :, None, :] / of_class
    rng = np.random.default_rng(seed)
    parts = []
    for start in range(0, n_draws, _BLOCK):
        weights = rng.standard_gamma(known, (min(_BLOCK, n_draws - start), *known.shape))
        before, after = weights.sum(4), weights.sum(3)
        figures = [
            outcomes.figure(metric, part.reshape(*part.shape[:2], -1)) for part in (before, after)
        ]
        parts.append(figures[1] - figures[0])
    return np.concatenate(parts)

"""The rows of a study's table, and the intervals of their figures."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers import ablation
from emohelpers.evaluation._wilson import wilson

__all__ = [
    "COLUMNS",
    "balanced",
    "compared",
    "interval_of_means",
    "interval_of_quantile",
    "interval_of_share",
    "row",
]

COLUMNS = (
    "study",
    "scored_on",
    "what",
    "against",
    "measure",
    "n",
    "seeds",
    "value",
    "low",
    "high",
)

_DRAWS = 1000


def row(
    study: str,
    scored_on: str,
    what: str,
    measure: str,
    figure: Mapping[str, float],
    *,
    n: int,
    seeds: int = 1,
) -> dict[str, Any]:
    """Return a row of `COLUMNS`; `figure` has ``value`` and, where it has an interval, its ends."""
    values = (study, scored_on, what, "", measure, n, seeds)
    ends = {"low": np.nan, "high": np.nan}
    return dict(zip(COLUMNS, values, strict=False)) | ends | dict(figure)


def compared(
    table: pd.DataFrame, study: str, scored_on: str, measure: str, *, n: int, seeds: int
) -> list[dict[str, Any]]:
    """Turn what `emohelpers.ablation.compare` returns into rows: values, then differences."""
    first = str(table["step"].iloc[0])
    rows = []
    for prefix, against, some in (("", "", table), ("difference_", first, table.iloc[1:])):
        value = "difference" if against else "accuracy"
        for one in some.to_dict("records"):
            figure = {
                "value": one[value],
                "low": one[f"{prefix}low"],
                "high": one[f"{prefix}high"],
            }
            entry = row(study, scored_on, str(one["step"]), measure, figure, n=n, seeds=seeds)
            rows.append(entry | {"against": against})
    return rows


def balanced(
    correct: Mapping[str, NDArray[np.bool_]], labels: NDArray[np.int64], class_names: Any
) -> pd.DataFrame:
    """Compare by balanced accuracy, in the columns that `emohelpers.ablation.compare` has."""
    table = ablation.compare_classes(correct, labels, class_names)
    names = {
        "step": "step",
        "balanced_accuracy": "accuracy",
        "balanced_accuracy_low": "low",
        "balanced_accuracy_high": "high",
    }
    kept = [*names, "difference", "difference_low", "difference_high"]
    return table[kept].rename(columns=names)


def interval_of_means(
    values: NDArray[Any], statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> dict[str, float]:
    """Return a statistic of the means of columns, with the interval of drawing rows anew.

    `statistic` takes means of shape (draws, columns) and returns a value for each draw.
    """
    n = len(values)
    weights = np.random.default_rng(0).multinomial(n, [1 / n] * n, _DRAWS) / n
    low, high = np.percentile(statistic(weights @ values.astype(np.float64)), [2.5, 97.5])
    value = statistic(values.mean(axis=0, dtype=np.float64)[None])[0]
    return {"value": float(value), "low": float(low), "high": float(high)}


def interval_of_quantile(values: NDArray[np.float64], quantile: float) -> dict[str, float]:
    """Return a quantile with the interval of drawing the values anew."""
    rng, n = np.random.default_rng(0), len(values)
    drawn = [np.quantile(values[rng.integers(0, n, n)], quantile) for _ in range(_DRAWS)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {"value": float(np.quantile(values, quantile)), "low": float(low), "high": float(high)}


def interval_of_share(found: NDArray[np.bool_]) -> dict[str, float]:
    """Return a share with its Wilson interval, which holds where nothing was found, too."""
    low, high = wilson(int(found.sum()), len(found))
    return {"value": float(found.mean()), "low": low, "high": high}

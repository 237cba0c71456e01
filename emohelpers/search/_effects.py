"""How much each hyperparameter matters."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers import ablation
from emohelpers.errors import ConfigurationError
from emohelpers.search._trials import SEARCHED

__all__ = ["RENAMED", "main_effects"]

# As `evaluation.interval_text` and `Trials.table` have them.
RENAMED = {"low": "accuracy_low", "high": "accuracy_high"}


def main_effects(trials: pd.DataFrame, correct: Sequence[NDArray[np.bool_]]) -> pd.DataFrame:
    """Compare the values of each hyperparameter over all else that a grid tried.

    In a grid each value meets the same others, so that their means may be compared. The intervals
    are those of `emohelpers.ablation.compare`, which draws images and seeds alike; the grid stays
    as it is. A mean says nothing of pairs: a learning rate may suit one optimiser and not another.

    Parameters
    ----------
    trials : DataFrame
        Rows of `Trials.table`, all of one grid: all points of one seed, then those of the next.
    correct : sequence of ndarray of bool, shape (n,)
        For each row which images it gets right, see `Trials`.

    Returns
    -------
    DataFrame
        A row for each value of each hyperparameter that has several: ``parameter``, ``value`` (as
        text), ``fits`` (trainings that have it), ``accuracy`` and ``difference`` (to the first
        value), each with ``_low`` and ``_high``.

    Raises
    ------
    ConfigurationError
        If the rows are not of a whole grid, or `correct` has not one for each.

    Examples
    --------
    >>> grid = {"learning_rate": [0.1, 0.2], "batch_size": 32, "activation": "relu"}
    >>> right = [np.array([True, True, False, False]), np.array([True, True, True, False])]
    >>> table = main_effects(pd.DataFrame(grid | {"optimizer": "adam"}), right)
    >>> table[["parameter", "value", "accuracy", "difference"]].values.tolist()
    [['learning_rate', '0.1', 0.5, 0.0], ['learning_rate', '0.2', 0.75, 0.25]]
    """
    names = [name for name in SEARCHED if trials[name].nunique() > 1]
    each = trials.groupby(names).size() if names else pd.Series(dtype=int)
    whole = prod(trials[name].nunique() for name in names)
    if len(each) != whole or each.nunique() != 1 or len(correct) != len(trials):
        raise ConfigurationError(
            f"{len(trials)} trials at {len(each)} points with {len(correct)} answers: expected "
            "an answer for each, and all points of a grid equally often"
        )
    answers = np.stack(list(correct))
    tables = []
    for name in names:
        others = [other for other in names if other != name]
        # All of a point stand together then, in the order of their seeds, since the sort is stable.
        rows = trials.reset_index(drop=True).sort_values(others or [name], kind="stable")
        levels: dict[str, Any] = {}
        for value in sorted(trials[name].unique()):
            of_value = answers[rows.index[rows[name] == value]]
            by_seed = of_value.reshape(-1, int(each.iloc[0]), answers.shape[1])
            levels[str(value)] = by_seed.mean(axis=0)  # the share of points right of each image
        table = ablation.compare(levels).rename(columns=RENAMED | {"step": "value"})
        table.insert(0, "parameter", name)
        table.insert(2, "fits", len(trials) // len(levels))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)

"""What is lost against the images as they are, on the same images, and by whom."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from emohelpers import ablation
from emohelpers.errors import ConfigurationError
from emohelpers.robustness._answers import CLEAN

__all__ = ["ALL", "by_group", "compare"]

ALL = "all"
"""Under which name stands the mean of all corruptions and severities."""


def compare(
    correct: pd.DataFrame,
    labels: ArrayLike,
    class_names: Sequence[str],
    *,
    means: bool = True,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare what a network gets right of changed images with what it got right before.

    Intervals, of 95%, are of a bootstrap that draws images, the same for all: a difference is
    judged on the same images.

    Parameters
    ----------
    correct : DataFrame of bool, n rows
        What `correct_answers` or `attacked_answers` returns.
    labels : array_like of int, shape (n,)
        Positions in `class_names`.
    class_names : sequence of str
        The classes in label order.
    means : bool
        Also a row for each kind of change over all its strengths, and one for ``all``; the column
        of the strength is missing there.
    n_bootstrap, seed : int
        How many draws the intervals are made of, and of these draws.

    Returns
    -------
    DataFrame
        A row for each column of `correct`, in the columns that these are named by (``corruption``
        and ``severity``); then ``accuracy``, ``balanced_accuracy`` and ``difference`` (of the
        accuracy to that of the images as they are), each with ``_low`` and ``_high``.

    Raises
    ------
    ConfigurationError
        If a column for the images as they are does not come first, or labels do not fit.

    Examples
    --------
    >>> columns = pd.MultiIndex.from_tuples([("clean", 0), ("dark", 1)])
    >>> columns.names = ["corruption", "severity"]
    >>> correct = pd.DataFrame([[True, True], [True, False]], columns=columns)
    >>> compare(correct, [0, 1], ["a", "b"])[["corruption", "severity", "accuracy", "difference"]]
      corruption  severity  accuracy  difference
    0      clean         0       1.0         0.0
    1       dark         1       0.5        -0.5
    2       dark      <NA>       0.5        -0.5
    3        all      <NA>       0.5        -0.5
    """
    _check(correct)
    figures = correct.astype(np.float64)
    if means:
        over = figures.loc[:, _kinds(correct)].T.groupby(level=0, sort=False).mean().T
        for name in over:
            figures[name, np.nan] = over[name]
        figures[ALL, np.nan] = over.mean(axis=1)
    rows = {str(k): figures.iloc[:, [k]].to_numpy().T for k in range(figures.shape[1])}
    draws = {"n_bootstrap": n_bootstrap, "seed": seed}
    by_class = ablation.compare_classes(rows, np.asarray(labels), class_names, **draws)
    overall = ablation.compare(rows, **draws)
    kind, strength = map(str, correct.columns.names)
    strengths = pd.Series(figures.columns.get_level_values(1).to_numpy(float), name=strength)
    whole = (strengths.dropna() % 1 == 0).all()
    balanced = by_class.filter(like="balanced_accuracy")
    return pd.concat(
        [
            pd.DataFrame({kind: figures.columns.get_level_values(0)}),
            strengths.astype("Int64" if whole else "Float64").to_frame(),
            overall[["accuracy", "low", "high"]].rename(
                columns={"low": "accuracy_low", "high": "accuracy_high"}
            ),
            balanced,
            overall.filter(like="difference"),
        ],
        axis=1,
    )


def by_group(
    correct: pd.DataFrame,
    sensitive_features: Any,
    *,
    by: Sequence[str] | None = None,
    min_group_size: int = 30,
    n_bootstrap: int = 1000,
    n_permutations: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Say what each group of people loses by each kind of change, over all its strengths.

    Parameters
    ----------
    correct : DataFrame of bool, n rows
        What `correct_answers` or `attacked_answers` returns.
    sensitive_features, by, min_group_size
        As in `emohelpers.fairness.by_group`.
    n_bootstrap, n_permutations, seed : int
        How many draws the intervals and the p-values are made of, and of these draws.

    Returns
    -------
    DataFrame
        A row for each kind of change and group, that of all images first: the kind, ``feature``,
        ``group``, ``n``, ``reliable``, ``accuracy`` (of the changed images) and ``lost`` (the
        accuracy of the images as they are less that), each with ``_low`` and ``_high``; and
        ``p_holm``: how often chance alone would make two groups of this feature lose as
        differently as the two that differ most, corrected for the number of kinds and features
        (see `emohelpers.fairness.permutation_test`). It is missing for all images, and where no
        two groups are large enough.

    Raises
    ------
    ConfigurationError
        If a column for the images as they are does not come first, or as in
        `emohelpers.fairness.by_group`.

    Examples
    --------
    >>> columns = pd.MultiIndex.from_tuples([("clean", 0), ("dark", 1)])
    >>> columns.names = ["corruption", "severity"]
    >>> correct = pd.DataFrame([[True, True]] * 40 + [[True, False]] * 40, columns=columns)
    >>> table = by_group(correct, {"race": ["A"] * 40 + ["B"] * 40}, n_permutations=99)
    >>> table[["corruption", "group", "n", "lost", "p_holm"]]
      corruption group   n  lost  p_holm
    0       dark   all  80   0.5     NaN
    1       dark     A  40   0.0    0.01
    2       dark     B  40   1.0    0.01
    """
    from emohelpers import fairness

    _check(correct)
    options: dict[str, Any] = {"by": by, "min_group_size": min_group_size, "seed": seed}
    nothing = np.zeros(len(correct), np.int64)  # what is right is known, and no class is needed
    clean = correct.iloc[:, 0].to_numpy(float)
    tables = []
    for name in _kinds(correct):
        right = correct[name].to_numpy(float).mean(axis=1)
        table = fairness.by_group(
            nothing,
            right,
            sensitive_features,
            metrics=_accuracy,
            n_bootstrap=n_bootstrap,
            **options,
        ).rename(columns=lambda column: column.removeprefix("_"))
        lost = fairness.by_group(
            nothing,
            clean - right,
            sensitive_features,
            metrics=_lost,
            n_bootstrap=n_bootstrap,
            **options,
        ).rename(columns=lambda column: column.removeprefix("_"))
        table = pd.concat([table, lost.filter(like="lost")], axis=1)
        table.insert(0, str(correct.columns.names[0]), name)
        large = table[table["reliable"] & (table["group"] != "(missing)")]
        table["p_holm"] = np.nan
        if large.groupby("feature").size().max() > 1:
            tests = fairness.permutation_test(
                nothing,
                clean - right,
                sensitive_features,
                metric=_lost,
                n_permutations=n_permutations,
                **options,
            )
            widest = tests[tests["test"] == "largest difference"].set_index("feature")["p_value"]
            table["p_holm"] = table["feature"].map(widest)
        tables.append(table)
    found = pd.concat(tables, ignore_index=True)
    first = ~found.duplicated([found.columns[0], "feature"]) & found["p_holm"].notna()
    if first.any():
        corrected = fairness.holm(found.loc[first, "p_holm"].to_numpy())
        found["p_holm"] = pd.Series(corrected, index=found.index[first]).reindex(found.index)
        found["p_holm"] = found.groupby([found.columns[0], "feature"])["p_holm"].transform("max")
    return found.round(4)


def _accuracy(_: Any, right: Any) -> float:
    return float(np.mean(right))


def _lost(_: Any, lost: Any) -> float:
    return float(np.mean(lost))


def _check(correct: pd.DataFrame) -> None:
    kinds = correct.columns.get_level_values(0)
    if correct.columns.nlevels != 2 or not len(correct) or list(kinds[:1]) != [CLEAN]:
        raise ConfigurationError(
            f"answers of shape {correct.shape}: expected what correct_answers or attacked_answers "
            "returns"
        )


def _kinds(correct: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(correct.columns.get_level_values(0)[1:]))

"""Scores as tables, one row for each class or part."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from emohelpers.evaluation._scores import PER_CLASS, SUMMARY

__all__ = [
    "confusion_table",
    "interval_entries",
    "interval_text",
    "markdown",
    "most_confused",
    "per_class_table",
    "summary_table",
    "taken_for",
]


def confusion_table(score: Mapping[str, Any], *, normalise: bool = False) -> pd.DataFrame:
    """Return a score's confusion matrix as a table.

    Parameters
    ----------
    score : mapping
        One of those that `evaluate` returns.
    normalise : bool
        Shares of each true class, 0..1, in place of counts.

    Returns
    -------
    DataFrame
        A row for each true class, a column for each predicted one.

    Examples
    --------
    >>> confusion_table({"class_names": ["a", "b"], "confusion": [[3, 1], [0, 4]]}, normalise=True)
    predicted     a     b
    true
    a          0.75  0.25
    b          0.00  1.00
    """
    names = list(score["class_names"])
    table = pd.DataFrame(
        score["confusion"],
        index=pd.Index(names, name="true"),
        columns=pd.Index(names, name="predicted"),
    )
    return table.div(table.sum(axis=1), axis=0) if normalise else table


def most_confused(score: Mapping[str, Any], *, n: int = 5) -> pd.DataFrame:
    """Return the most frequent confusions of two classes.

    Parameters
    ----------
    score : mapping
        One of those that `evaluate` returns.
    n : int
        How many, at most.

    Returns
    -------
    DataFrame
        A row for each pair, with the index ``true`` and ``predicted``, and the columns ``images``
        and ``share`` (of the images of the true class, in 0..1), largest share first. Pairs that
        were never confused are left out.

    Examples
    --------
    >>> most_confused({"class_names": ["a", "b"], "confusion": [[1, 3], [0, 4]]})
                    images  share
    true predicted
    a    b               3   0.75
    """
    counts = confusion_table(score)
    table = pd.DataFrame(
        {"images": counts.stack(), "share": confusion_table(score, normalise=True).stack()}
    )
    true, predicted = (table.index.get_level_values(level) for level in (0, 1))
    wrong = table[(true != predicted) & (table["images"] > 0)]
    return wrong.sort_values("share", ascending=False, kind="stable").head(n)


def taken_for(score: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Say what the images of each class were taken for.

    Parameters
    ----------
    score : mapping
        One of those that `evaluate` returns.

    Returns
    -------
    dict of str to dict of str to float
        For each true class the predicted classes and their shares of its images, largest first;
        a class that was never predicted for it is left out.

    Examples
    --------
    >>> taken_for({"class_names": ["a", "b"], "confusion": [[1, 3], [0, 4]]})
    {'a': {'b': 0.75, 'a': 0.25}, 'b': {'b': 1.0}}
    """
    shares = confusion_table(score, normalise=True)
    return {
        str(name): {
            str(other): round(float(share), 4)
            for other, share in row[row > 0].sort_values(ascending=False, kind="stable").items()
        }
        for name, row in shares.iterrows()
    }


def per_class_table(score: Mapping[str, Any]) -> pd.DataFrame:
    """Return a score's figures for each class as a table.

    Parameters
    ----------
    score : mapping
        One of those that `evaluate` returns.

    Returns
    -------
    DataFrame
        A row for each class: ``n`` and, for precision, recall, f1 and specificity, the value and
        its interval in the columns ``NAME``, ``NAME_low`` and ``NAME_high``.

    Examples
    --------
    >>> from emohelpers.evaluation import score
    >>> result = score([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], ["a", "b"])
    >>> per_class_table(result)[["n", "recall"]].to_dict("list")
    {'n': [1, 2], 'recall': [1.0, 1.0]}
    """
    return _interval_table(score["per_class"], PER_CLASS, index="class")


def summary_table(scores: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return the overall figures of each part of a protocol as a table.

    Parameters
    ----------
    scores : mapping of str to mapping
        What `evaluate` returns.

    Returns
    -------
    DataFrame
        A row for each part: ``n`` and, for accuracy, balanced accuracy and the macro averages of
        precision, recall and F1, the value and its interval in ``NAME``, ``NAME_low``,
        ``NAME_high``.

    Examples
    --------
    >>> from emohelpers.evaluation import score
    >>> result = score([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], ["a", "b"])
    >>> summary_table({"test": result})[["n", "accuracy"]].to_dict("list")
    {'n': [3], 'accuracy': [1.0]}
    """
    return _interval_table(scores, SUMMARY, index="part")


def interval_text(table: pd.DataFrame, *, decimals: int = 3) -> pd.DataFrame:
    """Write each figure of a table together with its interval, to be read and not calculated with.

    Parameters
    ----------
    table : DataFrame
        What `summary_table` or `per_class_table` returns, or some of its columns.
    decimals : int
        Of each figure.

    Returns
    -------
    DataFrame
        In place of ``NAME``, ``NAME_low`` and ``NAME_high`` one column of text, with an en dash
        where a figure is undefined; other columns as they are.

    Examples
    --------
    >>> figures = {"n": [9], "recall": [0.5], "recall_low": [0.25], "recall_high": [0.75]}
    >>> interval_text(pd.DataFrame(figures), decimals=2)
       n               recall
    0  9  0.50 (0.25 to 0.75)
    """
    result = table.copy()
    for name in [name for name in table if f"{name}_low" in table and f"{name}_high" in table]:
        rows = table[[name, f"{name}_low", f"{name}_high"]].to_numpy(float)
        result[name] = [
            "–"
            if np.isnan(value)
            else f"{value:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})"
            for value, low, high in rows
        ]
        result = result.drop(columns=[f"{name}_low", f"{name}_high"])
    return result


def markdown(table: pd.DataFrame) -> str:
    """Lay out a table in Markdown.

    Parameters
    ----------
    table : DataFrame
        Of strings and numbers; its index is left out.

    Returns
    -------
    str
        Without a line end at the end.

    Examples
    --------
    >>> print(markdown(pd.DataFrame({"network": ["tiny"], "views": [1]})))
    | network | views |
    | --- | --- |
    | tiny | 1 |
    """
    lines = [list(map(str, table.columns)), ["---"] * table.shape[1]]
    lines += [[str(cell) for cell in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def interval_entries(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float] | None]]:
    """Return each row's figures with their intervals as `emohelpers.plots.intervals` takes them.

    Parameters
    ----------
    table : DataFrame
        With columns ``NAME``, ``NAME_low`` and ``NAME_high``; others are left out.

    Returns
    -------
    dict of str to dict
        For each row, by the index, and each NAME ``{"value", "low", "high"}``, or None where it is
        undefined.

    Examples
    --------
    >>> figures = {"recall": [0.5], "recall_low": [0.25], "recall_high": [0.75]}
    >>> interval_entries(pd.DataFrame(figures, index=["fear"]))
    {'fear': {'recall': {'value': 0.5, 'low': 0.25, 'high': 0.75}}}
    """
    names = [str(name) for name in table if f"{name}_low" in table and f"{name}_high" in table]
    entries: dict[str, dict[str, dict[str, float] | None]] = {str(row): {} for row in table.index}
    for name in names:
        figures = table[[name, f"{name}_low", f"{name}_high"]].to_numpy(float)
        for row, (value, low, high) in zip(entries.values(), figures, strict=True):
            known = {"value": float(value), "low": float(low), "high": float(high)}
            row[name] = None if np.isnan(value) else known
    return entries


def _interval_table(
    entries: Mapping[str, Mapping[str, Any]], metrics: Sequence[str], *, index: str
) -> pd.DataFrame:
    undefined = {"value": np.nan, "low": np.nan, "high": np.nan}
    rows = {}
    for name, entry in entries.items():
        row = {"n": entry["n"]}
        for metric in metrics:
            figures = entry[metric] or undefined
            row |= {
                metric: figures["value"],
                f"{metric}_low": figures["low"],
                f"{metric}_high": figures["high"],
            }
        rows[name] = row
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = index
    return table.astype({"n": int})

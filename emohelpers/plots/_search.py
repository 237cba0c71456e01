"""What searches for hyperparameters tried, and how much each hyperparameter matters."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.plots._style import (
    BLUE,
    BODY,
    FAINT,
    GREY,
    INK,
    ORANGE,
    SMALL,
    SlideFigure,
    settle_ticks,
    style,
)

__all__ = ["main_effects", "searches"]

_TRIED = ("search", "rung", "images", "accuracy")
_EFFECTS = ("parameter", "value", "accuracy_low", "accuracy", "accuracy_high")
# What differs between trainings of one candidate.
_OF_A_TRAINING = ("seed", "accuracy_low", "accuracy_high", "cpu_seconds")
_LEGEND = ("trained", "trained and dropped", "chosen", "best so far")
_MOST_PANELS = 4


@style()
def searches(trials: pd.DataFrame) -> SlideFigure:
    """Draw what searches tried against what they had spent by then, a panel for each search.

    A dot is a training, a line the best accuracy so far. Where a search goes on with some, as
    halving does from rung to rung, those are filled and joined to their next training, and those
    that were dropped are hollow. A star marks whom the search chose: the best of its last rung.

    Parameters
    ----------
    trials : DataFrame
        A row for each training, in the order of the search: ``search``, ``rung`` (from 0),
        ``images`` (seen in it), ``accuracy`` in 0..1, as `search.study` returns them of one seed;
        other columns, but for ``seed``, the accuracy's interval and ``cpu_seconds``, say which
        trainings are of the same candidate.

    Returns
    -------
    SlideFigure
        With Axes for each search; the images seen so far are in thousands.

    Raises
    ------
    ConfigurationError
        If a column is missing, there are no searches or more than four, or several seeds.

    Examples
    --------
    >>> import pandas as pd
    >>> table = {"search": ["halving"] * 3, "rung": [0, 0, 1], "images": [10, 10, 20]}
    >>> table |= {"learning_rate": [0.1, 0.2, 0.1], "accuracy": [0.5, 0.4, 0.6]}
    >>> [ax.get_title(loc="left") for ax in searches(pd.DataFrame(table)).axes]
    ['halving']
    """
    missing = [name for name in _TRIED if name not in trials]
    names = [] if missing else list(dict.fromkeys(trials["search"]))
    seeds = trials["seed"].nunique() if "seed" in trials else 1
    if missing or not 1 <= len(names) <= _MOST_PANELS or seeds != 1:
        raise ConfigurationError(
            f"a table of {len(names)} searches and {seeds} seeds without "
            f"{', '.join(missing) or 'a column'}: expected the columns {', '.join(_TRIED)}, 1 to "
            f"{_MOST_PANELS} searches and one seed"
        )
    figure = SlideFigure()
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for ax, name in zip(panels, names, strict=True):
        rows = trials[trials["search"] == name].reset_index(drop=True)
        _course(ax, rows)
        ax.set_title(str(name), pad=22)
        settle_ticks(ax)
    panels[0].set_ylabel("validation accuracy")
    panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    figure.supxlabel("training images seen so far by the search, thousands", fontsize=BODY)
    handles: dict[str, Any] = {}
    for ax in panels:
        handles |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    named = [name for name in _LEGEND if name in handles]
    figure.legend(
        [handles[name] for name in named],
        named,
        loc="outside upper center",
        ncols=len(named),
        fontsize=SMALL,
    )
    return figure


def _course(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw one search."""
    own = [name for name in rows if name not in (*_TRIED, *_OF_A_TRAINING)]
    spent = rows["images"].cumsum().to_numpy() / 1000
    accuracy, last = rows["accuracy"].to_numpy(float), rows["rung"].max()
    kept = np.zeros(len(rows), bool)
    candidate = rows[own].astype(str).agg(" ".join, axis=1)
    for here in range(len(rows)):
        later = (candidate == candidate[here]) & (rows["rung"] == rows["rung"][here] + 1)
        for there in np.flatnonzero(later)[:1]:
            kept[here] = True
            ax.plot(spent[[here, there]], accuracy[[here, there]], color=GREY, linewidth=0.8)
    chosen = int(np.where(rows["rung"] == last, accuracy, -1).argmax())
    dropped = ~kept & (rows["rung"] < last).to_numpy()
    ax.step(
        spent,
        np.maximum.accumulate(accuracy),
        where="post",
        color=ORANGE,
        linewidth=2,
        label="best so far",
    )
    for some, face, label in (
        (~dropped, BLUE, "trained"),
        (dropped, "white", "trained and dropped"),
    ):
        if some.any():
            ax.plot(
                spent[some],
                accuracy[some],
                "o",
                color=BLUE,
                markerfacecolor=face,
                markersize=6,
                label=label,
            )
    ax.plot(
        spent[chosen],
        accuracy[chosen],
        "*",
        color=ORANGE,
        markersize=18,
        markeredgecolor=INK,
        label="chosen",
    )
    start = 0.0
    for rung, group in rows.groupby("rung"):
        end = spent[group.index.max()]
        if rung < last:
            ax.axvline(end, color=FAINT, linewidth=1.2, zorder=0)
        ax.annotate(
            f"{len(group)} × {group['images'].iloc[0]:,}",
            ((start + end) / 2, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=SMALL,
            color=GREY,
        )
        start = end
    ax.set_xlim(0, spent[-1] * 1.04)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.grid(axis="y", color=FAINT)


@style()
def main_effects(table: pd.DataFrame, trials: pd.DataFrame) -> SlideFigure:
    """Draw the mean accuracy at each value of each hyperparameter, over all that it is a mean of.

    A thin line is one combination of all the other settings. Where such lines cross, the best value
    depends on the others, and the mean says little. Bars are 95% intervals of the means.

    Parameters
    ----------
    table : DataFrame
        What `search.main_effects` returns: ``parameter``, ``value``, ``accuracy``,
        ``accuracy_low`` and ``accuracy_high`` in 0..1; one to four parameters.
    trials : DataFrame
        What it was made of: a column for each parameter, and ``accuracy`` in 0..1. Trainings with
        the same settings count by their mean.

    Returns
    -------
    SlideFigure
        With Axes for each hyperparameter, all of one scale.

    Raises
    ------
    ConfigurationError
        If a column is missing, there are no parameters or too many, an accuracy lies outside its
        interval, or `trials` are not those of a grid of these values.

    Examples
    --------
    >>> import pandas as pd
    >>> trials = pd.DataFrame({"optimizer": ["adam", "sgd"], "accuracy": [0.4, 0.3]})
    >>> table = pd.DataFrame({"parameter": ["optimizer"] * 2, "value": ["adam", "sgd"]})
    >>> columns = ["accuracy_low", "accuracy", "accuracy_high"]
    >>> table[columns] = [[0.3, 0.4, 0.5], [0.2, 0.3, 0.4]]
    >>> [ax.get_title(loc="left") for ax in main_effects(table, trials).axes]
    ['optimizer']
    """
    missing = [name for name in _EFFECTS if name not in table]
    names = [] if missing else list(dict.fromkeys(table["parameter"]))
    if missing or not 1 <= len(names) <= _MOST_PANELS:
        raise ConfigurationError(
            f"a table of {len(names)} parameters without {', '.join(missing) or 'a column'}: "
            f"expected the columns {', '.join(_EFFECTS)} and 1 to {_MOST_PANELS} parameters"
        )
    for _, row in table.iterrows():
        low, value, high = row[list(_EFFECTS[2:])]
        if not low <= value <= high:
            raise ConfigurationError(
                f"{row['parameter']} {row['value']}: accuracy {value:g} lies outside its interval "
                f"{low:g} to {high:g}"
            )
    lines = _combinations(table, trials, names)
    figure = SlideFigure(height=4.6)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for ax, name in zip(panels, names, strict=True):
        rows = table[table["parameter"] == name]
        low, value, high = rows[list(_EFFECTS[2:])].to_numpy(float).T
        for line in lines[name]:
            ax.plot(range(len(rows)), line, color=GREY, linewidth=0.8, alpha=0.5)
        ax.errorbar(
            range(len(rows)),
            value,
            yerr=[value - low, high - value],
            fmt="-o",
            color=BLUE,
            elinewidth=2.4,
            zorder=3,
        )
        ax.set_xticks(range(len(rows)), labels=[str(one) for one in rows["value"]])
        ax.set_xlim(-0.5, len(rows) - 0.5)
        ax.set_title(str(name).replace("_", " "), fontsize=BODY)
        ax.grid(axis="y", color=FAINT)
        settle_ticks(ax)
    panels[0].set_ylabel("validation accuracy")
    panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    return figure


def _combinations(
    table: pd.DataFrame, trials: pd.DataFrame, names: list[str]
) -> dict[str, NDArray[np.float64]]:
    """Return for each parameter the accuracies at its values, a row for each of all else."""
    missing = [name for name in (*names, "accuracy") if name not in trials]
    lines = {}
    for name in names if not missing else []:
        others = [other for other in names if other != name]
        values = table.loc[table["parameter"] == name, "value"].astype(str)
        means = trials.assign(value=trials[name].astype(str), all=0)
        means = means.pivot_table("accuracy", ["all", *others], "value")
        if set(means.columns) == set(values) and means.notna().all(axis=None):
            lines[name] = means[list(values)].to_numpy(float)
    if set(lines) != set(names):
        raise ConfigurationError(
            f"{len(trials)} trials without {', '.join(missing) or 'some combinations'}: expected "
            f"those of a whole grid of the values of {', '.join(names)}, with their accuracy"
        )
    return lines

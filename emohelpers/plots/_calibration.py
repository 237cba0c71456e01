"""How sure against how right: reliability diagrams, and accuracy by coverage."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from emohelpers.errors import ConfigurationError
from emohelpers.plots._style import (
    FAINT,
    GREY,
    INK,
    SERIES_COLORS,
    SMALL,
    SlideFigure,
    axes_or_new,
    settle_ticks,
    style,
)

__all__ = ["coverage", "reliability"]

_MARKERS = ("o", "s", "D", "^", "v", "P")


@style()
def reliability(tables: Mapping[str, pd.DataFrame]) -> SlideFigure:
    """Draw how often a network is right over how sure it is, a panel for each table.

    On the diagonal a network is right as often as it says; below it, it is too sure. Grey bars at
    the foot say what share of the images each dot stands for.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        One to three, by name: what `emohelpers.evaluation.reliability` returns.

    Returns
    -------
    SlideFigure
        With Axes for each table.

    Raises
    ------
    ConfigurationError
        If there are no tables or too many, or a column is missing.

    Examples
    --------
    >>> from emohelpers import evaluation
    >>> table = evaluation.reliability([0, 0, 1], [[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    >>> [ax.get_title(loc="left") for ax in reliability({"before": table}).axes]
    ['before']
    """
    if not 1 <= len(tables) <= 3:
        raise ConfigurationError(f"{len(tables)} tables: expected 1 to 3")
    figure = SlideFigure(height=4.6)
    panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    columns = ("from", "to", "n", "confidence", "accuracy", "accuracy_low", "accuracy_high")
    for k, (ax, (name, table)) in enumerate(zip(panels, tables.items(), strict=True)):
        _check(name, table, columns)
        ax.plot(
            [0, 1],
            [0, 1],
            color=INK,
            linewidth=1.2,
            linestyle=":",
            label="as often right as it says",
        )
        ax.bar(
            table["from"],
            table["n"] / table["n"].sum(),
            width=(table["to"] - table["from"]) * 0.94,
            align="edge",
            color=FAINT,
            label="share of the images",
        )
        value = table["accuracy"].to_numpy()
        ax.errorbar(
            table["confidence"],
            value,
            yerr=[value - table["accuracy_low"], table["accuracy_high"] - value],
            fmt=f"-{_MARKERS[k]}",
            color=SERIES_COLORS[k],
            elinewidth=1.6,
            clip_on=False,  # at 1 half of the marker lies outside
        )
        ax.set_title(name)
        ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", aspect="equal")
        ax.set_xticks(np.linspace(0, 1, 6))
        ax.grid(color=FAINT)
        settle_ticks(ax)
    panels[0].set_ylabel("accuracy")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles[:2], labels[:2], loc="outside lower center", ncols=2)
    return figure


@style()
def coverage(
    tables: Mapping[str, pd.DataFrame],
    *,
    marks: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw accuracy over the share of images that are answered, a line for each table.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        One to six, by name: what `emohelpers.evaluation.coverage` returns.
    marks : mapping of str to float, optional
        Accuracies in 0..1, by their name: each is a dotted line.
    ax : Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Axes

    Raises
    ------
    ConfigurationError
        If there are no tables or too many, or a column is missing.

    Examples
    --------
    >>> from emohelpers import evaluation
    >>> table = evaluation.coverage([0, 0], [[0.9, 0.1], [0.4, 0.6]], steps=2)
    >>> coverage({"a network": table}).lines[0].get_ydata().tolist()
    [1.0, 0.5]
    """
    if not 1 <= len(tables) <= len(_MARKERS):
        raise ConfigurationError(f"{len(tables)} tables: expected 1 to {len(_MARKERS)}")
    ax = axes_or_new(ax)
    for k, (name, table) in enumerate(tables.items()):
        _check(name, table, ("coverage", "accuracy", "accuracy_low", "accuracy_high"))
        color = SERIES_COLORS[k]
        ax.plot(
            table["coverage"],
            table["accuracy"],
            f"-{_MARKERS[k]}",
            color=color,
            label=name,
            markersize=6,
            clip_on=False,
        )
        ax.fill_between(
            table["coverage"],
            table["accuracy_low"],
            table["accuracy_high"],
            color=color,
            alpha=0.18,
            linewidth=0,
        )
    for name, value in (marks or {}).items():
        ax.axhline(value, color=GREY, linestyle=":", linewidth=1.6)
        ax.annotate(
            name,
            (0, value),
            xycoords=("axes fraction", "data"),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=SMALL,
            color=GREY,
        )
    ax.set(xlim=(0, 1), xlabel="share of the images that are answered", ylabel="accuracy on them")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    ax.grid(color=FAINT)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(tables), borderaxespad=0.2)
    settle_ticks(ax)
    return ax


def _check(name: str, table: pd.DataFrame, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in table]
    if missing or len(table) == 0:
        raise ConfigurationError(
            f"{name}: a table of {len(table)} rows without {', '.join(missing) or 'a row'}: "
            f"expected the columns {', '.join(columns)} and at least one row"
        )

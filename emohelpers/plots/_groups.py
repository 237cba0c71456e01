"""How a network does by group of people."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from emohelpers.errors import ConfigurationError
from emohelpers.plots._style import (
    BLUE,
    BODY,
    FAINT,
    GREY,
    INK,
    ORANGE,
    SMALL,
    axes_or_new,
    settle_ticks,
    style,
)

__all__ = ["groups"]

_MOST_ROWS = 36


@style()
def groups(
    table: pd.DataFrame,
    *,
    metric: str = "accuracy",
    marks: Mapping[str, Mapping[tuple[str, str], float]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a metric by group as dots on their intervals, with the size of each group.

    Groups that are not reliable are grey and hollow: their figures are not to be compared, and an
    arrow stands where their interval leaves the axis. A line marks the figure of all images.

    Parameters
    ----------
    table : DataFrame
        What `fairness.by_group` returns: ``feature``, ``group``, ``n``, ``reliable`` and the metric
        with ``_low`` and ``_high``, in 0..1; the figure of all images in the row of feature
        ``all``, if there is one. At most 36 rows, headings of features included.
    metric : str
        Which one to draw.
    marks : mapping of str to mapping of (str, str) to float, optional
        By its name, one other figure for some ``(feature, group)``, such as what is true or what
        others report: small diamonds. At most one such name.
    ax : Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Axes

    Raises
    ------
    ConfigurationError
        If a column or all groups are missing, there are too many rows, or a value lies outside its
        interval.

    Examples
    --------
    >>> table = pd.DataFrame({"feature": ["age"], "group": ["adult"], "n": [90]})
    >>> table["reliable"] = True
    >>> table[["accuracy_low", "accuracy", "accuracy_high"]] = [0.85, 0.92, 0.96]
    >>> ax = groups(table)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['age', 'adult']
    """
    columns = [f"{metric}_low", metric, f"{metric}_high"]
    needed = ["feature", "group", "n", "reliable", *columns]
    missing = [name for name in needed if name not in table]
    if missing:
        raise ConfigurationError(
            f"a table without {', '.join(missing)}: expected what fairness.by_group returns"
        )
    rows = table[table["feature"] != "all"]
    headings = rows["feature"].ne(rows["feature"].shift()).to_numpy()
    places = np.arange(len(rows)) + headings.cumsum()
    if not 1 <= len(rows) <= _MOST_ROWS - headings.sum():
        raise ConfigurationError(
            f"{len(rows)} groups of {headings.sum()} features: expected 1 to {_MOST_ROWS} rows "
            "together; draw the features apart"
        )
    points = rows[columns].to_numpy(float)
    for name, (low, value, high) in zip(rows["group"], points, strict=True):
        if not low <= value <= high and not np.isnan(value):
            raise ConfigurationError(
                f"{name}: {metric} {value:g} lies outside its interval {low:g} to {high:g}"
            )
    if marks and len(marks) > 1:
        raise ConfigurationError(f"marks of {len(marks)} names: expected one")
    ax = axes_or_new(ax)
    size = BODY if places[-1] < 18 else SMALL if places[-1] < 26 else SMALL - 2.5
    word = metric.replace("_", " ").replace("f1", "F1")
    overall = table.loc[table["feature"] == "all", columns]
    if len(overall):
        low, value, high = overall.to_numpy(float)[0]
        ax.axvspan(low, high, color=FAINT, alpha=0.5, linewidth=0)
        ax.axvline(value, color=INK, linewidth=1.2, label=f"all images, {value:.3f}")
    reliable = rows["reliable"].to_numpy(bool)
    shown = [*points[reliable, 0], *points[:, 1], *overall[columns[0]], *_values(marks)]
    left = max(np.floor(np.nanmin(shown) * 20 - 0.4) / 20, 0)
    _draw_points(ax, places, points, reliable, left, size)
    for name, others in (marks or {}).items():
        pairs = zip(rows["feature"], rows["group"], places, strict=True)
        found = [(others[pair[:2]], pair[2]) for pair in pairs if pair[:2] in others]
        x, y = np.array(found).reshape(-1, 2).T
        ax.plot(
            x, y, "D", color=ORANGE, markeredgecolor=INK, markersize=6, label=name, clip_on=False
        )
    _label_rows(ax, rows, places, headings, size)
    ax.set_xlim(left, 1)
    ax.xaxis.set_major_locator(MaxNLocator(8))
    ax.set_xlabel(f"{word}, with its 95% interval")
    ax.set_title(f"{word} by group", pad=26)
    ax.grid(axis="x", color=FAINT)
    ax.spines["left"].set_visible(False)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.1, fontsize=SMALL)
    settle_ticks(ax)
    ax.tick_params(axis="y", labelsize=size)
    return ax


def _draw_points(
    ax: Axes, places: Any, points: Any, reliable: Any, left: float, size: float
) -> None:
    labels = {True: "group", False: "too few images to compare"}
    for kind in (True, False):
        chosen = reliable == kind
        if not chosen.any():
            continue
        low, value, high = points[chosen].T
        beyond = places[chosen][low < left]
        ax.plot(np.full(len(beyond), left), beyond, "<", color=GREY, markersize=5, clip_on=False)
        low = np.maximum(low, left)
        ax.errorbar(
            value,
            places[chosen],
            xerr=[value - low, high - value],
            fmt="o",
            color=BLUE if kind else GREY,
            markerfacecolor=BLUE if kind else "white",
            markersize=8 if size == BODY else 6,
            elinewidth=2.4 if kind else 1.2,
            clip_on=False,  # at 1 half of the marker lies outside
            zorder=3,
            label=labels[kind],
        )


def _label_rows(ax: Axes, rows: pd.DataFrame, places: Any, headings: Any, size: float) -> None:
    """Name features and groups at the left, and the sizes of groups at the right."""
    names = {place: str(name) for place, name in zip(places, rows["group"], strict=True)}
    for place, name in zip(places[headings] - 1, rows["feature"][headings], strict=True):
        names[place] = str(name).replace("_", " ").replace("+", " and ")
    order = sorted(names)
    ax.set_yticks(order, labels=[names[place] for place in order])
    ax.set_ylim(order[-1] + 0.6, order[0] - 0.6)
    for place in places[headings] - 1:
        ax.get_yticklabels()[order.index(place)].set_fontweight("bold")
    numbers = [(place, f"{n:,}") for place, n in zip(places, rows["n"], strict=True)]
    for place, words in [(order[0], "images"), *numbers]:
        ax.annotate(
            words,
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(50, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=min(size, SMALL),
            color=GREY,
        )


def _values(marks: Mapping[str, Mapping[tuple[str, str], float]] | None) -> list[float]:
    return [value for known in (marks or {}).values() for value in known.values()]

"""Heat maps: confusion, raters' votes, networks against data sets."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.plots._style import INK, ORANGE, SMALL, axes_or_new, settle_ticks, style

__all__ = ["confusion_matrix", "rater_disagreement", "transfer_matrix"]


def _row_shares(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Divide each row by its sum; a row of zeros becomes NaN."""
    sums = counts.sum(axis=1, keepdims=True).astype(float)
    return counts / np.where(sums, sums, np.nan)


def _check_counts(counts: NDArray[Any], what: str) -> None:
    if counts.size == 0 or not np.isfinite(counts).all() or (counts < 0).any():
        raise ConfigurationError(f"{what}: expected counts of 0 or more, at least one")


def _heat_map(ax: Axes, shades: NDArray[np.float64], texts: NDArray[Any], *, size: float) -> None:
    """Shade cells by a share in 0..1 and write into each, light on dark and dark on light."""
    rows, columns = shades.shape
    ax.pcolormesh(
        np.ma.masked_invalid(shades), cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=2
    )
    ax.set(xlim=(0, columns), ylim=(rows, 0))
    for row, column in np.ndindex(rows, columns):
        ax.text(
            column + 0.5,
            row + 0.5,
            str(texts[row, column]),
            ha="center",
            va="center",
            linespacing=1.15,
            fontsize=size,
            color="white" if shades[row, column] > 0.55 else INK,
        )
    ax.spines[:].set_visible(False)


def _cell_size(rows: int, *, lines: int) -> float:
    """Return the type size in points at which a cell of a full page holds its lines."""
    return min(20, (96 if lines == 1 else 84) / rows)


def _name_sides(ax: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    ax.set_yticks(np.arange(len(rows)) + 0.5, labels=rows)
    ax.set_xticks(np.arange(len(columns)) + 0.5, labels=columns)
    settle_ticks(ax)
    if len(columns) > 7:
        ax.tick_params(axis="x", labelsize=SMALL + 1)


@style()
def confusion_matrix(
    matrix: ArrayLike,
    class_names: Sequence[str],
    *,
    normalise: bool = True,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw what each class was taken for; the diagonal, framed, is each class's recall.

    Parameters
    ----------
    matrix : array_like of int, shape (classes, classes)
        Counts: rows are labels, columns predictions.
    class_names : sequence of str
        The classes in label order.
    normalise : bool
        Write per cent of the row with the count below it, or the counts alone. The shade is the
        share of the row in both cases.
    ax : Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Axes

    Raises
    ------
    ConfigurationError
        If the matrix is not square, does not fit the names, or holds anything but counts.

    Examples
    --------
    >>> ax = confusion_matrix([[8, 2], [1, 3]], ["happiness", "neutral"])
    >>> [text.get_text() for text in ax.texts]
    ['80%\n8', '20%\n2', '25%\n1', '75%\n3']
    """
    counts = np.asarray(matrix)
    if counts.shape != (len(class_names), len(class_names)):
        raise ConfigurationError(
            f"a confusion matrix of shape {counts.shape} for {len(class_names)} classes: expected "
            f"{(len(class_names), len(class_names))}"
        )
    _check_counts(counts, "a confusion matrix")
    shares = _row_shares(counts)
    texts = np.empty(counts.shape, dtype=object)
    for cell in np.ndindex(*counts.shape):
        count = f"{counts[cell]:,}"
        percent = "–" if np.isnan(shares[cell]) else f"{shares[cell]:.0%}"
        texts[cell] = f"{percent}\n{count}" if normalise else count
    ax = axes_or_new(ax)
    _heat_map(ax, shares, texts, size=_cell_size(len(class_names), lines=1 + normalise))
    for k in range(len(class_names)):
        frame = Rectangle(
            (k + 0.03, k + 0.03), 0.94, 0.94, fill=False, edgecolor=ORANGE, linewidth=2.5
        )
        ax.add_patch(frame)
        ax.texts[k * (len(class_names) + 1)].set_fontweight("bold")
    named = [
        f"{name} ({total:,})" for name, total in zip(class_names, counts.sum(axis=1), strict=True)
    ]
    _name_sides(ax, named, class_names)
    ax.set(xlabel="predicted", ylabel="label (images)")
    return ax


@style()
def rater_disagreement(votes: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how the raters' votes spread over the emotions for the images of each label.

    Parameters
    ----------
    votes : DataFrame of numbers
        Votes counted (or averaged): a row for each label, a column for each choice that the raters
        had. Each row is drawn as shares of its sum.
    ax : Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Axes

    Raises
    ------
    ConfigurationError
        If the table is empty or holds anything but numbers of 0 or more.

    Examples
    --------
    >>> import pandas as pd
    >>> votes = pd.DataFrame({"fear": [6, 1], "surprise": [4, 9]}, index=["fear", "surprise"])
    >>> ax = rater_disagreement(votes)
    >>> [text.get_text() for text in ax.texts]
    ['60%', '40%', '10%', '90%']
    """
    counts = votes.to_numpy(dtype=float)
    _check_counts(counts, "a table of votes")
    shares = _row_shares(counts)
    texts = np.array(
        [["–" if np.isnan(share) else f"{share:.0%}" for share in row] for row in shares],
        dtype=object,
    )
    columns = [str(name).removeprefix("votes_").replace("_", " ") for name in votes.columns]
    ax = axes_or_new(ax)
    _heat_map(ax, shares, texts, size=_cell_size(len(counts), lines=1))
    _name_sides(ax, [str(name) for name in votes.index], columns)
    if len(columns) > 8:
        # Ten names side by side would run into each other.
        ax.tick_params(axis="x", labelrotation=30)
        for label in ax.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    ax.set(xlabel="what raters saw (share of the votes)", ylabel="label")
    return ax


@style()
def transfer_matrix(
    table: pd.DataFrame, *, task: str = "happiness or neutral", ax: Axes | None = None
) -> Axes:
    r"""Draw how well each network does on each data set, its own framed.

    Parameters
    ----------
    table : DataFrame
        What `emohelpers.publishing.transfer_matrix` returns: a row for each network, data set and
        task.
    task : str
        Which rows to draw.
    ax : Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Axes
        Each cell says the balanced accuracy in per cent with its interval; its shade is the share
        of the way from chance to all right. A frame marks a network's own data set, a broken one
        that of its backbone or teacher.

    Raises
    ------
    ConfigurationError
        If no row is of the task, or a network has two of one data set.

    Examples
    --------
    >>> figures = {"balanced_accuracy": 0.75, "balanced_accuracy_low": 0.7}
    >>> figures |= {"balanced_accuracy_high": 0.8, "chance": 0.5, "task": "happiness or neutral"}
    >>> about = {"network": "smile", "learned_from": "utkface", "dataset": "utkface"}
    >>> ax = transfer_matrix(pd.DataFrame([{**about, **figures, "crop": 0.1, "seen": "own"}]))
    >>> [text.get_text() for text in ax.texts]
    ['75\n70 to 80']
    """
    rows = table[table["task"].eq(task)]
    keys = list(zip(rows["network"], rows["dataset"], rows["crop"], strict=True))
    if not keys or len(set(keys)) < len(keys):
        raise ConfigurationError(
            f"{len(keys)} rows of the task {task!r}, {len(set(keys))} different: expected one for "
            "each network and data set"
        )
    networks = list(dict.fromkeys((row.network, row.learned_from) for row in rows.itertuples()))
    columns = list(dict.fromkeys((dataset, crop) for _, dataset, crop in keys))
    shades = np.full((len(networks), len(columns)), np.nan)
    texts = np.full(shades.shape, "–", dtype=object)
    frames: list[tuple[int, int, Any]] = []
    ax = axes_or_new(ax)
    for row in rows.to_dict("records"):
        down = networks.index((row["network"], row["learned_from"]))
        right = columns.index((row["dataset"], row["crop"]))
        value, low, high = (row[f"balanced_accuracy{end}"] for end in ("", "_low", "_high"))
        shades[down, right] = max(0, (value - row["chance"]) / (1 - row["chance"]))
        texts[down, right] = f"{100 * value:.0f}\n{100 * low:.0f} to {100 * high:.0f}"
        if row["seen"] in ("own", "before"):
            broken = row["seen"] == "before"
            frames.append((right, down, (0, (2, 1.5)) if broken else "-"))
    _heat_map(ax, shades, texts, size=SMALL)
    for right, down, line in frames:
        ax.add_patch(
            Rectangle(
                (right + 0.015, down + 0.045),
                0.97,
                0.91,
                fill=False,
                edgecolor=ORANGE,
                linewidth=3,
                linestyle=line,
            )
        )
    _name_sides(
        ax,
        [f"{network}\n{learned_from}" for network, learned_from in networks],
        [f"{name}\n{crop:.0%} off each edge" if crop else name for name, crop in columns],
    )
    ax.tick_params(axis="y", labelsize=SMALL)
    ax.tick_params(axis="x", labelsize=SMALL + 1)
    ax.set(xlabel=f"tested on ({task}; balanced accuracy, %, 95% interval)")
    ax.set(ylabel="network, and what it learned from")
    return ax

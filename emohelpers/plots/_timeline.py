"""How the expression of a face changes over time."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.plots._style import INK, axes_or_new, color_of, settle_ticks, style

__all__ = ["emotion_timeline"]

# A face that was not found for longer than this many frames leaves a gap.
_GAP_FRAMES = 3


@style()
def emotion_timeline(
    table: pd.DataFrame, *, face: int | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the probabilities of a face's expressions over a video, stacked to 1.

    Below them a band is dark where the network abstains. Where the face was not found there is a
    gap.

    Parameters
    ----------
    table : DataFrame
        What `emohelpers.inference.EmotionRecognizer.video` returns.
    face : int, optional
        The face's number; the one that is there most often without it.
    ax : Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    Axes
        Seconds across, probability upwards.

    Raises
    ------
    ConfigurationError
        If the table lacks a column, or the face is not in it.

    Examples
    --------
    >>> seconds = np.arange(4) / 10
    >>> table = pd.DataFrame(
    ...     {"time": seconds, "face": 1, "score": 1.0, "anger": 0.2, "neutral": 0.8}
    ... ).assign(emotion="neutral", abstains=False)
    >>> emotion_timeline(table).get_title(loc="left")
    'face 1: neutral in 100% of 4 frames'
    """
    names = _class_names(table)
    known = table["face"].value_counts()
    number = face if face is not None or known.empty else known.index[0]
    rows = table[table["face"] == number].sort_values("time")
    if rows.empty:
        listed = ", ".join(map(str, sorted(known.index))) or "none"
        raise ConfigurationError(f"no face {number} in the table: expected one of its: {listed}")
    ax = axes_or_new(ax)
    times, shares, unsure = _with_gaps(rows, names)
    colors = [color_of(name, place) for place, name in enumerate(names)]
    ax.stackplot(times, shares.T, colors=colors, edgecolor="white", linewidth=0.6)
    ax.fill_between(times, -0.07, -0.02, where=unsure, color=INK, step="mid", linewidth=0)
    handles = [
        Patch(color=color, label=name)
        for name, color in reversed(list(zip(names, colors, strict=True)))
    ]
    handles.append(Patch(color=INK, label="unsure"))
    ax.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5))
    counts = rows["emotion"].value_counts(normalize=True)
    ax.set(
        xlabel="time (seconds)",
        ylabel="probability",
        ylim=(-0.08, 1.0),
        title=f"face {number}: {counts.index[0]} in {counts.iloc[0]:.0%} of {len(rows):,} frames",
    )
    if times[0] < times[-1]:
        ax.set_xlim(times[0], times[-1])
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
    settle_ticks(ax)
    return ax


def _class_names(table: pd.DataFrame) -> list[str]:
    """Return the columns of probabilities, which stand between the score and the emotion."""
    expected = ["time", "face", "score", "emotion", "abstains"]
    missing = [name for name in expected if name not in table]
    if missing:
        raise ConfigurationError(
            f"a table without {', '.join(missing)}: expected what EmotionRecognizer.video returns"
        )
    columns = list(table.columns)
    return columns[columns.index("score") + 1 : columns.index("emotion")]


def _with_gaps(
    rows: pd.DataFrame, names: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return times, probabilities and doubts, with a moment of nothing wherever frames lack."""
    times = rows["time"].to_numpy(float)
    shares = rows[names].to_numpy(float)
    unsure = rows["abstains"].to_numpy(bool)
    steps = np.diff(times)
    usual = np.median(steps) if len(steps) else 0.0
    lost = np.flatnonzero(steps > _GAP_FRAMES * usual) + 1
    return (
        np.insert(times, lost, times[lost - 1] + usual),
        np.insert(shares, lost, np.nan, axis=0),
        np.insert(unsure, lost, False),
    )

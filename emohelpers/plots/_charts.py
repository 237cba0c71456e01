"""Bars, curves and intervals: class counts, learning curves, metrics, differences."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from emohelpers.errors import ConfigurationError
from emohelpers.plots._style import (
    BLUE,
    BODY,
    FAINT,
    GREY,
    INK,
    ORANGE,
    SERIES_COLORS,
    SMALL,
    SlideFigure,
    axes_or_new,
    color_of,
    settle_ticks,
    style,
)

__all__ = [
    "class_counts",
    "compare_curves",
    "differences",
    "intervals",
    "learning_curves",
    "size_curves",
]

_MARKERS = ("o", "s", "D", "^", "v", "P")


@style()
def class_counts(counts: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how many images each class has, grouped by split.

    Parameters
    ----------
    counts : DataFrame of int
        A row for each class and a column for each split, as `FaceDataset.counts` returns them. A
        column ``total`` is drawn only where it stands alone; then each emotion has its own colour.
    ax : Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Axes

    Raises
    ------
    ConfigurationError
        If the table is empty.

    Examples
    --------
    >>> import pandas as pd
    >>> counts = pd.DataFrame({"train": [7215, 436]}, index=["happiness", "disgust"])
    >>> [int(bar.get_width()) for bar in class_counts(counts).patches]
    [7215, 436]
    """
    if counts.empty:
        raise ConfigurationError("an empty table of counts: expected a row for each class")
    splits = [name for name in counts if name != "total"] or ["total"]
    ax = axes_or_new(ax)
    middles = np.arange(len(counts))
    height = 0.82 / len(splits)
    size = SMALL if len(counts) * len(splits) <= 24 else SMALL - 2
    for k, split in enumerate(splits):
        colors: Any = SERIES_COLORS[k]
        if len(splits) == 1:
            colors = [color_of(str(name), 0) for name in counts.index]
        places = middles + (k - (len(splits) - 1) / 2) * height
        bars = ax.barh(places, counts[split], height * 0.92, color=colors, label=str(split))
        ax.bar_label(bars, fmt="{:,.0f}", padding=4, fontsize=size, color=INK)
    ax.set_yticks(middles, labels=[str(name) for name in counts.index])
    ax.invert_yaxis()
    ax.margins(x=0.1, y=0.02)
    ax.set_xlabel("images")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.grid(axis="x", color=FAINT)
    ax.spines["left"].set_visible(False)
    if len(splits) > 1:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(splits), borderaxespad=0.2)
    settle_ticks(ax)
    return ax


_HISTORY = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")


@style()
def learning_curves(history: pd.DataFrame) -> SlideFigure:
    """Draw loss and accuracy by epoch, and mark where the validation loss turns.

    Epochs after the lowest validation loss are shaded: from there on the network learns the
    training images by heart. The best validation accuracy is marked by a star.

    Parameters
    ----------
    history : DataFrame
        A row for each epoch with the columns ``epoch``, ``loss``, ``accuracy``, ``val_loss`` and
        ``val_accuracy`` (accuracies in 0..1), as `training.fit` returns it.

    Returns
    -------
    SlideFigure
        With two Axes, loss and accuracy.

    Raises
    ------
    ConfigurationError
        If a column is missing or there is no epoch.

    Examples
    --------
    >>> import pandas as pd
    >>> history = pd.DataFrame(
    ...     {
    ...         "epoch": [1, 2, 3],
    ...         "loss": [1.9, 1.2, 0.6],
    ...         "accuracy": [0.2, 0.6, 0.9],
    ...         "val_loss": [1.8, 1.4, 1.7],
    ...         "val_accuracy": [0.3, 0.5, 0.6],
    ...     }
    ... )
    >>> [ax.get_ylabel() for ax in learning_curves(history).axes]
    ['loss (cross-entropy)', 'accuracy']
    """
    missing = [name for name in _HISTORY if name not in history]
    if missing or len(history) == 0:
        raise ConfigurationError(
            f"a history of {len(history)} epochs without {', '.join(missing) or 'a row'}: expected "
            f"the columns {', '.join(_HISTORY)} and at least one epoch"
        )
    epochs = history["epoch"].to_numpy()
    turn = epochs[int(history["val_loss"].to_numpy().argmin())]
    figure = SlideFigure()
    for ax, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        marker = "o" if len(history) <= 3 else ""
        ax.plot(epochs, history[metric], color=BLUE, marker=marker, label="training")
        validation = history[f"val_{metric}"]
        ax.plot(epochs, validation, "--", color=ORANGE, marker=marker, label="validation")
        ax.axvline(turn, color=INK, linewidth=1.2, linestyle=":")
        if turn < epochs[-1]:
            ax.axvspan(turn, epochs[-1], color=FAINT, alpha=0.45, linewidth=0)
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.grid(axis="y", color=FAINT)
        settle_ticks(ax)
    loss, accuracy = figure.axes
    course = f"turns at epoch {turn}" if turn < epochs[-1] else "falls to the end"
    loss.set(ylabel="loss (cross-entropy)", title=f"validation loss {course}")
    best = int(history["val_accuracy"].to_numpy().argmax())
    value = history["val_accuracy"].iloc[best]
    accuracy.plot(epochs[best], value, "*", color=ORANGE, markersize=20, markeredgecolor=INK)
    accuracy.set(ylabel="accuracy", title=f"best validation {value:.1%}, epoch {epochs[best]}")
    accuracy.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    for ax in (loss, accuracy):
        ax.title.set(fontsize=13)
    handles, labels = loss.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


@style()
def compare_curves(
    histories: Mapping[str, pd.DataFrame], *, metric: str = "accuracy", log: bool = False
) -> SlideFigure:
    """Draw the curves of several trainings side by side, all on the same axes.

    The best value on validation is marked by a star.

    Parameters
    ----------
    histories : mapping of str to DataFrame
        One to four trainings by name: for each what `training.fit` returns, of which ``epoch``
        and the metric with and without ``val_`` are read.
    metric : str
        ``"accuracy"`` (in 0..1) or ``"loss"``.
    log : bool
        Draw the loss on a logarithmic axis, where one jump would flatten all else.

    Returns
    -------
    SlideFigure
        With Axes for each training.

    Raises
    ------
    ConfigurationError
        If the metric is another, there are no trainings or too many, a column is missing or there
        is no epoch.

    Examples
    --------
    >>> import pandas as pd
    >>> short = pd.DataFrame({"epoch": [1, 2], "loss": [1.9, 1.6], "val_loss": [1.8, 1.7]})
    >>> figure = compare_curves({"first": short, "second": short}, metric="loss")
    >>> [ax.get_title(loc="left") for ax in figure.axes]
    ['first', 'second']
    """
    if metric not in ("accuracy", "loss"):
        raise ConfigurationError(f"metric={metric!r}: expected 'accuracy' or 'loss'")
    if not 1 <= len(histories) <= 4:
        raise ConfigurationError(f"{len(histories)} trainings: expected 1 to 4")
    figure = SlideFigure(height=4.6)
    panels = figure.subplots(1, len(histories), sharey=True, squeeze=False)[0]
    for ax, (name, history) in zip(panels, histories.items(), strict=True):
        columns = ("epoch", metric, f"val_{metric}")
        missing = [column for column in columns if column not in history]
        if missing or len(history) == 0:
            raise ConfigurationError(
                f"{name}: a history of {len(history)} epochs without "
                f"{', '.join(missing) or 'a row'}: expected the columns {', '.join(columns)} and "
                "at least one epoch"
            )
        epochs, training, validation = (history[column].to_numpy() for column in columns)
        marker = "o" if len(history) <= 3 else ""
        ax.plot(epochs, training, color=BLUE, marker=marker, label="training")
        ax.plot(epochs, validation, "--", color=ORANGE, marker=marker, label="validation")
        best = int(validation.argmin() if metric == "loss" else validation.argmax())
        ax.plot(
            epochs[best], validation[best], "*", color=ORANGE, markersize=20, markeredgecolor=INK
        )
        ax.set_title(name, fontsize=BODY)
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.grid(axis="y", color=FAINT)
        settle_ticks(ax)
    panels[0].set_ylabel("loss (cross-entropy)" if metric == "loss" else "accuracy")
    if metric == "loss" and log:
        panels[0].set_yscale("log")
        panels[0].yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panels[0].yaxis.set_minor_locator(NullLocator())
    if metric == "accuracy":
        panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


@style()
def differences(table: pd.DataFrame, *, metric: str = "accuracy", ax: Axes | None = None) -> Axes:
    """Draw differences in a metric as dots on their intervals, beside a line at none.

    Those whose interval holds zero are drawn grey and hollow: they may well be chance.

    Parameters
    ----------
    table : DataFrame
        A row for each comparison, whose name is the index, with the columns ``difference``,
        ``difference_low`` and ``difference_high``, shares in -1..1.
    metric : str
        What differs, for the label.
    ax : Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Axes
        In percentage points.

    Raises
    ------
    ConfigurationError
        If there is no row, a column is missing, or a value lies outside its interval.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = {"difference": [-0.02], "difference_low": [-0.03], "difference_high": [-0.01]}
    >>> ax = differences(pd.DataFrame(rows, index=["without mixup"]))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['without mixup']
    """
    columns = ("difference_low", "difference", "difference_high")
    missing = [column for column in columns if column not in table]
    if missing or len(table) == 0:
        raise ConfigurationError(
            f"a table of {len(table)} rows without {', '.join(missing) or 'a row'}: expected the "
            f"columns {', '.join(columns)} and at least one row"
        )
    points = 100 * table[list(columns)].to_numpy(float)
    for name, (low, value, high) in zip(table.index, points, strict=True):
        if not low <= value <= high:
            raise ConfigurationError(
                f"{name}: {value:g} points lie outside their interval {low:g} to {high:g}"
            )
    ax = axes_or_new(ax)
    ax.axvline(0, color=INK, linewidth=1.2)
    for place, (low, value, high) in enumerate(points):
        apart = low > 0 or high < 0
        ax.errorbar(
            value,
            place,
            xerr=[[value - low], [high - value]],
            fmt="o",
            color=BLUE if apart else GREY,
            markerfacecolor=BLUE if apart else "white",
            elinewidth=2.4,
        )
    ax.set_yticks(range(len(table)), labels=[str(name) for name in table.index])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlabel(f"difference in {metric}, percentage points, with its 95% interval")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}" if value else "0"))
    ax.grid(axis="x", color=FAINT)
    ax.spines["left"].set_visible(False)
    settle_ticks(ax)
    return ax


@style()
def intervals(
    scores: Mapping[str, Mapping[str, Any]],
    *,
    metrics: Sequence[str] = ("precision", "recall", "f1"),
    ax: Axes | None = None,
) -> Axes:
    """Draw metrics as dots on their intervals, a row for each class (or network, or group).

    Parameters
    ----------
    scores : mapping of str to mapping
        For each row its metrics, each a mapping with ``value``, ``low`` and ``high`` in 0..1: the
        ``per_class`` of `evaluation.evaluate`, or ``{"my network": scores}``. A metric that is None
        (undefined, as the precision of a class that was never predicted) is left out of its row.
    metrics : sequence of str
        Which of them to draw, at most six.
    ax : Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Axes

    Raises
    ------
    ConfigurationError
        If there is no row, a metric is missing, or a value lies outside its interval.

    Examples
    --------
    >>> scores = {"fear": {"recall": {"value": 0.4, "low": 0.36, "high": 0.44}}}
    >>> ax = intervals(scores, metrics=["recall"])
    >>> ax.lines[0].get_xdata().tolist()
    [0.4]
    """
    if not scores or not 1 <= len(metrics) <= len(_MARKERS):
        raise ConfigurationError(
            f"{len(scores)} rows of {len(metrics)} metrics: expected at least one row and 1 to "
            f"{len(_MARKERS)} metrics"
        )
    ax = axes_or_new(ax)
    middles = np.arange(len(scores))
    gap = 0.7 / len(metrics)
    for k, metric in enumerate(metrics):
        low, value, high = _interval_arrays(scores, metric)
        ax.errorbar(
            value,
            middles + (k - (len(metrics) - 1) / 2) * gap,
            xerr=[value - low, high - value],
            fmt=_MARKERS[k],
            color=SERIES_COLORS[k],
            elinewidth=2.4,
            clip_on=False,  # at 0 and 1 half of the marker lies outside
            label=metric.replace("_", " ").replace("f1", "F1"),
        )
    for edge in middles[:-1] + 0.5:
        ax.axhline(edge, color=FAINT, linewidth=0.8)
    ax.set_yticks(middles, labels=list(scores))
    ax.set_ylim(len(scores) - 0.5, -0.5)
    ax.set(xlim=(0, 1), xlabel="value, with its 95% interval")
    ax.grid(axis="x", color=FAINT)
    ax.spines["left"].set_visible(False)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(metrics), borderaxespad=0.2)
    settle_ticks(ax)
    return ax


@style()
def size_curves(
    scores: Mapping[str, Mapping[int, Mapping[str, Any]]],
    *,
    metric: str = "accuracy",
    marks: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a metric over how many images were learnt from, a line for each way to learn.

    The number of images is on a logarithmic axis; where intervals would hide each other, the lines
    stand a little beside the number.

    Parameters
    ----------
    scores : mapping of str to mapping of int to mapping
        For each way, by its name, and each number of images (1 or more) the metrics, as
        `evaluation.score` returns them; at most six ways.
    metric : str
        Which one to draw; each has ``value``, ``low`` and ``high`` in 0..1.
    marks : mapping of str to float, optional
        Values in 0..1, by their name, that need no images: each is a dotted line.
    ax : Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Axes

    Raises
    ------
    ConfigurationError
        If there is no way or no number of images, a number is below 1, a metric is missing, or a
        value lies outside its interval.

    Examples
    --------
    >>> few = {"accuracy": {"value": 0.4, "low": 0.36, "high": 0.44}}
    >>> many = {"accuracy": {"value": 0.6, "low": 0.57, "high": 0.64}}
    >>> ax = size_curves({"from scratch": {50: few, 500: many}})
    >>> ax.lines[0].get_ydata().tolist()
    [0.4, 0.6]
    """
    if not 1 <= len(scores) <= len(_MARKERS):
        raise ConfigurationError(f"{len(scores)} ways: expected 1 to {len(_MARKERS)}")
    ax = axes_or_new(ax)
    ax.set_xscale("log")
    sizes = sorted({size for by_size in scores.values() for size in by_size})
    if not sizes or sizes[0] < 1:
        raise ConfigurationError(f"numbers of images {sizes}: expected one or more, each above 0")
    # A hundredth of the axis, whatever it spans.
    beside = max(sizes[-1] / sizes[0], 2) ** 0.011
    for k, (name, by_size) in enumerate(scores.items()):
        known = {f"{name}, {size:,} images": by_size[size] for size in sorted(by_size)}
        if not known:
            raise ConfigurationError(f"{name}: no number of images: expected one or more")
        low, value, high = _interval_arrays(known, metric)
        ax.errorbar(
            np.array(sorted(by_size)) * beside ** (k - (len(scores) - 1) / 2),
            value,
            yerr=[value - low, high - value],
            fmt=f"-{_MARKERS[k]}",
            color=SERIES_COLORS[k],
            elinewidth=1.6,
            label=name,
        )
    for name, value in (marks or {}).items():
        ax.axhline(value, color=GREY, linestyle=":", linewidth=1.6)
        ax.annotate(
            fill(name, 15),
            (1, value),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),  # beside the chart, where no line passes
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=GREY,
        )
    ax.set_xticks(sizes, labels=[f"{size:,}" for size in sizes])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.margins(x=0.06)
    ax.set(ylim=(0, 1), xlabel="images learnt from (logarithmic)")
    ax.set_ylabel(f"{metric.replace('_', ' ').replace('f1', 'F1')}, with its 95% interval")
    ax.grid(axis="y", color=FAINT)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)
    settle_ticks(ax)
    return ax


def _interval_arrays(scores: Mapping[str, Mapping[str, Any]], metric: str) -> Any:
    """Return one metric's lows, values and highs, (3, rows)."""
    rows = []
    for name, entry in scores.items():
        if metric in entry and entry[metric] is None:
            rows.append((np.nan,) * 3)
            continue
        try:
            low, value, high = (float(entry[metric][key]) for key in ("low", "value", "high"))
        except (KeyError, TypeError) as error:
            raise ConfigurationError(
                f"{name}: no {metric} with value, low and high among {', '.join(map(str, entry))}"
            ) from error
        if not low <= value <= high:
            raise ConfigurationError(
                f"{name}: {metric} {value} lies outside its interval {low} to {high}"
            )
        rows.append((low, value, high))
    return np.array(rows).T

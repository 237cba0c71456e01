"""How far trainings have come, over the time or the work that they took."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from emohelpers.errors import ConfigurationError
from emohelpers.plots._style import FAINT, SERIES_COLORS, axes_or_new, settle_ticks, style

__all__ = ["progress"]

_MARKERS = "osD^"
_OVER = {
    "cpu_seconds": "time of the processor, seconds",
    "steps": "steps of training",
    "passes": "passes over the training images",
}


@style()
def progress(
    curves: Mapping[str, pd.DataFrame], *, over: str = "cpu_seconds", ax: Axes | None = None
) -> Axes:
    """Draw the validation accuracy of several trainings over what they took, on the same axes.

    Parameters
    ----------
    curves : mapping of str to DataFrame
        One to four trainings by name, with the columns ``val_accuracy`` (in 0..1) and `over`, as
        the ``curves`` of `ablation.equal_time`.
    over : str
        ``"cpu_seconds"``, ``"steps"`` or ``"passes"``.
    ax : Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Axes

    Raises
    ------
    ConfigurationError
        If there are no trainings or too many, or a column is missing or not known.

    Examples
    --------
    >>> curve = pd.DataFrame({"steps": [10, 20], "val_accuracy": [0.3, 0.4]})
    >>> ax = progress({"cct": curve}, over="steps")
    >>> ax.lines[0].get_ydata().tolist(), ax.get_xlabel()
    ([0.3, 0.4], 'steps of training')
    """
    if over not in _OVER:
        raise ConfigurationError(f"over={over!r}: expected one of {', '.join(_OVER)}")
    if not 1 <= len(curves) <= len(_MARKERS):
        raise ConfigurationError(f"{len(curves)} trainings: expected 1 to {len(_MARKERS)}")
    ax = axes_or_new(ax)
    for k, (name, curve) in enumerate(curves.items()):
        missing = [column for column in (over, "val_accuracy") if column not in curve]
        if missing or len(curve) == 0:
            raise ConfigurationError(
                f"{name}: {len(curve)} rows without {', '.join(missing) or 'a row'}: expected the "
                f"columns {over} and val_accuracy, and at least one row"
            )
        ax.plot(
            curve[over],
            curve["val_accuracy"],
            f"-{_MARKERS[k]}",
            color=SERIES_COLORS[k],
            clip_on=False,
            label=name,
        )
    ax.set(xlabel=_OVER[over], ylabel="accuracy on validation")
    ax.set_xlim(left=0)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    ax.grid(axis="y", color=FAINT)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    settle_ticks(ax)
    return ax

"""What is left of a network's accuracy as images get worse."""

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter

from emohelpers.errors import ConfigurationError
from emohelpers.plots._style import (
    BODY,
    FAINT,
    SERIES_COLORS,
    SMALL,
    SlideFigure,
    settle_ticks,
    style,
)

__all__ = ["corruptions"]

_MARKERS = ("o", "s", "D", "^", "v", "P")
_KINDS = {"corruption": "severity", "attack": "epsilon"}
_MOST_PANELS = 12


@style()
def corruptions(table: pd.DataFrame) -> SlideFigure:
    """Draw accuracy by severity, a panel for each corruption (or attack), a line for each network.

    Each line begins at the accuracy on the images as they are, severity 0. Bars are 95% intervals.

    Parameters
    ----------
    table : DataFrame
        What `robustness.compare` returns, of one network or, with a column ``network``, of up to
        six: ``corruption`` and ``severity`` (or ``attack`` and ``epsilon``), ``accuracy``,
        ``accuracy_low`` and ``accuracy_high`` in 0..1. Rows without a severity are left out; at
        most 12 corruptions.

    Returns
    -------
    SlideFigure

    Raises
    ------
    ConfigurationError
        If a column, the row ``clean`` of a network or every other row is missing, there are too
        many, or a value lies outside its interval.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"corruption": ["clean", "dark"], "severity": [0, 1]})
    >>> table[["accuracy_low", "accuracy", "accuracy_high"]] = [[0.8, 0.9, 1.0], [0.5, 0.6, 0.7]]
    >>> [ax.get_title(loc="left") for ax in corruptions(table).axes]
    ['dark']
    """
    kind = next((name for name in _KINDS if name in table), "corruption")
    strength = _KINDS[kind]
    columns = ["accuracy_low", "accuracy", "accuracy_high"]
    missing = [name for name in (kind, strength, *columns) if name not in table]
    if missing:
        raise ConfigurationError(
            f"a table without {', '.join(missing)}: expected what robustness.compare returns"
        )
    rows = table[table[strength].notna()]
    for _, row in rows.iterrows():
        if not row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]:
            raise ConfigurationError(
                f"{row[kind]} {row[strength]:g}: accuracy {row['accuracy']:g} lies outside its "
                f"interval {row['accuracy_low']:g} to {row['accuracy_high']:g}"
            )
    names = rows["network"] if "network" in rows else pd.Series("", index=rows.index)
    networks = list(dict.fromkeys(names))
    panels = [name for name in dict.fromkeys(rows[kind]) if name != "clean"]
    clean = {name: rows[(names == name) & (rows[kind] == "clean")] for name in networks}
    if (
        not 1 <= len(panels) <= _MOST_PANELS
        or not 1 <= len(networks) <= len(_MARKERS)
        or any(len(found) != 1 for found in clean.values())
    ):
        raise ConfigurationError(
            f"{len(panels)} kinds of change to {len(networks)} networks: expected 1 to "
            f"{_MOST_PANELS} and 1 to {len(_MARKERS)}, and one row 'clean' for each network"
        )
    across = min(4, len(panels))
    figure = SlideFigure()
    grid = figure.subplots(-(-len(panels) // across), across, sharey=True, squeeze=False)
    strengths = sorted(set(rows[strength].astype(float)))
    last = strengths[-1]
    for place, ax in enumerate(grid.flat):
        if place >= len(panels):
            ax.set_axis_off()
            continue
        for k, network in enumerate(networks):
            line = rows[(names == network) & (rows[kind] == panels[place])]
            line = pd.concat([clean[network], line]).sort_values(strength)
            low, value, high = line[columns].to_numpy(float).T
            ax.errorbar(
                line[strength].to_numpy(float) + (k - (len(networks) - 1) / 2) * last * 0.018,
                value,
                yerr=[value - low, high - value],
                fmt=f"-{_MARKERS[k]}",
                color=SERIES_COLORS[k],
                linewidth=1.6,
                elinewidth=1.2,
                markersize=4.5,
                label=network or None,
            )
        ax.set_title(str(panels[place]).replace("_", " "), fontsize=BODY, pad=4)
        ax.set_ylim(0, 1)
        ax.set_yticks(np.linspace(0, 1, 5))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
        ax.set_xticks(strengths, labels=[f"{value:g}" for value in strengths])
        ax.grid(axis="y", color=FAINT)
        settle_ticks(ax)
        ax.tick_params(labelsize=SMALL)
        if place + across < len(panels):
            ax.tick_params(labelbottom=False)
    word = "severity, 0 as they are" if kind == "corruption" else "epsilon, grey levels of 255"
    figure.supxlabel(word, fontsize=BODY)
    figure.supylabel("accuracy", fontsize=BODY)
    if networks != [""]:
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper center", ncols=len(networks), fontsize=SMALL
        )
    return figure

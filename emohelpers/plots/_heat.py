"""Maps of a network's attention, over the faces that they explain."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.plots._images import caption, check_length, draw, grid, name_row
from emohelpers.plots._style import BLUE, SMALL, VERMILLION, SlideFigure, style

__all__ = ["heat_maps"]

_SEE_THROUGH = 0.85  # of a pixel with the highest value; the face shows where there is nothing


@style()
def heat_maps(
    images: Any,
    maps: ArrayLike,
    *,
    titles: Sequence[str] | None = None,
    columns: int = 7,
    row_names: Sequence[str] | None = None,
    label: str = "share of its highest values",
) -> SlideFigure:
    """Draw maps over the grey faces that they belong to.

    Parameters
    ----------
    images : array or ImageRows of uint8, shape (n, height, width, channels)
        Pixels in 0..255; colour is averaged to grey.
    maps : array_like, shape (n, height, width)
        In any value range; each is drawn from 0 to the absolute value that a hundredth of its own
        pixels exceed. The more, the less of the face shows through: orange above 0, blue below.
    titles : sequence of n str, optional
        What stands above each.
    columns : int
        Maps in a row.
    row_names : sequence of str, optional
        What stands left of each row.
    label : str
        Of the colour bar.

    Returns
    -------
    SlideFigure
        Its last Axes are the colour bar.

    Raises
    ------
    ConfigurationError
        If there is no map, not one for each image, or its size is another.

    Examples
    --------
    >>> faces, maps = np.zeros((2, 48, 48, 1), np.uint8), np.ones((2, 48, 48))
    >>> figure = heat_maps(faces, maps, titles=["fear", "anger"])
    >>> [ax.get_title(loc="center") for ax in figure.axes[:2]]
    ['fear', 'anger']
    """
    values = np.asarray(maps, dtype=np.float64)
    n = len(values)
    if n == 0 or columns < 1:
        raise ConfigurationError(f"{n} maps in {columns} columns: expected at least one of each")
    check_length("maps", n, len(images))
    if values.shape != (n, *images.shape[1:3]) or not np.isfinite(values).all():
        raise ConfigurationError(
            f"maps of shape {values.shape}: expected finite numbers of {(n, *images.shape[1:3])}"
        )
    if titles is not None:
        check_length("titles", len(titles), n)
    columns = min(columns, n)
    rows = -(-n // columns)
    if row_names is not None and len(row_names) != rows:
        raise ConfigurationError(f"{len(row_names)} row names for {rows} rows: expected as many")
    signed = bool((values < 0).any())
    colors = _see_through(signed)
    lines = max((title.count("\n") + 1 for title in titles or ()), default=0)
    figure, axes = grid(rows, columns, cell=0.1 + 0.22 * lines, more=0.9)
    for position, ax in enumerate(axes.flat[:n]):
        draw(ax, np.asarray(images[position], np.float32).mean(axis=-1), (0, 255))
        highest = _high(np.abs(values[position]))
        low = -1 if signed else 0
        ax.imshow(values[position] / highest, cmap=colors, vmin=low, vmax=1, interpolation="none")
        if titles is not None:
            caption(ax, titles[position], size=SMALL, pad=3)
        if row_names is not None and position % columns == 0:
            name_row(ax, row_names[position // columns])
    scale = ScalarMappable(Normalize(-1 if signed else 0, 1), colors)
    bar = figure.colorbar(scale, ax=axes, location="bottom", shrink=0.5, aspect=40)
    bar.set_label(f"against the class   |   for it, {label}" if signed else label)
    bar.outline.set_visible(False)
    return figure


def _high(values: NDArray[np.float64]) -> float:
    """Return the value from which on all are drawn alike: a few pixels would hide the others."""
    return float(np.percentile(values, 99)) or float(values.max()) or 1.0


def _see_through(signed: bool) -> LinearSegmentedColormap:
    """Return colours that begin as glass."""

    def glass(color: str, share: float) -> tuple[float, ...]:
        red, green, blue = (int(color[k : k + 2], 16) / 255 for k in (1, 3, 5))
        return (red, green, blue, share)

    bright = "#F0E442"  # the yellow of Okabe and Ito: the highest values are also the lightest
    up = [glass(VERMILLION, 0.0), glass(VERMILLION, 0.6), glass(bright, _SEE_THROUGH)]
    if not signed:
        return LinearSegmentedColormap.from_list("heat", up)
    sky = "#56B4E9"
    down = [glass(sky, _SEE_THROUGH), glass(BLUE, 0.6), glass(BLUE, 0.0)]
    return LinearSegmentedColormap.from_list("heat_and_cold", [*down, *up])

"""The house style: colours, sizes, the figure all charts stand on, and how it is written."""

import base64
import io
import os
import re
from collections.abc import Mapping
from contextlib import _GeneratorContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageChops

from emohelpers._replacing import replacing
from emohelpers.errors import ConfigurationError

__all__ = ["EMOTION_COLORS", "SlideFigure", "save", "style"]

# The eight colours of Okabe and Ito, "Color Universal Design" (2008), with grey for their yellow,
# which is too pale for lines on white. A lighter grey would be their green or purple to some eyes.
ORANGE, SKY, GREEN, BLUE = "#E69F00", "#56B4E9", "#009E73", "#0072B2"
VERMILLION, PURPLE, BLACK, GREY = "#D55E00", "#CC79A7", "#000000", "#4D4D4D"
INK, FAINT = "#262626", "#D9D9D9"
SERIES_COLORS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, GREY, BLACK)

EMOTION_COLORS: Mapping[str, str] = MappingProxyType(
    {
        "anger": VERMILLION,
        "disgust": GREEN,
        "fear": PURPLE,
        "happiness": ORANGE,
        "sadness": BLUE,
        "surprise": SKY,
        "neutral": GREY,
        "contempt": BLACK,
    }
)
"""One fixed colour for each emotion, told apart with any kind of colour vision."""

SLIDE_PIXELS = (1920, 1080)
# 13 pt on a page 9.6 inches wide are 18 pt on a slide of the usual 13.3 inches.
PAGE_INCHES = (9.6, 5.4)
SCREEN_DPI = 80
SMALL, BODY, LARGE = 10.5, 13, 15
_UNSEEN = 12  # of 255, at the edges of letters and lines

_RC = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": BODY,
    "text.color": INK,
    "axes.titlesize": LARGE,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": BODY,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "axes.prop_cycle": cycler(color=SERIES_COLORS),
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.labelsize": BODY,
    "ytick.labelsize": BODY,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 2.4,
    "lines.markersize": 8,
    "legend.fontsize": BODY,
    "legend.frameon": False,
    "figure.titlesize": LARGE,
    "figure.titleweight": "bold",
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "savefig.facecolor": "auto",
    "savefig.bbox": None,
    # Random ids and dates would make every export a change in git.
    "svg.hashsalt": "emohelpers",
    "svg.fonttype": "path",
}


def style() -> "_GeneratorContextManager[None]":
    """Return a context in which matplotlib draws in the house style.

    Returns
    -------
    context manager, also usable as a decorator
        The caller's own settings are back when it ends.

    Examples
    --------
    >>> import matplotlib as mpl
    >>> before = mpl.rcParams["font.size"]
    >>> with style():
    ...     print(mpl.rcParams["font.size"])
    13.0
    >>> mpl.rcParams["font.size"] == before
    True
    """
    return cast("Any", mpl.rc_context(cast("Any", _RC)))


class SlideFigure(Figure):
    """A figure in the format of a slide (16:9) that shows itself in a notebook.

    It is a `matplotlib.figure.Figure` that pyplot does not manage: nothing has to be closed.

    Parameters
    ----------
    height : float
        In inches, at most 5.4; the width is 9.6.
    layout : str
        A layout engine of matplotlib.

    Examples
    --------
    >>> SlideFigure()
    <SlideFigure size 768x432 with 0 Axes>
    """

    def __init__(self, *, height: float = PAGE_INCHES[1], layout: Any = "constrained") -> None:
        size = (PAGE_INCHES[0], min(height, PAGE_INCHES[1]))
        super().__init__(figsize=size, dpi=SCREEN_DPI, layout=layout)

    def _repr_png_(self) -> bytes:
        return _png(self, SCREEN_DPI)


def _png(figure: Figure, dpi: float) -> bytes:
    """Return a figure as PNG, without what names its maker, which would differ between two."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="png", dpi=dpi, metadata=cast("Any", {"Software": None}))
    return compact_png(buffer.getvalue())


def compact_png(content: bytes) -> bytes:
    """Write a PNG in fewer bytes, with a palette where nobody can see the difference.

    Parameters
    ----------
    content : bytes
        A PNG; what is transparent in it is taken for white.

    Returns
    -------
    bytes
        A PNG of greys, if it has no colour; of 256 colours, if no pixel's red, green or blue moves
        by more than `_UNSEEN`; and else of all of them.
    """
    whole = Image.open(io.BytesIO(content)).convert("RGBA")
    colors = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")
    grey = colors.convert("L")
    few = colors.quantize(
        256, method=Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE
    )

    def moved(other: Image.Image) -> int:
        return int(np.asarray(ImageChops.difference(colors, other.convert("RGB"))).max())

    chosen = grey if moved(grey) == 0 else few if moved(few) <= _UNSEEN else colors
    buffer = io.BytesIO()
    chosen.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def compact_svg(content: bytes) -> bytes:
    """Write the pictures within an SVG in fewer bytes.

    Parameters
    ----------
    content : bytes
        An SVG as matplotlib writes it: its pictures are PNGs of 32 bits a pixel, in base64.

    Returns
    -------
    bytes
        The same with each opaque picture made smaller by `compact_png`.
    """

    def compact(match: re.Match[bytes]) -> bytes:
        written = base64.b64decode(match[2])
        if np.asarray(Image.open(io.BytesIO(written)).convert("RGBA"))[..., 3].min() < 255:
            return match[0]
        return match[1] + base64.b64encode(min(compact_png(written), written, key=len))

    return re.sub(rb"(data:image/png;base64,)([A-Za-z0-9+/=\s]+)", compact, content)


def axes_or_new(ax: Axes | None) -> Axes:
    """Return the caller's Axes, or those of a new figure."""
    return SlideFigure().add_subplot() if ax is None else ax


def settle_ticks(ax: Axes) -> None:
    """Fix what ticks look like, which would else follow the settings at the time of drawing."""
    ax.tick_params(which="both", labelsize=BODY, length=0, pad=5, color=INK, labelcolor=INK)


def color_of(name: str, position: int) -> str:
    """Return an emotion's own colour, or for another name that of its position."""
    return EMOTION_COLORS.get(name, SERIES_COLORS[position % len(SERIES_COLORS)])


def save(
    figure: Figure | Axes, name: str, *, directory: str | os.PathLike[str] = "presentation_images"
) -> list[Path]:
    """Write a figure for slides: as PNG 1920 pixels wide and as SVG.

    The same figure gives the same bytes each time, and a file of that name is replaced.

    Parameters
    ----------
    figure : Figure or Axes
        What the functions of this module return.
    name : str
        The files' name without an ending: lower-case letters, digits, ``-`` and ``_``.
    directory : path
        It is made where it does not exist.

    Returns
    -------
    list of Path
        The PNG and the SVG.

    Raises
    ------
    ConfigurationError
        If the name holds anything else, such as a folder or an ending.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in save(SlideFigure(), "01_nothing", directory=folder)]
    ['01_nothing.png', '01_nothing.svg']
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,79}", name):
        raise ConfigurationError(
            f"figure name {name!r}: expected lower-case letters, digits, '-' and '_', at most 80, "
            "without folder or ending"
        )
    if isinstance(figure, Axes):
        figure = cast("Figure", figure.get_figure(root=True))
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    dpi = SLIDE_PIXELS[0] / figure.get_figwidth()
    drawn = io.BytesIO()
    with style():
        # Without the date, which would differ between two equal figures.
        figure.savefig(drawn, format="svg", dpi=dpi, metadata=cast("Any", {"Date": None}))
    contents = {"png": _png(figure, dpi), "svg": compact_svg(drawn.getvalue())}
    paths = []
    for ending, content in contents.items():
        path = folder / f"{name}.{ending}"
        with replacing(path) as beside:
            beside.write_bytes(content)
        paths.append(path)
    return paths

"""The project's own emoji, drawn from one table of shapes as pixels and as SVG.

Every shape is a path in a square of 100 x 100, y downwards, in the few commands of SVG that both
renderers know: M, L, Q, C and Z with absolute coordinates. What an emoji means is told by its
features; colour only helps.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple
from xml.sax.saxutils import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from emohelpers.errors import ConfigurationError

__all__ = ["EMOJI", "emoji", "emoji_svg"]

_SMALLEST, _LARGEST = 8, 1024

INK, WHITE, TONGUE = "#3B2611", "#FFFFFF", "#F0606B"
YELLOW, GOLD, BLUSH = "#FFD13B", "#E39C12", "#FFAA3C"


class Shape(NamedTuple):
    """A path that is filled, stroked with round caps and joins, or both."""

    path: str
    fill: str | None = None
    stroke: str | None = None
    width: float = 0.0


Shapes = tuple[Shape, ...]


def _line(path: str, width: float = 6, color: str = INK) -> Shape:
    return Shape(path, stroke=color, width=width)


def _moved(shape: Shape, matrix: tuple[float, float, float, float, float, float]) -> Shape:
    """Map (x, y) to (a x + b y + c, d x + e y + f)."""
    a, b, c, d, e, f = matrix

    def point(match: re.Match[str]) -> str:
        x, y = float(match[1]), float(match[2])
        return f"{round(a * x + b * y + c, 2):g} {round(d * x + e * y + f, 2):g}"

    return shape._replace(path=re.sub(r"(-?[\d.]+) (-?[\d.]+)", point, shape.path))


def _both(*shapes: Shape) -> Shapes:
    """Return shapes of the left half and their mirror images."""
    return shapes + tuple(_moved(shape, (-1, 0, 100, 0, 1, 0)) for shape in shapes)


def _ellipse(x: float, y: float, wide: float, high: float, fill: str = INK) -> Shape:
    """Return an ellipse by its centre and half axes, of four curves that are off by 0.03%."""
    k = 0.5523
    unit = f"M1 0 C1 {k} {k} 1 0 1 C{-k} 1 -1 {k} -1 0 C-1 {-k} {-k} -1 0 -1 C{k} -1 1 {-k} 1 0 Z"
    return _moved(Shape(unit, fill), (wide, 0, x, 0, high, y))


def _head(fill: str = YELLOW, rim: str = GOLD) -> Shapes:
    # The inner circle sits higher: the rim is broader below, like a shade.
    return (_ellipse(50, 50, 48, 48, rim), _ellipse(50, 49, 44.5, 44.5, fill))


def _eye(x: float, y: float, wide: float = 5.5, high: float = 7.5) -> Shapes:
    return (_ellipse(x, y, wide, high), _ellipse(x - 1.6, y - 2.8, 1.7, 2.1, WHITE))


def _thumb() -> Shapes:
    rim, skin = GOLD, YELLOW
    hand = (
        "M27 46 C37 42 44 32 44 19 C44 5 63 4 64 20 C65 28 62 35 60 41 L66 41 L66 89 "
        "C54 92 38 92 27 87 Z"
    )
    fingers = []
    for y, right in ((47, 87), (59, 90), (71, 88), (82.5, 82)):
        path = f"M64 {y} L{right - 6} {y}"
        fingers += [_line(path, 17, rim), _line(path, 10, skin)]
    return (
        Shape(hand, skin, rim, 7),
        *fingers,
        # Joins the fingers to the hand again, whose rims would else run across it.
        Shape("M47 45 L62 45 L62 85 L47 86 Z", skin, skin, 4),
        Shape("M8 46 L25 46 L25 91 L8 91 Z", "#3D8BD4", "#1F5F9E", 6),
        _ellipse(17, 82, 3, 3, WHITE),
    )


_THUMB = _thumb()

_SHAPES: Mapping[str, Shapes] = MappingProxyType(
    {
        "anger": (
            *_head("#F4694C", "#B9301C"),
            *_both(_ellipse(32, 50, 6, 7), _line("M18 33 L43 46", 8)),
            Shape(
                "M31 78 C31 66 39 63 50 63 C61 63 69 66 69 78 C61 74 39 74 31 78 Z", WHITE, INK, 5
            ),
            _line("M44 65 L44 73", 3),
            _line("M56 65 L56 73", 3),
        ),
        "disgust": (
            *_head("#A8CC52", "#6B8F23"),
            *_both(
                _line("M20 41 L38 48 L20 54", 6),
                _line("M44 42 L47 50", 3.5, "#5C7D1C"),
            ),
            _line("M26 71 C34 61 40 67 50 65 C60 63 66 61 74 71", 6),
            Shape("M43 68 C49 67 55 67 62 66 C65 78 65 89 55 90 C45 90 43 80 43 68 Z", TONGUE),
            _line("M54 71 L54 80", 3, "#C23D4C"),
        ),
        "fear": (
            *_head(),
            Shape(
                "M10.5 29 C18 14 33 4.5 50 4.5 C67 4.5 82 14 89.5 29 C66 42 34 42 10.5 29 Z",
                "#8FC4EC",
            ),
            *_both(
                _ellipse(32, 45, 12, 13.5, WHITE),
                _ellipse(33.5, 46, 4, 4.8),
                _line("M17 27 C22 23 28 20 35 19", 5.5),
            ),
            Shape("M30 84 C27 68 37 64 50 64 C63 64 73 68 70 84 C62 78 38 78 30 84 Z", INK, INK, 4),
        ),
        "happiness": (
            *_head(),
            *_both(_ellipse(16, 55, 7, 5.5, BLUSH), _line("M23 43 C25 31 39 31 41 43", 6.5)),
            Shape("M22 55 C40 60 60 60 78 55 C78 75 66 87 50 87 C34 87 22 75 22 55 Z", INK, INK, 4),
            Shape("M25 58 C41 62 59 62 75 58 C75 62 74 65 73 68 C58 71 42 71 27 68 Z", WHITE),
            Shape("M36 80 C41 74 59 74 64 80 C60 84 55 86 50 86 C45 86 40 84 36 80 Z", TONGUE),
        ),
        "sadness": (
            *_head(),
            *_eye(33, 49),
            *_eye(67, 49),
            *_both(_line("M19 38 C26 36 33 32 37 27", 5.5)),
            _line("M34 80 C39 68 61 68 66 80", 6),
            Shape(
                "M75 58 C80 66 84 71 84 77 C84 83 80 86 75.5 86 C71 86 66 83 66 77 "
                "C66 71 71 66 75 58 Z",
                "#4FA8F0",
                "#2B7BC0",
                2,
            ),
        ),
        "surprise": (
            *_head(),
            *_eye(32, 44, 6, 8),
            *_eye(68, 44, 6, 8),
            *_both(_line("M20 27 C24 18 36 18 40 25", 5.5)),
            _ellipse(50, 73, 14, 16.5),
            Shape("M41 83 C45 78 55 78 59 83 C57 87 54 88 50 88 C46 88 43 87 41 83 Z", TONGUE),
        ),
        "neutral": (
            *_head(),
            *_eye(33, 43),
            *_eye(67, 43),
            _line("M32 68 L68 68", 6.5),
        ),
        "contempt": (
            *_head(),
            _line("M19 36 L41 38", 6),
            _line("M58 31 C62 21 73 18 82 24", 6),
            *_both(Shape("M22 46 L42 46 C42 57 38 58 32 58 C26 58 22 57 22 46 Z", WHITE)),
            _ellipse(38, 50, 4.5, 6),
            _ellipse(74, 50, 4.5, 6),
            *_both(_line("M21 46 L43 46", 5)),
            _line("M31 73 C44 76 60 75 73 64", 6),
            _line("M70 60 C74 61 77 63 78 67", 4),
        ),
        "unsure": (
            *_head("#CDD3DB", "#8B95A3"),
            *_eye(29, 52),
            *_eye(62, 52),
            _line("M27 76 C33 66 41 68 47 74 C53 80 59 80 66 72", 6.5),
            _ellipse(77, 23, 23, 23, WHITE),
            _ellipse(77, 23, 20, 20, "#3567B5"),
            _line("M69.5 18 C69.5 7.5 85 7.5 85 17 C85 23 77 22.5 77 28", 5.5, WHITE),
            _ellipse(77, 36, 3.4, 3.4, WHITE),
        ),
        "thumb_up": _THUMB,
        "thumb_side": tuple(_moved(shape, (0, -1, 100, -1, 0, 100)) for shape in _THUMB),
        "thumb_down": tuple(_moved(shape, (1, 0, 0, 0, -1, 100)) for shape in _THUMB),
    }
)

EMOJI: tuple[str, ...] = tuple(_SHAPES)
"""The names of all emoji: the emotions in label order, ``unsure`` and three thumbs."""


def _shapes(name: str) -> Shapes:
    if name not in _SHAPES:
        raise ConfigurationError(f"no emoji {name!r}: expected one of {', '.join(EMOJI)}")
    return _SHAPES[name]


def _points(path: str) -> NDArray[np.float64]:
    """Follow a path by points so near each other that its curves look round."""
    steps = np.linspace(0, 1, 33)[1:, None]
    points: list[NDArray[np.float64]] = []
    for command, numbers in re.findall(r"([MLQC])([^MLQCZ]*)", path):
        ends = np.array(numbers.split(), float).reshape(-1, 2)
        if command in "ML":
            points.append(ends)
            continue
        # A Bezier curve by de Casteljau: each round lies between the points of the last.
        curve = [np.broadcast_to(end, (len(steps), 2)) for end in (points[-1][-1], *ends)]
        while len(curve) > 1:
            curve = [start + steps * (end - start) for start, end in pairwise(curve)]
        points.append(curve[0])
    return np.concatenate(points)


def _rgba(color: str) -> tuple[int, int, int, int]:
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue, 255


# Bounded, as the sizes may come from outside.
@lru_cache(maxsize=256)
def emoji(name: str, size: int = 64) -> NDArray[np.uint8]:
    """Draw an emoji as pixels.

    Parameters
    ----------
    name : str
        One of `EMOJI`.
    size : int
        Height and width in pixels, 8..1024.

    Returns
    -------
    ndarray of uint8, shape (size, size, 4)
        Red, green, blue and alpha, 0..255, colours not multiplied by alpha. It is shared with other
        callers and can not be written to.

    Raises
    ------
    ConfigurationError
        If there is no such emoji, or the size is out of its range.

    Examples
    --------
    >>> picture = emoji("happiness", 24)
    >>> picture.shape
    (24, 24, 4)
    >>> picture[0, 0].tolist(), picture[4, 12].tolist()
    ([0, 0, 0, 0], [255, 209, 59, 255])
    """
    shapes = _shapes(name)
    if not _SMALLEST <= size <= _LARGEST:
        raise ConfigurationError(f"size={size}: expected {_SMALLEST}..{_LARGEST} pixels")
    # Opaque colours on a transparent black ground keep every pixel multiplied by its alpha, through
    # the smooth edges of OpenCV and through the average: no dark fringe is left when it is divided.
    # OpenCV's lines are whole pixels wide, and a little wider for being smooth.
    finer = size * (8 if size <= 128 else 4)
    scale, fraction = finer / 100, 4
    canvas = np.zeros((finer, finer, 4), np.uint8)
    for shape in shapes:
        # The middle of a pixel is at a whole number to OpenCV, at a half to SVG.
        corners = np.round((_points(shape.path) * scale - 0.5) * 2**fraction).astype(np.int32)
        if shape.fill:
            cv2.fillPoly(canvas, [corners], _rgba(shape.fill), cv2.LINE_AA, fraction)
        if shape.stroke:
            width = max(1, round(shape.width * scale - 0.5))
            closed = shape.path.endswith("Z")
            cv2.polylines(
                canvas, [corners], closed, _rgba(shape.stroke), width, cv2.LINE_AA, fraction
            )
    small = cv2.resize(canvas.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    alpha = small[..., 3:]
    colors = np.divide(
        255 * small[..., :3], alpha, out=np.zeros_like(small[..., :3]), where=alpha >= 0.5
    )
    picture = np.round(np.dstack([np.minimum(colors, 255), alpha])).astype(np.uint8)
    picture.flags.writeable = False
    return picture


def emoji_svg(name: str) -> str:
    """Draw an emoji as SVG.

    It holds no script and no style, so that it may stand in a page whose policy forbids them.

    Parameters
    ----------
    name : str
        One of `EMOJI`.

    Returns
    -------
    str
        A document with a title, without a size of its own.

    Raises
    ------
    ConfigurationError
        If there is no such emoji.

    Examples
    --------
    >>> emoji_svg("thumb_up")[:81]
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" role="img"><title>t'
    """
    paths = []
    for shape in _shapes(name):
        stroke = (
            f' stroke="{shape.stroke}" stroke-width="{shape.width:g}" stroke-linecap="round" '
            'stroke-linejoin="round"'
            if shape.stroke
            else ""
        )
        paths.append(f'<path d="{shape.path}" fill="{shape.fill or "none"}"{stroke}/>')
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" role="img">'
        f"<title>{escape(name.replace('_', ' '))}</title>{''.join(paths)}</svg>\n"
    )

"""Draw on a photo what was found in it."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from emohelpers.datasets import EMOTIONS
from emohelpers.errors import ConfigurationError
from emohelpers.faces import read_photo
from emohelpers.inference._emoji import emoji
from emohelpers.preprocessing import to_color

__all__ = ["annotate"]

Box = tuple[int, int, int, int]  # left, top, width, height

# Of what is neither an emotion nor sure; no emotion has so light a colour.
UNNAMED = "#D9D9D9"
PLATE, TRACK, TEXT, DIM = (24, 24, 28), (66, 66, 72, 235), (255, 255, 255), (210, 210, 214)
PLATE_SHARE = 0.76  # of the plate's colour in what is seen; white on it can be read on any photo
LONGEST_NAME = 18

# How bad a pixel of a plate is that covers each of these, or that lies outside the photo.
COVERS_OTHER, COVERS_TEXT, COVERS_OWN, OUTSIDE = 3.0, 2.0, 1.5, 4.0


class _Sizes(NamedTuple):
    """Lengths in pixels, for one face."""

    text: int
    small: int
    emoji: int
    line: int
    rim: int
    gap: int
    brief: bool


class _Panel(NamedTuple):
    """Names and empty tracks, red, green, blue and alpha, and where the bars go on it."""

    picture: NDArray[np.uint8]
    left: int
    tops: tuple[int, ...]
    length: int
    thickness: int
    colors: tuple[tuple[int, int, int], ...]


def annotate(
    photo: NDArray[np.uint8],
    table: pd.DataFrame,
    class_names: Sequence[str],
    *,
    bars: bool = True,
) -> NDArray[np.uint8]:
    """Draw boxes, emoji, labels and probabilities of faces on a copy of their photo.

    A face that lies wholly outside the photo is left out. Of a face too small for a label, below
    48 pixels or 3% of the photo's longer side, only the box and the emoji are drawn; and no bars
    are drawn that do not fit into the photo.

    Parameters
    ----------
    photo : ndarray of uint8, shape (height, width, 1 or 3)
        See `emohelpers.faces.read_photo`.
    table : DataFrame
        A row for each face: ``face`` (its number), ``left``, ``top``, ``width``, ``height`` (of its
        box, in pixels; it may reach over the photo's border), a column for each class (its
        probability, 0..1), ``emotion`` (the class that is shown) and ``abstains`` (True where the
        network is not sure enough to name one).
    class_names : sequence of str
        The classes, in the order of the bars. One that is not an emotion has no emoji.
    bars : bool
        Draw a panel with a bar for each class beside each face, where it covers least.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        Red, green and blue, 0..255.

    Raises
    ------
    ConfigurationError
        If the table lacks a column.
    ImageError
        If `photo` is no photo.

    Examples
    --------
    >>> row = {"face": 1, "left": 30, "top": 40, "width": 80, "height": 80, "sadness": 0.1}
    >>> row |= {"happiness": 0.9, "emotion": "happiness", "abstains": False}
    >>> drawn = annotate(
    ...     np.zeros((200, 300, 1), np.uint8), pd.DataFrame([row]), ["happiness", "sadness"]
    ... )
    >>> drawn.shape, drawn[80, 30].tolist()  # on the left side of the box
    ((200, 300, 3), [230, 159, 0])
    """
    columns = ["face", "left", "top", "width", "height", "emotion", "abstains", *class_names]
    missing = [name for name in columns if name not in table]
    if missing:
        raise ConfigurationError(
            f"the table lacks the columns {missing}: expected {', '.join(map(str, columns))}"
        )
    canvas = np.array(to_color(read_photo(photo)[None])[0])
    high, wide = canvas.shape[:2]
    faces = []
    for row in table[columns].to_dict("records"):
        left, top, width, height = (
            round(float(row[name])) for name in ("left", "top", "width", "height")
        )
        box = (left, top, width, height)
        if left < wide and top < high and left + max(width, 1) > 0 and top + max(height, 1) > 0:
            faces.append((row, box, _sizes(box, (high, wide))))
    boxes = [box for _, box, _ in faces]
    labels = [_label(row, sizes) for row, _, sizes in faces]
    taken: list[Box] = []
    for own, (row, box, sizes) in enumerate(faces):
        _draw_frame(canvas, box, _color(_shown(row)), sizes)
        down, across = labels[own].shape[:2]
        places = _label_places(box, (across, down), sizes)
        # A label may cover a forehead; an emoji would hide a small face.
        covers_own = COVERS_OWN if sizes.brief else 0.0
        taken.append(_choose(places, boxes, own, taken, (high, wide), covers_own))
    panels = {}
    for own, (row, box, sizes) in enumerate(faces):
        panel = _panel(tuple(map(str, class_names)), _shown(row), sizes.small)
        down, across = panel.picture.shape[:2]
        if bars and panel.tops and not sizes.brief and down <= high and across <= wide:
            panels[own] = (panel, _panel_places(box, (across, down), taken[own], sizes))
    spots: dict[int, Box] = {}
    # Twice: the first to choose did not know where the last would have to go.
    for own, (_, places) in 2 * list(panels.items()):
        others = [spot for face, spot in spots.items() if face != own]
        spots[own] = _choose(places, boxes, own, taken + others, (high, wide), COVERS_OWN)
    for own, (panel, _) in panels.items():
        _draw_panel(canvas, spots[own], panel, [faces[own][0][name] for name in class_names])
    for label, place in zip(labels, taken, strict=True):
        _blend(canvas, place[0], place[1], label)
    return canvas


def _shown(row: dict[Any, Any]) -> str:
    return "unsure" if row["abstains"] else str(row["emotion"])


def _sizes(box: Box, shape: tuple[int, int]) -> _Sizes:
    """Choose lengths by the face and the photo, which is seen the smaller the larger it is."""
    side, longest = min(box[2:]), max(shape)
    least = max(11.0, 0.009 * longest)
    text = _even(np.clip(0.085 * side, least, max(least, 0.025 * longest)))
    small = _even(np.clip(0.062 * side, least, max(least, 0.02 * longest)))
    brief = side < max(48, 0.03 * longest)
    # A label's emoji is never below the 20 pixels at which it is read at a glance.
    pictured = np.clip(0.6 * side, 12, 1.8 * least) if brief else max(20, 1.8 * text)
    line = max(1, round(min(0.2 * text, 0.04 * side + 1)))
    rim = max(1, line // 3)
    return _Sizes(text, small, _even(min(pictured, 256)), line, rim, max(2, text // 4), brief)


def _even(value: float) -> int:
    """Round so that faces of nearly one size share the texts that are kept."""
    return round(value) if value < 16 else 2 * round(value / 2)


@lru_cache(maxsize=64)
def _color(name: str) -> tuple[int, int, int]:
    from emohelpers.plots import EMOTION_COLORS  # matplotlib takes its time

    red, green, blue = bytes.fromhex(EMOTION_COLORS.get(name, UNNAMED)[1:])
    return red, green, blue


@lru_cache(maxsize=64)
def _bar_color(name: str) -> tuple[int, int, int]:
    """Return a class's colour, lightened until it shows on a dark plate."""
    color = np.array(_color(name), float)
    luma = float(color @ (0.299, 0.587, 0.114))
    share = max(0.0, (120 - luma) / (255 - luma))
    red, green, blue = np.round(color + share * (255 - color)).astype(int).tolist()
    return red, green, blue


def _label_places(box: Box, size: tuple[int, int], sizes: _Sizes) -> list[Box]:
    left, top, width, height = box
    wide, high = size
    rim, inner = sizes.rim, sizes.line + sizes.rim
    return [
        (left - rim, top - rim - high, wide, high),
        (left + width + rim - wide, top - rim - high, wide, high),
        (left + inner, max(top, 0) + inner, wide, high),
        (left - rim, top + height + rim, wide, high),
    ]


def _panel_places(box: Box, size: tuple[int, int], label: Box, sizes: _Sizes) -> list[Box]:
    left, top, width, height = box
    wide, high = size
    away = sizes.rim + sizes.gap
    sides = (left + width + away, left - away - wide)
    # Clear of the label, which is above the face or below it.
    ends = (max(top + height, label[1] + label[3]) + away, min(top, label[1]) - away - high)
    places = []
    # Flush with a side of the face, or else half beyond its corner.
    for beyond in (0.0, 0.5):
        across, down = round(beyond * wide), round(beyond * high)
        flush = (top - down, top + height - high + down)
        places += [(x, y, wide, high) for x in sides for y in flush]
        flush = (left - across, left + width - wide + across)
        places += [(x, y, wide, high) for y in ends for x in flush]
    return [*places, (left + (width - wide) // 2, top + height - high - away, wide, high)]


def _choose(
    places: list[Box],
    boxes: list[Box],
    own: int,
    taken: list[Box],
    shape: tuple[int, int],
    covers_own: float,
) -> Box:
    """Return the place that covers least; the first of those equally good."""
    high, wide = shape
    # Moved into the photo where that is possible.
    moved = [
        (max(0, min(x, wide - across)), max(0, min(y, high - down)), across, down)
        for x, y, across, down in places
    ]
    shift = [
        abs(new[0] - old[0]) + abs(new[1] - old[1]) for new, old in zip(moved, places, strict=True)
    ]
    candidates = np.array(moved, float)
    area = candidates[0, 2] * candidates[0, 3]
    weights = np.full(len(boxes) + len(taken), COVERS_TEXT)
    weights[: len(boxes)] = COVERS_OTHER
    weights[own] = covers_own
    cost = _overlaps(candidates, np.array(boxes + taken, float)) @ weights
    cost += OUTSIDE * (area - _overlaps(candidates, np.array([[0, 0, wide, high]], float))[:, 0])
    # Neither a sliver of overlap nor a small shift should send a panel to the other side.
    return moved[int(np.argmin(np.round(cost / area, 1) + 1e-5 * np.array(shift)))]


def _overlaps(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area in pixels that each box of one has in common with each of the other."""
    first = np.maximum(one[:, None, :2], other[None, :, :2])
    last = np.minimum((one[:, :2] + one[:, 2:])[:, None], (other[:, :2] + other[:, 2:])[None])
    return np.prod(np.maximum(last - first, 0), axis=2)


def _label(row: dict[Any, Any], sizes: _Sizes) -> NDArray[np.uint8]:
    """Return the emoji and what is said of a face, on a plate, as red, green, blue and alpha."""
    name = _shown(row)
    picture = emoji(name, sizes.emoji) if name in (*EMOTIONS, "unsure") else None
    if sizes.brief:
        return picture if picture is not None else np.zeros((1, 1, 4), np.uint8)
    parts = [(_text(str(row["face"]), sizes.text), DIM), (_text(name, sizes.text, True), TEXT)]
    if name in row and not row["abstains"]:
        parts.append((_text(f"{row[name]:.2f}", sizes.text), DIM))
    pad, space = max(2, sizes.text // 5), max(3, sizes.text // 3)
    line = parts[0][0].shape[0]
    high = 2 * pad + (line if picture is None else max(line, sizes.emoji))
    left = space if picture is None else pad + sizes.emoji + space
    wide = left + sum(mask.shape[1] + space for mask, _ in parts)
    label = np.array(_plate(wide, high, pad + 1))
    if picture is not None:
        _blend(label, pad, (high - sizes.emoji) // 2, picture)
    for mask, color in parts:
        _ink(label, left, (high - line) // 2, mask, color)
        left += mask.shape[1] + space
    return label


@lru_cache(maxsize=256)
def _panel(names: tuple[str, ...], shown: str, size: int) -> _Panel:
    masks = [_text(name, size, name == shown) for name in names]
    # As wide for any shown name, or panels would jump from one frame of a video to the next.
    across = max((_text(name, size, True).shape[1] for name in names), default=0)
    pad, step = max(4, size // 2), round(1.35 * size)
    length, thickness = 4 * size, max(3, round(0.62 * size))
    left = pad + across + pad
    panel = np.array(_plate(left + length + pad, len(names) * step + pad, pad))
    tops = []
    for place, (name, mask) in enumerate(zip(names, masks, strict=True)):
        middle = pad // 2 + place * step + step // 2
        _ink(panel, pad, middle - mask.shape[0] // 2, mask, TEXT if name == shown else DIM)
        tops.append(middle - thickness // 2)
        panel[tops[-1] : tops[-1] + thickness, left : left + length] = TRACK
    panel.flags.writeable = False
    return _Panel(panel, left, tuple(tops), length, thickness, tuple(map(_bar_color, names)))


def _draw_panel(canvas: NDArray[np.uint8], place: Box, panel: _Panel, values: list[float]) -> None:
    left, top = place[:2]
    _blend(canvas, left, top, panel.picture)
    for start, value, color in zip(panel.tops, values, panel.colors, strict=True):
        length = round(panel.length * float(np.clip(np.nan_to_num(value), 0, 1)))
        _fill(canvas, (left + panel.left, top + start, length, panel.thickness), color)


def _draw_frame(
    canvas: NDArray[np.uint8], box: Box, color: tuple[int, int, int], sizes: _Sizes
) -> None:
    """Draw a box's sides in its colour, between a dark line and a light one."""
    _draw_sides(canvas, box, -sizes.rim, sizes.rim, (0, 0, 0))
    _draw_sides(canvas, box, 0, sizes.line, color)
    _draw_sides(canvas, box, sizes.line, sizes.rim, (255, 255, 255))


def _draw_sides(
    canvas: NDArray[np.uint8], box: Box, inside: int, width: int, color: tuple[int, int, int]
) -> None:
    left, top = box[0] + inside, box[1] + inside
    wide, high = box[2] - 2 * inside, box[3] - 2 * inside
    width = min(width, wide, high)
    for y in (top, top + high - width):
        _fill(canvas, (left, y, wide, width), color)
    for x in (left, left + wide - width):
        _fill(canvas, (x, top, width, high), color)


def _fill(canvas: NDArray[np.uint8], box: Box, color: tuple[int, int, int]) -> None:
    left, top, wide, high = box
    canvas[max(top, 0) : max(top + high, 0), max(left, 0) : max(left + wide, 0)] = color


def _blend(canvas: NDArray[np.uint8], left: int, top: int, picture: NDArray[np.uint8]) -> None:
    """Lay red, green, blue and alpha over what is there, as far as it lies on the canvas."""
    high, wide = canvas.shape[:2]
    picture = picture[max(-top, 0) : max(high - top, 0), max(-left, 0) : max(wide - left, 0)]
    under = canvas[max(top, 0) :, max(left, 0) :][: picture.shape[0], : picture.shape[1]]
    if not picture.size:
        return
    alpha = cv2.cvtColor(picture[..., 3], cv2.COLOR_GRAY2RGB)
    over = cv2.multiply(np.ascontiguousarray(picture[..., :3]), alpha, scale=1 / 255)
    seen = cv2.multiply(np.ascontiguousarray(under[..., :3]), 255 - alpha, scale=1 / 255)
    under[..., :3] = cv2.add(over, seen)
    if under.shape[2] == 4:
        clear = cv2.multiply(255 - under[..., 3], 255 - picture[..., 3], scale=1 / 255)
        under[..., 3] = 255 - clear


def _ink(
    plate: NDArray[np.uint8],
    left: int,
    top: int,
    mask: NDArray[np.uint8],
    color: tuple[int, int, int],
) -> None:
    text = np.empty((*mask.shape, 4), np.uint8)
    text[..., :3], text[..., 3] = color, mask
    _blend(plate, left, top, text)


@lru_cache(maxsize=512)
def _plate(wide: int, high: int, radius: int) -> NDArray[np.uint8]:
    """Return a dark plate with round corners that lets some of the photo through."""
    finer = Image.new("L", (4 * wide, 4 * high))
    corners = (0, 0, 4 * wide - 1, 4 * high - 1)
    ImageDraw.Draw(finer).rounded_rectangle(corners, 4 * radius, round(255 * PLATE_SHARE))
    plate = np.empty((high, wide, 4), np.uint8)
    plate[..., :3], plate[..., 3] = PLATE, np.array(finer.reduce(4))
    plate.flags.writeable = False
    return plate


@lru_cache(maxsize=2048)
def _text(text: str, size: int, bold: bool = False) -> NDArray[np.uint8]:
    """Return how much of each pixel a line of text covers; all of one size are equally high."""
    if len(text) > LONGEST_NAME:
        text = text[: LONGEST_NAME - 1] + "…"
    font = _font(size, bold)
    ascent, descent = font.getmetrics()
    line = Image.new("L", (max(1, round(font.getlength(text))), ascent + descent))
    ImageDraw.Draw(line).text((0, ascent), text, 255, font, anchor="ls")
    mask = np.array(line)
    mask.flags.writeable = False
    return mask


@lru_cache(maxsize=64)
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    import matplotlib as mpl

    file = Path(mpl.get_data_path(), "fonts", "ttf", f"DejaVuSans{'-Bold' if bold else ''}.ttf")
    # The basic layout gives the same pixels whether or not Raqm is installed.
    return ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.BASIC)

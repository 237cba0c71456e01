"""Paint faces from their curves: flat colours first, then two layers of shade, all with OpenCV.

Coordinates become fixed-point integers before anything is drawn and pixels stay integers after,
so that a seed gives the same bytes on every platform.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emohelpers.datasets.toyfaces._palette import Palette, mix_palette
from emohelpers.datasets.toyfaces._parameters import Faces
from emohelpers.datasets.toyfaces._shape import Shape, build
from emohelpers.datasets.toyfaces._sketch import SIDES

_SHIFT = 4
_NEUTRAL = 128
_AA = cv2.LINE_AA


@dataclass(frozen=True)
class _Sheet:
    """One chunk made ready for drawing: fixed-point curves and integers for every face."""

    curves: dict[str, list[NDArray[np.int32]]]
    depths: dict[str, list[int]]
    amounts: dict[str, list[float]]
    palette: Palette
    options: dict[str, list[Any]]
    side: int
    zoom: float


def oversampling(size: int) -> int:
    """Return how many times finer than the picture the canvas is."""
    return max(2, -(-96 // size))


def paint(
    faces: Faces, *, size: int, channels: int, framed_as: Faces | None = None
) -> NDArray[np.uint8]:
    """Draw a chunk of faces without what the camera does to them.

    Parameters
    ----------
    faces : Faces
        What to draw.
    size : int
        Width and height of the pictures in pixels.
    channels : int
        1 for grey, 3 for red, green, blue.
    framed_as : Faces, optional
        The same people with other expressions: a dropped jaw changes what the camera frames.

    Returns
    -------
    ndarray of uint8, shape (n, size, size, channels)
    """
    shape = build(faces, framed_as=framed_as)
    sheet = _prepare(faces, shape, size=size, channels=channels)
    out = np.empty((len(faces), size, size, channels), np.uint8)
    canvas = np.empty((sheet.side, sheet.side, channels), np.uint8)
    for i in range(len(faces)):
        _paint_flat(canvas, sheet, i)
        shaded = _apply_shade(canvas, _broad_shade(sheet, i), _fine_shade(sheet, i))
        small = cv2.resize(shaded, (size, size), interpolation=cv2.INTER_AREA)
        out[i] = small.reshape(size, size, channels)
    return out


def _prepare(faces: Faces, shape: Shape, *, size: int, channels: int) -> _Sheet:
    side = size * oversampling(size)
    zoom = side / 48
    fixed = {
        name: list(np.rint(curve * (zoom * 2**_SHIFT) - 2 ** (_SHIFT - 1)).astype(np.int32))
        for name, curve in shape.curves.items()
    }
    depths = {
        name: np.rint(np.clip(depth, 0, 1.2) * 100).astype(int).tolist()
        for name, depth in shape.depths.items()
    }
    amounts = {name: np.round(amount, 6).tolist() for name, amount in shape.amounts.items()}
    return _Sheet(fixed, depths, amounts, mix_palette(faces, channels), _options(faces), side, zoom)


def _options(faces: Faces) -> dict[str, list[Any]]:
    """Decide what each face wears and how it is lit."""
    people, camera, hard = faces.people, faces.camera, faces.difficulty
    traits, male = people.traits, people.gender == 1
    adult = people.age_group >= 2
    bald = adult & male & (traits["bald"] < np.where(people.age_group == 3, 0.45, 0.15))
    bald |= (people.age_group == 0) & (traits["bald"] < 0.5)
    long_hair = np.where(male, traits["hair_style"] > 0.9, traits["hair_style"] > 0.25)
    options = {
        "hair": ~bald,
        "long_hair": long_hair & (people.age_group > 0) & ~bald,
        "beard": adult & male & (traits["beard"] < 0.22),
        "stubble": adult & male & (traits["beard"] < 0.5),
        "moustache": adult & male & ((traits["moustache"] < 0.15) | (traits["beard"] < 0.22)),
        "glasses": (people.age_group > 0) & (traits["glasses"] < 0.06 + 0.1 * hard),
        "hand": camera["hand"] < 0.1 * hard,
        "hand_side": np.where(camera["hand_side"] < 0.5, -1, 1),
        "hand_height": np.round(camera["hand_height"], 6),
        "light_x": np.round(camera.signed("light_x"), 6),
        "light_y": np.round(camera.signed("light_y"), 6),
        "relief": np.round(0.65 + 0.75 * camera["softness"], 6),
        "strand_depth": np.rint(22 + 30 * traits["hair_hue"]).astype(int),
        "eye_depth": np.round(5 + 22 * traits["eye_depth"], 6),
        "shine": np.round(25 * camera["softness"], 6),
        "clutter": np.round(camera["clutter"], 6),
        "background_x": np.round(camera["background_x"], 6),
        "background_y": np.round(camera["background_y"], 6),
    }
    return {name: value.tolist() for name, value in options.items()}


def _fill(image: NDArray[np.uint8], points: NDArray[np.int32], color: Any) -> None:
    cv2.fillPoly(image, [points], color, _AA, _SHIFT)


def _paint_flat(canvas: NDArray[np.uint8], sheet: _Sheet, i: int) -> None:
    """Fill every part with its colour, back to front."""
    c, colors, has = sheet.curves, sheet.palette[i], sheet.options
    canvas[:] = colors["background"]
    _clutter(canvas, sheet, i)
    if has["hair"][i]:
        _fill(canvas, c["hair_back"][i], colors["hair"])
    if has["long_hair"][i]:
        for side in SIDES:
            _fill(canvas, c[f"curtain_{side}"][i], colors["hair_dark"])
    _fill(canvas, c["neck"][i], colors["neck"])
    for side in SIDES:
        _fill(canvas, c[f"ear_{side}"][i], colors["ear"])
    _fill(canvas, c["head"][i], colors["skin"])
    if has["beard"][i]:
        _fill(canvas, c["beard"][i], colors["beard"])
    if has["moustache"][i]:
        _fill(canvas, c["moustache"][i], colors["beard"])
    for side in SIDES:
        _eye(canvas, sheet, i, side)
        _fill(canvas, c[f"brow_{side}"][i], colors["brow"])
        _fill(canvas, c[f"nostril_{side}"][i], colors["nostril"])
    _mouth(canvas, sheet, i)
    if has["hair"][i]:
        _fill(canvas, c["hair_front"][i], colors["hair"])
        if has["long_hair"][i]:
            for side in SIDES:
                _fill(canvas, c[f"curtain_{side}"][i], colors["hair"])
    if has["glasses"][i]:
        _glasses(canvas, sheet, i)
    if has["hand"][i]:
        _hand(canvas, sheet, i)


def _clutter(canvas: NDArray[np.uint8], sheet: _Sheet, i: int) -> None:
    """Give some backgrounds an edge, as a wall or a window has."""
    if sheet.options["clutter"][i] > 0.6:
        across = int(sheet.options["background_x"][i] * sheet.side)
        down = int(sheet.options["background_y"][i] * sheet.side)
        cv2.rectangle(canvas, (across, down), (2 * sheet.side, -1), sheet.palette[i]["wall"], -1)


def _eye(canvas: NDArray[np.uint8], sheet: _Sheet, i: int, side: str) -> None:
    c, colors, zoom = sheet.curves, sheet.palette[i], sheet.zoom
    if sheet.amounts[f"open_{side}"][i] > 0.5:
        _fill(canvas, c[f"eye_{side}"][i], colors["sclera"])
        _fill(canvas, c[f"iris_{side}"][i], colors["iris"])
        if sheet.amounts[f"open_{side}"][i] > 1.6:
            x, y = c[f"glint_{side}"][i][0].tolist()
            radius = int(0.42 * zoom * 2**_SHIFT)
            cv2.circle(canvas, (x, y), radius, colors["glint"], -1, _AA, _SHIFT)
    lash = max(1, round(0.45 * zoom))
    cv2.polylines(canvas, [c[f"lash_{side}"][i]], False, colors["lash"], lash, _AA, _SHIFT)
    thin = max(1, round(0.3 * zoom))
    cv2.polylines(canvas, [c[f"lid_{side}"][i]], False, colors["lid"], thin, _AA, _SHIFT)


def _mouth(canvas: NDArray[np.uint8], sheet: _Sheet, i: int) -> None:
    c, colors, amounts = sheet.curves, sheet.palette[i], sheet.amounts
    _fill(canvas, c["lower_lip"][i], colors["lower_lip"])
    _fill(canvas, c["upper_lip"][i], colors["upper_lip"])
    if amounts["gap"][i] > 0.4:
        _fill(canvas, c["gap"][i], colors["gap"])
        if amounts["tongue"][i] > 0.3:
            _fill(canvas, c["tongue"][i], colors["tongue"])
        if amounts["teeth"][i] > 0.3:
            _fill(canvas, c["teeth"][i], colors["teeth"])
        if amounts["lower_teeth"][i] > 0.3:
            _fill(canvas, c["lower_teeth"][i], colors["lower_teeth"])
    thick = max(1, round(0.3 * sheet.zoom))
    cv2.polylines(canvas, [c["mouth_line"][i]], False, colors["mouth_line"], thick, _AA, _SHIFT)


def _glasses(canvas: NDArray[np.uint8], sheet: _Sheet, i: int) -> None:
    c, color = sheet.curves, sheet.palette[i]["frame"]
    thick = max(1, round((0.45 + 0.5 * sheet.options["clutter"][i]) * sheet.zoom))
    for side in SIDES:
        cv2.polylines(canvas, [c[f"frame_{side}"][i]], True, color, thick, _AA, _SHIFT)
    cv2.polylines(canvas, [c["frame_bridge"][i]], False, color, thick, _AA, _SHIFT)


def _hand(canvas: NDArray[np.uint8], sheet: _Sheet, i: int) -> None:
    """Four fingers that reach up beside the mouth."""
    zoom, colors = sheet.zoom, sheet.palette[i]
    side, height = sheet.options["hand_side"][i], sheet.options["hand_height"][i]
    for finger in range(4):
        x = 24 + side * (13.0 + 3.3 * finger)
        top = 30.0 + 8 * height + abs(finger - 1.4) * 1.6
        start = (int((x + 2 * side) * zoom), int(60 * zoom))
        stop = (int(x * zoom), int(top * zoom))
        cv2.line(canvas, start, stop, colors["neck"], max(1, round(4.0 * zoom)), _AA)
        cv2.line(canvas, start, stop, colors["skin"], max(1, round(3.0 * zoom)), _AA)


def _broad_shade(sheet: _Sheet, i: int) -> NDArray[np.uint8]:
    """Paint the soft light and dark regions at half resolution, then blur them."""
    c, has, half = sheet.curves, sheet.options, sheet.side // 2
    shade = np.full((half, half), _NEUTRAL, np.uint8)
    relief, light_x, light_y = has["relief"][i], has["light_x"][i], has["light_y"][i]

    def tone(name: str, change: float) -> None:
        value = int(_NEUTRAL + round(change * relief))
        cv2.fillPoly(shade, [c[name][i]], min(max(value, 20), 250), _AA, _SHIFT + 1)

    tone("brow_bone", 14 - 6 * light_y)
    if has["hair"][i]:
        tone("hair_shine", has["shine"][i])
    for sign, side in zip((-1, 1), SIDES, strict=True):
        tone(f"hollow_{side}", -20 + 18 * light_x * sign)
        tone(f"cheek_{side}", (13 + 10 * light_x * sign) * sheet.amounts[f"cheek_{side}"][i])
        tone(f"socket_{side}", -has["eye_depth"][i] + 10 * light_x * sign + 6 * light_y)
    tone("under_nose", -9)
    for sign, side in zip((-1, 1), SIDES, strict=True):
        tone(f"flank_{side}", -16 + 20 * light_x * sign)
    tone("bridge", 26)
    tone("under_lip", -22)
    tone("chin_ball", 9 - 5 * light_y)
    if has["stubble"][i] and not has["beard"][i]:
        tone("beard", -22)
        tone("moustache", -20)
    thick = max(1, round(0.8 * sheet.zoom))
    for name in _SOFT_CREASES:
        for side in SIDES:
            depth = int(sheet.depths[f"{name}_{side}"][i] * _SOFT_CREASES[name] * relief)
            if depth > 4:
                value = max(_NEUTRAL - depth, 40)
                points = [c[f"{name}_{side}"][i]]
                cv2.polylines(shade, points, False, value, thick, _AA, _SHIFT + 1)
    spread = 2 * int(1.1 * sheet.zoom / 2 + 1) + 1
    shade = cv2.GaussianBlur(shade, (spread, spread), 0.55 * sheet.zoom)
    return cv2.resize(shade, (sheet.side, sheet.side), interpolation=cv2.INTER_LINEAR_EXACT)


_CREASE_NAMES = (
    "furrow_left furrow_right forehead0 forehead1 forehead2 crease_left crease_right bag_left "
    "bag_right snarl0_left snarl0_right snarl1_left snarl1_right wing_left wing_right "
    "fold_left fold_right dimple_left dimple_right sag_left sag_right chin_crease crow0_left "
    "crow0_right crow1_left crow1_right crow2_left crow2_right"
)
_CREASES = _CREASE_NAMES.split()
_WIDTHS = {"fold": 0.9, "furrow": 0.7, "bag": 0.8, "crow": 0.5, "forehead": 0.6, "wing": 0.8}
_SOFT_CREASES = {"fold": 0.35, "bag": 0.4, "furrow": 0.2, "sag": 0.4, "dimple": 0.35}


def _fine_shade(sheet: _Sheet, i: int) -> NDArray[np.uint8]:
    """Draw creases and strands of hair as dark lines, then soften them."""
    shade = np.full((sheet.side, sheet.side), _NEUTRAL, np.uint8)
    zoom, c, has = sheet.zoom, sheet.curves, sheet.options

    def line(name: str, depth: int, width: float) -> None:
        thick, value = max(1, round(width * zoom)), max(_NEUTRAL - depth, 15)
        cv2.polylines(shade, [c[name][i]], False, value, thick, _AA, _SHIFT)

    for name in _CREASES:
        depth = sheet.depths[name][i]
        if depth >= 8:
            line(name, depth * 3 // 4, _WIDTHS.get(name.rstrip("0123456789_leftrigh"), 0.6))
    if has["hair"][i]:
        for k in range(7):
            line(f"strand{k}", has["strand_depth"][i] - 6 * (k % 3), 0.7)
    if has["long_hair"][i]:
        for side in SIDES:
            line(f"lock_{side}", has["strand_depth"][i], 0.8)
    spread = 2 * int(1.1 * zoom) + 1
    return cv2.GaussianBlur(shade, (spread, spread), 0.5 * zoom)


def _apply_shade(
    canvas: NDArray[np.uint8], broad: NDArray[np.uint8], fine: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Multiply the canvas by both layers, in which 128 leaves a pixel as it is."""
    both = (broad.astype(np.uint16) * fine) >> 7
    shaded = (canvas * both[:, :, None]) >> 7
    return np.minimum(shaded, 255).astype(np.uint8)

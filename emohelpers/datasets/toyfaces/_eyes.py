"""Eyes and brows, and the creases around them."""

from dataclasses import dataclass

import numpy as np

from emohelpers.datasets.toyfaces._sketch import SIDES, SIGNS, Sketch, Values, closed, curve

_ACROSS = np.linspace(-1.0, 1.0, 9)
_ARCH = 1 - np.abs(_ACROSS) ** 2.3
_ROUND = np.arange(12) * (2 * np.pi / 12)


@dataclass(frozen=True)
class _Lids:
    """An eye's middle, half its width, how far its lids part, and the slant of its corners."""

    centre: Values
    half: Values
    up: Values
    down: Values
    slant: Values


def eye(sketch: Sketch, side: int) -> None:
    """Sketch one eye: lids, iris, and the creases around it."""
    name = SIDES[side]
    lids = _part_lids(sketch, side)
    x = lids.centre + lids.half * _ACROSS
    upper = curve(x, lids.slant * _ACROSS - lids.up * _ARCH)
    lower = curve(x, lids.slant * _ACROSS + lids.down * _ARCH)
    sketch.curves[f"eye_{name}"] = closed(upper, lower)
    sketch.curves[f"lash_{name}"], sketch.curves[f"lid_{name}"] = upper, lower
    sketch.amounts[f"open_{name}"] = (lids.up + lids.down)[:, 0]
    sketch.curves[f"socket_{name}"] = curve(
        lids.centre + 1.6 * lids.half * np.cos(_ROUND), -1.1 + 3.1 * np.sin(_ROUND)
    )
    _iris(sketch, name, lids)
    _lid_creases(sketch, side, lids)


def _part_lids(sketch: Sketch, side: int) -> _Lids:
    t, sign = sketch.trait, SIGNS[side]
    a1, a4, a5, a6, a7, a9, a15, a43 = (sketch.au(k, side) for k in (1, 4, 5, 6, 7, 9, 15, 43))
    scale = sketch.eye_scale * (1 + 0.1 * t("eye_size"))
    up = 1.6 * scale * (1 + 0.22 * t("eye_size") - 0.12 * sketch.wrinkles)
    up = up * (1 + 0.8 * a5 - 0.36 * a7 * (1 - 0.7 * a5) - 0.22 * a6 - 0.3 * a9)
    up = up - 0.35 * a4 * (1 - a5)
    down = 1.15 * scale * (1 - 0.5 * a6 - 0.4 * a7 - 0.4 * a9 + 0.12 * a5)
    up = np.maximum(up * (1 - a43) - 0.85 * down * a43, 0.12 - 0.9 * down * a43)
    slant = sign * (0.45 * a1 * a15 - 0.35 - 0.5 * t("eye_slant"))
    return _Lids(sign * (8.75 + 0.5 * t("eye_distance")), 3.75 * scale, up, down, slant)


def _iris(sketch: Sketch, name: str, lids: _Lids) -> None:
    """Sketch the iris where the person looks, cut off by the lids."""
    camera = sketch.faces.camera
    gaze_x = 1.7 * camera.signed("gaze_x")[:, None] ** 3
    gaze_y = 0.6 * camera.signed("gaze_y")[:, None] ** 3 - 0.1
    radius = 1.85 * (0.6 + 0.4 * lids.half / 3.75)
    x = gaze_x + radius * np.cos(_ROUND)
    along = np.clip(x / lids.half, -1, 1)
    bound = 1 - np.abs(along) ** 2.3
    y = np.clip(
        gaze_y + radius * np.sin(_ROUND),
        lids.slant * along - lids.up * bound,
        lids.slant * along + lids.down * bound,
    )
    sketch.curves[f"iris_{name}"] = curve(lids.centre + x, y)
    sketch.curves[f"glint_{name}"] = curve(lids.centre + gaze_x + 0.5, gaze_y - 0.6)


def _lid_creases(sketch: Sketch, side: int, lids: _Lids) -> None:
    """Sketch the crease above the eye, the bag below it and the crow's feet beside it."""
    name, sign, wrinkles = SIDES[side], SIGNS[side], sketch.wrinkles
    a4, a5, a6, a9 = (sketch.au(k, side) for k in (4, 5, 6, 9))
    tilted = lids.slant * _ACROSS
    above = (0.9 + 0.5 * a5 - 0.3 * a4) * (0.5 + 0.5 * _ARCH)
    sketch.curves[f"crease_{name}"] = curve(
        lids.centre + 1.08 * lids.half * _ACROSS, tilted - lids.up * _ARCH - above
    )
    fold = np.where(sketch.chance("monolid") < 0.2, 0.1, 0.34)
    sketch.depths[f"crease_{name}"] = (fold + 0.2 * wrinkles)[:, 0]
    sketch.curves[f"bag_{name}"] = curve(
        lids.centre + 0.9 * lids.half * _ACROSS,
        tilted + lids.down * _ARCH + 1.4 - 0.4 * a6 + 0.3 * _ARCH,
    )
    sketch.depths[f"bag_{name}"] = (0.06 + 0.45 * a6 + 0.35 * wrinkles + 0.2 * a9)[:, 0]
    feet = np.array([0.9, 2.2, 3.6])
    for k, tilt in enumerate((-1.6, 0.2, 1.9)):
        sketch.curves[f"crow{k}_{name}"] = curve(
            lids.centre + sign * (lids.half + feet), tilt * feet / 3.0 + 0.4 - lids.slant
        )
        sketch.depths[f"crow{k}_{name}"] = (0.5 * a6 + 0.4 * wrinkles - 0.1)[:, 0]


def brow(sketch: Sketch, side: int) -> None:
    """Sketch one brow as an outline that is thick inside and thin outside."""
    name, sign, t = SIDES[side], SIGNS[side], sketch.trait
    a1, a2, a4, a9 = (sketch.au(k, side) for k in (1, 2, 4, 9))
    along = np.linspace(0.0, 1.0, 8)
    inside, outside = (1 - along) ** 1.4, np.sin(along * 2.2)
    start = 3.7 - 1.3 * a4 + 0.3 * t("eye_distance")
    end = 14.2 + 0.6 * t("eye_distance")
    height = -4.5 - 1.1 * t("brow_height") + 0.5 * sketch.male - sketch.by_age(0.6, 0.3, 0, 0)
    arch = (0.9 + 0.6 * t("brow_arch") - 0.3 * sketch.male) * np.sin(np.pi * along**0.9) * 1.1
    y = height - arch + 0.6 * along
    y = y - (2.6 * a1 * inside + 2.7 * a2 * outside) * (1 - 0.3 * a4)
    y = y - 0.5 * sketch.au(5, side) * (1 - a4)
    press = a4 * (1 - 0.5 * a1)
    y = y + press * (2.1 * inside + 0.9) + a9 * (1.7 * inside + 0.7)
    y = y + 0.9 * a1 * sketch.au(15, side) * along
    x = sign * (start + (end - start) * along)
    thick = sketch.by_age(0.75, 0.9, 1, 1) * (1.05 - 0.75 * along**1.5)
    thick = thick * (0.95 + 0.3 * t("brow_thickness") + 0.22 * sketch.male)
    sketch.curves[f"brow_{name}"] = closed(curve(x, y - thick), curve(x, y + thick * 0.85))


def brow_creases(sketch: Sketch) -> None:
    """Sketch furrows between the brows and lines across the forehead."""
    fall = np.linspace(0.0, 1.0, 4)
    for side, (name, sign) in enumerate(zip(SIDES, SIGNS, strict=True)):
        a1, a4 = sketch.au(1, side), sketch.au(4, side)
        sketch.curves[f"furrow_{name}"] = curve(
            sign * (1.5 - 0.25 * fall), -7.4 - 0.8 * a1 + 4.6 * fall
        )
        sketch.depths[f"furrow_{name}"] = (0.6 * a4 + 0.15 * sketch.wrinkles)[:, 0]
    x = np.linspace(-1.0, 1.0, 9)
    a1, a2 = sketch.mean_au(1), sketch.mean_au(2)
    reach = 6.0 + 6.0 * np.clip(a2 + sketch.wrinkles, 0, 1)
    for k, place in enumerate((-9.4, -11.2, -13.0)):
        wave = 0.5 * np.cos(2.5 * x + k) - 0.9 * a1 * (1 - a2) * (1 - x**2)
        sketch.curves[f"forehead{k}"] = curve(reach * x, place - 0.9 * a1 + wave)
        depth = (0.24 * a1 + 0.2 * a2) * sketch.by_age(0.3, 0.6, 1, 1.1) + 0.4 * sketch.wrinkles
        sketch.depths[f"forehead{k}"] = depth[:, 0]

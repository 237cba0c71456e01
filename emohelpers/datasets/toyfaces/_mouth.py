"""Nose and mouth, and the creases around them."""

from dataclasses import dataclass

import numpy as np

from emohelpers.datasets.toyfaces._sketch import SIDES, SIGNS, Sketch, Values, closed, curve


def nose(sketch: Sketch) -> None:
    """Sketch bridge, wings, nostrils, and the creases that run from them to the mouth."""
    t = sketch.trait
    length = (9.8 + 0.9 * t("nose_length")) * (0.35 + 0.65 * sketch.nose_scale)
    sketch.wing = 3.2 * sketch.nose_scale * (1 + 0.14 * t("nose_width"))
    sketch.nose_y = length - 0.8 * sketch.mean_au(9)
    bridge = 1.25 * (1 + 0.2 * t("nose_width"))
    y = np.array([[-3.0, 0.0, 0.45, 0.75, 0.95]])
    for side, (name, sign) in enumerate(zip(SIDES, SIGNS, strict=True)):
        wing = sketch.wing + 0.5 * sketch.au(12, side) + 0.4 * sketch.au(9, side)
        ys = np.where(y > 0, y * sketch.nose_y, y)
        inner = sign * bridge * np.array([[1.1, 0.8, 0.8, 0.8, 0.6]])
        outer = sign * np.concatenate(
            [bridge * 2.3, bridge * 1.6, bridge * 1.7, wing * 0.8, wing], axis=1
        )
        sketch.curves[f"flank_{name}"] = closed(curve(inner, ys), curve(outer, ys))
        angle = np.arange(8) * (2 * np.pi / 8)
        sketch.curves[f"nostril_{name}"] = curve(
            sign * wing * 0.52 + 0.85 * np.cos(angle) * sketch.nose_scale,
            sketch.nose_y + 0.55 + (0.5 + 0.12 * sketch.au(9, side)) * np.sin(angle),
        )
        turn = np.linspace(-1.3, 1.5, 6)
        sketch.curves[f"wing_{name}"] = curve(
            sign * (wing * 0.72 + wing * 0.36 * np.cos(turn)),
            sketch.nose_y - 0.5 + 1.7 * np.sin(turn) * sketch.nose_scale,
        )
        sketch.depths[f"wing_{name}"] = (0.24 + 0.3 * sketch.au(9, side))[:, 0]
        for k, place in enumerate((1.0, 3.4)):
            wrinkle = np.array([0.4, 1.6, 2.7])
            sketch.curves[f"snarl{k}_{name}"] = curve(sign * wrinkle, place - 1.3 + 0.55 * wrinkle)
            sketch.depths[f"snarl{k}_{name}"] = 0.85 * sketch.au(9, side)[:, 0]
    sketch.curves["bridge"] = curve(
        bridge * np.array([[-0.7, 0.7, 0.9, -0.9]]),
        np.concatenate([0 * length - 3, 0 * length - 3, length * 0.9, length * 0.9], axis=1),
    )
    under = np.linspace(-1, 1, 7)
    sketch.curves["under_nose"] = closed(
        curve(sketch.wing * under, sketch.nose_y + 0.7 - 0.5 * under**2),
        curve(sketch.wing * under * 0.8, sketch.nose_y + 2.3 - 0.9 * under**2),
    )


@dataclass(frozen=True)
class _Lips:
    """Where lips and gap run: heights at the 13 places `x` between the corners of the mouth."""

    x: Values
    line: Values
    upper: Values
    lower: Values
    open: Values


_ALONG = np.linspace(-1.0, 1.0, 13)


def mouth(sketch: Sketch) -> None:
    """Sketch lips, the gap between them, teeth and tongue."""
    t, au = sketch.trait, sketch.mean_au
    lips = _part_lips(sketch)
    full = 1 + 0.42 * t("lip_fullness") - 0.22 * sketch.male - 0.25 * sketch.wrinkles
    full = full * (1 - 0.6 * au(23)) * (1 - 0.25 * au(12)) * (1 - 0.3 * au(20))
    full = full * (0.4 + 0.6 * sketch.mouth_scale)
    bow = 1 - np.abs(_ALONG) ** 1.7
    cupid = bow**0.6 * (1 - 0.22 * np.exp(-((_ALONG / 0.16) ** 2)))
    upper_edge = lips.upper - 1.5 * full * cupid
    swell = (1 - np.abs(_ALONG) ** 2.4) ** 0.8
    lower_edge = lips.lower + 2.0 * full * (1 + 0.25 * au(17)) * swell
    upper, lower = curve(lips.x, lips.upper), curve(lips.x, lips.lower)
    sketch.curves["upper_lip"] = closed(curve(lips.x, upper_edge), upper)
    sketch.curves["lower_lip"] = closed(lower, curve(lips.x, lower_edge))
    sketch.curves["gap"] = closed(upper, lower)
    sketch.curves["mouth_line"] = upper
    sketch.amounts["gap"] = lips.open.max(axis=1)
    _teeth_and_tongue(sketch, lips)
    _corner_creases(sketch, lips)
    _chin_creases(sketch, lower_edge.max(axis=1)[:, None])


def _part_lips(sketch: Sketch) -> _Lips:
    """Place the corners and the line of the mouth, and open it."""
    t, au = sketch.trait, sketch.mean_au
    width, rise = [], []
    for side in (0, 1):
        a12, a14, a15, a20 = (sketch.au(k, side) for k in (12, 14, 15, 20))
        wide = 6.7 * (1 + 0.11 * t("mouth_width")) * sketch.mouth_scale
        wide = wide + 2.7 * a12 + 1.7 * a20 + 0.4 * a15 - 0.5 * a14 - 0.4 * au(17)
        wide = wide - 0.9 * au(23) * (1 - au(25))
        width.append(wide - (1.7 - 1.2 * au(20)) * au(26) * (1 - au(12)))
        up = 3.5 * a12 - 3.0 * a15 - 0.7 * a20 + 0.7 * a14 - 0.6 * au(26)
        rise.append(up + 0.4 * t("mouth_rest"))
    half, corner = (np.where(_ALONG < 0, left, right) for left, right in (width, rise))
    ends = np.abs(_ALONG) ** 1.7
    middle = (19.4 + 0.5 * t("chin_length")) * (0.3 + 0.7 * sketch.lower_face)
    middle = middle - 0.9 * au(17) - 0.6 * au(9) - 0.9 * au(10) + 0.25 * au(12) + 0.4 * au(26)
    ripple = 0.25 * np.cos(3 * np.pi * _ALONG) * (1 - ends) * (1 - au(25))
    line = middle - corner * ends + ripple
    gap = (2.7 + 0.4 * au(12)) * au(25) * (1 - 0.15 * au(20)) + 8.2 * au(26) + 1.3 * au(16)
    gap = (gap + au(10) * au(25)) * sketch.mouth_scale
    roundness = 2.2 + 1.5 * au(20) + 1.0 * au(16)
    gap = gap * np.maximum(1 - np.abs(_ALONG) ** roundness, 0) ** 0.8
    above = 0.3 - 0.12 * au(26)
    upper = line - gap * above - 0.7 * au(10) * (1 - ends)
    return _Lips(half * _ALONG, line, upper, line + gap * (1 - above), gap)


def _teeth_and_tongue(sketch: Sketch, lips: _Lips) -> None:
    au = sketch.mean_au
    show = 0.22 + 0.9 * au(12) + 0.75 * au(10) + 0.2 * au(20) + 0.2 * au(16)
    long = sketch.by_age(0.5, 2.3, 2.6, 2.4) * np.clip(show, 0, 1)
    upper = np.minimum(lips.open, long) * (1 - 0.08 * np.abs(_ALONG))
    x = 0.86 * lips.x
    sketch.curves["teeth"] = closed(curve(x, lips.upper), curve(x, lips.upper + upper))
    lower = 0.9 * np.minimum(lips.open, 2.0 * np.clip(1.2 * au(16) + 0.3 * au(20), 0, 1))
    x = 0.72 * lips.x
    sketch.curves["lower_teeth"] = closed(curve(x, lips.lower - lower), curve(x, lips.lower))
    tongue = np.maximum(0.36 * lips.open.max(axis=1)[:, None] - 0.8, 0)
    x = 0.62 * lips.x
    top = lips.lower - tongue * (1 - _ALONG**2)
    sketch.curves["tongue"] = closed(curve(x, top), curve(x, lips.lower))
    sketch.amounts["teeth"] = upper.max(axis=1)
    sketch.amounts["lower_teeth"] = lower.max(axis=1)
    sketch.amounts["tongue"] = tongue[:, 0]


def _corner_creases(sketch: Sketch, lips: _Lips) -> None:
    """Sketch the folds from nose to mouth, and what starts at the corners of the mouth."""
    along, dimple = np.linspace(0.0, 1.0, 7), np.linspace(-1.2, 1.2, 5)
    folds = 0.2 * np.maximum(sketch.trait("cheek_folds"), 0) + 0.42 * sketch.wrinkles
    for side, (name, sign) in enumerate(zip(SIDES, SIGNS, strict=True)):
        a = {k: sketch.au(k, side) for k in (9, 10, 12, 14, 15, 20)}
        end = 0 if side == 0 else -1
        corner_x, corner_y = lips.x[:, end, None], lips.line[:, end, None]
        start_x, start_y = sign * (sketch.wing + 0.7), sketch.nose_y - 1.2
        stop_x = corner_x + sign * (1.7 + 0.5 * a[12])
        stop_y = corner_y + 0.6 + 1.6 * a[12]
        swell = sign * (0.4 + 2.3 * a[12] + 0.9 * a[9]) * np.sin(np.pi * along**0.8)
        sketch.curves[f"fold_{name}"] = curve(
            start_x + (stop_x - start_x) * along**1.3 + swell,
            start_y + (stop_y - start_y) * along,
        )
        depth = folds + 0.33 * a[12] + 0.3 * a[9] + 0.26 * a[10]
        sketch.depths[f"fold_{name}"] = (depth + 0.15 * a[15] + 0.2 * a[20])[:, 0]
        sketch.curves[f"dimple_{name}"] = curve(
            corner_x + sign * (1.1 - 0.4 * dimple**2), corner_y + dimple
        )
        sketch.depths[f"dimple_{name}"] = (0.22 + 0.7 * a[14] + 0.25 * a[12] + 0.2 * a[15])[:, 0]
        sketch.curves[f"sag_{name}"] = curve(
            corner_x + sign * (0.6 + 1.1 * along), corner_y + 0.6 + 4.2 * along
        )
        sketch.depths[f"sag_{name}"] = (0.5 * a[15] + 0.35 * sketch.wrinkles + 0.15 * a[20])[:, 0]


def _chin_creases(sketch: Sketch, low: Values) -> None:
    """Sketch the shade under the lower lip, whose edge lies at `low`."""
    x = np.linspace(-1.0, 1.0, 7)
    reach = 4.2 + 0.8 * sketch.mean_au(17)
    sketch.curves["chin_crease"] = curve(reach * x, low + 1.3 + 0.9 * x**2)
    depth = 0.26 + 0.4 * sketch.mean_au(17) + 0.3 * sketch.mean_au(15)
    sketch.depths["chin_crease"] = (depth + 0.1 * sketch.trait("chin_length"))[:, 0]
    sketch.curves["under_lip"] = closed(curve(4.6 * x, low + 0.2), curve(3.4 * x, low + 2.2))

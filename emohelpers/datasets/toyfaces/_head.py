"""Head, hair, the soft regions of the face, and what people wear on it."""

import numpy as np

from emohelpers.datasets.toyfaces._sketch import SIDES, SIGNS, Sketch, Values, closed, curve


def _smooth_matrix(controls: int, per_span: int) -> Values:
    """Return the matrix that turns closed control points into a Catmull-Rom spline."""
    t = np.arange(per_span) / per_span
    weights = 0.5 * np.stack(
        [-(t**3) + 2 * t**2 - t, 3 * t**3 - 5 * t**2 + 2, -3 * t**3 + 4 * t**2 + t, t**3 - t**2]
    )
    matrix = np.zeros((controls * per_span, controls))
    for span in range(controls):
        for k in range(4):
            matrix[span * per_span : (span + 1) * per_span, (span + k - 1) % controls] += weights[k]
    return matrix


_SKULL = np.array(
    [
        (0.0, -21.0),
        (13.0, -16.5),
        (18.2, -8.0),
        (18.9, 1.0),
        (17.9, 9.0),
        (14.9, 18.5),
        (8.0, 27.0),
        (0.0, 29.2),
    ]
)
_SKULL_SPLINE = _smooth_matrix(14, 4)


def head(sketch: Sketch) -> None:
    """Sketch the outline of the head, neck and ears."""
    t, drop = sketch.trait, sketch.mean_au(26)
    x, y = _SKULL[None, :, 0], _SKULL[None, :, 1]
    low = np.clip((y - 4) / 25, 0, 1)
    jaw = 0.09 * t("jaw_width") + 0.06 * sketch.male - 0.02 + sketch.by_age(0.11, 0.05, 0, 0.02)
    width = 1.06 + 0.07 * t("face_width") + jaw * low * 1.4
    width = width + 0.03 * sketch.mean_au(12) * low
    tall = np.where(y > 0, sketch.lower_face + 0.05 * t("chin_length") + 0.02 * sketch.male, 1.0)
    right = curve(x * width, y * tall + low**2 * (3.4 * drop - 0.8 * sketch.mean_au(17)))
    left = right[:, 1:-1][:, ::-1] * np.array([-1.0, 1.0])
    sketch.chin = right[:, -1, 1][:, None]
    sketch.width = right[:, 3, 0][:, None]
    sketch.curves["head"] = _SKULL_SPLINE @ np.concatenate([right, left], axis=1)
    neck = 11.0 + 1.5 * sketch.male
    sketch.curves["neck"] = curve(
        np.array([[-1.0, 1.0, 1.1, -1.1]]) * neck, np.array([[14.0, 14.0, 40.0, 40.0]])
    )
    angle = np.arange(10) * (2 * np.pi / 10)
    for side, sign in zip(SIDES, SIGNS, strict=True):
        ear_x = sign * (sketch.width + 0.6) + 1.9 * np.cos(angle)
        sketch.curves[f"ear_{side}"] = curve(ear_x, 4.0 + 5.2 * np.sin(angle))


def hair(sketch: Sketch) -> None:
    """Sketch hair behind the head, over the forehead and along the cheeks."""
    t = sketch.trait
    line = -15.4 + 2.8 * t("hair_line") + sketch.by_age(-1.5, 1.0, 0, -1.5)
    fringe = (sketch.chance("hair_style") > 0.72) * (1 - 0.8 * sketch.male)
    line = line + 5.5 * fringe
    volume = 2.0 + 1.6 * t("parting") - 1.2 * sketch.male
    x = np.linspace(-1.0, 1.0, 15)
    part = t("parting") * 3.5
    hairline = line + 9.5 * np.abs(x) ** 4 + (1 - fringe) * part * x * (1 - x**2)
    hairline = hairline - 2.0 * (1 - fringe) * np.abs(np.sin(3 * x + part))
    wide = (sketch.width + 0.4 + 0.5 * volume) * x
    crown = 5.0 - (28.0 + 0.7 * volume) * np.sqrt(1 - 0.97 * np.abs(x) ** 2.4)
    sketch.curves["hair_front"] = closed(curve(wide, hairline), curve(wide, crown))
    sketch.curves["hair_shine"] = closed(
        curve(0.7 * wide, 0.65 * crown + 0.35 * hairline - 0.8),
        curve(0.7 * wide, 0.35 * crown + 0.65 * hairline - 0.8),
    )
    angle = np.linspace(np.pi, 2 * np.pi, 15)
    sketch.curves["hair_back"] = curve(
        (sketch.width + 0.8 + volume) * np.cos(angle), 5.0 + (27.0 + volume) * np.sin(angle)
    )
    start = np.linspace(0.0, 1.0, 4)
    for k, place in enumerate((3, 5, 6, 7, 8, 9, 11)):
        tip, top, end = wide[:, place, None], crown[:, place, None], hairline[:, place, None]
        sketch.curves[f"strand{k}"] = curve(
            tip * (0.75 + 0.25 * start) + 0.8 * part * (1 - start),
            top + (end - 0.8 - top) * start,
        )
    _curtains(sketch, part)


def _curtains(sketch: Sketch, part: Values) -> None:
    """Sketch long hair that falls on both sides of the face."""
    t = sketch.trait
    fall = np.linspace(0.0, 1.0, 9)
    for side, sign in zip(SIDES, SIGNS, strict=True):
        wave = np.sin(fall * 5 + part) * (0.5 + 0.5 * t("hair_hue"))
        inner = sketch.width * (0.98 - 0.06 * t("hair_style")) + wave - 4.5 * (1 - fall) ** 3
        y = -13.0 + 49.0 * fall
        outer = sketch.width + 4.5 + 2.5 * t("parting") - 7.0 * (1 - fall) ** 4 + 0.7 * wave
        sketch.curves[f"curtain_{side}"] = closed(curve(sign * inner, y), curve(sign * outer, y))
        sketch.curves[f"lock_{side}"] = curve(sign * (0.55 * inner + 0.45 * outer), y)


def soft_regions(sketch: Sketch) -> None:
    """Sketch what only light and shade tell apart: cheeks, temples, chin, forehead."""
    angle = np.arange(12) * (2 * np.pi / 12)
    for side, (name, sign) in enumerate(zip(SIDES, SIGNS, strict=True)):
        a6 = np.maximum(sketch.au(6, side), 0.7 * sketch.au(12, side))
        sketch.curves[f"cheek_{name}"] = curve(
            sign * (10.6 + 0.6 * a6) + (4.6 + 0.7 * a6) * np.cos(angle),
            8.6 - 1.4 * a6 + (3.6 + 0.3 * a6) * np.sin(angle),
        )
        sketch.amounts[f"cheek_{name}"] = (0.5 + 0.6 * a6)[:, 0]
        y = np.array([[2.0, 10.0, 17.0, 24.0]])
        edge = sketch.width * np.array([[1.02, 0.98, 0.85, 0.6]])
        inner = sketch.width * np.array([[0.92, 0.76, 0.66, 0.42]])
        sketch.curves[f"hollow_{name}"] = closed(curve(sign * inner, y), curve(sign * edge, y))
    sketch.curves["chin_ball"] = curve(3.6 * np.cos(angle), sketch.chin - 3.0 + 2.0 * np.sin(angle))
    sketch.curves["brow_bone"] = curve(8.5 * np.cos(angle), -9.6 + 2.8 * np.sin(angle))


def facial_hair(sketch: Sketch) -> None:
    """Sketch moustache and beard, which follow mouth and jaw."""
    x = np.linspace(-1.0, 1.0, 9)
    lip = sketch.curves["upper_lip"]
    middle, reach = lip[:, 4, 1, None] - 0.2, 0.92 * lip[:, 12, 0, None] + 0.3
    droop = (2.2 + 1.4 * sketch.mean_au(15) - 2.2 * sketch.mean_au(12)) * x**2
    sketch.curves["moustache"] = closed(
        curve(0.85 * reach * x, np.maximum(sketch.nose_y + 2.2, middle - 2.6) + 0.6 * droop),
        curve(reach * x, np.maximum(middle, sketch.nose_y + 3.2) + 0.9 * droop),
    )
    outline = sketch.curves["head"][:, 13:44]
    along = np.linspace(-1.0, 1.0, outline.shape[1])[:, None]
    inward = 0.6 + 0.36 * np.abs(along) ** 3
    centre = curve(0.0, 1.02 * middle)
    sketch.curves["beard"] = closed(outline, centre + (outline - centre) * inward)


def glasses(sketch: Sketch) -> None:
    """Sketch two frames and the bridge between them."""
    t = sketch.trait
    angle = np.arange(16) * (2 * np.pi / 16)
    square = 2.0 + 1.5 * sketch.chance("glasses_shape")
    cos, sin = np.cos(angle), np.sin(angle)
    norm = (np.abs(cos) ** square + np.abs(sin) ** square) ** (-1 / square)
    for name, sign in zip(SIDES, SIGNS, strict=True):
        centre = sign * (8.75 + 0.5 * t("eye_distance"))
        sketch.curves[f"frame_{name}"] = curve(centre + 6.2 * norm * cos, 0.9 + 4.2 * norm * sin)
    sketch.curves["frame_bridge"] = curve(np.array([[-2.6, 0.0, 2.6]]), np.array([[0, -0.7, 0]]))

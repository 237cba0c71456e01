"""From identity and action units to the curves of a face.

Lengths are in 1/48 of the picture's width, the origin lies between the eyes, y points down. Each
curve is an array of shape (n, points, 2); `left` and `right` are those of the picture.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emohelpers.datasets.toyfaces._parameters import Faces

Points = NDArray[Any]
Values = NDArray[Any]

SIDES = ("left", "right")
_SIGN = (-1.0, 1.0)


@dataclass(frozen=True)
class Shape:
    """The curves of each face by name, and how deep each crease is (0 none, 1 black)."""

    curves: dict[str, Points]
    depths: dict[str, Values]
    amounts: dict[str, Values]


def _curve(x: Any, y: Any) -> Points:
    return np.stack(np.broadcast_arrays(x, y), axis=-1)


def _closed(*edges: Points) -> Points:
    """Join edges that run left to right into one outline; every other one is reversed."""
    return np.concatenate([e if k % 2 == 0 else e[:, ::-1] for k, e in enumerate(edges)], axis=1)


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


class _Builder:
    """Holds one chunk of faces while its curves are made; values are columns of shape (n, 1)."""

    def __init__(self, faces: Faces) -> None:
        self.faces = faces
        self.curves: dict[str, Points] = {}
        self.depths: dict[str, Values] = {}
        self.amounts: dict[str, Values] = {}
        self.age = faces.people.age_group
        grown = self.by_age(0.3, 0.3, 1.0, 1.0)
        self.male = faces.people.gender[:, None] * grown
        by_age, male = self.by_age, self.male
        self.eye_scale = by_age(1.27, 1.12, 1.0, 0.93) * (1.03 - 0.06 * male)
        self.nose_scale = by_age(0.68, 0.86, 1.0, 1.1) * (0.95 + 0.08 * male)
        self.mouth_scale = by_age(0.8, 0.9, 1.0, 1.0)
        self.lower_face = by_age(0.86, 0.93, 1.0, 1.02)
        self.wrinkles = by_age(0.0, 0.0, 0.08, 0.55) * (0.85 + 0.25 * self.trait("age_marks"))
        self.wrinkles += by_age(0, 0, 0.25, 0) * np.maximum(self.trait("age_marks"), 0)

    def trait(self, name: str) -> Values:
        """Return a trait in -1..1, shape (n, 1)."""
        return self.faces.people.traits.signed(name)[:, None]

    def by_age(self, *values: float) -> Values:
        """Return the value of each face's age group, youngest first, shape (n, 1)."""
        return np.array(values)[self.age][:, None]

    def au(self, number: int, side: int) -> Values:
        """Return the strength of an action unit on one side, shape (n, 1)."""
        return self.faces.unit(number)[:, side, None]

    def mean_au(self, number: int) -> Values:
        return self.faces.unit(number).mean(axis=1)[:, None]

    def head(self) -> None:
        """Outline of the head, neck and ears."""
        t, drop = self.trait, self.mean_au(26)
        x, y = _SKULL[None, :, 0], _SKULL[None, :, 1]
        low = np.clip((y - 4) / 25, 0, 1)
        jaw = 0.09 * t("jaw_width") + 0.06 * self.male - 0.02 + self.by_age(0.11, 0.05, 0, 0.02)
        width = 1.06 + 0.07 * t("face_width") + jaw * low * 1.4
        width = width + 0.03 * self.mean_au(12) * low
        tall = np.where(y > 0, self.lower_face + 0.05 * t("chin_length") + 0.02 * self.male, 1.0)
        right = _curve(x * width, y * tall + low**2 * (3.4 * drop - 0.8 * self.mean_au(17)))
        left = right[:, 1:-1][:, ::-1] * np.array([-1.0, 1.0])
        self.chin = right[:, -1, 1][:, None]
        self.width = right[:, 3, 0][:, None]
        self.curves["head"] = _SKULL_SPLINE @ np.concatenate([right, left], axis=1)
        neck = 11.0 + 1.5 * self.male
        self.curves["neck"] = _curve(
            np.array([[-1.0, 1.0, 1.1, -1.1]]) * neck, np.array([[14.0, 14.0, 40.0, 40.0]])
        )
        angle = np.arange(10) * (2 * np.pi / 10)
        for side, sign in zip(SIDES, _SIGN, strict=True):
            ear_x = sign * (self.width + 0.6) + 1.9 * np.cos(angle)
            self.curves[f"ear_{side}"] = _curve(ear_x, 4.0 + 5.2 * np.sin(angle))

    def hair(self) -> None:
        """Hair behind the head, over the forehead and along the cheeks."""
        t, traits = self.trait, self.faces.people.traits
        line = -15.4 + 2.8 * t("hair_line") + self.by_age(-1.5, 1.0, 0, -1.5)
        fringe = (traits["hair_style"] > 0.72)[:, None] * (1 - 0.8 * self.male)
        line = line + 5.5 * fringe
        volume = 2.0 + 1.6 * t("parting") - 1.2 * self.male
        x = np.linspace(-1.0, 1.0, 15)
        part = t("parting") * 3.5
        hairline = line + 9.5 * np.abs(x) ** 4 + (1 - fringe) * part * x * (1 - x**2)
        hairline = hairline - 2.0 * (1 - fringe) * np.abs(np.sin(3 * x + part))
        wide = (self.width + 0.4 + 0.5 * volume) * x
        crown = 5.0 - (28.0 + 0.7 * volume) * np.sqrt(1 - 0.97 * np.abs(x) ** 2.4)
        self.curves["hair_front"] = _closed(_curve(wide, hairline), _curve(wide, crown))
        self.curves["hair_shine"] = _closed(
            _curve(0.7 * wide, 0.65 * crown + 0.35 * hairline - 0.8),
            _curve(0.7 * wide, 0.35 * crown + 0.65 * hairline - 0.8),
        )
        angle = np.linspace(np.pi, 2 * np.pi, 15)
        self.curves["hair_back"] = _curve(
            (self.width + 0.8 + volume) * np.cos(angle), 5.0 + (27.0 + volume) * np.sin(angle)
        )
        start = np.linspace(0.0, 1.0, 4)
        for k, place in enumerate((3, 5, 6, 7, 8, 9, 11)):
            tip, top, end = wide[:, place, None], crown[:, place, None], hairline[:, place, None]
            self.curves[f"strand{k}"] = _curve(
                tip * (0.75 + 0.25 * start) + 0.8 * part * (1 - start),
                top + (end - 0.8 - top) * start,
            )
        fall = np.linspace(0.0, 1.0, 9)
        for side, sign in zip(SIDES, _SIGN, strict=True):
            wave = np.sin(fall * 5 + part) * (0.5 + 0.5 * t("hair_hue"))
            inner = self.width * (0.98 - 0.06 * t("hair_style")) + wave - 4.5 * (1 - fall) ** 3
            y = -13.0 + 49.0 * fall
            outer = self.width + 4.5 + 2.5 * t("parting") - 7.0 * (1 - fall) ** 4 + 0.7 * wave
            self.curves[f"curtain_{side}"] = _closed(
                _curve(sign * inner, y), _curve(sign * outer, y)
            )
            self.curves[f"lock_{side}"] = _curve(sign * (0.55 * inner + 0.45 * outer), y)

    def eyes(self, side: int) -> None:
        """Lids, iris, crease and bag of one eye."""
        name, sign, t = SIDES[side], _SIGN[side], self.trait
        a5, a6, a7, a9 = (self.au(k, side) for k in (5, 6, 7, 9))
        closed = self.au(43, side)
        scale = self.eye_scale * (1 + 0.1 * t("eye_size"))
        half = 3.75 * scale
        centre = sign * (8.75 + 0.5 * t("eye_distance"))
        droop = 0.12 * self.wrinkles
        up = 1.6 * scale * (1 + 0.22 * t("eye_size") - droop)
        up = up * (1 + 0.8 * a5 - 0.36 * a7 * (1 - 0.7 * a5) - 0.22 * a6 - 0.3 * a9)
        up = up - 0.35 * self.au(4, side) * (1 - a5)
        down = 1.15 * scale * (1 - 0.5 * a6 - 0.4 * a7 - 0.4 * a9 + 0.12 * a5)
        up = np.maximum(up * (1 - closed) - 0.85 * down * closed, 0.12 - 0.9 * down * closed)
        x = np.linspace(-1.0, 1.0, 9)
        arch = 1 - np.abs(x) ** 2.3
        slant = -(0.35 + 0.5 * t("eye_slant")) * x * sign
        slant = slant + 0.45 * self.au(1, side) * self.au(15, side) * x * sign
        upper = _curve(centre + half * x, slant - up * arch)
        lower = _curve(centre + half * x, slant + down * arch)
        self.curves[f"eye_{name}"] = _closed(upper, lower)
        self.curves[f"lash_{name}"] = upper
        self.curves[f"lid_{name}"] = lower
        angle = np.arange(12) * (2 * np.pi / 12)
        gaze_x = self.faces.camera.signed("gaze_x")[:, None] ** 3 * 1.7
        gaze_y = self.faces.camera.signed("gaze_y")[:, None] ** 3 * 0.6 - 0.1
        radius = 1.85 * (0.6 + 0.4 * scale)
        iris_x = centre + gaze_x + radius * np.cos(angle)
        along = np.clip((iris_x - centre) / half, -1, 1)
        bound = 1 - np.abs(along) ** 2.3
        slant_at = slant[:, -1:] * along
        iris_y = np.clip(
            gaze_y + radius * np.sin(angle), slant_at - up * bound, slant_at + down * bound
        )
        self.curves[f"iris_{name}"] = _curve(iris_x, iris_y)
        self.curves[f"glint_{name}"] = _curve(centre + gaze_x + 0.5, gaze_y - 0.6)
        self.amounts[f"open_{name}"] = (up + down)[:, 0]
        crease = slant - up * arch - (0.9 + 0.5 * a5 - 0.3 * self.au(4, side)) * (0.5 + 0.5 * arch)
        self.curves[f"crease_{name}"] = _curve(centre + half * x * 1.08, crease)
        monolid = (self.faces.people.traits["monolid"] < 0.2)[:, None]
        self.depths[f"crease_{name}"] = (np.where(monolid, 0.1, 0.34) + 0.2 * self.wrinkles)[:, 0]
        bag_y = slant + down * arch + 1.4 - 0.4 * a6 + 0.3 * arch
        self.curves[f"bag_{name}"] = _curve(centre + half * x * 0.9, bag_y)
        self.depths[f"bag_{name}"] = (0.06 + 0.45 * a6 + 0.35 * self.wrinkles + 0.2 * a9)[:, 0]
        outer = centre + sign * half
        for k, tilt in enumerate((-1.6, 0.2, 1.9)):
            feet = np.array([0.9, 2.2, 3.6])
            self.curves[f"crow{k}_{name}"] = _curve(
                outer + sign * feet, slant[:, :1] * 0 + tilt * (feet / 3.0) + 0.4
            )
            self.depths[f"crow{k}_{name}"] = (0.5 * a6 + 0.4 * self.wrinkles - 0.1)[:, 0]
        socket = _curve(centre + 1.6 * half * np.cos(angle), -1.1 + 3.1 * np.sin(angle))
        self.curves[f"socket_{name}"] = socket
        self.amounts[f"eye_x_{name}"] = centre[:, 0]

    def brow(self, side: int) -> None:
        """One brow as an outline that is thick inside and thin outside."""
        name, sign, t = SIDES[side], _SIGN[side], self.trait
        a1, a2, a4, a9 = (self.au(k, side) for k in (1, 2, 4, 9))
        along = np.linspace(0.0, 1.0, 8)
        inside, outside = (1 - along) ** 1.4, np.sin(along * 2.2)
        start = 3.7 - 1.3 * a4 + 0.3 * t("eye_distance")
        end = 14.2 + 0.6 * t("eye_distance")
        height = -4.5 - 1.1 * t("brow_height") + 0.5 * self.male - self.by_age(0.6, 0.3, 0, 0)
        arch = (0.9 + 0.6 * t("brow_arch") - 0.3 * self.male) * np.sin(np.pi * along**0.9) * 1.1
        y = height - arch + 0.6 * along
        y = y - (2.6 * a1 * inside + 2.7 * a2 * outside) * (1 - 0.3 * a4) - 0.5 * self.au(5, side) * (1 - a4)
        press = a4 * (1 - 0.5 * a1)
        y = y + press * (2.1 * inside + 0.9) + a9 * (1.7 * inside + 0.7)
        y = y + 0.9 * a1 * self.au(15, side) * along
        x = sign * (start + (end - start) * along)
        thick = (
            self.by_age(0.75, 0.9, 1, 1)
            * (0.95 + 0.3 * t("brow_thickness") + 0.22 * self.male)
            * (1.05 - 0.75 * along**1.5)
        )
        self.curves[f"brow_{name}"] = _closed(_curve(x, y - thick), _curve(x, y + thick * 0.85))
        self.amounts[f"brow_y_{name}"] = y[:, 2]

    def nose(self) -> None:
        """Bridge, wings, nostrils, and the creases that run from them to the mouth."""
        t = self.trait
        length = (9.8 + 0.9 * t("nose_length")) * (0.35 + 0.65 * self.nose_scale)
        self.wing = 3.2 * self.nose_scale * (1 + 0.14 * t("nose_width"))
        self.nose_y = length - 0.8 * self.mean_au(9)
        bridge = 1.25 * (1 + 0.2 * t("nose_width"))
        y = np.array([[-3.0, 0.0, 0.45, 0.75, 0.95]])
        for side, (name, sign) in enumerate(zip(SIDES, _SIGN, strict=True)):
            wing = self.wing + 0.5 * self.au(12, side) + 0.4 * self.au(9, side)
            ys = np.where(y > 0, y * self.nose_y, y)
            inner = sign * bridge * np.array([[1.1, 0.8, 0.8, 0.8, 0.6]])
            outer = sign * np.concatenate(
                [bridge * 2.3, bridge * 1.6, bridge * 1.7, wing * 0.8, wing], axis=1
            )
            self.curves[f"flank_{name}"] = _closed(_curve(inner, ys), _curve(outer, ys))
            angle = np.arange(8) * (2 * np.pi / 8)
            self.curves[f"nostril_{name}"] = _curve(
                sign * wing * 0.52 + 0.85 * np.cos(angle) * self.nose_scale,
                self.nose_y + 0.55 + (0.5 + 0.12 * self.au(9, side)) * np.sin(angle),
            )
            turn = np.linspace(-1.3, 1.5, 6)
            self.curves[f"wing_{name}"] = _curve(
                sign * (wing * 0.72 + wing * 0.36 * np.cos(turn)),
                self.nose_y - 0.5 + 1.7 * np.sin(turn) * self.nose_scale,
            )
            self.depths[f"wing_{name}"] = (0.24 + 0.3 * self.au(9, side))[:, 0]
            for k, place in enumerate((1.0, 3.4)):
                wrinkle = np.array([0.4, 1.6, 2.7])
                self.curves[f"snarl{k}_{name}"] = _curve(
                    sign * wrinkle, place - 1.3 + 0.55 * wrinkle
                )
                self.depths[f"snarl{k}_{name}"] = 0.85 * self.au(9, side)[:, 0]
        self.curves["bridge"] = _curve(
            bridge * np.array([[-0.7, 0.7, 0.9, -0.9]]),
            np.concatenate([0 * length - 3, 0 * length - 3, length * 0.9, length * 0.9], axis=1),
        )
        under = np.linspace(-1, 1, 7)
        self.curves["under_nose"] = _closed(
            _curve(self.wing * under, self.nose_y + 0.7 - 0.5 * under**2),
            _curve(self.wing * under * 0.8, self.nose_y + 2.3 - 0.9 * under**2),
        )

    def mouth(self) -> None:
        """Lips, the gap between them, teeth and tongue."""
        t, au = self.trait, self.mean_au
        base = (19.4 + 0.5 * t("chin_length")) * (0.3 + 0.7 * self.lower_face)
        sides = []
        for side in (0, 1):
            a12, a15, a20, a14 = (self.au(k, side) for k in (12, 15, 20, 14))
            wide = 6.7 * (1 + 0.11 * t("mouth_width")) * self.mouth_scale
            wide = (
                wide + 2.5 * a12 + 1.7 * a20 + 0.4 * a15 - 0.5 * a14 - 0.9 * au(23) * (1 - au(25))
            )
            wide = wide - (1.7 - 1.2 * au(20)) * au(26) * (1 - au(12)) - 0.4 * au(17)
            raise_ = -3.5 * a12 + 3.0 * a15 + 0.7 * a20 - 0.7 * a14 + 0.6 * au(26)
            sides.append((wide, raise_ + 0.4 * t("mouth_rest")))
        x = np.linspace(-1.0, 1.0, 13)
        half = np.where(x < 0, sides[0][0], sides[1][0])
        corner = np.where(x < 0, sides[0][1], sides[1][1])
        bow = np.abs(x) ** 1.7
        middle = base - 0.9 * au(17) - 0.6 * au(9) - 0.9 * au(10) + 0.25 * au(12) + 0.4 * au(26)
        line = middle + corner * bow + 0.25 * np.cos(3 * np.pi * x) * (1 - bow) * (1 - au(25))
        gap = (
            2.7 * au(25) * (1 - 0.15 * au(20)) + 8.2 * au(26) + 1.3 * au(16) + 1.0 * au(10) * au(25)
        )
        gap = gap * self.mouth_scale
        self.gap = gap
        shape = np.maximum(1 - np.abs(x) ** (2.2 + 1.5 * au(20) + 1.0 * au(16)), 0) ** 0.8
        upper_in = line - gap * shape * (0.3 - 0.12 * au(26)) - 0.7 * au(10) * (1 - bow)
        lower_in = line + gap * shape * (0.7 + 0.12 * au(26))
        full = 1 + 0.42 * t("lip_fullness") - 0.22 * self.male - 0.25 * np.minimum(self.wrinkles, 1)
        tight = (1 - 0.6 * au(23)) * (1 - 0.25 * au(12)) * (1 - 0.3 * au(20))
        upper_lip = 1.5 * full * tight * (0.4 + 0.6 * self.mouth_scale)
        lower_lip = 2.0 * full * tight * (1 + 0.25 * au(17)) * (0.4 + 0.6 * self.mouth_scale)
        cupid = (1 - bow) ** 0.6 * (1 - 0.22 * np.exp(-((x / 0.16) ** 2)))
        upper_out = upper_in - upper_lip * cupid
        lower_out = lower_in + lower_lip * (1 - np.abs(x) ** 2.4) ** 0.8
        xs = half * x
        self.curves["upper_lip"] = _closed(_curve(xs, upper_out), _curve(xs, upper_in))
        self.curves["lower_lip"] = _closed(_curve(xs, lower_in), _curve(xs, lower_out))
        self.curves["gap"] = _closed(_curve(xs, upper_in), _curve(xs, lower_in))
        self.curves["mouth_line"] = _curve(xs, upper_in)
        self.curves["lip_shine"] = _curve(xs[:, 4:9], (lower_in + 0.5 * lower_lip)[:, 4:9])
        show = 0.22 + 0.9 * au(12) + 0.75 * au(10) + 0.2 * au(20) + 0.2 * au(16)
        tooth = np.minimum(gap * shape, self.by_age(0.5, 2.3, 2.6, 2.4) * np.clip(show, 0, 1)) * (1 - 0.08 * np.abs(x))
        self.curves["teeth"] = _closed(
            _curve(xs * 0.86, upper_in), _curve(xs * 0.86, upper_in + tooth)
        )
        low = np.minimum(gap * shape, 2.0 * np.clip(1.2 * au(16) + 0.3 * au(20), 0, 1)) * 0.9
        self.curves["lower_teeth"] = _closed(
            _curve(xs * 0.72, lower_in - low), _curve(xs * 0.72, lower_in)
        )
        tongue = np.maximum(gap * 0.36 - 0.8, 0)
        self.curves["tongue"] = _closed(
            _curve(xs * 0.62, lower_in - tongue * (1 - x**2)), _curve(xs * 0.62, lower_in)
        )
        self.amounts["teeth"] = tooth.max(axis=1)
        self.amounts["lower_teeth"] = low.max(axis=1)
        self.amounts["tongue"] = tongue[:, 0]
        self.amounts["gap"] = gap[:, 0]
        self._mouth_creases(xs, line, lower_out)

    def _mouth_creases(self, xs: Values, line: Values, lower_out: Values) -> None:
        t, along = self.trait, np.linspace(0.0, 1.0, 7)
        for side, (name, sign) in enumerate(zip(SIDES, _SIGN, strict=True)):
            a = {k: self.au(k, side) for k in (9, 10, 12, 14, 15, 20)}
            end = 0 if side == 0 else -1
            corner_x, corner_y = xs[:, end, None], line[:, end, None]
            start_x, start_y = sign * (self.wing + 0.7), self.nose_y - 1.2
            stop_x = corner_x + sign * (1.7 + 0.5 * a[12])
            stop_y = corner_y + 0.6 + 1.6 * a[12]
            swell = sign * (0.4 + 2.3 * a[12] + 0.9 * a[9]) * np.sin(np.pi * along**0.8)
            self.curves[f"fold_{name}"] = _curve(
                start_x + (stop_x - start_x) * along**1.3 + swell,
                start_y + (stop_y - start_y) * along,
            )
            depth = 0.2 * np.maximum(t("cheek_folds"), 0) + 0.45 * self.wrinkles + 0.33 * a[12] + 0.3 * a[9] + 0.26 * a[10]
            self.depths[f"fold_{name}"] = (depth + 0.15 * a[15] + 0.2 * a[20])[:, 0]
            dimple = np.linspace(-1.2, 1.2, 5)
            self.curves[f"dimple_{name}"] = _curve(
                corner_x + sign * (1.1 - 0.4 * dimple**2), corner_y + dimple
            )
            self.depths[f"dimple_{name}"] = (0.22 + 0.7 * a[14] + 0.25 * a[12] + 0.2 * a[15])[:, 0]
            self.curves[f"sag_{name}"] = _curve(
                corner_x + sign * (0.6 + 1.1 * along), corner_y + 0.6 + 4.2 * along
            )
            self.depths[f"sag_{name}"] = (0.55 * a[15] + 0.45 * self.wrinkles + 0.15 * a[20])[:, 0]
        x = np.linspace(-1.0, 1.0, 7)
        low = lower_out.max(axis=1)[:, None]
        reach = 4.2 + 0.8 * self.mean_au(17)
        self.curves["chin_crease"] = _curve(reach * x, low + 1.3 + 0.9 * x**2)
        depth = 0.26 + 0.4 * self.mean_au(17) + 0.3 * self.mean_au(15) + 0.1 * t("chin_length")
        self.depths["chin_crease"] = np.maximum(depth, 0)[:, 0]
        self.curves["under_lip"] = _closed(
            _curve(4.6 * x, low + 0.2 + 0 * x), _curve(3.4 * x, low + 2.2 + 0 * x)
        )

    def brow_creases(self) -> None:
        """Furrows between the brows and lines across the forehead."""
        fall = np.linspace(0.0, 1.0, 4)
        for side, (name, sign) in enumerate(zip(SIDES, _SIGN, strict=True)):
            a1, a4 = self.au(1, side), self.au(4, side)
            self.curves[f"furrow_{name}"] = _curve(
                sign * (1.5 - 0.25 * fall), -7.4 - 0.8 * a1 + 4.6 * fall
            )
            self.depths[f"furrow_{name}"] = (0.6 * a4 + 0.15 * self.wrinkles)[:, 0]
        x = np.linspace(-1.0, 1.0, 9)
        a1, a2 = self.mean_au(1), self.mean_au(2)
        reach = 6.0 + 6.0 * np.clip(a2 + self.wrinkles, 0, 1)
        for k, place in enumerate((-9.4, -11.2, -13.0)):
            wave = 0.5 * np.cos(2.5 * x + k) - 0.9 * a1 * (1 - a2) * (1 - x**2)
            self.curves[f"forehead{k}"] = _curve(reach * x, place - 0.9 * a1 + wave)
            depth = (0.24 * a1 + 0.2 * a2) * self.by_age(0.3, 0.6, 1, 1.1) + 0.4 * self.wrinkles
            self.depths[f"forehead{k}"] = depth[:, 0]

    def cheeks(self) -> None:
        """Soft regions: cheeks, chin, temples, forehead, moustache and beard."""
        angle = np.arange(12) * (2 * np.pi / 12)
        for side, (name, sign) in enumerate(zip(SIDES, _SIGN, strict=True)):
            a6 = np.maximum(self.au(6, side), 0.7 * self.au(12, side))
            self.curves[f"cheek_{name}"] = _curve(
                sign * (10.6 + 0.6 * a6) + (4.6 + 0.7 * a6) * np.cos(angle),
                8.6 - 1.4 * a6 + (3.6 + 0.3 * a6) * np.sin(angle),
            )
            self.amounts[f"cheek_{name}"] = (0.5 + 0.6 * a6)[:, 0]
            y = np.array([[2.0, 10.0, 17.0, 24.0]])
            edge = self.width * np.array([[1.02, 0.98, 0.85, 0.6]])
            inner = self.width * np.array([[0.92, 0.76, 0.66, 0.42]])
            self.curves[f"hollow_{name}"] = _closed(_curve(sign * inner, y), _curve(sign * edge, y))
        self.curves["chin_ball"] = _curve(
            3.6 * np.cos(angle), self.chin - 3.0 + 2.0 * np.sin(angle)
        )
        self.curves["brow_bone"] = _curve(8.5 * np.cos(angle), -9.6 + 2.8 * np.sin(angle))
        x = np.linspace(-1.0, 1.0, 9)
        lip = self.curves["upper_lip"]
        middle, reach = lip[:, 4, 1, None] - 0.2, 0.92 * lip[:, 12, 0, None] + 0.3
        droop = (2.2 + 1.4 * self.mean_au(15) - 2.2 * self.mean_au(12)) * x**2
        self.curves["moustache"] = _closed(
            _curve(0.85 * reach * x, np.maximum(self.nose_y + 2.2, middle - 2.6) + 0.6 * droop),
            _curve(reach * x, np.maximum(middle, self.nose_y + 3.2) + 0.9 * droop),
        )
        outline = self.curves["head"][:, 13:44]
        along = np.linspace(-1.0, 1.0, outline.shape[1])[:, None]
        inward = 0.6 + 0.36 * np.abs(along) ** 3
        centre = np.stack([0 * middle, 1.02 * middle], axis=-1)
        self.curves["beard"] = _closed(outline, centre + (outline - centre) * inward)

    def glasses(self) -> None:
        """Two frames and the bridge between them."""
        t = self.trait
        angle = np.arange(16) * (2 * np.pi / 16)
        square = 2.0 + 1.5 * self.faces.people.traits["glasses_shape"][:, None]
        cos, sin = np.cos(angle), np.sin(angle)
        norm = (np.abs(cos) ** square + np.abs(sin) ** square) ** (-1 / square)
        for name, sign in zip(SIDES, _SIGN, strict=True):
            centre = sign * (8.75 + 0.5 * t("eye_distance"))
            self.curves[f"frame_{name}"] = _curve(centre + 6.2 * norm * cos, 0.9 + 4.2 * norm * sin)
        self.curves["frame_bridge"] = _curve(np.array([[-2.6, 0.0, 2.6]]), np.array([[0, -0.7, 0]]))


_FORWARD = {
    "flank": 2.0,
    "bridge": 3.0,
    "nostril": 3.0,
    "wing": 2.0,
    "under_nose": 2.0,
    "upper_lip": 1.0,
    "lower_lip": 0.8,
    "frame": 2.0,
    "hair_back": -14.0,
    "neck": -10.0,
    "ear": -9.0,
    "curtain": -3.0,
}


def build(faces: Faces) -> Shape:
    """Return the curves of each face in the picture plane, posed, in 1/48 of the picture."""
    builder = _Builder(faces)
    builder.head()
    builder.hair()
    for side in (0, 1):
        builder.eyes(side)
        builder.brow(side)
    builder.nose()
    builder.mouth()
    builder.brow_creases()
    builder.cheeks()
    builder.glasses()
    n = len(faces)
    curves = {
        name: np.broadcast_to(curve, (n, *curve.shape[-2:]))
        for name, curve in builder.curves.items()
    }
    posed = _pose(curves, faces, builder)
    full = {name: np.broadcast_to(depth, (n,)) for name, depth in builder.depths.items()}
    return Shape(posed, full, builder.amounts)


def _pose(curves: dict[str, Points], faces: Faces, builder: _Builder) -> dict[str, Points]:
    """Turn the head in space, then scale, tilt and shift its projection onto the picture."""
    camera, hard = faces.camera, 0.35 + 0.65 * faces.difficulty

    def column(name: str) -> Values:
        return camera.signed(name)[:, None]

    yaw = column("yaw") * np.abs(column("yaw")) ** 0.5 * 0.6 * hard
    pitch = column("pitch") * np.abs(column("pitch")) * 0.3 * hard
    roll = column("roll") * np.abs(column("roll")) ** 0.5 * 0.36 * hard
    scale = (1.02 + 0.18 * column("scale") * hard) - 0.05 * builder.mean_au(26)
    scale_x = scale * (1 + 0.05 * column("aspect") * hard)
    move_x = 24.0 + 3.0 * column("shift_x") * hard
    move_y = 19.4 + 2.6 * column("shift_y") * hard - 1.2 * builder.mean_au(26)
    move_y = move_y + builder.by_age(2.2, 1.0, 0, 0)
    names = list(curves)
    xy = np.concatenate([curves[name] for name in names], axis=1)
    forward = np.concatenate(
        [
            np.full(
                curves[name].shape[1],
                next((z for key, z in _FORWARD.items() if name.startswith(key)), 0.0),
            )
            for name in names
        ]
    )
    x, y = xy[..., 0], xy[..., 1] - 5.0
    inside = 1 - (x / 21.5) ** 2 - (y / 36.0) ** 2
    z = 15.0 * np.sqrt(np.maximum(inside, 0)) + forward
    turned = x * np.cos(yaw) + (z - 10.0) * np.sin(yaw)
    z = z * np.cos(yaw) - x * np.sin(yaw)
    nodded = y * np.cos(pitch) + (z - 10.0) * np.sin(pitch)
    x, y = turned, nodded + 5.0
    cos, sin = np.cos(roll), np.sin(roll)
    placed = np.stack(
        [
            scale_x * (x * cos - (y - 5) * sin) + move_x,
            scale * (x * sin + (y - 5) * cos + 5) + move_y,
        ],
        axis=-1,
    )
    edges = np.cumsum([curves[name].shape[1] for name in names])[:-1]
    return dict(zip(names, np.split(placed, edges, axis=1), strict=True))

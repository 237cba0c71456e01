"""From identity and action units to the posed curves of a face."""

from dataclasses import dataclass

import numpy as np

from emohelpers.datasets.toyfaces import _eyes, _head, _mouth
from emohelpers.datasets.toyfaces._parameters import Faces
from emohelpers.datasets.toyfaces._sketch import Points, Sketch, Values

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
"""How far parts stand out of the ellipsoid of the head, by the beginning of their names."""


@dataclass(frozen=True)
class Shape:
    """The curves of each face by name, in 1/48 of the picture from its top left corner.

    `depths` says how deep each crease is (0 none, 1 black), `amounts` how much of a part shows.
    """

    curves: dict[str, Points]
    depths: dict[str, Values]
    amounts: dict[str, Values]


def build(faces: Faces, *, framed_as: Faces | None = None) -> Shape:
    """Return the posed curves of a chunk of faces, framed as they are or as others would be."""
    sketch = Sketch(faces)
    _head.head(sketch)
    _head.hair(sketch)
    for side in (0, 1):
        _eyes.eye(sketch, side)
        _eyes.brow(sketch, side)
    _eyes.brow_creases(sketch)
    _mouth.nose(sketch)
    _mouth.mouth(sketch)
    _head.soft_regions(sketch)
    _head.facial_hair(sketch)
    _head.glasses(sketch)
    n = len(faces)
    depths = {name: np.broadcast_to(depth, (n,)) for name, depth in sketch.depths.items()}
    return Shape(_pose(sketch, framed_as or faces), depths, sketch.amounts)


def _pose(sketch: Sketch, framed: Faces) -> dict[str, Points]:
    """Turn the head in space, then scale, tilt and shift its projection onto the picture."""
    faces, names = sketch.faces, list(sketch.curves)
    hard = 0.35 + 0.65 * faces.difficulty[:, None]

    def draw(name: str) -> Values:
        return faces.camera.signed(name)[:, None]

    yaw = draw("yaw") * np.abs(draw("yaw")) ** 0.5 * 0.6 * hard
    pitch = draw("pitch") * np.abs(draw("pitch")) * 0.3 * hard
    roll = draw("roll") * np.abs(draw("roll")) ** 0.5 * 0.36 * hard
    # An open jaw would leave the picture; a face detector frames it a little smaller and higher.
    drop = framed.unit(26).mean(axis=1)[:, None]
    scale = 1.02 + 0.18 * draw("scale") * hard - 0.05 * drop
    stretch = 1 + 0.05 * draw("aspect") * hard
    move_x = 24.0 + 3.0 * draw("shift_x") * hard
    move_y = 19.4 + 2.6 * draw("shift_y") * hard - 1.2 * drop + sketch.by_age(2.2, 1.0, 0, 0)
    n = len(faces)
    parts = [np.broadcast_to(c, (n, *c.shape[-2:])) for c in sketch.curves.values()]
    xy = np.concatenate(parts, axis=1)
    forward = np.concatenate(
        [np.full(p.shape[1], _stands_out(name)) for name, p in zip(names, parts, strict=True)]
    )
    x, y = xy[..., 0], xy[..., 1] - 5.0
    z = 15.0 * np.sqrt(np.maximum(1 - (x / 21.5) ** 2 - (y / 36.0) ** 2, 0)) + forward - 10.0
    x, z = x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
    y = y * np.cos(pitch) + z * np.sin(pitch)
    placed = np.stack(
        [
            scale * stretch * (x * np.cos(roll) - y * np.sin(roll)) + move_x,
            scale * (x * np.sin(roll) + y * np.cos(roll) + 5.0) + move_y,
        ],
        axis=-1,
    )
    edges = np.cumsum([part.shape[1] for part in parts])[:-1]
    return dict(zip(names, np.split(placed, edges, axis=1), strict=True))


def _stands_out(name: str) -> float:
    return next((z for part, z in _FORWARD.items() if name.startswith(part)), 0.0)

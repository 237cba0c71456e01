"""What the parts of a face are sketched on: named curves, and the measures that they share.

Lengths are in 1/48 of the picture's width, the origin lies between the eyes, y points down. Each
curve is an array of shape (n, points, 2); `left` and `right` are those of the picture.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emohelpers.datasets.toyfaces._parameters import Faces

Points = NDArray[Any]
Values = NDArray[Any]

SIDES = ("left", "right")
SIGNS = (-1.0, 1.0)


def curve(x: Any, y: Any) -> Points:
    """Put coordinates together; what is missing of one is repeated from the other."""
    return np.stack(np.broadcast_arrays(x, y), axis=-1)


def closed(there: Points, back: Points) -> Points:
    """Join two edges that run left to right into one outline."""
    return np.concatenate([there, back[:, ::-1]], axis=1)


class Sketch:
    """Collects the curves of a chunk of faces; values are columns of shape (n, 1).

    Attributes
    ----------
    curves : dict
        Points by the name of the part.
    depths : dict
        How deep each crease is, shape (n,), 0 (none) to about 1 (black).
    amounts : dict
        How much of a part there is to see, shape (n,).
    width, chin, wing, nose_y : ndarray of float
        Set by the parts that are sketched first, for those that hang on them.
    """

    width: Values
    chin: Values
    wing: Values
    nose_y: Values

    def __init__(self, faces: Faces) -> None:
        self.faces = faces
        self.curves: dict[str, Points] = {}
        self.depths: dict[str, Values] = {}
        self.amounts: dict[str, Values] = {}
        by_age = self.by_age
        self.male = faces.people.gender[:, None] * by_age(0.3, 0.3, 1.0, 1.0)
        self.eye_scale = by_age(1.27, 1.12, 1.0, 0.93) * (1.03 - 0.06 * self.male)
        self.nose_scale = by_age(0.68, 0.86, 1.0, 1.1) * (0.95 + 0.08 * self.male)
        self.mouth_scale = by_age(0.8, 0.9, 1.0, 1.0)
        self.lower_face = by_age(0.86, 0.93, 1.0, 1.02)
        marks = self.trait("age_marks")
        self.wrinkles = by_age(0.0, 0.0, 0.08, 0.55) * (0.85 + 0.25 * marks)
        self.wrinkles += by_age(0.0, 0.0, 0.25, 0.0) * np.maximum(marks, 0)

    def trait(self, name: str) -> Values:
        """Return a trait in -1..1."""
        return self.faces.people.traits.signed(name)[:, None]

    def chance(self, name: str) -> Values:
        """Return a trait in 0..1."""
        return self.faces.people.traits[name][:, None]

    def by_age(self, *values: float) -> Values:
        """Return the value of each face's age group, youngest first."""
        return np.array(values)[self.faces.people.age_group][:, None]

    def au(self, number: int, side: int) -> Values:
        """Return the strength of an action unit on one side."""
        return self.faces.unit(number)[:, side, None]

    def mean_au(self, number: int) -> Values:
        """Return the strength of an action unit, the mean of both sides."""
        return self.faces.unit(number).mean(axis=1)[:, None]

"""OpenCV's Haar cascade."""

import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.faces._face import LANDMARKS, Face
from emohelpers.preprocessing import to_grey

__all__ = ["HaarDetector"]

# The detector takes longer the larger a photo is, and finds no more faces worth recognising.
_LONG_SIDE = 1000
_SMALLEST = 24

# The cascade knows whole heads: for one that the border cuts off the border is drawn out, by so
# many pixels, or so much of the shorter side where that is less.
_BEYOND, _BEYOND_SHARE = 60, 0.2

# From one size of faces to the next. Steps of 1.1 with five neighbours find as many faces of photos
# (``python -m benchmarks face_margins``) and take half as long again.
_STEP = 1.15


class HaarDetector:
    """Find upright faces seen from the front by a cascade of Haar-like features.

    It comes with OpenCV, needs no file and no network, and misses faces that are turned or tilted.

    Parameters
    ----------
    smallest : float
        The side of the smallest face that is looked for, as a share of the photo's shorter side,
        above 0 and up to 1.
    neighbours : int
        How many overlapping windows have to agree, 1 or more: with more of them there are fewer
        false alarms, and fewer faces.

    Raises
    ------
    ConfigurationError
        If an argument is out of its range.

    References
    ----------
    P. Viola and M. Jones (2001), Rapid Object Detection using a Boosted Cascade of Simple Features,
    CVPR, doi:10.1109/CVPR.2001.990517.

    Examples
    --------
    >>> HaarDetector()(np.full((100, 100, 1), 128, np.uint8))
    []
    """

    def __init__(self, *, smallest: float = 0.06, neighbours: int = 3) -> None:
        if not 0 < smallest <= 1 or neighbours < 1:
            raise ConfigurationError(
                f"smallest={smallest}, neighbours={neighbours}: expected a share above 0 and up "
                "to 1, and 1 or more"
            )
        self.smallest, self.neighbours = smallest, neighbours

    def __call__(self, photo: NDArray[np.uint8]) -> list[Face]:
        """Find faces; see `Detector`."""
        grey = np.ascontiguousarray(to_grey(photo[None])[0, ..., 0])
        scale = min(1.0, _LONG_SIDE / max(grey.shape))
        small = (
            cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            if scale < 1
            else grey
        )
        least = max(_SMALLEST, round(self.smallest * min(small.shape)))
        beyond = round(min(_BEYOND, _BEYOND_SHARE * min(small.shape)))
        small = cv2.copyMakeBorder(small, beyond, beyond, beyond, beyond, cv2.BORDER_REPLICATE)
        boxes, _, weights = _cascade("frontalface_default").detectMultiScale3(
            small,
            scaleFactor=_STEP,
            minNeighbors=self.neighbours,
            minSize=(least, least),
            outputRejectLevels=True,
        )
        faces = []
        for box, weight in zip(np.asarray(boxes).reshape(-1, 4), weights, strict=True):
            corner = (box[:2] - beyond) / scale
            left, top, wide, high = (round(value) for value in (*corner, *(box[2:] / scale)))
            landmarks = (_landmarks(small, box) - beyond) / scale
            faces.append(Face((left, top, wide, high), float(weight), landmarks))
        return _without_nested(sorted(faces, key=lambda face: -face.score))


def _without_nested(faces: list[Face]) -> list[Face]:
    """Leave out a box whose middle lies in a surer one: a mouth or a chin taken for a face."""
    kept: list[Face] = []
    for face in faces:
        left, top, wide, high = face.box
        x, y = left + wide / 2, top + high / 2
        if not any(
            0 <= x - other.box[0] < other.box[2] and 0 <= y - other.box[1] < other.box[3]
            for other in kept
        ):
            kept.append(face)
    return kept


_own = threading.local()


def _cascade(name: str) -> cv2.CascadeClassifier:
    """Load a cascade once for each thread: one object can not look at two photos at a time."""
    loaded = _own.__dict__
    if name not in loaded:
        file = Path(cv2.__file__).parent / "data" / f"haarcascade_{name}.xml"
        loaded[name] = cv2.CascadeClassifier(str(file))
    return loaded[name]


def _landmarks(grey: NDArray[np.uint8], box: NDArray[np.int32]) -> NDArray[np.float64]:
    """Look for the eyes in the upper part of a face; other landmarks stay unknown."""
    left, top, width, height = map(int, box)
    found = np.full((len(LANDMARKS), 2), np.nan)
    upper = np.ascontiguousarray(grey[top : top + height * 6 // 10, left : left + width])
    if min(upper.shape) < _SMALLEST:
        return found
    eyes = _cascade("eye").detectMultiScale(upper, 1.1, 4, minSize=(width // 8, width // 8))
    centres = np.asarray(eyes, float).reshape(-1, 4)
    middles = centres[:, :2] + centres[:, 2:] / 2
    # The person's right eye is on the left of the picture.
    for place, side in enumerate((middles[:, 0] < 0.5 * width, middles[:, 0] >= 0.5 * width)):
        if side.any():
            largest = np.flatnonzero(side)[centres[side, 2].argmax()]
            found[place] = middles[largest] + (left, top)
    if np.isnan(found[:2]).any() or abs(found[0, 1] - found[1, 1]) > 0.2 * width:
        found[:2] = np.nan  # one eye alone says nothing of the tilt, and such a pair is none
    return found

"""What a detector finds."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["LANDMARKS", "Detector", "Face"]

LANDMARKS = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")
"""The landmarks in their order; right and left are those of the person shown."""


def _unknown() -> NDArray[np.float64]:
    return np.full((len(LANDMARKS), 2), np.nan)


@dataclass(frozen=True)
class Face:
    """A face in a photo.

    Parameters
    ----------
    box : tuple of int
        Left, top, width and height in pixels of the photo. It may reach over the photo's border.
    score : float
        How sure the detector is: for YuNet a probability, 0..1; for the Haar cascade by how much
        the last stage was passed. Scores of two detectors can not be compared.
    landmarks : ndarray of float64, shape (5, 2)
        x and y in pixels of each of `LANDMARKS`; NaN where the detector does not know.
    """

    box: tuple[int, int, int, int]
    score: float
    landmarks: NDArray[np.float64] = field(default_factory=_unknown, compare=False)


class Detector(Protocol):
    """What finds faces."""

    def __call__(self, photo: NDArray[np.uint8]) -> list[Face]:
        """Find faces.

        Parameters
        ----------
        photo : ndarray of uint8, shape (height, width, 1 or 3)
            Grey, or red, green and blue, 0..255.

        Returns
        -------
        list of Face
            The surest first.
        """
        ...

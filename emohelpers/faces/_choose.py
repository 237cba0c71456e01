"""Which detector is used."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emohelpers.faces._face import Detector, Face
from emohelpers.faces._haar import HaarDetector
from emohelpers.faces._yunet import YuNetDetector, fetch_yunet, yunet_path

__all__ = ["WholePhoto", "open_detector"]


class WholePhoto:
    """Take each photo for one face that fills it, where somebody has cut the faces out already.

    Examples
    --------
    >>> WholePhoto()(np.zeros((60, 48, 1), np.uint8))[0].box
    (0, 0, 48, 60)
    """

    def __call__(self, photo: NDArray[np.uint8]) -> list[Face]:
        """Return the whole photo as a face; see `Detector`."""
        height, width = photo.shape[:2]
        return [Face((0, 0, width, height), 1.0)]


def open_detector(name: str | Path = "auto") -> Detector:
    """Return a detector by its name.

    Parameters
    ----------
    name : str or Path
        ``"haar"`` and ``"yunet"``, which is fetched if it is not here; ``"auto"`` is YuNet where
        it is here and else Haar, and fetches nothing; ``"none"`` takes each photo for one face.
        Anything else is the path of YuNet's file.

    Returns
    -------
    Detector
        Safe to use from several threads.

    Raises
    ------
    FetchError
        If YuNet has to be fetched and can not be.
    MissingPathError
        If there is no such file.
    ConfigurationError
        If the file is no YuNet.

    Examples
    --------
    >>> type(open_detector("haar")).__name__
    'HaarDetector'
    """
    if name == "auto":
        name = "yunet" if yunet_path().is_file() else "haar"
    if name == "haar":
        return HaarDetector()
    if name == "none":
        return WholePhoto()
    return YuNetDetector(fetch_yunet() if name == "yunet" else name)

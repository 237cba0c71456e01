"""From a photo to its faces."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emohelpers.datasets._images import MAX_PIXELS, MIN_SIDE, decode, from_16_bits
from emohelpers.errors import ImageError, MissingPathError
from emohelpers.faces._choose import open_detector
from emohelpers.faces._face import Detector, Face

__all__ = ["detect", "read_photo"]


def read_photo(image: Any) -> NDArray[np.uint8]:
    """Read a photo, or check one that is read already.

    Parameters
    ----------
    image : path, bytes or array_like
        A file of any common kind, what it holds, or pixels: uint8 or uint16, shape (height, width),
        or with 1, 2 (grey and alpha), 3 (red, green, blue) or 4 channels (and alpha).

    Returns
    -------
    ndarray of uint8, shape (height, width, 1 or 3)
        Upright by its EXIF data, transparent parts on white, 0..255.

    Raises
    ------
    MissingPathError
        If there is no such file.
    ImageError
        If it can not be decoded, or pixels are of another kind, or too few or too many.

    Examples
    --------
    >>> read_photo(np.zeros((20, 30), np.uint16)).shape
    (20, 30, 1)
    """
    if isinstance(image, bytes):
        return decode(image, where="the image")
    if isinstance(image, str | Path):
        path = Path(image)
        if not path.is_file():
            raise MissingPathError(f"no file {path}: expected a photo")
        return decode(path.read_bytes(), where=str(path))
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or pixels.dtype.kind != "u":
        raise ImageError(
            f"pixels of shape {np.shape(image)} and dtype {pixels.dtype}: expected uint8 or "
            "uint16, (height, width) or with 1 to 4 channels"
        )
    height, width = pixels.shape[:2]
    if min(height, width) < MIN_SIDE or height * width > MAX_PIXELS:
        raise ImageError(
            f"pixels of {width}x{height}: expected at least {MIN_SIDE} on each side and at most "
            f"{MAX_PIXELS:,} together"
        )
    if pixels.dtype != np.uint8:
        if pixels.dtype != np.uint16:
            raise ImageError(f"pixels of dtype {pixels.dtype}: expected uint8 or uint16")
        pixels = from_16_bits(pixels)
    if pixels.shape[2] in (2, 4):
        alpha = pixels[..., -1:].astype(np.float32) / 255
        over = pixels[..., :-1] * alpha + 255 * (1 - alpha)
        pixels = np.round(over).astype(np.uint8)
    return pixels


def detect(image: Any, detector: Detector | None = None) -> list[Face]:
    """Find the faces in a photo.

    Parameters
    ----------
    image : path, bytes or array_like
        See `read_photo`.
    detector : Detector, optional
        Without it YuNet, once `fetch_yunet` has brought it, or the Haar cascade.

    Returns
    -------
    list of Face
        The surest first; empty where there is none.

    Raises
    ------
    MissingPathError
        If there is no such file.
    ImageError
        If the photo can not be read.

    Examples
    --------
    >>> detect(np.full((80, 120), 200, np.uint8))
    []
    """
    return (detector or open_detector())(read_photo(image))

"""From the bytes of a request to a photo."""

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from emohelpers.datasets._images import MIN_SIDE, decode
from emohelpers.errors import ImageError
from emohelpers.webapp._answers import RefusalError
from emohelpers.webapp._limits import Limits

__all__ = ["read_photo"]

# What browsers show and phones send. The library for TIFF, which could be had too, writes what it
# finds wrong to standard error, as often as a client likes.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")


def read_photo(data: bytes, limits: Limits) -> NDArray[np.uint8]:
    """Decode a photo, what it is told by its content and its size by its header.

    Parameters
    ----------
    data : bytes
        A file: PNG, JPEG, WebP, GIF or BMP.
    limits : Limits
        Of which `max_pixels` counts.

    Returns
    -------
    ndarray of uint8, shape (height, width, 1 or 3)
        Upright by its EXIF data, 0..255.

    Raises
    ------
    RefusalError
        415 if it is no image; 422 if it is too large, too small or damaged.
    """
    width, height = _size(data, limits)
    if width * height > limits.max_pixels:
        raise _too_many_pixels(f"the photo has {width} x {height} pixels", limits)
    if min(width, height) < MIN_SIDE:
        raise RefusalError(
            422,
            "too_small",
            f"the photo has {width} x {height} pixels: expected at least {MIN_SIDE} on each side",
        )
    try:
        return decode(data, where="the photo")
    except ImageError as error:
        raise _damaged() from error


def _size(data: bytes, limits: Limits) -> tuple[int, int]:
    """Read width and height in the header; nothing is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                return image.size
    except UnidentifiedImageError:
        raise RefusalError(
            415,
            "not_an_image",
            f"that is no image that is known here: expected one of {', '.join(_FORMATS)}",
        ) from None
    except Image.DecompressionBombError:
        raise _too_many_pixels("the photo has too many pixels", limits) from None
    except Exception as error:  # damaged headers make Pillow raise almost anything
        raise _damaged() from error


def _too_many_pixels(found: str, limits: Limits) -> RefusalError:
    return RefusalError(
        422, "too_many_pixels", f"{found}: expected at most {limits.max_pixels:,} together"
    )


def _damaged() -> RefusalError:
    # Pillow's own words are for programmers, and might say more than the client sent.
    return RefusalError(422, "damaged", "the photo is damaged or cut short: it can not be read")

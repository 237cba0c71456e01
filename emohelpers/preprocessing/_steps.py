"""The steps themselves: grey and colour, size, scale, noise, histogram."""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError

__all__ = [
    "add_noise",
    "as_batch",
    "as_pixels",
    "crop",
    "equalise",
    "resize",
    "scale",
    "standardise",
    "to_color",
    "to_grey",
]


def to_grey(images: ArrayLike) -> NDArray[Any]:
    """Turn colour images grey by their ITU-R BT.601 luma, .299 R + .587 G + .114 B.

    Parameters
    ----------
    images : array_like of uint8 or float32, shape (n, height, width, 1 or 3)
        In any value range.

    Returns
    -------
    ndarray of the same dtype, shape (n, height, width, 1)
        In the same value range. For uint8 it is ``(9798 R + 19235 G + 3735 B + 16384) >> 15``,
        the same on every machine; Pillow, with other integers, is at most one grey level off.
        Grey images come back unchanged.

    Raises
    ------
    ConfigurationError
        If `images` is not such a batch.

    References
    ----------
    Recommendation ITU-R BT.601-7 (2011), section 2.5.1.

    Examples
    --------
    >>> red = np.full((2, 48, 48, 3), [255, 0, 0], dtype=np.uint8)
    >>> grey = to_grey(red)
    >>> grey.shape, int(grey[0, 0, 0, 0])
    ((2, 48, 48, 1), 76)
    """
    batch = as_batch(images)
    if batch.shape[-1] == 1:
        return batch
    grey = np.empty((*batch.shape[:-1], 1), dtype=batch.dtype)
    for image, new in zip(batch, grey, strict=True):
        new[..., 0] = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    return grey


def to_color(images: ArrayLike) -> NDArray[Any]:
    """Give grey images three equal channels, as networks made for colour ask for.

    Parameters
    ----------
    images : array_like of uint8 or float32, shape (n, height, width, 1 or 3)
        In any value range.

    Returns
    -------
    ndarray of the same dtype, shape (n, height, width, 3)
        In the same value range. Colour images come back unchanged.

    Raises
    ------
    ConfigurationError
        If `images` is not such a batch.

    Examples
    --------
    >>> to_color(np.zeros((2, 48, 48, 1), dtype=np.uint8)).shape
    (2, 48, 48, 3)
    """
    batch = as_batch(images)
    return batch if batch.shape[-1] == 3 else np.repeat(batch, 3, axis=-1)


def resize(images: ArrayLike, size: int | Sequence[int]) -> NDArray[Any]:
    """Resize images, whatever their aspect ratio becomes.

    A side that shrinks is averaged over the area that each new pixel covers (OpenCV's
    ``INTER_AREA``), so that fine detail does not alias; a side that grows is interpolated
    linearly. Neither leaves the range of the old pixels.

    Parameters
    ----------
    images : array_like of uint8 or float32, shape (n, height, width, 1 or 3)
        In any value range.
    size : int or (int, int)
        The new side, or the new (height, width), in pixels.

    Returns
    -------
    ndarray of the same dtype, shape (n, *size, channels)
        In the same value range.

    Raises
    ------
    ConfigurationError
        If `images` is not such a batch or `size` is not one or two positive integers.

    Examples
    --------
    >>> resize(np.zeros((2, 48, 48, 1), dtype=np.uint8), 56).shape
    (2, 56, 56, 1)
    >>> resize(np.zeros((2, 200, 200, 3), dtype=np.uint8), (48, 40)).shape
    (2, 48, 40, 3)
    """
    batch = as_batch(images)
    height, width = _as_size(size)
    old_height, old_width = batch.shape[1:3]
    if (height, width) == (old_height, old_width):
        return batch
    resized = np.empty((len(batch), height, width, batch.shape[-1]), dtype=batch.dtype)
    smaller = (min(width, old_width), min(height, old_height))
    for image, new in zip(batch, resized, strict=True):
        shrunk = cv2.resize(np.ascontiguousarray(image), smaller, interpolation=cv2.INTER_AREA)
        grown = cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR)
        new[...] = grown.reshape(new.shape)  # OpenCV drops an only channel
    return resized


def crop(
    images: ArrayLike,
    size: int | Sequence[int],
    *,
    top: int | None = None,
    left: int | None = None,
) -> NDArray[Any]:
    """Cut the same window out of every image.

    Parameters
    ----------
    images : array_like of uint8 or float32, shape (n, height, width, 1 or 3)
        In any value range.
    size : int or (int, int)
        The side, or the (height, width), of the window in pixels.
    top, left : int, optional
        Its upper left pixel; without them it lies in the centre, rounded towards the upper left.

    Returns
    -------
    ndarray of the same dtype, shape (n, *size, channels)
        In the same value range.

    Raises
    ------
    ConfigurationError
        If `images` is not such a batch or the window does not lie within its images.

    Examples
    --------
    >>> crop(np.zeros((2, 48, 48, 1), dtype=np.uint8), 40).shape
    (2, 40, 40, 1)
    """
    batch = as_batch(images)
    height, width = _as_size(size)
    top = (batch.shape[1] - height) // 2 if top is None else top
    left = (batch.shape[2] - width) // 2 if left is None else left
    if min(top, left) < 0 or top + height > batch.shape[1] or left + width > batch.shape[2]:
        raise ConfigurationError(
            f"a window of {height}x{width} at row {top}, column {left}: expected one within "
            f"images of {batch.shape[1]}x{batch.shape[2]}"
        )
    return batch[:, top : top + height, left : left + width].copy()


def scale(images: ArrayLike) -> NDArray[np.float32]:
    """Divide pixels by 255.

    Parameters
    ----------
    images : array_like of uint8 or float32, shape (n, height, width, 1 or 3)
        In 0..255.

    Returns
    -------
    ndarray of float32, of the same shape
        In 0..1.

    Raises
    ------
    ConfigurationError
        If `images` is not such a batch or leaves 0..255.

    Examples
    --------
    >>> scaled = scale(np.full((2, 48, 48, 1), 255, dtype=np.uint8))
    >>> scaled.dtype, float(scaled.max())
    (dtype('float32'), 1.0)
    """
    batch = as_pixels(images)
    return np.divide(batch, 255, dtype=np.float32, casting="unsafe")


def standardise(images: ArrayLike) -> NDArray[np.float32]:
    """Shift and scale each image to a mean of 0 and a standard deviation of 1.

    It takes out the light and the contrast of the photograph, over all channels together. The
    deviation is replaced by ``1 / sqrt(height * width * channels)`` where it is less, so that a
    constant image turns into zeros, as ``tf.image.per_image_standardization`` defines.

    Parameters
    ----------
    images : array_like of uint8 or float32, shape (n, height, width, 1 or 3)
        In any value range.

    Returns
    -------
    ndarray of float32, of the same shape
        Mean 0; unbounded, mostly in -3..3.

    Raises
    ------
    ConfigurationError
        If `images` is not such a batch.

    Examples
    --------
    >>> images = np.arange(2 * 48 * 48, dtype=np.float32).reshape(2, 48, 48, 1)
    >>> standardised = standardise(images)
    >>> standardised.std(axis=(1, 2, 3)).round(3).tolist()
    [1.0, 1.0]
    """
    batch = as_batch(images)
    standardised = np.empty(batch.shape, dtype=np.float32)
    floor = 1 / math.sqrt(math.prod(batch.shape[1:]))
    for image, new in zip(batch, standardised, strict=True):
        mean, deviation = cv2.meanStdDev(np.ascontiguousarray(image).reshape(-1, 1))
        new[...] = np.subtract(image, mean, dtype=np.float64) / max(deviation.item(), floor)
    return standardised


def add_noise(images: ArrayLike, *, sigma: float, seed: int) -> NDArray[Any]:
    """Add Gaussian noise to every pixel, independently in each channel.

    Parameters
    ----------
    images : array_like of uint8 or float32, shape (n, height, width, 1 or 3)
        In 0..255.
    sigma : float
        The standard deviation of the noise in grey levels, 0 or more.
    seed : int
        Of the draw.

    Returns
    -------
    ndarray of the same dtype and shape
        In 0..255: clipped, and for uint8 rounded to the nearest grey level (halves to even).

    Raises
    ------
    ConfigurationError
        If `images` is not such a batch or leaves 0..255, or `sigma` is negative or not finite.

    Examples
    --------
    >>> images = np.full((2, 48, 48, 1), 128, dtype=np.uint8)
    >>> noisy = add_noise(images, sigma=10, seed=0)
    >>> round(float(noisy.std()))
    10
    """
    batch = as_pixels(images)
    if not 0 <= sigma < np.inf:
        raise ConfigurationError(f"sigma={sigma}: expected grey levels, 0 or more")
    noise = np.random.default_rng(seed).standard_normal(batch.shape, dtype=np.float32)
    noisy = np.clip(batch + np.float32(sigma) * noise, 0, 255)
    return (np.rint(noisy) if batch.dtype == np.uint8 else noisy).astype(batch.dtype)


def equalise(images: ArrayLike) -> NDArray[np.uint8]:
    """Equalise each image's histogram, so that its grey levels are used evenly.

    Colour images are equalised in their luma (the Y of OpenCV's YCrCb) and keep their chroma, up
    to rounding and to what has to be clipped. A constant image stays as it is.

    Parameters
    ----------
    images : array_like of uint8, shape (n, height, width, 1 or 3)
        In 0..255.

    Returns
    -------
    ndarray of uint8, of the same shape
        In 0..255.

    Raises
    ------
    ConfigurationError
        If `images` is not such a batch of uint8.

    Examples
    --------
    >>> dark = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    >>> equalised = equalise(dark)
    >>> int(equalised.min()), int(equalised.max())
    (0, 255)
    """
    batch = as_batch(images)
    if batch.dtype != np.uint8:
        raise ConfigurationError(f"images of {batch.dtype}: expected uint8 to equalise them")
    equalised = np.empty_like(batch)
    for image, new in zip(batch, equalised, strict=True):
        if image.shape[-1] == 1:
            new[..., 0] = cv2.equalizeHist(np.ascontiguousarray(image[..., 0]))
        else:
            luma_chroma = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2YCrCb)
            luma_chroma[..., 0] = cv2.equalizeHist(np.ascontiguousarray(luma_chroma[..., 0]))
            new[...] = cv2.cvtColor(luma_chroma, cv2.COLOR_YCrCb2RGB)
    return equalised


def as_batch(images: ArrayLike) -> NDArray[Any]:
    batch = np.asarray(images)
    fits = batch.ndim == 4 and batch.shape[-1] in (1, 3) and min(batch.shape[1:]) > 0
    if not fits or batch.dtype not in (np.uint8, np.float32):
        raise ConfigurationError(
            f"images of {batch.dtype} and shape {batch.shape}: expected uint8 or float32 "
            "of shape (n, height, width, 1 or 3)"
        )
    return batch


def as_pixels(images: ArrayLike) -> NDArray[Any]:
    batch = as_batch(images)
    if batch.dtype != np.uint8 and batch.size:
        low, high = batch.min(), batch.max()
        if not 0 <= low <= high <= 255:  # also refuses NaN
            raise ConfigurationError(f"pixels from {low} to {high}: expected 0 to 255")
    return batch


def _as_size(size: int | Sequence[int]) -> tuple[int, int]:
    sides = np.atleast_1d(np.asarray(size))
    if sides.shape not in ((1,), (2,)) or sides.dtype.kind not in "iu" or sides.min() < 1:
        raise ConfigurationError(
            f"size={size!r}: expected a positive integer or a (height, width) of them"
        )
    return int(sides[0]), int(sides[-1])

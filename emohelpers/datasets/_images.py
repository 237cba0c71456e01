"""Decode one image file, of any common kind, to 8-bit pixels."""

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from emohelpers.errors import ImageError

__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "MIN_SIDE", "decode", "fit", "from_16_bits"]

IMAGE_SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".bmp",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
    ".pgm",
    ".ppm",
)
"""The ends of the file names that loaders take for images."""

# Pillow opens many more, one of them (EPS) by starting another program.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")

MIN_SIDE = 8
"""The shortest side of an image in pixels: nobody can read a face from fewer."""

MAX_PIXELS = 50_000_000
"""The most pixels of an image: a photo from a 50-megapixel camera, 150 MB once decoded."""


def decode(
    data: bytes,
    *,
    where: str,
    color: bool | None = None,
    size: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Decode an image file to 8-bit grey or RGB pixels.

    The rotation in its EXIF data is applied; 16 bits a channel become 8; palettes and CMYK become
    RGB; whatever is transparent is laid over white, as a browser shows it; of an animation the
    first picture is taken. Grey is the luma of ITU-R BT.601, as in Pillow and OpenCV.

    Parameters
    ----------
    data : bytes
        The contents of a PNG, JPEG, BMP, GIF, WebP, TIFF, PGM or PPM file.
    where : str
        What to call the file in an error.
    color : bool, optional
        True for 3 channels (red, green, blue), False for 1 (grey), None for what the file has.
    size : tuple of int, optional
        Height and width to resize to (Lanczos); None leaves the file's own.

    Returns
    -------
    ndarray of uint8, shape (height, width, channels)
        Pixels in 0..255.

    Raises
    ------
    ImageError
        If the file is empty, not an image, cut short or damaged, smaller than `MIN_SIDE` on a
        side or larger than `MAX_PIXELS`.

    Examples
    --------
    >>> picture = Image.new("RGB", (20, 10), "white")
    >>> file = io.BytesIO()
    >>> picture.save(file, "PNG")
    >>> decode(file.getvalue(), where="white.png", color=False, size=(8, 16)).shape
    (8, 16, 1)
    """
    if not data:
        raise ImageError(f"{where} is empty: expected an image")
    try:
        with warnings.catch_warnings():
            # Sizes are checked below; Pillow would only warn of some of them.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(data), formats=_FORMATS)
            _check_size(image.size, where)
            image.load()
        image = _eight_bits(ImageOps.exif_transpose(image), where, color)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"{where}: {error}; expected at most {MAX_PIXELS:,} pixels") from error
    except UnidentifiedImageError:
        raise ImageError(
            f"{where} is not an image: it begins with {data[:8]!r}; expected one of "
            f"{', '.join(_FORMATS)}"
        ) from None
    except Exception as error:  # damaged data makes decoders raise almost anything
        raise ImageError(f"{where} is damaged or cut short: {error}") from error
    return _pixels(image, size)


def fit(
    images: NDArray[np.uint8], *, color: bool | None = None, size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Bring pixels that are already decoded to a size and a number of channels, as `decode` does.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width, channels)
        Pixels in 0..255; 1 or 3 channels.
    color : bool, optional
        True for 3 channels, False for 1, None for as many as they have.
    size : tuple of int, optional
        Height and width to resize to (Lanczos); None leaves their own.

    Returns
    -------
    ndarray of uint8, shape (n, height, width, channels)
        Pixels in 0..255; the same array if there is nothing to do.
    """
    channels = images.shape[3] if color is None else 3 if color else 1
    if images.shape[3] == channels and size in (None, images.shape[1:3]):
        return images
    mode = "L" if channels == 1 else "RGB"
    flat = images[..., 0] if images.shape[3] == 1 else images
    return np.stack([_pixels(Image.fromarray(image).convert(mode), size) for image in flat])


def _pixels(image: Image.Image, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    if size is not None and image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.LANCZOS)
    pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], -1)


def _check_size(size: tuple[int, int], where: str) -> None:
    """Refuse by the size in the header, before anything is decoded."""
    width, height = size
    if min(size) < MIN_SIDE or width * height > MAX_PIXELS:
        raise ImageError(
            f"{where} is {width}x{height} pixels: expected at least {MIN_SIDE} on each side and "
            f"at most {MAX_PIXELS:,} together"
        )


def _eight_bits(image: Image.Image, where: str, color: bool | None) -> Image.Image:
    """Convert any mode to L or RGB."""
    if image.mode.startswith("I"):
        image = _from_16_bits(image, where)
    elif image.mode == "F":
        raise ImageError(f"{where} holds floating-point pixels: expected 8 or 16 bits")
    if color is None:
        color = image.mode not in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        image = Image.alpha_composite(white, over).convert("RGB")
    elif image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")
    return image.convert("RGB" if color else "L")


def _from_16_bits(image: Image.Image, where: str) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(
            f"{where} holds pixels from {values.min()} to {values.max()}: expected 8 or 16 bits"
        )
    return Image.fromarray(from_16_bits(values))


def from_16_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Map 0..65535 onto 0..255, the ends onto the ends: 65535 = 255 * 257."""
    return ((values.astype(np.int64) + 128) // 257).astype(np.uint8)

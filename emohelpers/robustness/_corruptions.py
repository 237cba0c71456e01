"""What cameras and their keepers do to pictures, in five severities."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.preprocessing import resize
from emohelpers.preprocessing._steps import as_batch

__all__ = ["CORRUPTIONS", "SEVERITIES", "STRENGTHS", "corrupt", "corrupt_some"]

Pixels = NDArray[np.uint8]

SEVERITIES = (1, 2, 3, 4, 5)

# ImageNet-C's strengths are made for 224 pixels, CIFAR-10-C's for 32; these were set in their
# spirit for 48, before any network was scored. Lengths are in pixels of an image 48 pixels high.
STRENGTHS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "gaussian_blur": (0.6, 0.9, 1.3, 1.8, 2.5),
        "defocus_blur": (1.0, 1.5, 2.0, 2.7, 3.5),
        "motion_blur": (3, 5, 7, 9, 13),
        "gaussian_noise": (8, 14, 22, 32, 45),
        "shot_noise": (250, 100, 50, 25, 12),
        "jpeg": (50, 30, 20, 12, 7),
        "dark": (0.7, 0.5, 0.35, 0.22, 0.12),
        "low_contrast": (0.75, 0.5, 0.35, 0.2, 0.1),
        "occlusion": (0.2, 0.3, 0.4, 0.5, 0.6),
        "shift": (2, 4, 6, 8, 12),
        "rotation": (5, 10, 15, 22.5, 30),
        "low_resolution": (32, 24, 16, 12, 8),
    }
)
"""How strong each corruption is in each severity.

``gaussian_blur``: standard deviation in pixels; ``defocus_blur``: radius of the disc, pixels;
``motion_blur``: length of the way, pixels; ``gaussian_noise``: standard deviation, grey levels;
``shot_noise``: photons that a white pixel catches; ``jpeg``: quality; ``dark``: share of the light
that is left; ``low_contrast``: share of the contrast that is left; ``occlusion``: side of the block
as a share of the image's; ``shift``: pixels; ``rotation``: degrees; ``low_resolution``: pixels that
are left of 48. Pixels are those of an image 48 pixels high; others are changed in proportion.
"""


def _gaussian_blur(images: Pixels, strength: float, _: np.random.Generator) -> Pixels:
    sigma = strength * images.shape[1] / 48
    return _each(images, lambda image, _: cv2.GaussianBlur(image, (0, 0), sigma))


def _defocus_blur(images: Pixels, strength: float, _: np.random.Generator) -> Pixels:
    radius = strength * images.shape[1] / 48
    reach = int(np.ceil(radius))
    # Each pixel of the kernel counts by the share of it that the disc covers.
    fine = (np.arange(-8 * reach - 4, 8 * reach + 4) + 0.5) / 8
    disc = (fine[:, None] ** 2 + fine**2 <= radius**2).astype(np.float64)
    kernel = disc.reshape(2 * reach + 1, 8, 2 * reach + 1, 8).sum(axis=(1, 3))
    kernel /= kernel.sum()
    return _each(images, lambda image, _: cv2.filter2D(image, -1, kernel))


def _motion_blur(images: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    length = strength * images.shape[1] / 48
    angles = rng.uniform(0, np.pi, len(images))
    return _each(images, lambda image, k: cv2.filter2D(image, -1, _way(length, float(angles[k]))))


def _way(length: float, angle: float) -> NDArray[np.float64]:
    """Return the kernel of a straight way through its middle."""
    reach = int(np.ceil(length / 2))
    kernel = np.zeros((2 * reach + 3, 2 * reach + 3))
    at = np.linspace(-length / 2, length / 2, 16 * reach + 1)
    x, y = reach + 1 + at * np.cos(angle), reach + 1 + at * np.sin(angle)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, below = x - left, y - top
    for rows, columns, share in (
        (top, left, (1 - below) * (1 - right)),
        (top, left + 1, (1 - below) * right),
        (top + 1, left, below * (1 - right)),
        (top + 1, left + 1, below * right),
    ):
        np.add.at(kernel, (rows, columns), share)
    return kernel / kernel.sum()


def _gaussian_noise(images: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    return _whole(images + strength * rng.standard_normal(images.shape, dtype=np.float32))


def _shot_noise(images: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    return _whole(rng.poisson(images * (strength / 255)) * (255 / strength))


def _jpeg(images: Pixels, strength: float, _: np.random.Generator) -> Pixels:
    def store(image: Pixels, _: int) -> Any:
        # OpenCV stores blue first.
        stored = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(strength)])
        back = cv2.imdecode(stored[1], cv2.IMREAD_UNCHANGED)
        assert back is not None
        return back.reshape(image.shape)[..., ::-1]

    return _each(images, store)


def _dark(images: Pixels, strength: float, _: np.random.Generator) -> Pixels:
    return _whole(images * np.float32(strength))


def _low_contrast(images: Pixels, strength: float, _: np.random.Generator) -> Pixels:
    mean = images.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    return _whole(mean + strength * (images - mean))


def _occlusion(images: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    height, width = images.shape[1:3]
    block = round(strength * height), round(strength * width)
    # A share of the room that is left: a larger block covers what a smaller one covered.
    top, left = (
        np.rint(rng.random(len(images)) * (side - covered)).astype(int)
        for side, covered in zip((height, width), block, strict=True)
    )
    covered = images.copy()
    for image, y, x in zip(covered, top, left, strict=True):
        image[y : y + block[0], x : x + block[1]] = 128
    return covered


def _shift(images: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    angles = rng.uniform(0, 2 * np.pi, len(images))
    # Whole pixels: otherwise interpolation would blur, too.
    x, y = (
        np.rint(strength * images.shape[1] / 48 * wave(angles)).astype(int)
        for wave in (np.cos, np.sin)
    )
    height, width = images.shape[1:3]
    rows = np.clip(np.arange(height) - y[:, None], 0, height - 1)
    columns = np.clip(np.arange(width) - x[:, None], 0, width - 1)
    return images[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]


def _rotation(images: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    height, width = images.shape[1:3]
    sides = np.where(rng.random(len(images)) < 0.5, -strength, strength)

    def turn(image: Pixels, k: int) -> Any:
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), float(sides[k]), 1)
        return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)

    return _each(images, turn)


def _low_resolution(images: Pixels, strength: float, _: np.random.Generator) -> Pixels:
    height, width = images.shape[1:3]
    small = [max(1, round(side * strength / 48)) for side in (height, width)]
    return resize(resize(images, small), (height, width))


def _each(images: Pixels, change: Callable[[Pixels, int], Any]) -> Pixels:
    changed = np.empty_like(images)
    for k, image in enumerate(images):
        # OpenCV drops an only channel.
        changed[k] = change(np.ascontiguousarray(image), k).reshape(image.shape)
    return changed


def _whole(pixels: NDArray[Any]) -> Pixels:
    return np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)


_CHANGES: dict[str, Callable[[Pixels, float, np.random.Generator], Pixels]] = {
    "gaussian_blur": _gaussian_blur,
    "defocus_blur": _defocus_blur,
    "motion_blur": _motion_blur,
    "gaussian_noise": _gaussian_noise,
    "shot_noise": _shot_noise,
    "jpeg": _jpeg,
    "dark": _dark,
    "low_contrast": _low_contrast,
    "occlusion": _occlusion,
    "shift": _shift,
    "rotation": _rotation,
    "low_resolution": _low_resolution,
}


def corrupt(images: ArrayLike, name: str, severity: int, *, seed: int = 0) -> Pixels:
    """Make images worse in one way, as cameras do.

    The kinds are those of ImageNet-C (Hendrycks and Dietterich 2019) that happen to photographs of
    faces, with others that detectors and people add: occlusion by a grey block, shift, rotation.
    Strengths are adapted to small images, see `STRENGTHS`: figures do not compare with those on
    ImageNet-C. What comes into view at an edge repeats it.

    Parameters
    ----------
    images : array_like of uint8, shape (n, height, width, 1 or 3)
        In 0..255; not changed.
    name : str
        One of `CORRUPTIONS`.
    severity : int
        1 to 5.
    seed : int
        Of what is drawn for each image: noise, the place of the block, a direction. The same seed
        draws the same in every severity.

    Returns
    -------
    ndarray of uint8, of the same shape
        In 0..255.

    Raises
    ------
    ConfigurationError
        If `images` is not such a batch, or the corruption or severity is not known.

    References
    ----------
    D. Hendrycks and T. Dietterich (2019), Benchmarking Neural Network Robustness to Common
    Corruptions and Perturbations, ICLR, https://arxiv.org/abs/1903.12261.

    Examples
    --------
    >>> faces = np.full((2, 48, 48, 1), 200, dtype=np.uint8)
    >>> corrupt(faces, "dark", 2)[0, 0, 0].tolist()
    [100]
    """
    batch = as_batch(images)
    if batch.dtype != np.uint8:
        raise ConfigurationError(f"images of {batch.dtype}: expected uint8 in 0..255")
    if name not in _CHANGES:
        raise ConfigurationError(f"no corruption {name!r}: expected one of {', '.join(_CHANGES)}")
    if severity not in SEVERITIES:
        raise ConfigurationError(f"severity={severity!r}: expected 1 to 5")
    if not len(batch):
        return batch.copy()
    return _CHANGES[name](batch, STRENGTHS[name][severity - 1], np.random.default_rng(seed))


def _named(name: str, images: ArrayLike, severity: int, seed: int = 0) -> Pixels:
    return corrupt(images, name, severity, seed=seed)


CORRUPTIONS: Mapping[str, Callable[..., Pixels]] = MappingProxyType(
    {name: partial(_named, name) for name in _CHANGES}
)
"""Each corruption by its name: a function of images, severity and seed; see `corrupt`."""


def corrupt_some(
    images: ArrayLike,
    *,
    share: float = 0.5,
    names: Sequence[str] = tuple(CORRUPTIONS),
    seed: int = 0,
) -> Pixels:
    """Corrupt some of the images, each in a way and a severity of its own, to train on them.

    Parameters
    ----------
    images : array_like of uint8, shape (n, height, width, 1 or 3)
        In 0..255; not changed.
    share : float
        The chance of each image to be corrupted, 0..1.
    names : sequence of str
        Of the corruptions to draw from.
    seed : int
        Of the draw.

    Returns
    -------
    ndarray of uint8, of the same shape
        In 0..255.

    Raises
    ------
    ConfigurationError
        If `images` is not such a batch, `share` lies outside 0..1, or a name is not known.

    Examples
    --------
    >>> faces = np.full((4, 48, 48, 1), 200, dtype=np.uint8)
    >>> changed = corrupt_some(faces, share=1, names=["dark"])
    >>> sorted({image.item(0) < 200 for image in changed})
    [True]
    """
    if not 0 <= share <= 1 or not len(names):
        raise ConfigurationError(
            f"share={share} of {len(names)} corruptions: expected 0 to 1, and one or more"
        )
    changed = as_batch(images).copy()
    rng = np.random.default_rng(seed)
    chosen = rng.random(len(changed)) < share
    kinds = rng.integers(0, len(names), len(changed))
    severities = rng.integers(1, 1 + len(SEVERITIES), len(changed))
    for kind, name in enumerate(names):
        for severity in SEVERITIES:
            rows = np.flatnonzero(chosen & (kinds == kind) & (severities == severity))
            changed[rows] = corrupt(changed[rows], name, severity, seed=int(rng.integers(0, 2**31)))
    return changed

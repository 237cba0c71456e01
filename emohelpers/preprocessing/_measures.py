"""Batches in numbers: what a step does to pixels, and how good the images are."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from emohelpers.errors import ConfigurationError
from emohelpers.preprocessing._steps import as_batch, as_pixels, to_grey

__all__ = ["image_quality", "summarise"]

# Images are read in blocks so that a whole memory-mapped set never stands in memory.
_BLOCK = 256


def summarise(batches: Mapping[str, ArrayLike]) -> pd.DataFrame:
    """Put batches side by side in numbers, for instance before and after a step.

    Parameters
    ----------
    batches : mapping of str to array_like of uint8 or float32, (n, height, width, 1 or 3)
        In any value range, n at least 1.

    Returns
    -------
    DataFrame
        A row for each batch: ``shape``, ``dtype``, the ``min``, ``max`` and ``mean`` of its pixels
        and the ``bytes`` of one image.

    Raises
    ------
    ConfigurationError
        If one is not such a batch.

    Examples
    --------
    >>> from emohelpers.preprocessing import scale
    >>> faces = np.full((2, 48, 48, 1), 51, dtype=np.uint8)
    >>> table = summarise({"pixels": faces, "scaled": scale(faces)})
    >>> table["dtype"].to_list(), table["bytes"].to_list()
    (['uint8', 'float32'], [2304, 9216])
    """
    rows = {name: _measures(images, name) for name, images in batches.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def _measures(images: ArrayLike, name: str) -> dict[str, object]:
    batch = as_batch(images)
    if not len(batch):
        raise ConfigurationError(f"{name}: no images of shape {batch.shape}: expected at least one")
    return {
        "shape": batch.shape,
        "dtype": str(batch.dtype),
        "min": float(batch.min()),
        "max": float(batch.max()),
        "mean": float(batch.mean(dtype=np.float64)),
        "bytes": batch[0].nbytes,
    }


def image_quality(images: Any) -> pd.DataFrame:
    """Measure light, contrast and sharpness of each image.

    They depend on who is shown as well as on the camera: darker skin has less brightness in the
    same light. Colour images are measured on their luma, see `to_grey`.

    Parameters
    ----------
    images : array_like or ImageRows of uint8 or float32, shape (n, height, width, 1 or 3)
        In 0..255; read in blocks. Scores of images of different sizes do not compare.

    Returns
    -------
    DataFrame
        A row for each image: ``brightness``, the mean in grey levels, 0..255; ``contrast``, the
        standard deviation in grey levels, 0..127.5 (root mean square contrast, Peli 1990);
        ``sharpness``, the variance of the Laplacian, 0 or more (Pech-Pacheco et al. 2000), which
        noise raises too.

    Raises
    ------
    ConfigurationError
        If `images` is not such a batch or leaves 0..255.

    References
    ----------
    E. Peli (1990), Contrast in Complex Images, Journal of the Optical Society of America A 7(10).
    J. L. Pech-Pacheco et al. (2000), Diatom Autofocusing in Brightfield Microscopy: a Comparative
    Study, ICPR.

    Examples
    --------
    >>> flat = np.full((1, 48, 48, 1), 90, dtype=np.uint8)
    >>> image_quality(flat).iloc[0].tolist()
    [90.0, 0.0, 0.0]
    """
    rows = []
    for start in range(0, len(images), _BLOCK):
        for image in to_grey(as_pixels(images[start : start + _BLOCK])):
            mean, deviation = cv2.meanStdDev(image)
            edges = cv2.meanStdDev(cv2.Laplacian(np.ascontiguousarray(image), cv2.CV_64F))[1]
            rows.append((mean.item(), deviation.item(), edges.item() ** 2))
    return pd.DataFrame(rows, columns=["brightness", "contrast", "sharpness"], dtype=float)

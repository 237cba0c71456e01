"""Find images that show the same photograph, though not with the same pixels."""

from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.errors import ConfigurationError

__all__ = ["near_duplicates"]

_SIDE = 32
# Light that falls over a whole face makes strangers alike: only finer structure is compared.
_BLUR = 2.0
_ROWS = 1024


def near_duplicates(images: Any, *, similarity: float = 0.75) -> pd.DataFrame:
    """List the pairs of images that look like copies of one photograph.

    Each image is reduced to 32x32 grey pixels less their blurred version (a Gaussian of two
    pixels); compared is the correlation of what is left. Copies that were scaled, compressed or
    brightened anew are found, mirrored and strongly cropped ones are not.

    Parameters
    ----------
    images : array_like of uint8, shape (n, height, width, channels)
        Pixels in 0..255; read one after the other, so a memory map of any size will do.
    similarity : float
        The correlation from which on two images count as copies, in (0, 1]. Among the 13,690
        images of facial_expressions no pair of strangers reaches .75, and of pairs under two
        names the last true copies lie at .74 (looked at by eye).

    Returns
    -------
    DataFrame
        A row for each pair, in order: ``first`` and ``second``, positions with ``first`` below
        ``second``, and ``similarity``, in 0..1. An image of a single grey is like no other.

    Raises
    ------
    ConfigurationError
        If `similarity` is out of its range.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = np.array(datasets.make_faces(4, seed=0).images)
    >>> brighter = np.minimum(faces[2:3].astype(int) + 10, 255).astype(np.uint8)
    >>> near_duplicates(np.concatenate([faces, brighter]))[["first", "second"]].to_numpy().tolist()
    [[2, 4]]
    """
    if not 0 < similarity <= 1:
        raise ConfigurationError(f"similarity={similarity}: expected above 0 and up to 1")
    rows = np.array([_structure(image) for image in images], np.float32).reshape(-1, _SIDE**2)
    found = [
        pd.DataFrame({"first": [], "second": []}, dtype="int64").assign(similarity=np.float32(0))
    ]
    for start in range(0, len(rows), _ROWS):
        # Only what comes after it: each pair once.
        products = rows[start : start + _ROWS] @ rows[start:].T
        # Rounding may bring two equal images a little below 1.
        first, second = np.nonzero(products >= similarity - 1e-5)
        after = first < second
        first, second = first[after], second[after]
        found.append(
            pd.DataFrame(
                {
                    "first": first + start,
                    "second": second + start,
                    "similarity": np.minimum(products[first, second], 1),
                }
            )
        )
    return pd.concat(found, ignore_index=True)


def _structure(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the fine structure of an image as a vector of length 1, or 0 where it has none."""
    grey = image[..., 0] if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    fine = (small - cv2.GaussianBlur(small, (0, 0), _BLUR)).ravel()
    fine -= fine.mean()
    length = np.linalg.norm(fine)
    # Less than a grey level at each pixel is rounding, not structure.
    return fine / length if length > _SIDE else np.zeros_like(fine)

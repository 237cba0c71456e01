"""Find identical images, and those of them that stand in more than one split."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["image_digests", "mark_duplicates"]


def image_digests(images: NDArray[np.uint8]) -> list[bytes]:
    """Hash each image.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width, channels)
        Pixels in 0..255.

    Returns
    -------
    list of bytes, length n
        Equal where the pixels are, and nowhere else (SHA-256).

    Examples
    --------
    >>> first, second, third = image_digests(np.array([[[[1]]], [[[2]]], [[[1]]]], np.uint8))
    >>> first == third, first == second
    (True, False)
    """
    pixels = np.ascontiguousarray(images).reshape(-1).data
    step = len(pixels) // max(len(images), 1)
    return [
        hashlib.sha256(pixels[row * step : (row + 1) * step]).digest() for row in range(len(images))
    ]


def mark_duplicates(digests: Sequence[bytes], splits: Sequence[object]) -> pd.DataFrame:
    """Mark images that are identical to others.

    Parameters
    ----------
    digests : sequence of bytes, length n
        Equal where images are (see `image_digests`).
    splits : sequence, length n
        The split of each image; those without one count as one split.

    Returns
    -------
    DataFrame of n rows
        ``duplicate_of`` (Int64): the position of the first identical image; missing in the first
        one itself. ``leaks`` (bool): whether an identical image stands in another split.

    Examples
    --------
    >>> mark_duplicates([b"a", b"b", b"a"], ["train", "train", "test"])
       duplicate_of  leaks
    0          <NA>   True
    1          <NA>  False
    2             0   True
    """
    codes, _ = pd.factorize(np.array(digests, dtype=object))
    split_codes, _ = pd.factorize(np.array(splits, dtype=object))
    _, first = np.unique(codes, return_index=True)
    original = first[codes]
    pairs = pd.DataFrame({"image": codes, "split": split_codes}).drop_duplicates()
    splits_of_image = np.bincount(pairs["image"])
    duplicate_of = pd.Series(original, dtype="Int64").mask(original == np.arange(len(codes)))
    return pd.DataFrame({"duplicate_of": duplicate_of, "leaks": splits_of_image[codes] > 1})

"""Find identical images, and those of them that stand in more than one split."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["find_leaks", "image_digests", "mark_duplicates", "select_duplicates"]


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
    leaks = _in_several(codes, splits)
    return pd.DataFrame({"duplicate_of": _first_of_its_kind(codes), "leaks": leaks})


def find_leaks(duplicate_of: "pd.Series[int]", splits: Sequence[object]) -> NDArray[np.bool_]:
    """Say which images have an identical one in another split.

    Parameters
    ----------
    duplicate_of : Series of Int64, length n
        As `mark_duplicates` makes it.
    splits : sequence, length n
        The split of each image, for instance after it was drawn anew.

    Returns
    -------
    ndarray of bool, shape (n,)

    Examples
    --------
    >>> find_leaks(pd.Series([None, None, 0], dtype="Int64"), ["train", "test", "test"])
    array([ True, False,  True])
    """
    return _in_several(_kinds(duplicate_of), splits)


def select_duplicates(duplicate_of: "pd.Series[int]", rows: NDArray[np.int64]) -> "pd.Series[int]":
    """Say for some of the images which of them repeat an earlier one of them.

    Parameters
    ----------
    duplicate_of : Series of Int64, length n
        As `mark_duplicates` makes it.
    rows : ndarray of int64, shape (m,)
        Positions of the selected images.

    Returns
    -------
    Series of Int64, length m
        Positions among the selected images.

    Examples
    --------
    >>> marks = pd.Series([None, None, 0, 0], dtype="Int64")
    >>> select_duplicates(marks, np.array([1, 2, 3])).tolist()
    [<NA>, <NA>, 1]
    """
    return _first_of_its_kind(_kinds(duplicate_of)[rows])


def _kinds(duplicate_of: "pd.Series[int]") -> NDArray[np.int64]:
    """Return a number for each image, equal where the images are."""
    own = pd.Series(np.arange(len(duplicate_of)), dtype="Int64")
    return np.asarray(duplicate_of.reset_index(drop=True).fillna(own), dtype=np.int64)


def _in_several(kinds: NDArray[np.int64], splits: Sequence[object]) -> NDArray[np.bool_]:
    """Say which images are of a kind that stands in more than one split."""
    split_codes, _ = pd.factorize(np.array(splits, dtype=object))
    pairs = pd.DataFrame({"image": kinds, "split": split_codes}).drop_duplicates()
    splits_of_image = np.bincount(pairs["image"])
    return splits_of_image[kinds] > 1


def _first_of_its_kind(kinds: NDArray[np.int64]) -> "pd.Series[int]":
    """Return the position of the first equal value; missing where it is the value itself."""
    _, first, which = np.unique(kinds, return_index=True, return_inverse=True)
    original = first[which]
    return pd.Series(original, dtype="Int64").mask(original == np.arange(len(kinds)))

"""Rows of a large memory map, read from its file so that they do not stay in memory."""

import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emohelpers.datasets._base import ImageRows
from emohelpers.errors import CacheError

__all__ = ["RowFile", "row_file"]

# What is read through a map counts as the process's memory until the system runs short of it. Up
# to this much may.
_MAY_STAY = 128 * 2**20


class RowFile:
    """The file behind a memory map.

    Parameters
    ----------
    images : memmap of uint8, shape (n, height, width, channels)
        Contiguous, and the same as its file.
    mapping : mmap.mmap
        That it lies in.
    """

    def __init__(self, images: np.memmap[Any, Any], mapping: mmap.mmap) -> None:
        self._path = Path(images.filename or "")
        self._shape = images.shape[1:]
        self._row_bytes = int(np.prod(self._shape))
        begins = images.offset - images.offset % mmap.ALLOCATIONGRANULARITY
        within = images.ctypes.data - np.frombuffer(mapping, np.uint8).ctypes.data
        self._offset = begins + within
        self._identity = _identity(self._path.stat())

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8] | None:
        """Read some rows.

        Parameters
        ----------
        rows : ndarray of int64, shape (k,)
            Of the images, in any order; those that follow each other are read at once.

        Returns
        -------
        ndarray of uint8, shape (k, height, width, channels), or None
            None where the file has gone, or another stands in its place: the map still has it.

        Raises
        ------
        CacheError
            If the file has become shorter than the map.
        """
        images = np.empty((len(rows), *self._shape), np.uint8)
        if not images.size:
            return images
        try:
            file = os.open(self._path, os.O_RDONLY)
        except OSError:
            return None
        try:
            if _identity(os.fstat(file)) != self._identity:
                return None
            view = images.data.cast("B")
            firsts = np.flatnonzero(np.diff(rows, prepend=rows[0] - 2) != 1)
            for first, end in zip(firsts, [*firsts[1:], len(rows)], strict=True):
                part = view[first * self._row_bytes : end * self._row_bytes]
                self._fill(file, part, self._offset + int(rows[first]) * self._row_bytes)
        finally:
            os.close(file)
        return images

    def _fill(self, file: int, view: memoryview, place: int) -> None:
        while view:
            read = os.preadv(file, [view], place)
            if not read:
                raise CacheError(
                    f"{self._path} ends at byte {place}, before its last image: remove the cache, "
                    "so that it is built anew"
                )
            view, place = view[read:], place + read


def row_file(images: Any) -> RowFile | None:
    """Return the file to read images from, where there is a way and a need to.

    Parameters
    ----------
    images : ndarray or ImageRows of uint8, shape (n, height, width, channels)
        Of an `ImageRows`, the file holds the rows of its ``base``.

    Returns
    -------
    RowFile or None
        None where the images are to be indexed: they lie in memory, are few (128 MiB), may differ
        from the file, or the system has no way to read at a place (Windows).

    Examples
    --------
    >>> row_file(np.zeros((2, 48, 48, 1), dtype=np.uint8)) is None
    True
    """
    mapped = images.base if isinstance(images, ImageRows) else images
    if not (isinstance(mapped, np.memmap) and hasattr(os, "preadv")):
        return None
    # What was changed in a map of the mode "c" is not in the file.
    if mapped.nbytes <= _MAY_STAY or mapped.mode == "c" or not mapped.flags.c_contiguous:
        return None
    mapping: Any = mapped
    while isinstance(mapping, np.ndarray):
        mapping = mapping.base
    named = mapped.filename is not None and Path(mapped.filename).exists()
    return RowFile(mapped, mapping) if named and isinstance(mapping, mmap.mmap) else None


def _identity(file: os.stat_result) -> tuple[int, int]:
    return file.st_dev, file.st_ino

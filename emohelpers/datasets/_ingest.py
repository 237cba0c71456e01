"""What the loaders of image files share: what to do with bad ones, batches."""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.datasets._archives import Source
from emohelpers.datasets._cache import ImageWriter
from emohelpers.datasets._duplicates import image_digests
from emohelpers.datasets._images import decode, fit
from emohelpers.errors import (
    ArchiveError,
    EmohelpersError,
    ImageError,
    MissingPathError,
)

__all__ = ["Faults", "missing_splits", "write_images"]

_BATCH_BYTES = 16 * 2**20


class Faults:
    """What is wrong with single rows or files: raised at once, or collected.

    Parameters
    ----------
    on_error : {"raise", "skip"}
        Which of the two.

    Examples
    --------
    >>> faults = Faults("skip")
    >>> faults.add("row 3", ImageError("row 3 is no image"))
    >>> faults.skipped
    [('row 3', 'row 3 is no image')]
    """

    def __init__(self, on_error: Literal["raise", "skip"]) -> None:
        self.on_error = on_error
        self.skipped: list[tuple[str, str]] = []

    def add(self, where: str, error: EmohelpersError) -> None:
        """Raise the error, or note that what stands at a place is left out for it."""
        if self.on_error == "raise":
            raise error
        self.skipped.append((where, str(error)))


def write_images(
    source: Source,
    names: Iterable[str],
    writer: ImageWriter,
    faults: Faults,
    *,
    size: tuple[int, int] | None = None,
    color: bool | None = None,
) -> tuple[list[int], list[bytes]]:
    """Decode images and write them a batch at a time, so that memory stays bounded.

    Parameters
    ----------
    source : Source
        Where they lie.
    names : iterable of str
        Its members, best in the order of `Source.members`: any other is slow in a compressed tar.
        A member that is named twice in a row is written twice.
    writer : ImageWriter
        Takes batches of shape (k, height, width, channels), uint8 in 0..255.
    faults : Faults
        Takes members that can not be read or decoded.
    size : tuple of int, optional
        Height and width; None for those of the first image.
    color : bool, optional
        True for red, green and blue, False for grey, None for what the first image has.

    Returns
    -------
    written : list of int
        The positions in `names` of what was written, in order.
    digests : list of bytes
        Of each written image's pixels as they were before resizing, see `image_digests`.

    Raises
    ------
    EmohelpersError
        Of what can not be read or decoded, unless `faults` collects it.
    """
    written: list[int] = []
    digests: list[bytes] = []
    batch: list[NDArray[np.uint8]] = []

    def flush() -> None:
        writer.append(np.stack(batch))
        batch.clear()

    last: tuple[str, NDArray[np.uint8] | None] = ("", None)
    for position, name in enumerate(names):
        if name != last[0]:
            last = name, _read_image(source, name, faults)
        if last[1] is None:
            continue
        # Before resizing, which can make different images alike.
        digests += image_digests(last[1][None])
        pixels = fit(last[1][None], size=size, color=color)[0]
        size, color = pixels.shape[:2], pixels.shape[2] == 3
        written.append(position)
        batch.append(pixels)
        if len(batch) * pixels.nbytes >= _BATCH_BYTES:
            flush()
    if batch:
        flush()
    return written, digests


def _read_image(source: Source, name: str, faults: Faults) -> NDArray[np.uint8] | None:
    try:
        where = str(PurePosixPath(source.path.name) / name)
        return decode(source.read(name), where=where, size=None, color=None)
    except (ImageError, ArchiveError, MissingPathError) as error:
        faults.add(name, error)
        return None


def missing_splits(n: int) -> pd.Series:
    """Return the ``split`` column of a source that has no splits: `n` missing values."""
    return pd.Series([None] * n, dtype="str")

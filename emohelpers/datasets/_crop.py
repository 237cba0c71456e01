"""Load a data set closer to the faces than its images are."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from emohelpers.datasets._base import FaceDataset
from emohelpers.errors import ConfigurationError

__all__ = ["load_cropped"]


def load_cropped(
    name: str,
    path: str | Path | None,
    *,
    size: tuple[int, int],
    crop: float,
    **options: Any,
) -> FaceDataset:
    """Load a data set, and cut off the same share of each image at its four edges.

    Parameters
    ----------
    name, path, **options
        As for `emohelpers.datasets.load`.
    size : (int, int)
        Height and width of the images after cropping, in pixels.
    crop : float
        The share of the side that is cut off at each edge, 0 to below 0.5, rounded to whole pixels
        of `size`.

    Returns
    -------
    FaceDataset
        Its images are a view of those that were loaded.

    Raises
    ------
    ConfigurationError
        If `crop` is out of its range.
    """
    from emohelpers.datasets import load

    if not 0 <= crop < 0.5:
        raise ConfigurationError(f"crop={crop}: expected a share from 0 to below 0.5")
    height, width = size
    top, left = (round(side * crop / (1 - 2 * crop)) for side in size)
    faces = load(name, path, size=(height + 2 * top, width + 2 * left), **options)
    return replace(faces, images=faces.images[:, top : top + height, left : left + width])

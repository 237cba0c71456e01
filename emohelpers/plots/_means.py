"""The mean image of each class: its numbers, and its figure."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.plots._images import caption, check_length, draw, grid, name_row
from emohelpers.plots._style import SlideFigure, style

__all__ = ["class_means", "mean_faces"]

# Images are read in blocks so that a whole memory-mapped set never stands in memory.
_BLOCK = 256


def class_means(images: Any, labels: ArrayLike, class_names: Sequence[str]) -> NDArray[np.float64]:
    """Return the mean grey image of each class, the numbers that `mean_faces` draws.

    Parameters
    ----------
    images : array or ImageRows of uint8, shape (n, height, width, channels)
        Pixels in 0..255; colour is averaged to grey. They are read in blocks.
    labels : array_like of int, shape (n,)
        Positions in `class_names`; rows with -1 are left out.
    class_names : sequence of str
        The classes.

    Returns
    -------
    ndarray of float64, shape (classes, height, width)
        In 0..255; NaN for a class without images.

    Raises
    ------
    ConfigurationError
        If there are not as many labels as images, or none is labelled.

    Examples
    --------
    >>> images = np.stack([np.full((8, 8, 1), grey, np.uint8) for grey in (10, 20, 90)])
    >>> class_means(images, [0, 0, 1], ["sadness", "happiness"])[:, 0, 0].tolist()
    [15.0, 90.0]
    """
    labels = np.asarray(labels)
    check_length("labels", len(labels), len(images))
    if not (labels >= 0).any():
        raise ConfigurationError("no image has a label: expected at least one")
    sums = np.zeros((len(class_names), *images.shape[1:3]))
    for start in range(0, len(images), _BLOCK):
        block = np.asarray(images[start : start + _BLOCK], dtype=np.float32).mean(axis=-1)
        of_block = labels[start : start + _BLOCK]
        for k in np.unique(of_block[of_block >= 0]):
            sums[k] += block[of_block == k].sum(axis=0, dtype=np.float64)
    counts = np.bincount(labels[labels >= 0], minlength=len(class_names)).astype(float)
    return sums / np.where(counts, counts, np.nan)[:, None, None]


@style()
def mean_faces(images: Any, labels: ArrayLike, class_names: Sequence[str]) -> SlideFigure:
    """Draw the mean image of each class, and below how it differs from the mean of all classes.

    Parameters
    ----------
    images : array or ImageRows of uint8, shape (n, height, width, channels)
        Pixels in 0..255; colour is averaged to grey. They are read in blocks.
    labels : array_like of int, shape (n,)
        Positions in `class_names`; rows with -1 are left out.
    class_names : sequence of str
        The classes; one without images has empty places.

    Returns
    -------
    SlideFigure
        Its last Axes are the scale of the differences, in grey levels.

    Raises
    ------
    ConfigurationError
        If there are not as many labels as images, or none is labelled.

    Examples
    --------
    >>> images = np.stack([np.full((8, 8, 1), 10, np.uint8), np.full((8, 8, 1), 30, np.uint8)])
    >>> figure = mean_faces(images, [0, 1], ["sadness", "happiness"])
    >>> float(figure.axes[2].images[0].get_array().mean())  # sadness lies 10 below the mean
    -10.0
    """
    means = class_means(images, labels, class_names)
    differences = means - np.nanmean(means, axis=0)
    limit = max(float(np.nanmax(np.abs(differences))), 1.0)
    scale = Normalize(-limit, limit)
    figure, axes = grid(2, len(class_names), cell=0.2, more=1.2)
    for k, name in enumerate(class_names):
        caption(axes[0, k], name)
        if np.isnan(means[k]).any():
            continue
        draw(axes[0, k], means[k], (0, 255))
        axes[1, k].imshow(differences[k], norm=scale, cmap="PuOr_r", interpolation="none")
    name_row(axes[0, 0], "mean")
    name_row(axes[1, 0], "minus the\nmean of all")
    colors = ScalarMappable(scale, "PuOr_r")
    bar = figure.colorbar(colors, ax=axes, location="bottom", shrink=0.5, aspect=40)
    bar.set_label("darker than the mean of all classes   |   lighter, in grey levels (of 255)")
    bar.outline.set_visible(False)
    return figure

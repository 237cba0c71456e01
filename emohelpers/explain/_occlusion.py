"""What a network no longer knows when a part of the image is hidden."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.evaluation import predict
from emohelpers.explain._networks import ClassName, prepare

__all__ = ["occlusion"]


def occlusion(
    model: Any,
    images: Any,
    class_name: ClassName = None,
    *,
    class_names: Sequence[str] | None = None,
    patch: int = 10,
    stride: int = 4,
    value: float = 127.5,
) -> NDArray[np.float32]:
    """Hide one place after the other, and see what the probability of a class loses.

    Parameters
    ----------
    model : keras.Model or emohelpers.publishing.SavedModel
        Takes pixels in 0..255; any network, also an average of several.
    images : array_like of uint8, shape (n, height, width, channels)
        In 0..255.
    class_name, class_names
        As in `grad_cam`.
    patch : int
        The side of the square that hides, in pixels.
    stride : int
        How far it goes on each time, in pixels, at most `patch`, so that nothing is never hidden.
    value : float
        Its grey level, in 0..255.

    Returns
    -------
    ndarray of float32, shape (n, height, width)
        By how much the probability falls when a pixel is hidden, the mean of all squares that
        hide it, in -1..1; negative where the class becomes more probable.

    Raises
    ------
    ConfigurationError
        If the images or the class do not fit the network, or the square does not fit the images.

    Notes
    -----
    Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2.
    It needs nothing but the network's answers, one for each square: 121 for 48 x 48 pixels. But a
    grey square is itself something to see, and not nothing.

    Examples
    --------
    >>> from emohelpers import datasets, load_model
    >>> faces = datasets.make_faces(1, seed=0)
    >>> occlusion(load_model(), faces.images, "happiness", patch=24, stride=24).shape
    (1, 48, 48)
    """
    model, pixels, classes = prepare(model, images, class_name, class_names)
    height, width = pixels.shape[1:3]
    if not 1 <= stride <= patch <= min(height, width):
        raise ConfigurationError(
            f"patch={patch}, stride={stride}: expected 1 <= stride <= patch <= "
            f"{min(height, width)}, the shorter side of the images"
        )
    tops, lefts = _starts(height, patch, stride), _starts(width, patch, stride)
    places = [(top, left) for top in tops for left in lefts]
    maps = np.zeros((len(pixels), height, width), np.float64)
    times = np.zeros((height, width))
    for top, left in places:
        times[top : top + patch, left : left + patch] += 1
    whole = predict(model, pixels)[np.arange(len(pixels)), classes]
    for row, (image, place) in enumerate(zip(pixels, classes, strict=True)):
        hidden = np.repeat(image[None], len(places), axis=0)
        for one, (top, left) in zip(hidden, places, strict=True):
            one[top : top + patch, left : left + patch] = value
        lost = whole[row] - predict(model, hidden)[:, place]
        for drop, (top, left) in zip(lost, places, strict=True):
            maps[row, top : top + patch, left : left + patch] += drop
    return (maps / times).astype(np.float32)


def _starts(side: int, patch: int, stride: int) -> list[int]:
    """Return where squares begin; the last one ends at the edge."""
    return [*range(0, side - patch, stride), side - patch]

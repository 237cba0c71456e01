"""Which of a network's last maps speak for a class, and where."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from emohelpers.explain._networks import ClassName, enlarge, halves, of_class, prepare
from emohelpers.models import input_gradients

__all__ = ["grad_cam"]

_BATCH = 256


def grad_cam(
    model: Any,
    images: Any,
    class_name: ClassName = None,
    *,
    class_names: Sequence[str] | None = None,
    layer: str | None = None,
) -> NDArray[np.float32]:
    r"""Draw for each image where a network sees what speaks for a class.

    Parameters
    ----------
    model : keras.Model or emohelpers.publishing.SavedModel
        Takes pixels in 0..255; functional or Sequential, also with other models in it, on any
        backend of Keras.
    images : array_like of uint8, shape (n, height, width, channels)
        In 0..255.
    class_name : str, int, or a sequence of n of them, optional
        The class, by its name or its position: one for all images or one for each. Without it,
        what the network predicts of each.
    class_names : sequence of str, optional
        In the order of the network's outputs. Without it, those of the `SavedModel`, or for 7 or
        8 outputs the first of `emohelpers.datasets.EMOTIONS`.
    layer : str, optional
        Whose maps are looked at, by its name; without it the last that gives maps and does not
        pool them.

    Returns
    -------
    ndarray of float32, shape (n, height, width)
        In 0..1; the highest value of each map is 1. A map is 0 everywhere if nothing in the image
        speaks for the class.

    Raises
    ------
    ConfigurationError
        If the images or the class do not fit the network, it has no such layer, or part of its
        answer does not pass through it, as in an average of networks.

    Notes
    -----
    Grad-CAM (Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via
    gradient-based localization", equations 1 and 2): with :math:`y` the score of the class before
    the softmax and :math:`A^k` the maps of the layer, each map counts by the mean of its
    derivative over all positions,

    .. math:: L = \mathrm{ReLU}\left(\sum_k A^k \, \mathrm{mean}_{ij}
              \frac{\partial y}{\partial A^k_{ij}}\right).

    L has the rows and columns of the layer, 6 by 6 for many networks of this package. It is
    interpolated linearly to the size of the image: finer than that a map does not know.

    Examples
    --------
    >>> from emohelpers import datasets, load_model
    >>> faces = datasets.make_faces(3, seed=0)
    >>> maps = grad_cam(load_model(), faces.images, "happiness")
    >>> maps.shape, float(maps.min()) >= 0, float(maps.max()) <= 1
    ((3, 48, 48), True, True)
    """
    model, pixels, classes = prepare(model, images, class_name, class_names)
    cut = halves(model, layer)
    parts = []
    for start in range(0, len(pixels), _BATCH):
        rows = slice(start, start + _BATCH)
        maps = keras.ops.convert_to_numpy(cut.below(pixels[rows], training=False))
        maps = np.asarray(maps, np.float32)

        def score(features: Any, of: NDArray[np.int64] = classes[rows]) -> Any:
            return of_class(cut.scores(features), of)

        weights = input_gradients(cut.above, maps, score).mean(axis=(1, 2))
        parts.append(np.einsum("nhwk,nk->nhw", maps, weights))
    return enlarge(np.maximum(np.concatenate(parts), 0), pixels.shape[1:3])

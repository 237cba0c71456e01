"""What a network makes of an image before its last layer names a class."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from emohelpers.models._compiled import compiled

__all__ = ["features"]


def features(model: Any, images: Any, *, batch_size: int = 256) -> NDArray[np.float32]:
    """Return what arrives at a network's last layer for each image.

    Parameters
    ----------
    model : keras.Model
        Takes pixels in 0..255; its last layer takes one flat tensor, as those of this package do.
        Dropout before it is off.
    images : array_like of uint8, shape (n, height, width, channels)
        Read a batch at a time, so a memory map of any size will do.
    batch_size : int
        Images in a batch; see `compiled`, which answers them.

    Returns
    -------
    ndarray of float32, shape (n, n_features)
        In the order of the images.

    Raises
    ------
    ConfigurationError
        If the images do not fit the network.

    Examples
    --------
    >>> from emohelpers import datasets, models
    >>> model = models.baseline_cnn(filters=(2, 2, 2), units=4)
    >>> features(model, datasets.make_faces(3, seed=0).images).shape
    (3, 4)
    """
    extract = compiled(keras.Model(model.inputs, model.layers[-1].input), batch_size=batch_size)
    starts = range(0, max(len(images), 1), batch_size)
    return np.concatenate([extract(images[at : at + batch_size]) for at in starts])

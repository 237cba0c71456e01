"""A trained network's readiness to name a class."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from emohelpers.errors import ConfigurationError

__all__ = ["multiply_odds"]


def multiply_odds(model: Any, factors: Sequence[float]) -> None:
    """Make a trained network name some classes more or less readily, and leave all else as it is.

    Where classes are more or less frequent than in training, this is the correction of Saerens,
    Latinne and Decaestecker (2002, "Adjusting the outputs of a classifier to new a priori
    probabilities", Neural Computation 14), with the ratio of the frequencies as factors.

    Parameters
    ----------
    model : keras.Model
        Ends in a dense layer with softmax and a bias, which is changed in place.
    factors : sequence of float, length n_classes
        What the odds of each class are multiplied by, above 0.

    Raises
    ------
    ConfigurationError
        If a factor is not above 0, there is not one for each class, or the network ends otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> from emohelpers import models
    >>> model = models.baseline_cnn((8, 8, 1), 2, filters=(2, 2, 2), units=4)
    >>> before = model.predict(np.zeros((1, 8, 8, 1)), verbose=0)[0]
    >>> multiply_odds(model, [3, 1])
    >>> after = model.predict(np.zeros((1, 8, 8, 1)), verbose=0)[0]
    >>> round(float(after[0] / after[1] / (before[0] / before[1])), 3)
    3.0
    """
    last = model.layers[-1]
    softmax = getattr(last, "activation", None) is keras.activations.softmax
    if not (softmax and getattr(last, "bias", None) is not None):
        raise ConfigurationError(
            f"the network ends in {last.name!r}: expected a dense layer with softmax and a bias"
        )
    values = np.asarray(factors, dtype=np.float64)
    if values.shape != tuple(last.bias.shape) or not (values > 0).all():
        raise ConfigurationError(
            f"factors {list(factors)}: expected {last.bias.shape[0]} numbers above 0"
        )
    last.bias.assign(keras.ops.convert_to_numpy(last.bias) + np.log(values))

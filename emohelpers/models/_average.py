"""Several networks as one."""

from collections.abc import Sequence
from typing import Any

import keras

from emohelpers.errors import ConfigurationError

__all__ = ["average"]


def average(networks: Sequence[Any]) -> Any:
    """Return a network that gives the mean of several networks' outputs.

    Parameters
    ----------
    networks : sequence of keras.Model
        Two or more that take images of one shape and give as many outputs.

    Returns
    -------
    keras.Model
        Shares their weights.

    Raises
    ------
    ConfigurationError
        If there are fewer than two, or they do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from emohelpers import models
    >>> small, large = (models.baseline_cnn(filters=(n, n, n), units=n) for n in (2, 3))
    >>> pixels = np.zeros((1, 48, 48, 1))
    >>> together = average([small, large]).predict(pixels, verbose=0)
    >>> apart = [network.predict(pixels, verbose=0) for network in (small, large)]
    >>> bool(np.allclose(together, np.mean(apart, axis=0), atol=1e-6))
    True
    """
    shapes = {(network.input_shape, network.output_shape) for network in networks}
    if len(networks) < 2 or len(shapes) > 1:
        raise ConfigurationError(
            f"{len(networks)} networks of the shapes {sorted(map(str, shapes))}: expected two or "
            "more with the same input and output"
        )
    inputs = keras.Input(networks[0].input_shape[1:], name="pixels")
    # Networks of one builder share its name, which must not stand twice in a network.
    parts = [
        keras.Model(network.inputs, network.outputs[0], name=f"member{number}")
        for number, network in enumerate(networks, start=1)
    ]
    mean = keras.layers.Average(name="mean", dtype="float32")([part(inputs) for part in parts])
    return keras.Model(inputs, mean, name="average")

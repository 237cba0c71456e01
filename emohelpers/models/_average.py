"""Several networks as one."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from emohelpers.errors import ConfigurationError

__all__ = ["average", "member", "on_top"]


def average(networks: Sequence[Any]) -> Any:
    """Return a network that gives the mean of several networks' outputs.

    Networks that differ in a last dense layer alone, as those of a frozen backbone do, share the
    rest: it is computed and stored once.

    Parameters
    ----------
    networks : sequence of keras.Model
        Two or more that take images of one shape and give as many outputs.

    Returns
    -------
    keras.Model
        Shares their weights; where they differ in a last layer alone, the last layers are copies.

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
    if _differ_in_last_layer(networks):
        below = keras.Model(networks[0].inputs, networks[0].layers[-1].input, name="below")
        return on_top(inputs, [network.layers[-1] for network in networks], below=below)
    # Networks of one builder share its name, which must not stand twice in a network.
    parts = [
        keras.Model(network.inputs, network.outputs[0], name=f"member{number}")
        for number, network in enumerate(networks, start=1)
    ]
    return _mean(inputs, [part(inputs) for part in parts])


def on_top(inputs: Any, heads: Sequence[Any], *, below: Any = None) -> Any:
    """Put copies of a dense layer, or the mean of several, on an input or on a network.

    Parameters
    ----------
    inputs : keras.KerasTensor
        Of the new network.
    heads : sequence of keras.layers.Dense
        Several are called ``member1``, ``member2``, ... in the new network.
    below : keras.Model, optional
        What makes features of the inputs; without it the inputs are the features.

    Returns
    -------
    keras.Model
        Shares the weights of `below` only.
    """
    features = inputs if below is None else below(inputs)
    outputs = []
    for number, head in enumerate(heads, start=1):
        name = f"member{number}" if len(heads) > 1 else head.name
        copy = keras.layers.Dense.from_config({**head.get_config(), "name": name})
        outputs.append(copy(features))
        copy.set_weights(head.get_weights())
    return _mean(inputs, outputs) if len(heads) > 1 else keras.Model(inputs, outputs[0])


def _mean(inputs: Any, outputs: Sequence[Any]) -> Any:
    mean = keras.layers.Average(name="mean", dtype="float32")(outputs)
    return keras.Model(inputs, mean, name="average")


def member(network: Any, number: int) -> Any:
    """Return one of the networks that `average` put together.

    Parameters
    ----------
    network : keras.Model
        What `average` returned, or such a network from a file.
    number : int
        From 1, in their order.

    Returns
    -------
    keras.Model
        Shares its weights.

    Raises
    ------
    ConfigurationError
        If there is no such member.
    """
    names = [layer.name for layer in network.layers]
    if f"member{number}" not in names:
        raise ConfigurationError(
            f"{network.name} has no member {number}: expected the average of as many networks"
        )
    layer = network.get_layer(f"member{number}")
    if isinstance(layer, keras.Model):
        return layer
    return keras.Model(network.inputs, layer.output, name=layer.name)


def _differ_in_last_layer(networks: Sequence[Any]) -> bool:
    """Say whether all have the same layers and weights but for a dense layer at the end."""
    first, *others = networks
    if not all(isinstance(network.layers[-1], keras.layers.Dense) for network in networks):
        return False
    below = first.get_config()["layers"][:-1]
    return all(
        other.get_config()["layers"][:-1] == below
        and all(
            np.array_equal(ours, theirs)
            for ours, theirs in zip(_below(first), _below(other), strict=True)
        )
        for other in others
    )


def _below(network: Any) -> list[Any]:
    last = {id(variable) for variable in network.layers[-1].weights}
    return [
        keras.ops.convert_to_numpy(variable)
        for variable in network.weights
        if id(variable) not in last
    ]

"""How a network's answer changes with what it is given, on any backend."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["input_gradients"]


def input_gradients(
    model: Any, inputs: ArrayLike, objective: Callable[[Any], Any]
) -> NDArray[np.float32]:
    """Differentiate what is said of each input by that input.

    Parameters
    ----------
    model : keras.Model
        Of one input and one output; it is run as for answering, dropout off.
    inputs : array_like, shape (n, ...)
        As the model takes them: images in 0..255, or the output of an inner layer.
    objective : callable
        Takes the model's output, a tensor of shape ``(n, ...)``, and returns a tensor of shape
        ``(n,)``; made of `keras.ops`, so that every backend can differentiate it.

    Returns
    -------
    ndarray of float32, shape of the inputs
        The derivative of each input's own objective.

    Examples
    --------
    >>> square = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x**2)])
    >>> input_gradients(square, [[1.0, 3.0]], lambda output: output[:, 0] + output[:, 1])
    array([[2., 6.]], dtype=float32)
    """
    tensor = keras.ops.convert_to_tensor(np.asarray(inputs, np.float32))

    def total(x: Any) -> Any:
        # Inputs do not touch each other, so the sum has each one's own derivative.
        return keras.ops.sum(objective(model(x, training=False)))

    return np.asarray(
        keras.ops.convert_to_numpy(_BACKENDS[keras.backend.backend()](total, tensor)), np.float32
    )


def _tensorflow(total: Callable[[Any], Any], x: Any) -> Any:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        value = total(x)
    return tape.gradient(value, x)


def _jax(total: Callable[[Any], Any], x: Any) -> Any:
    import jax

    return jax.grad(total)(x)


def _torch(total: Callable[[Any], Any], x: Any) -> Any:
    import torch

    x = x.detach().clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(total(x), x)
    return gradient


_BACKENDS: dict[str, Callable[[Callable[[Any], Any], Any], Any]] = {
    "tensorflow": _tensorflow,
    "jax": _jax,
    "torch": _torch,
}

"""What every builder shares: checks of its arguments, the preparation of pixels, convolutions."""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import keras
from keras import layers

from emohelpers.errors import ConfigurationError
from emohelpers.models._layers import FusedBatchNormalization

__all__ = [
    "average_and_softmax",
    "check_activation",
    "check_penalty",
    "check_shape",
    "check_share",
    "check_widths",
    "convolution",
    "normalise",
    "prepare",
    "softmax",
]


def check_shape(input_shape: Sequence[int], n_classes: int, *, smallest: int) -> None:
    """Refuse an input or a number of classes that a network can not be built for."""
    shape = tuple(input_shape) if isinstance(input_shape, Sequence) else ()
    fits = len(shape) == 3 and _whole(*shape) and min(shape[:2]) >= smallest and shape[2] in (1, 3)
    if not fits:
        raise ConfigurationError(
            f"input_shape={input_shape}: expected (height, width, channels) with a height "
            f"and width of at least {smallest} and 1 or 3 channels"
        )
    if not _whole(n_classes) or n_classes < 2:
        raise ConfigurationError(f"n_classes={n_classes}: expected a whole number, 2 or more")


def check_widths(name: str, widths: Sequence[int], *, count: int | None = None) -> None:
    """Refuse what can not be the widths of layers: not `count` of them, or one below 1."""
    given = tuple(widths)
    if not given or (count not in (None, len(given))) or not _whole(*given) or min(given) < 1:
        raise ConfigurationError(
            f"{name}={given}: expected {count or 'one or more'} numbers of 1 or more, all whole"
        )


def _whole(*values: Any) -> bool:
    return all(isinstance(value, Integral) and not isinstance(value, bool) for value in values)


def check_penalty(l2: float) -> None:
    """Refuse what can not be the weight of an L2 penalty."""
    if not 0 <= l2 < math.inf:
        raise ConfigurationError(f"l2={l2}: expected 0 or more")


def check_activation(name: str) -> None:
    """Refuse what is no activation that Keras knows by name."""
    # Others, such as None, are layers or functions to Keras, which a name is saved in place of.
    try:
        known = isinstance(name, str) and callable(keras.activations.get(name))
    except ValueError:
        known = False
    if not known:
        raise ConfigurationError(
            f"activation={name!r}: expected a name of keras.activations such as 'relu' or 'elu'"
        )


def check_share(name: str, share: float) -> None:
    """Refuse what can not be a share that is dropped."""
    if not 0 <= share < 1 or math.isnan(share):
        raise ConfigurationError(f"{name}={share}: expected a share from 0 to below 1")


def prepare(pixels: Any, *, standardise: bool) -> Any:
    """Bring 0..255 to -1..1, or each image to mean 0 and a standard deviation of about 1."""
    # In float32 whatever the policy: half precision would round grey levels.
    if not standardise:
        return layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name="rescale")(pixels)
    # The floor of 10 grey levels keeps the noise of nearly uniform images small.
    return layers.LayerNormalization(
        axis=(1, 2, 3),
        center=False,
        scale=False,
        epsilon=10.0**2,
        dtype="float32",
        name="standardise",
    )(pixels)


def convolution(
    x: Any, width: int, *, name: str, size: int = 3, strides: int = 1, relu: bool = True
) -> Any:
    """Apply a convolution, batch normalisation and, unless told otherwise, ReLU."""
    x = layers.Conv2D(
        width,
        size,
        strides=strides,
        padding="same",
        use_bias=False,  # the normalisation has one
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return normalise(x, name=name, relu=relu)


def normalise(x: Any, *, name: str, relu: bool = True, momentum: float = 0.9) -> Any:
    """Apply batch normalisation and, unless told otherwise, ReLU."""
    # A momentum of .9 lets the averages follow within an epoch; .99, Keras's own, lags behind.
    x = FusedBatchNormalization(momentum=momentum, epsilon=1e-3, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def softmax(x: Any, n_classes: int) -> Any:
    """End a network in a probability for each class."""
    # Softmax stays in float32 under mixed precision, where half precision loses small shares.
    return layers.Dense(n_classes, activation="softmax", dtype="float32", name="emotion")(x)


def average_and_softmax(x: Any, n_classes: int, *, dropout: float) -> Any:
    """End a network in the average of each map, dropout and a probability for each class."""
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return softmax(layers.Dropout(dropout, name="dropout")(x), n_classes)

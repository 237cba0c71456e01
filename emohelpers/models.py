"""Networks: a function for each, which returns an uncompiled `keras.Model`.

Every network takes raw pixels, 0..255, and scales them itself, so that a saved model needs no
preparation that its user could forget.
"""

from collections.abc import Sequence
from typing import Any

from emohelpers.errors import ConfigurationError

__all__ = ["baseline_cnn"]


def _check_shape(input_shape: Sequence[int], n_classes: int, *, smallest: int) -> None:
    if len(input_shape) != 3 or input_shape[2] not in (1, 3) or min(input_shape[:2]) < smallest:
        raise ConfigurationError(
            f"input_shape={tuple(input_shape)}: expected (height, width, channels) with a height "
            f"and width of at least {smallest} and 1 or 3 channels"
        )
    if n_classes < 2:
        raise ConfigurationError(f"n_classes={n_classes}: expected 2 or more")


def baseline_cnn(
    input_shape: Sequence[int] = (48, 48, 1),
    n_classes: int = 7,
    *,
    filters: Sequence[int] = (32, 64, 128),
    units: int = 128,
    dropout: float = 0.5,
    standardise: bool = False,
) -> Any:
    """Build the network that most first projects on FER2013 start from.

    Three times a 3x3 convolution with ReLU and 2x2 max pooling, then a dense layer, dropout (the
    only one) and softmax; no batch normalisation.

    Parameters
    ----------
    input_shape : sequence of int
        Height, width (8 or more) and channels (1 or 3) of the images, whose values are 0..255.
    n_classes : int
        Outputs of the softmax.
    filters : sequence of 3 int
        Of each convolution.
    units : int
        Of the dense layer.
    dropout : float
        The share of the dense layer's outputs that is dropped in training, in [0, 1).
    standardise : bool
        Bring each image to mean 0 and a standard deviation of about 1 in place of scaling 0..255
        to -1..1: light and contrast then matter less.

    Returns
    -------
    keras.Model
        Uncompiled; its output has shape ``(n, n_classes)`` and rows that sum to 1.

    Raises
    ------
    ConfigurationError
        If the shape, the number of classes or the number of convolutions does not fit.

    Examples
    --------
    >>> from emohelpers import models
    >>> models.baseline_cnn((48, 48, 1), 7).count_params()
    683527
    """
    import keras
    from keras import layers

    _check_shape(input_shape, n_classes, smallest=8)
    if len(filters) != 3:
        raise ConfigurationError(f"filters={tuple(filters)}: expected three numbers")
    inputs = keras.Input(tuple(input_shape), name="pixels")
    x = _prepare(inputs, standardise=standardise)
    for number, width in enumerate(filters, start=1):
        x = layers.Conv2D(width, 3, padding="same", activation="relu", name=f"conv{number}")(x)
        x = layers.MaxPooling2D(name=f"pool{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(units, activation="relu", name="dense")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    # Softmax stays in float32 under mixed precision, where half precision loses small shares.
    outputs = layers.Dense(n_classes, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model(inputs, outputs, name="baseline_cnn")


def _prepare(pixels: Any, *, standardise: bool) -> Any:
    from keras import layers

    if not standardise:
        return layers.Rescaling(1 / 127.5, offset=-1.0, name="rescale")(pixels)
    # The floor of 10 grey levels keeps the noise of nearly uniform images small.
    return layers.LayerNormalization(
        axis=(1, 2, 3), center=False, scale=False, epsilon=10.0**2, name="standardise"
    )(pixels)

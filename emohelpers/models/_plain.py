"""Plain networks: one convolution after the other, with pooling between."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from emohelpers.models._common import (
    average_and_softmax,
    check_activation,
    check_penalty,
    check_shape,
    check_share,
    check_widths,
    convolution,
    prepare,
    softmax,
)

__all__ = ["baseline_cnn", "deeper_cnn"]


def baseline_cnn(
    input_shape: Sequence[int] = (48, 48, 1),
    n_classes: int = 7,
    *,
    filters: Sequence[int] = (32, 64, 128),
    units: int = 128,
    l2: float = 0.0,
    dropout: float = 0.5,
    standardise: bool = False,
    activation: str = "relu",
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
    l2 : float
        The weight of an L2 penalty on the kernels (but for the softmax's) in the loss, 0 or more.
    dropout : float
        The share of the dense layer's outputs that is dropped in training, in [0, 1).
    standardise : bool
        Bring each image to mean 0 and a standard deviation of about 1 in place of scaling 0..255
        to -1..1: light and contrast then matter less.
    activation : str
        In place of ReLU, one of ``keras.activations``.

    Returns
    -------
    keras.Model
        Uncompiled; its output has shape ``(n, n_classes)`` and rows that sum to 1.

    Raises
    ------
    ConfigurationError
        If the shape, the number of classes or of convolutions, the penalty or a share does not fit,
        or there is no such activation.

    Examples
    --------
    >>> from emohelpers import models
    >>> models.baseline_cnn((48, 48, 1), 7).count_params()
    683527
    """
    check_shape(input_shape, n_classes, smallest=8)
    check_widths("filters", filters, count=3)
    check_share("dropout", dropout)
    check_penalty(l2)
    check_activation(activation)
    # None and not a penalty of 0, so that a network without one is saved as it always was.
    penalty = keras.regularizers.L2(l2) if l2 else None
    inputs = keras.Input(tuple(input_shape), name="pixels")
    x = prepare(inputs, standardise=standardise)
    for number, width in enumerate(filters, start=1):
        x = layers.Conv2D(
            width,
            3,
            padding="same",
            activation=activation,
            kernel_regularizer=penalty,
            name=f"conv{number}",
        )(x)
        x = layers.MaxPooling2D(name=f"pool{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(units, activation=activation, kernel_regularizer=penalty, name="dense")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(inputs, softmax(x, n_classes), name="baseline_cnn")


def deeper_cnn(
    input_shape: Sequence[int] = (48, 48, 1),
    n_classes: int = 7,
    *,
    filters: Sequence[int] = (32, 48, 48, 96, 96, 192, 192),
    dropout: float = 0.1,
    last_dropout: float = 0.3,
    batch_norm: bool = True,
    standardise: bool = False,
) -> Any:
    """Build the network that most projects turn to next: seven convolutions in four blocks.

    The first block has one 3x3 convolution, the others two, each with batch normalisation and
    ReLU; 2x2 max pooling and dropout stand between the blocks, global average pooling, dropout and
    softmax at the end.

    Parameters
    ----------
    input_shape : sequence of int
        Height, width (8 or more) and channels (1 or 3) of the images, whose values are 0..255.
    n_classes : int
        Outputs of the softmax.
    filters : sequence of 7 int
        Of each convolution.
    dropout, last_dropout : float
        The share of the outputs that is dropped in training between blocks and before the
        softmax, in [0, 1).
    batch_norm : bool
        Without it each convolution has a bias instead: to see what it is worth.
    standardise : bool
        As in `baseline_cnn`.

    Returns
    -------
    keras.Model
        Uncompiled; its output has shape ``(n, n_classes)`` and rows that sum to 1.

    Raises
    ------
    ConfigurationError
        If the shape, the number of classes, of convolutions or a share does not fit.

    Examples
    --------
    >>> from emohelpers import models
    >>> models.deeper_cnn((48, 48, 1), 7).count_params()
    661095
    """
    check_shape(input_shape, n_classes, smallest=8)
    check_widths("filters", filters, count=7)
    check_share("dropout", dropout)
    check_share("last_dropout", last_dropout)
    inputs = keras.Input(tuple(input_shape), name="pixels")
    x = prepare(inputs, standardise=standardise)
    for number, width in enumerate(filters, start=1):
        if number in (2, 4, 6):
            x = layers.MaxPooling2D(name=f"pool{number // 2}")(x)
            x = layers.Dropout(dropout, name=f"dropout{number // 2}")(x)
        if batch_norm:
            x = convolution(x, width, name=f"conv{number}")
        else:
            x = layers.Conv2D(
                width,
                3,
                padding="same",
                activation="relu",
                kernel_initializer="he_normal",
                name=f"conv{number}",
            )(x)
    outputs = average_and_softmax(x, n_classes, dropout=last_dropout)
    return keras.Model(inputs, outputs, name="deeper_cnn")

"""AlexNet, the network that made convolutions popular."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from emohelpers.models._common import check_shape, check_share, check_widths, prepare, softmax

__all__ = ["alexnet"]


def alexnet(
    input_shape: Sequence[int] = (227, 227, 1),
    n_classes: int = 7,
    *,
    filters: Sequence[int] = (96, 256, 384, 384, 256),
    units: int = 4096,
    dropout: float = 0.5,
    standardise: bool = False,
) -> Any:
    """Build AlexNet (Krizhevsky, Sutskever and Hinton 2012) as one tower.

    An 11x11 convolution with stride 4, a 5x5 and three 3x3 ones, each with ReLU; overlapping 3x3
    max pooling with stride 2 after the first, second and fifth; two dense layers with ReLU, each
    after dropout; softmax. There is no batch normalisation.

    Parameters
    ----------
    input_shape : sequence of int
        Height, width (67 or more: what the poolings leave must not be empty) and channels (1 or
        3) of the images, whose values are 0..255. The dense layers grow with the area.
    n_classes : int
        Outputs of the softmax.
    filters : sequence of 5 int
        Of each convolution.
    units : int
        Of each of the two dense layers.
    dropout : float
        The share of the inputs of each of the two dense layers that is dropped in training, in
        [0, 1).
    standardise : bool
        As in `baseline_cnn`.

    Returns
    -------
    keras.Model
        Uncompiled; its output has shape ``(n, n_classes)`` and rows that sum to 1.

    Raises
    ------
    ConfigurationError
        If the shape, the number of classes, of convolutions, a width or a share does not fit.

    Notes
    -----
    Two things of 2012 are left out. The local response normalisation after the first two
    convolutions gained nothing when Simonyan and Zisserman measured it
    (https://arxiv.org/abs/1409.1556, table 3: A-LRN against A), costs time and memory, and has no
    layer in Keras, so that a saved network could not be loaded by Keras alone. The second, fourth
    and fifth convolution saw half of the channels each only to fit two graphics cards; here they
    see all of them.

    Examples
    --------
    >>> from emohelpers import models
    >>> models.alexnet((67, 67, 1), 7, filters=(4, 8, 8, 8, 4), units=16).output_shape
    (None, 7)
    """
    check_shape(input_shape, n_classes, smallest=67)
    check_widths("filters", filters, count=5)
    check_widths("units", [units], count=1)
    check_share("dropout", dropout)
    inputs = keras.Input(tuple(input_shape), name="pixels")
    x = prepare(inputs, standardise=standardise)
    for number, width in enumerate(filters, start=1):
        x = layers.Conv2D(
            width,
            {1: 11, 2: 5}.get(number, 3),
            strides=4 if number == 1 else 1,
            padding="valid" if number == 1 else "same",
            activation="relu",
            kernel_initializer="he_normal",
            name=f"conv{number}",
        )(x)
        if number in (1, 2, 5):
            x = layers.MaxPooling2D(3, strides=2, name=f"pool{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    for number in (6, 7):
        x = layers.Dropout(dropout, name=f"dropout{number}")(x)
        x = layers.Dense(
            units, activation="relu", kernel_initializer="he_normal", name=f"dense{number}"
        )(x)
    return keras.Model(inputs, softmax(x, n_classes), name="alexnet")

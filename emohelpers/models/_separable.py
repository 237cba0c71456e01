"""A network of separable convolutions, which need few parameters."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from emohelpers.models._common import (
    check_penalty,
    check_shape,
    check_share,
    check_widths,
    normalise,
    prepare,
    softmax,
)

__all__ = ["separable_cnn"]


def separable_cnn(
    input_shape: Sequence[int] = (56, 56, 3),
    n_classes: int = 2,
    *,
    filters: Sequence[int] = (32, 32, 64, 128, 128, 256, 256),
    l2: float = 1e-4,
    dropout: float = 0.5,
    batch_norm_momentum: float = 0.9,
    standardise: bool = False,
) -> Any:
    """Build the network of the ``smile`` recipe, which says whether a face is happy.

    Two blocks, all kernels 3x3: two convolutions, then five separable ones (a convolution of each
    channel by itself, then a 1x1 convolution across them). Each has an L2 penalty, batch
    normalisation and ReLU, each of the second block also 2x2 max pooling. Global average pooling,
    dropout and one sigmoid output end it.

    Parameters
    ----------
    input_shape : sequence of int
        Height, width (32 or more, as they are halved five times) and channels (1 or 3) of the
        images, whose values are 0..255.
    n_classes : int
        2 gives one sigmoid output, the probability of the second class; more give a softmax.
    filters : sequence of 7 int
        Of each convolution.
    l2 : float
        The weight of the L2 penalty on the kernels in the loss, 0 or more.
    dropout : float
        The share of the outputs that is dropped in training before the last layer, in [0, 1).
    batch_norm_momentum : float
        How much of its averages batch normalisation keeps at each step of training, in [0, 1).
        With .99, as Keras has it, they lag a hundred steps behind the weights, and validation,
        which uses them, is unsteady as long as the weights move fast.
    standardise : bool
        As in `baseline_cnn`.

    Returns
    -------
    keras.Model
        Uncompiled; its output has shape ``(n, 1)`` with values in 0..1 for two classes, otherwise
        ``(n, n_classes)`` and rows that sum to 1.

    Raises
    ------
    ConfigurationError
        If the shape, the number of classes, of convolutions, the penalty or a share does not fit.

    Examples
    --------
    >>> from emohelpers import models
    >>> network = models.separable_cnn((56, 56, 3), 2)
    >>> network.output_shape, network.count_params()
    ((None, 1), 144321)
    """
    check_shape(input_shape, n_classes, smallest=32)
    check_widths("filters", filters, count=7)
    check_share("dropout", dropout)
    check_share("batch_norm_momentum", batch_norm_momentum)
    check_penalty(l2)
    inputs = keras.Input(tuple(input_shape), name="pixels")
    x = prepare(inputs, standardise=standardise)
    for number, width in enumerate(filters, start=1):
        block = 1 if number <= 2 else 2
        name = f"block{block}_conv{number}"
        x = _convolution(x, width, separable=block == 2, l2=l2, name=name)
        x = normalise(x, name=name, momentum=batch_norm_momentum)
        if block == 2:
            x = layers.MaxPooling2D(name=f"{name}_pool")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    if n_classes > 2:
        outputs = softmax(x, n_classes)
    else:
        # In float32 like the softmax, whatever the policy.
        outputs = layers.Dense(1, activation="sigmoid", dtype="float32", name="emotion")(x)
    return keras.Model(inputs, outputs, name="separable_cnn")


def _convolution(x: Any, width: int, *, separable: bool, l2: float, name: str) -> Any:
    """Apply a 3x3 convolution without a bias: the normalisation after it has one."""
    penalty = keras.regularizers.L2(l2)
    if separable:
        return layers.SeparableConv2D(
            width,
            3,
            padding="same",
            use_bias=False,
            pointwise_initializer="he_normal",
            depthwise_regularizer=penalty,
            pointwise_regularizer=penalty,
            name=name,
        )(x)
    return layers.Conv2D(
        width,
        3,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=penalty,
        name=name,
    )(x)

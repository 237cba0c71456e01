"""Residual networks (He et al. 2015, https://arxiv.org/abs/1512.03385) for small images."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from emohelpers.errors import ConfigurationError
from emohelpers.models._common import (
    average_and_softmax,
    check_shape,
    check_share,
    check_widths,
    convolution,
    prepare,
)

__all__ = ["compact_cnn", "residual_cnn"]


def residual_cnn(
    input_shape: Sequence[int] = (48, 48, 1),
    n_classes: int = 7,
    *,
    widths: Sequence[int] = (64, 128, 256, 512),
    blocks: Sequence[int] = (2, 2, 2, 2),
    stem: int | None = None,
    pool: bool = False,
    dropout: float = 0.2,
    stochastic_depth: float = 0.0,
    standardise: bool = False,
) -> Any:
    """Build a residual network for images of about 48x48.

    A 3x3 convolution with stride 1 (in place of the 7x7 with stride 2 and the pooling that large
    photographs take), then stages of residual blocks of two 3x3 convolutions; each stage but the
    first halves the height and width. As given it is a ResNet-18.

    Parameters
    ----------
    input_shape : sequence of int
        Height, width (16 or more) and channels (1 or 3) of the images, whose values are 0..255.
    n_classes : int
        Outputs of the softmax.
    widths, blocks : sequence of int
        The filters and the number of residual blocks of each stage, equally many.
    stem : int, optional
        The filters of the first convolution; those of the first stage without it.
    pool : bool
        Halve the height and width after the first convolution, which makes the network about four
        times as fast.
    dropout : float
        The share of the outputs that is dropped in training before the softmax, in [0, 1).
    stochastic_depth : float
        The share of images for which the last residual block is left out in training, in [0, 1);
        it grows linearly from the first block to the last (Huang et al. 2016,
        https://arxiv.org/abs/1603.09382).
    standardise : bool
        As in `baseline_cnn`.

    Returns
    -------
    keras.Model
        Uncompiled; its output has shape ``(n, n_classes)`` and rows that sum to 1.

    Raises
    ------
    ConfigurationError
        If the shape, the number of classes, the stages or a share does not fit.

    Examples
    --------
    >>> from emohelpers import models
    >>> models.residual_cnn(widths=(8, 16), blocks=(1, 1)).output_shape
    (None, 7)
    """
    check_shape(input_shape, n_classes, smallest=16)
    check_widths("widths", widths)
    check_widths("blocks", blocks, count=len(widths))
    stem = widths[0] if stem is None else stem
    check_widths("stem", [stem], count=1)
    check_share("dropout", dropout)
    check_share("stochastic_depth", stochastic_depth)
    halvings = len(widths) - 1 + pool
    if min(input_shape[:2]) < 2**halvings:
        raise ConfigurationError(
            f"input_shape={tuple(input_shape)}: its sides are halved {halvings} times: expected "
            f"{2**halvings} or more, or fewer stages"
        )
    inputs = keras.Input(tuple(input_shape), name="pixels")
    x = prepare(inputs, standardise=standardise)
    x = convolution(x, stem, name="stem")
    if pool:
        x = layers.MaxPooling2D(padding="same", name="stem_pool")(x)
    done, depth = 0, sum(blocks)
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        for block in range(1, count + 1):
            done += 1
            x = _residual_block(
                x,
                width,
                strides=2 if stage > 1 and block == 1 else 1,
                drop=stochastic_depth * done / depth,
                name=f"stage{stage}_block{block}",
            )
    outputs = average_and_softmax(x, n_classes, dropout=dropout)
    return keras.Model(inputs, outputs, name="residual_cnn")


def _residual_block(x: Any, width: int, *, strides: int, drop: float, name: str) -> Any:
    shortcut = x
    if strides > 1:
        # Averaging before the 1x1 convolution uses all positions, a strided one a quarter.
        shortcut = layers.AveragePooling2D(strides, padding="same", name=f"{name}_pool")(shortcut)
    if shortcut.shape[-1] != width:
        shortcut = convolution(shortcut, width, size=1, relu=False, name=f"{name}_project")
    x = convolution(x, width, strides=strides, name=f"{name}_conv1")
    x = convolution(x, width, relu=False, name=f"{name}_conv2")
    if drop:
        # One draw for each image drops the whole branch of that image.
        x = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(x)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.ReLU(name=f"{name}_relu")(x)


def compact_cnn(
    input_shape: Sequence[int] = (48, 48, 1),
    n_classes: int = 7,
    *,
    widths: Sequence[int] = (24, 32, 64, 128),
    dropout: float = 0.1,
    stochastic_depth: float = 0.0,
    standardise: bool = False,
) -> Any:
    """Build a network that answers within a millisecond on one core of a laptop.

    Seven 3x3 convolutions with batch normalisation and ReLU in four stages, 2x2 max pooling
    between them. Most of the work is done at a quarter of the side and below, all of it with
    stride 1, which CPUs compute best; the last two stages have shortcuts around one and two of
    their convolutions.

    Parameters
    ----------
    input_shape : sequence of int
        Height, width (8 or more) and channels (1 or 3) of the images, whose values are 0..255.
    n_classes : int
        Outputs of the softmax.
    widths : sequence of 4 int
        The filters of each stage.
    dropout : float
        The share of the outputs that is dropped in training before the softmax, in [0, 1).
    stochastic_depth : float
        The share of images for which the last shortcut's branch is left out in training, in
        [0, 1), and half of it for the one before.
    standardise : bool
        As in `baseline_cnn`.

    Returns
    -------
    keras.Model
        Uncompiled; its output has shape ``(n, n_classes)`` and rows that sum to 1.

    Raises
    ------
    ConfigurationError
        If the shape, the number of classes, of stages or a share does not fit.

    Examples
    --------
    >>> from emohelpers import models
    >>> models.compact_cnn((48, 48, 1), 7).count_params()
    434239
    """
    check_shape(input_shape, n_classes, smallest=8)
    check_widths("widths", widths, count=4)
    check_share("dropout", dropout)
    check_share("stochastic_depth", stochastic_depth)
    inputs = keras.Input(tuple(input_shape), name="pixels")
    x = prepare(inputs, standardise=standardise)
    for stage, width in enumerate(widths, start=1):
        if stage > 1:
            x = layers.MaxPooling2D(name=f"pool{stage - 1}")(x)
        x = convolution(x, width, name=f"stage{stage}_conv1")
        branch = x
        for number in range(2, stage):  # none in the first two stages, then one, then two
            branch = convolution(
                branch, width, relu=number < stage - 1, name=f"stage{stage}_conv{number}"
            )
        if stage > 2:
            drop = stochastic_depth * (stage - 2) / 2
            if drop:
                branch = layers.Dropout(
                    drop, noise_shape=(None, 1, 1, 1), name=f"stage{stage}_drop"
                )(branch)
            x = layers.Add(name=f"stage{stage}_add")([x, branch])
            x = layers.ReLU(name=f"stage{stage}_relu")(x)
    outputs = average_and_softmax(x, n_classes, dropout=dropout)
    return keras.Model(inputs, outputs, name="compact_cnn")

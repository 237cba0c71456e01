"""A compact convolutional transformer (Hassani et al. 2021, https://arxiv.org/abs/2104.05704)."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.models._common import check_shape, check_share, check_widths, prepare, softmax

__all__ = ["PositionEmbedding", "compact_convolutional_transformer"]

_KINDS = ("learned", "sinusoidal")


@keras.saving.register_keras_serializable(package="emohelpers")
class PositionEmbedding(layers.Layer):
    """Add to each token a vector that says where it stands.

    Parameters
    ----------
    kind : {"learned", "sinusoidal"}
        Trained with the network, or the fixed sines and cosines of Vaswani et al. (2017, "Attention
        is all you need", https://arxiv.org/abs/1706.03762, section 3.5).
    **options
        Of `keras.layers.Layer`.

    Raises
    ------
    ConfigurationError
        If the kind is not known.

    Examples
    --------
    >>> layer = PositionEmbedding("sinusoidal")
    >>> np.asarray(layer(np.zeros((1, 2, 2), np.float32))).round(2)
    array([[[0.  , 1.  ],
            [0.84, 0.54]]], dtype=float32)
    """

    def __init__(self, kind: str = "learned", **options: Any) -> None:
        super().__init__(**options)
        if kind not in _KINDS:
            raise ConfigurationError(f"kind={kind!r}: expected one of {', '.join(_KINDS)}")
        self.kind = kind

    def build(self, input_shape: Any) -> None:
        """Make the vectors for tokens of shape (n, tokens, width)."""
        shape = tuple(input_shape[1:])
        if self.kind == "learned":
            # The spread is that of the code of Hassani et al.
            spread = keras.initializers.TruncatedNormal(stddev=0.2)
            self.vectors = self.add_weight(shape=shape, initializer=spread, name="vectors")
        else:
            self.vectors = _waves(*shape)

    def call(self, inputs: Any) -> Any:
        """Add the vectors to tokens of shape (n, tokens, width)."""
        return inputs + ops.cast(self.vectors, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is built again from."""
        return {**super().get_config(), "kind": self.kind}


def _waves(n_tokens: int, width: int) -> NDArray[np.float32]:
    """Return sines in the even and cosines in the odd columns, (tokens, width)."""
    column = np.arange(width)
    angles = np.arange(n_tokens)[:, None] / 10_000 ** (column // 2 * 2 / width)
    return np.where(column % 2, np.cos(angles), np.sin(angles)).astype(np.float32)


def compact_convolutional_transformer(
    input_shape: Sequence[int] = (48, 48, 1),
    n_classes: int = 7,
    *,
    widths: Sequence[int] = (24, 60, 120),
    blocks: int = 4,
    heads: int = 4,
    expansion: float = 1.0,
    positions: str | None = "learned",
    dropout: float = 0.1,
    attention_dropout: float = 0.1,
    stochastic_depth: float = 0.1,
    standardise: bool = False,
) -> Any:
    """Build a small transformer whose tokens are made by convolutions.

    Each 3x3 convolution of the tokenizer, with ReLU and 3x3 max pooling, halves the height and
    width. The places of the last map are the tokens. Blocks of self-attention and of two dense
    layers follow, each normalised before and added to what it was given. In place of a class token,
    *sequence pooling* weighs the tokens, by weights that depend on the tokens themselves, and a
    softmax ends the network. As given it has as many parameters as `compact_cnn`, within a
    thousandth, and 36 tokens.

    Parameters
    ----------
    input_shape : sequence of int
        Height, width (16 or more) and channels (1 or 3) of the images, whose values are 0..255.
    n_classes : int
        Outputs of the softmax.
    widths : sequence of int
        The filters of each convolution. The last is also the width of a token.
    blocks, heads : int
        How many blocks, and attention heads in each; the heads share the width of a token.
    expansion : float
        The inner width of a block's dense layers, in widths of a token, above 0.
    positions : {"learned", "sinusoidal", None}
        How tokens know where they stand, see `PositionEmbedding`; with None they know it only from
        the edges that the convolutions pad.
    dropout, attention_dropout : float
        The share that is dropped in training, in [0, 1): of what is inside and before the last
        dense layers; of the attention.
    stochastic_depth : float
        The share of images for which the last block is left out in training, in [0, 1); it grows
        linearly from 0 for the first block (Huang et al. 2016, https://arxiv.org/abs/1603.09382).
    standardise : bool
        As in `baseline_cnn`.

    Returns
    -------
    keras.Model
        Uncompiled; its output has shape ``(n, n_classes)`` and rows that sum to 1.
        `emohelpers.explain.attention` reads its attention.

    Raises
    ------
    ConfigurationError
        If the shape, the number of classes, a width or a share does not fit.

    Examples
    --------
    >>> from emohelpers import models
    >>> network = models.compact_convolutional_transformer((48, 48, 1), 7)
    >>> network.count_params(), models.compact_cnn((48, 48, 1), 7).count_params()
    (433904, 434239)
    """
    check_shape(input_shape, n_classes, smallest=16)
    check_widths("widths", widths)
    check_widths("blocks, heads", [blocks, heads], count=2)
    for name, share in (
        ("dropout", dropout),
        ("attention_dropout", attention_dropout),
        ("stochastic_depth", stochastic_depth),
    ):
        check_share(name, share)
    width = widths[-1]
    if width % heads:
        raise ConfigurationError(
            f"heads={heads} for tokens of width {width}: expected a divisor of it"
        )
    if not 0 < expansion < np.inf:
        raise ConfigurationError(f"expansion={expansion}: expected above 0")
    if positions not in (None, *_KINDS):
        raise ConfigurationError(
            f"positions={positions!r}: expected one of {', '.join(_KINDS)}, or None"
        )
    if min(input_shape[:2]) < 2 ** (len(widths) + 1):
        raise ConfigurationError(
            f"input_shape={tuple(input_shape)}: its sides are halved {len(widths)} times: expected "
            f"{2 ** (len(widths) + 1)} or more, or fewer widths"
        )
    inputs = keras.Input(tuple(input_shape), name="pixels")
    x = _tokens(prepare(inputs, standardise=standardise), widths)
    if positions is not None:
        x = PositionEmbedding(positions, name="positions")(x)
    for block in range(1, blocks + 1):
        x = _encoder_block(
            x,
            heads=heads,
            units=max(1, round(expansion * width)),
            dropout=dropout,
            attention_dropout=attention_dropout,
            drop=stochastic_depth * (block - 1) / max(1, blocks - 1),
            name=f"block{block}",
        )
    x = _sequence_pooling(_normalise(x, name="norm"))
    outputs = softmax(layers.Dropout(dropout, name="dropout")(x), n_classes)
    return keras.Model(inputs, outputs, name="compact_convolutional_transformer")


def _tokens(x: Any, widths: Sequence[int]) -> Any:
    """Make tokens of an image, (n, rows, columns, channels) to (n, tokens, width)."""
    for number, width in enumerate(widths, start=1):
        x = layers.Conv2D(
            width,
            3,
            padding="same",
            use_bias=False,
            activation="relu",
            kernel_initializer="he_normal",
            name=f"conv{number}",
        )(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool{number}")(x)
    return layers.Reshape((-1, widths[-1]), name="tokens")(x)


def _encoder_block(
    x: Any,
    *,
    heads: int,
    units: int,
    dropout: float,
    attention_dropout: float,
    drop: float,
    name: str,
) -> Any:
    width = x.shape[-1]
    branch = _normalise(x, name=f"{name}_norm1")
    branch = layers.MultiHeadAttention(
        heads, width // heads, dropout=attention_dropout, name=f"{name}_attention"
    )(branch, branch)
    x = _add(x, branch, drop=drop, name=f"{name}_attention")
    branch = _normalise(x, name=f"{name}_norm2")
    branch = layers.Dense(units, activation="gelu", name=f"{name}_dense1")(branch)
    branch = layers.Dropout(dropout, name=f"{name}_dropout")(branch)
    branch = layers.Dense(width, name=f"{name}_dense2")(branch)
    return _add(x, branch, drop=drop, name=f"{name}_dense")


def _add(x: Any, branch: Any, *, drop: float, name: str) -> Any:
    if drop:
        # One draw for each image drops the whole branch of that image.
        branch = layers.Dropout(drop, noise_shape=(None, 1, 1), name=f"{name}_drop")(branch)
    return layers.Add(name=f"{name}_add")([x, branch])


def _normalise(x: Any, *, name: str) -> Any:
    return layers.LayerNormalization(epsilon=1e-5, name=name)(x)


def _sequence_pooling(x: Any) -> Any:
    """Weigh the tokens by what they are, (n, tokens, width) to (n, width)."""
    scores = layers.Dense(1, name="pooling_score")(x)
    # In float32 like the last softmax, whatever the policy.
    weights = layers.Softmax(axis=1, dtype="float32", name="pooling")(scores)
    return layers.Flatten(name="pooled")(layers.Dot(axes=1, name="weighted")([weights, x]))

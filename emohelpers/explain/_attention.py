"""What the tokens of a transformer take from each other, and the answer from them."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.explain._networks import enlarge, prepare

__all__ = ["Attention", "attention", "attention_maps", "head_maps"]

_BATCH = 256

Floats = NDArray[np.float32]


class Attention(NamedTuple):
    """What `attention` returns.

    Attributes
    ----------
    blocks : ndarray of float32, shape (n, blocks, heads, tokens, tokens)
        How much each token (row) takes from each (column); rows sum to 1.
    pooling : ndarray of float32, shape (n, tokens)
        How much the answer takes from each token of the last block; rows sum to 1.
    grid : (int, int)
        The rows and columns of places in the image that the tokens are, row by row.
    """

    blocks: Floats
    pooling: Floats
    grid: tuple[int, int]


def attention(model: Any, images: Any) -> Attention:
    """Return what the tokens of each image take from each other, and the answer from them.

    Parameters
    ----------
    model : keras.Model or emohelpers.publishing.SavedModel
        Of `emohelpers.models.compact_convolutional_transformer`.
    images : array_like of uint8, shape (n, height, width, channels)
        In 0..255.

    Returns
    -------
    Attention

    Raises
    ------
    ConfigurationError
        If the images do not fit the network, or it has no attention and sequence pooling.

    Examples
    --------
    >>> from emohelpers import datasets, models
    >>> network = models.compact_convolutional_transformer(widths=(2, 2, 4), blocks=1, heads=2)
    >>> found = attention(network, datasets.make_faces(3, seed=0).images)
    >>> found.blocks.shape, found.pooling.shape, found.grid
    ((3, 1, 2, 36, 36), (3, 36), (6, 6))
    """
    parts = list(_batches(model, images))
    blocks, pooling = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    return Attention(blocks, pooling, parts[0].grid)


def attention_maps(
    model: Any, images: Any, *, way: Literal["pooling", "rollout"] = "rollout"
) -> Floats:
    r"""Draw for each image which places the answer of a transformer takes how much from.

    Parameters
    ----------
    model : keras.Model or emohelpers.publishing.SavedModel
        As in `attention`.
    images : array_like of uint8, shape (n, height, width, channels)
        In 0..255.
    way : {"pooling", "rollout"}
        The weights of the sequence pooling alone, which say what the answer takes from the tokens
        *after* the last block; or these, followed back through the attention of all blocks.

    Returns
    -------
    ndarray of float32, shape (n, height, width)
        In 0..1; the highest value of each map is 1. The tokens are interpolated linearly, as in
        `grad_cam`. No class is asked for: what speaks for it and against it is taken alike.

    Raises
    ------
    ConfigurationError
        As in `attention`, or if the way is not known.

    Notes
    -----
    Attention rollout (Abnar and Zuidema 2020, "Quantifying attention flow in transformers",
    https://arxiv.org/abs/2005.00928, section 3): with :math:`A_l` the mean over the heads of block
    l, a token takes half from itself, past the attention, and half through it,

    .. math:: R = \prod_l \tfrac12 (A_l + I),

    the last block first; the map is the pooling's weights times R. The dense layers do not move
    anything between tokens. How *much* a token that is taken has to say, neither way knows.

    Examples
    --------
    >>> from emohelpers import datasets, models
    >>> network = models.compact_convolutional_transformer(widths=(2, 2, 4), blocks=1, heads=2)
    >>> maps = attention_maps(network, datasets.make_faces(3, seed=0).images)
    >>> maps.shape, maps.max(axis=(1, 2)).tolist()
    ((3, 48, 48), [1.0, 1.0, 1.0])
    """
    if way not in ("pooling", "rollout"):
        raise ConfigurationError(f"way={way!r}: expected 'pooling' or 'rollout'")
    maps = []
    for part in _batches(model, images):
        taken = part.pooling
        if way == "rollout":
            for block in part.blocks.mean(axis=2).transpose(1, 0, 2, 3)[::-1]:
                taken = (taken + np.einsum("nq,nqk->nk", taken, block)) / 2
        maps.append(taken.reshape(-1, *part.grid))
    return enlarge(np.concatenate(maps), np.shape(images)[1:3])


def head_maps(model: Any, images: Any) -> Floats:
    """Draw which places each attention head looks at, for the tokens that the answer is made of.

    Parameters
    ----------
    model : keras.Model or emohelpers.publishing.SavedModel
        As in `attention`.
    images : array_like of uint8, shape (n, height, width, channels)
        In 0..255.

    Returns
    -------
    ndarray of float32, shape (n, blocks, heads, height, width)
        What the tokens take from each place, the mean over the tokens by the weights of the
        sequence pooling. In 0..1; the highest value of each map is 1.

    Raises
    ------
    ConfigurationError
        As in `attention`.

    Examples
    --------
    >>> from emohelpers import datasets, models
    >>> network = models.compact_convolutional_transformer(widths=(2, 2, 4), blocks=1, heads=2)
    >>> head_maps(network, datasets.make_faces(3, seed=0).images).shape
    (3, 1, 2, 48, 48)
    """
    taken = []
    for part in _batches(model, images):
        of_heads = np.einsum("nq,nbhqk->nbhk", part.pooling, part.blocks)
        taken.append(of_heads.reshape(*of_heads.shape[:3], *part.grid))
    small = np.concatenate(taken)
    large = enlarge(small.reshape(-1, *small.shape[3:]), np.shape(images)[1:3])
    return large.reshape(*small.shape[:3], *large.shape[1:])


def _batches(model: Any, images: Any) -> Iterator[Attention]:
    """Yield the attention of some images after the other, as all at once take much memory."""
    model, pixels, _ = prepare(model, images, 0, None)
    reader, grid = _reader(model)
    for start in range(0, len(pixels), _BATCH):
        outputs = reader(pixels[start : start + _BATCH], training=False)
        *blocks, pooling = (np.asarray(keras.ops.convert_to_numpy(x), np.float32) for x in outputs)
        yield Attention(np.stack(blocks, axis=1), pooling[..., 0], grid)


def _reader(model: Any) -> tuple[Any, tuple[int, int]]:
    """Return a network that gives the attention of each block and of the pooling, and the grid."""
    scores: list[Any] = []
    seen: dict[str, Any] = {}

    def clone(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.MultiHeadAttention):
            return layer
        # A new one: Keras knows of a layer only as many outputs as it had when it was first called.
        return type(layer).from_config(layer.get_config())

    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(layer, keras.layers.MultiHeadAttention):
            outputs, weights = layer(*arguments, **{**options, "return_attention_scores": True})
            layer.set_weights(model.get_layer(layer.name).get_weights())
            # NumPy knows no bfloat16.
            scores.append(keras.ops.cast(weights, "float32"))
            return outputs
        outputs = layer(*arguments, **options)
        seen[layer.name] = arguments[0].shape if layer.name == "tokens" else outputs
        return outputs

    graph = keras.Model(model.inputs[0], model.outputs[0])
    copy = keras.models.clone_model(graph, clone_function=clone, call_function=call)
    if not scores or not {"tokens", "pooling"} <= set(seen):
        raise ConfigurationError(
            f"{model.name} has no attention and sequence pooling: expected a network of "
            "models.compact_convolutional_transformer"
        )
    rows, columns = seen["tokens"][1:3]
    return keras.Model(copy.inputs[0], [*scores, seen["pooling"]]), (int(rows), int(columns))

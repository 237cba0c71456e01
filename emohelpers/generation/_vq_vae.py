"""A network that writes a face as a grid of numbers from a codebook, and draws it again."""

from typing import Any

import keras
import numpy as np
from keras import ops

from emohelpers.errors import ConfigurationError

__all__ = ["STRIDE", "DepthToSpace", "VectorQuantizer", "vq_vae"]

STRIDE = 6
"""How many pixels a code stands for, along each side: three by the first layer, two by the next."""


@keras.saving.register_keras_serializable("emohelpers")
class VectorQuantizer(keras.layers.Layer):
    """Replace each vector by the nearest one of a codebook (van den Oord et al. 2017).

    The codebook is no weight of the loss: in training each entry follows the mean of the vectors
    that chose it, as an exponential moving average (appendix A.1 of the paper,
    https://arxiv.org/abs/1711.00937), and one that hardly any vector chooses is put where a vector
    of the batch lies, so that all entries find use. The gradient passes as if nothing had been
    replaced, and the loss pulls each vector towards its entry.

    Parameters
    ----------
    n_codes : int
        Entries of the codebook.
    decay : float
        Of the moving averages, for each step.
    commitment : float
        The weight of the pull, the beta of the paper.
    rare : float
        An entry chosen less often than this share of what is even is put elsewhere.
    seed : int
        Of where it is put.
    """

    def __init__(
        self,
        n_codes: int = 256,
        *,
        decay: float = 0.99,
        commitment: float = 0.25,
        rare: float = 0.05,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.n_codes = n_codes
        self.decay = decay
        self.commitment = commitment
        self.rare = rare
        self.seed = seed
        self.seeds = keras.random.SeedGenerator(seed)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        width = int(input_shape[-1] or 0)
        fixed = {"initializer": "zeros", "trainable": False}
        self.codebook = self.add_weight(name="codebook", shape=(self.n_codes, width), **fixed)
        # As no entry has been chosen yet, the first step places all of them.
        self.counts = self.add_weight(name="counts", shape=(self.n_codes,), **fixed)
        self.sums = self.add_weight(name="sums", shape=(self.n_codes, width), **fixed)

    def codes(self, vectors: Any) -> Any:
        """Return the position of the nearest entry, int32, without the last axis."""
        flat = ops.reshape(vectors, (-1, ops.shape(self.codebook)[1]))
        # The square of the vector itself is the same for every entry.
        squares = ops.sum(ops.square(self.codebook), axis=1)
        distances = squares - 2 * ops.matmul(flat, ops.transpose(self.codebook))
        return ops.reshape(
            ops.cast(ops.argmin(distances, axis=1), "int32"), ops.shape(vectors)[:-1]
        )

    def call(self, vectors: Any, training: bool = False) -> Any:
        codes = self.codes(vectors)
        if training:
            self._follow(ops.stop_gradient(vectors), codes)
        chosen = ops.take(self.codebook, codes, axis=0)
        pull = ops.mean(ops.square(ops.stop_gradient(chosen) - vectors))
        self.add_loss(self.commitment * pull)
        return vectors + ops.stop_gradient(chosen - vectors)

    def _follow(self, vectors: Any, codes: Any) -> None:
        """Move each entry towards the vectors that chose it."""
        flat = ops.reshape(vectors, (-1, ops.shape(self.codebook)[1]))
        chosen = ops.one_hot(ops.reshape(codes, (-1,)), self.n_codes, dtype=flat.dtype)
        even = ops.cast(ops.shape(flat)[0], flat.dtype) / self.n_codes
        counts = self.decay * self.counts + (1 - self.decay) * ops.sum(chosen, axis=0)
        sums = self.decay * self.sums + (1 - self.decay) * ops.matmul(ops.transpose(chosen), flat)
        rows = keras.random.randint((self.n_codes,), 0, ops.shape(flat)[0], seed=self.seeds)
        rare = counts < self.rare * even
        counts = ops.where(rare, even, counts)
        sums = ops.where(rare[:, None], even * ops.take(flat, rows, axis=0), sums)
        self.counts.assign(counts)
        self.sums.assign(sums)
        self.codebook.assign(sums / counts[:, None])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        names = ("n_codes", "decay", "commitment", "rare", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("emohelpers")
class DepthToSpace(keras.layers.Layer):
    """Lay the channels of each place out as a square of places (Shi et al. 2016).

    Parameters
    ----------
    side : int
        Of the square: `side` times as many rows and columns, and that squared fewer channels. See
        https://arxiv.org/abs/1609.05158.
    """

    def __init__(self, side: int, **options: Any) -> None:
        super().__init__(**options)
        self.side = side

    def call(self, grid: Any) -> Any:
        _, height, width, channels = grid.shape
        side, kept = self.side, channels // self.side**2
        grid = ops.reshape(grid, (-1, height, width, side, side, kept))
        grid = ops.transpose(grid, (0, 1, 3, 2, 4, 5))
        return ops.reshape(grid, (-1, height * side, width * side, kept))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        n, height, width, channels = input_shape
        side = self.side
        return (n, (height or 0) * side, (width or 0) * side, (channels or 0) // side**2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "side": self.side}


def vq_vae(
    input_shape: tuple[int, int, int] = (48, 48, 1),
    *,
    n_codes: int = 256,
    code_size: int = 32,
    widths: tuple[int, int] = (48, 96),
    blocks: int = 2,
    seed: int = 0,
) -> Any:
    """Build an autoencoder whose middle is a grid of codes (van den Oord et al. 2017).

    The encoder reduces 6x6 pixels to a vector, which the codebook replaces; the decoder is its
    mirror image, with `DepthToSpace` where the encoder has strides: transposed convolutions would
    leave a chequered pattern (Odena et al. 2016, https://doi.org/10.23915/distill.00003).

    Parameters
    ----------
    input_shape : (int, int, int)
        Height and width, multiples of 6, and channels.
    n_codes, code_size : int
        Entries of the codebook, and numbers in each.
    widths : (int, int)
        Channels at a third and at a sixth of the height.
    blocks : int
        Residual blocks at each of the two sizes, in encoder and decoder.
    seed : int
        Of the codebook's draws; weights take theirs from ``keras.utils.set_random_seed``.

    Returns
    -------
    keras.Model
        Uncompiled. Takes pixels in 0..255 and returns them, float32 and not clipped; the layers
        ``encoder``, ``codebook`` and ``decoder`` can be used on their own.

    Raises
    ------
    ConfigurationError
        If the height or width is no multiple of 6, or a number is below 1.

    Examples
    --------
    >>> model = vq_vae((24, 24, 1), n_codes=8, widths=(8, 16))
    >>> model.output_shape, model.get_layer("encoder").output_shape
    ((None, 24, 24, 1), (None, 4, 4, 32))
    """
    height, width, channels = input_shape
    if height % STRIDE or width % STRIDE:
        raise ConfigurationError(
            f"images of {height}x{width}: expected a height and width that {STRIDE} divides"
        )
    if min(*input_shape, n_codes, code_size, *widths, blocks) < 1:
        raise ConfigurationError(
            f"n_codes={n_codes}, code_size={code_size}, widths={widths}, blocks={blocks}: "
            "expected 1 or more each"
        )
    narrow, wide = widths
    conv = keras.layers.Conv2D
    pixels = keras.Input(input_shape)
    # Between about -1 and 1 on both sides of the codes.
    grid = keras.layers.Rescaling(1 / 127.5, -1.0)(pixels)
    grid = conv(narrow, 5, strides=3, padding="same")(grid)
    grid = _blocks(grid, narrow, blocks)
    grid = conv(wide, 4, strides=2, padding="same")(grid)
    grid = _blocks(grid, wide, blocks)
    encoder = keras.Model(pixels, conv(code_size, 1)(_relu(grid)), name="encoder")
    codes = keras.Input(encoder.output_shape[1:])
    grid = conv(wide, 3, padding="same", name="from_codes")(codes)
    grid = _blocks(grid, wide, blocks, name="wide")
    grid = DepthToSpace(2)(conv(4 * narrow, 1, name="to_narrow")(_relu(grid)))
    grid = _blocks(grid, narrow, blocks, name="narrow")
    grid = DepthToSpace(3)(conv(9 * 8, 3, padding="same", name="to_pixels")(_relu(grid)))
    grid = conv(channels, 3, padding="same", name="pixels")(_relu(grid))
    decoder = keras.Model(codes, keras.layers.Rescaling(127.5, 127.5)(grid), name="decoder")
    inputs = keras.Input(input_shape)
    chosen = VectorQuantizer(n_codes, seed=seed, name="codebook")(encoder(inputs))
    return keras.Model(inputs, decoder(chosen), name="vq_vae")


def squared_error(pixels: Any, drawn: Any) -> Any:
    """Return the mean squared error of pixels in 0..255, where 1 is half of the range squared."""
    return ops.mean(ops.square((ops.cast(pixels, drawn.dtype) - drawn) / 127.5))


def image_codes(model: Any, images: Any, *, batch_size: int = 256) -> np.ndarray:
    """Return the codes of images, uint16 of shape (n, rows * columns), row by row."""
    encoder, codebook = model.get_layer("encoder"), model.get_layer("codebook")
    starts = range(0, len(images), batch_size)
    parts = []
    for at in starts:
        vectors = encoder(np.asarray(images[at : at + batch_size], np.float32), training=False)
        found = ops.convert_to_numpy(codebook.codes(vectors))
        parts.append(found.reshape(len(found), -1).astype(np.uint16))
    return np.concatenate(parts)


def _relu(grid: Any) -> Any:
    return keras.layers.Activation("relu")(grid)


def _blocks(grid: Any, width: int, count: int, *, name: str | None = None) -> Any:
    """Add residual blocks of a 3x3 convolution to half the channels and a 1x1 one back."""
    conv = keras.layers.Conv2D
    for number in range(count):
        first, second = (name and f"{name}_{number}_{part}" for part in ("in", "out"))
        inner = conv(max(width // 2, 1), 3, padding="same", name=first)(_relu(grid))
        inner = conv(width, 1, name=second)(_relu(inner))
        grid = keras.layers.Add()([grid, inner])
    return grid

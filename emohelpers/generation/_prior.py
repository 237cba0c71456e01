"""A network that says, code by code, how a face of an emotion goes on."""

from typing import Any

import keras
from keras import ops

from emohelpers.errors import ConfigurationError

__all__ = ["code_prior"]


@keras.saving.register_keras_serializable("emohelpers")
class CodeEmbedding(keras.layers.Layer):
    """Turn the codes so far, their places and the emotion into one vector for each place.

    Parameters
    ----------
    n_codes, n_labels : int
        Entries of the codebook; emotions, with one more for "any".
    width : int
        Of the vectors.
    """

    def __init__(self, n_codes: int, n_labels: int, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.n_codes = n_codes
        self.n_labels = n_labels
        self.width = width

    def build(self, codes_shape: tuple[int | None, ...], labels_shape: Any) -> None:
        small = keras.initializers.RandomNormal(stddev=0.02)
        for name, rows in (
            ("codes", self.n_codes),
            ("labels", self.n_labels),
            ("places", codes_shape[1]),
        ):
            weight = self.add_weight(name=name, shape=(rows, self.width), initializer=small)
            setattr(self, f"{name}_table", weight)

    def call(self, codes: Any, labels: Any) -> Any:
        known = ops.take(self.codes_table, codes[:, :-1], axis=0)
        # Each place sees the codes before its own; the first one sees none.
        before = ops.pad(known, ((0, 0), (1, 0), (0, 0)))
        return before + self.places_table + ops.take(self.labels_table, labels, axis=0)[:, None]

    def compute_output_shape(self, codes_shape: Any, labels_shape: Any) -> tuple[Any, ...]:
        return (*codes_shape, self.width)

    def get_config(self) -> dict[str, Any]:
        names = ("n_codes", "n_labels", "width")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def code_prior(
    n_places: int,
    n_labels: int,
    *,
    n_codes: int = 256,
    width: int = 128,
    heads: int = 4,
    blocks: int = 4,
    dropout: float = 0.1,
) -> Any:
    """Build a causal transformer over the codes of a face, given its emotion.

    The blocks are those of GPT-2 (Radford et al. 2019): normalisation, attention over what came
    before, normalisation, two dense layers.

    Parameters
    ----------
    n_places : int
        Codes of a face.
    n_labels : int
        Emotions; the label `n_labels` stands for any of them.
    n_codes : int
        Entries of the codebook.
    width, heads, blocks : int
        Of the transformer; `heads` divides `width`.
    dropout : float
        Of what each part of a block adds.

    Returns
    -------
    keras.Model
        Uncompiled. Takes codes (n, `n_places`) and labels (n,), int32; returns logits of shape
        (n, `n_places`, `n_codes`): those at a place depend on the label and the codes before it.

    Raises
    ------
    ConfigurationError
        If a number is below 1, `heads` does not divide `width`, or `dropout` is not in [0, 1).

    Examples
    --------
    >>> code_prior(16, 7, n_codes=8, width=16, heads=2, blocks=1).output_shape
    (None, 16, 8)
    """
    numbers = (n_places, n_labels, n_codes, width, heads, blocks)
    if min(numbers) < 1 or width % heads or not 0 <= dropout < 1:
        raise ConfigurationError(
            f"n_places={n_places}, n_labels={n_labels}, n_codes={n_codes}, width={width}, "
            f"heads={heads}, blocks={blocks}, dropout={dropout}: expected 1 or more each, a width "
            "that the heads divide, and a share below 1"
        )
    layers = keras.layers
    codes = keras.Input((n_places,), dtype="int32", name="codes")
    labels = keras.Input((), dtype="int32", name="labels")
    flow = CodeEmbedding(n_codes, n_labels + 1, width, name="embedding")(codes, labels)
    for number in range(blocks):
        normed = layers.LayerNormalization(epsilon=1e-5, name=f"attention_norm_{number}")(flow)
        attention = layers.MultiHeadAttention(heads, width // heads, name=f"attention_{number}")
        flow = flow + layers.Dropout(dropout)(attention(normed, normed, use_causal_mask=True))
        inner = layers.LayerNormalization(epsilon=1e-5, name=f"dense_norm_{number}")(flow)
        inner = layers.Dense(4 * width, activation="relu", name=f"dense_in_{number}")(inner)
        inner = layers.Dense(width, name=f"dense_out_{number}")(inner)
        flow = flow + layers.Dropout(dropout)(inner)
    flow = layers.LayerNormalization(epsilon=1e-5, name="norm")(flow)
    return keras.Model([codes, labels], layers.Dense(n_codes, name="logits")(flow), name="prior")

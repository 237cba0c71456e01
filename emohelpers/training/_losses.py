"""What a training makes small."""

from typing import Any

import keras
import numpy as np

from emohelpers.errors import ConfigurationError

__all__ = ["LogitAdjustedCrossentropy", "loss_function"]


def loss_function(
    shares: np.ndarray,
    *,
    one_output: bool,
    label_smoothing: float = 0.0,
    focal: float = 0.0,
    logit_adjustment: float = 0.0,
) -> Any:
    """Return the loss of a training, see `emohelpers.training.fit`.

    Parameters
    ----------
    shares : ndarray of float, shape (n_classes,)
        Of each class among the training images.
    one_output : bool
        Whether the network ends in one sigmoid output for two classes.
    label_smoothing, focal, logit_adjustment : float
        See `emohelpers.training.fit`.

    Returns
    -------
    keras.losses.Loss

    Raises
    ------
    ConfigurationError
        If a number is out of its range, focal loss and logit adjustment are both asked for, or the
        logits are to be adjusted to a class without an image.
    """
    if not (0 <= focal < float("inf") and 0 <= logit_adjustment < float("inf")):
        raise ConfigurationError(
            f"focal={focal}, logit_adjustment={logit_adjustment}: expected 0 or more"
        )
    if focal and logit_adjustment:
        raise ConfigurationError(
            f"focal={focal} and logit_adjustment={logit_adjustment}: expected one of them, since "
            "neither is defined with the other"
        )
    if logit_adjustment:
        if not (shares > 0).all():
            raise ConfigurationError(
                f"logit adjustment without an image of class {np.flatnonzero(shares <= 0)[0]}: "
                "expected one or more of each"
            )
        return LogitAdjustedCrossentropy(
            (shares**logit_adjustment).tolist(), label_smoothing=label_smoothing
        )
    if focal:
        # Class weights are the training's own: an alpha of 1 leaves the loss as it is.
        return (
            keras.losses.BinaryFocalCrossentropy(gamma=focal, label_smoothing=label_smoothing)
            if one_output
            else keras.losses.CategoricalFocalCrossentropy(
                alpha=1.0, gamma=focal, label_smoothing=label_smoothing
            )
        )
    kind = keras.losses.BinaryCrossentropy if one_output else keras.losses.CategoricalCrossentropy
    return kind(label_smoothing=label_smoothing)


class LogitAdjustedCrossentropy(keras.losses.Loss):
    """The cross entropy of a network whose odds are multiplied by a factor for each class.

    With each class's share of the training images as factors, the network itself need not learn
    how frequent the classes are, and names rare ones as readily as others (Menon et al. 2021,
    https://arxiv.org/abs/2007.07314, equation 10, where logarithms of the factors are added to the
    logits).

    Parameters
    ----------
    factors : sequence of float, length n_classes
        Above 0.
    label_smoothing : float
        The share of each target that is spread over all classes, in [0, 1).
    **options
        Of `keras.losses.Loss`.
    """

    def __init__(self, factors: Any, *, label_smoothing: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.factors = list(factors)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if y_pred.shape[-1] == 1:
            y_true, y_pred = (
                keras.ops.concatenate([1 - column, column], axis=-1) for column in (y_true, y_pred)
            )
        # Keras brings what it is given to a sum of 1.
        return keras.losses.categorical_crossentropy(
            y_true,
            y_pred * keras.ops.convert_to_tensor(self.factors, dtype=y_pred.dtype),
            label_smoothing=self.label_smoothing,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "factors": self.factors,
            "label_smoothing": self.label_smoothing,
        }

"""The last layer of a network whose others stay as they are."""

from typing import Any

import keras
import numpy as np

from emohelpers import models
from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError

__all__ = ["fit_head"]

_BATCH = 256


def fit_head(model: Any, train: FaceDataset, *, penalty: float = 30.0) -> np.ndarray:
    """Fit the last layer of a network to new images, and no other (feature extraction).

    Where nothing below changes, what arrives at the last layer is the same in each epoch: it is
    calculated once. What remains is logistic regression, which has a single best solution and
    needs neither a learning rate nor a number of epochs.

    It is a good start for fine-tuning too: a head drawn at random sends large gradients into a
    backbone that was right (Kumar et al. 2022, https://arxiv.org/abs/2202.10054).

    Parameters
    ----------
    model : keras.Model
        Takes pixels in 0..255 of the data's shape; ends in a dense layer with a softmax over the
        data's classes. The weights of that layer are set.
    train : FaceDataset
        To learn from: images of at least two classes, all with a label. A class without an image
        is made less likely than any other.
    penalty : float
        The larger, the smaller the weights: half of it times the sum of their squares, each for a
        feature of variance 1, is added to the cross entropy in nats, summed over the images.

    Returns
    -------
    ndarray of float32, shape (n, n_features)
        What arrives at the last layer for each image.

    Raises
    ------
    ConfigurationError
        If data and model do not fit, or the penalty is not above 0.

    Examples
    --------
    >>> from emohelpers import datasets, models
    >>> faces = datasets.make_faces(64, seed=0)
    >>> model = models.transfer((48, 48, 1), 7, weights="fer-baseline", freeze="all")
    >>> fit_head(model, faces).shape
    (64, 128)
    """
    # Not at the top: it takes a second that whoever never asks for it should not wait.
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    head = model.layers[-1]
    if (
        not isinstance(head, keras.layers.Dense)
        or head.activation is not keras.activations.softmax
        or not head.use_bias
    ):
        raise ConfigurationError(
            f"the network ends in {head.name!r}: expected a dense layer with a bias and a softmax"
        )
    if not 0 < penalty < float("inf"):
        raise ConfigurationError(f"penalty={penalty}: expected a number above 0")
    if head.units != len(train.class_names):
        raise ConfigurationError(
            f"{len(train.class_names)} classes and {head.units} outputs of the network: expected "
            "an output for each class"
        )
    present = np.unique(train.labels)
    if len(present) < 2 or present[0] < 0:
        raise ConfigurationError(
            f"{len(train)} images with the labels {present.tolist()}: expected images of two "
            "classes or more, all with a label"
        )
    extract = models.compiled(keras.Model(model.inputs, head.input), batch_size=_BATCH)
    starts = range(0, len(train), _BATCH)
    features = np.concatenate([extract(train.images[at : at + _BATCH]) for at in starts])
    # In float64, so that where it ends hardly depends on the order in which a machine adds.
    scaler = StandardScaler()
    standardised = scaler.fit_transform(features.astype(np.float64))
    # Of two classes it has one set of weights, and a softmax two that are half as large.
    regression = LogisticRegression(
        C=(2 if len(present) == 2 else 1) / penalty, max_iter=10_000, tol=1e-6
    ).fit(standardised, train.labels)
    weights, intercepts = regression.coef_, regression.intercept_
    if len(present) == 2:
        weights = np.concatenate([-weights, weights]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    kernel, bias = np.zeros((features.shape[1], head.units)), np.zeros(head.units)
    kernel[:, present] = (weights / scaler.scale_).T
    bias[present] = intercepts - (weights / scaler.scale_) @ scaler.mean_
    absent = np.setdiff1d(np.arange(head.units), present)
    # As if half an image of it had been there. Much less, and fine-tuning could not bring it back.
    bias[absent] = bias[present].min() - np.log(2 * len(train))
    head.set_weights([kernel, bias])
    return features

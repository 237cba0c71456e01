"""The last layer of a network whose others stay as they are."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from emohelpers import models
from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError

__all__ = ["discriminant_analysis", "fit_head", "softmax_regression"]


def fit_head(
    model: Any,
    train: FaceDataset,
    *,
    method: str = "regression",
    penalty: float = 30.0,
    shrinkage: float = 0.5,
) -> np.ndarray:
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
    method : str
        ``"regression"``: by `softmax_regression`; ``"lda"``: by `discriminant_analysis`, as if all
        classes were equally frequent.
    penalty : float
        Of the regression.
    shrinkage : float
        Of the discriminant analysis.

    Returns
    -------
    ndarray of float32, shape (n, n_features)
        What arrives at the last layer for each image, see `emohelpers.models.features`.

    Raises
    ------
    ConfigurationError
        If data and model do not fit, the method is not known, or penalty or shrinkage are out of
        their range.

    Examples
    --------
    >>> from emohelpers import datasets, models
    >>> faces = datasets.make_faces(64, seed=0)
    >>> model = models.transfer((48, 48, 1), 7, weights="fer-baseline", freeze="all")
    >>> fit_head(model, faces).shape
    (64, 128)
    """
    head = model.layers[-1]
    if (
        not isinstance(head, keras.layers.Dense)
        or head.activation is not keras.activations.softmax
        or not head.use_bias
    ):
        raise ConfigurationError(
            f"the network ends in {head.name!r}: expected a dense layer with a bias and a softmax"
        )
    if head.units != len(train.class_names):
        raise ConfigurationError(
            f"{len(train.class_names)} classes and {head.units} outputs of the network: expected "
            "an output for each class"
        )
    _check_labels(train.labels, head.units)
    _check_penalty(penalty)
    if method not in ("regression", "lda"):
        raise ConfigurationError(f"method={method!r}: expected 'regression' or 'lda'")
    features = models.features(model, train.images)
    if method == "lda":
        weights = discriminant_analysis(features, train.labels, head.units, shrinkage=shrinkage)
    else:
        weights = softmax_regression(features, train.labels, head.units, penalty=penalty)
    head.set_weights(weights)
    return features


def softmax_regression(
    features: ArrayLike,
    labels: ArrayLike,
    n_classes: int,
    *,
    penalty: float = 30.0,
    class_weights: Mapping[int, float] | None = None,
    sample_weight: ArrayLike | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a softmax layer to features: logistic regression of several classes.

    Parameters
    ----------
    features : array_like of float, shape (n, n_features)
        For instance those of `emohelpers.models.features`.
    labels : array_like of int, shape (n,)
        In 0..n_classes - 1, of at least two classes. One without an image is made less likely than
        any other.
    n_classes : int
        Outputs of the layer.
    penalty : float
        The larger, the smaller the weights: half of it times the sum of their squares, each for a
        feature of variance 1, is added to the cross entropy in nats, summed over the images.
    class_weights : mapping of int to float, optional
        What an image of each class counts in that sum, see `emohelpers.sampling.class_weights`.
    sample_weight : array_like of float, shape (n,), optional
        What each image counts there, 0 or more, for instance of `emohelpers.fairness.reweighing`;
        times the weight of its class.

    Returns
    -------
    ndarray of float, shape (n_features, n_classes)
        The layer's kernel.
    ndarray of float, shape (n_classes,)
        Its bias. ``softmax(features @ kernel + bias)`` are the probabilities.

    Raises
    ------
    ConfigurationError
        If shapes, labels or weights do not fit, or the penalty is not above 0.

    Examples
    --------
    >>> kernel, bias = softmax_regression([[0.0], [1.0], [3.0], [4.0]], [0, 0, 1, 1], 2, penalty=1)
    >>> (np.array([[0.5], [3.5]]) @ kernel + bias).argmax(axis=1).tolist()
    [0, 1]
    """
    # Not at the top: it takes a second that whoever never asks for it should not wait.
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    given, found, present = _checked(features, labels, n_classes)
    _check_penalty(penalty)
    weights = None
    if class_weights is not None:
        if set(class_weights) != set(range(n_classes)) or min(class_weights.values()) < 0:
            raise ConfigurationError(
                f"class_weights {dict(class_weights)}: expected 0 or more for each label, "
                f"0 to {n_classes - 1}"
            )
        weights = np.array([class_weights[label] for label in range(n_classes)])[found]
    if sample_weight is not None:
        own = np.asarray(sample_weight, dtype=np.float64)
        if own.shape != found.shape or not ((own >= 0) & (own < np.inf)).all() or not own.any():
            raise ConfigurationError(
                f"sample_weight of shape {own.shape}: expected 0 or more for each of "
                f"{len(found)} images, and some above 0"
            )
        weights = own if weights is None else own * weights
    scaler = StandardScaler()
    # Weighted, so that a weight of 2 is the same as an image that is there twice.
    standardised = scaler.fit(given, sample_weight=weights).transform(given)
    # Of two classes it has one set of weights, and a softmax two that are half as large.
    regression = LogisticRegression(
        C=(2 if len(present) == 2 else 1) / penalty, max_iter=10_000, tol=1e-6
    ).fit(standardised, found, sample_weight=weights)
    return _layer(regression, scaler, present, n_classes, n_images=len(given))


def discriminant_analysis(
    features: ArrayLike, labels: ArrayLike, n_classes: int, *, shrinkage: float = 0.5
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a softmax layer to features by the means of the classes: linear discriminant analysis.

    Each class has a mean of its own, and all share one covariance, the average of those of the
    classes, each counting alike however many images it has. Where classes are very rare, that is
    steadier than `softmax_regression` with class weights. The layer answers as if all classes were
    equally frequent.

    Parameters
    ----------
    features, labels, n_classes
        See `softmax_regression`.
    shrinkage : float
        How far the covariance of the features, each of variance 1, is drawn towards a multiple of
        the identity, in 0..1 (Ledoit and Wolf 2004, doi:10.1016/S0047-259X(03)00096-4).

    Returns
    -------
    ndarray of float, shape (n_features, n_classes)
        The layer's kernel.
    ndarray of float, shape (n_classes,)
        Its bias. ``softmax(features @ kernel + bias)`` are the probabilities.

    Raises
    ------
    ConfigurationError
        If shapes or labels do not fit, or `shrinkage` is out of its range.

    Examples
    --------
    >>> kernel, bias = discriminant_analysis([[0.0], [1.0], [3.0], [4.0]], [0, 0, 1, 1], 2)
    >>> (np.array([[1.9], [2.1]]) @ kernel + bias).argmax(axis=1).tolist()
    [0, 1]
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.preprocessing import StandardScaler

    given, found, present = _checked(features, labels, n_classes)
    if not 0 <= shrinkage <= 1:
        raise ConfigurationError(f"shrinkage={shrinkage}: expected 0 to 1")
    if len(given) <= len(present):
        raise ConfigurationError(
            f"{len(given)} images of {len(present)} classes: expected more images than classes"
        )
    scaler = StandardScaler()
    analysis = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage=shrinkage, priors=[1 / len(present)] * len(present)
    ).fit(scaler.fit_transform(given), found)
    return _layer(analysis, scaler, present, n_classes, n_images=len(given))


def _checked(
    features: ArrayLike, labels: ArrayLike, n_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return features, labels and the classes of which there are images, if they fit."""
    # In float64, so that where a fit ends hardly depends on the order in which a machine adds.
    given, found = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if given.ndim != 2 or found.shape != (len(given),):
        raise ConfigurationError(
            f"features of shape {given.shape}, labels of shape {found.shape}: expected "
            "(n, n_features) and (n,)"
        )
    return given, found, _check_labels(found, n_classes)


def _layer(
    fitted: Any, scaler: Any, present: NDArray[np.int64], n_classes: int, *, n_images: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn a linear classifier of standardised features into a softmax layer of the features."""
    slopes, intercepts = fitted.coef_, fitted.intercept_
    if len(present) == 2:
        # It has one set of weights for two classes.
        slopes = np.concatenate([-slopes, slopes]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    kernel, bias = np.zeros((slopes.shape[1], n_classes)), np.zeros(n_classes)
    kernel[:, present] = (slopes / scaler.scale_).T
    bias[present] = intercepts - (slopes / scaler.scale_) @ scaler.mean_
    absent = np.setdiff1d(np.arange(n_classes), present)
    # As if half an image of it had been there. Much less, and fine-tuning could not bring it back.
    bias[absent] = bias[present].min() - np.log(2 * n_images)
    return kernel, bias


def _check_penalty(penalty: float) -> None:
    if not 0 < penalty < float("inf"):
        raise ConfigurationError(f"penalty={penalty}: expected a number above 0")


def _check_labels(labels: NDArray[Any], n_classes: int) -> NDArray[np.int64]:
    """Return the classes of which there are images; refuse what nothing can be learned from."""
    present = np.unique(labels)
    if len(present) < 2 or present[0] < 0 or present[-1] >= n_classes:
        raise ConfigurationError(
            f"{len(labels)} images with the labels {present.tolist()}: expected images of two "
            f"classes or more of 0 to {n_classes - 1}, all with a label"
        )
    return present

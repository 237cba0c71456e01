"""Changes that are looked for, so that a network errs."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.preprocessing._steps import as_pixels

__all__ = ["fgsm", "pgd"]

_BATCH = 256
# Keeps the logarithm finite; smaller probabilities float32 hardly tells from none.
_TINY = 1e-30


def fgsm(
    model: Any, images: ArrayLike, labels: ArrayLike, *, epsilon: float
) -> NDArray[np.float32]:
    """Move every pixel by epsilon, the way that makes the label less likely.

    The fast gradient sign method (Goodfellow et al. 2015): one step along the sign of the
    derivative of the loss. The logarithm of the odds of the other classes stands in for the loss:
    it grows with it, so that the sign is the same, and it still has a slope in float32 where the
    network is so sure that the loss has none. Only below odds of about 1e-30 pixels stay as they
    were.

    Parameters
    ----------
    model : keras.Model
        Takes pixels in 0..255; ends in softmax, or in one sigmoid output.
    images : array_like of uint8 or float32, shape (n, height, width, 1 or 3)
        In 0..255; not changed.
    labels : array_like of int, shape (n,)
        Positions among the network's classes.
    epsilon : float
        In grey levels of 255, 0 or more.

    Returns
    -------
    ndarray of float32, of the same shape
        In 0..255, no pixel farther than `epsilon` from where it was.

    Raises
    ------
    ConfigurationError
        If images and labels do not fit the network or each other, or `epsilon` is negative.

    References
    ----------
    I. J. Goodfellow, J. Shlens and C. Szegedy (2015), Explaining and Harnessing Adversarial
    Examples, ICLR, https://arxiv.org/abs/1412.6572.

    Examples
    --------
    >>> from emohelpers import datasets, models
    >>> faces = datasets.make_faces(2, seed=0)
    >>> model = models.baseline_cnn(filters=(2, 2, 2), units=4)
    >>> attacked = fgsm(model, faces.images, faces.labels, epsilon=3)
    >>> float(abs(attacked - faces.images).max())
    3.0
    """
    pixels, classes = _check(model, images, labels, epsilon)
    return _within(pixels, pixels + epsilon * _uphill(model, pixels, classes), epsilon)


def pgd(
    model: Any,
    images: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: float,
    steps: int = 10,
    step_size: float | None = None,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Look within epsilon for the change that makes the label least likely, in several steps.

    Projected gradient descent (Madry et al. 2018): from a place drawn within epsilon of the image,
    steps along the sign of the derivative, each brought back within epsilon.

    Parameters
    ----------
    model, images, labels, epsilon
        As in `fgsm`.
    steps : int
        1 or more.
    step_size : float, optional
        In grey levels; without it 2.5 times `epsilon` divided by `steps`, as Madry et al. took it:
        enough to cross from one edge to the other.
    seed : int
        Of the place to begin at.

    Returns
    -------
    ndarray of float32, of the same shape
        In 0..255, no pixel farther than `epsilon` from where it was.

    Raises
    ------
    ConfigurationError
        As in `fgsm`, and if there is no step or its size is not above 0.

    References
    ----------
    A. Madry, A. Makelov, L. Schmidt, D. Tsipras and A. Vladu (2018), Towards Deep Learning Models
    Resistant to Adversarial Attacks, ICLR, https://arxiv.org/abs/1706.06083.

    Examples
    --------
    >>> from emohelpers import datasets, models
    >>> faces = datasets.make_faces(2, seed=0)
    >>> model = models.baseline_cnn(filters=(2, 2, 2), units=4)
    >>> attacked = pgd(model, faces.images, faces.labels, epsilon=3, steps=2)
    >>> bool(abs(attacked - faces.images).max() <= 3)
    True
    """
    pixels, classes = _check(model, images, labels, epsilon)
    size = 2.5 * epsilon / max(steps, 1) if step_size is None else step_size
    if steps < 1 or not (size > 0 or epsilon == 0):
        raise ConfigurationError(
            f"steps={steps} of step_size={step_size}: expected 1 or more, of more than 0"
        )
    rng = np.random.default_rng(seed)
    start = rng.uniform(-epsilon, epsilon, pixels.shape)
    found = _within(pixels, pixels + start, epsilon)
    for _ in range(steps):
        found = _within(pixels, found + size * _uphill(model, found, classes), epsilon)
    return found


def _check(
    model: Any, images: ArrayLike, labels: ArrayLike, epsilon: float
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    pixels = as_pixels(images).astype(np.float32)
    classes = np.asarray(labels)
    taken = tuple(model.input_shape[1:])
    if pixels.shape[1:] != taken or classes.shape != (len(pixels),):
        raise ConfigurationError(
            f"images of shape {pixels.shape} and labels of shape {classes.shape}: expected "
            f"(n, {', '.join(map(str, taken))}) and (n,)"
        )
    most = max(int(model.output_shape[-1]), 2)
    if classes.dtype.kind not in "iu" or not np.isin(classes, range(most)).all():
        raise ConfigurationError(f"labels of {classes.dtype}: expected integers, 0 to {most - 1}")
    if not 0 <= epsilon < np.inf:
        raise ConfigurationError(f"epsilon={epsilon}: expected grey levels, 0 or more")
    return pixels, classes.astype(np.int64)


def _within(
    pixels: NDArray[np.float32], changed: NDArray[Any], epsilon: float
) -> NDArray[np.float32]:
    """Bring changed images back within epsilon of what they were, and into 0..255."""
    low, high = np.maximum(pixels - epsilon, 0), np.minimum(pixels + epsilon, 255)
    return np.clip(changed, low, high).astype(np.float32)


def _uphill(
    model: Any, pixels: NDArray[np.float32], classes: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the sign of each pixel's derivative of the loss."""
    from emohelpers.models import input_gradients

    signs = np.empty_like(pixels)
    for start in range(0, len(pixels), _BATCH):
        rows = slice(start, start + _BATCH)
        objective = _odds_of_others(classes[rows])
        signs[rows] = np.sign(input_gradients(model, pixels[rows], objective))
    return signs


def _odds_of_others(classes: NDArray[np.int64]) -> Callable[[Any], Any]:
    from keras import ops

    def objective(outputs: Any) -> Any:
        if outputs.shape[-1] == 1:
            outputs = ops.concatenate([1 - outputs, outputs], axis=-1)
        own = ops.one_hot(classes, outputs.shape[-1], dtype=outputs.dtype)
        of_label = ops.sum(outputs * own, axis=-1)
        of_others = ops.sum(outputs * (1 - own), axis=-1)
        return ops.log(of_others + _TINY) - ops.log(of_label + _TINY)

    return objective

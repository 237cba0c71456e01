"""How much each class counts, where some have many more images than others."""

import numpy as np
from numpy.typing import ArrayLike

from emohelpers.errors import ConfigurationError, LabelError

__all__ = ["class_weights"]


def class_weights(labels: ArrayLike, n_classes: int | None = None) -> dict[int, float]:
    """Weigh classes so that each counts the same in the loss, for `keras.Model.fit`.

    A class with `k` of the `n` images weighs ``n / (m * k)``, where `m` classes have images:
    scikit-learn's ``compute_class_weight("balanced", ...)``, after King and Zeng (2001). The mean
    weight of an image is 1. A class without an image weighs 0, which nothing will meet, and
    leaves the other weights as they are.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        In 0..n_classes - 1.
    n_classes : int, optional
        How many classes to weigh; without it, as many as the greatest label asks for.

    Returns
    -------
    dict of int to float
        The weight of each class, 0 or more, in label order.

    Raises
    ------
    LabelError
        If a label is not an integer in 0..n_classes - 1 (-1, no label, included).
    ConfigurationError
        If there are no labels.

    References
    ----------
    G. King and L. Zeng (2001), Logistic Regression in Rare Events Data, Political Analysis 9(2).

    Examples
    --------
    >>> class_weights([0, 0, 0, 1])
    {0: 0.6666666666666666, 1: 2.0}
    >>> class_weights([0, 0, 0, 2], n_classes=4)
    {0: 0.6666666666666666, 1: 0.0, 2: 2.0, 3: 0.0}
    """
    found = np.asarray(labels)
    if found.ndim != 1 or found.size == 0:
        raise ConfigurationError(f"labels of shape {found.shape}: expected (n,), n at least 1")
    if found.dtype.kind not in "iu":
        raise LabelError(f"labels of {found.dtype}: expected integers")
    n_classes = int(found.max()) + 1 if n_classes is None else n_classes
    if found.min() < 0 or found.max() >= n_classes:
        raise LabelError(
            f"labels from {found.min()} to {found.max()}: expected 0 to {n_classes - 1}; leave out "
            "images without a label (-1)"
        )
    counts = np.bincount(found, minlength=n_classes)
    present = int((counts > 0).sum())
    weights = found.size / (present * np.maximum(counts, 1))
    return {label: float(weights[label]) if counts[label] else 0.0 for label in range(n_classes)}

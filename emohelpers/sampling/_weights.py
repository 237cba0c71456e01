"""How much each class counts, where some have many more images than others."""

import numpy as np
from numpy.typing import ArrayLike

from emohelpers.errors import ConfigurationError, LabelError

__all__ = ["class_weights"]


def class_weights(
    labels: ArrayLike, n_classes: int | None = None, *, beta: float = 1.0
) -> dict[int, float]:
    """Weigh rare classes more in the loss, for `emohelpers.training.fit`.

    With a `beta` of 1 each class counts the same: one with `k` of the `n` images weighs
    ``n / (m * k)``, where `m` classes have images. That is scikit-learn's
    ``compute_class_weight("balanced", ...)``, after King and Zeng (2001). With less, each class
    counts by the inverse of its effective number of images, ``(1 - beta**k) / (1 - beta)``: the
    class-balanced loss of Cui et al. (2019), in which further images of a large class tell less
    and less. A `beta` of 0 weighs all images alike.

    The mean weight of an image is 1 whatever `beta` (Cui et al. let the weights sum to `m`
    instead, which differs by a factor that acts on the learning rate alone). A class without an
    image weighs 0, which nothing will meet, and leaves the other weights as they are.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        In 0..n_classes - 1.
    n_classes : int, optional
        How many classes to weigh; without it, as many as the greatest label asks for.
    beta : float
        In 0..1; Cui et al. try .9 to .9999.

    Returns
    -------
    dict of int to float
        The weight of each class, 0 or more, in label order.

    Raises
    ------
    LabelError
        If a label is not an integer in 0..n_classes - 1 (-1, no label, included).
    ConfigurationError
        If there are no labels, or `beta` lies outside 0..1.

    References
    ----------
    Y. Cui, M. Jia, T.-Y. Lin, Y. Song and S. Belongie (2019), Class-Balanced Loss Based on
    Effective Number of Samples, CVPR, https://arxiv.org/abs/1901.05555.

    G. King and L. Zeng (2001), Logistic Regression in Rare Events Data, Political Analysis 9(2).

    Examples
    --------
    >>> class_weights([0, 0, 0, 1])
    {0: 0.6666666666666666, 1: 2.0}
    >>> class_weights([0, 0, 0, 2], n_classes=4)
    {0: 0.6666666666666666, 1: 0.0, 2: 2.0, 3: 0.0}
    >>> class_weights([0, 0, 0, 1], beta=0.5)
    {0: 0.8421052631578947, 1: 1.4736842105263157}
    """
    if not 0 <= beta <= 1:
        raise ConfigurationError(f"beta={beta}: expected a number from 0 to 1")
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
    present = counts > 0
    number = counts if beta == 1 else (1 - beta**counts) / (1 - beta)
    weights = np.where(present, 1 / np.where(present, number, 1), 0.0)
    weights *= found.size / (weights @ counts)
    return {label: float(weights[label]) for label in range(n_classes)}

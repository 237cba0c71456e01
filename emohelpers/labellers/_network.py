"""A label and a network that has not learnt from it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError, LabelError
from emohelpers.evaluation._wilson import wilson

__all__ = ["consensus", "opinion_by_class"]


def opinion_by_class(
    faces: FaceDataset, probabilities: ArrayLike, class_names: Sequence[str]
) -> pd.DataFrame:
    """Say how often a network that learnt elsewhere sees what the label says.

    It is no judge: it may be wrong itself, and on some classes it is. But it has not seen these
    labels, so that where it is usually right, what it doubts is worth a look.

    Parameters
    ----------
    faces : FaceDataset
        Images of a class that the network does not know, or without a label, are left out.
    probabilities : array_like of float, shape (n, len(class_names))
        What the network says of each image.
    class_names : sequence of str
        The network's classes.

    Returns
    -------
    DataFrame
        A row for each class with images, and ``all``: ``n``, ``agrees`` (the share for which the
        network's first choice is the label) with its 95% interval in ``agrees_low`` and
        ``agrees_high`` (Wilson 1927), ``label_probability`` (the mean probability it gives the
        label) and ``most_often`` (its most frequent choice). Shares lie in 0..1.

    Raises
    ------
    ConfigurationError
        If shapes do not fit, or no image has a class that the network knows.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(4, seed=0, emotions=("fear", "neutral"))
    >>> opinion_by_class(faces, [[0, 1.0]] * 4, ["fear", "neutral"]).loc["all", "most_often"]
    'neutral'
    """
    labels, shares = _known(faces, probabilities, class_names)
    chosen = shares.argmax(axis=1)
    of_label = shares[np.arange(len(labels)), labels]
    rows = {}
    for name in [*class_names, "all"]:
        mine = labels == list(class_names).index(name) if name != "all" else labels >= 0
        if not mine.any():
            continue
        right, n = int((chosen == labels)[mine].sum()), int(mine.sum())
        low, high = wilson(right, n)
        rows[name] = {
            "n": n,
            "agrees": right / n,
            "agrees_low": low,
            "agrees_high": high,
            "label_probability": float(of_label[mine].mean()),
            "most_often": class_names[int(np.bincount(chosen[mine]).argmax())],
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("label")


def _known(
    faces: FaceDataset, probabilities: ArrayLike, class_names: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the labels as the network numbers them, and its shares, of the images it can judge."""
    shares = _checked(faces, probabilities, class_names)
    places = [
        list(class_names).index(name) if name in class_names else -1 for name in faces.class_names
    ]
    labels = np.array([*places, -1])[faces.labels]
    if not (labels >= 0).any():
        raise ConfigurationError(
            f"the network knows {', '.join(class_names)}: expected images of some of them"
        )
    return labels[labels >= 0], shares[labels >= 0]


def _checked(
    faces: FaceDataset, probabilities: ArrayLike, class_names: Sequence[str]
) -> NDArray[np.float64]:
    shares = np.asarray(probabilities, dtype=np.float64)
    if shares.shape != (len(faces), len(class_names)):
        raise ConfigurationError(
            f"probabilities of shape {shares.shape}: expected ({len(faces)}, {len(class_names)}), "
            "images by classes of the network"
        )
    wrong = ~((shares >= 0).all(axis=1) & (np.abs(shares.sum(axis=1) - 1) < 1e-3))
    if wrong.any():
        row = int(wrong.argmax())
        raise ConfigurationError(
            f"row {row} of the probabilities is {shares[row].tolist()}: expected 0 or more, with a "
            "sum of 1"
        )
    return shares


def consensus(
    faces: FaceDataset,
    probabilities: ArrayLike,
    class_names: Sequence[str],
    *,
    pairs: pd.DataFrame | None = None,
    sure: float = 0.5,
) -> FaceDataset:
    """Keep the labels that no other witness contradicts, and take away the others.

    Witnesses of a label are the network, where it gives another class more than `sure`, and the
    labels of copies of the image. A label that neither contradicts stays; otherwise there is none.
    Nobody's label is replaced by a guess: the network would teach its own mistakes.

    Parameters
    ----------
    faces : FaceDataset
        With a label for each image.
    probabilities : array_like of float, shape (n, len(class_names))
        What a network says of each image that has not learnt from these labels. Labels of classes
        that it does not know it can not contradict.
    class_names : sequence of str
        The network's classes.
    pairs : DataFrame, optional
        Positions of copies, ``first`` and ``second``, see `emohelpers.datasets.near_duplicates`.
    sure : float
        The probability of another class above which the network contradicts, in [0, 1].

    Returns
    -------
    FaceDataset
        The same images under the name ``<name>-consensus``, label -1 where there is none.

    Raises
    ------
    ConfigurationError
        If shapes do not fit, or `sure` is out of its range.
    LabelError
        If an image has no label, or the witnesses leave no label at all.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(2, seed=0, emotions=("fear", "neutral"))
    >>> consensus(faces, [[0.9, 0.1], [0.9, 0.1]], ["fear", "neutral"]).labels.tolist()
    [-1, 0]
    """
    if not 0 <= sure <= 1:
        raise ConfigurationError(f"sure={sure}: expected 0..1")
    faces.check_labelled()
    shares = _checked(faces, probabilities, class_names)
    names = np.array(faces.class_names, dtype=object)[faces.labels]
    choice = np.array(class_names, dtype=object)[shares.argmax(axis=1)]
    judged = np.isin(names, np.array(class_names, dtype=object))
    against = judged & (choice != names) & (shares.max(axis=1) > sure)
    if pairs is not None:
        one, other = pairs["first"].to_numpy(np.int64), pairs["second"].to_numpy(np.int64)
        differ = faces.labels[one] != faces.labels[other]
        against[np.concatenate([one[differ], other[differ]])] = True
    if against.all():
        raise LabelError(f"no label of {faces.name} is left: expected some that nobody contradicts")
    labels = np.where(against, -1, faces.labels)
    return replace(faces, name=f"{faces.name}-consensus", labels=labels)

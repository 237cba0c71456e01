"""Data sets with faces that were made, and how many of which emotion to make."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.datasets import FaceDataset
from emohelpers.datasets._base import SPLITS
from emohelpers.errors import ConfigurationError

__all__ = ["missing_labels", "with_made"]


def missing_labels(faces: FaceDataset, *, per_class: int | None = None) -> NDArray[np.int64]:
    """List the labels of the faces that are missing until all classes are as large.

    Parameters
    ----------
    faces : FaceDataset
        What is learnt from; see `emohelpers.evaluation.training_rows`.
    per_class : int, optional
        How many of each class there are to be at least; without it, as many as the largest has.

    Returns
    -------
    ndarray of int64, shape (n,)
        Class by class; empty where nothing is missing.

    Raises
    ------
    LabelError
        If a face has no label.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(20, emotions={"neutral": 0.75, "disgust": 0.25})
    >>> np.bincount(faces.labels).tolist(), missing_labels(faces).tolist()
    ([15, 5], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    """
    faces.check_labelled()
    counts = np.bincount(faces.labels, minlength=len(faces.class_names))
    wanted = int(counts.max(initial=0)) if per_class is None else per_class
    return np.repeat(np.arange(len(counts)), np.maximum(wanted - counts, 0))


def with_made(
    faces: FaceDataset, images: NDArray[np.uint8], labels: ArrayLike, *, name: str | None = None
) -> FaceDataset:
    """Add faces that were made to a data set, as training faces.

    Parameters
    ----------
    faces : FaceDataset
        Its training split may be empty: the made faces are then all there is to learn from.
    images : ndarray of uint8, shape (n, height, width, channels)
        As large as those of `faces`.
    labels : array_like of int, shape (n,)
        Positions in the classes of `faces`.
    name : str, optional
        Of the new data set; that of `faces` without it.

    Returns
    -------
    FaceDataset
        All images, in memory; ``synthetic`` (bool) in its table says which were made.

    Raises
    ------
    ConfigurationError
        If images and labels do not fit.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(20, seed=0)
    >>> more = with_made(faces, faces.images[:3], faces.labels[:3])
    >>> len(more.split("train")) - len(faces.split("train")), int(more.table["synthetic"].sum())
    (3, 3)
    """
    found = np.asarray(labels, np.int64)
    if images.shape[1:] != faces.images.shape[1:] or found.shape != (len(images),):
        raise ConfigurationError(
            f"images of shape {images.shape} and labels of shape {found.shape}: expected "
            f"(n, {', '.join(map(str, faces.images.shape[1:]))}) and (n,)"
        )
    known = faces.table["split"].dropna().unique()
    word = next((word for word in SPLITS["train"] if word in known), SPLITS["train"][0])
    made = pd.DataFrame({"split": word, "synthetic": True}, index=range(len(found)))
    table = faces.table.assign(synthetic=False)
    # What is true of no image that was made, such as ``leaks``, would turn into a missing value.
    for column in table.select_dtypes(bool).columns.drop("synthetic"):
        made[column] = False
    return replace(
        faces,
        images=np.concatenate([np.asarray(faces.images), images]),
        labels=np.concatenate([faces.labels, found]),
        table=pd.concat([table, made], ignore_index=True),
        name=name or faces.name,
    )

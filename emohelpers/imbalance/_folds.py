"""A cross-validation that keeps each person on one side."""

from dataclasses import replace

import numpy as np

from emohelpers.datasets import FaceDataset, person_groups
from emohelpers.datasets._duplicates import find_leaks
from emohelpers.errors import ConfigurationError

__all__ = ["folds"]


def folds(
    faces: FaceDataset, n: int = 3, *, by: str = "person", seed: int = 0
) -> list[FaceDataset]:
    """Divide a data set so that each image is scored once, by who has seen none of its person.

    Where a class has nine images, any one validation split would hold one or two of them. The
    classes are spread over the folds as evenly as persons allow (scikit-learn's
    ``StratifiedGroupKFold``). That evens out more than `emohelpers.datasets.assign_fold`, but
    divides all anew if one image comes or goes: for a comparison, not for a published network.

    Parameters
    ----------
    faces : FaceDataset
        Images without a label are left out.
    n : int
        Folds, 2 or more.
    by : str
        The column of the table that names the person; images of one, or of several who share a
        photograph, stand in the same fold (see `emohelpers.datasets.person_groups`).
    seed : int
        Of the division.

    Returns
    -------
    list of FaceDataset
        All images, of which those of the fold are ``validation`` and the others ``train``;
        ``leaks`` tells of these splits.

    Raises
    ------
    ConfigurationError
        If the column is not there, or there are fewer groups, or images of a class, than folds.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> parts = folds(datasets.make_faces(60, seed=0), 3)
    >>> sum(len(part.split("validation")) for part in parts)
    60
    """
    from sklearn.model_selection import StratifiedGroupKFold

    labelled = faces.select(faces.labels >= 0)
    groups = person_groups(labelled, by=by)
    if not 2 <= n <= len(set(groups)):
        raise ConfigurationError(
            f"{n} folds of {len(set(groups))} groups by {by}: expected 2 or more, and no more than "
            "groups"
        )
    names, counts = labelled.class_names, np.bincount(labelled.labels)
    few = [f"{names[k]} ({count})" for k, count in enumerate(counts) if 0 < count < n]
    if few:
        raise ConfigurationError(
            f"{n} folds, and fewer images of {', '.join(few)}: expected no more folds than images "
            "of a class"
        )
    division = StratifiedGroupKFold(n, shuffle=True, random_state=seed)
    parts = []
    for _, scored in division.split(np.zeros(len(labelled)), labelled.labels, groups):
        split = np.full(len(labelled), "train", dtype=object)
        split[scored] = "validation"
        table = labelled.table.assign(split=split)
        if "duplicate_of" in table:
            table = table.assign(leaks=find_leaks(table["duplicate_of"], split.tolist()))
        parts.append(replace(labelled, table=table))
    return parts

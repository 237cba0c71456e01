"""Which images a network learns from, and which it is scored on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.datasets import FaceDataset
from emohelpers.datasets._base import SPLITS
from emohelpers.errors import ConfigurationError
from emohelpers.evaluation._predictions import predict
from emohelpers.evaluation._scores import score

__all__ = ["evaluate", "predict_parts", "protocol", "restrict", "score_parts", "training_rows"]


def training_rows(dataset: FaceDataset) -> FaceDataset:
    """Return the training split without the images that also stand in another split.

    Parameters
    ----------
    dataset : FaceDataset
        With a ``leaks`` column, as `emohelpers.datasets.load` makes for FER2013; without one,
        nothing is left out.

    Returns
    -------
    FaceDataset
        Over the same memory.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(40, seed=0).assign_splits(by="person")
    >>> len(training_rows(faces)) == len(faces.split("train"))
    True
    """
    train = dataset.split("train")
    if "leaks" not in train.table:
        return train
    return train.select(~train.table["leaks"].to_numpy(bool))


def protocol(dataset: FaceDataset) -> dict[str, FaceDataset]:
    """Divide a data set into the parts that a published network is scored on.

    Parameters
    ----------
    dataset : FaceDataset
        Images without a label are left out.

    Returns
    -------
    dict of str to FaceDataset
        Validation and test split under the source's own names (FER2013: ``PublicTest`` and
        ``PrivateTest``). Where identical images were found, also ``PrivateTest-no-leaks``: the test
        images without an identical one in the training split. Where the labels were made by hand
        (column ``expression``), ``agreed``: the rows on which both passes agree (column
        ``agreement``), or ``all`` after a single pass; and, if rows have a split, ``agreed-test``:
        those that are for testing alone. Otherwise ``all``.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(200, seed=0).assign_splits(by="person")
    >>> sorted(protocol(faces))
    ['test', 'validation']
    """
    labelled = dataset.select(dataset.labels >= 0)
    table = labelled.table
    if "expression" in table:
        return _by_hand(labelled)
    parts: dict[str, FaceDataset] = {}
    for name in ("validation", "test"):
        for word in SPLITS[name]:
            rows = table["split"].eq(word).fillna(False).to_numpy(bool)
            if rows.any():
                parts[word] = labelled.select(rows)
            if rows.any() and name == "test" and _has_duplicates(table):
                parts[f"{word}-no-leaks"] = labelled.select(rows & ~_in_training(table))
    return parts or {"all": labelled}


def _by_hand(labelled: FaceDataset) -> dict[str, FaceDataset]:
    """Return the images whose label a person gave, and those of them that nothing was chosen by."""
    table = labelled.table
    if "agreement" in table:
        name, rows = "agreed", table["agreement"].eq(1).fillna(False)
    else:
        name, rows = "all", table["expression"].notna()
    parts = {name: labelled.select(rows.to_numpy(bool))}
    if table["split"].notna().any():
        tested = rows & table["split"].isin(SPLITS["test"])
        parts[f"{name}-test"] = labelled.select(tested.to_numpy(bool))
    return parts


def _has_duplicates(table: pd.DataFrame) -> bool:
    return "duplicate_of" in table and bool(table["duplicate_of"].notna().any())


def _in_training(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Say which images have the same bytes as one of the training split (or stand in it)."""
    # The first image of a group of duplicates stands for the group.
    group = table["duplicate_of"].fillna(pd.Series(table.index, dtype="Int64"))
    train = table["split"].isin(SPLITS["train"])
    return group.isin(group[train]).to_numpy(bool)


def restrict(
    dataset: FaceDataset, probabilities: NDArray[np.float32], class_names: Sequence[str]
) -> tuple[FaceDataset, NDArray[np.float32]]:
    """Bring a data set and a network's probabilities to the classes that both know.

    Parameters
    ----------
    dataset : FaceDataset
        Only the classes of which it has images count.
    probabilities : ndarray of float32, shape (n, n_classes)
        A row for each image of the data set.
    class_names : sequence of str
        The network's classes.

    Returns
    -------
    FaceDataset
        The images of the common classes, relabelled in the network's order.
    ndarray of float32, shape (m, n_common)
        Their probabilities, scaled to sum to 1 over the common classes.

    Raises
    ------
    ConfigurationError
        If fewer than two classes are common.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> smiles = datasets.make_faces(4, seed=0, emotions=("neutral", "happiness"))
    >>> network = np.full((4, 7), 1 / 7, np.float32)
    >>> faces, shares = restrict(smiles, network, datasets.EMOTIONS[:7])
    >>> faces.class_names, shares[0].tolist()
    (('happiness', 'neutral'), [0.5, 0.5])
    """
    present = {dataset.class_names[label] for label in np.unique(dataset.labels) if label >= 0}
    common = [name for name in class_names if name in present]
    if len(common) < 2:
        raise ConfigurationError(
            f"the data set has images of {', '.join(sorted(present)) or 'no class'} and the "
            f"network knows {', '.join(class_names)}: expected two or more in common"
        )
    kept = [dataset.class_names.index(name) for name in common]
    rows = np.isin(dataset.labels, kept)
    shares = probabilities[rows][:, [list(class_names).index(name) for name in common]]
    total = shares.sum(1, keepdims=True)
    # A network that gives all of them nothing has no opinion among them.
    shares = np.where(total > 0, shares / np.maximum(total, 1e-30), 1 / len(common))
    return dataset.keep_classes(common), shares.astype(np.float32)


def predict_parts(
    model: Any,
    dataset: FaceDataset,
    *,
    class_names: Sequence[str] | None = None,
    views: int = 1,
) -> dict[str, tuple[FaceDataset, NDArray[np.float32]]]:
    """Let a network answer each part of a data set's protocol.

    Parameters
    ----------
    model, dataset, class_names, views
        As in `evaluate`.

    Returns
    -------
    dict of str to (FaceDataset, ndarray of float32 of shape (n, n_classes))
        For each part that `protocol` names what `restrict` returns.

    Examples
    --------
    >>> from emohelpers import datasets, models
    >>> faces = datasets.make_faces(60, seed=0)
    >>> network = models.baseline_cnn(filters=(2, 2, 2), units=4)
    >>> part, probabilities = predict_parts(network, faces)["test"]
    >>> len(part) == len(probabilities)
    True
    """
    known = tuple(class_names or dataset.class_names)
    return {
        name: restrict(part, predict(model, part.images, views=views), known)
        for name, part in protocol(dataset).items()
    }


def evaluate(
    model: Any,
    dataset: FaceDataset,
    *,
    class_names: Sequence[str] | None = None,
    views: int = 1,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Score a network on each part of a data set's protocol.

    Parameters
    ----------
    model : keras.Model
        See `predict`.
    dataset : FaceDataset
        Whole: with its training split, which tells the leaks.
    class_names : sequence of str, optional
        The network's classes; the data set's without it. Scored are the classes that both know.
    views : int
        See `predict`.
    seed : int
        Of the intervals.

    Returns
    -------
    dict of str to dict
        What `score` returns, and ``class_names``, for each part that `protocol` names.

    Examples
    --------
    >>> from emohelpers import datasets, models
    >>> faces = datasets.make_faces(60, seed=0).assign_splits(by="person")
    >>> scores = evaluate(models.baseline_cnn(filters=(2, 2, 2), units=4), faces)
    >>> list(scores)
    ['validation', 'test']
    """
    parts = predict_parts(model, dataset, class_names=class_names, views=views)
    return score_parts(parts, seed=seed)


def score_parts(
    parts: Mapping[str, tuple[FaceDataset, NDArray[np.float32]]], *, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Score what `predict_parts` returns.

    Parameters
    ----------
    parts : mapping of str to (FaceDataset, ndarray)
        Of each part the images and a network's probabilities.
    seed : int
        Of the intervals.

    Returns
    -------
    dict of str to dict
        As `evaluate` returns it.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> smiles = datasets.make_faces(2, seed=0, emotions=("neutral", "happiness"))
    >>> score_parts({"all": (smiles, np.eye(2)[smiles.labels])})["all"]["accuracy"]["value"]
    1.0
    """
    return {
        name: {
            "class_names": list(faces.class_names),
            **score(faces.labels, shares, faces.class_names, seed=seed),
        }
        for name, (faces, shares) in parts.items()
    }

"""Predictions, metrics with intervals, and the protocol by which a network is scored."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.datasets import FaceDataset
from emohelpers.datasets._base import SPLITS
from emohelpers.errors import ConfigurationError, LabelError

__all__ = [
    "VIEWS",
    "confusion_table",
    "evaluate",
    "per_class_table",
    "predict",
    "protocol",
    "restrict",
    "score",
    "summary_table",
    "taken_for",
    "training_rows",
]

VIEWS = (1, 2)
"""Views at test time: 1 is the image itself, 2 is the average with its mirror image."""

_SUMMARY = ("accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1")
_PER_CLASS = ("precision", "recall", "f1", "specificity")


def predict(
    model: Any, images: Any, *, views: int = 1, batch_size: int = 256
) -> NDArray[np.float32]:
    """Return the probability of each class for each image.

    Parameters
    ----------
    model : keras.Model
        Takes pixels in 0..255; ends in softmax, or in one sigmoid output.
    images : array_like of uint8, shape (n, height, width, channels)
        Read a batch at a time, so a memory map of any size will do.
    views : int
        One of `VIEWS`; the probabilities of the views are averaged.
    batch_size : int
        Images in a batch.

    Returns
    -------
    ndarray of float32, shape (n, n_classes)
        In 0..1, rows sum to 1. One sigmoid output ``p`` becomes ``(1 - p, p)``.

    Raises
    ------
    ConfigurationError
        If the images do not fit the network or `views` is not known.

    Examples
    --------
    >>> from emohelpers import datasets, models
    >>> faces = datasets.make_faces(3, seed=0)
    >>> model = models.baseline_cnn(filters=(2, 2, 2), units=4)
    >>> predict(model, faces.images).shape
    (3, 7)
    """
    if views not in VIEWS:
        raise ConfigurationError(f"views={views}: expected one of {VIEWS}")
    expected = tuple(model.input_shape[1:])
    if tuple(images.shape[1:]) != expected:
        raise ConfigurationError(f"images of {images.shape[1:]}: the network takes {expected}")
    parts = [np.empty((0, model.output_shape[-1]), np.float32)]
    for start in range(0, len(images), batch_size):
        batch = np.asarray(images[start : start + batch_size])
        # A batch of the same size each time is compiled once; the padding is cut off again.
        full = np.concatenate([batch, np.zeros((batch_size - len(batch), *expected), batch.dtype)])
        seen = [full] if views == 1 else [full, full[:, :, ::-1]]
        outputs = [np.asarray(model.predict_on_batch(np.ascontiguousarray(view))) for view in seen]
        parts.append((np.stack(outputs).sum(0) / views)[: len(batch)])
    probabilities = np.concatenate(parts).astype(np.float32)
    if probabilities.shape[1] == 1:
        probabilities = np.concatenate([1 - probabilities, probabilities], axis=1)
    return probabilities


def _metrics(confusion: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Compute every metric from confusion matrices of shape (..., true, predicted).

    A class without images (or never predicted) has no recall (or precision): it is NaN, and the
    means over classes leave it out.
    """
    counts = confusion.astype(float)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    true, predicted = counts.sum(-1), counts.sum(-2)
    total = counts.sum((-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        values = {
            "precision": hits / predicted,
            "recall": hits / true,
            "f1": 2 * hits / (true + predicted),
            "specificity": 1 - (predicted - hits) / (total[..., None] - true),
            "accuracy": hits.sum(-1) / total,
        }
    # scikit-learn's convention for a class that is there but never predicted.
    precision = np.where((true > 0) & (predicted == 0), 0.0, values["precision"])
    values["macro_precision"] = _mean_over_classes(precision)
    values["macro_recall"] = _mean_over_classes(values["recall"])
    values["balanced_accuracy"] = values["macro_recall"]
    values["macro_f1"] = _mean_over_classes(values["f1"])
    return values


def _mean_over_classes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    there = ~np.isnan(values)
    count = there.sum(-1)
    total = np.where(there, values, 0.0).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def score(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    class_names: Sequence[str],
    *,
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Score predictions, each figure with a bootstrap interval.

    The images are drawn with replacement `n_bootstrap` times and the interval spans the middle
    `confidence` of the figures of these draws (the percentile bootstrap, Efron and Tibshirani
    1993, chapter 13). Every metric is a function of the confusion matrix, so the draws are made of
    its cells, which is the same distribution as drawing rows.

    Parameters
    ----------
    y_true : array_like of int, shape (n,)
        Positions in `class_names`.
    probabilities : array_like of float, shape (n, n_classes)
        Of each class; the largest is the prediction.
    class_names : sequence of str
        The classes in label order.
    confidence : float
        Of the intervals, in (0, 1).
    n_bootstrap : int
        Draws.
    seed : int
        Of the draws.

    Returns
    -------
    dict
        ``n``; ``accuracy``, ``balanced_accuracy``, ``macro_precision``, ``macro_recall`` and
        ``macro_f1``, each ``{"value", "low", "high"}`` in 0..1; ``per_class`` with ``n`` and
        ``precision``, ``recall``, ``f1``, ``specificity`` of each class (None where it is
        undefined: a class without images has no recall); ``confusion``, counts of true class by
        predicted class.

    Raises
    ------
    ConfigurationError
        If lengths or shapes do not fit each other, or there is nothing to score.
    LabelError
        If a label is not a position in `class_names`.

    Examples
    --------
    >>> result = score([0, 0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.1, 0.9]], ["a", "b"])
    >>> result["accuracy"]["value"], result["confusion"]
    (0.75, [[1, 1], [0, 2]])
    """
    labels, outputs = np.asarray(y_true), np.asarray(probabilities)
    n_classes = len(class_names)
    if len(labels) == 0:
        raise ConfigurationError("no images to score: expected at least one")
    if outputs.shape != (len(labels), n_classes):
        raise ConfigurationError(
            f"probabilities of shape {outputs.shape}: expected ({len(labels)}, {n_classes}), a row "
            "for each label and a column for each class"
        )
    if not np.isfinite(outputs).all():
        raise ConfigurationError("probabilities with NaN or infinity: expected numbers in 0..1")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise LabelError(
            f"labels from {labels.min()} to {labels.max()}: expected 0 to {n_classes - 1}"
        )
    confusion = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(confusion, (labels, outputs.argmax(1)), 1)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(labels), confusion.ravel() / len(labels), size=n_bootstrap)
    values = _metrics(confusion)
    drawn = _metrics(draws.reshape(-1, n_classes, n_classes))
    bounds = [50 * (1 - confidence), 50 * (1 + confidence)]

    def entry(name: str, pick: Any = ...) -> dict[str, float] | None:
        value, spread = values[name][pick], drawn[name][(slice(None), pick)]
        if np.isnan(value):
            return None
        low, high = np.nanpercentile(spread, bounds)
        return {
            "value": round(float(value), 6),
            "low": round(float(low), 6),
            "high": round(float(high), 6),
        }

    return {
        "n": len(labels),
        **{name: entry(name) for name in _SUMMARY},
        "per_class": {
            class_name: {
                "n": int(confusion[position].sum()),
                **{name: entry(name, position) for name in _PER_CLASS},
            }
            for position, class_name in enumerate(class_names)
        },
        "confusion": confusion.tolist(),
    }


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
        images without an identical one in the training split. Where the labels were made by two
        passes (columns ``expression`` and ``agreement``), ``agreed``: the rows on which both agree. Otherwise
        ``all``.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(200, seed=0).assign_splits(by="person")
    >>> sorted(protocol(faces))
    ['test', 'validation']
    """
    labelled = dataset.select(dataset.labels >= 0)
    table = labelled.table
    if {"expression", "agreement"} <= set(table):
        return {"agreed": labelled.select(table["agreement"].eq(1).fillna(False).to_numpy(bool))}
    parts: dict[str, FaceDataset] = {}
    for name in ("validation", "test"):
        for word in SPLITS[name]:
            rows = table["split"].eq(word).fillna(False).to_numpy(bool)
            if rows.any():
                parts[word] = labelled.select(rows)
            if rows.any() and name == "test" and _has_duplicates(table):
                parts[f"{word}-no-leaks"] = labelled.select(rows & ~_in_training(table))
    return parts or {"all": labelled}


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
    known = tuple(class_names or dataset.class_names)
    scores = {}
    for name, part in protocol(dataset).items():
        faces, shares = restrict(part, predict(model, part.images, views=views), known)
        result = score(faces.labels, shares, faces.class_names, seed=seed)
        scores[name] = {"class_names": list(faces.class_names), **result}
    return scores


def confusion_table(score: Mapping[str, Any], *, normalise: bool = False) -> pd.DataFrame:
    """Return a score's confusion matrix as a table.

    Parameters
    ----------
    score : mapping
        One of those that `evaluate` returns.
    normalise : bool
        Shares of each true class, 0..1, in place of counts.

    Returns
    -------
    DataFrame
        A row for each true class, a column for each predicted one.

    Examples
    --------
    >>> confusion_table({"class_names": ["a", "b"], "confusion": [[3, 1], [0, 4]]}, normalise=True)
    predicted     a     b
    true
    a          0.75  0.25
    b          0.00  1.00
    """
    names = list(score["class_names"])
    table = pd.DataFrame(
        score["confusion"],
        index=pd.Index(names, name="true"),
        columns=pd.Index(names, name="predicted"),
    )
    return table.div(table.sum(axis=1), axis=0) if normalise else table


def taken_for(score: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Say what the images of each class were taken for.

    Parameters
    ----------
    score : mapping
        One of those that `evaluate` returns.

    Returns
    -------
    dict of str to dict of str to float
        For each true class the predicted classes and their shares of its images, largest first;
        a class that was never predicted for it is left out.

    Examples
    --------
    >>> taken_for({"class_names": ["a", "b"], "confusion": [[1, 3], [0, 4]]})
    {'a': {'b': 0.75, 'a': 0.25}, 'b': {'b': 1.0}}
    """
    shares = confusion_table(score, normalise=True)
    return {
        str(name): {
            str(other): round(float(share), 4)
            for other, share in row[row > 0].sort_values(ascending=False, kind="stable").items()
        }
        for name, row in shares.iterrows()
    }


def per_class_table(score: Mapping[str, Any]) -> pd.DataFrame:
    """Return a score's figures for each class as a table.

    Parameters
    ----------
    score : mapping
        One of those that `evaluate` returns.

    Returns
    -------
    DataFrame
        A row for each class: ``n`` and, for precision, recall, f1 and specificity, the value and
        its interval in the columns ``NAME``, ``NAME_low`` and ``NAME_high``.

    Examples
    --------
    >>> result = score([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], ["a", "b"])
    >>> per_class_table(result)[["n", "recall"]].to_dict("list")
    {'n': [1, 2], 'recall': [1.0, 1.0]}
    """
    return _interval_table(score["per_class"], _PER_CLASS, index="class")


def summary_table(scores: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return the overall figures of each part of a protocol as a table.

    Parameters
    ----------
    scores : mapping of str to mapping
        What `evaluate` returns.

    Returns
    -------
    DataFrame
        A row for each part: ``n`` and, for accuracy, balanced accuracy and the macro averages of
        precision, recall and F1, the value and its interval in ``NAME``, ``NAME_low``,
        ``NAME_high``.

    Examples
    --------
    >>> result = score([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], ["a", "b"])
    >>> summary_table({"test": result})[["n", "accuracy"]].to_dict("list")
    {'n': [3], 'accuracy': [1.0]}
    """
    return _interval_table(scores, _SUMMARY, index="part")


def _interval_table(
    entries: Mapping[str, Mapping[str, Any]], metrics: Sequence[str], *, index: str
) -> pd.DataFrame:
    undefined = {"value": np.nan, "low": np.nan, "high": np.nan}
    rows = {}
    for name, entry in entries.items():
        row = {"n": entry["n"]}
        for metric in metrics:
            figures = entry[metric] or undefined
            row |= {
                metric: figures["value"],
                f"{metric}_low": figures["low"],
                f"{metric}_high": figures["high"],
            }
        rows[name] = row
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = index
    return table.astype({"n": int})

"""Which labels are wrong: suspects that a network names, and how many of them really are."""

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers import raters
from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError, LabelError

__all__ = [
    "compare_suspects",
    "copies_with_two_labels",
    "least_sure",
    "suspects",
    "suspects_by_rule",
    "wrong_by_votes",
]

RIGHT, WRONG, OPEN = 0, 1, -1


def suspects(labels: ArrayLike, probabilities: ArrayLike) -> NDArray[np.bool_]:
    """Name the labels that confident learning takes for wrong.

    It asks how sure a network usually is of the images that bear a label, counts the images of
    which it is as sure of another one, estimates from them how many labels of each class truly
    belong to each other class, and names as many, those that the network doubts most (Northcutt,
    Jiang and Chuang 2021, https://arxiv.org/abs/1911.00068; the library is cleanlab, its rule
    "prune by noise rate").

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        The position of the class that each image is labelled with.
    probabilities : array_like of float, shape (n, n_classes)
        What a network says that has not learnt from these images.

    Returns
    -------
    ndarray of bool, shape (n,)
        True where the label is suspected.

    Raises
    ------
    ConfigurationError
        If shapes do not fit, or cleanlab is not installed.
    LabelError
        If a label is no position of a class.

    Examples
    --------
    >>> said = np.repeat([[0.9, 0.1], [0.1, 0.9]], 10, axis=0)
    >>> labels = np.repeat([0, 1], 10)
    >>> labels[3] = 1
    >>> np.flatnonzero(suspects(labels, said)).tolist()  # doctest: +SKIP
    [3]
    """
    given, shares = _checked(labels, probabilities)
    try:
        # Not at the top: it takes seconds, and not everybody has it.
        with warnings.catch_warnings():
            # Of tqdm, in notebooks without widgets; no bar is drawn here.
            warnings.filterwarnings("ignore", message="IProgress not found")
            from cleanlab.filter import find_label_issues
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "confident learning needs cleanlab: pip install 'emohelpers[labels]'"
        ) from error
    return np.asarray(find_label_issues(given, shares, n_jobs=1), dtype=bool)


def least_sure(labels: ArrayLike, probabilities: ArrayLike, n: int) -> NDArray[np.bool_]:
    """Name the labels that a network gives the least probability: the plainest rule there is.

    Parameters
    ----------
    labels : array_like of int, shape (n_images,)
        The position of the class that each image is labelled with.
    probabilities : array_like of float, shape (n_images, n_classes)
        What a network says that has not learnt from these images.
    n : int
        How many to name.

    Returns
    -------
    ndarray of bool, shape (n_images,)
        True for `n` of them.

    Raises
    ------
    ConfigurationError
        If shapes do not fit, or there are not so many images.
    LabelError
        If a label is no position of a class.

    Examples
    --------
    >>> least_sure([0, 0, 1], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], 1).tolist()
    [False, True, False]
    """
    given, shares = _checked(labels, probabilities)
    if not 0 <= n <= len(given):
        raise ConfigurationError(f"n={n}: expected 0 to {len(given)}, the number of labels")
    named = np.zeros(len(given), bool)
    named[np.argsort(shares[np.arange(len(given)), given], kind="stable")[:n]] = True
    return named


def suspects_by_rule(labels: ArrayLike, probabilities: ArrayLike) -> dict[str, NDArray[np.bool_]]:
    """Name the suspects of three rules, each of which names as many.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        The position of the class that each image is labelled with.
    probabilities : array_like of float, shape (n, n_classes)
        What a network says that has not learnt from these images.

    Returns
    -------
    dict of str to ndarray of bool, shape (n,)
        ``confident learning`` (see `suspects`); ``least sure``: as many labels, those with the
        least probability (see `least_sure`); ``surest of another``: as many, those where another
        class has most more probability than the label.

    Examples
    --------
    >>> said = np.repeat([[0.9, 0.1], [0.1, 0.9]], 10, axis=0)
    >>> found = suspects_by_rule(np.repeat([1, 0, 1], [1, 9, 10]), said)  # doctest: +SKIP
    >>> [int(named.sum()) for named in found.values()]  # doctest: +SKIP
    [1, 1, 1]
    """
    named = suspects(labels, probabilities)
    given, shares = np.asarray(labels), np.asarray(probabilities, np.float64)
    own = shares[np.arange(len(given)), given]
    others = shares.copy()
    others[np.arange(len(given)), given] = -1
    surer = np.zeros(len(given), bool)
    surer[np.argsort(own - others.max(axis=1), kind="stable")[: named.sum()]] = True
    return {
        "confident learning": named,
        "least sure": least_sure(given, shares, int(named.sum())),
        "surest of another": surer,
    }


def wrong_by_votes(faces: FaceDataset) -> NDArray[np.int64]:
    """Let the votes of several raters judge each label.

    Parameters
    ----------
    faces : FaceDataset
        With votes and labels.

    Returns
    -------
    ndarray of int, shape (n,)
        1 where most raters saw another of the data set's classes than the label says, 0 where they
        saw the same, and -1 where they give no verdict: no emotion has more than half of the votes
        (see `emohelpers.raters.by_majority`), or it is none of the classes.

    Raises
    ------
    ConfigurationError
        If the source has no votes.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> verdicts = wrong_by_votes(datasets.make_faces(200, seed=0))
    >>> bool((verdicts == 0).mean() > 0.5)
    True
    """
    majority = raters.by_majority(faces)
    place = {name: position for position, name in enumerate(faces.class_names)}
    named = np.array([place.get(name, -1) for name in majority.class_names])[majority.labels]
    clear = (majority.labels >= 0) & (named >= 0) & (faces.labels >= 0)
    return np.where(clear, np.where(named == faces.labels, RIGHT, WRONG), OPEN)


def compare_suspects(
    ways: Mapping[str, ArrayLike],
    verdicts: ArrayLike,
    *,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Say how many suspected labels are wrong, and how many of the wrong ones are suspected.

    Parameters
    ----------
    ways : mapping of str to array_like of bool, shape (n,)
        The suspects of each way, by its name.
    verdicts : array_like of int, shape (n,)
        1 for a label that is wrong, 0 for one that is right; images of others are left out, see
        `wrong_by_votes`.
    n_bootstrap : int
        How many times images are drawn anew, with replacement.
    seed : int
        Of the draws, which are the same for all ways.

    Returns
    -------
    DataFrame
        A row for each way, and ``at random``, which suspects as many as the first way and finds
        what chance lets it find: ``suspects`` with a verdict, ``precision`` (the share of them
        that is wrong) and ``recall`` (the share of the wrong ones that is suspected), each with
        ``_low`` and ``_high``, its 95% interval (percentile bootstrap); ``difference``, the
        precision less that of the first way, with its interval, where both suspect somebody.

    Raises
    ------
    ConfigurationError
        If there is no way, lengths differ, or no verdict.

    Examples
    --------
    >>> table = compare_suspects({"mine": [True, True, False, False]}, [1, 0, 1, 0])
    >>> table[["suspects", "precision", "recall"]].loc["mine"].tolist()
    [2.0, 0.5, 0.5]
    """
    judged = np.asarray(verdicts)
    named = {name: np.asarray(way, bool) for name, way in ways.items()}
    if not named or any(way.shape != judged.shape for way in named.values()):
        raise ConfigurationError(
            f"{len(named)} ways and verdicts of shape {judged.shape}: expected one or more ways "
            "with a suspicion for each verdict"
        )
    usable = (judged == RIGHT) | (judged == WRONG)
    if not usable.any():
        raise ConfigurationError("no verdict, 1 or 0: expected one or more")
    wrong = (judged[usable] == WRONG).astype(float)
    flags = {name: way[usable].astype(float) for name, way in named.items()}
    # What chance finds on average is what an equal suspicion of everybody finds.
    first = next(iter(flags.values()))
    flags["at random"] = np.full(len(wrong), first.mean())
    matrix = np.stack(list(flags.values()), axis=1)
    rng = np.random.default_rng(seed)
    n = len(wrong)
    found = _rates(np.ones((1, n)), matrix, wrong)
    blocks = [
        _rates(rng.multinomial(n, np.full(n, 1 / n), size=100).astype(float), matrix, wrong)
        for _ in range(max(1, n_bootstrap // 100))
    ]
    precision, recall = (np.concatenate([block[k] for block in blocks]) for k in (0, 1))
    figures = {
        "precision": (found[0][0], precision),
        "recall": (found[1][0], recall),
        "difference": (found[0][0] - found[0][0, 0], precision - precision[:, :1]),
    }
    table = pd.DataFrame({"suspects": matrix.sum(axis=0)}, index=pd.Index(list(flags), name="way"))
    for name, (value, drawn) in figures.items():
        low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
        # Where all draws are one value, rounding sets it beside itself.
        table[name] = value
        table[f"{name}_low"] = np.minimum(low, value)
        table[f"{name}_high"] = np.maximum(high, value)
    return table.round({"suspects": 0})


def _rates(
    weights: NDArray[np.float64], flags: NDArray[np.float64], wrong: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision and recall of weighted images, (draws, ways) each."""
    hits = weights @ (flags * wrong[:, None])
    with np.errstate(invalid="ignore", divide="ignore"):
        return hits / (weights @ flags), hits / (weights @ wrong)[:, None]


def copies_with_two_labels(faces: FaceDataset) -> pd.DataFrame:
    """Find identical images that bear different labels, and what raters say of them.

    Parameters
    ----------
    faces : FaceDataset
        With ``duplicate_of`` in its table, as `emohelpers.datasets.load` makes it for FER2013.

    Returns
    -------
    DataFrame
        A row for each group of identical images with more than one label: ``images``; ``labels``,
        their names; with votes also ``majority``, the emotion that has more than half of the votes
        for all of them together (missing if none has), and ``named``, whether that is one of the
        labels (missing with it).

    Raises
    ------
    ConfigurationError
        If the data set does not tell identical images.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> import dataclasses
    >>> faces = datasets.make_faces(3, seed=0, emotions=("fear", "neutral"))
    >>> table = faces.table.assign(duplicate_of=pd.array([None, None, 0], dtype="Int64"))
    >>> twice = dataclasses.replace(faces, table=table, labels=np.array([0, 1, 1]))
    >>> copies_with_two_labels(twice)["labels"].tolist()
    ['fear, neutral']
    """
    if "duplicate_of" not in faces.table:
        raise ConfigurationError(f"{faces.name} has no column duplicate_of: expected fer2013")
    # The first image of a group of copies stands for the group.
    own = pd.Series(faces.table.index, dtype="Int64", index=faces.table.index)
    group = faces.table["duplicate_of"].fillna(own)
    labelled = faces.labels >= 0
    counts = raters.votes(faces).to_numpy() if raters.has_votes(faces) else None
    emotions = list(raters.votes(faces)) if counts is not None else []
    rows = []
    for _, places in pd.Series(range(len(faces)))[labelled].groupby(group.to_numpy()[labelled]):
        inside = places.to_numpy()
        names = [faces.class_names[label] for label in np.unique(faces.labels[inside])]
        if len(names) < 2:
            continue
        row: dict[str, object] = {"images": len(inside), "labels": ", ".join(names)}
        if counts is not None:
            votes = counts[inside].sum(axis=0)
            clear = votes.max() > votes.sum() / 2
            majority = emotions[int(votes.argmax())] if clear else None
            row |= {"majority": majority, "named": majority in names if majority else None}
        rows.append(row)
    return pd.DataFrame(
        rows, columns=["images", "labels", *(["majority", "named"] if emotions else [])]
    )


def _checked(
    labels: ArrayLike, probabilities: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    given, shares = np.asarray(labels), np.asarray(probabilities, np.float64)
    if given.ndim != 1 or shares.ndim != 2 or len(shares) != len(given) or len(given) == 0:
        raise ConfigurationError(
            f"labels of shape {given.shape} and probabilities of shape {shares.shape}: expected "
            "(n,) and (n, n_classes)"
        )
    if given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= shares.shape[1]:
        raise LabelError(
            f"labels from {given.min()} to {given.max()}: expected 0 to {shares.shape[1] - 1}"
        )
    return given.astype(np.int64), shares

"""What several raters saw in the same face: their votes, and how far they agree.

A label is one opinion. Where a source has the votes of several raters (FER+, toy faces) they say
how clear each face is, and so how accurate a recogniser can be at all.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.datasets import EMOTIONS, FaceDataset
from emohelpers.errors import ConfigurationError

__all__ = [
    "agreement",
    "agreement_by_class",
    "agreement_with",
    "by_majority",
    "expected_labels",
    "has_votes",
    "losses_of_others",
    "one_rater",
    "soft_labels",
    "vote_losses",
    "votes",
    "votes_by_class",
]

_COLUMNS = {f"votes_{emotion}": emotion for emotion in EMOTIONS}
# What raters of FER+ may say besides.
_NO_EMOTION = ("votes_unknown", "votes_not_a_face")


def has_votes(faces: FaceDataset) -> bool:
    """Tell whether the source has the votes of several raters.

    Parameters
    ----------
    faces : FaceDataset
        Any data set.

    Returns
    -------
    bool
        Whether its table has a column ``votes_<emotion>`` for each of `EMOTIONS`.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> has_votes(datasets.make_faces(4))
    True
    """
    return set(_COLUMNS) <= set(faces.table)


def votes(faces: FaceDataset) -> pd.DataFrame:
    """Return how many raters saw which emotion in each face.

    Parameters
    ----------
    faces : FaceDataset
        With votes (see `has_votes`). Votes for anything but an emotion (FER+ has "unknown" and
        "not a face") are left out.

    Returns
    -------
    DataFrame of int
        A row for each image, a column for each of `EMOTIONS`.

    Raises
    ------
    ConfigurationError
        If the source has no votes.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> votes(datasets.make_faces(4)).sum(axis=1).tolist()
    [10, 10, 10, 10]
    """
    if not has_votes(faces):
        raise ConfigurationError(
            f"{faces.name} has no votes: expected the columns {', '.join(_COLUMNS)}, as toyfaces "
            "have them and fer2013 with votes=PATH of the FER+ CSV"
        )
    return faces.table[list(_COLUMNS)].rename(columns=_COLUMNS)


def votes_by_class(faces: FaceDataset) -> pd.DataFrame:
    """Add up the votes of the images of each class.

    Parameters
    ----------
    faces : FaceDataset
        With votes; images without a label are left out.

    Returns
    -------
    DataFrame of int
        A row for each class (zeros where it has no image), a column for each of `EMOTIONS`.

    Raises
    ------
    ConfigurationError
        If the source has no votes.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> table = votes_by_class(datasets.make_faces(70, emotions=["fear", "neutral"]))
    >>> int(table.to_numpy().sum()), table.index.to_list()
    (700, ['fear', 'neutral'])
    """
    sums = votes(faces).groupby(faces.labels).sum().reindex(range(len(faces.class_names)))
    return sums.fillna(0).astype(np.int64).set_axis(list(faces.class_names)).rename_axis("label")


def expected_labels(faces: FaceDataset) -> NDArray[np.float32]:
    """Return how likely each label is for an image with such votes.

    Raters of FER+ often see another emotion than the label of FER2013 says, and some differences
    come again and again: what one calls sadness is neutral to the other. A multinomial logistic
    regression learns them from these images, and says what the label of an image with the same
    votes would be expected to be. It has some 200 weights, so thousands of images leave it no room
    to learn single labels by heart.

    Parameters
    ----------
    faces : FaceDataset
        With votes, those for no emotion included, and a label for each image.

    Returns
    -------
    ndarray of float32, shape (n, n_classes)
        Rows sum to 1; a class without an image has 0.

    Raises
    ------
    ConfigurationError
        If the source has no votes or there are fewer than two classes.
    LabelError
        If an image has no label.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(300, seed=0)
    >>> expected = expected_labels(faces)
    >>> expected.shape, bool((expected.argmax(axis=1) == faces.labels).mean() > 0.5)
    ((300, 7), True)
    """
    # Not at the top: it takes a second that whoever never asks for it should not wait.
    from sklearn.linear_model import LogisticRegression

    faces.check_labelled()
    present = np.unique(faces.labels)
    if len(present) < 2:
        raise ConfigurationError(
            f"images of {len(present)} class in {faces.name}: expected two classes or more"
        )
    others = [faces.table[column] for column in _NO_EMOTION if column in faces.table]
    counts = pd.concat([votes(faces), *others], axis=1).to_numpy(np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    most = shares == shares.max(axis=1, keepdims=True)
    # The root tells no vote from one, which means more than one vote among many.
    features = np.concatenate([shares, np.sqrt(shares), most], axis=1)
    regression = LogisticRegression(max_iter=2_000).fit(features, faces.labels)
    expected = np.zeros((len(faces), len(faces.class_names)), np.float32)
    expected[:, present] = regression.predict_proba(features)
    return expected


def soft_labels(
    faces: FaceDataset, *, share: float = 1.0, expected: bool = False
) -> NDArray[np.float32]:
    """Return for each image a probability of each class, from its label and the raters' votes.

    Parameters
    ----------
    faces : FaceDataset
        With a label for each image and, unless the share is 0, with votes. Votes for an emotion
        that is none of its classes are left out.
    share : float
        How much the votes count, in 0..1; the label counts the rest, or all where no rater chose
        one of the classes.
    expected : bool
        Take not the shares of the votes themselves but what label they let expect, see
        `expected_labels`.

    Returns
    -------
    ndarray of float32, shape (n, n_classes)
        Rows sum to 1.

    Raises
    ------
    ConfigurationError
        If the source has no votes or the share is out of its range.
    LabelError
        If an image has no label.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(4, seed=0)
    >>> labels = soft_labels(faces, share=0.2)
    >>> labels.shape, bool((labels.max(axis=1) >= 0.8).all())
    ((4, 7), True)
    """
    if not 0 <= share <= 1:
        raise ConfigurationError(f"share={share}: expected 0..1")
    faces.check_labelled()
    given = np.eye(len(faces.class_names), dtype=np.float32)[faces.labels]
    if not share:
        return given
    if expected:
        return (share * expected_labels(faces) + (1 - share) * given).astype(np.float32)
    counts = votes(faces)[list(faces.class_names)].to_numpy(np.float64)
    total = counts.sum(axis=1, keepdims=True)
    voted = np.where(total > 0, counts / np.maximum(total, 1), given)
    return (share * voted + (1 - share) * given).astype(np.float32)


def by_majority(faces: FaceDataset) -> FaceDataset:
    """Take what most raters saw as the label, by the protocol of FER+.

    A single vote for an answer counts as a slip and is left out; the label is the emotion that
    then has more than half of the votes (Barsoum et al. 2016, https://arxiv.org/abs/1608.01041,
    "majority voting").

    Parameters
    ----------
    faces : FaceDataset
        With votes.

    Returns
    -------
    FaceDataset
        The same images under the name ``<name>-majority``; `class_names` are `EMOTIONS`. The label
        is -1 where no answer has more than half of the votes, or that answer is "unknown" or "not
        a face".

    Raises
    ------
    ConfigurationError
        If the source has no votes.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = by_majority(datasets.make_faces(200, seed=0))
    >>> len(faces.class_names), bool(0 < (faces.labels < 0).mean() < 0.5)
    (8, True)
    """
    others = [faces.table[column] for column in _NO_EMOTION if column in faces.table]
    counts = _counts(pd.concat([votes(faces), *others], axis=1).to_numpy())
    counted = np.where(counts > 1, counts, 0)
    first = counted.argmax(axis=1)
    clear = counted.max(axis=1) > counted.sum(axis=1) / 2
    labels = np.where(clear & (first < len(EMOTIONS)), first, -1).astype(np.int64)
    name = f"{faces.name}-majority"
    return replace(faces, name=name, labels=labels, class_names=tuple(EMOTIONS))


def one_rater(faces: FaceDataset, *, seed: int = 0) -> FaceDataset:
    """Take what a single rater saw as the label, as data sets do for which nobody paid ten.

    Parameters
    ----------
    faces : FaceDataset
        With votes.
    seed : int
        Of the draw of one vote of each image.

    Returns
    -------
    FaceDataset
        The same images under the name ``<name>-one-rater``. Its label is that vote, -1 where it is
        for none of the classes or there is no vote for an emotion. The vote itself is taken away
        from the votes, so that the others can judge it.

    Raises
    ------
    ConfigurationError
        If the source has no votes.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = one_rater(datasets.make_faces(4, seed=0))
    >>> votes(faces).sum(axis=1).tolist()
    [9, 9, 9, 9]
    """
    counts = votes(faces)
    total = counts.sum(axis=1).to_numpy()
    chosen = np.random.default_rng(seed).integers(0, np.maximum(total, 1))
    vote = (counts.to_numpy().cumsum(axis=1) <= chosen[:, None]).sum(axis=1)
    place = {name: position for position, name in enumerate(faces.class_names)}
    # Past the last emotion where there is no vote.
    labels = np.array([*(place.get(str(name), -1) for name in counts), -1], np.int64)[vote]
    taken = np.eye(len(EMOTIONS) + 1, dtype=np.int64)[vote][:, : len(EMOTIONS)]
    left = pd.DataFrame(counts.to_numpy() - taken, columns=list(_COLUMNS), index=faces.table.index)
    table = faces.table.assign(**left)
    return replace(faces, name=f"{faces.name}-one-rater", labels=labels, table=table)


def agreement(votes: ArrayLike) -> float:
    """Return how often one rater names what most of the other raters name.

    It is what a human reaches in the place of a recogniser. Each vote in turn is compared with the
    majority of the others on the same image; where several emotions share the others' first
    place, naming one of k of them counts 1/k, the chance that a fair draw among them picks it.

    Parameters
    ----------
    votes : array_like of int, shape (n, classes)
        How many raters chose each class. Images with fewer than two votes are left out.

    Returns
    -------
    float
        In 0..1. For FER+ (Barsoum et al. 2016, https://arxiv.org/abs/1608.01041) on the PrivateTest
        images of FER2013 it is .745.

    Raises
    ------
    ConfigurationError
        If no image has two votes, or a count is negative.

    Examples
    --------
    Nine vote alike and one does not: the nine agree with the majority of the others.

    >>> agreement([[9, 1]])
    0.9
    """
    counts = _counts(votes)
    raters = counts.sum(axis=1)
    shared = raters > 1
    if not shared.any():
        raise ConfigurationError("no image has two votes: expected counts of several raters")
    return float(_agreeing(counts)[shared].sum() / raters[shared].sum())


def agreement_with(votes: ArrayLike, answers: ArrayLike) -> float:
    """Return how often an answer is what most raters say when one of them is left out.

    It is `agreement` with a recogniser in the place of the rater who was left out: the same
    question, about the same majorities, so that the two figures can be compared.

    Parameters
    ----------
    votes : array_like of int, shape (n, classes)
        How many raters chose each class. Images with fewer than two votes are left out.
    answers : array_like of int, shape (n,)
        The position of the class that the recogniser names.

    Returns
    -------
    float
        In 0..1.

    Raises
    ------
    ConfigurationError
        If no image has two votes, a count is negative, or there is not an answer for each image.

    Examples
    --------
    >>> agreement_with([[9, 1], [2, 8]], [0, 0])
    0.5
    """
    counts, named = _counts(votes), np.asarray(answers)
    raters = counts.sum(axis=1)
    shared = raters > 1
    if not shared.any() or named.shape != raters.shape:
        raise ConfigurationError(
            f"answers of shape {named.shape} to {len(counts)} images, {shared.sum()} of them with "
            "two votes or more: expected an answer to each, and at least one"
        )
    return float(_agreeing(counts, named)[shared].sum() / raters[shared].sum())


def vote_losses(votes: ArrayLike, probabilities: ArrayLike) -> NDArray[np.float64]:
    """Return for each image the cross-entropy of probabilities to the shares of its votes.

    Parameters
    ----------
    votes : array_like of int, shape (n, classes)
        How many raters chose each class, one rater or more for each image.
    probabilities : array_like of float, shape (n, classes)
        Of each class. Below 1e-7 they count as much.

    Returns
    -------
    ndarray of float, shape (n,)
        In nats. Its mean is what a vote drawn at random costs whoever foretold it so.

    Raises
    ------
    ConfigurationError
        If shapes differ, a count is negative, or an image has no vote.

    Examples
    --------
    >>> vote_losses([[5, 5]], [[0.5, 0.5]]).round(3).tolist()
    [0.693]
    """
    counts, shares = _counts(votes), np.asarray(probabilities, np.float64)
    raters = counts.sum(axis=1)
    if shares.shape != counts.shape or (raters < 1).any():
        raise ConfigurationError(
            f"votes of shape {counts.shape}, {(raters < 1).sum()} rows without one, and "
            f"probabilities of shape {shares.shape}: expected the same shape, a vote in each row"
        )
    return -(counts * np.log(np.maximum(shares, 1e-7))).sum(axis=1) / raters


def losses_of_others(votes: ArrayLike, *, like: ArrayLike) -> NDArray[np.float64]:
    """Return for each image how well its other raters foretell the vote of one.

    The yardstick for `vote_losses`. Each vote in turn is foretold from the others on the same
    image. Their shares alone would call impossible what nobody else said, so that votes for each
    class in its usual share are added to them, as many as foretell best on other images.

    Parameters
    ----------
    votes : array_like of int, shape (n, classes)
        How many raters chose each class, two or more for each image.
    like : array_like of int, shape (m, classes)
        Votes on other images, from which it is learnt how many are added.

    Returns
    -------
    ndarray of float, shape (n,)
        In nats.

    Raises
    ------
    ConfigurationError
        If shapes do not fit, a count is negative, or an image has fewer than two votes.

    Examples
    --------
    >>> seen = [[9, 1], [8, 2], [1, 9], [0, 10]]
    >>> bool(losses_of_others([[10, 0]], like=seen)[0] < losses_of_others([[5, 5]], like=seen)[0])
    True
    """
    # Not at the top: it takes a second that whoever never asks for it should not wait.
    from scipy.optimize import minimize_scalar

    counts, seen = _counts(votes), _counts(like)
    few = min(counts.sum(axis=1).min(initial=2), seen.sum(axis=1).min(initial=2))
    if counts.shape[1] != seen.shape[1] or len(seen) == 0 or few < 2:
        raise ConfigurationError(
            f"votes of shape {counts.shape} like those of shape {seen.shape}, {few} on an image: "
            "expected as many classes, images of both, and two votes on each"
        )
    usual = (seen.sum(axis=0) + 1) / (seen.sum() + seen.shape[1])

    def losses(of: NDArray[np.int64], added: float) -> NDArray[np.float64]:
        raters = of.sum(axis=1, keepdims=True)
        shares = (np.maximum(of - 1, 0) + added * usual) / (raters - 1 + added)
        return np.asarray(-(of * np.log(shares)).sum(axis=1) / raters[:, 0])

    best = minimize_scalar(
        lambda log_added: losses(seen, float(np.exp(log_added))).mean(),
        bounds=np.log([0.01, 100.0]),
        method="bounded",
    )
    return losses(counts, float(np.exp(best.x)))


def _counts(votes: ArrayLike) -> NDArray[np.int64]:
    counts = np.asarray(votes, dtype=np.int64)
    if counts.ndim != 2 or (counts < 0).any():
        raise ConfigurationError(
            f"votes of shape {counts.shape}: expected counts of 0 or more, (images, classes)"
        )
    return counts


def _agreeing(counts: NDArray[np.int64], named: NDArray[Any] | None = None) -> NDArray[np.float64]:
    """Return how many votes of each image agree with the majority of its other votes, (n,).

    With `named` it is that answer, in each vote's place, which has to agree.
    """
    agreeing = np.zeros(len(counts))
    for column in range(counts.shape[1]):
        others = counts.copy()
        others[:, column] -= 1
        first = others == others.max(axis=1, keepdims=True)
        answer = column if named is None else named
        agreeing += counts[:, column] * first[np.arange(len(counts)), answer] / first.sum(axis=1)
    return agreeing


def agreement_by_class(faces: FaceDataset) -> pd.DataFrame:
    """Return how far raters agree with each other, and with the label, on each class.

    Parameters
    ----------
    faces : FaceDataset
        With votes; images without a label or with fewer than two votes are left out.

    Returns
    -------
    DataFrame
        A row for each class that has such images, and ``all``: ``images``; ``raters_agree``, how
        often one rater names what most of the others name (see `agreement`); ``label_agrees``, the
        share of images whose label got the most votes (1/k where it shares the first place with
        others). Shares lie in 0..1.

    Raises
    ------
    ConfigurationError
        If the source has no votes, or no image has a label and two of them.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> table = agreement_by_class(datasets.make_faces(200))
    >>> int(table.loc["all", "images"]), bool((table["raters_agree"] > 0.3).all())
    (200, True)
    """
    counts = _counts(votes(faces))
    usable = (counts.sum(axis=1) > 1) & (faces.labels >= 0)
    if not usable.any():
        raise ConfigurationError("no image has a label and two votes: expected at least one")
    counts, labels = counts[usable], faces.labels[usable]
    voted = np.array([EMOTIONS.index(name) for name in faces.class_names])[labels]
    first = counts == counts.max(axis=1, keepdims=True)
    chosen = first[np.arange(len(counts)), voted] / first.sum(axis=1)
    each = pd.DataFrame(
        {"raters": counts.sum(axis=1), "agreeing": _agreeing(counts), "chosen": chosen, "images": 1}
    )
    by_class = each.groupby(labels).sum().rename(index=dict(enumerate(faces.class_names)))
    sums = pd.concat([by_class, each.sum().to_frame("all").T])
    table = pd.DataFrame(
        {
            "images": sums["images"].astype(np.int64),
            "raters_agree": sums["agreeing"] / sums["raters"],
            "label_agrees": sums["chosen"] / sums["images"],
        }
    )
    return table.rename_axis("label")

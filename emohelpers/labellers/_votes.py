"""What a layer learns from votes in place of one answer, scored by foretelling votes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers import raters
from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError
from emohelpers.labellers._noise import OPEN, wrong_by_votes

__all__ = ["foretell", "resampled_means", "votes_or_majority"]

_BLOCK = 200


def votes_or_majority(
    train: tuple[ArrayLike, FaceDataset],
    validation: tuple[ArrayLike, FaceDataset],
    test: tuple[ArrayLike, FaceDataset],
    *,
    penalty: float = 30.0,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Learn a softmax layer from labels, majorities and votes, and foretell votes with each.

    All three learn from the same images, those with a label among the data set's classes, two
    votes or more for them, and a majority. What each says is scored by the cross-entropy to the
    votes on the test images (see `emohelpers.raters.vote_losses`), as it is and with a temperature
    that is fitted to the votes on the validation images: who learns from one answer to each image
    is too sure, and that alone could be mended.

    Parameters
    ----------
    train, validation, test : tuple of array_like of float, shape (n, n_features), and FaceDataset
        Features of a network, see `emohelpers.models.features`, and the images that they are of,
        with votes and labels.
    penalty : float
        Of the layer, see `emohelpers.training.softmax_regression`.
    n_bootstrap, seed : int
        How many draws of images the intervals are made of, and of these draws.

    Returns
    -------
    DataFrame
        A row for each of ``label``, ``majority``, ``votes`` and, as a yardstick, ``other raters``
        (see `emohelpers.raters.losses_of_others`): ``loss``, the cross-entropy in nats, ``mended``,
        that with the temperature, and ``difference``, what is mended less that of ``votes``, each
        with ``_low`` and ``_high``, its 95% interval (percentile bootstrap over images);
        ``temperature``; and ``n``, the test images.

    Raises
    ------
    ConfigurationError
        If a part has no votes or no such image.
    """
    from emohelpers import training

    parts = [
        _with_verdicts(np.asarray(given, np.float64), faces)
        for given, faces in (train, validation, test)
    ]
    features, labels, counts, majority = parts[0]
    n_classes = counts.shape[1]
    shares = counts / counts.sum(axis=1, keepdims=True)
    rows, classes = np.nonzero(shares)
    told = {
        "label": (features, labels, None),
        "majority": (features, majority, None),
        "votes": (features[rows], classes, shares[rows, classes]),
    }
    said = {}
    for name, (given, targets, weight) in told.items():
        kernel, bias = training.softmax_regression(
            given, targets, n_classes, penalty=penalty, sample_weight=weight
        )
        said[name] = [_softmax(part[0] @ kernel + bias) for part in parts[1:]]
    options = {"n_bootstrap": n_bootstrap, "seed": seed}
    return foretell(said, parts[1][2], parts[2][2], best="votes", **options)


def foretell(
    said: Mapping[str, Sequence[NDArray[Any]]],
    seen: NDArray[np.int64],
    votes: NDArray[np.int64],
    *,
    best: str,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Score what was said of the votes that were seen, to fit a temperature, and of others."""
    from emohelpers import evaluation

    temperatures = {}
    losses = {}
    for name, (of_seen, of_votes) in said.items():
        temperatures[name] = evaluation.calibrate(seen / seen.sum(axis=1, keepdims=True), of_seen)
        mended = evaluation.with_temperature(of_votes, temperatures[name])
        losses[name] = (raters.vote_losses(votes, of_votes), raters.vote_losses(votes, mended))
    others = raters.losses_of_others(votes, like=seen)
    losses["other raters"] = (others, others)
    columns = np.stack([loss for both in losses.values() for loss in both], axis=1)
    drawn = resampled_means(columns, n_bootstrap, seed)
    place = list(losses).index(best)
    table = {}
    for k, (name, (as_it_is, mended)) in enumerate(losses.items()):
        figures = {
            "loss": (as_it_is.mean(), drawn[:, 2 * k]),
            "mended": (mended.mean(), drawn[:, 2 * k + 1]),
            "difference": (
                mended.mean() - losses[best][1].mean(),
                drawn[:, 2 * k + 1] - drawn[:, 2 * place + 1],
            ),
        }
        row: dict[str, float] = {"n": len(others), "temperature": temperatures.get(name, np.nan)}
        for figure, (value, draws) in figures.items():
            low, high = np.percentile(draws, [2.5, 97.5])
            row |= {figure: value, f"{figure}_low": low, f"{figure}_high": high}
        table[name] = row
    return pd.DataFrame.from_dict(table, orient="index").astype({"n": int})


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def resampled_means(
    values: NDArray[np.float64], n_bootstrap: int, seed: int
) -> NDArray[np.float64]:
    """Return the means of columns over images that are drawn with replacement, (draws, columns)."""
    rng = np.random.default_rng(seed)
    n = len(values)
    blocks = []
    for start in range(0, n_bootstrap, _BLOCK):
        size = min(_BLOCK, n_bootstrap - start)
        blocks.append(rng.multinomial(n, np.full(n, 1 / n), size=size) @ values / n)
    return np.concatenate(blocks)


def _with_verdicts(
    features: NDArray[np.float64], faces: FaceDataset
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return features, labels, votes and majorities of the images that have all of them."""
    counts = raters.votes(faces)[list(faces.class_names)].to_numpy()
    usable = (wrong_by_votes(faces) != OPEN) & (counts.sum(axis=1) > 1)
    if len(features) != len(faces) or not usable.any():
        raise ConfigurationError(
            f"{len(features)} features of {len(faces)} images in {faces.name}, {usable.sum()} of "
            "them with a label and a majority: expected as many, and one or more"
        )
    place = {name: position for position, name in enumerate(faces.class_names)}
    majority = raters.by_majority(faces)
    named = np.array([place.get(name, -1) for name in majority.class_names])[majority.labels]
    return features[usable], faces.labels[usable], counts[usable], named[usable]

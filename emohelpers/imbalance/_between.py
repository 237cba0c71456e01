"""What a network sees between two images of a class."""

from typing import Any

import numpy as np
import pandas as pd

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError

__all__ = ["between"]


def between(
    network: Any, faces: FaceDataset, *, pairs: int = 200, at: float = 0.5, seed: int = 0
) -> pd.DataFrame:
    """Ask a network what lies between two images of the same class, by pixels and by features.

    Each image of a pair is drawn at random, its partner among its five nearest neighbours in its
    class, as SMOTE draws them: by pixels for one kind, by features for the other.

    Parameters
    ----------
    network : keras.Model
        Takes pixels in 0..255; ends in a softmax layer over the classes of `faces`.
    faces : FaceDataset
        Of which only images that the network gets right serve as ends: what it makes of the others
        says nothing about the way between.
    pairs : int
        Of each kind.
    at : float
        Where on the way, in 0..1.
    seed : int
        Of the draw.

    Returns
    -------
    DataFrame
        A row for each pair: ``space`` (``"pixels"`` or ``"features"``), ``label``, ``first`` and
        ``second`` (positions in `faces`), ``ends`` (the mean probability, in 0..1, that the network
        gives the class at the two ends), ``between`` (that on the way) and ``stays`` (whether it
        still names the class there).

    Raises
    ------
    ConfigurationError
        If `at` lies outside 0..1, or no class has two images that the network gets right.
    """
    from sklearn.neighbors import NearestNeighbors

    from emohelpers import evaluation, models

    if not 0 <= at <= 1 or pairs < 1:
        raise ConfigurationError(f"at={at}, pairs={pairs}: expected 0 to 1, and 1 or more")
    answers = evaluation.predict(network, faces.images)
    right = np.flatnonzero(answers.argmax(axis=1) == faces.labels)
    counts = np.bincount(faces.labels[right], minlength=len(faces.class_names))
    rows = right[counts[faces.labels[right]] > 1]
    if len(rows) == 0:
        raise ConfigurationError(
            "no class has two images that the network gets right: expected one or more"
        )
    pixels = np.asarray(faces.images[rows], np.float32).reshape(len(rows), -1)
    labels, shares = faces.labels[rows], answers[rows]
    kernel, bias = network.layers[-1].get_weights()
    rng = np.random.default_rng(seed)
    tables = []
    for space, points in (
        ("pixels", pixels),
        ("features", models.features(network, faces.images[rows])),
    ):
        first = rng.integers(0, len(rows), pairs)
        second = np.empty_like(first)
        for label in np.unique(labels):
            members, of_label = np.flatnonzero(labels == label), labels[first] == label
            search = NearestNeighbors(n_neighbors=min(6, len(members))).fit(points[members])
            near = search.kneighbors(points[first[of_label]], return_distance=False)[:, 1:]
            picked = rng.integers(0, near.shape[1], len(near))
            second[of_label] = members[near[np.arange(len(near)), picked]]
        mixed = points[first] + at * (points[second] - points[first])
        if space == "pixels":
            answer = evaluation.predict(network, mixed.reshape(-1, *faces.images.shape[1:]))
        else:
            logits = mixed @ kernel + bias
            answer = np.exp(logits - logits.max(axis=1, keepdims=True))
            answer /= answer.sum(axis=1, keepdims=True)
        label = labels[first]
        each = np.arange(pairs)
        tables.append(
            pd.DataFrame(
                {
                    "space": space,
                    "label": label,
                    "first": rows[first],
                    "second": rows[second],
                    "ends": (shares[first, label] + shares[second, label]) / 2,
                    "between": answer[each, label],
                    "stays": answer.argmax(axis=1) == label,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)

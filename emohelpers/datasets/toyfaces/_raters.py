"""Ten simulated raters for each face.

The model: a rater guesses at random among the eight emotions with probability `GUESSING`.
Otherwise the answer follows a softmax over how well each emotion's action units match those that
are drawn, sharpened by how clearly they are seen::

    match(e)  = overlap of the unit sets of e and of the drawn emotion (Jaccard), 1 for itself
    clarity   = intensity * (0.5 + 0.5 * quality) * (1 - 0.35 * difficulty)
    p(e)      = GUESSING / 8 + (1 - GUESSING) * softmax(SHARPNESS * clarity * match(e))

A neutral face counts as intensity 0.8; any other face also resembles a neutral one by
1 - clarity. All ten votes of a face are independent given p, so p of the drawn emotion is the
expected share of votes for it, and the mean over faces of the largest p is the ceiling that no
classifier of a single rater's votes can pass.
"""

import numpy as np
from numpy.typing import NDArray

from emohelpers.datasets._base import EMOTIONS
from emohelpers.datasets.toyfaces._parameters import EMFACS, Faces

RATERS = 10
GUESSING = 0.06
SHARPNESS = 6.0


def _matches() -> NDArray[np.float64]:
    sets = [set(EMFACS[name]) for name in EMOTIONS]
    return np.array(
        [[1.0 if a is b else len(a & b) / max(len(a | b), 1) for b in sets] for a in sets]
    )


def vote_probabilities(faces: Faces) -> NDArray[np.float64]:
    """Return the probability of each answer of one rater, shape (n, 8)."""
    neutral = EMOTIONS.index("neutral")
    shown = np.where(faces.labels == neutral, 0.8, faces.intensity)
    clarity = shown * (0.5 + 0.5 * faces.quality) * (1 - 0.35 * faces.difficulty)
    match = _matches()[faces.labels]
    other = faces.labels != neutral
    match[other, neutral] = 1 - clarity[other]
    weights = np.exp(SHARPNESS * clarity[:, None] * match)
    return GUESSING / len(EMOTIONS) + (1 - GUESSING) * weights / weights.sum(axis=1, keepdims=True)


def vote(faces: Faces) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the votes of ten raters, shape (n, 8), and the probabilities they come from."""
    probabilities = vote_probabilities(faces)
    edges = np.cumsum(probabilities, axis=1)
    answers = (faces.rater_draws[:, :, None] >= edges[:, None, :]).sum(axis=2)
    answers = np.minimum(answers, len(EMOTIONS) - 1)
    votes = (answers[:, :, None] == np.arange(len(EMOTIONS))).sum(axis=1)
    return votes.astype(np.int64), probabilities

"""Which faces a network still gets right."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError
from emohelpers.robustness._attacks import fgsm, pgd
from emohelpers.robustness._corruptions import CORRUPTIONS, SEVERITIES, corrupt

__all__ = ["CLEAN", "Answers", "attacked_answers", "correct_answers", "probabilities", "right"]

CLEAN = "clean"
"""The name under which stands what a network says of the images as they are."""

_BLOCK = 256

Answers = dict[tuple[str, float], NDArray[np.float32]]
"""Probabilities, (n, n_classes), by the kind of change and its strength."""


def correct_answers(
    model: Any,
    faces: FaceDataset,
    *,
    corruptions: Sequence[str] = tuple(CORRUPTIONS),
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
) -> pd.DataFrame:
    """Say which images a network gets right, as they are and corrupted.

    Parameters
    ----------
    model : keras.Model
        As in `emohelpers.evaluation.predict`; its classes are those of `faces`, in their order.
    faces : FaceDataset
        Of n images, all with a label.
    corruptions : sequence of str
        Some of `CORRUPTIONS`.
    severities : sequence of int
        Some of 1 to 5.
    seed : int
        Of what is drawn: the same for every network, so that they meet the same pictures.

    Returns
    -------
    DataFrame of bool, n rows
        A column for each ``(corruption, severity)``; the first is ``("clean", 0)``.

    Raises
    ------
    ConfigurationError
        If a corruption or severity is not known, or images and network do not fit.
    LabelError
        If an image has no label.

    Examples
    --------
    >>> from emohelpers import datasets, models
    >>> faces = datasets.make_faces(3, seed=0)
    >>> model = models.baseline_cnn(filters=(2, 2, 2), units=4)
    >>> correct_answers(model, faces, corruptions=["dark"], severities=[2, 5]).columns.to_list()
    [('clean', 0), ('dark', 2), ('dark', 5)]
    """
    faces.check_labelled()
    answers = probabilities(model, faces, corruptions=corruptions, severities=severities, seed=seed)
    return right(answers, faces)


def probabilities(
    model: Any,
    faces: FaceDataset,
    *,
    corruptions: Sequence[str] = tuple(CORRUPTIONS),
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
) -> Answers:
    """Return what a network says of each image, as it is and corrupted; see `correct_answers`."""
    from emohelpers import evaluation

    # Corrupting none of them checks the names before any network is asked.
    for name in corruptions:
        for severity in severities:
            corrupt(np.empty((0, 1, 1, 1), np.uint8), name, severity)
    answers: Answers = {(CLEAN, 0): evaluation.predict(model, faces.images)}
    for name in corruptions:
        for severity in severities:
            parts = [
                corrupt(
                    np.asarray(faces.images[start : start + _BLOCK]),
                    name,
                    severity,
                    seed=_seed_of(seed, start),
                )
                for start in range(0, len(faces), _BLOCK)
            ]
            answers[name, severity] = evaluation.predict(model, np.concatenate(parts))
    return answers


def attacked_answers(
    model: Any,
    faces: FaceDataset,
    *,
    epsilons: Sequence[float] = (1, 2, 4),
    steps: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    """Say which images a network gets right, as they are and attacked by `fgsm` and by `pgd`.

    Parameters
    ----------
    model, faces
        As in `correct_answers`.
    epsilons : sequence of float
        In grey levels of 255.
    steps : int
        Of `pgd`.
    seed : int
        Of the places at which `pgd` begins.

    Returns
    -------
    DataFrame of bool, n rows
        A column for each ``(attack, epsilon)``; the first is ``("clean", 0)``.

    Raises
    ------
    ConfigurationError, LabelError
        As in `correct_answers` and `pgd`.

    Examples
    --------
    >>> from emohelpers import datasets, models
    >>> faces = datasets.make_faces(3, seed=0)
    >>> model = models.baseline_cnn(filters=(2, 2, 2), units=4)
    >>> attacked_answers(model, faces, epsilons=[2], steps=1).columns.to_list()
    [('clean', 0), ('fgsm', 2), ('pgd', 2)]
    """
    from emohelpers import evaluation

    faces.check_labelled()
    pixels = np.asarray(faces.images)
    answers: Answers = {(CLEAN, 0): evaluation.predict(model, pixels)}
    for epsilon in epsilons:
        changed = fgsm(model, pixels, faces.labels, epsilon=epsilon)
        answers["fgsm", epsilon] = evaluation.predict(model, changed)
    for epsilon in epsilons:
        changed = pgd(model, pixels, faces.labels, epsilon=epsilon, steps=steps, seed=seed)
        answers["pgd", epsilon] = evaluation.predict(model, changed)
    return right(answers, faces, names=("attack", "epsilon"))


def right(
    answers: Answers, faces: FaceDataset, *, names: tuple[str, str] = ("corruption", "severity")
) -> pd.DataFrame:
    """Return which answers name the label, a column for each change."""
    n_classes = next(iter(answers.values())).shape[1]
    if n_classes != len(faces.class_names):
        raise ConfigurationError(
            f"the network knows {n_classes} classes and the faces have {len(faces.class_names)}: "
            "expected as many, in the same order"
        )
    correct = [shares.argmax(axis=1) == faces.labels for shares in answers.values()]
    columns = pd.MultiIndex.from_tuples(list(answers), names=names)
    return pd.DataFrame(np.column_stack(correct), columns=columns)


def _seed_of(seed: int, start: int) -> int:
    return int(np.random.SeedSequence([seed, start]).generate_state(1)[0])

"""What is gained by learning only from labels that no witness contradicts."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.datasets import FaceDataset, assign_fold, person_groups
from emohelpers.errors import ConfigurationError

__all__ = ["effect", "figure_row"]

_BLOCK = 200
_FIGURES = ("accuracy", "balanced_accuracy")


def figure_row(what: str, of: str, n: int, value: float, low: float, high: float) -> dict[str, Any]:
    """Return one row of the table of figures."""
    return {"what": what, "of": of, "n": n, "value": value, "low": low, "high": high}


def effect(
    faces: FaceDataset,
    agreed: FaceDataset,
    features: NDArray[np.float64],
    *,
    folds: int,
    n_bootstrap: int,
    seed: int,
) -> pd.DataFrame:
    """Learn from all labels and from those of the consensus, and score each on both."""
    fold = assign_fold(faces, 1, folds=folds).table["fold"].to_numpy()
    persons, _ = pd.factorize(np.array(person_groups(faces), dtype=object))
    sources = {"all": faces.labels, "the consensus": agreed.labels}
    n_classes = len(faces.class_names)
    rows: list[dict[str, Any]] = []
    for weighted in (False, True):
        answers = [
            _out_of_fold(features, labels, fold, n_classes, weighted=weighted)
            for labels in sources.values()
        ]
        how = " with class weights" if weighted else ""
        for scored, labels in sources.items():
            counts = np.stack(
                [_confusions(persons, labels, predicted, n_classes) for predicted in answers]
            )
            n = int((labels >= 0).sum())
            for figure, (values, drawn) in _scored(counts, n_bootstrap, seed).items():
                end = f"{how}, scored on {scored}: {figure}"
                for name, value, draws in zip(sources, values, drawn.T, strict=True):
                    rows.append(
                        figure_row(f"learned from {name}{end}", "all", n, value, *_middle(draws))
                    )
                gains = _middle(drawn[:, 1] - drawn[:, 0])
                what = f"gain of learning from the consensus{end}"
                rows.append(figure_row(what, "all", n, values[1] - values[0], *gains))
    return pd.DataFrame(rows)


def _out_of_fold(
    features: NDArray[np.float64],
    labels: NDArray[np.int64],
    fold: NDArray[np.int64],
    n_classes: int,
    *,
    weighted: bool,
) -> NDArray[np.int64]:
    """Name the class of each image by what was learned from the other folds' labels."""
    from emohelpers import sampling, training

    predicted = np.empty(len(labels), np.int64)
    for number in np.unique(fold):
        tested = fold == number
        rows = ~tested & (labels >= 0)
        if len(np.unique(labels[rows])) < 2:
            raise ConfigurationError(
                f"without the persons of fold {number}, {rows.sum()} labels of "
                f"{len(np.unique(labels[rows]))} classes are left to learn from: expected two "
                "classes or more, of more persons"
            )
        weights = sampling.class_weights(labels[rows], n_classes) if weighted else None
        kernel, bias = training.softmax_regression(
            features[rows], labels[rows], n_classes, class_weights=weights
        )
        predicted[tested] = (features[tested] @ kernel + bias).argmax(axis=1)
    return predicted


def _confusions(
    persons: NDArray[np.int64],
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    n_classes: int,
) -> NDArray[np.float64]:
    """Count the labels by what was predicted, for each person: (persons, classes, classes)."""
    counts = np.zeros((persons.max() + 1, n_classes, n_classes))
    known = labels >= 0
    np.add.at(counts, (persons[known], labels[known], predicted[known]), 1)
    return counts


def _scored(
    counts: NDArray[np.float64], n_bootstrap: int, seed: int
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return each figure of several tables (tables, persons, classes, classes), and its draws.

    Persons are drawn with replacement, the same ones for all tables: (draws, tables).
    """
    from emohelpers.evaluation._scores import confusion_metrics

    n_persons = counts.shape[1]
    rng = np.random.default_rng(seed)
    parts = []
    # In blocks: all draws of thousands of persons at once would fill a hundred megabytes.
    for start in range(0, n_bootstrap, _BLOCK):
        size = min(_BLOCK, n_bootstrap - start)
        times = rng.multinomial(n_persons, [1 / n_persons] * n_persons, size).astype(np.float64)
        parts.append(confusion_metrics(np.tensordot(times, counts, axes=(1, 1))))
    whole = confusion_metrics(counts.sum(axis=1))
    return {
        name.replace("_", " "): (whole[name], np.concatenate([part[name] for part in parts]))
        for name in _FIGURES
    }


def _middle(drawn: NDArray[np.float64]) -> tuple[float, float]:
    if np.isnan(drawn).all():
        return np.nan, np.nan
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return float(low), float(high)

"""Compare trainings on the same images, over images and seeds alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.errors import ConfigurationError

__all__ = ["compare", "compare_classes"]

_BLOCK = 200


def compare(
    correct: Mapping[str, NDArray[np.bool_]], *, n_bootstrap: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Compare trainings image by image with the first of them.

    The intervals are of a bootstrap that draws images and seeds alike, with replacement (the
    two-way bootstrap; Owen 2007, "The pigeonhole bootstrap", https://arxiv.org/abs/0712.1111), and
    draws the same for all: a difference is judged on the same images. With few seeds it is rather
    too narrow.

    Parameters
    ----------
    correct : mapping of str to ndarray of bool, shape (seeds, images)
        For each step, which images each of its networks gets right; the same images for all.
    n_bootstrap : int
        Draws.
    seed : int
        Of the draws.

    Returns
    -------
    DataFrame
        A row for each step: ``step``, ``accuracy`` (mean over seeds, in 0..1) with ``low`` and
        ``high``, ``difference`` to the first step with ``difference_low`` and
        ``difference_high``: 95% intervals.

    Raises
    ------
    ConfigurationError
        If there is no step, or the shapes differ.

    Examples
    --------
    >>> table = compare({"all": np.array([[1, 1, 1, 0]]), "less": np.array([[1, 0, 1, 0]])})
    >>> table["accuracy"].tolist(), table["difference"].tolist()
    ([0.75, 0.5], [0.0, -0.25])
    """
    stacked = _stacked(correct)
    everyone = np.ones((1, stacked.shape[2]), bool)
    drawn = _drawn_means(stacked, everyone, n_bootstrap=n_bootstrap, seed=seed)[:, 0]
    accuracy = stacked.mean(axis=(1, 2))
    return pd.DataFrame(
        {
            "step": list(correct),
            "accuracy": accuracy,
            **dict(zip(("low", "high"), _middle(drawn), strict=True)),
            **_differences(accuracy, drawn),
        }
    ).round(4)


def compare_classes(
    correct: Mapping[str, NDArray[np.bool_]],
    labels: NDArray[np.int64],
    class_names: Sequence[str],
    *,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare trainings class by class, and by balanced accuracy with the first of them.

    The intervals are those of `compare`. A draw without an image of a class leaves the class out.

    Parameters
    ----------
    correct : mapping of str to ndarray of bool, shape (seeds, images)
        See `compare`.
    labels : ndarray of int64, shape (images,)
        Positions in `class_names`.
    class_names : sequence of str
        The classes in label order; those without an image are left out.
    n_bootstrap, seed : int
        See `compare`.

    Returns
    -------
    DataFrame
        A row for each step: ``step``; ``accuracy``, ``balanced_accuracy`` (the mean of the recalls
        of all classes) and ``recall_<class>``, in 0..1 and as means over seeds, each with
        ``_low`` and ``_high``; ``difference`` in balanced accuracy to the first step with
        ``difference_low`` and ``difference_high``.

    Raises
    ------
    ConfigurationError
        If there is no step, the shapes differ, or a label is no position in `class_names`.

    Examples
    --------
    >>> correct = {"all": np.array([[1, 1, 1, 0]]), "less": np.array([[1, 0, 0, 1]])}
    >>> table = compare_classes(correct, np.array([0, 0, 0, 1]), ["neutral", "fear"])
    >>> table[["balanced_accuracy", "recall_fear", "difference"]].round(2).values.tolist()
    [[0.5, 0.0, 0.0], [0.67, 1.0, 0.17]]
    """
    stacked = _stacked(correct)
    found = np.asarray(labels)
    if found.shape != stacked.shape[2:] or not np.isin(found, range(len(class_names))).all():
        raise ConfigurationError(
            f"labels of shape {found.shape}: expected one for each of {stacked.shape[2]} images, "
            f"in 0 to {len(class_names) - 1}"
        )
    groups = {"accuracy": np.ones(len(found), bool)}
    groups |= {
        f"recall_{name}": found == label
        for label, name in enumerate(class_names)
        if (found == label).any()
    }
    members = np.stack(list(groups.values()))
    drawn = _drawn_means(stacked, members, n_bootstrap=n_bootstrap, seed=seed)
    means = np.stack([stacked[:, :, rows].mean(axis=(1, 2)) for rows in members], axis=1)
    balanced, drawn_balanced = means[:, 1:].mean(axis=1), np.nanmean(drawn[:, 1:], axis=1)
    figures = {
        "accuracy": (means[:, 0], drawn[:, 0]),
        "balanced_accuracy": (balanced, drawn_balanced),
        **{name: (means[:, at], drawn[:, at]) for at, name in enumerate(groups) if at},
    }
    columns: dict[str, Any] = {"step": list(correct)}
    for name, (values, spread) in figures.items():
        low, high = _middle(spread)
        columns |= {name: values, f"{name}_low": low, f"{name}_high": high}
        if name == "balanced_accuracy":
            columns |= _differences(values, spread)
    return pd.DataFrame(columns).round(4)


def _stacked(correct: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.float64]:
    shapes = {np.asarray(rows).shape for rows in correct.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ConfigurationError(
            f"results of the shapes {sorted(shapes)}: expected one shape, (seeds, images)"
        )
    return np.stack([np.asarray(rows, dtype=np.float64) for rows in correct.values()])


def _drawn_means(
    stacked: NDArray[np.float64], groups: NDArray[np.bool_], *, n_bootstrap: int, seed: int
) -> NDArray[np.float64]:
    """Return the mean of each step over each group of images in each draw: (steps, groups, draws).

    It is NaN in a draw without an image of the group.
    """
    _, n_seeds, n_images = stacked.shape
    rng = np.random.default_rng(seed)
    seeds = rng.multinomial(n_seeds, [1 / n_seeds] * n_seeds, n_bootstrap) / n_seeds
    parts = []
    # In blocks: all draws of ten thousand images at once would fill a quarter of a gigabyte.
    for start in range(0, n_bootstrap, _BLOCK):
        of_seeds = seeds[start : start + _BLOCK]
        images = rng.multinomial(n_images, [1 / n_images] * n_images, len(of_seeds))
        means = []
        for members in groups:
            counts = images[:, members].astype(np.float64)
            hits = np.einsum(
                "ksn,bs,bn->kb", stacked[:, :, members], of_seeds, counts, optimize=True
            )
            with np.errstate(invalid="ignore"):
                means.append(hits / counts.sum(axis=1))
        parts.append(np.stack(means, axis=1))
    return np.concatenate(parts, axis=2)


def _middle(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where the middle 95% of each step's draws begin and end, (2, steps)."""
    return np.nanpercentile(drawn, [2.5, 97.5], axis=1)


def _differences(
    values: NDArray[np.floating[Any]], drawn: NDArray[np.float64]
) -> dict[str, NDArray[np.floating[Any]]]:
    low, high = _middle(drawn - drawn[0])
    return {"difference": values - values[0], "difference_low": low, "difference_high": high}

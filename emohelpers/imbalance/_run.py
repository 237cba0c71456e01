"""Train and fit every way with every seed; what is done stays on disk."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers import ablation
from emohelpers._settings import keep_settings
from emohelpers.ablation import Step
from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError
from emohelpers.imbalance._ways import WAYS
from emohelpers.models._saved import load_network
from emohelpers.recipes import Recipe
from emohelpers.recipes._classes import class_weights, odds

__all__ = ["run"]

_SPLITS = ("train", "validation")
# Fields of a recipe that a layer fitted in closed form has no use for.
_LOSSES = {"focal", "logit_adjustment"}
# What decides nothing at random gives the same again with another seed.
_FIXED = (None, "tomek")


def run(
    parts: Sequence[FaceDataset],
    *,
    directory: str | Path,
    base: Recipe,
    network: Any = None,
    ways: Mapping[str, Step] = WAYS,
    feature_ways: Mapping[str, Step] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    verbose: int | str = "auto",
) -> pd.DataFrame:
    """Compare the ways over pixels and over a network's features.

    Over pixels, the small network of `base` is trained from the start, with the same number of
    steps whatever the way. Over features, `network` stays as it is and a new softmax layer is
    fitted to what it makes of the training images (`emohelpers.training.softmax_regression`).
    There the focal loss is left out, and so is the adjusted loss: for a layer with a bias it comes
    to the same as to adjust afterwards.

    Started again with the same arguments it goes on where it was stopped.

    Parameters
    ----------
    parts : sequence of FaceDataset
        Each has a training and a validation split, and the classes and size of `base`: one, or
        the folds of a cross-validation (see `folds`), whose validation images are then scored
        together. No test split is looked at.
    directory : path
        For the trainings.
    base : Recipe
        Of the small network; one of `BASES`.
    network : keras.Model, optional
        What makes the features. Without it, the small network itself, as the first of the ways
        has trained it with each seed: what is evened out is then only what the last layer learns
        from (Kang et al. 2020, https://arxiv.org/abs/1910.09217).
    ways : mapping of str to Step
        Over pixels. The first one is what the others are compared with.
    feature_ways : mapping of str to Step, optional
        Over features; without it, those of `ways` that no loss but the cross entropy belongs to.
    seeds : sequence of int
        Of the small networks, and of what is drawn.
    verbose : int or "auto"
        See `emohelpers.training.fit`.

    Returns
    -------
    DataFrame
        A row for each way over ``pixels``, then over ``features`` (``space``): ``way``,
        ``change``, ``network``, ``seeds``, ``images`` (scored), the columns of
        `emohelpers.ablation.compare_classes`, and ``cpu_seconds``: the processor's time for
        resampling, training and scoring, of one seed over all parts (features are made before).

    Raises
    ------
    ConfigurationError
        If there is nothing to compare, data, recipe and networks do not fit, or `directory` holds
        another comparison.
    LabelError
        If SMOTE meets a class with a single image.
    """
    if not parts or not ways or not len(seeds):
        raise ConfigurationError(
            f"{len(parts)} parts, {len(ways)} ways, {len(seeds)} seeds: expected one or more of "
            "each"
        )
    directory = Path(directory)
    first = next(iter(ways))
    settings = asdict(base) | {
        "features": network.name if network else f"own: {first}",
        "parts": [
            [part.name, *(np.bincount(part.split(name).labels).tolist() for name in _SPLITS)]
            for part in parts
        ],
    }
    keep_settings(
        directory, settings, of="a comparison with another recipe, network or other images"
    )
    if feature_ways is None:
        feature_ways = {name: step for name, step in ways.items() if not _LOSSES & set(step.fields)}
    pixels, features = [], []
    for number, part in enumerate(parts):
        place = directory / f"pixels-{number}"
        pixels.append(
            ablation.results(
                None,
                directory=place,
                base=base,
                steps=ways,
                seeds=seeds,
                faces=part,
                verbose=verbose,
            )
        )
        networks = [network or load_network(place / f"{first}-{seed}") for seed in seeds]
        place = directory / f"features-{number}"
        features.append(_over_features(part, place, base, feature_ways, networks, seeds))
    small = f"{base.network}, {base.steps_per_epoch} steps of {base.batch_size}"
    layer = f"a softmax layer on {network.name if network else 'the first of these'}"
    labels = np.concatenate([part.split("validation").labels for part in parts])
    tables = []
    for space, trained, known, found in (
        ("pixels", small, ways, pixels),
        ("features", layer, feature_ways, features),
    ):
        correct = {name: np.concatenate([one[name] for one in found], axis=1) for name in known}
        table = ablation.compare_classes(correct, labels, base.emotions)
        table.insert(0, "space", space)
        table = table.rename(columns={"step": "way"})
        table.insert(2, "change", [step.change for step in known.values()])
        table.insert(3, "network", trained)
        table.insert(4, "seeds", len(seeds))
        table.insert(5, "images", len(labels))
        table["cpu_seconds"] = [
            len(parts) * ablation.seconds(_places(directory, space, len(parts), name, seeds))
            for name in known
        ]
        tables.append(table)
    return pd.concat(tables, ignore_index=True).round({"cpu_seconds": 2})


def _places(
    directory: Path, space: str, n_parts: int, name: str, seeds: Sequence[int]
) -> Iterator[Path]:
    for number in range(n_parts):
        for seed in seeds:
            yield directory / f"{space}-{number}" / f"{name}-{seed}"


def _over_features(
    faces: FaceDataset,
    directory: Path,
    base: Recipe,
    ways: Mapping[str, Step],
    networks: Sequence[Any],
    seeds: Sequence[int],
) -> dict[str, NDArray[np.bool_]]:
    """Say for each way which validation images each fitted layer gets right, (seeds, images)."""
    from emohelpers import evaluation, models

    train, validation = evaluation.training_rows(faces), faces.split("validation")
    correct: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in ways}
    for at, (seed, network) in enumerate(zip(seeds, networks, strict=True)):
        same = at > 0 and network is networks[0]
        if not same:
            features = [models.features(network, part.images) for part in (train, validation)]
        for name, step in ways.items():
            recipe = ablation.changed(base, name, step)
            if same and recipe.sampling in _FIXED:
                correct[name].append(correct[name][0])
                continue
            make = partial(_right, recipe, features, (train.labels, validation.labels), seed=seed)
            correct[name].append(ablation.keep(directory / f"{name}-{seed}", make))
    return {name: np.stack(rows) for name, rows in correct.items()}


def _right(
    recipe: Recipe,
    features: Sequence[NDArray[np.float32]],
    labels: Sequence[NDArray[np.int64]],
    *,
    seed: int,
) -> NDArray[np.bool_]:
    """Fit a softmax layer to training features as a recipe says; say what it gets right of others.

    Features and labels are those of the training images, then those to be scored.
    """
    from emohelpers import sampling, training

    (learned, scored), (found, expected) = features, labels
    factors = odds(recipe, found)
    if recipe.sampling is not None:
        learned, found = sampling.resample_features(
            learned, found, recipe.sampling, seed=seed, **recipe.sampling_options
        )
    kernel, bias = training.softmax_regression(
        learned, found, len(recipe.emotions), class_weights=class_weights(recipe, found)
    )
    if factors is not None:
        bias = bias + np.log(factors)
    return (scored @ kernel + bias).argmax(axis=1) == expected

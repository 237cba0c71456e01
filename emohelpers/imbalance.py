"""What helps where some classes have few images: every way to even them out, on one footing."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers import ablation
from emohelpers.ablation import Step
from emohelpers.datasets import EMOTIONS, FaceDataset
from emohelpers.datasets._duplicates import find_leaks
from emohelpers.errors import ConfigurationError
from emohelpers.recipes import Recipe
from emohelpers.recipes._classes import class_weights, odds

__all__ = ["BASES", "WAYS", "between", "folds", "run"]

_BASE = Recipe(
    name="imbalance",
    summary="A small network on a short schedule, as many steps whatever it learns from.",
    dataset="fer2013",
    network="baseline_cnn",
    network_options={"filters": (16, 32, 64), "units": 64, "dropout": 0.25, "standardise": True},
    augmentation_options={"flip": True, "shift": 0.08},
    schedule="cosine",
    epochs=1,  # one, so that no way has more epochs to choose the best of than another
    steps_per_epoch=1300,
)

BASES: Mapping[str, Recipe] = {
    "fer2013": _BASE,
    "facial_expressions": replace(
        _BASE, dataset="facial_expressions", emotions=EMOTIONS, steps_per_epoch=600
    ),
    "toyfaces": replace(_BASE, dataset="toyfaces", steps_per_epoch=300),
}
"""The small network's training on each data set, which `WAYS` change."""

WAYS: Mapping[str, Step] = {
    "nothing": Step("the classes as they are"),
    "weights": Step("balanced class weights", {"class_weights": 1.0}),
    "class-balanced": Step(
        "class weights by the effective number of images (beta .999)",
        {"class_weights": 1.0, "beta": 0.999},
    ),
    "focal": Step("the focal loss (gamma 2)", {"focal": 2.0}),
    "adjusted-loss": Step("logits adjusted in the loss", {"logit_adjustment": 1.0}),
    "adjusted-after": Step("logits adjusted after training", {"odds": "balanced"}),
    "undersample": Step("as many images of each as the rarest has", {"sampling": "undersample"}),
    "oversample": Step("copies of the rare ones", {"sampling": "oversample"}),
    "smote": Step("SMOTE", {"sampling": "smote"}),
    "tomek": Step("without Tomek links", {"sampling": "tomek"}),
    "smote-tomek": Step("SMOTE, then without Tomek links", {"sampling": "smote-tomek"}),
}
"""The ways by name. ``nothing`` comes first: the others are compared with it."""

_SPLITS = ("train", "validation")
# What decides nothing at random gives the same again with another seed.
_FIXED = (None, "tomek")


def run(
    parts: Sequence[FaceDataset],
    *,
    directory: str | Path,
    base: Recipe,
    network: Any,
    ways: Mapping[str, Step] = WAYS,
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
    network : keras.Model or sequence of keras.Model
        What makes the features: one for all, or one for each seed.
    ways : mapping of str to Step
        Its first one is what the others are compared with.
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
        resampling, training and scoring, of one seed over all parts.

    Raises
    ------
    ConfigurationError
        If there is nothing to compare, data, recipe and networks do not fit, or `directory` holds
        another comparison.
    LabelError
        If SMOTE meets a class with a single image.
    """
    networks = list(network) if isinstance(network, list | tuple) else [network] * len(seeds)
    if not parts or not ways or not len(seeds) or len(networks) != len(seeds):
        raise ConfigurationError(
            f"{len(parts)} parts, {len(ways)} ways, {len(seeds)} seeds, {len(networks)} networks: "
            "expected one or more of each, and a network for all seeds or for each"
        )
    directory = Path(directory)
    _check_settings(directory, base, parts)
    labels = np.concatenate([part.split("validation").labels for part in parts])
    over_features = {
        name: step
        for name, step in ways.items()
        if not {"focal", "logit_adjustment"} & set(step.fields)
    }
    tables = []
    for space, known in (("pixels", ways), ("features", over_features)):
        found = []
        for number, part in enumerate(parts):
            place = directory / f"{space}-{number}"
            if space == "pixels":
                options = {"faces": part, "base": base, "verbose": verbose}
                found.append(
                    ablation.results(None, directory=place, steps=known, seeds=seeds, **options)
                )
            else:
                found.append(_over_features(part, place, base, known, networks, seeds))
        correct = {name: np.concatenate([one[name] for one in found], axis=1) for name in known}
        table = ablation.compare_classes(correct, labels, base.emotions)
        table = table.rename(columns={"step": "way"})
        for at, (column, values) in enumerate(
            {
                "space": space,
                "way": table.pop("way"),
                "change": [step.change for step in known.values()],
                "network": f"{base.network}, {base.steps_per_epoch} steps of {base.batch_size}"
                if space == "pixels"
                else f"a softmax layer on {networks[0].name}",
                "seeds": len(seeds),
                "images": len(labels),
            }.items()
        ):
            table.insert(at, column, values)
        table["cpu_seconds"] = [
            len(parts) * ablation.seconds(_places(directory, space, len(parts), name, seeds))
            for name in known
        ]
        tables.append(table)
    return pd.concat(tables, ignore_index=True).round({"cpu_seconds": 1})


def _places(
    directory: Path, space: str, n_parts: int, name: str, seeds: Sequence[int]
) -> Iterator[Path]:
    for number in range(n_parts):
        for seed in seeds:
            yield directory / f"{space}-{number}" / f"{name}-{seed}"


def _check_settings(directory: Path, base: Recipe, parts: Sequence[FaceDataset]) -> None:
    """Refuse a folder whose trainings are others; note in a new one what they are."""
    settings = asdict(base) | {
        "parts": [
            [part.name, *(np.bincount(part.split(name).labels).tolist() for name in _SPLITS)]
            for part in parts
        ]
    }
    text = json.dumps(settings, indent=2) + "\n"
    path = directory / "settings.json"
    if path.exists() and path.read_text() != text:
        raise ConfigurationError(
            f"{path} is of a comparison with another recipe or other images: continue it with the "
            "same, or choose another directory"
        )
    directory.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


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


def folds(
    faces: FaceDataset, n: int = 3, *, by: str = "person", seed: int = 0
) -> list[FaceDataset]:
    """Divide a data set so that each image is scored once, by who has seen none of its person.

    Where a class has nine images, any one validation split would hold one or two of them. The
    classes are spread over the folds as evenly as persons allow (scikit-learn's
    ``StratifiedGroupKFold``).

    Parameters
    ----------
    faces : FaceDataset
        Images without a label are left out.
    n : int
        Folds, 2 or more.
    by : str
        A column of the table: images that share a value of it stand in the same fold.
    seed : int
        Of the division.

    Returns
    -------
    list of FaceDataset
        All images, of which those of the fold are ``validation`` and the others ``train``;
        ``leaks`` tells of these splits.

    Raises
    ------
    ConfigurationError
        If the column is not there, or has fewer values than there are folds.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> parts = folds(datasets.make_faces(60, seed=0), 3)
    >>> sum(len(part.split("validation")) for part in parts)
    60
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if by not in faces.table:
        raise ConfigurationError(
            f"no column {by!r} in the table: expected one of {', '.join(faces.table.columns)}"
        )
    labelled = faces.select(faces.labels >= 0)
    groups = labelled.table[by].astype(str)
    if not 2 <= n <= groups.nunique():
        raise ConfigurationError(
            f"{n} folds of {groups.nunique()} values of {by}: expected 2 or more, and no more than "
            "values"
        )
    division = StratifiedGroupKFold(n, shuffle=True, random_state=seed)
    parts = []
    for _, scored in division.split(np.zeros(len(labelled)), labelled.labels, groups):
        split = np.full(len(labelled), "train", dtype=object)
        split[scored] = "validation"
        table = labelled.table.assign(split=split)
        if "duplicate_of" in table:
            table = table.assign(leaks=find_leaks(table["duplicate_of"], split.tolist()))
        parts.append(replace(labelled, table=table))
    return parts


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
        A row for each pair: ``space`` (``"pixels"`` or ``"features"``), ``label``, ``ends`` (the
        mean probability, in 0..1, that the network gives the class at the two ends), ``between``
        (that on the way) and ``stays`` (whether it still names the class there).

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
                    "ends": (shares[first, label] + shares[second, label]) / 2,
                    "between": answer[each, label],
                    "stays": answer.argmax(axis=1) == label,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)

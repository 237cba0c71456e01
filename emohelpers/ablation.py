"""What each step of a recipe is worth: the same training with one thing changed at a time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError
from emohelpers.publishing._files import read_recipe
from emohelpers.recipes import Recipe, get, settings, train

__all__ = ["BASE", "STEPS", "Step", "compare", "run"]


@dataclass(frozen=True)
class Step:
    """One change to a recipe.

    Parameters
    ----------
    change : str
        What is changed, in a few words.
    fields : mapping
        Fields of `emohelpers.recipes.Recipe` and their new values. The entries of a mapping
        replace those of the recipe's; the others stay.
    """

    change: str
    fields: Mapping[str, Any] = field(default_factory=dict)


BASE = replace(
    get("fer-compact"),
    name="ablation",
    summary="The compact network without a teacher.",
    teacher=None,
    teacher_share=0.0,
    label_smoothing=0.05,
    epochs=5,
    warmup=0.5,
    # Over a few hundred steps; over a thousand, weights of the first epochs would still count.
    optimizer_options={**get("fer-compact").optimizer_options, "ema_momentum": 0.985},
)
"""The recipe that the steps change: `fer-compact` without a teacher, on a short schedule."""

STEPS: Mapping[str, Step] = {
    "all": Step("nothing: the recipe with all of its steps"),
    "no-geometry": Step(
        "no flips, rotations, shifts and zooms",
        {"augmentation_options": {"flip": False, "rotation": 0, "shift": 0, "zoom": 0}},
    ),
    "no-mixup": Step("no mixup", {"mixup": 0.0}),
    "cutmix": Step("CutMix in place of mixup", {"mixup": 0.0, "cutmix": 1.0}),
    "no-smoothing": Step("no label smoothing", {"label_smoothing": 0.0}),
    "no-votes": Step(
        "FER2013's labels alone, no FER+ votes", {"votes": 0.0, "expected_labels": False}
    ),
    "raw-votes": Step(
        "the FER+ votes as they are as a fifth of the target, not the labels that they let expect",
        {"votes": 0.2, "expected_labels": False},
    ),
    "no-averaging": Step(
        "no moving average of the weights", {"optimizer_options": {"use_ema": False}}
    ),
    "constant-rate": Step(
        "a constant learning rate of .02 in place of the cosine with warm-up",
        {"schedule": "constant", "warmup": 0.0, "learning_rate": 0.02},
    ),
}
"""The steps by name. ``all`` comes first: the others are compared with it."""


def run(
    path: str | Path | None,
    *,
    directory: str | Path,
    base: Recipe = BASE,
    steps: Mapping[str, Step] = STEPS,
    seeds: Sequence[int] = (0, 1, 2),
    epochs: int | None = None,
    votes: str | Path | None = None,
    precision: str = "float32",
    cache: str | Path | None = None,
    verbose: int | str = "auto",
) -> pd.DataFrame:
    """Train every step with every seed and compare them on the validation split.

    Started again with the same arguments it goes on where it was stopped; trainings that are done
    are not repeated. Several processes may share the work if each has other steps or seeds.

    Parameters
    ----------
    path : path, optional
        Where the recipe's data set lies.
    directory : path
        Gets a folder ``<step>-<seed>`` for each training.
    base : Recipe
        What the steps change.
    steps : mapping of str to Step
        Its first one is what the others are compared with.
    seeds : sequence of int
        Of the trainings of each step.
    epochs : int, optional
        Of each training, in place of the recipe's.
    votes, precision, cache, verbose
        See `emohelpers.recipes.train`.

    Returns
    -------
    DataFrame
        See `compare`, with ``change``, ``seeds`` and ``epochs`` after ``step``.

    Raises
    ------
    ConfigurationError
        If there are no seeds or steps, or one of them can not be trained, for instance because its
        folder holds a training of another recipe or of another number of epochs.
    """
    if not steps or not len(seeds):
        raise ConfigurationError("no steps or no seeds: expected one or more of each")
    correct = {
        name: np.stack(
            [
                _correct(
                    changed(base, name, step),
                    path,
                    directory=Path(directory) / f"{name}-{seed}",
                    votes=votes,
                    epochs=epochs,
                    precision=precision,
                    seed=seed,
                    cache=cache,
                    verbose=verbose,
                )
                for seed in seeds
            ]
        )
        for name, step in steps.items()
    }
    table = compare(correct)
    table.insert(1, "change", [step.change for step in steps.values()])
    table.insert(2, "seeds", len(seeds))
    table.insert(3, "epochs", epochs or base.epochs)
    return table


def changed(base: Recipe, name: str, step: Step) -> Recipe:
    """Return a recipe with a step's change.

    Parameters
    ----------
    base : Recipe
        Stays as it is.
    name : str
        Of the step; the new recipe is called ``<base>-<name>``.
    step : Step
        The change.

    Returns
    -------
    Recipe
        With `fields` of the step in place of the recipe's own.

    Examples
    --------
    >>> changed(BASE, "cutmix", STEPS["cutmix"]).cutmix
    1.0
    """
    fields: dict[str, Any] = {
        key: {**getattr(base, key), **value} if isinstance(value, Mapping) else value
        for key, value in step.fields.items()
    }
    return replace(base, name=f"{base.name}-{name}", **fields)


def _correct(
    recipe: Recipe, path: str | Path | None, *, directory: Path, **options: Any
) -> NDArray[np.bool_]:
    """Train if need be; return which validation images the network gets right, shape (n,)."""
    kept = directory / "correct.npy"
    if not (kept.exists() and _is_of(directory, recipe, **options)):
        from emohelpers import evaluation

        saved = train(recipe, path, directory=directory, **options)
        faces = _validation(saved, path, votes=options["votes"], cache=options["cache"])
        answers = evaluation.predict(saved.model, faces.images).argmax(axis=1)
        temporary = directory / "correct.tmp.npy"
        np.save(temporary, answers == faces.labels)
        temporary.replace(kept)
    return np.load(kept)


def _is_of(directory: Path, recipe: Recipe, **options: Any) -> bool:
    """Say whether the network in a folder was trained by this recipe, as long and as precisely."""
    wanted = settings(recipe, **{name: options[name] for name in ("epochs", "precision", "seed")})
    # Through JSON, as the other went: its tuples are lists.
    return read_recipe(directory) == json.loads(json.dumps(wanted))


def _validation(saved: Any, path: str | Path | None, **options: Any) -> FaceDataset:
    given = {name: value for name, value in options.items() if value is not None}
    faces: FaceDataset = saved.load(
        saved.recipe["dataset"], path, **saved.recipe["dataset_options"], **given
    )
    return faces.keep_classes(saved.class_names).split("validation")


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
    shapes = {np.asarray(rows).shape for rows in correct.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ConfigurationError(
            f"results of the shapes {sorted(shapes)}: expected one shape, (seeds, images)"
        )
    n_seeds, n_images = shapes.pop()
    stacked = np.stack([np.asarray(rows, dtype=np.float64) for rows in correct.values()])
    rng = np.random.default_rng(seed)
    drawn_seeds = rng.multinomial(n_seeds, [1 / n_seeds] * n_seeds, n_bootstrap) / n_seeds
    drawn_images = rng.multinomial(n_images, [1 / n_images] * n_images, n_bootstrap) / n_images
    drawn = np.einsum("ksn,bs,bn->kb", stacked, drawn_seeds, drawn_images, optimize=True)
    accuracy = stacked.mean(axis=(1, 2))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=1)
    apart_low, apart_high = np.percentile(drawn - drawn[0], [2.5, 97.5], axis=1)
    return pd.DataFrame(
        {
            "step": list(correct),
            "accuracy": accuracy,
            "low": low,
            "high": high,
            "difference": accuracy - accuracy[0],
            "difference_low": apart_low,
            "difference_high": apart_high,
        }
    ).round(4)

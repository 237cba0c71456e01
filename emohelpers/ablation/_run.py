"""Train every step with every seed; what is done stays on disk."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.ablation._compare import compare, compare_classes
from emohelpers.ablation._steps import BASE, STEPS, Step, changed
from emohelpers.datasets import FaceDataset, load
from emohelpers.errors import ConfigurationError
from emohelpers.publishing import read_recipe
from emohelpers.recipes import Recipe, settings, train

__all__ = ["keep", "results", "run", "seconds"]


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
    """Train every step with every seed and compare them on images that they have not seen.

    Those are the validation split, or of a recipe with ``each_fold`` all images, each scored by the
    network of the fold that tests on it. Intervals draw images: where there are several of a
    person they are rather too narrow.

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
        See `compare`, with ``change``, ``seeds`` and ``epochs`` after ``step``; with ``each_fold``
        see `compare_classes`, with ``images`` after these.

    Raises
    ------
    ConfigurationError
        If there are no seeds or steps, or one of them can not be trained, for instance because its
        folder holds a training of another recipe or of another number of epochs.
    """
    correct = results(
        path,
        directory=directory,
        base=base,
        steps=steps,
        seeds=seeds,
        epochs=epochs,
        votes=votes,
        precision=precision,
        cache=cache,
        verbose=verbose,
    )
    if base.each_fold:
        faces = load(
            base.dataset,
            path,
            size=base.size,
            color=base.color,
            cache=cache,
            **base.dataset_options,
        )
        labels = faces.keep_classes(base.emotions).labels
        table = compare_classes(correct, labels, base.emotions)
        table.insert(1, "images", len(labels))
    else:
        table = compare(correct)
    recipes = [changed(base, name, step) for name, step in steps.items()]
    table.insert(1, "change", [step.change for step in steps.values()])
    table.insert(2, "seeds", len(seeds))
    table.insert(3, "epochs", [epochs or recipe.epochs for recipe in recipes])
    return table


def results(
    path: str | Path | None,
    *,
    directory: str | Path,
    base: Recipe,
    steps: Mapping[str, Step],
    seeds: Sequence[int],
    faces: FaceDataset | None = None,
    **options: Any,
) -> dict[str, NDArray[np.bool_]]:
    """Train every step with every seed, and say of each image to be scored who gets it right.

    Parameters
    ----------
    path, directory, base, steps, seeds
        See `run`.
    faces : FaceDataset, optional
        In place of what lies at `path`, see `emohelpers.recipes.train`.
    **options
        ``epochs``, ``votes``, ``precision``, ``cache`` and ``verbose``, see `run`.

    Returns
    -------
    dict of str to ndarray of bool, shape (seeds, images)
        For each step which images each of its networks gets right.

    Raises
    ------
    ConfigurationError
        If there are no seeds or steps, or one of them can not be trained.
    """
    if not steps or not len(seeds):
        raise ConfigurationError("no steps or no seeds: expected one or more of each")
    return {
        name: np.stack(
            [
                _correct(
                    changed(base, name, step),
                    path,
                    directory=Path(directory) / f"{name}-{seed}",
                    faces=faces,
                    seed=seed,
                    **options,
                )
                for seed in seeds
            ]
        )
        for name, step in steps.items()
    }


def keep(
    directory: Path, make: Callable[[], NDArray[np.bool_]], *, trusted: bool = True
) -> NDArray[np.bool_]:
    """Return which images a network gets right: from disk, or else made, timed and kept there.

    Parameters
    ----------
    directory : Path
        Gets ``correct.npy``, and ``seconds.txt`` with the time that `make` took, unless it went on
        with a training whose state was there.
    make : callable
        Returns an ndarray of bool, shape (n,).
    trusted : bool
        Whether what is on disk is what `make` would make.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    kept = directory / "correct.npy"
    if not (kept.exists() and trusted):
        directory.mkdir(parents=True, exist_ok=True)
        whole = not (directory / "state.npz").exists()
        # The processor's time and not the clock's: what else a machine does is no part of it.
        started = time.process_time()
        right = make()
        if whole:
            (directory / "seconds.txt").write_text(f"{time.process_time() - started:.2f}\n")
        temporary = directory / "correct.tmp.npy"
        np.save(temporary, right)
        temporary.replace(kept)
    return np.load(kept)


def seconds(directories: Iterable[Path]) -> float:
    """Return how long trainings took on average, as far as it is known.

    Parameters
    ----------
    directories : iterable of Path
        Folders that `keep` has written to.

    Returns
    -------
    float
        Seconds of processor time, all threads together; NaN if it is known of none.
    """
    files = [directory / "seconds.txt" for directory in directories]
    known = [float(file.read_text()) for file in files if file.exists()]
    return float(np.mean(known)) if known else float("nan")


def _correct(
    recipe: Recipe,
    path: str | Path | None,
    *,
    directory: Path,
    faces: FaceDataset | None = None,
    **options: Any,
) -> NDArray[np.bool_]:
    """Train if need be; return which images to be scored the network gets right, shape (n,)."""

    def make() -> NDArray[np.bool_]:
        from emohelpers import evaluation, publishing

        saved = train(recipe, path, directory=directory, faces=faces, **options)
        known = faces
        if known is None:
            known = _faces(saved, path, votes=options.get("votes"), cache=options.get("cache"))
        if recipe.each_fold:
            answers = publishing.predict_out_of_fold(saved, known)
            return answers.argmax(axis=1) == known.labels
        scored = known.split("validation")
        return evaluation.predict(saved.model, scored.images).argmax(axis=1) == scored.labels

    return keep(directory, make, trusted=_is_of(directory, recipe, **options))


def _is_of(
    directory: Path,
    recipe: Recipe,
    *,
    seed: int,
    epochs: int | None = None,
    precision: str = "float32",
    **_: Any,
) -> bool:
    """Say whether the network in a folder was trained by this recipe, as long and as precisely."""
    if not (directory / "recipe.json").exists():
        return False
    wanted = settings(recipe, epochs=epochs, precision=precision, seed=seed)
    # Through JSON, as the other went: its tuples are lists.
    return read_recipe(directory) == json.loads(json.dumps(wanted))


def _faces(saved: Any, path: str | Path | None, **options: Any) -> FaceDataset:
    given = {name: value for name, value in options.items() if value is not None}
    faces: FaceDataset = saved.load(
        saved.recipe["dataset"], path, **saved.recipe["dataset_options"], **given
    )
    return faces.keep_classes(saved.class_names)

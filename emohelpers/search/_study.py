"""A grid search and successive halving for the same budget; what is done stays on disk."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers import ablation
from emohelpers._settings import keep_settings
from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError
from emohelpers.search._classifier import FaceClassifier, fingerprint
from emohelpers.search._effects import RENAMED, main_effects
from emohelpers.search._plans import Plan
from emohelpers.search._trials import Trials, fixed_split

__all__ = ["study"]

_SEARCHES = ("grid", "halving")


def study(
    faces: FaceDataset,
    *,
    directory: str | Path,
    plan: Plan,
    seeds: Sequence[int] = (0, 1),
    verbose: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ask which search finds the better network for the same budget, and what matters.

    Both searches learn from the training split and choose by the validation split. The winner of
    each is then trained with as many images as the last rung of halving, and only these networks,
    one for each search and seed, are scored on the test split.

    Started again with the same arguments it goes on where it was stopped: a training that is done
    is loaded. With further seeds it goes on from those that are done.

    Parameters
    ----------
    faces : FaceDataset
        With a training, a validation and a test split, of the plan's size.
    directory : path
        For the trainings, a file each.
    plan : Plan
        One of `PLANS`.
    seeds : sequence of int
        For each of them both searches are done anew: of weights, of batches, and of what halving
        draws.
    verbose : int
        See scikit-learn's ``GridSearchCV``: 2 prints a line for each training.

    Returns
    -------
    found : DataFrame
        ``question``, ``part`` of the data, ``setting``, ``images`` that each training saw,
        ``fits`` (trainings), ``accuracy`` and ``difference`` (to the first setting), each with
        ``_low`` and ``_high`` (see `emohelpers.ablation.compare`), and ``cpu_seconds`` of the
        trainings of one search. The questions: ``winner as found``, at the accuracy that each
        search chose it by; ``winner trained on``, on validation and test split; and each
        hyperparameter of the grid, see `main_effects`.
    trials : DataFrame
        ``search``, ``seed`` and the columns of `Trials.table`, a row for each training of the
        searches.

    Raises
    ------
    ConfigurationError
        If there are no seeds, a split has no images, or `directory` holds another study.
    LabelError
        If an image has no label.
    """
    if not len(seeds):
        raise ConfigurationError("no seeds: expected one or more")
    tested = faces.split("test")
    if len(tested) == 0:
        raise ConfigurationError("no images in test: expected at least one")
    tested.check_labelled()
    rows, labels, split = fixed_split(faces)
    directory = Path(directory)
    settings = asdict(plan) | {"data": fingerprint(rows, labels, split.test_fold)}
    keep_settings(directory, settings, of="a study by another plan or of other images")
    learned, scored = split.test_fold < 0, split.test_fold >= 0
    parts = {
        "validation": (rows[scored], labels[scored]),
        "test": (tested.images[:].reshape(len(tested), -1), tested.labels),
    }
    most = plan.rungs[-1][1]
    tables: list[pd.DataFrame] = []
    right: dict[tuple[str, str], list[NDArray[np.bool_]]] = {}
    of_grid: list[NDArray[np.bool_]] = []
    for seed in seeds:
        for name in _SEARCHES:
            trials = Trials()
            classifier = FaceClassifier(
                faces.images.shape[1:],
                network_options=plan.network_options,
                seed=seed,
                directory=directory,
            )
            search = _search(name, classifier, plan, split, trials, verbose=verbose)
            search.fit(rows, labels)
            table = trials.table()
            tables.append(table.assign(search=name, seed=seed))
            if name == "grid":
                of_grid += trials.correct
            right.setdefault(("as found", name), []).append(trials.correct[search.best_index_])
            best = classifier.set_params(**search.best_params_ | {"images": most})
            best.fit(rows[learned], labels[learned])
            for part, (given, expected) in parts.items():
                right.setdefault((part, name), []).append(best.predict(given) == expected)
    tried = pd.concat(tables, ignore_index=True)
    tried = tried[["search", "seed", *tables[0].columns.drop(["search", "seed"])]]
    found = [
        _compared(right, "as found", [plan.grid_images, most]),
        _compared(right, "validation", most),
        _compared(right, "test", most),
    ]
    spent = tried.groupby("search")["cpu_seconds"].sum() / len(seeds)
    for winners in found:
        winners["cpu_seconds"] = winners["setting"].map(spent)
    effects = main_effects(tried[tried["search"] == "grid"], of_grid)
    effects = effects.rename(columns={"parameter": "question", "value": "setting"})
    found.append(effects.assign(part="validation", images=plan.grid_images))
    tried["learning_rate"] = [float(f"{rate:.4g}") for rate in tried["learning_rate"]]
    decimals = dict.fromkeys(["accuracy", "accuracy_low", "accuracy_high"], 4)
    return pd.concat(found, ignore_index=True).round({"cpu_seconds": 1}), tried.round(decimals)


def _search(
    name: str, classifier: FaceClassifier, plan: Plan, split: Any, trials: Trials, *, verbose: int
) -> Any:
    """Return one of the two searches of scikit-learn, not yet fitted."""
    from scipy.stats import loguniform
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401 (allows the next line)
    from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV

    options: dict[str, Any] = {
        "cv": split,
        "scoring": trials,
        "refit": False,  # which would train the winner on validation images as well
        "return_train_score": False,  # halving's default is True, and would double the trials
        "error_score": "raise",
        "verbose": verbose,
    }
    space = {key: list(values) for key, values in plan.grid.items()}
    if name == "grid":
        return GridSearchCV(classifier.set_params(images=plan.grid_images), space, **options)
    rates = space["learning_rate"]
    return HalvingRandomSearchCV(
        classifier,
        space | {"learning_rate": loguniform(min(rates), max(rates))},
        resource="images",
        n_candidates=plan.candidates,
        min_resources=plan.first_images,
        max_resources=plan.rungs[-1][1],
        random_state=classifier.seed,
        **options,
    )


def _compared(
    right: dict[tuple[str, str], list[NDArray[np.bool_]]], part: str, images: int | list[int]
) -> pd.DataFrame:
    """Compare the winners of the two searches on the same images."""
    correct = {name: np.stack(right[part, name]) for name in _SEARCHES}
    table = ablation.compare(correct).rename(columns=RENAMED | {"step": "setting"})
    table.insert(0, "question", "winner as found" if part == "as found" else "winner trained on")
    table.insert(1, "part", "validation" if part == "as found" else part)
    table.insert(3, "images", images)
    table.insert(4, "fits", len(right[part, _SEARCHES[0]]))
    return table

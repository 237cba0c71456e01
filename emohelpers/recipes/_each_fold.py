"""A network for each fold, and their average."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from emohelpers.errors import ConfigurationError
from emohelpers.publishing import holds_network
from emohelpers.recipes._recipe import Recipe

__all__ = ["train_each_fold"]


def train_each_fold(
    recipe: Recipe,
    path: str | Path | None,
    *,
    directory: Path,
    half: bool,
    epochs: int | None,
    precision: str,
    seed: int,
    **options: Any,
) -> Any:
    """Train the networks in ``fold-1``, ``fold-2``, ... and save what they say on average.

    ``history.csv`` holds the epochs of all, with a column ``fold``. The fold that a network was
    tested on is its number, so that `emohelpers.publishing.metrics` can ask for each image the one
    that has not seen it.
    """
    from emohelpers import models, publishing
    from emohelpers.recipes._train import settings, train

    if recipe.folds < 2:
        raise ConfigurationError(
            f"recipe {recipe.name}: each of {recipe.folds} folds: expected 2 or more"
        )
    if holds_network(directory) and not (directory / "fold-1").exists():
        raise ConfigurationError(
            f"{directory} holds a network without the state of its training: expected a folder "
            "that is new or whose training can go on"
        )
    members, histories = [], []
    for fold in range(1, recipe.folds + 1):
        place = directory / f"fold-{fold}"
        train(
            replace(recipe, each_fold=False),
            path,
            directory=place,
            half=half,
            fold=fold,
            epochs=epochs,
            precision=precision,
            seed=seed,
            **options,
        )
        # From its file, whether it was trained just now or before a stop.
        members.append(publishing.open_model(place).model)
        histories.append(pd.read_csv(place / "history.csv").assign(fold=fold))
    saved = publishing.save(
        models.average(members),
        settings(recipe, epochs=epochs, precision=precision, seed=seed),
        directory=directory,
        half=half,
    )
    publishing.write(directory / "history.csv", pd.concat(histories).to_csv(index=False))
    return saved

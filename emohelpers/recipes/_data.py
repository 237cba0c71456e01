"""What a recipe does to its data before training: divide, thin out, write changed copies."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError
from emohelpers.recipes._recipe import Recipe

__all__ = ["divided", "offline_copies", "thinned"]


def divided(recipe: Recipe, data: FaceDataset, *, fold: int) -> FaceDataset:
    """Give a data set the splits that a recipe asks for."""
    from emohelpers.datasets import assign_fold

    if recipe.training_list is not None:
        return _listed(recipe, data)
    if not recipe.folds:
        return data
    return assign_fold(data, fold, folds=recipe.folds, by=recipe.split_by)


def _listed(recipe: Recipe, data: FaceDataset) -> FaceDataset:
    """Train on the images of the list, which must be there and not be labelled by hand."""
    from emohelpers.datasets import utkface

    assert recipe.training_list is not None
    training = utkface.read_training_list(recipe.training_list)
    if "expression" not in data.table:
        raise ConfigurationError(
            f"recipe {recipe.name} validates on labels made by hand: expected labels, the path of "
            "a CSV of file,expression[,agreement] (--labels)"
        )
    faces = utkface.divide(data, training)
    rows = faces.table["split"].eq("train").fillna(False)
    both = faces.table["file"][rows & faces.table["expression"].notna()]
    if len(both):
        raise ConfigurationError(
            f"{len(both)} images stand in the list to train on, {recipe.training_list}, and among "
            f"the labels made by hand, the first is {both.iloc[0]}: expected each in one of them"
        )
    if rows.sum() < len(training):
        raise ConfigurationError(
            f"{len(training) - rows.sum()} of the {len(training)} images of "
            f"{recipe.training_list} are not in {data.name}: expected the set that the list was "
            "made of"
        )
    return faces


def thinned(recipe: Recipe, rows: FaceDataset, *, seed: int) -> FaceDataset:
    """Draw so many images of each class at most, where a recipe says how many."""
    if recipe.images_per_class is None:
        return rows
    if recipe.images_per_class < 1:
        raise ConfigurationError(
            f"recipe {recipe.name}: images_per_class={recipe.images_per_class}: expected 1 or more"
        )
    from imblearn.under_sampling import RandomUnderSampler

    counts = np.bincount(rows.labels)
    most = {
        label: min(int(count), recipe.images_per_class)
        for label, count in enumerate(counts)
        if count
    }
    sampler = RandomUnderSampler(sampling_strategy=most, random_state=seed)
    sampler.fit_resample(np.arange(len(rows))[:, None], rows.labels)
    return rows.select(np.sort(sampler.sample_indices_))


def offline_copies(
    recipe: Recipe, data: FaceDataset, *, directory: Path, seed: int, cache: str | Path | None
) -> FaceDataset:
    """Write changed copies of the training images, where a recipe asks for it, and load all."""
    if recipe.augmented_total is None:
        return data
    from emohelpers.augmentation import write_augmented
    from emohelpers.datasets import load

    files = directory / "augmented"
    used = data.select(data.table["split"].notna().to_numpy())
    write_augmented(
        used,
        files,
        total=recipe.augmented_total,
        preset=recipe.augmentation,
        seed=seed,
        **recipe.augmentation_options,
    )
    loaded = load("folders", files, color=recipe.color, cache=cache)
    faces = loaded.keep_classes(recipe.emotions)
    # A turned copy can be the image itself, and no more a leak than the image is.
    return replace(faces, name=data.name)

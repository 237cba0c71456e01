"""From a recipe to a trained network in a folder."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emohelpers import publishing
from emohelpers.datasets import FaceDataset
from emohelpers.datasets._crop import load_cropped
from emohelpers.errors import ConfigurationError
from emohelpers.recipes._classes import class_weights, odds, resampled
from emohelpers.recipes._data import divided, offline_copies, thinned
from emohelpers.recipes._recipe import Recipe
from emohelpers.recipes._targets import targets

__all__ = ["train"]


def train(
    recipe: Recipe,
    path: str | Path | None = None,
    *,
    directory: str | Path,
    faces: FaceDataset | None = None,
    votes: str | Path | None = None,
    labels: str | Path | None = None,
    fold: int = 1,
    epochs: int | None = None,
    precision: str = "float32",
    half: bool = False,
    devices: int | str = 1,
    seed: int = 0,
    cache: str | Path | None = None,
    callbacks: Sequence[Any] = (),
    verbose: int | str = "auto",
) -> Any:
    """Train a recipe from its data to a folder that `emohelpers.publishing.open_model` opens.

    Started again with the same arguments, it goes on where it was stopped.

    Parameters
    ----------
    recipe : Recipe
        One of `RECIPES`, or your own.
    path : path, optional
        Where the data set lies; toy faces need none.
    directory : path
        Gets ``model.keras`` (or ``head.keras``), ``recipe.json``, ``history.csv`` and
        ``state.npz``, and where more than the labels is learned, ``targets.npz``.
    faces : FaceDataset, optional
        In place of what lies at `path`: with the recipe's classes and size, and a split for each
        image.
    votes : path, optional
        Where the FER+ votes lie, for recipes that learn from them.
    labels : path, optional
        Where the expression labels of UTKFace lie that were made by hand, for recipes that
        validate on them.
    fold : int
        The part to test on, for recipes with folds; those that train each fold have no say.
    epochs : int, optional
        In place of the recipe's; a cosine schedule ends there.
    precision : str
        A dtype policy of Keras: ``"float32"``, or ``"mixed_bfloat16"`` where the processor computes
        in it (recent GPUs and server CPUs) and the network is not too small to gain from it.
    half : bool
        Store the trained weights in half precision, see `emohelpers.publishing.save`.
    devices : int or "auto"
        How many share each batch, see `emohelpers.training.on_devices`. Of several processes, which
        all call this, the first alone writes.
    seed : int
        Of the initial weights, dropout, augmentation and the order of the batches.
    cache : path, optional
        See `emohelpers.datasets.load`.
    callbacks, verbose
        See `emohelpers.training.fit`.

    Returns
    -------
    emohelpers.publishing.SavedModel
        With the weights of the best epoch.

    Raises
    ------
    ConfigurationError
        If a part of the recipe is not known or does not go with another, or the folder holds
        another training, or a network without the state of its training, which would be replaced.
    EmohelpersError
        If the data can not be read, see `emohelpers.datasets.load`.
    """
    import keras

    from emohelpers import augmentation, evaluation, models, training
    from emohelpers.training._processes import check_same, from_first

    directory = Path(directory)
    _check_precision(precision)
    _check_devices(recipe, devices)
    if recipe.each_fold:
        if faces is not None:
            raise ConfigurationError(
                f"recipe {recipe.name} trains a network for each fold of what lies at a path: "
                "expected a path, not faces"
            )
        from emohelpers.recipes._each_fold import train_each_fold

        return train_each_fold(
            recipe,
            path,
            directory=directory,
            half=half,
            votes=votes,
            labels=labels,
            epochs=epochs,
            precision=precision,
            devices=devices,
            seed=seed,
            cache=cache,
            callbacks=callbacks,
            verbose=verbose,
        )
    epochs = recipe.epochs if epochs is None else epochs
    if recipe.head and epochs:
        raise ConfigurationError(
            f"epochs={epochs}: recipe {recipe.name} fits its last layer and trains nothing: "
            "expected 0"
        )
    if epochs < 1 and not recipe.head:
        raise ConfigurationError(f"epochs={epochs}: expected 1 or more")
    if not 0 <= seed < 2**32:
        raise ConfigurationError(f"seed={seed}: expected 0 to {2**32 - 1}")
    if epochs:
        _check_free(directory)
    builder = _builder(recipe)
    data = (
        _load(recipe, path, votes=votes, labels=labels, fold=fold, cache=cache)
        if faces is None
        else faces
    )
    _check_classes(recipe, data)
    data = offline_copies(recipe, data, directory=directory, seed=seed, cache=cache)
    found = thinned(recipe, evaluation.training_rows(data), seed=seed)
    written = settings(recipe, epochs=epochs, precision=precision, seed=seed, fold=fold)
    if recipe.head:
        written["learned_from"] = _digest(found)
        if _is_done(directory, written):
            return publishing.open_model(directory)
    factors = odds(recipe, found.labels)
    rows = resampled(recipe, found, seed=seed)
    # Before networks are built, which JAX refuses, too, but without a word of what was wrong.
    check_same(hashlib.sha256(json.dumps(written).encode() + rows.labels.tobytes()).hexdigest())
    learned = targets(recipe, rows, directory=directory) if epochs else None
    if learned is not None:
        learned = from_first(learned)  # what processors make of the same can differ in a digit
    keras.utils.set_random_seed(seed)
    with training.on_devices(devices):
        with models.precision(precision):
            model = builder(data.images.shape[1:], len(recipe.emotions), **recipe.network_options)
        if epochs:
            training.fit(
                model,
                rows,
                data.split("validation"),
                directory=directory,
                epochs=epochs,
                batch_size=recipe.batch_size,
                optimizer=_optimizer(
                    recipe,
                    epochs=epochs,
                    steps=recipe.steps_per_epoch or -(-len(rows) // recipe.batch_size),
                ),
                targets=learned,
                augmentation=augmentation.pipeline(
                    recipe.augmentation, seed=seed, **recipe.augmentation_options
                )
                if (recipe.augmentation or recipe.augmentation_options)
                and not recipe.augmented_total
                else None,
                class_weights=class_weights(recipe, rows.labels),
                label_smoothing=recipe.label_smoothing,
                focal=recipe.focal,
                logit_adjustment=recipe.logit_adjustment,
                mixup=recipe.mixup,
                cutmix=recipe.cutmix,
                monitor=recipe.monitor,
                patience=recipe.patience,
                steps_per_epoch=recipe.steps_per_epoch,
                seed=seed,
                callbacks=callbacks,
                verbose=verbose if training.this_process().index == 0 else 0,
            )
    if recipe.head:
        training.fit_head(model, found, **recipe.head)
    if factors is not None:
        training.multiply_odds(model, factors)
    if recipe.head:
        _write_history(model, found, data.split("validation"), directory=directory)
    model = models.portable(model)
    if training.this_process().index:
        return publishing.SavedModel(model, written, directory)
    return publishing.save(model, written, directory=directory, half=half)


def settings(
    recipe: Recipe, *, epochs: int | None, precision: str, seed: int, fold: int = 1
) -> dict[str, Any]:
    """Return what ``recipe.json`` says of a training."""
    return {
        **asdict(recipe),
        "epochs": recipe.epochs if epochs is None else epochs,
        "precision": precision,
        "seed": seed,
        **({"fold": fold} if recipe.folds and not recipe.each_fold else {}),
    }


def _load(
    recipe: Recipe,
    path: str | Path | None,
    *,
    votes: str | Path | None,
    labels: str | Path | None,
    fold: int,
    cache: str | Path | None,
) -> FaceDataset:
    """Load what a recipe learns from, with its classes and labels."""
    from emohelpers import raters

    if recipe.labels not in ("source", "majority"):
        raise ConfigurationError(
            f"recipe {recipe.name}: labels {recipe.labels!r}: expected 'source' or 'majority'"
        )
    given = {"votes": votes, "labels": labels}
    data = load_cropped(
        recipe.dataset,
        path,
        size=(recipe.size, recipe.size),
        crop=recipe.crop,
        color=recipe.color,
        cache=cache,
        **recipe.dataset_options,
        **{name: value for name, value in given.items() if value is not None},
    )
    data = divided(recipe, data, fold=fold)
    if recipe.votes and not raters.has_votes(data):
        raise ConfigurationError(
            f"recipe {recipe.name} learns from raters' votes: expected votes, the path of the FER+ "
            "CSV (--votes)"
        )
    if recipe.labels == "majority":
        data = raters.by_majority(data)
    return data.keep_classes(recipe.emotions)


def _check_classes(recipe: Recipe, data: FaceDataset) -> None:
    if tuple(data.class_names) != tuple(recipe.emotions):
        raise ConfigurationError(
            f"recipe {recipe.name}: faces of {', '.join(data.class_names)}: expected those of "
            f"{', '.join(recipe.emotions)}"
        )


def _check_free(directory: Path) -> None:
    """Refuse a folder, such as a published one, whose network no training could go on with."""
    if publishing.holds_network(directory) and not (directory / "state.npz").exists():
        raise ConfigurationError(
            f"{directory} holds a network without the state of its training: expected a folder "
            "that is new or whose training can go on"
        )


def _digest(rows: FaceDataset) -> str:
    """Return a digest of images that a last layer was fitted to: their files and labels."""
    files = "\n".join(rows.table["file"].astype(str))
    return hashlib.sha256(files.encode() + rows.labels.tobytes()).hexdigest()


def _is_done(directory: Path, written: Mapping[str, Any]) -> bool:
    """Say whether a folder holds this fitted network; refuse one that holds anything else."""
    if not (directory / "recipe.json").exists():
        if publishing.holds_network(directory) or (directory / "state.npz").exists():
            raise ConfigurationError(f"{directory} holds another training: expected a new folder")
        return False
    known = publishing.read_recipe(directory)
    known.pop("backbone_sha256", None)
    # Through JSON, as the other went: its tuples are lists.
    if known != json.loads(json.dumps(written)):
        raise ConfigurationError(
            f"{directory} holds a network of another recipe or of other images: expected a new "
            "folder"
        )
    return publishing.holds_network(directory)


def _write_history(
    model: Any, train: FaceDataset, validation: FaceDataset, *, directory: Path
) -> None:
    """Write the history of a network whose last layer alone was fitted: a row, for no epoch."""
    from emohelpers import evaluation

    validation.check_labelled()
    row: dict[str, float] = {"epoch": 0}
    for prefix, faces in (("", train), ("val_", validation)):
        if not len(faces):
            raise ConfigurationError(f"no images to {'validate on' if prefix else 'learn from'}")
        shares = evaluation.predict(model, faces.images)
        of_label = shares[np.arange(len(faces)), faces.labels]
        row[f"{prefix}loss"] = float(-np.log(np.maximum(of_label, 1e-7)).mean())
        row[f"{prefix}accuracy"] = float((shares.argmax(axis=1) == faces.labels).mean())
    directory.mkdir(parents=True, exist_ok=True)
    publishing.write(directory / "history.csv", pd.DataFrame([row]).round(6).to_csv(index=False))


def _check_devices(recipe: Recipe, devices: int | str) -> None:
    from emohelpers import training

    together = training.this_process().count > 1
    if recipe.head and (devices != 1 or together):
        raise ConfigurationError(
            f"devices={devices}: recipe {recipe.name} fits its last layer and trains nothing: "
            "expected one device"
        )
    if together and (recipe.each_fold or recipe.augmented_total):
        what = "a network for each fold" if recipe.each_fold else "on files that it writes itself"
        raise ConfigurationError(
            f"recipe {recipe.name} trains {what}: expected one process, with any devices of its own"
        )


def _check_precision(precision: str) -> None:
    # Not mixed_float16: its small range would ask for a scaled loss.
    known = ("float32", "mixed_bfloat16")
    if precision not in known:
        raise ConfigurationError(f"precision={precision!r}: expected one of {', '.join(known)}")


def _builder(recipe: Recipe) -> Callable[..., Any]:
    from emohelpers import models

    if recipe.network not in models.BUILDERS:
        raise ConfigurationError(
            f"recipe {recipe.name}: no network {recipe.network!r}: expected one of "
            f"{', '.join(models.BUILDERS)}"
        )
    return models.BUILDERS[recipe.network]


def _optimizer(recipe: Recipe, *, epochs: int, steps: int) -> Any:
    """Build a recipe's optimiser for so many epochs of so many steps."""
    import keras

    optimizer = getattr(keras.optimizers, recipe.optimizer, None)
    if not isinstance(optimizer, type) or not issubclass(optimizer, keras.optimizers.Optimizer):
        raise ConfigurationError(
            f"recipe {recipe.name}: no optimizer {recipe.optimizer!r}: expected a class of "
            "keras.optimizers such as 'Adam' or 'SGD'"
        )
    if recipe.schedule not in ("constant", "cosine"):
        raise ConfigurationError(
            f"recipe {recipe.name}: no schedule {recipe.schedule!r}: expected 'constant' or "
            "'cosine'"
        )
    if not 0 <= recipe.warmup < epochs:
        raise ConfigurationError(
            f"recipe {recipe.name}: a warm-up of {recipe.warmup:g} epochs: expected 0 or more and "
            f"fewer than the {epochs} of the training"
        )
    rate = recipe.learning_rate
    if recipe.schedule == "cosine":
        rising = round(recipe.warmup * steps)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if rising else recipe.learning_rate,
            epochs * steps - rising,
            warmup_target=recipe.learning_rate if rising else None,
            warmup_steps=rising,
        )
    built = optimizer(learning_rate=rate, **recipe.optimizer_options)
    if recipe.optimizer_options.get("weight_decay"):
        # Shrinking what scales or shifts a normalised value regularises nothing.
        built.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return built

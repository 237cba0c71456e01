"""A trained network in its folder, and its figures on a data set."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from emohelpers.datasets import FaceDataset, load
from emohelpers.errors import ConfigurationError, MissingPathError
from emohelpers.publishing._files import read_json, read_recipe, write

__all__ = [
    "SavedModel",
    "best_epoch",
    "metrics",
    "metrics_file",
    "open_model",
    "read_metrics",
    "save",
    "write_metrics",
]


@dataclass(frozen=True)
class SavedModel:
    """A trained network and what it was trained as.

    Parameters
    ----------
    model : keras.Model
        Takes pixels in 0..255.
    recipe : mapping
        What ``recipe.json`` holds: the fields of the `emohelpers.recipes.Recipe` and the seed.
    directory : Path
        Where it lies.
    """

    model: Any
    recipe: Mapping[str, Any]
    directory: Path

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of the network's outputs."""
        return tuple(self.recipe["emotions"])

    def load(
        self, dataset: str, path: str | Path | None = None, *, crop: float = 0.0, **options: Any
    ) -> FaceDataset:
        """Load a data set in the size and colour that the network takes.

        Parameters
        ----------
        dataset : str
            As in `emohelpers.datasets.load`.
        path : path, optional
            Where the source lies.
        crop : float
            The share of the side that is cut off at each edge, 0 to below 0.5, where the source
            leaves more room around a face than the network is used to. It is rounded to whole
            pixels of the network's input.
        **options
            Further arguments of the loader.

        Returns
        -------
        FaceDataset
            The images fit the network.

        Raises
        ------
        ConfigurationError
            If `crop` is out of its range.
        """
        if not 0 <= crop < 0.5:
            raise ConfigurationError(f"crop={crop}: expected a share from 0 to below 0.5")
        height, width, channels = self.model.input_shape[1:]
        top, left = (round(side * crop / (1 - 2 * crop)) for side in (height, width))
        size = (height + 2 * top, width + 2 * left)
        faces = load(dataset, path, size=size, color=channels == 3, **options)
        return replace(faces, images=faces.images[:, top : top + height, left : left + width])


def save(model: Any, recipe: Mapping[str, Any], *, directory: str | Path) -> SavedModel:
    """Write a network and its recipe into a folder that `open_model` opens.

    Parameters
    ----------
    model : keras.Model
        Written without its optimiser.
    recipe : mapping
        Goes into ``recipe.json``; names the classes in ``emotions``.
    directory : path
        Files of an earlier training in it are replaced, each as a whole.

    Returns
    -------
    SavedModel
        The same network.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f"model.{os.getpid()}.tmp.keras"
    try:
        model.save(temporary, include_optimizer=False)
        temporary.replace(directory / "model.keras")
    finally:
        temporary.unlink(missing_ok=True)
    write(directory / "recipe.json", json.dumps(recipe, indent=2) + "\n")
    return SavedModel(model, recipe, directory)


def open_model(directory: str | Path) -> SavedModel:
    """Open a folder that a training left, for instance one of ``saved_models/``.

    Parameters
    ----------
    directory : path
        Holds ``model.keras`` and ``recipe.json``.

    Returns
    -------
    SavedModel
        Loaded in Keras's safe mode, which runs no code from the file.

    Raises
    ------
    MissingPathError
        If one of the two files is not there.
    ConfigurationError
        If one of them can not be read, or they do not belong together.
    """
    directory = Path(directory)
    for name in ("model.keras", "recipe.json"):
        if not (directory / name).is_file():
            raise MissingPathError(
                f"no {name} in {directory}: expected a folder that 'emohelpers train' wrote"
            )
    recipe = read_recipe(directory)
    # Keras takes seconds to import: a wrong path is said before.
    import keras

    # Registers the package's own layers, which a saved network may hold.
    import emohelpers.augmentation  # noqa: F401

    try:
        model = keras.saving.load_model(directory / "model.keras", compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds for a damaged file
        raise ConfigurationError(
            f"{directory / 'model.keras'} can not be loaded as a Keras network: {error}"
        ) from error
    taken, given = tuple(model.input_shape), tuple(model.output_shape)
    if len(taken) != 4 or taken[3] not in (1, 3) or None in taken[1:] or len(given) != 2:
        raise ConfigurationError(
            f"{directory}: the network takes {taken} and gives {given}: expected images "
            "(n, height, width, 1 or 3) and a row of probabilities for each"
        )
    outputs, emotions = given[1], len(recipe["emotions"])
    if outputs != emotions and (outputs, emotions) != (1, 2):
        raise ConfigurationError(
            f"{directory}: the network has {outputs} outputs and recipe.json names {emotions} "
            "emotions: expected as many"
        )
    return SavedModel(model, recipe, directory)


def best_epoch(directory: str | Path, *, monitor: str = "val_accuracy") -> dict[str, Any]:
    """Read from ``history.csv`` which epoch was the best.

    Parameters
    ----------
    directory : path
        A folder that a training left.
    monitor : str
        The column to choose by; the lowest of a loss, the highest of an accuracy.

    Returns
    -------
    dict
        ``epochs`` (how many there were), ``best_epoch`` (from 1), and its ``val_accuracy`` and
        ``val_loss``.

    Raises
    ------
    MissingPathError
        If there is no ``history.csv``.
    ConfigurationError
        If it can not be read, or has no epoch or not these columns.
    """
    path = Path(directory) / "history.csv"
    if not path.is_file():
        raise MissingPathError(f"no {path}: expected the history that 'emohelpers train' writes")
    try:
        history = pd.read_csv(path).sort_values(
            monitor, ascending=monitor.endswith("loss"), kind="stable"
        )
        row = history[["epoch", "val_accuracy", "val_loss"]].iloc[0]
    except (ValueError, KeyError, IndexError) as error:
        raise ConfigurationError(
            f"{path} is no history ({error}): expected a row for each epoch with the columns "
            f"epoch, val_accuracy, val_loss and {monitor}"
        ) from error
    return {
        "epochs": len(history),
        "best_epoch": int(row["epoch"]),
        "val_accuracy": float(row["val_accuracy"]),
        "val_loss": float(row["val_loss"]),
    }


def metrics(
    saved: SavedModel, dataset: FaceDataset, *, views: int = 1, crop: float = 0.0
) -> dict[str, Any]:
    """Score a saved network on a data set: what ``metrics.json`` holds.

    Parameters
    ----------
    saved : SavedModel
        The network.
    dataset : FaceDataset
        In the network's size and colour, see `SavedModel.load`.
    views : int
        See `emohelpers.evaluation.predict`.
    crop : float
        What `SavedModel.load` was told, for the record.

    Returns
    -------
    dict
        ``recipe``, ``dataset``, ``views``, ``crop``, ``parameters`` and ``scores``, which is what
        `emohelpers.evaluation.evaluate` returns.
    """
    from emohelpers import evaluation

    return {
        "recipe": saved.recipe["name"],
        "dataset": dataset.name,
        "views": views,
        "crop": crop,
        "parameters": saved.model.count_params(),
        "scores": evaluation.evaluate(
            saved.model, dataset, class_names=saved.class_names, views=views
        ),
    }


def metrics_file(saved: SavedModel, result: Mapping[str, Any]) -> Path:
    """Say where a result belongs.

    Parameters
    ----------
    saved : SavedModel
        The network.
    result : mapping
        What `metrics` returns.

    Returns
    -------
    Path
        ``metrics.json`` for the data set that the network was trained for, whole images and one
        view, otherwise a name that tells what differs.
    """
    own = result["dataset"] == saved.recipe["dataset"]
    source = "" if own else f"-{result['dataset']}"
    views = "" if result["views"] == 1 else f"-{result['views']}-views"
    crop = "-cropped" if result["crop"] else ""
    return saved.directory / f"metrics{source}{views}{crop}.json"


def write_metrics(saved: SavedModel, result: Mapping[str, Any]) -> Path:
    """Write what `metrics` returned into the network's folder; return the file."""
    path = metrics_file(saved, result)
    write(path, json.dumps(result, indent=1) + "\n")
    return path


def read_metrics(path: str | Path) -> dict[str, Any]:
    """Read a file that `write_metrics` wrote.

    Parameters
    ----------
    path : path
        For instance ``saved_models/fer-baseline/metrics.json``.

    Returns
    -------
    dict
        What `metrics` returned then.

    Raises
    ------
    MissingPathError
        If the file is not there.
    ConfigurationError
        If it is no JSON object, or has no scores.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingPathError(f"no {path}: expected what 'emohelpers evaluate --write' made")
    result = read_json(path)
    if not isinstance(result.get("scores"), dict):
        raise ConfigurationError(f"{path} has no scores: expected what 'emohelpers evaluate' wrote")
    return result

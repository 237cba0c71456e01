"""A trained network in its folder."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emohelpers import raters
from emohelpers.datasets import FaceDataset
from emohelpers.datasets._crop import load_cropped
from emohelpers.errors import ConfigurationError, MissingPathError
from emohelpers.publishing._files import (
    CALIBRATION,
    holds_network,
    read_json,
    read_recipe,
    write,
)
from emohelpers.publishing._weights import halve, round_to_half

__all__ = ["SavedModel", "open_model", "save"]


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

    @property
    def temperature(self) -> float:
        """What makes its probabilities as sure as they should be; 1 where that was not measured.

        `emohelpers.evaluation.with_temperature` applies it; no prediction does so by itself.
        """
        path = self.directory / CALIBRATION
        if not path.is_file():
            return 1.0
        temperature = read_json(path).get("temperature")
        if not isinstance(temperature, int | float) or not 0 < temperature < math.inf:
            raise ConfigurationError(f"{path}: expected a 'temperature', a number above 0")
        return float(temperature)

    def own_crop(self, dataset: str) -> float:
        """Return what is cut off at each edge unless told otherwise.

        Parameters
        ----------
        dataset : str
            As in `emohelpers.datasets.load`.

        Returns
        -------
        float
            The crop that the network was trained with, for the data set that it was trained on;
            0 for others.
        """
        return float(self.recipe.get("crop", 0.0)) if dataset == self.recipe["dataset"] else 0.0

    def load(
        self,
        dataset: str,
        path: str | Path | None = None,
        *,
        crop: float | None = None,
        **options: Any,
    ) -> FaceDataset:
        """Load a data set in the size, colour and splits that the network was trained with.

        Parameters
        ----------
        dataset : str
            As in `emohelpers.datasets.load`.
        path : path, optional
            Where the source lies.
        crop : float, optional
            The share of the side that is cut off at each edge, 0 to below 0.5, where the source
            leaves more room around a face than the network is used to. It is rounded to whole
            pixels of the network's input. Without it, see `own_crop`.
        **options
            Further arguments of the loader.

        Returns
        -------
        FaceDataset
            The images fit the network. Where it learned what most raters saw, and the source has
            votes, so are the labels. The splits of a source that has none are those of the
            network's training.

        Raises
        ------
        ConfigurationError
            If `crop` is out of its range, or the network's own source lacks the votes that make
            its labels.
        """
        height, width, channels = self.model.input_shape[1:]
        faces = load_cropped(
            dataset,
            path,
            size=(height, width),
            crop=self.own_crop(dataset) if crop is None else crop,
            color=channels == 3,
            **options,
        )
        if self.recipe.get("labels") == "majority":
            if raters.has_votes(faces):
                faces = raters.by_majority(faces)
            elif dataset == self.recipe["dataset"]:
                raise ConfigurationError(
                    f"{self.directory} learned what most raters saw, and {dataset} came without "
                    "their votes: expected votes, the path of their CSV (--votes)"
                )
        return self._divided(faces) if dataset == self.recipe["dataset"] else faces

    def _divided(self, faces: FaceDataset) -> FaceDataset:
        """Divide a source without splits as it was for training."""
        if self.recipe.get("training_list") and "expression" in faces.table:
            from emohelpers.datasets import utkface

            training = utkface.read_training_list(self.recipe["training_list"])
            return utkface.divide(faces, training)
        if self.recipe.get("folds"):
            from emohelpers.datasets import assign_fold

            return assign_fold(
                faces,
                self.recipe.get("fold", 1),
                folds=self.recipe["folds"],
                by=self.recipe.get("split_by"),
            )
        return faces


def save(
    model: Any, recipe: Mapping[str, Any], *, directory: str | Path, half: bool = False
) -> SavedModel:
    """Write a network and its recipe into a folder that `open_model` opens.

    Of a network whose backbone is published networks, named and frozen, only the last layer is
    written, as ``head.keras``: `open_model` puts it on these again.

    Parameters
    ----------
    model : keras.Model
        Written without its optimiser.
    recipe : mapping
        Goes into ``recipe.json``; names the classes in ``emotions``.
    directory : path
        Files of an earlier training in it are replaced, each as a whole.
    half : bool
        Store the weights in half precision, in half the space; `model` itself is rounded alike.

    Returns
    -------
    SavedModel
        The same network.

    Raises
    ------
    ConfigurationError
        If half precision can not hold a weight.
    """
    from emohelpers.models import _heads

    own = _heads.is_head(recipe)
    if own:  # before the backbone is rounded, which is not stored
        recipe = {**recipe, "backbone_sha256": _heads.backbone_sha256(model)}
    if half:
        round_to_half(model)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f"model.{os.getpid()}.tmp.keras"
    try:
        (_heads.head_of(model) if own else model).save(temporary, include_optimizer=False)
        if half:
            halve(temporary)
        written, other = (_heads.FILE, "model.keras") if own else ("model.keras", _heads.FILE)
        temporary.replace(directory / written)
        (directory / other).unlink(missing_ok=True)
        # Of the network that lay there before.
        (directory / CALIBRATION).unlink(missing_ok=True)
    finally:
        temporary.unlink(missing_ok=True)
    write(directory / "recipe.json", json.dumps(recipe, indent=2) + "\n")
    return SavedModel(model, recipe, directory)


def open_model(directory: str | Path) -> SavedModel:
    """Open a folder that a training left, for instance one of ``saved_models/``.

    Parameters
    ----------
    directory : path
        Holds ``recipe.json`` and either ``model.keras`` (or ``head.keras``, see `save`) or, as
        `combine` makes it, the names of ``members``, which lie beside it.

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
    _check_file(directory, "recipe.json")
    recipe = read_recipe(directory)
    members = recipe.get("members")
    if members is None:
        if not holds_network(directory):  # Keras takes seconds to import
            _check_file(directory, "model.keras")
        from emohelpers.models._saved import load_network

        model = load_network(directory)
    else:
        model = _average(directory, members, class_names=recipe["emotions"])
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


def _check_file(directory: Path, name: str) -> None:
    if not (directory / name).is_file():
        raise MissingPathError(
            f"no {name} in {directory}: expected a folder that 'emohelpers train' wrote"
        )


def _average(directory: Path, members: Any, *, class_names: Sequence[str]) -> Any:
    """Build the mean of the networks in folders beside this one."""
    # A name only, so that a recipe can not reach into other places.
    named = isinstance(members, list) and all(
        isinstance(name, str) and Path(name).name == name for name in members
    )
    if not named or directory.name in members:
        raise ConfigurationError(
            f"{directory / 'recipe.json'}: members {members!r}: expected names of other folders "
            "beside it"
        )
    parts = [open_model(directory.resolve().parent / name) for name in members]
    for part in parts:
        if part.class_names != tuple(class_names):
            raise ConfigurationError(
                f"{part.directory} knows {', '.join(part.class_names)}: expected "
                f"{', '.join(class_names)} as in {directory}"
            )
    from emohelpers import models

    return models.average([part.model for part in parts])

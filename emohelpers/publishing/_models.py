"""A trained network in its folder."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emohelpers import raters
from emohelpers.datasets import FaceDataset, load
from emohelpers.errors import ConfigurationError, MissingPathError
from emohelpers.publishing._files import read_recipe, write
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
            The images fit the network. Where it learned what most raters saw, and the source has
            votes, so are the labels.

        Raises
        ------
        ConfigurationError
            If `crop` is out of its range, or the network's own source lacks the votes that make
            its labels.
        """
        if not 0 <= crop < 0.5:
            raise ConfigurationError(f"crop={crop}: expected a share from 0 to below 0.5")
        height, width, channels = self.model.input_shape[1:]
        top, left = (round(side * crop / (1 - 2 * crop)) for side in (height, width))
        size = (height + 2 * top, width + 2 * left)
        faces = load(dataset, path, size=size, color=channels == 3, **options)
        if self.recipe.get("labels") == "majority":
            if raters.has_votes(faces):
                faces = raters.by_majority(faces)
            elif dataset == self.recipe["dataset"]:
                raise ConfigurationError(
                    f"{self.directory} learned what most raters saw, and {dataset} came without "
                    "their votes: expected votes, the path of their CSV (--votes)"
                )
        return replace(faces, images=faces.images[:, top : top + height, left : left + width])


def save(
    model: Any, recipe: Mapping[str, Any], *, directory: str | Path, half: bool = False
) -> SavedModel:
    """Write a network and its recipe into a folder that `open_model` opens.

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
    if half:
        round_to_half(model)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f"model.{os.getpid()}.tmp.keras"
    try:
        model.save(temporary, include_optimizer=False)
        if half:
            halve(temporary)
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
        Holds ``recipe.json`` and either ``model.keras`` or, as `combine` makes it, the names of
        ``members``, which lie beside it.

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
        _check_file(directory, "model.keras")  # Keras takes seconds to import
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

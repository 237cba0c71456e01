"""Several published networks as one."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from emohelpers.errors import ConfigurationError
from emohelpers.publishing._files import holds_network, read_recipe, write
from emohelpers.publishing._models import SavedModel, open_model

__all__ = ["combine"]


def combine(members: Sequence[str | Path], *, directory: str | Path) -> SavedModel:
    """Make a folder that stands for the average of several networks.

    It holds their names and no weights of its own: `open_model` finds them beside it.

    Parameters
    ----------
    members : sequence of path
        Two or more folders of networks with the same classes and input, all of them beside
        `directory`.
    directory : path
        Gets ``recipe.json``; made if it is not there. Its name is the ensemble's.

    Returns
    -------
    emohelpers.publishing.SavedModel
        Gives the mean of the members' probabilities.

    Raises
    ------
    ConfigurationError
        If there are fewer than two members, one stands twice or lies elsewhere, they do not fit
        together, or `directory` holds a network already.
    """
    directory = Path(directory)
    folders = [Path(member) for member in members]
    names = [folder.resolve().name for folder in folders]
    beside = directory.resolve().parent
    if len(set(names)) < 2 or len(set(names)) < len(names):
        raise ConfigurationError(f"members {', '.join(names)}: expected two or more different ones")
    for folder in folders:
        if folder.resolve().parent != beside:
            raise ConfigurationError(
                f"{folder} does not lie in {beside}: expected it beside {directory}"
            )
    if holds_network(directory) or (directory / "recipe.json").exists():
        raise ConfigurationError(f"{directory} holds a network: expected a new folder")
    first = read_recipe(folders[0])
    recipe = {
        "name": directory.name,
        "summary": f"The average of {', '.join(names)}.",
        "dataset": first["dataset"],
        "labels": first.get("labels", "source"),
        "emotions": first["emotions"],
        "members": names,
    }
    # Opened before it has its name, so that members that do not fit together leave nothing.
    with TemporaryDirectory(dir=beside, prefix=".") as temporary:
        write(Path(temporary) / "recipe.json", json.dumps(recipe, indent=2) + "\n")
        opened = open_model(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        (Path(temporary) / "recipe.json").replace(directory / "recipe.json")
    return replace(opened, directory=directory)

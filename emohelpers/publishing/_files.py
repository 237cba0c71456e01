"""The JSON and text files of a folder of a trained network."""

import json
from pathlib import Path
from typing import Any

from emohelpers._replacing import replacing
from emohelpers.errors import ConfigurationError

__all__ = ["CALIBRATION", "holds_network", "read_json", "read_recipe", "write"]

CALIBRATION = "calibration.json"


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; what can not be read as one is a `ConfigurationError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} can not be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: expected a JSON object")
    return content


def holds_network(directory: Path) -> bool:
    """Say whether a network, or the last layer of one, lies in a folder."""
    return any((directory / name).is_file() for name in ("model.keras", "head.keras"))


def read_recipe(directory: Path) -> dict[str, Any]:
    """Read what a folder's network was trained as, with the fields that this module uses."""
    path = directory / "recipe.json"
    recipe = read_json(path)
    emotions = recipe.get("emotions")
    named = isinstance(emotions, list) and all(isinstance(name, str) for name in emotions)
    if not named or not all(isinstance(recipe.get(key), str) for key in ("name", "dataset")):
        raise ConfigurationError(
            f"{path}: expected a JSON object with 'name' and 'dataset' (text) and 'emotions' "
            "(a list of text)"
        )
    return recipe


def write(path: Path, text: str) -> None:
    """Write a text file beside its place and move it there."""
    with replacing(path) as beside:
        beside.write_bytes(text.encode("utf-8"))

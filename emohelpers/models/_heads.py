"""Networks of which only the last layer is their own: the others are published, as they are."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emohelpers.errors import ConfigurationError
from emohelpers.models._average import on_top
from emohelpers.models._layers import portable
from emohelpers.models._transfer import transfer

__all__ = ["FILE", "backbone_sha256", "head_of", "is_head", "with_backbone"]

FILE = "head.keras"
"""What holds the last layer, in place of ``model.keras``."""


def is_head(recipe: Mapping[str, Any]) -> bool:
    """Say whether all but the last layer of a recipe's network is published under its own name.

    Parameters
    ----------
    recipe : mapping
        What ``recipe.json`` holds.

    Returns
    -------
    bool
    """
    options = recipe.get("network_options") or {}
    weights = options.get("weights")
    names = [weights] if isinstance(weights, str) else weights or []
    published = [
        isinstance(name, str) and Path(name).stem == name and name != "imagenet" for name in names
    ]
    return (
        recipe.get("network") == "transfer"
        and options.get("freeze") == "all"
        and bool(published)
        and all(published)
    )


def backbone_sha256(model: Any) -> str:
    """Return a digest of the weights below the last layer, or below those of an average.

    Parameters
    ----------
    model : keras.Model
        As in `head_of`.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    own = {id(variable) for head in _dense(model) for variable in head.weights}
    digest = hashlib.sha256()
    for variable in model.weights:
        if id(variable) not in own and "seed" not in variable.path:
            digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)).tobytes())
    return digest.hexdigest()


def head_of(model: Any) -> Any:
    """Return the last layer of a network, or those of the members of an average, by itself.

    Parameters
    ----------
    model : keras.Model
        Ends in a dense layer, or is an average of networks that differ in such a layer.

    Returns
    -------
    keras.Model
        Takes features; has weights of its own.
    """
    heads = _dense(model)
    return on_top(keras.Input(heads[0].kernel.shape[:1], name="features"), heads)


def with_backbone(head: Any, folder: Path) -> Any:
    """Put what `head_of` returned on the published networks that its recipe names.

    Parameters
    ----------
    head : keras.Model
        From a file.
    folder : Path
        Holds its ``recipe.json``.

    Returns
    -------
    keras.Model
        Takes pixels in 0..255.

    Raises
    ------
    ConfigurationError
        If the two do not fit together.
    MissingPathError
        If a published network is not there.
    """
    path = folder / "recipe.json"
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))
        shape = (recipe["size"], recipe["size"], 3 if recipe.get("color") else 1)
        n_classes, options = len(recipe["emotions"]), dict(recipe["network_options"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} can not be read as the recipe of a last layer ({error!r}): expected a JSON "
            "object with 'size', 'emotions' and 'network_options'"
        ) from error
    network = transfer(shape, n_classes, **options)
    heads = _dense(head)
    given, taken = network.layers[-1].kernel.shape, heads[0].kernel.shape
    known = recipe.get("backbone_sha256")
    if tuple(given) != tuple(taken) or known != backbone_sha256(network):
        raise ConfigurationError(
            f"{folder / FILE} is a last layer for {tuple(taken)} features and classes, trained on "
            f"networks of the digest {known}; {options.get('weights')} give {tuple(given)} and are "
            "others: expected the networks that it was trained on"
        )
    inputs = keras.Input(shape, name="pixels")
    below = keras.Model(network.inputs, network.layers[-1].input, name="below")
    return portable(on_top(inputs, heads, below=below))


def _dense(model: Any) -> list[Any]:
    members = [layer for layer in model.layers if layer.name.startswith("member")]
    return members or [model.layers[-1]]

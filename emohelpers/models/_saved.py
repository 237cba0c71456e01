"""Where the published networks lie, and their files."""

import os
from pathlib import Path
from typing import Any

from emohelpers.errors import ConfigurationError, MissingPathError

__all__ = ["load_file", "load_network", "saved_folder"]

# In the installed package, which carries some of them, and in a checkout, which has all.
_PLACES = tuple(parent / "saved_models" for parent in Path(__file__).resolve().parents[1:3])


def saved_folder(name: str | Path) -> Path:
    """Find the folder of a trained network.

    Parameters
    ----------
    name : str or Path
        The name of a folder in ``saved_models/``. What has a slash in it, or is a `Path`, is
        taken as the path of a folder elsewhere.

    Returns
    -------
    Path
        The folder, which is there.

    Raises
    ------
    MissingPathError
        If there is no such folder; the message names those there are.

    Examples
    --------
    >>> saved_folder("fer-baseline").name
    'fer-baseline'
    """
    text = os.fspath(name)
    if isinstance(name, Path) or Path(text).name != text:
        if not Path(name).is_dir():
            raise MissingPathError(f"no folder {name}: expected one that 'emohelpers train' wrote")
        return Path(name)
    folders = {
        file.parent.name: file.parent for place in _PLACES for file in place.glob("*/recipe.json")
    }
    if text not in folders:
        raise MissingPathError(
            f"no published network {text!r}: expected one of {', '.join(sorted(folders))}, or a "
            f"path such as ./{text}"
        )
    return folders[text]


def load_network(folder: Path) -> Any:
    """Load the network in a folder that a training left, in Keras's safe mode.

    Parameters
    ----------
    folder : Path
        Holds ``model.keras``, or ``head.keras`` and the ``recipe.json`` that says what it was
        trained on.

    Returns
    -------
    keras.Model
        Not compiled.

    Raises
    ------
    MissingPathError
        If the file is not there.
    ConfigurationError
        If it can not be loaded.
    """
    whole, head = folder / "model.keras", folder / "head.keras"
    path = head if head.is_file() and not whole.is_file() else whole
    if not path.is_file():
        raise MissingPathError(f"no model.keras in {folder}: expected the trained network")
    network = load_file(path)
    if path == whole:
        return network
    from emohelpers.models._heads import with_backbone

    return with_backbone(network, folder)


def load_file(path: Path) -> Any:
    """Load a network from a ``.keras`` file, in Keras's safe mode, which runs no code from it.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    keras.Model
        Not compiled.

    Raises
    ------
    MissingPathError
        If it is not there.
    ConfigurationError
        If it can not be loaded.
    """
    if not path.is_file():
        raise MissingPathError(f"no file {path}: expected a trained network")
    import keras

    # Registers the layers of augmentations, which a saved network may hold.
    import emohelpers.augmentation  # noqa: F401

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds for a damaged file
        raise ConfigurationError(f"{path} can not be loaded as a Keras network: {error}") from error

"""Where the published networks lie."""

import os
from pathlib import Path

from emohelpers.errors import MissingPathError

__all__ = ["saved_folder"]

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

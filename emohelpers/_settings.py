"""A folder of work that is gone on with belongs to one set of settings."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emohelpers._replacing import replacing
from emohelpers.errors import ConfigurationError

__all__ = ["keep_settings"]


def keep_settings(directory: Path, settings: Mapping[str, Any], *, of: str) -> None:
    """Note in a new folder what its work is made with; refuse one that holds other work.

    Parameters
    ----------
    directory : Path
        Made if it is not there; the settings lie in its ``settings.json``.
    settings : mapping
        What decides the results, as JSON knows it, with mappings of any kind in it.
    of : str
        What other work would be of, in words for the message.

    Raises
    ------
    ConfigurationError
        If the folder's settings are others.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for seed in (0, 0, 1):
    ...         keep_settings(Path(folder), {"seed": seed}, of="another seed")
    Traceback (most recent call last):
    emohelpers.errors.ConfigurationError: ...
    """
    text = json.dumps(settings, indent=2, default=dict) + "\n"
    path = directory / "settings.json"
    if path.exists():
        if path.read_text(encoding="utf-8") != text:
            raise ConfigurationError(
                f"{path} is of {of}: continue it with the same, or choose another directory"
            )
        return
    directory.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")

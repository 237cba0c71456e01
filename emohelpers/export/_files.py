"""The formats, how their files are named, and what each file says of its network."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from emohelpers.errors import ConfigurationError

__all__ = ["FORMATS", "KEY", "check_format", "describe", "described", "file_name"]

FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "onnx": ".onnx",
        "litert": ".tflite",
        "litert-int8": "-int8.tflite",
        "openvino": ".xml",
        "saved-model": "-saved-model",
    }
)
"""How the name of each format's file ends. OpenVINO writes a ``.bin`` beside it, and a SavedModel
is a folder."""

KEY = "emohelpers"
"""Under which name a file holds what `describe` returns."""


def check_format(to: str) -> None:
    """Refuse a format that is not known."""
    if to not in FORMATS:
        raise ConfigurationError(f"format {to!r}: expected one of {', '.join(FORMATS)}")


def file_name(name: str, to: str) -> str:
    """Return what the file of a network is called.

    Parameters
    ----------
    name : str
        Of the network.
    to : str
        One of `FORMATS`.

    Returns
    -------
    str

    Raises
    ------
    ConfigurationError
        If there is no such format.

    Examples
    --------
    >>> file_name("fer-compact", "litert-int8")
    'fer-compact-int8.tflite'
    """
    check_format(to)
    return name + FORMATS[to]


def describe(name: str, class_names: Sequence[str]) -> str:
    """Write down, as JSON, what a file has to say of its network beside the network."""
    return json.dumps(
        {"network": name, "class_names": list(class_names), "input": "pixels, 0..255"}
    )


def described(text: str | None, path: Path) -> tuple[str, tuple[str, ...] | None]:
    """Read the network's name and classes; those of another maker's file are not known."""
    if text is None:
        return path.stem, None
    try:
        content: dict[str, Any] = json.loads(text)
        names = content["class_names"]
        if not all(isinstance(word, str) for word in (content["network"], *names)):
            raise TypeError("names that are not text")
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path}: what it says of itself under {KEY!r} can not be read ({error}): expected "
            "what 'emohelpers export' wrote"
        ) from error
    return content["network"], tuple(names)


def attach(path: Path, text: str) -> None:
    """Append the description to a LiteRT file, as a ZIP archive.

    That is where the format has the files that belong to a network
    (https://ai.google.dev/edge/litert/conversion/tensorflow/metadata); who reads the network does
    not see them.
    """
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(f"{KEY}.json"), text)


def attached(path: Path) -> str | None:
    """Read what `attach` appended, if anything."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        name = f"{KEY}.json"
        if name not in archive.namelist() or archive.getinfo(name).file_size > 1 << 20:
            return None
        return archive.read(name).decode("utf-8", errors="replace")

"""A network, from whatever names it, ready to answer."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emohelpers.datasets import EMOTIONS
from emohelpers.errors import ConfigurationError

__all__ = ["open_network"]

_BATCH = 64


def open_network(
    model: Any, class_names: Sequence[str] | None, threads: int | None
) -> tuple[str, Any, tuple[str, ...]]:
    """Return a network's name, itself, ready to answer, and its classes.

    Parameters
    ----------
    model, class_names, threads
        See `emohelpers.inference.EmotionRecognizer`.

    Returns
    -------
    name : str
    network : callable
        Takes images in 0..255 and returns probabilities; has an ``input_shape``.
    class_names : tuple of str

    Raises
    ------
    MissingPathError
        If there is no such network.
    ConfigurationError
        If it can not be loaded, or has another number of classes than there are names.
    """
    named = isinstance(model, str | os.PathLike)
    if named and Path(model).suffix in (".onnx", ".tflite"):
        from emohelpers.export import open_exported  # which needs no Keras

        exported = open_exported(model, threads=threads, batch_size=_BATCH)
        given = exported.class_names or class_names
        return exported.name, exported, _classes(exported.outputs, given)
    from emohelpers import models, publishing

    if named and Path(model).suffix == ".keras":
        from emohelpers.models._saved import load_file

        model = load_file(Path(model))
    elif model is None or named:
        name = "fer-compact" if model is None else model
        folder = models.saved_folder(name if isinstance(name, str) else Path(name))
        model = publishing.open_model(folder)
    if isinstance(model, publishing.SavedModel):
        name, names, model = model.directory.name, model.class_names, model.model
    else:
        name, names = model.name, _classes(model.output_shape[-1], class_names)
    return name, models.compiled(model, batch_size=_BATCH), names


def _classes(outputs: int, class_names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of a network's classes, which are given or the usual ones."""
    outputs = max(2, outputs)  # one sigmoid output tells two classes apart
    names = tuple(EMOTIONS[:outputs] if class_names is None else class_names)
    if len(names) != outputs:
        raise ConfigurationError(
            f"{len(names)} class names for a network that tells {outputs} classes apart: expected "
            "as many"
        )
    return names

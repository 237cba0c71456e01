"""Export a published network, and check the file on the images that the network was scored on."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from emohelpers.datasets._base import SPLITS
from emohelpers.errors import ConfigurationError
from emohelpers.export._check import check
from emohelpers.export._files import check_format, file_name
from emohelpers.export._running import open_exported
from emohelpers.export._writing import write

__all__ = ["export"]

# Formats that compute as Keras does may differ by rounding alone: here by 2e-6.
_TOLERANCE = 1e-4


def export(
    network: str | Path,
    to: str,
    path: str | os.PathLike[str] | None = None,
    *,
    data: str | Path | None = None,
    images: int = 500,
    seed: int = 0,
    force: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Write a published network as a file that answers without Keras, and check it.

    Parameters
    ----------
    network : str or path
        The name of a published network, or the folder of one.
    to : str
        One of `FORMATS`.
    path : path, optional
        The file to write; without it, the network's name in the working directory (`file_name`).
    data : path, optional
        Where the network's own data set lies. Without it toy faces are taken, for the ranges of
        ``"litert-int8"`` as for the check.
    images : int
        How many training images set the ranges of ``"litert-int8"``.
    seed : int
        Of their draw.
    force : bool
        Whether to replace what is there.
    **options
        Of `emohelpers.publishing.SavedModel.load`.

    Returns
    -------
    dict
        ``file``; ``bytes``, with what lies beside it; ``on``, the images that the file was checked
        on; and what `check` returns.

    Raises
    ------
    ConfigurationError
        If `write` refuses it, or a probability differs by more than 1e-4 from the Keras network's
        in a format that does not round; then nothing is written.
    """
    from emohelpers import evaluation, models, publishing

    check_format(to)
    saved = publishing.open_model(models.saved_folder(network))
    name = saved.directory.resolve().name
    dataset = saved.recipe["dataset"] if data else "toyfaces"
    faces = saved.load(dataset, data, **options)
    known = faces.keep_classes([c for c in saved.class_names if c in faces.class_names])
    parts = evaluation.protocol(known)
    on = next((word for word in SPLITS["test"] if word in parts), list(parts)[-1])
    train = evaluation.training_rows(known)
    some = np.sort(np.random.default_rng(seed).permutation(len(train))[:images])
    place = Path(file_name(name, to) if path is None else path)
    result: dict[str, Any] = {"file": str(place), "on": f"{faces.name} {on}"}

    def approve(made: Path) -> None:
        files = made.parent.rglob("*")
        result["bytes"] = sum(file.stat().st_size for file in files if file.is_file())
        result.update(check(saved.model, open_exported(made), parts[on], saved.class_names))
        if to != "litert-int8" and result["largest"] > _TOLERANCE:
            raise ConfigurationError(
                f"{name} as {to}: a probability differs by {result['largest']:.2g} from that of "
                f"Keras: expected {_TOLERANCE:g} at most; nothing was written"
            )

    write(
        saved.model,
        place,
        to,
        name=name,
        class_names=saved.class_names,
        images=train.images[some],
        force=force,
        approve=approve,
    )
    return result

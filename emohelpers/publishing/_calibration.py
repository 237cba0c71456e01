"""How far a saved network's probabilities can be trusted, and the temperature that mends them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emohelpers.datasets import FaceDataset
from emohelpers.datasets._base import SPLITS
from emohelpers.errors import ConfigurationError
from emohelpers.publishing._files import CALIBRATION, write
from emohelpers.publishing._models import SavedModel

__all__ = ["calibration", "write_calibration"]


def calibration(saved: SavedModel, dataset: FaceDataset, *, views: int = 1) -> dict[str, Any]:
    """Fit a saved network's temperature on the validation split and score it on the test split.

    Parameters
    ----------
    saved : SavedModel
        The network.
    dataset : FaceDataset
        With both splits, as `SavedModel.load` returns it.
    views : int
        See `emohelpers.evaluation.predict`.

    Returns
    -------
    dict
        ``recipe``, ``dataset``, ``views``; ``fitted_on`` and ``scored_on``, the names of the
        splits; ``fitted_n``, the images of the first; and what
        `emohelpers.evaluation.calibration_scores` returns.

    Raises
    ------
    ConfigurationError
        If the data set has not both splits.
    """
    from emohelpers import evaluation

    parts = evaluation.protocol(dataset)
    names = [
        next((word for word in SPLITS[split] if word in parts), None)
        for split in ("validation", "test")
    ]
    if names[0] is None or names[1] is None:
        raise ConfigurationError(
            f"{dataset.name} has the parts {', '.join(parts)}: expected a validation split, to fit "
            "the temperature on, and a test split"
        )
    (fitted, said), (scored, shares) = (
        evaluation.restrict(
            parts[name],
            evaluation.predict(saved.model, parts[name].images, views=views),
            saved.class_names,
        )
        for name in names
        if name
    )
    temperature = evaluation.calibrate(fitted.labels, said)
    return {
        "recipe": saved.recipe["name"],
        "dataset": dataset.name,
        "views": views,
        "fitted_on": names[0],
        "fitted_n": len(fitted),
        "scored_on": names[1],
        **evaluation.calibration_scores(scored.labels, shares, temperature=temperature),
    }


def write_calibration(saved: SavedModel, result: Mapping[str, Any]) -> Path:
    """Write what `calibration` returned into the network's folder; return the file.

    `SavedModel.temperature` reads it.

    Raises
    ------
    ConfigurationError
        If it is of another number of views than 1, with which the network would answer otherwise,
        or of another data set than its own.
    """
    majority = "-majority" if saved.recipe.get("labels") == "majority" else ""
    own = saved.recipe["dataset"] + majority
    if result["views"] != 1 or result["dataset"] != own:
        raise ConfigurationError(
            f"a temperature of {result['dataset']}, {result['views']} views: expected one of {own} "
            "and 1 view, to be stored with the network"
        )
    path = saved.directory / CALIBRATION
    write(path, json.dumps(result, indent=1) + "\n")
    return path

"""The figures of a saved network, as files in its folder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError, MissingPathError
from emohelpers.publishing._files import read_json, write
from emohelpers.publishing._models import SavedModel

if TYPE_CHECKING:
    from emohelpers.fairness import Assessment

__all__ = [
    "best_epoch",
    "groups_file",
    "metrics",
    "metrics_file",
    "read_groups",
    "read_metrics",
    "write_metrics",
]


def best_epoch(directory: str | Path, *, monitor: str = "val_accuracy") -> dict[str, Any]:
    """Read from ``history.csv`` which epoch was the best.

    Parameters
    ----------
    directory : path
        A folder that a training left.
    monitor : str
        The column to choose by; the lowest of a loss, the highest of an accuracy.

    Returns
    -------
    dict
        ``epochs`` (how many there were), ``best_epoch`` (from 1), and its ``val_accuracy`` and
        ``val_loss``.

    Raises
    ------
    MissingPathError
        If there is no ``history.csv``.
    ConfigurationError
        If it can not be read, or has no epoch or not these columns.
    """
    path = Path(directory) / "history.csv"
    if not path.is_file():
        raise MissingPathError(f"no {path}: expected the history that 'emohelpers train' writes")
    try:
        history = pd.read_csv(path).sort_values(
            monitor, ascending=monitor.endswith("loss"), kind="stable"
        )
        row = history[["epoch", "val_accuracy", "val_loss"]].iloc[0]
    except (ValueError, KeyError, IndexError) as error:
        raise ConfigurationError(
            f"{path} is no history ({error}): expected a row for each epoch with the columns "
            f"epoch, val_accuracy, val_loss and {monitor}"
        ) from error
    return {
        "epochs": len(history),
        "best_epoch": int(row["epoch"]),
        "val_accuracy": float(row["val_accuracy"]),
        "val_loss": float(row["val_loss"]),
    }


def metrics(
    saved: SavedModel,
    dataset: FaceDataset,
    *,
    views: int = 1,
    crop: float = 0.0,
    by: Sequence[str] = (),
) -> dict[str, Any]:
    """Score a saved network on a data set: what ``metrics.json`` holds.

    Parameters
    ----------
    saved : SavedModel
        The network.
    dataset : FaceDataset
        In the network's size and colour, see `SavedModel.load`.
    views : int
        See `emohelpers.evaluation.predict`.
    crop : float
        What `SavedModel.load` was told, for the record.
    by : sequence of str
        Columns of the data set's table, and intersections such as ``"race+gender"``, by which the
        accuracy is assessed.

    Returns
    -------
    dict
        ``recipe``, ``dataset``, ``views``, ``crop``, ``parameters`` and ``scores``, which is what
        `emohelpers.evaluation.evaluate` returns; with `by` also ``groups``: for each part what
        `emohelpers.fairness.assess` found, as its ``to_dict`` writes it.

    Raises
    ------
    ConfigurationError
        If a column of `by` is not there, or holds no groups.
    """
    from emohelpers import evaluation

    if by:  # fairlearn takes seconds to import
        from emohelpers import fairness

        # Before the network answers: a misspelt name should not wait for that.
        fairness.check_features(dataset.table, len(dataset), by=by)
    parts = evaluation.predict_parts(
        saved.model, dataset, class_names=saved.class_names, views=views
    )
    result = {
        "recipe": saved.recipe["name"],
        "dataset": dataset.name,
        "views": views,
        "crop": crop,
        "parameters": saved.model.count_params(),
        "scores": evaluation.score_parts(parts),
    }
    if by:
        result["groups"] = {
            name: fairness.assess(
                faces.labels,
                shares.argmax(axis=1),
                faces.table,
                by=by,
                class_names=faces.class_names,
            ).to_dict()
            for name, (faces, shares) in parts.items()
        }
    return result


def metrics_file(saved: SavedModel, result: Mapping[str, Any]) -> Path:
    """Say where a result belongs.

    Parameters
    ----------
    saved : SavedModel
        The network.
    result : mapping
        What `metrics` returns.

    Returns
    -------
    Path
        ``metrics.json`` for the data set that the network was trained for, whole images and one
        view, otherwise a name that tells what differs.
    """
    majority = "-majority" if saved.recipe.get("labels") == "majority" else ""
    own = result["dataset"] == saved.recipe["dataset"] + majority
    source = "" if own else f"-{result['dataset']}"
    views = "" if result["views"] == 1 else f"-{result['views']}-views"
    crop = "-cropped" if result["crop"] else ""
    return saved.directory / f"metrics{source}{views}{crop}.json"


def groups_file(saved: SavedModel, result: Mapping[str, Any]) -> Path:
    """Say where what was found by group belongs: ``groups*.json``, beside `metrics_file`."""
    path = metrics_file(saved, result)
    return path.with_name(path.name.replace("metrics", "groups", 1))


def write_metrics(saved: SavedModel, result: Mapping[str, Any]) -> Path:
    """Write what `metrics` returned into the network's folder; return the file.

    What was found by group goes into `groups_file`, so that the metrics file is the same with it
    and without.
    """
    path = metrics_file(saved, result)
    if "groups" in result:
        found = {name: result[name] for name in result if name != "scores"}
        write(groups_file(saved, result), json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    kept = {name: result[name] for name in result if name != "groups"}
    write(path, json.dumps(kept, indent=1) + "\n")
    return path


def read_groups(path: str | Path) -> "dict[str, Assessment]":
    """Read a file of what was found by group, which `write_metrics` wrote.

    Parameters
    ----------
    path : path
        For instance ``saved_models/smile/groups.json``.

    Returns
    -------
    dict of str to emohelpers.fairness.Assessment
        By the name of the part.

    Raises
    ------
    MissingPathError
        If the file is not there.
    ConfigurationError
        If it is no JSON object, or holds no groups.
    """
    from emohelpers.fairness import Assessment

    path = Path(path)
    if not path.is_file():
        raise MissingPathError(
            f"no {path}: expected what 'emohelpers evaluate --by ... --write' made"
        )
    try:
        parts = read_json(path)["groups"].items()
        return {name: Assessment.from_dict(content) for name, content in parts}
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{path} holds no groups ({error}): expected what 'emohelpers evaluate --by' wrote"
        ) from error


def read_metrics(path: str | Path) -> dict[str, Any]:
    """Read a file that `write_metrics` wrote.

    Parameters
    ----------
    path : path
        For instance ``saved_models/fer-baseline/metrics.json``.

    Returns
    -------
    dict
        What `metrics` returned then.

    Raises
    ------
    MissingPathError
        If the file is not there.
    ConfigurationError
        If it is no JSON object, or has no scores.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingPathError(f"no {path}: expected what 'emohelpers evaluate --write' made")
    result = read_json(path)
    if not isinstance(result.get("scores"), dict):
        raise ConfigurationError(f"{path} has no scores: expected what 'emohelpers evaluate' wrote")
    return result

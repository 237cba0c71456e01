"""The figures of a saved network, as files in its folder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
    "predict_out_of_fold",
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
        ``epochs`` (how many there were), ``best_epoch`` (from 1; both are 0 where a last layer was
        fitted and nothing trained), and its ``val_accuracy`` and
        ``val_loss``. Of a network for each fold they are the median and the means over folds.

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
        if "fold" not in history:
            history["fold"] = 1
        firsts = history.groupby("fold")[["epoch", "val_accuracy", "val_loss"]].first()
        row = firsts.mean()
        row["epoch"] = firsts["epoch"].median()
        epochs = int(history["epoch"].max())
    except (ValueError, KeyError, IndexError) as error:
        raise ConfigurationError(
            f"{path} is no history ({error}): expected a row for each epoch with the columns "
            f"epoch, val_accuracy, val_loss and {monitor}"
        ) from error
    return {
        "epochs": epochs,
        "best_epoch": int(row["epoch"]),
        "val_accuracy": float(row["val_accuracy"]),
        "val_loss": float(row["val_loss"]),
    }


def metrics(
    saved: SavedModel,
    dataset: FaceDataset,
    *,
    views: int = 1,
    crop: float | None = None,
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
    crop : float, optional
        What `SavedModel.load` was told, for the record.
    by : sequence of str
        Columns of the data set's table, and intersections such as ``"race+gender"``, by which the
        accuracy is assessed.

    Returns
    -------
    dict
        ``recipe``, ``dataset``, ``views``, ``crop``, ``parameters`` and ``scores``, which is what
        `emohelpers.evaluation.evaluate` returns; with `by` also ``groups``: for each part what
        `emohelpers.fairness.assess` found, as its ``to_dict`` writes it. Where a network is the
        average of one for each fold, and the data set is the one that they were trained on, the
        only part is ``out-of-fold``: each image is scored by the network that has not seen the
        person.

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
    parts = (
        {"out-of-fold": _out_of_fold(saved, dataset, views=views)}
        if saved.recipe.get("each_fold") and "fold" in dataset.table
        else evaluation.predict_parts(
            saved.model, dataset, class_names=saved.class_names, views=views
        )
    )
    result = {
        "recipe": saved.recipe["name"],
        "dataset": dataset.name,
        "views": views,
        "crop": saved.own_crop(dataset.name) if crop is None else crop,
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


def _out_of_fold(
    saved: SavedModel, dataset: FaceDataset, *, views: int
) -> tuple[FaceDataset, NDArray[np.float32]]:
    from emohelpers import evaluation

    known = dataset.keep_classes(
        [name for name in saved.class_names if name in dataset.class_names]
    )
    probabilities = predict_out_of_fold(saved, known, views=views)
    return evaluation.restrict(known, probabilities, saved.class_names)


def predict_out_of_fold(
    saved: SavedModel, dataset: FaceDataset, *, views: int = 1
) -> NDArray[np.float32]:
    """Ask of the networks for each fold, for each image, the one that has not seen the person.

    Parameters
    ----------
    saved : SavedModel
        Trained by a recipe with ``each_fold``.
    dataset : FaceDataset
        The data set of its training, as `SavedModel.load` returns it, or some of its images.
    views : int
        See `emohelpers.evaluation.predict`.

    Returns
    -------
    ndarray of float32, shape (n, n_classes)
        In 0..1, rows sum to 1.

    Raises
    ------
    ConfigurationError
        If the network is none for each fold, or the data set does not tell folds.
    """
    from emohelpers import evaluation, models

    if not saved.recipe.get("each_fold") or "fold" not in dataset.table:
        raise ConfigurationError(
            f"{saved.directory} and {dataset.name}: expected a network trained for each fold, and "
            "the data that its load() returns"
        )
    probabilities = np.zeros((len(dataset), len(saved.class_names)), np.float32)
    for fold in range(1, saved.recipe["folds"] + 1):
        rows = np.flatnonzero(dataset.table["fold"].eq(fold))
        member = models.member(saved.model, fold)
        if len(rows):
            images = dataset.select(rows).images
            probabilities[rows] = evaluation.predict(member, images, views=views)
    return probabilities


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
        ``metrics.json`` for the data set that the network was trained for, its own crop and one
        view, otherwise a name that tells what differs.
    """
    majority = "-majority" if saved.recipe.get("labels") == "majority" else ""
    crop = "-cropped" if result["crop"] != saved.own_crop(result["dataset"]) else ""
    own = result["dataset"] == saved.recipe["dataset"] + majority
    source = "" if own else f"-{result['dataset']}"
    views = "" if result["views"] == 1 else f"-{result['views']}-views"
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

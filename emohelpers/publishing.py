"""Folders of trained networks: the network, what it was trained as, and its figures."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from emohelpers.datasets import FaceDataset, load
from emohelpers.errors import ConfigurationError, MissingPathError

__all__ = [
    "SavedModel",
    "best_epoch",
    "metrics",
    "metrics_file",
    "open_model",
    "renew_table",
    "results_table",
    "save",
    "write_metrics",
]


@dataclass(frozen=True)
class SavedModel:
    """A trained network and what it was trained as.

    Parameters
    ----------
    model : keras.Model
        Takes pixels in 0..255.
    recipe : mapping
        What ``recipe.json`` holds: the fields of the `emohelpers.recipes.Recipe` and the seed.
    directory : Path
        Where it lies.
    """

    model: Any
    recipe: Mapping[str, Any]
    directory: Path

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of the network's outputs."""
        return tuple(self.recipe["emotions"])

    def load(self, dataset: str, path: str | Path | None = None, **options: Any) -> FaceDataset:
        """Load a data set in the size and colour that the network takes.

        Parameters
        ----------
        dataset : str
            As in `emohelpers.datasets.load`.
        path : path, optional
            Where the source lies.
        **options
            Further arguments of the loader.

        Returns
        -------
        FaceDataset
            The images fit the network.
        """
        height, width, channels = self.model.input_shape[1:]
        return load(dataset, path, size=(height, width), color=channels == 3, **options)


def save(model: Any, recipe: Mapping[str, Any], *, directory: str | Path) -> SavedModel:
    """Write a network and its recipe into a folder that `open_model` opens.

    Parameters
    ----------
    model : keras.Model
        Written without its optimiser.
    recipe : mapping
        Goes into ``recipe.json``; names the classes in ``emotions``.
    directory : path
        Files of an earlier training in it are replaced, each as a whole.

    Returns
    -------
    SavedModel
        The same network.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / "recipe.json", json.dumps(recipe, indent=2) + "\n")
    temporary = directory / "model.tmp.keras"
    model.save(temporary, include_optimizer=False)
    temporary.replace(directory / "model.keras")
    return SavedModel(model, recipe, directory)


def open_model(directory: str | Path) -> SavedModel:
    """Open a folder that a training left, for instance one of ``saved_models/``.

    Parameters
    ----------
    directory : path
        Holds ``model.keras`` and ``recipe.json``.

    Returns
    -------
    SavedModel
        Loaded in Keras's safe mode, which runs no code from the file.

    Raises
    ------
    MissingPathError
        If one of the two files is not there.
    ConfigurationError
        If one of them can not be read, or they do not belong together.
    """
    import keras

    # Registers the package's own layers, which a saved network may hold.
    import emohelpers.augmentation  # noqa: F401

    directory = Path(directory)
    for name in ("model.keras", "recipe.json"):
        if not (directory / name).is_file():
            raise MissingPathError(
                f"no {name} in {directory}: expected a folder that 'emohelpers train' wrote"
            )
    recipe = _read_json(directory / "recipe.json", needs="emotions")
    try:
        model = keras.saving.load_model(directory / "model.keras", compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds for a damaged file
        raise ConfigurationError(
            f"{directory / 'model.keras'} can not be loaded as a Keras network: {error}"
        ) from error
    outputs, emotions = int(model.output_shape[-1]), len(recipe["emotions"])
    if outputs != emotions and (outputs, emotions) != (1, 2):
        raise ConfigurationError(
            f"{directory}: the network has {outputs} outputs and recipe.json names {emotions} "
            "emotions: expected as many"
        )
    return SavedModel(model, recipe, directory)


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
    """
    history = pd.read_csv(Path(directory) / "history.csv")
    row = history.sort_values(monitor, ascending=monitor.endswith("loss"), kind="stable").iloc[0]
    return {
        "epochs": len(history),
        "best_epoch": int(row["epoch"]),
        "val_accuracy": float(row["val_accuracy"]),
        "val_loss": float(row["val_loss"]),
    }


def metrics(saved: SavedModel, dataset: FaceDataset, *, views: int = 1) -> dict[str, Any]:
    """Score a saved network on a data set: what ``metrics.json`` holds.

    Parameters
    ----------
    saved : SavedModel
        The network.
    dataset : FaceDataset
        In the network's size and colour, see `SavedModel.load`.
    views : int
        See `emohelpers.evaluation.predict`.

    Returns
    -------
    dict
        ``recipe``, ``dataset``, ``views``, ``parameters`` and ``scores``, which is what
        `emohelpers.evaluation.evaluate` returns.
    """
    from emohelpers import evaluation

    return {
        "recipe": saved.recipe["name"],
        "dataset": dataset.name,
        "views": views,
        "parameters": saved.model.count_params(),
        "scores": evaluation.evaluate(
            saved.model, dataset, class_names=saved.class_names, views=views
        ),
    }


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
        ``metrics.json`` for the data set that the network was trained for and one view, otherwise
        a name that tells the data set and the views.
    """
    own = result["dataset"] == saved.recipe["dataset"]
    source = "" if own else f"-{result['dataset']}"
    views = "" if result["views"] == 1 else f"-{result['views']}-views"
    return saved.directory / f"metrics{source}{views}.json"


def write_metrics(saved: SavedModel, result: Mapping[str, Any]) -> Path:
    """Write what `metrics` returned into the network's folder; return the file."""
    path = metrics_file(saved, result)
    _write(path, json.dumps(result, indent=1) + "\n")
    return path


_PUBLISHED_PARTS = ("PrivateTest", "PrivateTest-no-leaks", "test", "agreed", "all")


def results_table(folders: Sequence[str | Path]) -> pd.DataFrame:
    """Collect the figures of published networks from their metrics files.

    Parameters
    ----------
    folders : sequence of path
        Each holds ``metrics*.json`` and ``recipe.json``.

    Returns
    -------
    DataFrame
        A row for each network, data set and part that is for testing: ``network``,
        ``parameters``, ``data``, ``images``, ``views``, then ``accuracy`` and ``macro F1`` with
        their 95% intervals, and ``authors``, the figure that the system's authors reached.

    Raises
    ------
    MissingPathError
        If a folder has no metrics file.
    ConfigurationError
        If one can not be read.
    """
    rows = []
    for folder in map(Path, folders):
        files = sorted(folder.glob("metrics*.json"), key=lambda path: (len(path.name), path.name))
        if not files:
            raise MissingPathError(
                f"no metrics.json in {folder}: expected one that 'emohelpers evaluate --write' made"
            )
        reported = _read_json(folder / "recipe.json", needs="emotions").get("reported", {})
        for path in files:
            result = _read_json(path, needs="scores")
            for part in _PUBLISHED_PARTS:
                if part in result["scores"]:
                    rows.append(_row(result, part, reported))
    return pd.DataFrame(rows)


def _row(
    result: Mapping[str, Any], part: str, reported: Mapping[str, float]
) -> dict[str, str | int]:
    score = result["scores"][part]
    classes = score["class_names"]
    source = f"{result['dataset']} {part}"
    authors = [f"{name.replace('_', ' ')} {value:.2f}" for name, value in reported.items()]
    comparable = part in ("PrivateTest", "test") and authors
    return {
        "network": result["recipe"],
        "parameters": f"{result['parameters']:,}",
        "data": source if len(classes) > 2 else f"{source}, {' or '.join(classes)}",
        "images": f"{score['n']:,}",
        "views": result["views"],
        "accuracy": _with_interval(score["accuracy"]),
        "macro F1": _with_interval(score["macro_f1"]),
        "its authors": ", ".join(authors) if comparable else "",
    }


def _with_interval(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


_MARKERS = ("<!-- results: begin -->", "<!-- results: end -->")


def renew_table(path: str | Path, table: pd.DataFrame) -> bool:
    """Put a table into a Markdown file, between the lines that mark its place.

    Parameters
    ----------
    path : path
        Holds a line ``<!-- results: begin -->`` and, after it, one ``<!-- results: end -->``.
    table : DataFrame
        What `results_table` returns.

    Returns
    -------
    bool
        Whether the file changed.

    Raises
    ------
    MissingPathError
        If the file is not there.
    ConfigurationError
        If it does not have the two lines.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingPathError(f"no file {path}: expected a Markdown file with a results table")
    text = path.read_text(encoding="utf-8")
    begin, end = map(re.escape, _MARKERS)
    place = re.search(f"(?<={begin}\n).*?(?={end})", text, flags=re.DOTALL)
    if place is None:
        raise ConfigurationError(f"{path}: expected the lines {_MARKERS[0]} and {_MARKERS[1]}")
    new = text[: place.start()] + markdown(table) + "\n" + text[place.end() :]
    if new != text:
        _write(path, new)
    return new != text


def markdown(table: pd.DataFrame) -> str:
    """Return a table of strings and numbers in Markdown, without its index."""
    lines = [list(map(str, table.columns)), ["---"] * table.shape[1]]
    lines += [[str(cell) for cell in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _read_json(path: Path, *, needs: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} can not be read as JSON: {error}") from error
    if not isinstance(content, dict) or needs not in content:
        raise ConfigurationError(f"{path}: expected a JSON object with {needs!r}")
    return content


def _write(path: Path, text: str) -> None:
    """Write a text file beside its place and move it there."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)

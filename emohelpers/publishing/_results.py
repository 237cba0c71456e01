"""The results table of published networks, and its place in a Markdown file."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from emohelpers.errors import ConfigurationError, MissingPathError
from emohelpers.evaluation import markdown
from emohelpers.publishing._files import CALIBRATION, read_json, read_recipe, write

__all__ = [
    "markdown",
    "recipes_table",
    "renew_table",
    "results_table",
    "temperatures_table",
]

_PUBLISHED_PARTS = (
    "PrivateTest",
    "PrivateTest-no-leaks",
    "test",
    "out-of-fold",
    "agreed",
    "agreed-test",
    "all",
    "all-test",
)


# How the commands in a table name what a user has.
_EXAMPLES = {
    "fer2013": "fer2013.csv",
    "utkface": "UTKFace",
    "facial_expressions": "facial_expressions",
}


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
        their 95% intervals, and ``its authors``, the figure that the system's authors reached.

    Raises
    ------
    MissingPathError
        If there is no folder, or one has no metrics file.
    ConfigurationError
        If one can not be read, or lacks a figure.
    """
    if not folders:
        raise MissingPathError(
            "no folder with a metrics.json: expected one that 'emohelpers evaluate --write' made"
        )
    rows = []
    for folder in map(Path, folders):
        files = sorted(folder.glob("metrics*.json"), key=lambda path: (len(path.name), path.name))
        if not files:
            raise MissingPathError(
                f"no metrics.json in {folder}: expected one that 'emohelpers evaluate --write' made"
            )
        recipe = read_recipe(folder)
        for path in files:
            result = read_json(path)
            try:
                parts = [part for part in _PUBLISHED_PARTS if part in result["scores"]]
                rows += [_row(result, part, recipe) for part in parts]
            except (KeyError, TypeError, AttributeError) as error:
                raise ConfigurationError(
                    f"{path} lacks a figure ({error}): expected what 'emohelpers evaluate --write' "
                    "made"
                ) from error
    return pd.DataFrame(rows)


def _row(result: Mapping[str, Any], part: str, recipe: Mapping[str, Any]) -> dict[str, str | int]:
    score = result["scores"][part]
    classes = score["class_names"]
    source = f"{result['dataset']} {part}"
    if result["crop"]:
        source += f", about {result['crop']:.0%} cut off at each edge"
    # The authors scored their own data set, and knew nothing of leaks.
    own = result["dataset"] == recipe["dataset"]
    comparable = own and part in ("PrivateTest", "test", "out-of-fold", "agreed")
    authors = [f"{_words(name)} {value:.2f}" for name, value in recipe.get("reported", {}).items()]
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


def temperatures_table(folders: Sequence[str | Path]) -> pd.DataFrame:
    """Collect how sure published networks are, before and after their temperature.

    Parameters
    ----------
    folders : sequence of path
        Each holds the ``calibration.json`` that `write_calibration` writes.

    Returns
    -------
    DataFrame
        A row for each network: ``network``; ``temperature``, which divides the logits; ``data``
        and ``images``, on which the rest is measured, other than those that the temperature was
        fitted to; ``ECE``, ``ECE after``, ``Brier`` and ``Brier after``: the expected calibration
        error and the Brier score without and with the temperature, with their 95% intervals.

    Raises
    ------
    MissingPathError
        If there is no folder, or one has no such file.
    ConfigurationError
        If one can not be read, or lacks a figure.
    """
    rows = []
    for path in (Path(folder) / CALIBRATION for folder in folders):
        if not path.is_file():
            raise MissingPathError(f"no {path}: expected what 'emohelpers calibrate --write' made")
        result = read_json(path)
        try:
            row = {
                "network": result["recipe"],
                "temperature": f"{result['temperature']:.2f}",
                "data": f"{result['dataset']} {result['scored_on']}",
                "images": f"{result['n']:,}",
            }
            for figure, words in (("ece", "ECE"), ("brier", "Brier")):
                row[words] = _with_interval(result["before"][figure])
                row[f"{words} after"] = _with_interval(result["after"][figure])
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"{path} lacks a figure ({error}): expected what 'emohelpers calibrate --write' "
                "made"
            ) from error
        rows.append(row)
    if not rows:
        raise MissingPathError(
            f"no folder with a {CALIBRATION}: expected one that 'emohelpers calibrate --write' made"
        )
    return pd.DataFrame(rows)


def recipes_table(home: str | Path, recipes: Mapping[str, Any]) -> pd.DataFrame:
    """Set what the authors of each recipe reported beside what this project reached.

    Parameters
    ----------
    home : path
        Holds a folder for each published network, named as its recipe; called ``saved_models`` in
        links.
    recipes : mapping of str to emohelpers.recipes.Recipe
        By name.

    Returns
    -------
    DataFrame
        A row for each recipe: ``recipe``; ``theirs``; ``ours``, the same figures of the published
        network with one view, with their 95% intervals, or where it is said why there are none;
        ``on``, the data and part that ours are of; ``command``, which trains it.

    Raises
    ------
    ConfigurationError
        If a metrics file can not be read, or lacks a figure.
    """
    rows = []
    for name, recipe in recipes.items():
        path = Path(home) / name / "metrics.json"
        ours, on = "not published", ""
        if path.is_file():
            result = read_json(path)
            try:
                part = next(part for part in _PUBLISHED_PARTS if part in result["scores"])
                score = result["scores"][part]
                wanted = recipe.reported or ("accuracy", "balanced_accuracy")
                ours = ", ".join(_figure(key, score) for key in wanted)
                on = f"{result['dataset']} {part}, {score['n']:,} images"
            except (KeyError, TypeError, AttributeError, StopIteration) as error:
                raise ConfigurationError(
                    f"{path} lacks a figure ({error!r}): expected what 'emohelpers evaluate "
                    "--write' made"
                ) from error
        elif (path.parent / "MODEL_CARD.md").is_file():
            ours = f"[its card](saved_models/{name}/MODEL_CARD.md) says how far it got"
        options = "" if recipe.dataset == "toyfaces" else f" --data {_EXAMPLES[recipe.dataset]}"
        options += " --votes fer2013new.csv" if recipe.votes or recipe.labels != "source" else ""
        options += " --labels labels.csv" if recipe.training_list else ""
        theirs = ", ".join(f"{_words(key)} {value:g}" for key, value in recipe.reported.items())
        command = f"`emohelpers train {name}{options}`"
        rows.append((name, theirs, ours, on, command))
    return pd.DataFrame(rows, columns=["recipe", "theirs", "ours", "on", "command"])


def _words(key: str) -> str:
    return key.replace("_", " ").replace("f1", "F1")


def _figure(key: str, score: Mapping[str, Any]) -> str:
    """Write the figure of ours that corresponds to one that authors reported."""
    name = {"f1": "macro_f1"}.get(key, key)
    if name in score:
        return f"{_words(name)} {_with_interval(score[name])}"
    emotion = key.partition("_")[0]
    return f"{emotion} recall {_with_interval(score['per_class'][emotion]['recall'])}"


def renew_table(path: str | Path, table: pd.DataFrame, *, name: str = "results") -> bool:
    """Put a table into a Markdown file, between the lines that mark its place.

    Parameters
    ----------
    path : path
        Holds a line ``<!-- results: begin -->`` and, after it, one ``<!-- results: end -->``.
    table : DataFrame
        What `results_table` returns, or `recipes_table`.
    name : str
        What stands in these lines, in place of ``results``.

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
    # Bytes, not text mode, which would turn every line end of the file into this system's own.
    text = path.read_bytes().decode("utf-8")
    markers = (f"<!-- {name}: begin -->", f"<!-- {name}: end -->")
    begin, end = map(re.escape, markers)
    place = re.search(f"(?<={begin})(\r?\n).*?(?={end})", text, flags=re.DOTALL)
    if place is None:
        raise ConfigurationError(f"{path}: expected the lines {markers[0]} and {markers[1]}")
    line_end = place[1]
    lines = ["", *markdown(table).split("\n"), ""]
    new = text[: place.start()] + line_end.join(lines) + text[place.end() :]
    if new != text:
        write(path, new)
    return new != text

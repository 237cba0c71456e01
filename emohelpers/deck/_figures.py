"""What each exported figure shows, and the list of them."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from emohelpers import evaluation, publishing
from emohelpers.errors import ConfigurationError, MissingPathError

__all__ = ["Figure", "index", "read_figures"]

LONGEST = {"title": 60, "finding": 140, "command": 140}
_NEEDED = {"title", "finding"}
_ENTRY = 'title = "..." and finding = "...", one line of text each'
_FIGURES = ("accuracy", "balanced accuracy", "macro F1")
_CLASS_FIGURES = ("precision", "recall", "F1")


@dataclass(frozen=True)
class Figure:
    """An exported figure, and what is to be said of it."""

    name: str
    """As `emohelpers.plots.save` was told: the number of its notebook, then what it shows."""
    title: str
    """What is shown."""
    finding: str
    """What to take away, in one line."""
    notebook: str
    """The file name of the notebook that exports it."""
    command: str
    """What makes it anew, in the root of the repository."""


def read_figures(
    directory: str | Path,
    *,
    notebooks: str | Path | None = None,
    saved_models: str | Path | None = None,
) -> tuple[Figure, ...]:
    """Read what the figures of a folder show, from its ``figures.toml``.

    Each PNG needs an entry there, and each entry a PNG. An entry has a ``title`` and a ``finding``,
    and a ``command`` where no notebook makes the figure. A number in a finding is not typed but
    named, as in ``{fer-compact: PrivateTest accuracy}``, and read from the network's metrics file;
    after the part stands ``accuracy``, ``balanced accuracy``, ``macro F1`` or, of one class, as
    in ``fear recall``, its ``precision``, ``recall`` or ``F1``.

    Parameters
    ----------
    directory : path
        For instance ``presentation_images``.
    notebooks, saved_models : path, optional
        Where notebooks and published networks lie: beside the folder, unless given.

    Returns
    -------
    tuple of Figure
        By notebook, and within one in the order of ``figures.toml``.

    Raises
    ------
    MissingPathError
        If the folder or its ``figures.toml`` is not there.
    ConfigurationError
        If ``figures.toml`` can not be read, an entry is not as it should be, or entries, pictures
        and notebooks do not match.
    """
    directory = Path(directory)
    home = directory.resolve().parent
    networks = Path(saved_models) if saved_models else home / "saved_models"
    path = directory / "figures.toml"
    entries = _read_entries(path)
    _check_pictures(directory, list(entries))
    by_number = _notebooks_by_number(Path(notebooks) if notebooks else home / "notebooks")
    figures = []
    for name, entry in entries.items():
        where = f"{path}, [{name}]"
        lines = _read_lines(entry, where, networks)
        notebook = by_number.get(name[:2])
        if notebook is None or name[2:3] != "_":
            raise ConfigurationError(
                f"{where}: no notebook has this number: expected a name that begins as one of "
                f"{', '.join(f'{number}_' for number in by_number)}"
            )
        command = lines.get(
            "command",
            f"python tools/run_notebooks.py --only {name[:2]} --figures presentation_images",
        )
        figures.append(Figure(name, lines["title"], lines["finding"], notebook, command))
    return tuple(sorted(figures, key=lambda figure: figure.name[:2]))


def _read_entries(path: Path) -> dict[str, Any]:
    if not path.parent.is_dir():
        raise MissingPathError(
            f"no folder {path.parent}: expected one with figures and a figures.toml, such as "
            "presentation_images"
        )
    if not path.is_file():
        raise MissingPathError(f"no {path}: expected a table for each figure, with {_ENTRY}")
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except ValueError as error:  # that of TOML and that of UTF-8 are both of this kind
        raise ConfigurationError(f"{path} can not be read as TOML: {error}") from error


def _check_pictures(directory: Path, names: list[str]) -> None:
    """See to it that entries and PNG files are the same."""
    found = {path.stem for path in directory.glob("*.png")}
    without_entry, without_picture = sorted(found.difference(names)), set(names).difference(found)
    if without_entry:
        raise ConfigurationError(
            f"{directory / 'figures.toml'} does not describe {', '.join(without_entry)}: expected "
            f"a table [{without_entry[0]}] with {_ENTRY}"
        )
    if without_picture:
        raise ConfigurationError(
            f"{directory / 'figures.toml'} describes {', '.join(sorted(without_picture))}, and "
            f"there is no {directory / min(without_picture)}.png: expected a figure for each entry"
        )


def _notebooks_by_number(folder: Path) -> dict[str, str]:
    names = sorted(path.name for path in folder.glob("[0-9][0-9]_*.ipynb"))
    if not names:
        raise MissingPathError(f"no notebook NN_*.ipynb in {folder}: expected those of the course")
    return {name[:2]: name for name in names}


def _read_lines(entry: Any, where: str, networks: Path) -> dict[str, str]:
    """Check an entry, and put in the numbers that its lines name."""
    if not isinstance(entry, dict) or set(entry) - {"command"} != _NEEDED:
        held = ", ".join(entry) if isinstance(entry, dict) and entry else "nothing of the kind"
        raise ConfigurationError(f"{where} holds {held}: expected {_ENTRY}, and nothing else")
    lines = {}
    for key, text in entry.items():
        longest = LONGEST[key]
        if not isinstance(text, str) or not text.strip() or len(text.splitlines()) != 1:
            raise ConfigurationError(f"{where}: {key} is {text!r}: expected one line of text")
        text = _with_figures(text, f"{where}: {key}", networks)
        if len(text) > longest:
            raise ConfigurationError(
                f"{where}: {key} has {len(text)} characters: expected at most {longest}, to be "
                "read from the back row"
            )
        lines[key] = text
    return lines


def _with_figures(text: str, where: str, networks: Path) -> str:
    """Put figures in where a text names them in braces."""
    pieces = re.split(r"{([^{}]*)}", text)
    if any("{" in piece or "}" in piece for piece in pieces[::2]):
        raise ConfigurationError(
            f"{where} has a brace without its partner: expected {{NETWORK: PART FIGURE}}"
        )
    pieces[1::2] = [_named_figure(named, where, networks) for named in pieces[1::2]]
    return "".join(pieces)


def _named_figure(named: str, where: str, networks: Path) -> str:
    """Look up a figure such as ``fer-compact: PrivateTest accuracy``, with its interval."""
    match = re.fullmatch(r"([\w-]+): ([\w-]+) (\w+(?: \w+)?)", named)
    if match is None:
        raise ConfigurationError(
            f"{where} names {{{named}}}: expected {{NETWORK: PART FIGURE}}, such as "
            "{fer-compact: PrivateTest accuracy}"
        )
    network, part, figure = match.groups()
    path = networks / network / "metrics.json"
    if not path.is_file():
        raise ConfigurationError(
            f"{where} names {{{named}}}, and there is no {path}: expected a published network"
        )
    scores = publishing.read_metrics(path)["scores"]
    if part not in scores:
        raise ConfigurationError(
            f"{where} names {{{named}}}: {path} has no part {part}: expected one of "
            f"{', '.join(scores)}"
        )
    score = scores[part]
    group, _, last = figure.rpartition(" ")
    known = score
    if figure not in _FIGURES and last in _CLASS_FIGURES:
        known, figure = score.get("per_class", {}).get(group, {}), last
    found = known.get(figure.replace(" ", "_").lower()) if known else None
    if not isinstance(found, dict) or not {"value", "low", "high"} <= set(found):
        raise ConfigurationError(
            f"{where} names {{{named}}}: {path} has no such figure of {part}: expected one of "
            f"{', '.join(_FIGURES)}, or a class ({', '.join(score.get('class_names', ()))}) and "
            f"its {', '.join(_CLASS_FIGURES)}"
        )
    row = {"figure": found["value"], "figure_low": found["low"], "figure_high": found["high"]}
    return str(evaluation.interval_text(pd.DataFrame([row]))["figure"].iloc[0])


def index(figures: tuple[Figure, ...]) -> pd.DataFrame:
    """List figures as the table of ``presentation_images/README.md``.

    Parameters
    ----------
    figures : tuple of Figure
        What `read_figures` returns.

    Returns
    -------
    DataFrame
        A row for each: ``figure`` and ``notebook`` are links, ``title``, ``finding``, ``command``.
        `emohelpers.publishing.markdown` and `emohelpers.publishing.renew_table` take it.

    Examples
    --------
    >>> figure = Figure("01_faces", "Faces", "They differ.", "01_eda.ipynb", "make figures")
    >>> list(index((figure,)).loc[0, ["figure", "notebook"]])
    ['[01_faces](01_faces.png)', '[01_eda](../notebooks/01_eda.ipynb)']
    """
    rows = []
    for figure in figures:
        notebook = figure.notebook.removesuffix(".ipynb")
        rows.append(
            {
                "figure": f"[{figure.name}]({figure.name}.png)",
                "title": figure.title.replace("|", r"\|"),
                "finding": figure.finding.replace("|", r"\|"),
                "notebook": f"[{notebook}](../notebooks/{figure.notebook})",
                "command": f"`{figure.command}`",
            }
        )
    return pd.DataFrame(rows, columns=["figure", "title", "finding", "notebook", "command"])

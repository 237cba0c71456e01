"""What the slides say besides the figures: of notebooks, published networks and limits."""

import json
import re
from pathlib import Path

import pandas as pd

from emohelpers import publishing
from emohelpers.errors import ConfigurationError, MissingPathError

__all__ = ["limits", "notebook_heading", "reported_table", "results_table"]

_LIMITS = "## What reading emotions from faces can not do"


def notebook_heading(path: Path) -> tuple[str, str]:
    """Return the title of a notebook and the sentences beneath it, from its first cell."""
    try:
        first = json.loads(path.read_bytes())["cells"][0]
        text = "".join(first["source"])
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ConfigurationError(f"{path} can not be read as a notebook: {error!r}") from error
    title, _, rest = text.partition("\n")
    if first.get("cell_type") != "markdown" or not title.startswith("# "):
        raise ConfigurationError(
            f"{path}: the first cell begins with {title!r}: expected '# ' and a title"
        )
    return _plain(title.removeprefix("# ")), _plain(rest)


def results_table(saved_models: Path) -> pd.DataFrame:
    """Return a row for each published network: one view, on the data that it is for."""
    folders = sorted({path.parent for path in saved_models.glob("*/metrics*.json")})
    table = publishing.results_table(folders)
    table = table[table["views"] == 1].drop_duplicates("network")
    return table[["network", "parameters", "data", "images", "accuracy", "macro F1"]]


def reported_table(saved_models: Path) -> pd.DataFrame:
    """Return what authors reported beside what was reached here, where there are both."""
    from emohelpers.recipes import RECIPES

    table = publishing.recipes_table(saved_models, RECIPES)
    table = table[(table["theirs"] != "") & (table["on"] != "")]
    return table[["recipe", "theirs", "ours", "on"]]


def limits(readme: Path) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the heading of the README's section on limits, and the lead and rest of each item."""
    if not readme.is_file():
        raise MissingPathError(f"no {readme}: expected the README with the section {_LIMITS!r}")
    text = readme.read_bytes().decode("utf-8").replace("\r\n", "\n")
    section = re.search(rf"^{re.escape(_LIMITS)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    items = re.findall(
        r"^- (.*?)(?=^- |^$|\Z)", section[1] if section else "", re.DOTALL | re.MULTILINE
    )
    if not items:
        raise ConfigurationError(
            f"{readme} has no list under {_LIMITS!r}: expected that heading, then lines with '- '"
        )
    split = [re.fullmatch(r"(?:\*\*(.*?)\*\*)?(.*)", " ".join(item.split())) for item in items]
    found = [(_plain(match[1] or ""), _plain(match[2])) for match in split if match]
    return _LIMITS.removeprefix("## "), tuple(found)


def _plain(text: str) -> str:
    """Take the marks of Markdown out of a text, and its line ends."""
    return re.sub(r"\*\*|[*`]", "", " ".join(text.split()))

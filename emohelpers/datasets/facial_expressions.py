"""The facial_expressions set: images beside a legend of one label a row.

Its page is https://github.com/muxspace/facial_expressions.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import pandas as pd

from emohelpers.datasets._archives import Source, open_source
from emohelpers.datasets._base import EMOTIONS, FaceDataset, fold_label
from emohelpers.datasets._cache import Built, ImageWriter, open_dataset
from emohelpers.datasets._duplicates import mark_duplicates
from emohelpers.datasets._fingerprints import fingerprint
from emohelpers.datasets._images import IMAGE_SUFFIXES
from emohelpers.datasets._ingest import Faults, missing_splits, write_images
from emohelpers.datasets._tables import parse_table
from emohelpers.errors import LabelError, MissingPathError, TableError

__all__ = ["LEGEND", "Legend", "load", "parse_legend", "person_of"]

_VERSION = 3
_SIZE = (180, 180)
LEGEND = "legend.csv"
_LAYOUT = f"images/ and data/{LEGEND}"


def load(
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    color: bool | None = None,
    cache: str | os.PathLike[str] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    legend: str | None = None,
) -> FaceDataset:
    """Load facial_expressions: an image and a label for each row of its legend.

    Parameters
    ----------
    path : path-like
        The folder or archive that holds ``images/`` and ``data/legend.csv``; or one of its CSV
        files in such a folder, which is then the legend.
    size : (int, int), optional
        Height and width in pixels, to which all images are resized, whatever their proportions;
        None for 180x180 (most originals are 350x350).
    color : bool, optional
        True for red, green and blue; None and False for grey, as most images are.
    cache : path-like, optional
        The folder of all caches; None for the user's own.
    on_error : {"raise", "skip"}
        Whether a damaged image or a bad row of the legend is an error or is left out and listed in
        ``skipped``.
    legend : str, optional
        The name of the CSV to read, with or without a header: ``"legend.csv"`` by default,
        ``"500_picts_satz.csv"`` for the smaller one.

    Returns
    -------
    FaceDataset
        An image for each row of the legend, in the order of the source's images; an image that the
        legend names twice stands there twice, one below the other, with ``duplicate_of`` set. What
        the legend does not name is left out. ``notes`` counts both. The classes are `EMOTIONS`;
        the table has ``split`` (missing), ``file``, ``row`` (of the legend, its first line being
        row 1), ``user`` (who gave the label), ``person`` (see `person_of`), ``source_label`` (the
        label as it is written), ``duplicate_of`` (the position of the first image with the same
        pixels) and ``leaks``. Many images are of the same person: divide them with
        ``assign_splits(by="person")``.

    Raises
    ------
    MissingPathError
        If nothing is at `path`, or it has no images, no such legend or no image for a row of it.
    TableError
        If the legend is empty, lacks a column or has a broken row.
    LabelError
        If a label is not known.
    ArchiveError, ImageError
        If the archive or an image is damaged.
    CacheError
        If the cache can not be written.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     root = Path(folder) / "facial_expressions"
    ...     (root / "images").mkdir(parents=True)
    ...     (root / "data").mkdir()
    ...     Image.new("L", (350, 350)).save(root / "images/Ann_Lee_0001.jpg")
    ...     csv = "user.id,image,emotion" + chr(10) + "302,Ann_Lee_0001.jpg,HAPPINESS"
    ...     _ = (root / "data/legend.csv").write_text(csv)
    ...     faces = load(root, size=(48, 48), cache=Path(folder) / "cache")
    >>> faces.table.loc[0, "person"], faces.class_names[faces.labels[0]], faces.images.shape
    ('Ann_Lee', 'happiness', (1, 48, 48, 1))
    """
    root, legend = _root_and_legend(Path(path).expanduser(), legend)
    key = {
        "name": "facial_expressions",
        "source": fingerprint(root, cache=cache),
        "legend": legend,
        "size": size,
        "color": color,
        "on_error": on_error,
        "version": _VERSION,
    }

    def build(writer: ImageWriter) -> Built:
        with open_source(root) as source:
            faults = Faults(on_error)
            data, name = _read_legend(source, legend)
            rows = parse_legend(data, name, faults)
            by_image = _by_image(source, rows, name, faults)
            return _build(source, by_image, writer, faults, size=size or _SIZE, color=bool(color))

    return open_dataset(cache, key, build)


def _root_and_legend(path: Path, legend: str | None) -> tuple[Path, str]:
    """Tell the set from one of its CSV files, which lies in it or in its folder ``data``."""
    if path.suffix.lower() != ".csv":
        return path, legend or LEGEND
    if not path.is_file():
        raise MissingPathError(f"{path} does not exist: expected a CSV beside images/")
    for root in (path.parent, path.parent.parent):
        if (root / "images").is_dir():
            return root, path.name
    raise MissingPathError(f"{path} lies beside no folder images: expected {_LAYOUT}")


def _read_legend(source: Source, legend: str) -> tuple[bytes, str]:
    tables = source.members((".csv",))
    for name in tables:
        if legend in (name, PurePosixPath(name).name):
            return source.read(name), PurePosixPath(name).name
    held = f"its CSV files are {', '.join(tables[:5])}" if tables else "it has no CSV file"
    raise MissingPathError(f"{source.path} has no {legend}; {held}: expected {_LAYOUT}")


@dataclass(frozen=True)
class Legend:
    """A row of the legend.

    Parameters
    ----------
    row : int
        Its number as in the file, counted from 1.
    user, image, source_label : str
        Its cells.
    emotion : str
        The one of `EMOTIONS` that the label means.
    """

    row: int
    user: str
    image: str
    source_label: str
    emotion: str


def parse_legend(data: bytes, where: str, faults: Faults) -> list[Legend]:
    r"""Read a legend, with or without its header.

    Parameters
    ----------
    data : bytes
        The CSV: columns ``user.id``, ``image``, ``emotion``; lines end in LF, CRLF or a bare CR.
    where : str
        What to call it in an error.
    faults : Faults
        Takes the rows that are broken or whose label is not known.

    Returns
    -------
    list of Legend
        The good rows.

    Raises
    ------
    TableError
        If the legend is empty, is not text or lacks a column, or a row has not three cells.
    LabelError
        If a label is not known.

    Examples
    --------
    >>> row = parse_legend(b"906,Ann_Lee_0001.jpg,sad\r", "500_picts_satz.csv", Faults("raise"))[0]
    >>> row.image, row.emotion
    ('Ann_Lee_0001.jpg', 'sadness')
    """
    columns = ("user.id", "image", "emotion")
    table = parse_table(data, where, faults, needed=("image", "emotion"), headerless=columns)
    rows = []
    for row, cells in table.records():
        word = cells["emotion"]
        try:
            emotion = fold_label(word)
        except LabelError as error:
            faults.add(f"row {row} of {where}", LabelError(f"{where}, row {row}: {error}"))
            continue
        user, image = cells.get("user.id", "").strip(), cells["image"].strip()
        rows.append(Legend(row, user, image, word, emotion))
    if not rows:
        raise TableError(f"{where} holds no good row: expected {', '.join(columns)}")
    return rows


def person_of(image: str) -> str:
    """Return whom an image shows: its name without the number at its end.

    Parameters
    ----------
    image : str
        For instance ``"Tony_Blair_0090.jpg"``.

    Returns
    -------
    str
        The whole name where there is no number.

    Examples
    --------
    >>> person_of("images/Tony_Blair_0090.jpg")
    'Tony_Blair'
    """
    stem = PurePosixPath(image).stem
    return re.sub(r"_[0-9]+$", "", stem) or stem


def _images(source: Source) -> list[str]:
    """List the images in ``images/``: the repository has further ones elsewhere."""
    members = source.members(IMAGE_SUFFIXES)
    images = [name for name in members if PurePosixPath(name).parent.name == "images"]
    if not images:
        raise MissingPathError(f"{source.path} holds no image in images/: expected {_LAYOUT}")
    return images


def _by_image(
    source: Source, rows: Sequence[Legend], legend: str, faults: Faults
) -> dict[str, list[Legend]]:
    """Collect the rows of each image, and complain of those whose image is missing."""
    by_image: dict[str, list[Legend]] = {name: [] for name in _images(source)}
    member_of = {PurePosixPath(name).name: name for name in by_image}
    for row in rows:
        member = member_of.get(PurePosixPath(row.image).name)
        if member is not None:
            by_image[member].append(row)
        else:
            where = f"row {row.row} of {legend}"
            said = f"{where} in {source.path} names {row.image!r}: expected it in images/"
            faults.add(where, MissingPathError(said))
    return by_image


def _build(
    source: Source,
    by_image: Mapping[str, Sequence[Legend]],
    writer: ImageWriter,
    faults: Faults,
    *,
    size: tuple[int, int],
    color: bool,
) -> Built:
    # Following the source and not the legend keeps the reading of a compressed tar sequential.
    ordered = [(name, row) for name, rows in by_image.items() for row in rows]
    written, digests = write_images(
        source, [name for name, _ in ordered], writer, faults, size=size, color=color
    )
    kept = [ordered[position] for position in written]
    table = pd.DataFrame(
        {
            "split": missing_splits(len(kept)),
            "file": pd.Series([name for name, _ in kept], dtype="str"),
            "row": pd.Series([row.row for _, row in kept], dtype="int64"),
            "user": pd.Series([row.user for _, row in kept], dtype="str"),
            "person": pd.Series([person_of(name) for name, _ in kept], dtype="str"),
            "source_label": pd.Series([row.source_label for _, row in kept], dtype="str"),
        }
    )
    table = pd.concat([table, mark_duplicates(digests, table["split"].tolist())], axis=1)
    labels = np.array([EMOTIONS.index(row.emotion) for _, row in kept], dtype=np.int64)
    return Built(table, labels, EMOTIONS, faults.skipped, _notes(by_image))


def _notes(by_image: Mapping[str, Sequence[Legend]]) -> list[str]:
    """Say which images are named twice and how many have no label."""
    notes = []
    twice = {PurePosixPath(name).name: rows for name, rows in by_image.items() if len(rows) > 1}
    if twice:
        notes.append(
            f"The legend names {len(twice):,} images more than once; each of their rows is kept "
            f"and marked in duplicate_of: {_some(twice)}."
        )
    for name, rows in twice.items():
        if len({row.emotion for row in rows}) > 1:
            said = ", ".join(f"{row.emotion} (row {row.row})" for row in rows)
            notes.append(f"{name} has labels that contradict each other, all are kept: {said}.")
    without = [PurePosixPath(name).name for name, rows in by_image.items() if not rows]
    if without:
        notes.append(
            f"{len(without):,} of {len(by_image):,} images have no label in the legend and are "
            f"left out: {_some(sorted(without))}."
        )
    return notes


def _some(names: Mapping[str, object] | Sequence[str], most: int = 8) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (" and others" if len(listed) > most else "")

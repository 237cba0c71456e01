"""FER2013: 35,887 grey faces of 48x48 pixels with seven emotions.

From Goodfellow et al. (2013), "Challenges in representation learning: a report on three machine
learning contests", https://arxiv.org/abs/1307.0414. It is shared as a CSV with the pixels as text
and, by others, as folders of image files.
"""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
import pandas as pd

from emohelpers.datasets._archives import Source, open_source
from emohelpers.datasets._base import EMOTIONS, FaceDataset, fold_label
from emohelpers.datasets._cache import Built, ImageWriter, open_dataset
from emohelpers.datasets._duplicates import image_digests, mark_duplicates
from emohelpers.datasets._fingerprints import fingerprint
from emohelpers.datasets._images import IMAGE_SUFFIXES, fit
from emohelpers.datasets._ingest import Faults, write_images
from emohelpers.datasets._pixel_csv import SIDE, USAGES, has_columns, read_pixel_csv
from emohelpers.errors import ConfigurationError, LabelError, MissingPathError, TableError

__all__ = ["load"]

_CLASSES = EMOTIONS[:7]
_LOADER = 2
_MOST_VOTES = 1000  # FER+ has ten raters; what is far more is no count of votes
_USUAL_NAMES = ("fer2013.csv", "icml_face_data.csv")
_USAGE_IN_NAME = re.compile("|".join(USAGES), re.IGNORECASE)
_USAGE_OF = {usage.lower(): usage for usage in USAGES}
_SPLIT_OF_FOLDER = {
    **_USAGE_OF,
    "train": "Training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_VOTES = {
    **{emotion: f"votes_{emotion}" for emotion in EMOTIONS},
    "unknown": "votes_unknown",
    "NF": "votes_not_a_face",
}


class _Shape(TypedDict):
    size: tuple[int, int]
    color: bool


def load(
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    color: bool | None = None,
    cache: str | os.PathLike[str] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    votes: str | os.PathLike[str] | None = None,
) -> FaceDataset:
    """Load FER2013 from its CSV or from class folders.

    Parameters
    ----------
    path : path-like
        The CSV with the columns ``emotion``, ``pixels`` and ``Usage`` in any order, plain or in
        ``.gz``, ``.xz``, ``.zip`` or ``.tar.gz``; or a folder or archive of class folders such as
        ``train/angry/Training_3908.jpg``.
    size : (int, int), optional
        Height and width in pixels; None for 48x48.
    color : bool, optional
        True for 3 equal channels; else 1.
    cache : path-like, optional
        The folder of all caches; None for the user's own.
    on_error : {"raise", "skip"}
        Whether a bad row or image is an error, or is left out and listed in ``skipped``.
    votes : path-like, optional
        The FER+ votes (``fer2013new.csv``, a row for each row of the CSV), to be joined to the
        table as ``votes_anger`` ... ``votes_contempt``, ``votes_unknown``, ``votes_not_a_face``.

    Returns
    -------
    FaceDataset
        Its table has ``split`` ("Training", "PublicTest", "PrivateTest"; in class folders whose
        files do not say which test they belong to, "test"), ``file``, ``row`` (of the CSV, the
        header being row 1), ``duplicate_of`` (the position of the first identical
        image; missing if it is itself the first) and ``leaks`` (whether the same pixels stand in
        another split).

    Raises
    ------
    MissingPathError
        If nothing is at `path` or at `votes`.
    TableError
        If the CSV or one of its rows does not hold what it should.
    ArchiveError, ImageError, LabelError
        If an archive, an image or the name of a class folder is bad.
    CacheError
        If the cache can not be written.
    ConfigurationError
        If `votes` are given for class folders, whose files FER+ does not know.
    """
    key = {
        "name": "fer2013",
        "loader": _LOADER,
        "source": fingerprint(path, cache=cache),
        "size": list(size or (SIDE, SIDE)),
        "color": bool(color),
        "on_error": on_error,
    }

    def build(writer: ImageWriter) -> Built:
        faults = Faults(on_error)
        options: _Shape = {"size": size or (SIDE, SIDE), "color": bool(color)}
        with open_source(path) as source:
            name = _find_csv(source)
            if name is None:
                return _read_folders(source, writer, faults, **options)
            return _read_csv(source, name, writer, faults, **options)

    faces = open_dataset(cache, key, build)
    return faces if votes is None else _with_votes(faces, Path(votes).expanduser())


def _read_csv(
    source: Source,
    name: str,
    writer: ImageWriter,
    faults: Faults,
    *,
    size: tuple[int, int],
    color: bool,
) -> Built:
    """Write the images of the CSV and mark the rows whose pixels are the same."""
    labels: list[int] = []
    splits: list[str] = []
    numbers: list[int] = []
    digests: list[bytes] = []
    # A CSV, or one that is only compressed, is its own member.
    alone = source.path.is_file() and source.path.name.startswith(name)
    where = source.path.name if alone else f"{source.path.name}/{name}"
    with source.open(name) as stream:
        for rows in read_pixel_csv(stream, where=where, faults=faults):
            writer.append(fit(rows.images, size=size, color=color))
            labels += rows.emotions.tolist()
            splits += rows.usages
            numbers += rows.numbers.tolist()
            digests += image_digests(rows.images)
    table = pd.DataFrame(
        {
            "split": pd.Series(splits, dtype="str"),
            "file": pd.Series([f"row {number}" for number in numbers], dtype="str"),
            "row": pd.Series(numbers, dtype=np.int64),
        }
    )
    return _built(table, labels, digests, faults)


def _read_folders(
    source: Source, writer: ImageWriter, faults: Faults, *, size: tuple[int, int], color: bool
) -> Built:
    """Write the image files of class folders."""
    named: list[tuple[str, int, str | None]] = []
    for name in source.members(IMAGE_SUFFIXES):
        try:
            named.append((name, *_read_name(name, f"{source.path.name}/{name}")))
        except LabelError as error:
            faults.add(name, error)
    files = [name for name, _, _ in named]
    written, digests = write_images(source, files, writer, faults, size=size, color=color)
    table = pd.DataFrame(
        {
            "split": pd.Series([named[place][2] for place in written], dtype="str"),
            "file": pd.Series([files[place] for place in written], dtype="str"),
        }
    )
    return _built(table, [named[place][1] for place in written], digests, faults)


def _built(table: pd.DataFrame, labels: list[int], digests: list[bytes], faults: Faults) -> Built:
    if table.empty:
        raise TableError(
            f"no row and no image can be read ({len(faults.skipped):,} bad ones): expected FER2013"
        )
    table = table.join(mark_duplicates(digests, table["split"].tolist()))
    repeats, leaks = table["duplicate_of"].notna().sum(), table["leaks"].sum()
    notes = [
        f"{repeats:,} images repeat an earlier one; the same pixels as {leaks:,} stand in another "
        "split (columns duplicate_of and leaks)."
    ]
    if faults.skipped:
        notes.append(f"{len(faults.skipped):,} rows or files could not be read and are left out.")
    return Built(table, labels, _CLASSES, faults.skipped, notes)


def _find_csv(source: Source) -> str | None:
    """Return the CSV that holds the set, or None if there are image files instead."""
    members = source.members()
    alone = source.path.is_file() and len(members) == 1
    if alone and not members[0].lower().endswith(tuple(IMAGE_SUFFIXES)):
        return members[0]
    tables = source.members((".csv",))
    tables.sort(key=lambda name: Path(name).name.lower() not in _USUAL_NAMES)
    for name in tables:
        with source.open(name) as stream:
            if has_columns(stream.readline(4096)):
                return name
    if source.members(IMAGE_SUFFIXES):
        return None
    if tables:
        return tables[0]
    raise MissingPathError(
        f"{source.path} holds neither a CSV nor images: expected FER2013 as a CSV with columns "
        "emotion, pixels, Usage or as class folders"
    )


def _read_name(name: str, where: str) -> tuple[int, str | None]:
    """Read class and split from a path such as ``train/angry/Training_3908.jpg``."""
    *folders, file = name.split("/")
    if not folders:
        raise LabelError(f"{where} lies in no class folder: expected one of {', '.join(_CLASSES)}")
    emotion = fold_label(folders[-1])
    if emotion not in _CLASSES:
        raise LabelError(f"{where}: {emotion!r} is no class of FER2013: {', '.join(_CLASSES)}")
    usage = _USAGE_IN_NAME.match(file)
    if usage:
        return _CLASSES.index(emotion), _USAGE_OF[usage.group().lower()]
    known = [
        _SPLIT_OF_FOLDER[folder.lower()] for folder in folders if folder.lower() in _SPLIT_OF_FOLDER
    ]
    return _CLASSES.index(emotion), known[-1] if known else None


def _with_votes(faces: FaceDataset, path: Path) -> FaceDataset:
    """Join the FER+ votes by row number."""
    if "row" not in faces.table:
        raise ConfigurationError(
            f"votes={str(path)!r} belong to the rows of the FER2013 CSV: expected no votes for "
            "class folders"
        )
    votes = _read_votes(path)
    # Both files begin with a header, which is row 1.
    rows = faces.table["row"].to_numpy(np.int64) - 2
    expected = len(faces) + len(faces.skipped)
    if len(votes) != expected:
        raise TableError(
            f"{path} has {len(votes):,} rows of votes: expected {expected:,}, one for each row of "
            "FER2013"
        )
    votes = votes.iloc[rows].reset_index(drop=True)
    usage = votes.pop("Usage")
    different = np.flatnonzero(usage.to_numpy() != faces.table["split"].to_numpy())
    if len(different):
        first = different[0]
        raise TableError(
            f"{path}, row {rows[first] + 2} has Usage {usage[first]!r}: expected "
            f"{faces.table['split'][first]!r} as in the same row of FER2013"
        )
    return replace(faces, table=faces.table.join(votes))


def _read_votes(path: Path) -> pd.DataFrame:
    """Read a FER+ CSV: its ``Usage``, and its counts under the names they have in the table."""
    if not path.is_file():
        raise MissingPathError(f"{path} does not exist: expected the CSV of the FER+ votes")
    try:
        votes = pd.read_csv(path, skipinitialspace=True)
    except (ValueError, OSError) as error:
        raise TableError(f"{path} can not be read ({error}): expected the FER+ votes") from error
    missing = [column for column in ("Usage", *_VOTES) if column not in votes]
    if missing:
        raise TableError(
            f"{path} has no column {', '.join(missing)}: expected Usage, {', '.join(_VOTES)}"
        )
    for column in _VOTES:
        counts = pd.to_numeric(votes[column], errors="coerce").to_numpy(np.float64)
        bad = np.flatnonzero(~(counts >= 0) | (counts % 1 != 0) | (counts > _MOST_VOTES))
        if len(bad):
            raise TableError(
                f"{path}, row {bad[0] + 2} has '{votes[column][bad[0]]}' as {column}: expected a "
                f"count of votes, 0 to {_MOST_VOTES}"
            )
    counted = votes[list(_VOTES)].astype(np.float64).astype(np.int64)
    return counted.rename(columns=_VOTES).assign(Usage=votes["Usage"])

"""UTKFace: faces with age, gender and race in their file names (Zhang, Song and Qi 2017)."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.datasets._archives import Source, open_source
from emohelpers.datasets._base import EMOTIONS, FaceDataset, fold_label
from emohelpers.datasets._cache import Built, ImageWriter, open_dataset
from emohelpers.datasets._duplicates import find_leaks, mark_duplicates
from emohelpers.datasets._fingerprints import fingerprint
from emohelpers.datasets._images import IMAGE_SUFFIXES
from emohelpers.datasets._ingest import Faults, missing_splits, write_images
from emohelpers.datasets._tables import Table, read_table
from emohelpers.errors import LabelError, MissingPathError, TableError

__all__ = [
    "AGE_GROUPS",
    "GENDERS",
    "RACES",
    "age_group",
    "divide",
    "load",
    "parse_name",
    "read_training_list",
]

_VERSION = 2
_SIZE = (200, 200)

# The codes of the set's own page, https://susanqq.github.io/UTKFace/
GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "Other")
_OLDEST = 116

AGE_GROUPS: Mapping[str, int] = {"baby": 0, "child": 3, "adult": 16, "elderly": 60}
"""The groups of ages, each with its first year."""

# Some names of the full set have a blank or lack a letter or the dot after the time.
_NAME = re.compile(r"(\d{1,3})_(\d?)_(?:(\d?)_)?(\d{14,17})(?!\d)", re.ASCII)
_FORM = "[age]_[gender]_[race]_[date and time].jpg, as in 25_1_2_20170116003012345.jpg.chip.jpg"


def parse_name(file: str) -> dict[str, int | str | None]:
    """Read age, gender and race from a file name.

    Parameters
    ----------
    file : str
        A path or name ``[age]_[gender]_[race]_[time]...``: age 0 to 116; gender 0 male, 1 female;
        race 0 White, 1 Black, 2 Asian, 3 Indian, 4 Other.

    Returns
    -------
    dict
        ``age`` (int), ``gender`` and ``race`` (str). Some names hold one number fewer: then the
        race is None, and so is the gender if the number that is left is none of its codes.

    Raises
    ------
    LabelError
        If the name is of another form, or a number is not one of its codes.

    Examples
    --------
    >>> parse_name("crop_part1/25_1_2_20170116003012345.jpg.chip.jpg")
    {'age': 25, 'gender': 'female', 'race': 'Asian'}
    >>> parse_name("61_1_20170109142408075.jpg.chip.jpg")
    {'age': 61, 'gender': 'female', 'race': None}
    """
    match = _NAME.match(PurePosixPath(file).name)
    if match is None:
        raise LabelError(f"the file name {file} does not parse: expected {_FORM}")
    age, gender, race = int(match[1]), match[2], match[3]
    if age > _OLDEST:
        raise LabelError(f"{file}: age {age}: expected 0 to {_OLDEST}")
    if race is None and gender not in ("0", "1"):
        gender = ""
    return {
        "age": age,
        "gender": _decode(file, "gender", gender, GENDERS),
        "race": _decode(file, "race", race or "", RACES),
    }


def _decode(file: str, what: str, code: str, names: tuple[str, ...]) -> str | None:
    if not code:
        return None
    if int(code) >= len(names):
        known = ", ".join(f"{i} {name}" for i, name in enumerate(names))
        raise LabelError(f"{file}: {what} {code}: expected one of {known}")
    return names[int(code)]


def age_group(ages: pd.Series) -> pd.Series:
    """Return the group of each age.

    Parameters
    ----------
    ages : Series of int
        In years.

    Returns
    -------
    Series of ordered categories
        ``baby`` 0 to 2, ``child`` 3 to 15, ``adult`` 16 to 59, ``elderly`` 60 and over.

    Examples
    --------
    >>> age_group(pd.Series([2, 3, 59, 60])).tolist()
    ['baby', 'child', 'adult', 'elderly']
    """
    edges = [*AGE_GROUPS.values(), np.inf]
    groups = pd.cut(ages.astype("int64"), edges, right=False, labels=list(AGE_GROUPS))
    return groups.rename("age_group")


def load(
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    color: bool | None = None,
    cache: str | os.PathLike[str] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    labels: str | os.PathLike[str] | None = None,
) -> FaceDataset:
    """Load UTKFace, whose file names say age, gender and race.

    Parameters
    ----------
    path : path-like
        A folder or archive of the images; where a file name occurs in several of its folders the
        first one is taken.
    size : (int, int), optional
        Height and width in pixels; None for 200x200, that of the aligned and cropped set.
    color : bool, optional
        False for grey; None and True for red, green and blue.
    cache : path-like, optional
        The folder of all caches; None for the user's own.
    on_error : {"raise", "skip"}
        Whether a damaged image, a name that does not parse or a bad row of `labels` is an error
        or is left out and listed in ``skipped``.
    labels : path-like, optional
        A CSV of expression labels, which UTKFace lacks: columns ``file`` (name of an image),
        ``expression`` (an emotion in any of its usual words, or ``other``) and, if two passes were
        made, ``agreement`` (1 where both said the same, else 0).

    Returns
    -------
    FaceDataset
        In the order of the source, with `EMOTIONS` as classes and label -1 for images without an
        expression or with ``other``. The table has ``split`` (missing), ``file``, ``age`` (Int64),
        ``age_group`` (see `age_group`), ``gender`` and ``race`` (missing where the name lacks
        them), ``duplicate_of``, ``leaks`` and, with `labels`, ``expression`` and ``agreement`` as
        they stand in the CSV, missing for images that are not in it.

    Raises
    ------
    MissingPathError
        If nothing is at `path` or `labels`, or no image lies in it.
    LabelError
        If a file name does not parse or an expression is not known.
    TableError
        If `labels` lacks a column, or a row of it names no image or one a second time.
    ArchiveError, ImageError
        If the archive or an image is damaged.
    CacheError
        If the cache can not be written.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "UTKFace").mkdir()
    ...     Image.new("RGB", (200, 200)).save(
    ...         Path(folder) / "UTKFace/25_1_2_20170116003012345.jpg.chip.jpg"
    ...     )
    ...     faces = load(Path(folder) / "UTKFace", cache=Path(folder) / "cache")
    >>> faces.table[["age_group", "gender", "race"]].iloc[0].tolist()
    ['adult', 'female', 'Asian']
    """
    key = {
        "name": "utkface",
        "source": fingerprint(path, cache=cache),
        "labels": None if labels is None else fingerprint(labels, cache=cache),
        "size": size,
        "color": color,
        "on_error": on_error,
        "version": _VERSION,
    }

    def build(writer: ImageWriter) -> Built:
        with open_source(path) as source:
            return _build(
                source,
                writer,
                Faults(on_error),
                size=size or _SIZE,
                color=color is not False,
                labels=None if labels is None else Path(labels).expanduser(),
            )

    return open_dataset(cache, key, build)


def read_training_list(path: str | os.PathLike[str]) -> pd.Series:
    """Read a CSV of images to train on.

    Parameters
    ----------
    path : path-like
        Its columns are ``file`` (name of an image), ``expression`` (an emotion in any of its usual
        words) and any others. A name without a slash is that of a list in the package.

    Returns
    -------
    Series of str
        The one of `EMOTIONS` that each expression means, by the name of the image.

    Raises
    ------
    MissingPathError
        If nothing is at `path`.
    TableError
        If it is no such CSV, or an image stands there twice.
    LabelError
        If an expression is not known.
    """
    text = os.fspath(path)
    packaged = not isinstance(path, Path) and Path(text).name == text
    place = Path(__file__).parent / text if packaged else Path(path).expanduser()
    table = read_table(place, Faults("raise"), needed=("file", "expression"))
    emotions: dict[str, str] = {}
    for row, record in table.records():
        name = PurePosixPath(record["file"]).name
        if name in emotions:
            raise TableError(f"{table.where}, row {row}: {name!r} stands a second time")
        try:
            emotions[name] = fold_label(record["expression"])
        except LabelError as error:
            raise LabelError(f"{table.where}, row {row}: {error}") from None
    return pd.Series(emotions, dtype="str")


def divide(dataset: FaceDataset, training: "pd.Series[str]") -> FaceDataset:
    """Give images a split: those of a list are for training, those labelled by hand are not.

    The halves of what was labelled by hand are told apart by a digest of the file's name: even
    ones validate, odd ones test. So an image stands on the same side whatever other labels come or
    go, and in every copy of UTKFace.

    Parameters
    ----------
    dataset : FaceDataset
        What `load` returns, with labels or without.
    training : Series of str
        What `read_training_list` returns. Names that the data set lacks are passed over.

    Returns
    -------
    FaceDataset
        The same images with ``split`` in the table: ``train`` for the images of the list, labelled
        as it says unless they have a label already; ``validation`` or ``test`` for others that
        have a label or the expression ``other``, if both passes agree where two were made; missing
        for all the rest.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(3, seed=0)
    >>> faces = replace(faces, table=faces.table[["file"]].assign(file=["a.jpg", "b.jpg", "c.jpg"]))
    >>> divide(faces, pd.Series({"a.jpg": "neutral"})).table["split"].tolist()
    ['train', 'validation', 'validation']
    """
    names = dataset.table["file"].map(lambda file: PurePosixPath(file).name)
    listed = names.isin(training.index).to_numpy(bool)
    agreed = dataset.labels >= 0
    if "expression" in dataset.table:
        agreed |= dataset.table["expression"].notna().to_numpy(bool)
    if "agreement" in dataset.table:
        agreed &= dataset.table["agreement"].eq(1).fillna(False).to_numpy(bool)
    odd = np.array([hashlib.sha256(name.encode()).digest()[0] % 2 for name in names], bool)
    split = missing_splits(len(dataset))
    split[agreed] = np.where(odd[agreed], "test", "validation")
    split[listed] = "train"
    labels = dataset.labels.copy()
    classes = list(dataset.class_names)
    labels[listed] = np.where(
        labels[listed] >= 0,
        labels[listed],
        [classes.index(emotion) for emotion in training[names[listed]]],
    )
    table = dataset.table.assign(split=split)
    if "duplicate_of" in table:
        table = table.assign(leaks=find_leaks(table["duplicate_of"], split.tolist()))
    return replace(dataset, labels=labels, table=table)


def _build(
    source: Source,
    writer: ImageWriter,
    faults: Faults,
    *,
    size: tuple[int, int],
    color: bool,
    labels: Path | None,
) -> Built:
    names, notes = _unique_names(source)
    rows = []
    for name in names:
        try:
            rows.append({"file": name, **parse_name(name)})
        except LabelError as error:
            faults.add(name, error)
    parsed = pd.DataFrame(rows, columns=["file", "age", "gender", "race"])
    # Labels first: a bad row of theirs should not wait for ten thousand images to be decoded.
    expressions = None if labels is None else _read_expressions(labels, parsed["file"], faults)
    written, digests = write_images(source, parsed["file"], writer, faults, size=size, color=color)
    parsed = parsed.iloc[written].reset_index(drop=True)
    table = pd.DataFrame(
        {
            "split": missing_splits(len(parsed)),
            "file": parsed["file"].astype("str"),
            "age": parsed["age"].astype("Int64"),
            "age_group": age_group(parsed["age"]),
            "gender": parsed["gender"].astype("str"),
            "race": parsed["race"].astype("str"),
        }
    )
    table = pd.concat([table, mark_duplicates(digests, table["split"].tolist())], axis=1)
    for column in ("gender", "race"):
        if n := int(table[column].isna().sum()):
            notes.append(f"Images whose file name lacks the {column}: {n:,}.")
    codes = np.full(len(table), -1)
    if expressions is not None:
        table, codes, said = _join_expressions(table, expressions)
        notes.append(said)
    return Built(table, codes, EMOTIONS, skipped=faults.skipped, notes=notes)


def _unique_names(source: Source) -> tuple[list[str], list[str]]:
    """List the images; archives of this set often hold the same files in several folders."""
    members = source.members(IMAGE_SUFFIXES)
    if not members:
        raise MissingPathError(
            f"{source.path} holds no image ({', '.join(IMAGE_SUFFIXES)}): expected {_FORM}"
        )
    first = {PurePosixPath(name).name: name for name in reversed(members)}
    names = [name for name in members if first[PurePosixPath(name).name] == name]
    repeated = len(members) - len(names)
    said = f"{repeated:,} files repeat the name of one in another folder and are left out."
    return names, [said] if repeated else []


def _read_expressions(path: Path, files: pd.Series, faults: Faults) -> pd.DataFrame:
    """Read the CSV of expressions, indexed by the name of the image, with the label codes."""
    table = read_table(path, faults, needed=("file", "expression"))
    images = {PurePosixPath(file).name for file in files}
    rows: dict[str, dict[str, object]] = {}
    for row, record in table.records():
        try:
            name = PurePosixPath(record["file"]).name
            _check_expression(table, row, name, name in images, name in rows)
            rows[name] = _read_expression(table, row, record)
        except (TableError, LabelError) as error:
            faults.add(f"row {row} of {path.name}", error)
    columns = ["expression", "code", *(["agreement"] if "agreement" in table.columns else [])]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _check_expression(table: Table, row: int, name: str, known: bool, repeated: bool) -> None:
    if not known:
        raise TableError(
            f"{table.where}, row {row}: there is no image {name!r}: expected the name of one"
        )
    if repeated:
        raise TableError(
            f"{table.where}, row {row}: {name!r} stands a second time: expected each image once"
        )


def _read_expression(table: Table, row: int, record: Mapping[str, str]) -> dict[str, object]:
    word = record["expression"].strip()
    try:
        code = -1 if word.lower() == "other" else EMOTIONS.index(fold_label(word))
    except LabelError as error:
        raise LabelError(f"{table.where}, row {row}: {error}, or other") from None
    agreement = record.get("agreement", "").strip()
    if "agreement" in record and agreement not in ("0", "1"):
        raise TableError(f"{table.where}, row {row}: agreement {agreement!r}: expected 0 or 1")
    read: dict[str, object] = {"expression": word, "code": code}
    return read | ({"agreement": int(agreement)} if agreement else {})


def _join_expressions(
    table: pd.DataFrame, expressions: pd.DataFrame
) -> tuple[pd.DataFrame, NDArray[np.int64], str]:
    base = table["file"].map(lambda file: PurePosixPath(file).name)
    joined = expressions.reindex(base).reset_index(drop=True)
    codes: NDArray[np.int64] = np.asarray(joined["code"].astype("Int64").fillna(-1), np.int64)
    table = table.assign(expression=joined["expression"].astype("str"))
    if "agreement" in joined:
        table["agreement"] = joined["agreement"].astype("Int64")
    said = (
        f"{int(table['expression'].notna().sum()):,} images have a label of expression, "
        f"{int((codes >= 0).sum()):,} of them one of the classes."
    )
    return table, codes, said

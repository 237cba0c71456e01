"""Folders of images, one folder for each class: the layout that most image tools share."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
import pandas as pd

from emohelpers.datasets._archives import Source, open_source
from emohelpers.datasets._base import EMOTIONS, FaceDataset, fold_label
from emohelpers.datasets._cache import Built, ImageWriter, open_dataset
from emohelpers.datasets._duplicates import mark_duplicates
from emohelpers.datasets._fingerprints import fingerprint
from emohelpers.datasets._images import IMAGE_SUFFIXES
from emohelpers.datasets._ingest import Faults, write_images
from emohelpers.errors import LabelError, MissingPathError

__all__ = ["SPLIT_WORDS", "class_names_of", "load", "parse_layout"]

_VERSION = 2

SPLIT_WORDS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""The names, in lower case, of folders that hold a part of the protocol."""

_LAYOUT = (
    "<class>/<image> or <split>/<class>/<image>, as in happiness/1.png or train/happiness/1.png"
)


def load(
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    color: bool | None = None,
    cache: str | os.PathLike[str] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
) -> FaceDataset:
    """Load images that lie in a folder for each class.

    Parameters
    ----------
    path : path-like
        A folder or archive with ``<class>/<image>`` or ``<split>/<class>/<image>`` in it, perhaps
        under further common folders. Splits are recognised by `SPLIT_WORDS`.
    size : (int, int), optional
        Height and width to resize to, in pixels; None for those of the first image.
    color : bool, optional
        True for red, green and blue, False for grey, None for what the first image has.
    cache : path-like, optional
        The folder of all caches; None for the user's own.
    on_error : {"raise", "skip"}
        Whether an image that is damaged, or lies elsewhere than in a class folder, is an error or
        is left out and listed in ``skipped``.

    Returns
    -------
    FaceDataset
        In the order of the source: sorted in a folder, as stored in an archive. Where all folder
        names mean emotions (``happy``, ``Fearful``, ...) the classes are those of `EMOTIONS` that
        occur, in its order; else the folder names as they are, sorted. The table has ``split``,
        ``file``, ``source_label`` (the folder's name), ``duplicate_of`` (the position of the first
        image with the same pixels) and ``leaks`` (such an image stands in another split).

    Raises
    ------
    MissingPathError
        If nothing is at `path`, or no image lies in it.
    LabelError
        If an image does not lie in a class folder.
    ArchiveError, ImageError
        If the archive or an image is damaged, or an image's size is out of bounds.
    CacheError
        If the cache can not be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("Happy", "sad"):
    ...         (Path(root) / "faces" / name).mkdir(parents=True)
    ...         Image.new("L", (48, 48), len(name)).save(Path(root) / "faces" / name / "1.png")
    ...     faces = load(Path(root) / "faces", cache=Path(root) / "cache")
    >>> faces.class_names, faces.labels.tolist(), faces.images.shape
    (('happiness', 'sadness'), [0, 1], (2, 48, 48, 1))
    """
    key = {
        "name": "folders",
        "source": fingerprint(path, cache=cache),
        "size": size,
        "color": color,
        "on_error": on_error,
        "version": _VERSION,
    }

    def build(writer: ImageWriter) -> Built:
        with open_source(path) as source:
            return _build(source, writer, Faults(on_error), size=size, color=color)

    return open_dataset(cache, key, build)


def _build(
    source: Source,
    writer: ImageWriter,
    faults: Faults,
    *,
    size: tuple[int, int] | None,
    color: bool | None,
) -> Built:
    names = source.members(IMAGE_SUFFIXES)
    if not names:
        raise MissingPathError(
            f"{source.path} holds no image ({', '.join(IMAGE_SUFFIXES)}): expected {_LAYOUT}"
        )
    layout = parse_layout(names, faults)
    written, digests = write_images(source, layout["file"], writer, faults, size=size, color=color)
    table = layout.iloc[written].reset_index(drop=True)
    class_names, meanings = class_names_of(list(table["source_label"].unique()))
    labels = table["source_label"].map(meanings).map(class_names.index).to_numpy(np.int64)
    marks = mark_duplicates(digests, table["split"].tolist())
    table = pd.concat([table[["split", "file", "source_label"]], marks], axis=1)
    return Built(table, labels, class_names, skipped=faults.skipped)


def parse_layout(names: Sequence[str], faults: Faults) -> pd.DataFrame:
    """Read class and split of each image from the folders that it lies in.

    Parameters
    ----------
    names : sequence of str
        Relative POSIX paths of images.
    faults : Faults
        Takes the images that do not lie in a class folder beside the others.

    Returns
    -------
    DataFrame
        A row for each image that does, in columns ``file``, ``split`` (``"train"``,
        ``"validation"``, ``"test"`` or missing) and ``source_label`` (the class folder's name).

    Raises
    ------
    LabelError
        If an image does not lie in a class folder, unless `faults` collects it.

    Examples
    --------
    >>> parse_layout(["faces/Train/sad/1.png", "faces/val/happy/2.png"], Faults("raise"))
                        file       split source_label
    0  faces/Train/sad/1.png       train          sad
    1  faces/val/happy/2.png  validation        happy
    """
    read = [_read_folders(name) for name in names]
    # Where the class folders lie; an image that lies deeper or higher than most has no class.
    bases = Counter(base for base, _, label in read if label is not None)
    base = bases.most_common(1)[0][0] if bases else None
    rows = []
    for name, (found, split, label) in zip(names, read, strict=True):
        if label is None or found != base:
            faults.add(
                name,
                LabelError(f"{name} lies in no class folder beside the others: expected {_LAYOUT}"),
            )
        else:
            rows.append((name, split, label))
    table = pd.DataFrame(rows, columns=["file", "split", "source_label"])
    return table.astype({"file": "str", "split": "str", "source_label": "str"})


def _read_folders(name: str) -> tuple[tuple[str, ...], str | None, str | None]:
    """Return where the class folders of an image's path lie, its split and its class."""
    folders = PurePosixPath(name).parts[:-1]
    if not folders or folders[-1].lower() in SPLIT_WORDS:
        return folders, None, None
    split = SPLIT_WORDS.get(folders[-2].lower()) if len(folders) > 1 else None
    return folders[: -1 if split is None else -2], split, folders[-1]


def class_names_of(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Find the classes that some folder names mean.

    Parameters
    ----------
    words : sequence of str
        The names of the class folders.

    Returns
    -------
    class_names : list of str
        Where all words mean emotions, those of `EMOTIONS` that occur, in its order; else the words
        as they are, sorted.
    meanings : dict of str to str
        The class that each word stands for.

    Examples
    --------
    >>> class_names_of(["sad", "Angry"])
    (['anger', 'sadness'], {'sad': 'sadness', 'Angry': 'anger'})
    >>> class_names_of(["smile", "happy"])[0]
    ['happy', 'smile']
    """
    try:
        meanings = {word: fold_label(word) for word in words}
    except LabelError:
        return sorted(words), {word: word for word in words}
    return [name for name in EMOTIONS if name in meanings.values()], meanings

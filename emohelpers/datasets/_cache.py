"""One cache on disk for all loaders: images as one memory-mapped file, beside their table.

A cache is built in a folder of its own and moved into place when it is complete, so that whatever
stands under its final name is whole. Nothing is locked: of two processes that build the same cache
at once both succeed, and the second uses what the first has put there.
"""

import hashlib
import json
import os
import platform
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from emohelpers.datasets._base import FaceDataset
from emohelpers.errors import CacheError, ConfigurationError, ImageError

__all__ = [
    "CACHE_FORMAT",
    "Built",
    "ImageWriter",
    "cache_directory",
    "open_dataset",
    "open_or_build",
]

CACHE_FORMAT = 1
"""Raised whenever the files of a cache change their meaning; other versions are rebuilt."""

_IMAGES, _TABLE, _META = "images.npy", "table.feather", "meta.json"
_ATTEMPTS = 5
_ABANDONED_AFTER = 24 * 3600.0
Cache = tuple[NDArray[np.uint8], pd.DataFrame, dict[str, Any]]


@dataclass(frozen=True)
class Built:
    """What a loader knows of the images that it has written.

    Parameters
    ----------
    table : DataFrame of n rows
        A row for each image, in the order in which they were written.
    labels : sequence of int, length n
        Positions in `class_names`; -1 without a label.
    class_names : sequence of str
        The classes in label order.
    skipped : sequence of (where, reason)
        What was left out.
    notes : sequence of str
        What a reader should know, a sentence each.
    """

    table: pd.DataFrame
    labels: Sequence[int] | NDArray[np.int64]
    class_names: Sequence[str]
    skipped: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()


class ImageWriter:
    """Writes images to a ``.npy`` file a batch at a time, so that they never stand in memory.

    Parameters
    ----------
    path : Path
        The file, which must not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shape: tuple[int, ...] | None = None
        self._count = 0
        with _writing(path):
            self._file: BinaryIO = path.open("xb")

    def append(self, batch: NDArray[np.uint8]) -> None:
        """Write some images.

        Parameters
        ----------
        batch : ndarray of uint8, shape (k, height, width, channels)
            As large as the first batch in all but `k`.

        Raises
        ------
        ConfigurationError
            If it is not.
        CacheError
            If it can not be written, for instance because the disk is full.
        """
        shape = self._shape or batch.shape[1:]
        if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[1:] != shape:
            raise ConfigurationError(
                f"images of {batch.dtype} and shape {batch.shape}: expected uint8 of shape "
                f"(k, {', '.join(map(str, shape))})"
            )
        with _writing(self._path):
            if self._shape is None:
                self._shape = shape
                self._write_header()
            self._file.write(np.ascontiguousarray(batch).data)
        self._count += len(batch)

    def __len__(self) -> int:
        return self._count

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what was written: (n, height, width, channels)."""
        return (self._count, *(self._shape or ()))

    def close(self) -> None:
        """Complete the file on disk; what was written stands there when this returns."""
        with _writing(self._path), self._file:
            if self._shape is not None:
                self._file.seek(0)
                self._write_header()
            self._file.flush()
            os.fsync(self._file.fileno())

    def _write_header(self) -> None:
        # NumPy pads the header so that it is as long for any number of rows.
        header = {"descr": "|u1", "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(self._file, header)


def cache_directory(cache: str | os.PathLike[str] | None = None) -> Path:
    """Return where caches lie: the folder that is given, or the user's own.

    Parameters
    ----------
    cache : path-like, optional
        None for the place where this system keeps caches (on Linux ``~/.cache/emohelpers``).

    Returns
    -------
    Path
        It need not exist.
    """
    if cache is not None:
        return Path(cache).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("emohelpers", appauthor=False)


def open_or_build(
    cache: str | os.PathLike[str] | None,
    key: Mapping[str, object],
    build: Callable[[ImageWriter], Built],
) -> Cache:
    """Open the cache that belongs to a key, after building it if there is none to rely on.

    Parameters
    ----------
    cache : path-like or None
        The folder of all caches (see `cache_directory`).
    key : mapping
        What the images depend on, as JSON can hold it: ``name`` (the source, which begins the name
        of the folder), its fingerprint, the options, the version of the loader.
    build : callable
        Given an `ImageWriter`, writes all images and returns what is to be known of them.

    Returns
    -------
    images : memmap of uint8, shape (n, height, width, channels)
        Read-only.
    table : DataFrame of n rows
        As `build` gave it, with the labels in a column ``label``.
    meta : dict
        ``class_names``, ``skipped`` (pairs of where and reason) and ``notes``.

    Raises
    ------
    CacheError
        If the cache can not be written.
    ImageError
        If `build` wrote no image.
    """
    directory = cache_directory(cache)
    text = json.dumps(key, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    final = directory / f"{key.get('name', 'images')}-{digest}"
    # Another process may move what it takes for broken away just when it has become whole.
    for _ in range(_ATTEMPTS):
        opened = _open(final, text)
        if opened is not None:
            return opened
        with _temporary_folder(directory, final.name) as folder:
            _write(folder, text, build)
            _publish(folder, final, text)
    raise CacheError(
        f"the cache {final} was changed by others each time that it was written: remove it"
    )


def open_dataset(
    cache: str | os.PathLike[str] | None,
    key: Mapping[str, object],
    build: Callable[[ImageWriter], Built],
) -> FaceDataset:
    """Open or build a cache (see `open_or_build`) and return it as a data set.

    Parameters
    ----------
    cache, key, build
        As in `open_or_build`; ``key["name"]`` names the data set.

    Returns
    -------
    FaceDataset
        Over the memory map of the cache.
    """
    images, table, meta = open_or_build(cache, key, build)
    labels = table["label"].to_numpy(np.int64)
    labels.flags.writeable = False  # so that it need not be copied once more
    return FaceDataset(
        images,
        labels,
        meta["class_names"],
        table.drop(columns="label"),
        name=str(key["name"]),
        skipped=pd.DataFrame(meta["skipped"], columns=["where", "reason"], dtype="str"),
        notes=meta["notes"],
    )


def _open(final: Path, key: str) -> Cache | None:
    """Open a cache if it is whole, of this version and of this key."""
    try:
        meta = json.loads((final / _META).read_text(encoding="utf-8"))
        if meta["format"] != CACHE_FORMAT or meta["key"] != key:
            return None
        if any((final / name).stat().st_size != size for name, size in meta["bytes"].items()):
            return None
        images = np.load(final / _IMAGES, mmap_mode="r", allow_pickle=False)
        # Mapped as the images are: of millions of file names only those looked at take memory.
        with pa.memory_map(str(final / _TABLE)) as file:
            table = pd.read_feather(file)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError, RuntimeError):
        # pyarrow's errors are kinds of these; whatever is wrong, the cache is built anew.
        return None
    whole = images.dtype == np.uint8 and list(images.shape) == meta["shape"]
    return (images, table, meta) if whole and len(table) == len(images) else None


def _write(folder: Path, key: str, build: Callable[[ImageWriter], Built]) -> None:
    """Write all files of a cache into a folder."""
    writer = ImageWriter(folder / _IMAGES)
    try:
        built = build(writer)
    finally:
        writer.close()
    if not len(writer):
        raise ImageError("the source holds no image that can be read: expected at least one")
    if not len(writer) == len(built.table) == len(built.labels):
        raise ConfigurationError(
            f"{len(writer)} images, {len(built.labels)} labels and {len(built.table)} rows of the "
            "table: expected as many of each"
        )
    # As narrow as they fit: of millions of images each byte counts twice, on the way into memory.
    labels = pd.to_numeric(np.asarray(built.labels, np.int64), downcast="signed")
    table = built.table.reset_index(drop=True).assign(label=labels)
    with _writing(folder):
        # What is compressed, or in pieces that pandas joins, can not be mapped.
        table.to_feather(folder / _TABLE, compression="uncompressed", chunksize=len(table))
        _flush_to_disk(folder / _TABLE)
        meta = {
            "format": CACHE_FORMAT,
            "key": key,
            "shape": writer.shape,
            "bytes": {name: (folder / name).stat().st_size for name in (_IMAGES, _TABLE)},
            "class_names": list(built.class_names),
            "skipped": [[str(where), str(reason)] for where, reason in built.skipped],
            "notes": list(built.notes),
        }
        (folder / _META).write_text(json.dumps(meta, indent=1), encoding="utf-8")
        _flush_to_disk(folder / _META)
        _flush_to_disk(folder)


def _publish(folder: Path, final: Path, key: str) -> None:
    """Move a complete cache into place, unless another process has put its own there."""
    for _ in range(_ATTEMPTS):
        try:
            folder.rename(final)
            return
        except OSError as error:
            if _open(final, key) is not None:
                return
            reason = error
        # What stands there is broken or of another version. It is moved away whole, because a
        # folder that is being emptied would still be in the way of the next attempt.
        aside = final.with_name(folder.name + ".old")
        try:
            final.rename(aside)
        except FileNotFoundError:
            continue
        except OSError as error:
            reason = error
            continue
        _remove(aside)
    raise CacheError(f"the cache {final} can not be replaced ({reason}): remove it") from reason


@contextmanager
def _temporary_folder(directory: Path, name: str) -> Iterator[Path]:
    """Make a folder to build in, which is gone afterwards whatever happens."""
    host = "".join(letter for letter in platform.node() if letter.isalnum())[:32]
    folder = directory / f".{name}.{host}.{os.getpid()}.{uuid.uuid4().hex[:12]}.tmp"
    with _writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        for left in directory.glob(f".{name}.*"):
            if _abandoned(left, host):
                _remove(left)
        folder.mkdir()
    try:
        yield folder
    finally:
        _remove(folder)


def _abandoned(folder: Path, host: str) -> bool:
    """Tell whether the process that built in this folder is dead, as far as can be known."""
    parts = folder.name.split(".")
    # Windows has no way to ask for a process without ending it.
    if os.name == "posix" and len(parts) >= 5 and parts[2] == host and parts[3].isdecimal():
        try:
            os.kill(int(parts[3]), 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
    with suppress(OSError):
        newest = max(entry.stat().st_mtime for entry in (folder, *folder.iterdir()))
        return time.time() - newest > _ABANDONED_AFTER
    return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk now."""
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"the cache {path} can not be written ({error.strerror or error}): make room, or name "
            "another folder with cache="
        ) from error

"""Folders, archives and compressed CSV files as one kind of source, read in place.

Nothing is unpacked to disk. Whatever an archive says of itself is checked before it is believed:
the paths and kinds of its members, and how many bytes they hold.
"""

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from emohelpers.datasets._sources import CHUNK, DEFAULT_LIMITS, Limits, Source, wanted
from emohelpers.errors import ArchiveError, EmohelpersError, MissingPathError

__all__ = ["DEFAULT_LIMITS", "Limits", "Source", "open_source"]

_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
_MAGIC: Mapping[bytes, Any] = {b"\x1f\x8b\x08": gzip.open, b"\xfd7z": lzma.open, b"BZh": bz2.open}
_OPENERS: Mapping[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


class _Folder(Source):
    """The files of a folder and its subfolders."""

    def _names(self) -> Iterable[str]:
        return sorted(
            (Path(folder) / file).relative_to(self.path).as_posix()
            for folder, _, files in os.walk(self.path)
            for file in files
        )

    def _open(self, name: str) -> IO[bytes]:
        return (self.path / _checked(name, self.path)).open("rb")

    def close(self) -> None:
        pass

    def _count(self, size: int, name: str) -> None:
        """Files on disk unpack to nothing, so a folder may be of any size."""


class _SingleFile(Source):
    """One file, perhaps compressed: its member is its name without the ``.gz`` or ``.xz``."""

    def members(self, suffixes: tuple[str, ...] | None = None) -> list[str]:
        # Whoever names one file wants it, even one that is hidden.
        return [name for name in self._names() if name.lower().endswith(suffixes or "")]

    def _names(self) -> list[str]:
        return [self.path.stem if self._opener() else self.path.name]

    def _open(self, name: str) -> IO[bytes]:
        if name not in self._names():
            raise KeyError(name)
        opener = self._opener()
        return opener(self.path, "rb") if opener else self.path.open("rb", buffering=0)

    def _opener(self) -> Any:
        return _OPENERS.get(self.path.suffix.lower())

    def close(self) -> None:
        pass


class _Zip(Source):
    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(path, limits)
        with self._naming_damage():
            self._zip = zipfile.ZipFile(path)
        try:
            self._stored = {
                self._checked(info): info for info in self._zip.infolist() if not info.is_dir()
            }
        except ArchiveError:
            self.close()
            raise

    def _checked(self, info: zipfile.ZipInfo) -> str:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise ArchiveError(
                f"{self._where(info.filename)} is a link or a device: expected plain files"
            )
        return _checked(info.filename, self.path)

    def _names(self) -> Iterable[str]:
        return list(self._stored)

    def _open(self, name: str) -> IO[bytes]:
        return self._zip.open(self._stored[name])

    def close(self) -> None:
        self._zip.close()


class _Tar(Source):
    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(path, limits)
        self._stored: dict[str, tarfile.TarInfo] = {}
        self._complete = False
        with path.open("rb") as file:
            magic = file.read(3)
        # By content, since browsers unpack .tar.gz on the way and leave the name.
        self._file: IO[bytes] = _MAGIC.get(magic, io.open)(path, "rb")
        bounded = _ShortReads(self._file, path, limits.read_bytes)
        try:
            with self._naming_damage():
                self._tar = tarfile.TarFile(fileobj=cast(Any, bounded))
        except EmohelpersError:
            self._file.close()
            raise

    def _names(self) -> Iterator[str]:
        """Walk the headers, checking each; tarfile remembers those that it has walked."""
        for info in self._tar:
            # Stepping over a member of a compressed tar unpacks it, too.
            self._bound(self._tar.offset, info.name)
            if info.isdir():
                continue
            if not info.isreg():
                raise ArchiveError(
                    f"{self._where(info.name)} is a link or a device: expected plain files"
                )
            name = _checked(info.name, self.path)
            self._stored[name] = info
            yield name
        self._check_end()

    def _check_end(self) -> None:
        """Refuse a tar cut at the edge of a member, which tarfile takes for its end."""
        self._file.seek(self._tar.offset)
        end = self._file.read(tarfile.BLOCKSIZE)
        if len(end) < tarfile.BLOCKSIZE or end.strip(b"\0"):
            raise ArchiveError(
                f"{self.path} is cut short or damaged after {len(self._stored):,} files: "
                "expected the two empty blocks that end a tar"
            )
        # Only at its end does a compressed file show whether its checksum is right.
        while rest := self._file.read(CHUNK):
            self._count(len(rest), self.path.name)
        self._complete = True

    def _open(self, name: str) -> IO[bytes]:
        if name not in self._stored and not self._complete:
            for _ in self._counted_names():
                pass
        return cast(IO[bytes], self._tar.extractfile(self._stored[name]))

    def iter_members(self, suffixes: tuple[str, ...] | None = None) -> Iterator[tuple[str, bytes]]:
        # In one pass, where listing the members first would decompress everything twice.
        names = self._counted_names()
        while True:
            with self._naming_damage():
                name = next(names, None)
            if name is None:
                return
            if wanted(name, suffixes):
                yield name, self.read(name)

    def close(self) -> None:
        self._tar.close()
        self._file.close()


class _ShortReads:
    """The file of a tar, refusing long reads: the headers of a tar may ask for any number."""

    def __init__(self, file: IO[bytes], path: Path, limit: int) -> None:
        self._file, self._path, self._limit = file, path, limit
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if size > self._limit:
            raise ArchiveError(
                f"{self._path} has a header of {size:,} bytes: expected at most {self._limit:,}"
            )
        return self._file.read(size)


def open_source(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> Source:
    """Open a folder, an archive or a single file, perhaps compressed, for reading in place.

    Parameters
    ----------
    path : path-like
        A folder; a ``.zip``; a ``.tar``, plain or compressed by gzip, xz or bzip2; or any other
        file, which is its own only member, decompressed if its name ends in ``.gz``, ``.xz`` or
        ``.bz2``.
    limits : Limits
        How much it may hold.

    Returns
    -------
    Source
        To be used as a context manager.

    Raises
    ------
    MissingPathError
        If nothing is there.
    ArchiveError
        If it is not an archive of the kind that its name says, or is unsafe.

    Examples
    --------
    >>> import tempfile, zipfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "faces.zip"
    ...     with zipfile.ZipFile(path, "w") as archive:
    ...         archive.writestr("happy/1.png", b"...")
    ...     with open_source(path) as source:
    ...         source.members()
    ['happy/1.png']
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise MissingPathError(f"{path} does not exist: expected a folder, an archive or a CSV")
    name = path.name.lower()
    kind: type[Source] = _SingleFile
    if path.is_dir():
        kind = _Folder
    elif name.endswith(".zip"):
        kind = _Zip
    elif name.endswith(_TAR_SUFFIXES):
        kind = _Tar
    return kind(path, limits)


def _checked(name: str, path: Path) -> str:
    """Return the name of a member with forward slashes, or refuse one that leaves the archive."""
    # Some Windows programs store backslashes.
    posix = name.replace("\\", "/")
    parts = PurePosixPath(posix).parts
    if posix.startswith("/") or ".." in parts or ":" in posix.split("/")[0] or "\0" in posix:
        raise ArchiveError(
            f"{path} has a member {name!r} whose path leaves the archive: "
            "expected relative paths without '..'"
        )
    return str(PurePosixPath(posix))

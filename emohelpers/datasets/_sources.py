"""What a folder and every kind of archive have in common: named files, read within bounds."""

import errno
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO, cast

from emohelpers.errors import ArchiveError, EmohelpersError, MissingPathError

__all__ = ["CHUNK", "DEFAULT_LIMITS", "Limits", "Source", "wanted"]

CHUNK = 64 * 1024
"""How many bytes are read at once."""

_DAMAGE = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    tarfile.TarError,
    NotImplementedError,  # zipfile: a method of compression that it does not know
    RuntimeError,  # zipfile: a password is needed
    ValueError,  # zipfile and tarfile: fields of a header that contradict each other
)


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold.

    Parameters
    ----------
    members : int
        How many files. AffectNet, the largest set of labelled faces, has about a million.
    read_bytes : int
        The most that one member read into memory may hold. A photo of 50 million pixels, the
        bound of `emohelpers.datasets._images`, is 200 MB uncompressed.
    total_bytes : int
        What all that is read may come to. FER2013 is 0.3 GB as text and UTKFace 1.4 GB as JPEG;
        a bomb of nested zeros grows to petabytes.
    """

    members: int = 2_000_000
    read_bytes: int = 256 * 2**20
    total_bytes: int = 64 * 2**30


DEFAULT_LIMITS = Limits()


class Source(ABC):
    """The files of a folder or an archive, by their relative POSIX names.

    Hidden files and the ``__MACOSX`` folders that macOS adds to zips are left out. It is a context
    manager: the archive is closed on leaving.

    Parameters
    ----------
    path : Path
        The folder, archive or file.
    limits : Limits
        How much it may hold.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self.limits = limits
        self._bytes_read = 0

    @abstractmethod
    def _names(self) -> Iterable[str]:
        """Give the checked name of each regular file, as stored."""

    @abstractmethod
    def _open(self, name: str) -> IO[bytes]:
        """Open one member; KeyError if there is none of that name."""

    @abstractmethod
    def close(self) -> None:
        """Close the archive."""

    def members(self, suffixes: tuple[str, ...] | None = None) -> list[str]:
        """List the files.

        Parameters
        ----------
        suffixes : tuple of str, optional
            Only names that end in one of these, whatever their case; for instance ``(".png",)``.

        Returns
        -------
        list of str
            Relative POSIX names, in the order in which an archive stores them; sorted in a folder.

        Raises
        ------
        ArchiveError
            If the archive is damaged or cut short, has too many members, or has one whose path
            leaves the archive or that is a link or a device.
        """
        with self._naming_damage():
            return [name for name in self._counted_names() if wanted(name, suffixes)]

    def read(self, name: str) -> bytes:
        """Return the bytes of one file.

        Parameters
        ----------
        name : str
            As `members` gives it.

        Returns
        -------
        bytes
            All of it.

        Raises
        ------
        ArchiveError
            If it is damaged, cut short or larger than its bound.
        MissingPathError
            If there is no such file.
        """
        data = bytearray()
        with self.open(name) as file:
            while chunk := file.read(CHUNK):
                data += chunk
                if len(data) > self.limits.read_bytes:
                    raise ArchiveError(
                        f"{self._where(name)} holds more than {self.limits.read_bytes:,} bytes: "
                        "expected an image or a small table"
                    )
        return bytes(data)

    def open(self, name: str) -> BinaryIO:
        """Open one file for reading from beginning to end, decompressed.

        Parameters
        ----------
        name : str
            As `members` gives it.

        Returns
        -------
        binary file
            Its ``read`` and ``readinto`` raise `ArchiveError` where the archive is damaged, cut
            short, or larger than the bound on all its bytes.

        Raises
        ------
        ArchiveError
            If it is damaged at its beginning.
        MissingPathError
            If there is no such file.
        """
        with self._naming_damage(name):
            try:
                return cast(BinaryIO, _Member(self._open(name), self, name))
            except (KeyError, FileNotFoundError, IsADirectoryError):
                raise MissingPathError(f"{self._where(name)} does not exist") from None

    def iter_members(self, suffixes: tuple[str, ...] | None = None) -> Iterator[tuple[str, bytes]]:
        """Read the files one after the other, in the order of `members`.

        This is the way to read all of a compressed tar, in which any other order is slow.

        Parameters
        ----------
        suffixes : tuple of str, optional
            Only names that end in one of these, whatever their case.

        Yields
        ------
        name : str
            Relative POSIX name.
        data : bytes
            All of it.

        Raises
        ------
        ArchiveError
            As `members` and `read` do.
        """
        for name in self.members(suffixes):
            yield name, self.read(name)

    def __enter__(self) -> "Source":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _counted_names(self) -> Iterator[str]:
        for count, name in enumerate(self._names(), 1):
            if count > self.limits.members:
                raise ArchiveError(
                    f"{self.path} holds more than {self.limits.members:,} files: "
                    "expected a set of face images or a CSV"
                )
            yield name

    def _where(self, name: str) -> str:
        return f"{name!r} in {self.path}"

    def _count(self, size: int, name: str) -> None:
        self._bytes_read += size
        self._bound(self._bytes_read, name)

    def _bound(self, unpacked: int, name: str) -> None:
        """Refuse an archive of which more bytes than allowed were unpacked."""
        if unpacked > self.limits.total_bytes:
            raise ArchiveError(
                f"{self.path} unpacks to more than {self.limits.total_bytes:,} bytes (reached in "
                f"{name!r}): expected a set of face images or a CSV"
            )

    @contextmanager
    def _naming_damage(self, name: str | None = None) -> Iterator[None]:
        """Raise what the decompressors raise as an error that names the file."""
        place = str(self.path) if name is None else self._where(name)
        try:
            yield
        except EmohelpersError:
            raise
        except PermissionError:
            raise MissingPathError(f"{place} can not be read: permission denied") from None
        except _DAMAGE as error:
            raise _damage(place, error) from error
        except OSError as error:
            # bz2 says only this of bad data, and a zip may name a place before its beginning; a
            # failing disk sets another errno and is nobody's format.
            if error.errno not in (None, errno.EINVAL):
                raise
            raise _damage(place, error) from error


class _Member(io.RawIOBase):
    """A file of a source: counts what is read from it, and names it when it is damaged."""

    def __init__(self, file: IO[bytes], source: Source, name: str) -> None:
        self._file, self._source, self._name = file, source, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._source._naming_damage(self._name):
            count: int = cast(Any, self._file).readinto(buffer)
        self._source._count(count, self._name)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def wanted(name: str, suffixes: tuple[str, ...] | None) -> bool:
    parts = name.split("/")
    if parts[0] == "__MACOSX" or any(part.startswith(".") for part in parts):
        return False
    return suffixes is None or name.lower().endswith(suffixes)


def _damage(place: str, error: Exception) -> ArchiveError:
    reason = str(error) or type(error).__name__
    return ArchiveError(f"{place} is damaged or cut short ({reason}): get the file again")

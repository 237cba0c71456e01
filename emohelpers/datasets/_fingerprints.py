"""Hashes that tell whether a file or folder is still the one that a cache was built from."""

import hashlib
import json
import os
import time
import uuid
from contextlib import suppress
from pathlib import Path

from emohelpers.datasets._cache import cache_directory
from emohelpers.errors import MissingPathError

__all__ = ["fingerprint"]

# A file that changes twice within a tick of the clock keeps its time stamp, so what is younger is
# not remembered. Linux ticks every 10 ms at most; stamps of whole seconds come from file systems
# that keep no better ones, the coarsest being FAT with 2 s.
_TICK_NS, _COARSE_TICK_NS = 50_000_000, 2_000_000_000


def fingerprint(
    path: str | os.PathLike[str], *, cache: str | os.PathLike[str] | None = None
) -> str:
    """Return a hash that changes when a file or folder changes.

    Of a file it is the SHA-256 of its content, remembered in the cache as long as its size, times
    and inode stay, so that a large file is read once. Of a folder it is that of the names, sizes
    and times of its files.

    Parameters
    ----------
    path : path-like
        A file or folder.
    cache : path-like, optional
        The folder of all caches.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    MissingPathError
        If there is nothing at `path`, or it can not be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "empty.csv"
    ...     path.touch()
    ...     fingerprint(path, cache=folder)[:16]
    'e3b0c44298fc1c14'
    """
    path = Path(path).expanduser()
    try:
        path = path.resolve(strict=True)
        return _folder_hash(path) if path.is_dir() else _file_hash(path, cache_directory(cache))
    except FileNotFoundError:
        raise MissingPathError(f"{path} does not exist: expected a file or a folder") from None
    except PermissionError:
        raise MissingPathError(f"{path} can not be read: permission denied") from None


def _folder_hash(path: Path) -> str:
    lines = []
    for folder, subfolders, files in os.walk(path):
        subfolders.sort()
        for file in files:
            entry = Path(folder) / file
            # A link to nothing is a fault of one file, which the loader will name.
            state = entry.stat() if entry.exists() else entry.lstat()
            lines.append(
                f"{entry.relative_to(path).as_posix()}\0{state.st_size}\0"
                f"{state.st_mtime_ns}\0{state.st_ctime_ns}\0{state.st_ino}"
            )
    return hashlib.sha256("\n".join(sorted(lines)).encode(errors="surrogateescape")).hexdigest()


def _file_hash(path: Path, directory: Path) -> str:
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    memo = directory / "fingerprints" / f"{name}.json"
    state = _file_state(path)
    with suppress(OSError, ValueError, KeyError, TypeError):
        remembered = json.loads(memo.read_text())
        if remembered["state"] == state:
            return str(remembered["sha256"])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    changed = max(state[1], state[2])
    tick = _TICK_NS if changed % 1_000_000_000 else _COARSE_TICK_NS
    settled = time.time_ns() - changed > tick
    # Only a convenience: without it the file is read again next time.
    with suppress(OSError):
        if settled and _file_state(path) == state:
            memo.parent.mkdir(parents=True, exist_ok=True)
            partial = memo.with_suffix(f".{uuid.uuid4().hex}.tmp")
            partial.write_text(json.dumps({"state": state, "sha256": digest, "path": str(path)}))
            partial.replace(memo)
    return digest


def _file_state(path: Path) -> list[int]:
    state = path.stat()
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]

"""Write files so that whoever reads them sees the old one or the whole new one."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["replacing"]


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place beside a file to write to; what is there in the end takes the file's place.

    Parameters
    ----------
    path : Path
        Its folder is there.

    Yields
    ------
    Path
        In the same folder and of the same ending. When the block fails it is removed, and `path`
        stays as it was.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "table.csv"
    ...     with replacing(file) as beside:
    ...         _ = beside.write_text("whole")
    ...     file.read_text()
    'whole'
    """
    beside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)

"""Keep C++ libraries from writing to standard error what nobody asked for."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

__all__ = ["quiet_libraries"]


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Drop what is written to the process's standard error meanwhile, unless it fails.

    TensorFlow tells of missing GPUs and FFmpeg of its tags on the file descriptor itself, past
    `sys.stderr` and whatever level of logging is set.

    Raises
    ------
    BaseException
        What the block raises, after all that was written is written out.

    Examples
    --------
    >>> with quiet_libraries():
    ...     _ = os.write(2, b"nobody reads this")
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            if failed:
                said.seek(0)
                os.write(2, said.read())

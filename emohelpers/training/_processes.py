"""Several processes that train one network together, each with devices of its own."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emohelpers.errors import ConfigurationError

__all__ = ["Process", "check_same", "from_first", "join_processes", "read_by_first", "this_process"]


@dataclass(frozen=True)
class Process:
    """Which of how many processes this is.

    Parameters
    ----------
    index : int
        From 0. The first alone writes files.
    count : int
        How many there are.
    """

    index: int = 0
    count: int = 1


def this_process() -> Process:
    """Return which of the processes that train together this is.

    Returns
    -------
    Process
        Of a process that trains by itself, the only one.

    Examples
    --------
    >>> this_process()
    Process(index=0, count=1)
    """
    if keras.backend.backend() != "jax":
        return Process()
    import jax

    return Process(jax.process_index(), jax.process_count())


def join_processes() -> None:
    """Connect this process with the others that train the same network.

    Each process calls it once, before anything is computed. Where the others are, the environment
    says: ``KERAS_DISTRIBUTION_JOB_ADDRESSES`` (host and port of the first),
    ``KERAS_DISTRIBUTION_NUM_PROCESSES`` and ``KERAS_DISTRIBUTION_PROCESS_ID``, see
    `keras.distribution.initialize`; under Slurm, JAX finds it by itself.

    Raises
    ------
    ConfigurationError
        If Keras has another backend than JAX, or the processes can not be connected.
    """
    check_backend("several processes")
    from jax.experimental import multihost_utils

    # Without a seed Keras makes all hosts agree on one; a training sets its own in any case.
    keras.utils.set_random_seed(0)
    try:
        keras.distribution.initialize()
    except (RuntimeError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"the processes can not be connected ({error}): expected "
            "KERAS_DISTRIBUTION_JOB_ADDRESSES (host:port of process 0, the same for all), "
            "KERAS_DISTRIBUTION_NUM_PROCESSES and KERAS_DISTRIBUTION_PROCESS_ID (from 0), or Slurm"
        ) from error
    # On CPUs a first connection fails after 30 s, and reading data can take one process longer.
    with _standard_output_on_error():
        multihost_utils.sync_global_devices("joined")


@contextmanager
def _standard_output_on_error() -> Iterator[None]:
    """Keep standard output for results: Gloo tells there, past `sys.stdout`, of its connections."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def check_backend(what: str) -> None:
    """Refuse what JAX alone does under another backend of Keras."""
    if keras.backend.backend() != "jax":
        raise ConfigurationError(
            f"{what} with Keras on {keras.backend.backend()}: expected the environment variable "
            "KERAS_BACKEND=jax before Keras is imported (pip install 'emohelpers[jax]')"
        )


def from_first(array: np.ndarray) -> np.ndarray:
    """Return the array of the first process, which all have in the same shape and dtype."""
    if this_process().count == 1:
        return array
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.broadcast_one_to_all(array))


def read_by_first(path: Path) -> bytes | None:
    """Return what the first process finds in a file, None if that is not there."""
    content = path.read_bytes() if this_process().index == 0 and path.exists() else None
    if this_process().count == 1:
        return content
    size = int(from_first(np.array(-1 if content is None else len(content), np.int32)))
    if size < 0:
        return None
    mine = np.frombuffer(content, np.uint8) if content is not None else np.zeros(size, np.uint8)
    return from_first(mine).tobytes()


def check_same(digest: str) -> None:
    """Refuse processes whose trainings, told by their digest in hexadecimal, are not the same."""
    process = this_process()
    if process.count == 1:
        return
    from jax.experimental import multihost_utils

    mine = np.frombuffer(bytes.fromhex(digest), np.uint8)
    digests: Any = multihost_utils.process_allgather(mine)
    others = (digests != digests[0]).any(axis=1)
    if others.any():
        raise ConfigurationError(
            f"process {int(others.argmax())} trains with other data, arguments or versions than "
            "process 0: expected the same for all"
        )

"""What ``--devices`` asks for, before Keras is imported."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Annotated

import typer

from emohelpers.errors import ConfigurationError, EmohelpersError

__all__ = ["DEVICES", "failing_at_once", "ready_devices"]

DEVICES = Annotated[
    str | None,
    typer.Option(help="How many GPUs share each batch, or 'auto' for all; on JAX."),
]
_CLUSTER = tuple(
    f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
)


def ready_devices(devices: str | None) -> int | str:
    """Choose Keras's backend for several devices, and connect the processes that there are.

    Parameters
    ----------
    devices : str, optional
        A number, or ``"auto"``.

    Returns
    -------
    int or "auto"
        As `emohelpers.training.on_devices` takes it.

    Raises
    ------
    ConfigurationError
        If it is neither, the backend is another one, or the environment does not say how to connect
        the processes.
    """
    if devices is None:
        return 1
    if devices != "auto" and not (devices.isdecimal() and int(devices) > 0):
        raise ConfigurationError(f"--devices {devices}: expected 1 or more, or 'auto'")
    wanted = devices if devices == "auto" else int(devices)
    several = _several_processes()
    if wanted == 1 and not several:
        return 1
    if find_spec("jax") is None:
        raise ConfigurationError(
            f"--devices {devices} needs JAX, which is not there: expected "
            "pip install 'emohelpers[jax]'"
        )
    # Of a process that has imported Keras already, `on_devices` says it.
    if "keras" not in sys.modules:
        backend = os.environ.setdefault("KERAS_BACKEND", "jax")
        if backend != "jax":
            raise ConfigurationError(
                f"--devices {devices} with KERAS_BACKEND={backend}: expected KERAS_BACKEND=jax, or "
                "none"
            )
    if several:
        from emohelpers import training

        training.join_processes()
    return wanted


@contextmanager
def failing_at_once() -> Iterator[None]:
    """Say what is wrong and end, where there are other processes: else JAX waits minutes for them.

    Raises
    ------
    Exception
        What the block raises, of a process that is by itself.
    """
    try:
        yield
    except Exception as error:
        from emohelpers import training

        if training.this_process().count == 1:
            raise
        user = isinstance(error, EmohelpersError | OSError)
        typer.echo(f"emohelpers: {error}" if user else traceback.format_exc(), err=True)
        os._exit(1)


def _several_processes() -> bool:
    """Say whether the environment tells of other processes; refuse one that tells half of it."""
    given = [name for name in _CLUSTER if os.environ.get(name)]
    if not given:
        # A batch script, which is one process, knows the number of tasks but is no step of srun.
        return "SLURM_STEP_NODELIST" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1
    missing = [name for name in _CLUSTER if name not in given]
    if missing:
        raise ConfigurationError(
            f"{given[0]} is set and {', '.join(missing)} not: expected all three"
        )
    count, index = (os.environ[name] for name in _CLUSTER[1:])
    if not (count.isdecimal() and index.isdecimal() and int(index) < int(count)):
        raise ConfigurationError(
            f"{_CLUSTER[1]}={count}, {_CLUSTER[2]}={index}: expected a number of processes, and "
            "which of them this is, from 0"
        )
    return int(count) > 1

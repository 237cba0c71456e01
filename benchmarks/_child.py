"""Measurements in a process of their own, since TensorFlow fixes once how many cores it takes."""

import json
import os
import subprocess
import sys
from typing import Any

__all__ = ["environment", "in_child", "keep_to"]


def environment(cores: int) -> dict[str, str]:
    """Return this process's environment for a child whose libraries take so many cores.

    The number also stands in ``BENCHMARK_CORES``.
    """
    threads = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    return {
        **os.environ,
        **dict.fromkeys((*threads, "BENCHMARK_CORES"), str(cores)),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def keep_to(cores: int) -> None:
    """Keep this process to so many cores, where the system can: not all libraries heed a number."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def in_child(module: str, task: str, *arguments: object, cores: int = 2) -> Any:
    """Run a module with a task and its arguments, and return what its last line says as JSON.

    Parameters
    ----------
    module : str
        Of the benchmarks, which runs a task when it is the main one.
    task : str
        The first argument.
    *arguments : object
        The others, as text.
    cores : int
        See `environment`.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, task, *map(str, arguments)],
        env=environment(cores),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])

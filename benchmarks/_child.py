"""Measurements in a process of their own, since TensorFlow fixes once how many cores it takes."""

import json
import os
import subprocess
import sys
from typing import Any

__all__ = ["in_child"]


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
        Threads of the libraries; also in the environment variable ``BENCHMARK_CORES``.
    """
    threads = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    environment = {
        **os.environ,
        **dict.fromkeys((*threads, "BENCHMARK_CORES"), str(cores)),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, task, *map(str, arguments)],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])

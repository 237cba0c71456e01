"""Measurements in a process of their own, with two cores for TensorFlow."""

import json
import os
import subprocess
import sys

__all__ = ["in_child"]


def in_child(module: str, task: str, *arguments: object) -> dict[str, float]:
    """Run a module with a task and its arguments, and return what its last line says as JSON."""
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTRAOP_THREADS": "2",
        "TF_NUM_INTEROP_THREADS": "2",
        "OMP_NUM_THREADS": "2",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, task, *map(str, arguments)],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])

"""The loss of each step on several devices and in two processes, against that on one device.

A compact network learns from toy faces with all that makes a step depend on the whole batch and on
random draws: batch normalisation, dropout, augmentation, mixup. The devices are virtual, all on
the cores of this machine: that the steps are the same is measured, not speed.

Each step is taken twice: from the state that one device had before it, which tells whether it is
the same step; and from where the devices' own training has got to, which tells how rounding grows.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

STEPS = 20
FACES, BATCH = 640, 64
SCORED = 251  # divides by none of the numbers of devices
# Devices of each process, and processes.
WAYS = {"1 device": (1, 1), "2 devices": (2, 1), "4 devices": (4, 1), "2 processes": (1, 2)}


def main(data: Path | None = None) -> None:  # noqa: ARG001
    """Print the largest relative differences of losses and of changes of the weights."""
    with tempfile.TemporaryDirectory() as folder:
        for devices, processes in WAYS.values():
            _in_children(Path(folder), devices, processes)
        print(
            f"{STEPS} steps of {BATCH} toy faces, each validated on {SCORED}; largest relative "
            "difference from 1 device"
        )
        print(f"{'':14}{'from the same state:':38}from its own:")
        print(f"{'':14}{'loss':>10}{'validation':>12}{'change':>10}{'loss':>16}{'validation':>12}")
        one = _history(Path(folder) / "own-1-1")
        for way, (devices, processes) in list(WAYS.items())[1:]:
            same, own = (
                _history(Path(folder) / f"{kind}-{devices}-{processes}") for kind in ("same", "own")
            )
            change = json.loads((Path(folder) / f"same-{devices}-{processes}.json").read_text())
            print(
                f"  {way:12}{_largest(one, same, 'loss'):10.1e}"
                f"{_largest(one, same, 'val_loss'):12.1e}{max(change):10.1e}"
                f"{_largest(one, own, 'loss'):16.1e}{_largest(one, own, 'val_loss'):12.1e}"
            )


def _largest(one: list[dict[str, float]], other: list[dict[str, float]], name: str) -> float:
    return max(abs(b[name] / a[name] - 1) for a, b in zip(one, other, strict=True))


def _in_children(folder: Path, devices: int, processes: int) -> None:
    """Train in so many child processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    name = f"{devices}-{processes}"
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.devices", str(folder), name]
    children = []
    for index in range(processes):
        cluster = {
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
            "KERAS_DISTRIBUTION_NUM_PROCESSES": str(processes),
            "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
        }
        children.append(
            subprocess.Popen(
                command,
                env={**environment, **(cluster if processes > 1 else {})},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for child in children:
        _, errors = child.communicate()
        if child.returncode:
            raise RuntimeError(errors)


def _history(folder: Path) -> list[dict[str, float]]:
    """Return the figures of each step, which ``history.csv`` has rounded."""
    import numpy as np

    with np.load(folder / "state.npz") as state:
        return json.loads(str(state["about"]))["history"]


def _states(folder: Path, *, kept: bool) -> Any:
    """Return a callback that keeps the state before each step, or takes up the one that was kept.

    Its ``change`` is how far each step led from where the kept one led, as a share of its way.
    """
    import keras
    import numpy as np

    class States(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.change: list[float] = []

        def variables(self) -> list[Any]:
            return [*self.model.variables, *self.model.optimizer.variables]

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if kept:
                for variable, value in zip(self.variables(), self.load(epoch), strict=True):
                    variable.assign(value)
            else:
                self.save(epoch)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if not kept:
                self.save(epoch + 1)
                return
            places = [id(variable) for variable in self.model.trainable_variables]
            off = way = 0.0
            states = (self.load(epoch), self.load(epoch + 1))
            for variable, before, after in zip(self.variables(), *states, strict=True):
                if id(variable) in places:
                    off += np.square(np.asarray(variable) - after).sum()
                    way += np.square(after - before).sum()
            self.change.append(float(np.sqrt(off / way)))

        def save(self, step: int) -> None:
            np.savez(folder / f"step{step}.npz", *map(np.asarray, self.variables()))

        def load(self, step: int) -> list[np.ndarray]:
            with np.load(folder / f"step{step}.npz") as file:
                return [file[name] for name in file.files]

    return States()


def train(folder: Path, name: str) -> None:
    """Train on all devices that there are, one step an epoch."""
    from dataclasses import replace

    import keras

    from emohelpers import augmentation, datasets, models, training

    if "KERAS_DISTRIBUTION_PROCESS_ID" in os.environ:
        training.join_processes()
    faces = datasets.make_faces(FACES + SCORED, seed=0, emotions=datasets.EMOTIONS[:7])
    split = ["train"] * FACES + ["validation"] * SCORED
    faces = replace(faces, table=faces.table.assign(split=split))
    alone = name == "1-1"
    for kind in ("own",) if alone else ("own", "same"):
        states = _states(folder, kept=not alone)
        keras.utils.set_random_seed(0)
        with training.on_devices("auto"):
            training.fit(
                models.compact_cnn(widths=(12, 16, 32, 64), dropout=0.3),
                faces.split("train"),
                faces.split("validation"),
                directory=folder / f"{kind}-{name}",
                epochs=STEPS,
                steps_per_epoch=1,
                batch_size=BATCH,
                optimizer=keras.optimizers.SGD(0.05, momentum=0.9),
                augmentation=augmentation.pipeline("light", seed=0),
                mixup=0.2,
                label_smoothing=0.1,
                callbacks=[states] if alone or kind == "same" else [],
                verbose=0,
            )
    if not alone and training.this_process().index == 0:
        (folder / f"same-{name}.json").write_text(json.dumps(states.change))


if __name__ == "__main__":
    train(Path(sys.argv[1]), sys.argv[2])

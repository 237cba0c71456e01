"""The state of a training on disk, so that it can go on where it was cut off."""

import hashlib
import io
import json
import os
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError
from emohelpers.training._processes import read_by_first, this_process

__all__ = ["HISTORY_COLUMNS", "Recorder", "signature"]

HISTORY_COLUMNS = (
    "epoch",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "seconds",
)
"""The columns of ``history.csv``; epochs count from 1."""

_STATE = "state.npz"
_HASHED_AT_ONCE = 2**16


class Recorder(keras.callbacks.Callback):
    """Keep what has to survive: weights, optimiser and random state, history, best weights."""

    def __init__(
        self,
        directory: Path,
        *,
        signature: str,
        monitor: str,
        patience: int,
        columns: Sequence[str] = HISTORY_COLUMNS,
    ) -> None:
        super().__init__()
        self.directory = directory
        self.columns = columns
        self.signature = signature
        self.monitor = monitor
        self.patience = patience
        self.history: list[dict[str, float]] = []
        self.best: list[np.ndarray] = []
        self.scored: list[np.ndarray] = []
        self.started = 0.0

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, whose monitored value is the best; 0 before the first."""
        if not self.history:
            return 0
        values = [row[self.monitor] for row in self.history]
        pick = np.nanargmin if self.monitor.endswith("loss") else np.nanargmax
        return int(pick(values)) + 1 if not np.isnan(values).all() else 1

    @property
    def finished(self) -> bool:
        """Whether as many epochs as `patience` have gone by without a better one."""
        return bool(self.patience) and len(self.history) - self.best_epoch >= self.patience

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.started = time.perf_counter()

    def on_test_end(self, logs: Any = None) -> None:
        # With an exponential moving average these are the averaged weights, before they are
        # swapped back: exactly what the validation figures belong to.
        self.scored = [np.array(value) for value in self.model.get_weights()]

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        row = {name: float(value) for name, value in (logs or {}).items()}
        row["epoch"] = epoch + 1
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        row["seconds"] = round(time.perf_counter() - self.started, 2)
        self.history.append({name: row[name] for name in self.columns})
        if self.best_epoch == epoch + 1 or not self.best:
            self.best = self.scored
        self.write()
        if self.finished:
            self.model.stop_training = True

    def write(self) -> None:
        """Write the state, then the history; a kill between the two loses nothing."""
        if this_process().index:
            return
        arrays = {
            f"{group}/{number:04d}": keras.ops.convert_to_numpy(variable)
            for group, variables in _state(self.model).items()
            for number, variable in enumerate(variables)
        }
        arrays |= {f"best/{number:04d}": value for number, value in enumerate(self.best)}
        about = {"signature": self.signature, "history": self.history}
        arrays["about"] = np.array(json.dumps(about))
        # Always the same name, so that a killed process leaves one such file and not many.
        temporary = self.directory / f"{_STATE}.tmp"
        with temporary.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.directory / _STATE)
        self.write_history()

    def write_history(self) -> None:
        if this_process().index:
            return
        temporary = self.directory / "history.csv.tmp"
        self.table().to_csv(temporary, index=False)
        temporary.replace(self.directory / "history.csv")

    def table(self) -> pd.DataFrame:
        table = pd.DataFrame(self.history, columns=list(self.columns))
        return table.astype({"epoch": int}).round(6)

    def restore(self) -> None:
        """Take up the state that an earlier run left in the directory, if there is one."""
        path = self.directory / _STATE
        try:
            content = read_by_first(path)
            if content is None:
                return
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = dict(file)
            about = json.loads(str(arrays.pop("about")))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ConfigurationError(
                f"{path} is damaged ({error}): delete it to start this training again"
            ) from error
        if about["signature"] != self.signature:
            raise ConfigurationError(
                f"{path} belongs to a training with another network, optimiser, schedule, data or "
                "seed: continue it with the same arguments (a falling learning rate also depends "
                "on the number of epochs), or choose another directory"
            )
        for group, variables in _state(self.model).items():
            for number, variable in enumerate(variables):
                variable.assign(arrays[f"{group}/{number:04d}"])
        self.best = [arrays[name] for name in sorted(arrays) if name.startswith("best/")]
        self.history = about["history"]
        self.write_history()


def _state(model: Any) -> dict[str, list[Any]]:
    """All that a step of training reads and changes: weights, random states, optimiser."""
    return {"model": list(model.variables), "optimizer": list(model.optimizer.variables)}


def signature(
    model: Any,
    train: FaceDataset,
    validation: FaceDataset,
    targets: Any,
    options: Mapping[str, Any],
) -> str:
    """Digest what has to be the same for a training to be the same."""
    # Names are left out: Keras numbers them anew for each network of a process.
    shapes = {
        group: [list(variable.shape) for variable in variables]
        for group, variables in _state(model).items()
    }
    settings = [
        {key: value for key, value in part.get_config().items() if key != "name"}
        for part in (model.optimizer, *_leaves(model))
    ]
    data = hashlib.sha256()
    for start in range(0, len(targets), _HASHED_AT_ONCE):
        data.update(np.ascontiguousarray(targets[start : start + _HASHED_AT_ONCE]).data)
    for part in (train, validation):
        data.update(repr(part.images.shape).encode())
        data.update(np.ascontiguousarray(part.labels).data)
        # Some images tell one source from another; reading all would take as long as an epoch.
        for row in range(0, len(part), max(1, len(part) // 32)):
            data.update(np.ascontiguousarray(part.images[row]).tobytes())
    # Whatever is not JSON counts by its kind: its address would differ in each process.
    text = json.dumps(
        [shapes, settings, data.hexdigest(), options], default=lambda value: type(value).__name__
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _leaves(layer: Any) -> Iterator[Any]:
    """Walk the layers that hold no others."""
    inner = getattr(layer, "layers", None)
    if inner is None:
        yield layer
    for one in inner or ():
        yield from _leaves(one)

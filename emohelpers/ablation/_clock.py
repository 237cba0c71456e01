"""How much of the processor's time a training takes, also when it was stopped in between."""

import json
import time
from pathlib import Path
from typing import Any

import keras

from emohelpers._replacing import replacing

__all__ = ["Clock"]


class Clock(keras.callbacks.Callback):
    """Note the processor's time that each epoch trained, without the scoring after it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.seconds: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch, self.started = epoch, time.process_time()

    def on_test_begin(self, logs: Any = None) -> None:
        # Before the state is written: an epoch that a stop cuts off here is trained again.
        self.seconds[str(self.epoch)] = round(time.process_time() - self.started, 3)
        with replacing(self.path) as beside:
            beside.write_text(json.dumps(self.seconds))

"""The share of a training step that waits for its images: `fer-deeper` on two cores.

The clock runs in a real `training.fit` of the recipe, from when the step asks for its batch until
it has it: what reading, shuffling, mixup and handing over take longer than the step before. Batches
are made ahead, in time of the same two cores, which is measured as well. Augmentation is part of
the step, on the device that trains; steps without it tell what it takes. That waiting would be
seen, batches show that come half a second late.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks._child import in_child
from benchmarks.deeper_epoch import RECIPE, computes_bfloat16, fit_recipe, recipe_faces

# Batches are made ahead while the graph is traced: the first ones wait for nothing.
WARM_UP, STEPS = 12, 40
LATE_SECONDS = 0.5


class Waits:
    """Adds up how long a training step waits for its batch.

    Parameters
    ----------
    clock : callable
        Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds = 0.0
        self._clock = clock

    def around(self, train_function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return a Keras ``train_function`` that gets its batches by way of this clock."""
        return lambda iterator: train_function(self._timed(iterator))

    def _timed(self, iterator: Iterator[Any]) -> Iterator[Any]:
        while True:
            started = self._clock()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            finally:
                self.seconds += self._clock() - started
            yield batch


def main(data: Path | None = None) -> None:
    """Print milliseconds of a step and the share of it that waits.

    Parameters
    ----------
    data : Path, optional
        FER2013's CSV; toy faces unless given.
    """
    ways = {"float32": ("as_it_is", "float32")}
    if computes_bfloat16():
        ways["mixed_bfloat16"] = ("as_it_is", "mixed_bfloat16")
    fastest = list(ways)[-1]
    for label, task in {
        "without augmentation": "unchanged",
        f"batches {LATE_SECONDS} s late": "late",
    }.items():
        ways[f"{fastest}, {label}"] = (task, fastest)
    title = f"{RECIPE}, two cores, {STEPS} steps"
    print(f"{title:40}{'ms a step':>11}{'waits':>9}  a batch made in")
    with tempfile.TemporaryDirectory() as cache:
        in_child(__spec__.name, "prepare", cache, data or "")
        for label, (task, precision) in ways.items():
            child = in_child(__spec__.name, task, cache, data or "", precision)
            print(
                f"{label:40}{child['step'] * 1e3:11.1f}{child['share']:9.2%}"
                f"{child['made'] * 1e3:13.1f} ms"
            )


def prepare(cache: str, data: str) -> dict[str, float]:
    return {"images": len(recipe_faces(cache, data)[0])}


def as_it_is(
    cache: str, data: str, precision: str, *, augmented: bool = True, late: float = 0.0
) -> dict[str, float]:
    """Train, and return seconds of a step and of making a batch, and the share that waits."""
    import keras

    from emohelpers.training._batches import Batches

    made: list[float] = []
    make = Batches.__getitem__

    def measured(batches: Batches, index: int) -> Any:
        started = time.thread_time()
        batch = make(batches, index)
        if batches.seed is not None:  # not those to validate with
            made.append(time.thread_time() - started)
            time.sleep(late)
        return batch

    Batches.__getitem__ = measured  # type: ignore[method-assign]

    class Meter(keras.callbacks.Callback):
        waits, began, waited, step, share = Waits(), 0.0, 0.0, 0.0, 0.0

        def on_train_begin(self, logs: Any = None) -> None:
            self.model.train_function = self.waits.around(self.model.train_function)

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if batch == WARM_UP:
                self.began, self.waited = time.perf_counter(), self.waits.seconds

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == WARM_UP + STEPS - 1:
                seconds = time.perf_counter() - self.began
                self.step = seconds / STEPS
                self.share = (self.waits.seconds - self.waited) / seconds

    meter = Meter()
    fit_recipe(cache, data, precision, steps=WARM_UP + STEPS, callback=meter, augmented=augmented)
    return {"step": meter.step, "share": meter.share, "made": sum(made) / len(made)}


def unchanged(cache: str, data: str, precision: str) -> dict[str, float]:
    return as_it_is(cache, data, precision, augmented=False)


def late(cache: str, data: str, precision: str) -> dict[str, float]:
    """Let the making of each batch take longer than a step."""
    return as_it_is(cache, data, precision, late=LATE_SECONDS)


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    print(json.dumps(globals()[task](*arguments)))

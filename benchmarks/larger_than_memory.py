"""Training from a cache of any size: images a second, and the memory that it takes.

Each set is written by the package's own cache in a folder that is gone afterwards, drawn from a few
thousand toy faces that are mirrored, shifted, lightened and darkened anew. A fresh process opens
it, divides it and trains by `training.fit`; of the images nothing is in the system's cache when it
starts. A small set tells what the process takes whatever the number of images.

``EMO_BENCH_FACES`` asks for other numbers of images than 100,000, for instance
``EMO_BENCH_FACES="100000 1000000 10000000"`` (23 GB of disk, eight minutes).
"""

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._child import in_child

# Nothing large is imported here: a child's peak begins at what its parent holds.

BASE, DRAWN, WRITTEN_AT_ONCE = 1_000, 4_000, 4_096
VALIDATED, BATCH = 512, 128
FEWEST_STEPS, MOST_STEPS = 1_000, 10_000
CLASSES = 7


def main(data: Path | None = None) -> None:  # noqa: ARG001
    """Print a line for each number of images, and what an image more takes."""
    asked = os.environ.get("EMO_BENCH_FACES", "100000")
    measured = {}
    print(f"{'faces':>11}{'GB':>7}{'steps':>7}{'images/s':>10}{'MB at most':>12}  of them files")
    for n in (BASE, *map(int, asked.split())):
        with tempfile.TemporaryDirectory() as cache:
            in_child(__spec__.name, "build", cache, n)
            measured[n] = done = in_child(__spec__.name, "train", cache, n)
        print(
            f"{n:11,}{done['bytes'] / 1e9:7.2f}{done['steps']:7,.0f}{done['rate']:10,.0f}"
            f"{done['VmHWM']:12,.0f}{done['RssFile']:15,.0f}"
        )
    strays, chance = _mixed()
    print(
        f"  of a set sorted by class, the share of one in a batch strays by {strays:.4f} "
        f"({chance:.4f} if drawn at random)"
    )
    most = max(measured)
    if most > BASE:
        grown = (measured[most]["VmHWM"] - measured[BASE]["VmHWM"]) * 2**20 / (most - BASE)
        print(f"  a face more: {grown:.0f} bytes of memory (its pixels are 2,304)")


def _faces(cache: str, n: int) -> Any:
    """Open the set, after building it if it is not there."""
    from emohelpers.datasets import EMOTIONS
    from emohelpers.datasets._cache import open_dataset

    def build(writer: Any) -> Any:
        import numpy as np
        import pandas as pd

        from emohelpers.datasets._cache import Built

        labels = np.empty(n, np.int64)
        for start, images, of_them in _varied(n):
            writer.append(images)
            labels[start : start + len(of_them)] = of_them
        names = np.array(EMOTIONS)[labels]
        table = pd.DataFrame(
            {
                "split": pd.Categorical.from_codes(_splits(n), ["train", "validation"]),
                "file": [f"{name}/{row:09}.png" for row, name in enumerate(names)],
            }
        )
        return Built(table, labels, EMOTIONS[:CLASSES])

    return open_dataset(cache, {"name": "varied", "n": n}, build)


def _splits(n: int) -> Any:
    """Let the last images validate, equally many of each set."""
    import numpy as np

    return np.where(np.arange(n) < n - VALIDATED, np.int8(0), np.int8(1))


def _varied(n: int) -> Iterator[tuple[int, Any, Any]]:
    """Yield where a batch begins, its images and their labels."""
    import numpy as np

    from emohelpers import datasets

    drawn = datasets.make_faces(DRAWN, seed=0).keep_classes(datasets.EMOTIONS[:CLASSES])
    faces = np.asarray(drawn.images)
    for start in range(0, n, WRITTEN_AT_ONCE):
        rng = np.random.default_rng(start)
        rows = rng.integers(0, len(faces), min(WRITTEN_AT_ONCE, n - start))
        images = np.roll(faces[rows], rng.integers(-4, 5, 2), axis=(1, 2))
        images = images[:, :, :: rng.choice([-1, 1])]
        lighter = rng.integers(-40, 41, (len(rows), 1, 1, 1))
        yield start, np.clip(images + lighter, 0, 255).astype(np.uint8), drawn.labels[rows]


def _mixed() -> tuple[float, float]:
    """Return how far shares of a class stray in batches of a sorted set, and if drawn at random."""
    from emohelpers.training._order import pass_order

    n = 15_625 * BATCH
    rows = pass_order(n, 48 * 48, seed=0).rows(0, 0, n)
    shares = (rows.reshape(-1, BATCH) < n // CLASSES).mean(axis=1)
    return float(shares.std()), (1 / CLASSES * (1 - 1 / CLASSES) / BATCH) ** 0.5


def build(cache: str, n: str) -> dict[str, float]:
    return {"images": len(_faces(cache, int(n)))}


def train(cache: str, n: str) -> dict[str, float]:
    """Train an epoch, or a number of steps over all of the set, and watch the memory."""
    # As where the extra is not installed: Keras would import it, unused, over 100 MB of it.
    sys.modules["jax"] = None  # type: ignore[assignment]
    import keras

    from emohelpers import augmentation, models, training

    for file in Path(cache).glob("*/images.npy"):
        if hasattr(os, "posix_fadvise"):
            with file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    peaks: dict[str, float] = {}
    over = threading.Event()
    watching = threading.Thread(target=_watch, args=(peaks, over), daemon=True)
    watching.start()
    faces = _faces(cache, int(n))
    learned, validation = faces.split("train"), faces.split("validation")
    steps = min(max(FEWEST_STEPS, len(learned) // BATCH), MOST_STEPS)
    ticks: list[float] = []

    class Ticks(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            ticks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as directory:
        training.fit(
            models.baseline_cnn(n_classes=CLASSES, filters=(8, 16, 32), units=32),
            learned,
            validation,
            directory=directory,
            epochs=1,
            batch_size=BATCH,
            augmentation=augmentation.pipeline("light"),
            steps_per_epoch=steps,
            callbacks=[Ticks()],
            verbose=0,
        )
    over.set()
    watching.join()
    rate = (len(ticks) - 1) * BATCH / (ticks[-1] - ticks[0])
    return {"rate": rate, "steps": steps, "bytes": faces.images.nbytes, **peaks}


def _watch(peaks: dict[str, float], over: threading.Event) -> None:
    """Keep the largest of each kind of resident memory, in MiB, until it is over (Linux)."""
    status = Path("/proc/self/status")
    kinds = ("VmHWM", "RssAnon", "RssFile")
    peaks.update(dict.fromkeys(kinds, float("nan")))
    while not over.wait(0.02) and status.exists():
        for line in status.read_text().splitlines():
            kind, _, value = line.partition(":")
            if kind in kinds:
                peaks[kind] = max(int(value.split()[0]) / 1024, peaks[kind])


if __name__ == "__main__":
    print(json.dumps({"build": build, "train": train}[sys.argv[1]](*sys.argv[2:])))

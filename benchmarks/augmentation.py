"""Images a second through augmentation, against Keras's own ways with the same transforms.

`ImageDataGenerator` draws on as many threads as there are cores, which `model.fit` calls workers.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.pool import ThreadPool
from pathlib import Path

from benchmarks._child import environment, keep_to

BATCH = (128, 48, 48, 1)
SECONDS = 1.5


def main(data: Path | None = None) -> None:  # noqa: ARG001
    """Measure in a process for each number of cores, since TensorFlow fixes it once."""
    for cores in sorted({1, min(2, os.cpu_count() or 1)}):
        print(f"{cores} core{'s' if cores > 1 else ''}, batches of {BATCH[0]} grey 48x48 images:")
        sys.stdout.flush()
        code = f"from benchmarks.augmentation import measure; measure({cores})"
        subprocess.run([sys.executable, "-c", code], env=environment(cores), check=True)


def measure(cores: int) -> None:
    """Print a line for each way."""
    keep_to(cores)
    import keras
    import numpy as np
    import tensorflow as tf
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    from emohelpers.augmentation import pipeline

    images = np.random.default_rng(0).integers(0, 256, BATCH, dtype=np.uint8)

    def compiled(layer: keras.Layer) -> Callable[[], object]:
        step = tf.function(lambda batch: layer(batch, training=True))
        batch = tf.constant(images)
        return lambda: step(batch).numpy()

    own = {name: compiled(pipeline(name, seed=0)) for name in ("light", "fer", "smile")}
    # The five geometric changes in each way's own words, as nearly the same as they allow.
    geometry = pipeline(None, seed=0, flip=True, rotation=12, shift=0.1, zoom=0.1, shear=8)
    layers = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(12 / 360),
            keras.layers.RandomTranslation(0.1, 0.1),
            keras.layers.RandomZoom(0.1),
            keras.layers.RandomShear(0.1, 0.1),
        ]
    )
    generator = ImageDataGenerator(
        horizontal_flip=True,
        rotation_range=12,
        width_shift_range=0.1,
        height_shift_range=0.1,
        zoom_range=0.1,
        shear_range=8,
    ).flow(images, batch_size=BATCH[0])
    threads = ThreadPool(cores)
    ways = {
        **{f"preset {name}": way for name, way in own.items()},
        "geometry: emohelpers": compiled(geometry),
        "geometry: five Keras layers": compiled(layers),
        "geometry: ImageDataGenerator": lambda: threads.map(
            lambda _: next(generator), range(cores)
        ),
    }
    rates = {}
    for name, way in ways.items():
        rates[name] = _rate(way, batches=cores if "Generator" in name else 1)
        print(f"  {name:<30} {rates[name]:9,.0f} images a second")
    times = rates["geometry: emohelpers"] / rates["geometry: ImageDataGenerator"]
    print(f"  of the same transforms ours does {times:.1f} times as many as ImageDataGenerator")


def _rate(way: Callable[[], object], *, batches: int) -> float:
    way()
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        way()
        done += batches
    return done * BATCH[0] / (time.perf_counter() - started)


if __name__ == "__main__":
    main()

"""Images a second through augmentation, against Keras's own ways with the same transforms."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

BATCH = (128, 48, 48, 1)
SECONDS = 1.5


def main(data: Path | None = None) -> None:  # noqa: ARG001
    """Measure in a process for each number of cores, since TensorFlow fixes it once."""
    for cores in sorted({1, min(2, os.cpu_count() or 1)}):
        print(f"{cores} core{'s' if cores > 1 else ''}, batches of {BATCH[0]} grey 48x48 images:")
        sys.stdout.flush()
        environment = {
            **os.environ,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_NUM_INTRAOP_THREADS": str(cores),
            "TF_NUM_INTEROP_THREADS": str(cores),
            "OMP_NUM_THREADS": str(cores),
        }
        code = "from benchmarks.augmentation import measure; measure()"
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def measure() -> None:
    """Print a line for each way."""
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
    ways = {
        **{f"preset {name}": way for name, way in own.items()},
        "geometry: emohelpers": compiled(geometry),
        "geometry: five Keras layers": compiled(layers),
        "geometry: ImageDataGenerator": lambda: next(generator),
    }
    for name, way in ways.items():
        print(f"  {name:<30} {_rate(way):9,.0f} images a second")


def _rate(way: Callable[[], object]) -> float:
    way()
    batches, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        way()
        batches += 1
    return batches * BATCH[0] / (time.perf_counter() - started)


if __name__ == "__main__":
    main()

"""An epoch of `fer-deeper`: as `emohelpers train` computes it, and fed the common way.

Each way trains the same network on two cores in a process of its own, on all but the first few
batches of a piece of an epoch; its seconds are scaled to a whole one. The common ways hold the
training images as float32, use Keras's own batch normalisation and differ in augmentation: none,
or the geometric part of the recipe's by `ImageDataGenerator`, whose brightness takes longer still.
Ours maps the images from disk and does all that the recipe does: augmentation, mixup and averaged
weights.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._child import in_child
from benchmarks.fer2013_parse import _peak_megabytes

# Nothing large is imported here: a child's peak begins at what its parent holds.

RECIPE = "fer-deeper"
# Batches are made ahead while the graph is traced: the first ones wait for nothing.
WARM_UP, STEPS = 12, 25


def main(data: Path | None = None) -> None:
    """Print seconds and megabytes of each way, side by side.

    Parameters
    ----------
    data : Path, optional
        FER2013's CSV; toy faces unless given.
    """
    ways = {
        "float arrays, no augmentation": ("common", ""),
        "ImageDataGenerator": ("common", "ImageDataGenerator"),
        "emohelpers, float32": ("ours", "float32"),
    }
    if computes_bfloat16():
        ways["emohelpers, mixed_bfloat16"] = ("ours", "mixed_bfloat16")
    with tempfile.TemporaryDirectory() as cache:
        images = int(in_child(__spec__.name, "prepare", cache, data or "")["images"])
        print(
            f"{images:,} {'images of FER2013' if data else 'toy faces'} an epoch, two cores; "
            f"{STEPS} batches measured and scaled"
        )
        print(f"{'':32}{'seconds':>9}{'images/s':>10}{'MB at most':>12}  times as fast as")
        rates: list[float] = []
        for label, (task, option) in ways.items():
            child = in_child(__spec__.name, task, cache, data or "", option)
            rates.append(child["rate"])
            seconds = images / child["rate"]
            against = " and ".join(f"{child['rate'] / rate:.2f}" for rate in rates[:2])
            print(f"{label:32}{seconds:9.1f}{child['rate']:10.0f}{child['peak']:12,.0f}  {against}")
    print("  (as fast as: float arrays, and ImageDataGenerator)")
    if not computes_bfloat16():
        print("  mixed_bfloat16 left out: this processor does not compute in it")


def computes_bfloat16() -> bool:
    flags = Path("/proc/cpuinfo")
    return flags.exists() and "_bf16" in flags.read_text()


def recipe_faces(cache: str, data: str) -> tuple[Any, Any]:
    """Return what the recipe trains on, and a few faces to validate with."""
    from emohelpers import datasets, evaluation

    faces = (
        datasets.load("fer2013", data, cache=cache)
        if data
        else datasets.load("toyfaces", n=12_000, seed=0, cache=cache)
    ).keep_classes(datasets.EMOTIONS[:7])
    return evaluation.training_rows(faces), faces.split("validation").select(range(128))


def prepare(cache: str, data: str) -> dict[str, float]:
    """Fill the cache, whose making is measured elsewhere."""
    return {"images": len(recipe_faces(cache, data)[0])}


def _stopwatch(batch_size: int) -> Any:
    """Return a callback whose ``rate`` is the images a second after the warm-up."""
    import keras

    class Stopwatch(keras.callbacks.Callback):
        batches, started, rate = 0, 0.0, 0.0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.batches += 1
            if self.batches == WARM_UP:
                self.started = time.perf_counter()
            elif self.batches == WARM_UP + STEPS:
                self.rate = STEPS * batch_size / (time.perf_counter() - self.started)

    return Stopwatch()


def common(cache: str, data: str, generator_name: str) -> dict[str, float]:
    """Train from float32 in memory."""
    import keras
    import numpy as np
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    from emohelpers import models, recipes

    recipe = recipes.get(RECIPE)
    train, validation = recipe_faces(cache, data)
    images = np.asarray(train.images).astype("float32")
    targets = keras.utils.to_categorical(train.labels, 7)
    network = models.portable(models.deeper_cnn(**recipe.network_options))
    network.compile(
        optimizer=keras.optimizers.SGD(recipe.learning_rate, momentum=0.9, nesterov=True),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
    )
    watch = _stopwatch(recipe.batch_size)
    options = {
        "steps_per_epoch": WARM_UP + STEPS,
        "validation_data": (
            np.asarray(validation.images).astype("float32"),
            keras.utils.to_categorical(validation.labels, 7),
        ),
        "callbacks": [watch],
        "verbose": 0,
    }
    if generator_name:
        generator = ImageDataGenerator(
            horizontal_flip=True,
            rotation_range=12,
            width_shift_range=0.1,
            height_shift_range=0.1,
            zoom_range=0.2,
        )
        network.fit(generator.flow(images, targets, batch_size=recipe.batch_size), **options)
    else:
        network.fit(images, targets, batch_size=recipe.batch_size, **options)
    return {"rate": watch.rate, "peak": _peak_megabytes()}


def ours(cache: str, data: str, precision: str) -> dict[str, float]:
    """Train from the memory map, as the recipe does."""
    from emohelpers import recipes

    watch = _stopwatch(recipes.get(RECIPE).batch_size)
    fit_recipe(cache, data, precision, steps=WARM_UP + STEPS, callback=watch)
    return {"rate": watch.rate, "peak": _peak_megabytes()}


def fit_recipe(
    cache: str, data: str, precision: str, *, steps: int, callback: Any, augmented: bool = True
) -> None:
    """Train some steps of an epoch by `training.fit`, as the recipe says."""
    import keras
    import numpy as np

    from emohelpers import augmentation, models, recipes, training

    recipe = recipes.get(RECIPE)
    train, validation = recipe_faces(cache, data)
    np.asarray(train.images).max()  # a whole epoch would have read every page of the map
    with models.precision(precision):
        network = models.deeper_cnn(**recipe.network_options)
    rows = np.linspace(0, len(train) - 1, recipe.batch_size * steps).astype(int)
    layers = augmentation.pipeline(recipe.augmentation, **recipe.augmentation_options)
    with tempfile.TemporaryDirectory() as directory:
        training.fit(
            network,
            train.select(rows),
            validation,
            directory=directory,
            epochs=1,
            batch_size=recipe.batch_size,
            optimizer=keras.optimizers.SGD(recipe.learning_rate, **recipe.optimizer_options),
            augmentation=layers if augmented else None,
            label_smoothing=recipe.label_smoothing,
            mixup=recipe.mixup,
            callbacks=[callback],
            verbose=0,
        )


_TASKS: dict[str, Callable[..., dict[str, float]]] = {
    "prepare": prepare,
    "common": common,
    "ours": ours,
}

if __name__ == "__main__":
    print(json.dumps(_TASKS[sys.argv[1]](*sys.argv[2:])))

"""Images a second that two networks train on: Keras's batch normalisation and the fused one."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._child import environment

BATCH = 128
WARM_UP, STEPS = 3, 12


def main(data: Path | None = None) -> None:  # noqa: ARG001
    """Measure in a process of one core."""
    code = "from benchmarks.batch_norm import measure; measure()"
    subprocess.run([sys.executable, "-c", code], env=environment(1), check=True)


def measure() -> None:
    """Print a line for each kind of layer and precision."""
    import keras

    from emohelpers import models

    print(f"one core, batches of {BATCH} grey 48x48 images:")
    kinds = (keras.layers.BatchNormalization, models.FusedBatchNormalization)
    for build in (models.compact_cnn, models.deeper_cnn):
        for precision in ("float32", "mixed_bfloat16"):
            plain, fused = (_rate(build, kind, precision) for kind in kinds)
            print(
                f"  {build.__name__:<12} {precision:<15} {plain:6.0f} by Keras's layer, "
                f"{fused:6.0f} by the fused one: {fused / plain:.2f} times"
            )


def _rate(build: Callable[[], Any], kind: Any, precision: str) -> float:
    import keras
    import numpy as np

    from emohelpers import models

    def chosen(layer: Any) -> Any:
        own = isinstance(layer, keras.layers.BatchNormalization)
        return (kind if own else type(layer)).from_config(layer.get_config())

    with models.precision(precision):
        network = keras.models.clone_model(build(), clone_function=chosen)
    network.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (BATCH, 48, 48, 1)).astype("float32")
    labels = rng.integers(0, 7, BATCH)
    for step in range(WARM_UP + STEPS):
        if step == WARM_UP:
            started = time.perf_counter()
        network.train_on_batch(images, labels)
    return STEPS * BATCH / (time.perf_counter() - started)


if __name__ == "__main__":
    main()

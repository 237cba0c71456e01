"""A small training in a process of its own, which the tests of `training` start and kill.

``python training_run.py DIRECTORY EPOCHS [STOP_EPOCH]``: with a stop epoch, it says so on standard
output in the middle of that epoch and waits there for its end.
"""

import sys

import keras
import numpy as np

from emohelpers import augmentation, datasets, models, training


class Halt(keras.callbacks.Callback):
    """Stand still in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch, self.now = epoch, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.now == self.epoch and batch == 1:
            print("halted", flush=True)
            sys.stdin.read()


def main(directory, epochs, stop=None):
    faces = datasets.make_faces(160, size=24, seed=3)
    keras.utils.set_random_seed(5)
    model = models.baseline_cnn((24, 24, 1), 7, filters=(4, 8, 8), units=16)
    rate = keras.optimizers.schedules.CosineDecay(0.01, 5 * 4)
    history = training.fit(
        model,
        faces.select(np.arange(120)),
        faces.select(np.arange(120, 160)),
        directory=directory,
        epochs=int(epochs),
        batch_size=32,
        optimizer=keras.optimizers.Adam(rate, use_ema=True, ema_momentum=0.9),
        augmentation=augmentation.pipeline("light", seed=1),
        label_smoothing=0.1,
        monitor="val_accuracy",
        callbacks=[] if stop is None else [Halt(int(stop))],
        verbose=0,
    )
    np.savez(f"{directory}/weights.npz", *model.get_weights())
    print(len(history), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

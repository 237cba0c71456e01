"""Trainings on JAX in a process of its own, which the tests of several devices start.

``python devices_run.py FOLDER RUN ...``, where a run is ``NAME:KIND:DEVICES:EPOCHS``: trains a
network of that kind in ``FOLDER/NAME``, one step an epoch, so that the history has the loss of each
step. Where the environment tells of other processes, it trains with them.
"""

import dataclasses
import os
import sys
from pathlib import Path

import keras

from emohelpers import datasets, models, recipes, training
from emohelpers.errors import ConfigurationError


def everything(input_shape, n_classes):
    """Make a network whose step depends on the whole batch and on random draws."""
    inputs = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, strides=2, use_bias=False)(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dropout(0.3)(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))


def plain(input_shape, n_classes):
    """Make one in which each image goes its own way."""
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))


EVERYTHING = recipes.Recipe(
    name="everything",
    summary="All at once that a step can depend on.",
    dataset="toyfaces",
    network="everything",
    emotions=("happiness", "neutral", "anger"),
    size=24,
    augmentation="light",
    mixup=0.2,
    class_weights=0.5,
    label_smoothing=0.1,
    optimizer="SGD",
    optimizer_options={"momentum": 0.9, "use_ema": True, "ema_momentum": 0.8},
    learning_rate=0.05,
    batch_size=24,
    steps_per_epoch=1,
    monitor="val_loss",
)
RECIPES = {
    "everything": EVERYTHING,
    # 25 divides by neither 2 nor 3, and the last batch of a pass has 10.
    "plain": dataclasses.replace(
        EVERYTHING, network="plain", augmentation=None, mixup=0.0, batch_size=25
    ),
}


def faces():
    """Return 60 faces to learn from and 31 to validate on."""
    drawn = datasets.make_faces(91, size=24, seed=3, emotions=EVERYTHING.emotions)
    table = drawn.table.assign(split=["train"] * 60 + ["validation"] * 31)
    return dataclasses.replace(drawn, table=table)


def refused(folder):
    """Say what is said of more devices than there are, and of a network made too early."""
    early, data = plain((24, 24, 1), 3), faces()
    try:
        with training.on_devices(99):
            pass
    except ConfigurationError as error:
        print(error)
    try:
        with training.on_devices(2):
            training.fit(early, data, data, directory=folder, epochs=1)
    except ConfigurationError as error:
        print(error)


def disagreeing(folder):
    """Say what is said of processes with different seeds."""
    try:
        recipes.train(
            RECIPES["plain"],
            directory=Path(folder) / "none",
            faces=faces(),
            devices="auto",
            epochs=1,
            seed=training.this_process().index,
        )
    except ConfigurationError as error:
        print(error)


def main(folder, *runs):
    models.BUILDERS = {"everything": everything, "plain": plain}
    if "KERAS_DISTRIBUTION_PROCESS_ID" in os.environ:
        training.join_processes()
        disagreeing(folder)
    for run in runs:
        name, kind, devices, epochs = run.split(":")
        saved = recipes.train(
            RECIPES[kind],
            directory=Path(folder) / name,
            faces=faces(),
            devices=devices if devices == "auto" else int(devices),
            epochs=int(epochs),
            seed=5,
            verbose=0,
        )
        # On one device again, whatever it was trained on.
        print(name, float(saved.model.predict(faces().images, verbose=0).max()), flush=True)
    if training.this_process().count == 1:
        refused(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The clock of the benchmark of input sees waiting where there is some, and every batch."""

from itertools import count

import numpy as np
import pytest

from benchmarks.input_wait import Waits


class Clock:
    """Seconds that pass only where a test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(("making", "training", "share"), [(0, 2, 0.0), (3, 2, 0.6), (1, 19, 0.05)])
def test_what_batches_take_is_waited_for_and_what_steps_take_is_not(making, training, share):
    clock = Clock()

    def batches():
        for number in range(8):
            clock.now += making
            yield number

    trained = []

    def train_function(iterator):  # as that of Keras goes through an iterator
        for _, batch in zip(range(1), iterator, strict=False):
            clock.now += training
            trained.append(batch)

    waits, source = Waits(clock), batches()
    step = waits.around(train_function)
    for _ in range(8):
        step(source)
    assert trained == list(range(8))
    assert waits.seconds / clock.now == pytest.approx(share)


def test_keras_gets_each_batch_by_way_of_the_clock():
    import keras

    from emohelpers.training._batches import Batches

    calls = count()
    waits = Waits(lambda: float(next(calls)))  # from one call to the next it is a second

    class Meter(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.train_function = waits.around(self.model.train_function)

    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    images = np.zeros((24, 4, 4, 1), np.uint8)
    batches = Batches(images, np.ones((24, 1), np.float32), 4, seed=0)
    history = model.fit(
        batches, steps_per_epoch=6, epochs=2, shuffle=False, verbose=0, callbacks=[Meter()]
    )
    assert waits.seconds == 12
    assert history.history["loss"][1] < history.history["loss"][0]

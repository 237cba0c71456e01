"""Derivatives by the input, against differences."""

import keras
import numpy as np
import pytest

from emohelpers import datasets, models


def test_a_derivative_is_the_limit_of_differences():
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(3, 3, activation="tanh"),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2, 6, 6, 1)).astype(np.float32)

    def objective(output):
        return keras.ops.log(output[:, 2])

    found = models.input_gradients(model, inputs, objective)
    assert found.shape == inputs.shape
    for place in [(0, 0, 0, 0), (0, 3, 2, 0), (1, 5, 5, 0)]:
        step = np.zeros_like(inputs)
        step[place] = 1e-2
        high, low = (model(inputs + sign * step, training=False) for sign in (1, -1))
        slope = (np.log(high[place[0], 2]) - np.log(low[place[0], 2])) / 2e-2
        assert found[place] == pytest.approx(float(slope), abs=2e-3)


def test_each_image_has_its_own_derivative():
    model = models.compact_cnn(widths=(2, 2, 2, 2))
    images = datasets.make_faces(3, seed=0).images
    together = models.input_gradients(model, images, lambda output: output[:, 3])
    alone = [
        models.input_gradients(model, images[[k]], lambda output: output[:, 3]) for k in range(3)
    ]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-6)

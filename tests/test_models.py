"""Builders: shapes, parameter counts by hand, errors."""

import itertools

import numpy as np
import pytest

from emohelpers import models
from emohelpers.errors import ConfigurationError


@pytest.mark.parametrize(
    ("shape", "n_classes", "filters", "units"),
    [((48, 48, 1), 7, (32, 64, 128), 128), ((56, 40, 3), 2, (4, 8, 8), 16)],
)
def test_baseline_has_the_parameters_counted_by_hand(shape, n_classes, filters, units):
    model = models.baseline_cnn(shape, n_classes, filters=filters, units=units)
    channels = [shape[2], *filters]
    convolutions = sum((9 * a + 1) * b for a, b in itertools.pairwise(channels))
    flat = (shape[0] // 8) * (shape[1] // 8) * filters[-1]
    assert model.count_params() == (convolutions + (flat + 1) * units + (units + 1) * n_classes)
    assert model.output_shape == (None, n_classes)


def test_baseline_takes_raw_pixels_and_gives_probabilities():
    model = models.baseline_cnn(filters=(4, 4, 4), units=8)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 1)).astype(np.uint8)
    outputs = model.predict(pixels, verbose=0)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs.sum(1), 1, atol=1e-5)
    scaled = model.get_layer("rescale")(np.array([[[[0.0], [255.0]]]]))
    np.testing.assert_allclose(np.ravel(scaled), [-1, 1], atol=1e-6)


def test_standardised_images_have_mean_0_and_deviation_1_whatever_the_light():
    model = models.baseline_cnn(filters=(2, 2, 2), units=4, standardise=True)
    bright = np.random.default_rng(0).normal(150, 40, (1, 48, 48, 1)).clip(0, 255)
    dim = bright * 0.5 + 10
    seen = np.asarray(model.get_layer("standardise")(np.concatenate([bright, dim])))
    floor = np.sqrt(bright.var() + 100)
    np.testing.assert_allclose(seen[0], (bright[0] - bright.mean()) / floor, atol=1e-4)
    assert abs(seen[1].std() - seen[0].std()) < 0.1
    with_scaling = models.baseline_cnn(filters=(2, 2, 2), units=4)
    assert model.count_params() == with_scaling.count_params()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"input_shape": (48, 48)}, "(height, width, channels)"),
        ({"input_shape": (48, 48, 2)}, "1 or 3 channels"),
        ({"input_shape": (7, 48, 1)}, "at least 8"),
        ({"n_classes": 1}, "2 or more"),
        ({"filters": (8, 8)}, "expected 3 numbers"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, words):
    with pytest.raises(ConfigurationError) as caught:
        models.baseline_cnn(**arguments)
    assert words in str(caught.value)

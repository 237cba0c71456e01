"""Views at test time recomputed with OpenCV, and what a prediction does not depend on."""

import gc
import weakref

import cv2
import keras
import numpy as np
import pytest

from emohelpers import datasets, evaluation, models
from emohelpers.errors import ConfigurationError


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    # Unscaled pixels make the answers of untrained weights differ from image to image.
    inputs = keras.Input((48, 40, 1))
    x = keras.layers.Conv2D(4, 5, strides=3, activation="relu")(inputs)
    x = keras.layers.Dense(3)(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Softmax()(x * 0.02))


@pytest.fixture(scope="module")
def images():
    return datasets.make_faces(7, size=48, seed=1).images[:, :, 4:44]


def test_two_views_average_the_mirror_image_whatever_the_batch(model, images):
    whole = model.predict(np.asarray(images, np.float32), verbose=0)
    mirrored = model.predict(np.asarray(images, np.float32)[:, :, ::-1], verbose=0)
    assert np.abs(whole - mirrored).max() > 1e-2
    one = evaluation.predict(model, images, batch_size=3)
    np.testing.assert_allclose(one, whole, atol=1e-5)
    two = evaluation.predict(model, images, views=2)
    np.testing.assert_allclose(two, (whole + mirrored) / 2, atol=1e-5)
    np.testing.assert_allclose(two.sum(1), 1, atol=1e-5)


def test_ten_views_are_those_that_opencv_cuts(model, images):
    # 40/48 of 48 x 40 pixels, with the same whole number left off on either side: 40 x 34.
    corners = [(0, 0), (0, 6), (8, 0), (8, 6), (4, 3)]
    answers = []
    for top, left in corners:
        window = images[:, top : top + 40, left : left + 34, 0].astype(np.float32)
        resized = np.stack(
            [cv2.resize(one, (40, 48), interpolation=cv2.INTER_LINEAR) for one in window]
        )
        for view in (resized, np.stack([cv2.flip(one, 1) for one in resized])):
            answers.append(model.predict(view[..., None], verbose=0))
    assert np.std(answers, axis=0).max() > 1e-2
    ten = evaluation.predict(model, images, views=10, batch_size=4)
    np.testing.assert_allclose(ten, np.mean(answers, axis=0), atol=1e-5)


def test_a_list_of_images_is_answered_as_an_array_of_them(model, images):
    whole = evaluation.predict(model, images, views=2)
    np.testing.assert_array_equal(evaluation.predict(model, list(images), views=2), whole)


def test_pixels_that_somebody_has_scaled_are_refused(model, images):
    scaled = images.astype(np.float32) / 255
    with pytest.raises(ConfigurationError, match=r"expected 0\.\.255"):
        evaluation.predict(model, scaled)
    black = np.zeros_like(scaled)  # which may be black as it is
    assert evaluation.predict(model, black).shape == (7, 3)


def test_bilinear_crops_keep_a_ramp_a_ramp():
    # Of brightness that rises evenly to the right, a crop is a ramp of 40/48 of the slope.
    seen = []
    inputs = keras.Input((48, 48, 1))
    ramp = np.broadcast_to(np.arange(48, dtype=np.float32), (1, 48, 48))[..., None]
    for column in (10, 30):
        reader = keras.Model(inputs, inputs[:, 20, column])
        seen.append(evaluation.predict(reader, ramp, views=10)[0])
    # The mean of five crops and their mirror images is the middle of the whole, 23.5, everywhere.
    np.testing.assert_allclose([answer[1] for answer in seen], 23.5, atol=1e-3)


@pytest.mark.parametrize("views", [2, 10])
def test_the_order_of_views_makes_no_difference_to_a_mirror_image(model, images, views):
    there = evaluation.predict(model, images, views=views)
    back = evaluation.predict(model, images[:, :, ::-1], views=views)
    np.testing.assert_allclose(there, back, atol=1e-5)


def test_a_uniform_image_looks_the_same_in_every_view(model):
    uniform = np.full((2, 48, 40, 1), [[[[40]]], [[[200]]]], np.uint8)
    one = evaluation.predict(model, uniform)
    assert np.abs(one[0] - one[1]).max() > 1e-2
    for views in evaluation.VIEWS:
        answers = evaluation.predict(model, uniform, views=views)
        np.testing.assert_allclose(answers, one, atol=1e-5)


def test_one_output_becomes_two_shares():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Dense(1, activation="sigmoid")(keras.layers.Flatten()(inputs))
    binary = keras.Model(inputs, x)
    images = np.random.default_rng(0).integers(0, 3, (5, 8, 8, 1), dtype=np.uint8)
    share = binary.predict(images.astype(np.float32), verbose=0)[:, 0]
    for views in evaluation.VIEWS:
        answers = evaluation.predict(binary, images, views=views)
        np.testing.assert_allclose(answers.sum(1), 1, atol=1e-6)
    answers = evaluation.predict(binary, images)
    np.testing.assert_allclose(answers, np.stack([1 - share, share], axis=1), atol=1e-5)
    assert evaluation.predict(binary, images[:0], views=10).shape == (0, 2)


def test_weights_that_changed_are_noticed_and_the_network_is_let_go(images):
    model = models.baseline_cnn((48, 40, 1), 3, filters=(2, 2, 2), units=4)
    before = evaluation.predict(model, images)
    model.get_layer("emotion").bias.assign([1.0, 0.0, -1.0])
    after = evaluation.predict(model, images)
    assert np.abs(before - after).max() > 1e-2
    whole = model.predict(np.asarray(images, np.float32), verbose=0)
    np.testing.assert_allclose(after, whole, atol=1e-5)
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None


def test_other_shapes_and_views_are_refused():
    model = models.baseline_cnn(filters=(2, 2, 2), units=4)
    with pytest.raises(ConfigurationError, match=r"takes \(48, 48, 1\)"):
        evaluation.predict(model, np.zeros((2, 40, 48, 1), np.uint8), views=10)
    with pytest.raises(ConfigurationError, match=r"views=3: expected one of \(1, 2, 10\)"):
        evaluation.predict(model, np.zeros((2, 48, 48, 1), np.uint8), views=3)

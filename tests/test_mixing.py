"""Mixup and CutMix: shares recomputed from the pixels, and targets that follow them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emohelpers import datasets, training
from emohelpers.errors import ConfigurationError
from emohelpers.training._batches import Batches

shapes = st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.sampled_from((1, 3)))


def coded(shape):
    """Images of one grey level each, all different, and one-hot targets."""
    n = shape[0]
    images = np.zeros(shape, np.uint8) + (10 * np.arange(n, dtype=np.uint8)).reshape(n, 1, 1, 1)
    return images, np.eye(n, dtype=np.float32)


@given(shapes, st.floats(0.05, 4), st.integers(0, 99))
def test_mixup_averages_pixels_and_targets_with_one_share(shape, alpha, seed):
    images, targets = coded(shape)
    mixed, mixed_targets = training.mix(
        images, targets, mixup=alpha, rng=np.random.default_rng(seed)
    )
    assert mixed.shape == shape
    # A grey level tells what the target has to be: the mean of the levels by their shares.
    levels = 10.0 * np.arange(shape[0])
    np.testing.assert_allclose(mixed.reshape(shape[0], -1).std(1), 0, atol=1e-3)
    np.testing.assert_allclose(mixed[:, 0, 0, 0], mixed_targets @ levels, atol=1e-3)
    np.testing.assert_allclose(mixed_targets.sum(1), 1, atol=1e-5)
    assert (np.diag(mixed_targets) >= 0).all()


@given(shapes, st.floats(0.05, 4), st.integers(0, 99))
def test_cutmix_pastes_one_box_and_counts_its_pixels(shape, alpha, seed):
    images, targets = coded(shape)
    mixed, mixed_targets = training.mix(
        images, targets, cutmix=alpha, rng=np.random.default_rng(seed)
    )
    for number, (image, target) in enumerate(zip(mixed[..., 0], mixed_targets, strict=True)):
        foreign = np.abs(image - 10 * number) > 1e-3
        own = targets[number] @ target
        others = {float(level) for level in np.round(image[foreign], 3)}
        assert len(others) <= 1, "one partner"
        if others:
            assert own == pytest.approx(1 - foreign.mean(), abs=1e-5)
            rows, columns = np.flatnonzero(foreign.any(1)), np.flatnonzero(foreign.any(0))
            box = foreign[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            assert box.all(), "one rectangle"
        else:
            assert own == pytest.approx(1, abs=1e-5)  # nothing pasted, or of itself


def test_the_share_of_mixup_is_beta_distributed():
    images, targets = coded((25, 1, 1, 1))
    rng = np.random.default_rng(0)
    own = [np.diag(training.mix(images, targets, mixup=0.4, rng=rng)[1]) for _ in range(400)]
    shares = np.ravel(own)
    shares = shares[shares < 1]  # an image may be its own partner
    # Beta(a, a) has the mean 1/2 and the variance 1 / (4 (2 a + 1)).
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.var() == pytest.approx(1 / (4 * 1.8), abs=0.01)


def test_of_both_each_image_gets_one():
    n = 2000
    images = np.zeros((n, 6, 6, 1), np.uint8)
    images[::2] = 200
    mixed, _ = training.mix(
        images, np.eye(2)[np.arange(n) % 2], mixup=5.0, cutmix=5.0, rng=np.random.default_rng(1)
    )
    flat = mixed.reshape(n, -1)
    between = ((flat > 1) & (flat < 199)).all(1).mean()
    boxed = (flat.std(1) > 1).mean()
    # Half of the partners look like the image itself, and then neither can be seen.
    assert between == pytest.approx(0.25, abs=0.05)
    assert boxed == pytest.approx(0.25, abs=0.05)


def test_a_batch_depends_on_its_index_alone():
    faces = datasets.make_faces(20, size=24, seed=0)
    targets = np.eye(7, dtype=np.float32)[faces.labels]
    options = {"mixup": 0.3, "cutmix": 1.0, "seed": 5}
    batches = Batches(faces.images, targets, 8, **options)
    later = Batches(faces.images, targets, 8, first_epoch=2, **options)
    wanted = [batches[index] for index in range(9)]
    for index in (8, 6, 7):  # the third epoch, out of order and from a later start
        for again in (batches[index], later[index - 6]):
            for one, other in zip(wanted[index], again, strict=True):
                np.testing.assert_array_equal(one, other)
    assert not np.array_equal(wanted[0][0], wanted[3][0])


def test_weights_of_mixed_images_are_the_mean_of_their_classes():
    faces = datasets.make_faces(12, size=24, seed=0)
    targets = np.eye(7, dtype=np.float32)[faces.labels]
    weights = np.arange(1, 8, dtype=np.float32)
    batches = Batches(faces.images, targets, 12, class_weights=weights, mixup=1.0, seed=0)
    _, mixed, image_weights = batches[0]
    np.testing.assert_allclose(image_weights, (mixed * weights).sum(1), rtol=1e-6)
    assert ((mixed > 0).sum(1) > 1).any()


@pytest.mark.parametrize("options", [{"mixup": -0.1}, {"cutmix": -1}])
def test_a_negative_alpha_is_refused(tmp_path, options):
    from emohelpers import models

    faces = datasets.make_faces(8, size=24, seed=0)
    model = models.baseline_cnn((24, 24, 1), 7, filters=(2, 2, 2), units=4)
    with pytest.raises(ConfigurationError, match="expected 0 or more"):
        training.fit(model, faces, faces, directory=tmp_path, epochs=1, **options)
    assert not list(tmp_path.iterdir())

"""The losses for classes of different size, by their formulas and through training."""

import keras
import numpy as np
import pytest

from emohelpers import datasets, evaluation, models, training
from emohelpers.errors import ConfigurationError
from emohelpers.training._batches import Batches
from emohelpers.training._losses import LogitAdjustedCrossentropy, loss_function

SHARES = {"anger": 0.6, "neutral": 0.3, "disgust": 0.1}


def faces(n=64):
    return datasets.make_faces(n, size=24, seed=3, emotions=SHARES)


def network(n_classes=3):
    keras.utils.set_random_seed(1)
    return models.baseline_cnn((24, 24, 1), n_classes, filters=(4, 4, 4), units=8, dropout=0)


def fit(model, directory, **options):
    data = faces()
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    return training.fit(
        model, data, data, directory=directory, optimizer=optimizer, verbose=0, **options
    )


def softmax(logits):
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def one_hot_and_logits(n=40, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return np.eye(n_classes)[rng.integers(0, n_classes, n)], rng.normal(0, 2, (n, n_classes))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_logit_adjustment_adds_the_logarithms_of_the_shares_to_the_logits(tau, smoothing):
    targets, logits = one_hot_and_logits()
    shares = np.array([0.7, 0.25, 0.05])
    loss = loss_function(shares, one_output=False, logit_adjustment=tau, label_smoothing=smoothing)
    smooth = (1 - smoothing) * targets + smoothing / 3
    expected = -(smooth * np.log(softmax(logits + tau * np.log(shares)))).sum(1).mean()
    assert float(loss(targets, softmax(logits))) == pytest.approx(expected, rel=1e-5)


def test_for_two_classes_one_output_and_two_lose_the_same():
    targets, logits = one_hot_and_logits(n_classes=2)
    shares = np.array([0.9, 0.1])
    answers = softmax(logits)
    losses = [
        float(loss_function(shares, one_output=one, **options)(y, p))
        for options in ({"logit_adjustment": 1.0}, {"focal": 2.0})
        for one, y, p in ((False, targets, answers), (True, targets[:, 1:], answers[:, 1:]))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[2] == pytest.approx(losses[3], rel=1e-5)


def test_the_adjusted_loss_comes_back_from_its_configuration():
    targets, logits = one_hot_and_logits()
    loss = LogitAdjustedCrossentropy([0.5, 0.3, 0.2], label_smoothing=0.1)
    again = LogitAdjustedCrossentropy.from_config(loss.get_config())
    assert float(again(targets, softmax(logits))) == float(loss(targets, softmax(logits)))


def test_the_history_says_the_focal_loss(tmp_path):
    model, data = network(), faces()
    history = fit(model, tmp_path, epochs=1, focal=2.0)
    right = evaluation.predict(model, data.images)[np.arange(len(data)), data.labels]
    expected = -((1 - right) ** 2 * np.log(right)).mean()
    assert history["val_loss"][0] == pytest.approx(expected, abs=1e-4)


def test_the_adjusted_loss_is_the_cross_entropy_from_and_back_to_other_odds(tmp_path):
    # A shift of the last bias is all that sets the two apart: where training starts from the
    # shares, they end in the same network but for that shift.
    shares = np.bincount(faces().labels) / len(faces())
    adjusted, plain = network(), network()
    history = fit(adjusted, tmp_path / "adjusted", epochs=1, logit_adjustment=1.0)
    training.multiply_odds(plain, shares)
    fit(plain, tmp_path / "plain", epochs=1)
    before = evaluation.predict(plain, faces().images)
    training.multiply_odds(plain, 1 / shares)
    answers = [evaluation.predict(model, faces().images) for model in (adjusted, plain)]
    np.testing.assert_allclose(*answers, atol=1e-5)
    loss = -np.log(before[np.arange(len(faces())), faces().labels]).mean()
    assert history["val_loss"][0] == pytest.approx(loss, abs=1e-4)
    # It names the rare class more readily than the network that knows how rare it is.
    assert answers[0][:, 2].mean() > 1.5 * before[:, 2].mean()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"focal": -1.0}, "focal=-1.0"),
        ({"logit_adjustment": float("nan")}, "logit_adjustment=nan"),
        ({"focal": 2.0, "logit_adjustment": 1.0}, "expected one of them"),
        ({"steps_per_epoch": 0}, "steps_per_epoch=0: expected 1 or more"),
    ],
)
def test_what_is_no_loss_is_refused_before_anything_is_written(options, words, tmp_path):
    with pytest.raises(ConfigurationError, match=words):
        fit(network(), tmp_path / "run", epochs=1, **options)
    assert not (tmp_path / "run").exists()


def test_logits_are_not_adjusted_to_a_class_without_an_image():
    with pytest.raises(ConfigurationError, match="without an image of class 1"):
        loss_function(np.array([0.5, 0.0, 0.5]), one_output=False, logit_adjustment=1.0)


def test_epochs_of_some_steps_go_through_the_images_in_turn():
    images = np.arange(23, dtype=np.uint8).reshape(23, 1, 1, 1)
    options = {"seed": 5, "steps_per_epoch": 4}
    batches = Batches(images, np.zeros((23, 1)), 5, **options)  # five steps hold each image once
    assert batches.steps_per_epoch == 4
    seen = [batches[index][0].ravel() for index in range(15)]
    for passed in range(3):
        once = np.concatenate(seen[5 * passed : 5 * passed + 5])
        assert sorted(once) == list(range(23))
    # Whoever goes on after two epochs meets what would have come next.
    later = Batches(images, np.zeros((23, 1)), 5, first_epoch=2, **options)
    for index in range(7):
        np.testing.assert_array_equal(later[index][0].ravel(), seen[8 + index])


def test_a_history_of_some_steps_an_epoch_goes_on(tmp_path):
    whole, cut = network(), network()
    options = {"steps_per_epoch": 3, "batch_size": 12}
    expected = fit(whole, tmp_path / "whole", epochs=2, **options)
    fit(network(), tmp_path / "cut", epochs=1, **options)
    history = fit(cut, tmp_path / "cut", epochs=2, **options)
    figures = ["epoch", "loss", "val_loss"]
    np.testing.assert_allclose(history[figures], expected[figures], rtol=1e-5)

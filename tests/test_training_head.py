"""Feature extraction: the last layer as the logistic regression that it is."""

import keras
import numpy as np
import pytest
from keras import layers
from scipy.stats import multivariate_normal

from emohelpers import datasets, evaluation, models, training
from emohelpers.errors import ConfigurationError


def network(n_classes, *, units=6):
    keras.utils.set_random_seed(0)
    return models.baseline_cnn((24, 24, 1), n_classes, filters=(4, 4, 4), units=units)


def faces(n=90, emotions=("anger", "happiness", "neutral")):
    return datasets.make_faces(n, size=24, seed=0, emotions=emotions, difficulty=0)


def regression_loss(model, features, alive, labels, penalty):
    """Return what the head should minimise, and its gradient by weights of standard features."""
    kernel, bias = (value.astype(float) for value in model.layers[-1].get_weights())
    assert not kernel[~alive].any()
    features, kernel = features[:, alive], kernel[alive]
    logits = features @ kernel + bias
    odds = np.exp(logits - logits.max(1, keepdims=True))
    shares = odds / odds.sum(1, keepdims=True)
    spread = features.std(0)[:, None]
    loss = -np.log(shares[np.arange(len(labels)), labels]).sum()
    wrong = shares - np.eye(len(bias))[labels]
    slope = features.T @ wrong + penalty * spread**2 * kernel
    return loss + penalty / 2 * ((spread * kernel) ** 2).sum(), slope / spread, wrong.sum(0)


@pytest.mark.parametrize("emotions", [("anger", "neutral"), ("anger", "happiness", "neutral")])
@pytest.mark.parametrize("penalty", [1.0, 100.0])
def test_no_step_in_any_direction_makes_the_penalised_cross_entropy_smaller(emotions, penalty):
    data = faces(emotions=emotions)
    model = network(len(emotions))
    features = training.fit_head(model, data, penalty=penalty).astype(float)
    alive = features.std(0) > 0
    assert alive.sum() > 1
    loss, slope, bias_slope = regression_loss(model, features, alive, data.labels, penalty)
    assert loss < len(data) * np.log(len(emotions))
    assert np.abs(slope).max() < 1e-2
    assert np.abs(bias_slope).max() < 1e-2


def test_the_features_are_what_arrives_at_the_last_layer_and_nothing_below_it_changes():
    data, model = faces(300), network(3)
    before = model.get_weights()
    features = training.fit_head(model, data)
    kernel, bias = model.layers[-1].get_weights()
    logits = features @ kernel + bias
    odds = np.exp(logits - logits.max(1, keepdims=True))
    answers = np.asarray(model(data.images.astype("float32"), training=False))
    np.testing.assert_allclose(odds / odds.sum(1, keepdims=True), answers, atol=1e-5)
    for old, new in zip(before[:-2], model.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_class_without_an_image_is_answered_least_of_all():
    data = faces().keep_classes(["anger", "neutral"])
    three = datasets.FaceDataset(
        data.images, data.labels * 2, ("anger", "happiness", "neutral"), data.table, name="gap"
    )
    model = network(3)
    training.fit_head(model, three)
    shares = evaluation.predict(model, three.images)
    assert (shares.argmin(1) == 1).all()
    assert 0 < shares[:, 1].max() < 0.02


def test_it_works_on_a_published_backbone_with_frozen_blocks():
    data = datasets.make_faces(120, seed=3, difficulty=0)
    model = models.transfer((48, 48, 1), 7, weights="fer-baseline", freeze="all")
    assert training.fit_head(model, data).shape == (120, 128)
    answers = evaluation.predict(model, data.images).argmax(1)
    largest = np.bincount(data.labels).max() / len(data)
    assert (answers == data.labels).mean() > 2 * largest


@pytest.mark.parametrize("n_classes", [2, 4])
def test_discriminant_analysis_is_the_posterior_of_gaussians_with_one_covariance(n_classes):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(n_classes), [200, 9, 40, 15][:n_classes])
    features = rng.normal(size=(len(labels), 5)) @ rng.normal(size=(5, 5)) + 3 * labels[:, None]
    kernel, bias = training.discriminant_analysis(features, labels, n_classes, shrinkage=0.3)
    spread = features.std(axis=0)
    parts = [(features / spread)[labels == label] for label in range(n_classes)]
    shared = np.zeros((5, 5))
    for part in parts:
        own = np.cov(part.T, bias=True)
        # Each covariance is drawn towards the identity by itself, and each class counts alike.
        shared += (0.7 * own + 0.3 * np.eye(5) * np.trace(own) / 5) / n_classes
    densities = [
        multivariate_normal(part.mean(axis=0), shared).pdf(features / spread) for part in parts
    ]
    expected = np.stack(densities, axis=1) / np.sum(densities, axis=0)[:, None]
    logits = features @ kernel + bias
    odds = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(odds / odds.sum(1, keepdims=True), expected, atol=1e-6)


def test_by_discriminant_analysis_the_head_is_that_of_the_function():
    data, model = faces(emotions={"neutral": 0.8, "happiness": 0.2}), network(2)
    features = training.fit_head(model, data, method="lda")
    kernel, bias = training.discriminant_analysis(features, data.labels, 2)
    np.testing.assert_allclose(model.layers[-1].get_weights()[0], kernel, rtol=1e-5)
    np.testing.assert_allclose(model.layers[-1].get_weights()[1], bias, rtol=1e-5)


def test_an_image_of_weight_two_is_the_same_as_one_that_is_there_twice():
    rng = np.random.default_rng(5)
    features, labels = rng.normal(size=(60, 3)), rng.integers(0, 3, 60)
    weights = rng.integers(1, 4, 60)
    rows = np.repeat(np.arange(60), weights)
    weighted = training.softmax_regression(features, labels, 3, sample_weight=weights)
    repeated = training.softmax_regression(features[rows], labels[rows], 3)
    for ours, theirs in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    both = training.softmax_regression(
        features, labels, 3, sample_weight=weights, class_weights={0: 1.0, 1: 2.0, 2: 1.0}
    )
    again = training.softmax_regression(
        features, labels, 3, sample_weight=weights * np.where(labels == 1, 2, 1)
    )
    np.testing.assert_allclose(both[0], again[0], atol=1e-6)


@pytest.mark.parametrize(
    "weights", [[1.0] * 3, [1.0, 1.0, 1.0, -1.0], [float("nan")] * 4, [0.0] * 4, [float("inf")] * 4]
)
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(ConfigurationError, match="expected 0 or more for each of 4 images"):
        training.softmax_regression(np.eye(4), [0, 0, 1, 1], 2, sample_weight=weights)


@pytest.mark.parametrize("shrinkage", [-0.1, 1.1, float("nan")])
def test_a_shrinkage_out_of_range_is_refused(shrinkage):
    with pytest.raises(ConfigurationError, match="expected 0 to 1"):
        training.discriminant_analysis(np.eye(4), [0, 0, 1, 1], 2, shrinkage=shrinkage)


def test_as_many_classes_as_images_tell_no_covariance():
    with pytest.raises(ConfigurationError, match="3 images of 3 classes: expected more images"):
        training.discriminant_analysis(np.eye(3), [0, 1, 2], 3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": "forest"}, "method='forest': expected 'regression' or 'lda'"),
        ({"penalty": 0}, "penalty=0: expected a number above 0"),
        ({"penalty": float("nan")}, "penalty=nan"),
        ({"train": faces(emotions=("anger", "neutral"))}, "2 classes and 3 outputs"),
        ({"train": faces().select(faces().labels == 1)}, r"labels \[1\]: expected images of two"),
        ({"train": datasets.make_faces(9, emotions=("fear", "anger", "sadness"))}, "takes"),
    ],
)
def test_what_does_not_fit_is_refused(change, said):
    train = change.get("train", faces())
    with pytest.raises(ConfigurationError, match=said):
        training.fit_head(network(3), **{"train": train, "penalty": 1.0, **change})


def test_images_without_a_label_are_refused():
    data = faces()
    labels = np.where(np.arange(len(data)) == 5, -1, data.labels)
    unlabelled = datasets.FaceDataset(data.images, labels, data.class_names, data.table, name="gap")
    with pytest.raises(ConfigurationError, match="all with a label"):
        training.fit_head(network(3), unlabelled)


@pytest.mark.parametrize(
    "last",
    [
        layers.Softmax(name="last"),
        layers.Dense(3, name="last"),
        layers.Dense(3, activation="softmax", use_bias=False, name="last"),
    ],
)
def test_a_network_without_a_head_to_fit_is_refused_by_the_name_of_its_last_layer(last):
    inputs = keras.Input((24, 24, 1))
    model = keras.Model(inputs, last(layers.Flatten()(inputs)))
    with pytest.raises(ConfigurationError, match="ends in 'last'"):
        training.fit_head(model, faces())

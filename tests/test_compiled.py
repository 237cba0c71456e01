"""Compiled networks: the same answers, few graphs, and folding recomputed by its formula."""

import gc
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from emohelpers import datasets, models, publishing
from emohelpers.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[1]


def unsettled(model, seed=0):
    """Give every normalisation statistics and weights that matter, as after a training."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            unsettled(layer, seed)
        elif isinstance(layer, layers.BatchNormalization):
            for variable in layer.weights:
                positive = variable.name in ("gamma", "moving_variance")
                draw = rng.uniform(0.5, 1.5, variable.shape)
                variable.assign(draw if positive else draw - 1)
    return model


def pixels(n, shape=(16, 16, 1), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def norms_left(network):
    """Count the normalisations that the copy still computes."""
    copies = [copy for group, _ in network._refills for copy in group]
    return sum(isinstance(copy, layers.BatchNormalization) for copy in copies)


BUILT = {
    "baseline": lambda: models.baseline_cnn((16, 16, 3), 7, filters=(4, 4, 4), units=8),
    "deeper": lambda: models.deeper_cnn((16, 16, 1), 7, filters=(4,) * 7, standardise=True),
    "residual": lambda: models.residual_cnn(
        (16, 16, 1), widths=(4, 8), blocks=(1, 2), pool=True, stochastic_depth=0.2
    ),
    "compact": lambda: models.compact_cnn((16, 16, 1), widths=(4, 4, 8, 8), stochastic_depth=0.1),
    "separable": lambda: keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Rescaling(1 / 255),
            layers.SeparableConv2D(4, 3, depth_multiplier=2),
            layers.BatchNormalization(scale=False),
            layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
            layers.BatchNormalization(center=False),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(5, use_bias=False),
            layers.BatchNormalization(),
            layers.Dense(1, activation="sigmoid"),
        ]
    ),
    "nested": lambda: keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            models.compact_cnn((16, 16, 1), 4, widths=(2, 2, 4, 4)),
            layers.Dense(3, activation="softmax"),
        ]
    ),
}


@pytest.mark.parametrize("name", BUILT)
def test_answers_are_those_of_predict_and_every_normalisation_is_folded(name):
    model = unsettled(BUILT[name]())
    images = pixels(21, model.input_shape[1:])
    network = models.compiled(model)
    expected = model.predict(images, verbose=0)
    assert expected.std(axis=0).max() > 1e-3  # otherwise any network would do
    for given in (images, images.astype(np.float32), images.astype(np.float64)):
        outputs = network(given)
        assert outputs.dtype == np.float32
        np.testing.assert_allclose(outputs, expected, atol=1e-5)
    assert network.copied
    assert norms_left(network) == 0


def test_a_published_network_answers_toy_faces_the_same():
    model = publishing.open_model(ROOT / "saved_models" / "fer-baseline").model
    faces = datasets.make_faces(40, seed=3)
    np.testing.assert_allclose(
        models.compiled(model)(faces.images), model.predict(faces.images, verbose=0), atol=1e-5
    )


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="counts TensorFlow's graphs")
def test_no_number_of_images_is_traced_twice():
    model = unsettled(models.compact_cnn((8, 8, 1), 3, widths=(2, 2, 2, 2)))
    network = models.compiled(model)
    assert network.traces == 0
    images = pixels(257, (8, 8, 1))
    expected = model.predict(images, verbose=0)
    for n in (1, 16, 256):
        network(images[:n])
    assert network.traces == 3
    for n in (0, 1, 2, 3, 15, 17, 130, 255, 256, 257):
        np.testing.assert_allclose(network(images[:n]), expected[:n], atol=1e-5)
    network.update()
    network(images[:5])
    assert network.traces == 3


@pytest.mark.parametrize("batch_size", [1, 3, 40])
def test_the_size_of_a_batch_changes_no_answer(batch_size):
    model = unsettled(models.compact_cnn((8, 8, 1), 3, widths=(2, 2, 2, 2)))
    images = pixels(41, (8, 8, 1))
    outputs = models.compiled(model, batch_size=batch_size)(images)
    np.testing.assert_allclose(outputs, model.predict(images, verbose=0), atol=1e-5)


def test_a_folded_convolution_is_the_formula_of_batch_normalisation():
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 1, bias_initializer="random_normal")(inputs)
    x = layers.BatchNormalization(epsilon=0.1)(x)
    model = unsettled(keras.Model(inputs, layers.Flatten()(x)))
    kernel, bias, gamma, beta, mean, variance = (
        np.asarray(weight, np.float64) for weight in model.get_weights()
    )
    images = pixels(5, (4, 4, 2))
    mixed = images @ kernel[0, 0] + bias
    expected = (mixed - mean) / np.sqrt(variance + 0.1) * gamma + beta
    network = models.compiled(model)
    assert norms_left(network) == 0
    np.testing.assert_allclose(network(images), expected.reshape(5, -1), rtol=1e-4, atol=1e-3)


def after_an_activation():
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(3, 3, activation="relu", bias_initializer="random_normal")(inputs)
    return inputs, layers.BatchNormalization()(x)


def after_a_layer_between():
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(3, 3)(inputs)
    return inputs, layers.BatchNormalization()(layers.ReLU()(x))


def of_an_output_that_another_layer_takes():
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(3, 3, padding="same")(inputs)
    return inputs, layers.Add()([x, layers.BatchNormalization()(x)])


def of_an_output_that_an_operation_takes():
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(3, 3, padding="same")(inputs)
    return inputs, layers.BatchNormalization()(x) + keras.ops.sin(x)


def of_a_layer_that_is_used_twice():
    inputs = keras.Input((8, 8, 1))
    shared = layers.Conv2D(1, 3, padding="same")
    return inputs, layers.BatchNormalization()(shared(shared(inputs)))


def shared_by_two_convolutions():
    inputs = keras.Input((8, 8, 1))
    shared = layers.BatchNormalization()
    once = shared(layers.Conv2D(3, 3, padding="same")(inputs))
    return inputs, shared(layers.Conv2D(3, 3, padding="same")(once))


def over_another_axis():
    inputs = keras.Input((8, 8, 1))
    return inputs, layers.BatchNormalization(axis=1)(layers.Conv2D(3, 3)(inputs))


@pytest.mark.parametrize(
    "graph",
    [
        after_an_activation,
        after_a_layer_between,
        of_an_output_that_another_layer_takes,
        of_an_output_that_an_operation_takes,
        of_a_layer_that_is_used_twice,
        shared_by_two_convolutions,
        over_another_axis,
    ],
)
def test_a_normalisation_stays_where_it_is(graph):
    inputs, x = graph()
    outputs = layers.Dense(3, activation="softmax")(layers.Flatten()(layers.Rescaling(0.01)(x)))
    model = unsettled(keras.Model(inputs, outputs))
    network = models.compiled(model)
    assert norms_left(network) == 1
    images = pixels(9, (8, 8, 1))
    np.testing.assert_allclose(network(images), model.predict(images, verbose=0), atol=1e-5)


def test_a_convolution_that_is_the_answer_is_not_folded():
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(1, 8)(inputs)
    layers.BatchNormalization()(x)  # of another network, over the same layers
    model = keras.Model(inputs, layers.Flatten()(x))
    images = pixels(3, (8, 8, 1))
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(models.compiled(model)(images), expected, rtol=1e-5)


def test_names_that_keras_gave_before_are_no_hindrance():
    number = int(layers.Activation("relu").name.removeprefix("activation").lstrip("_") or 0)
    stack = [keras.Input((8, 8, 1)), layers.Conv2D(2, 3, activation="tanh"), layers.Flatten()]
    names = [f"activation_{number + 1 + later}" for later in range(5)]
    stack += [layers.Activation("sigmoid", name=name) for name in names]
    model = keras.Sequential(stack)
    images = pixels(3, (8, 8, 1))
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(models.compiled(model)(images), expected, atol=1e-5)


def test_changed_weights_show_after_an_update():
    model = unsettled(models.compact_cnn((8, 8, 1), 3, widths=(2, 2, 2, 2)))
    images = pixels(4, (8, 8, 1))
    network = models.compiled(model)
    before = network(images)
    model.set_weights([weight * 1.5 for weight in model.get_weights()])
    np.testing.assert_array_equal(network(images), before)
    network.update()
    after = model.predict(images, verbose=0)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(network(images), after, atol=1e-5)


def test_a_network_of_mixed_precision_is_computed_in_full():
    with models.precision("mixed_bfloat16"):
        model = unsettled(models.compact_cnn((8, 8, 1), 3, widths=(2, 2, 2, 2)))
        outputs = models.compiled(model)(pixels(4, (8, 8, 1)))
    expected = models.portable(model).predict(pixels(4, (8, 8, 1)), verbose=0)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


class Doubled(layers.Layer):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, inputs):
        return inputs * self.factor

    def get_config(self):
        raise NotImplementedError


def test_what_can_not_be_built_again_is_compiled_as_it_is():
    inputs = keras.Input((8, 8, 1))
    x = layers.Dense(2, activation="softmax")(layers.Flatten()(Doubled(0.01)(inputs)))
    model = keras.Model(inputs, x)
    network = models.compiled(model)
    assert not network.copied
    images = pixels(3, (8, 8, 1))
    for _ in range(2):
        np.testing.assert_allclose(network(images), model.predict(images, verbose=0), atol=1e-5)
        model.set_weights([weight + 1 for weight in model.get_weights()])


def test_a_network_that_computes_otherwise_than_its_layers_is_compiled_as_it_is():
    class Inverted(keras.Model):
        def call(self, inputs, training=None, mask=None):
            return 1 - super().call(inputs, training=training, mask=mask)

    inputs = keras.Input((8, 8, 1))
    model = Inverted(inputs, layers.Dense(1, activation="sigmoid")(layers.Flatten()(inputs)))
    images = pixels(3, (8, 8, 1)) / 255
    network = models.compiled(model)
    np.testing.assert_allclose(network(images), model.predict(images, verbose=0), atol=1e-5)


def test_the_network_is_not_kept_alive():
    model = models.compact_cnn((8, 8, 1), 3, widths=(2, 2, 2, 2))
    network = models.compiled(model)
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None
    assert network(pixels(2, (8, 8, 1))).shape == (2, 3)


def test_what_does_not_fit_is_refused():
    model = models.compact_cnn((8, 8, 1), 3, widths=(2, 2, 2, 2))
    with pytest.raises(ConfigurationError, match=r"images of \(9, 8, 1\): .* takes \(8, 8, 1\)"):
        models.compiled(model)(pixels(1, (9, 8, 1)))
    with pytest.raises(ConfigurationError, match="batch_size=0"):
        models.compiled(model, batch_size=0)
    inputs = keras.Input((None, None, 1))
    loose = keras.Model(inputs, layers.GlobalAveragePooling2D()(inputs))
    with pytest.raises(ConfigurationError, match="expected one input of a fixed shape"):
        models.compiled(loose)
    twice = keras.Model(inputs, [inputs, inputs])
    with pytest.raises(ConfigurationError, match="one output"):
        models.compiled(twice)

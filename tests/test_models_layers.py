"""The package's own normalisation against Keras's, precision, and copies that Keras can load."""

import keras
import numpy as np
import pytest

from emohelpers import models

IMAGES = np.random.default_rng(0).normal(3, 2, (6, 5, 4, 3)).astype("float32")


def pair(**options):
    """Return the package's layer and Keras's, with the same weights."""
    layers = models.FusedBatchNormalization(**options), keras.layers.BatchNormalization(**options)
    rng = np.random.default_rng(1)
    for layer in layers:
        layer.build(IMAGES.shape)
    weights = [rng.uniform(0.5, 1.5, weight.shape) for weight in layers[0].get_weights()]
    for layer in layers:
        layer.set_weights(weights)
    return layers


@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False}])
def test_a_step_of_training_is_that_of_keras_with_the_unbiased_variance(options):
    own, theirs = pair(momentum=0.9, epsilon=1e-3, **options)
    start = np.asarray(own.moving_variance)
    outputs = [np.asarray(layer(IMAGES, training=True)) for layer in (own, theirs)]
    np.testing.assert_allclose(*outputs, atol=1e-5)
    np.testing.assert_allclose(own.moving_mean, theirs.moving_mean, rtol=1e-5)
    n = IMAGES[..., 0].size
    variance = IMAGES.var(axis=(0, 1, 2))
    np.testing.assert_allclose(theirs.moving_variance, 0.9 * start + 0.1 * variance, rtol=1e-5)
    fused = keras.backend.backend() == "tensorflow"
    expected = 0.9 * start + 0.1 * variance * (n / (n - 1) if fused else 1)
    np.testing.assert_allclose(own.moving_variance, expected, rtol=1e-5)


@pytest.mark.parametrize("arguments", [{}, {"training": False}, {"training": None}])
def test_inference_is_that_of_keras_to_the_last_bit(arguments):
    own, theirs = pair()
    outputs = [np.asarray(layer(IMAGES, **arguments)) for layer in (own, theirs)]
    np.testing.assert_array_equal(*outputs)


def test_a_frozen_layer_keeps_its_averages():
    own, theirs = pair()
    before = own.get_weights()
    for layer in (own, theirs):
        layer.trainable = False
    np.testing.assert_array_equal(
        *(np.asarray(layer(IMAGES, training=True)) for layer in (own, theirs))
    )
    for value, old in zip(own.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)


@pytest.mark.parametrize(
    ("options", "shape"), [({}, (6, 3)), ({"axis": 1}, IMAGES.shape), ({}, (6, 5, 3))]
)
def test_other_axes_and_ranks_go_keras_own_way(options, shape):
    images = np.random.default_rng(2).normal(1, 2, shape).astype("float32")
    own = models.FusedBatchNormalization(**options)
    theirs = keras.layers.BatchNormalization(**options)
    outputs = [np.asarray(layer(images, training=True)) for layer in (own, theirs)]
    np.testing.assert_array_equal(*outputs)
    np.testing.assert_array_equal(own.moving_variance, theirs.moving_variance)


def test_in_mixed_precision_outputs_are_half_and_averages_are_not():
    own, theirs = pair(dtype="mixed_bfloat16")
    half = keras.ops.cast(IMAGES, "bfloat16")
    outputs = [layer(half, training=True) for layer in (own, theirs)]
    assert {keras.backend.standardize_dtype(value.dtype) for value in outputs} == {"bfloat16"}
    # Eight bits of mantissa: values up to 4 are within 1/64 of each other.
    np.testing.assert_allclose(
        *(keras.ops.convert_to_numpy(keras.ops.cast(value, "float32")) for value in outputs),
        atol=0.04,
    )
    assert {weight.dtype for weight in own.weights} == {"float32"}
    np.testing.assert_allclose(own.moving_mean, theirs.moving_mean, atol=0.01)


def test_gradients_are_those_of_keras():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("elsewhere the layer is Keras's own")
    import tensorflow as tf

    gradients = []
    for layer in pair():
        images = tf.Variable(IMAGES)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(images, training=True) ** 3)
        gradients.append(tape.gradient(loss, [images, layer.gamma.value, layer.beta.value]))
    for own, theirs in zip(*gradients, strict=True):
        np.testing.assert_allclose(own, theirs, rtol=1e-3, atol=1e-2)


def test_a_saved_network_comes_back_with_the_package_layer(tmp_path):
    model = models.deeper_cnn((8, 8, 1), 2, filters=(2,) * 7)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    kinds = [type(layer) for layer in loaded.layers]
    assert kinds == [type(layer) for layer in model.layers]
    own = loaded.get_layer("conv1_norm")
    assert isinstance(own, models.FusedBatchNormalization)
    assert own.get_config() == model.get_layer("conv1_norm").get_config()


def test_the_global_policy_comes_back_also_after_an_exception():
    before = keras.config.dtype_policy().name

    def build():
        with models.precision("mixed_bfloat16"):
            assert keras.config.dtype_policy().name == "mixed_bfloat16"
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        build()
    assert keras.config.dtype_policy().name == before


def test_in_mixed_precision_pixels_and_probabilities_stay_in_full():
    with models.precision("mixed_bfloat16"):
        model = models.residual_cnn((16, 16, 1), 3, widths=(2, 2), blocks=(1, 1))
    computed = {layer.name: layer.compute_dtype for layer in model.layers}
    assert computed["rescale"] == computed["emotion"] == "float32"
    assert computed["stem"] == computed["stage2_block1_conv2"] == "bfloat16"
    assert {weight.dtype for weight in model.weights} == {"float32"}


def own_layers(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from own_layers(layer)
        elif type(layer).__module__.startswith("emohelpers"):
            yield layer.name


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("deeper_cnn", {"filters": (3,) * 7}),
        ("residual_cnn", {"widths": (3, 4), "blocks": (1, 1), "stochastic_depth": 0.2}),
        ("separable_cnn", {"filters": (3,) * 7}),
    ],
)
def test_a_portable_copy_is_of_keras_alone_and_answers_the_same(name, options, policy):
    with models.precision(policy):
        model = models.BUILDERS[name]((32, 32, 1), 3, **options)
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.2, 1, weight.shape) for weight in model.get_weights()])
    copy = models.portable(model)
    assert list(own_layers(model))
    assert not list(own_layers(copy))
    assert {layer.compute_dtype for layer in copy.layers} == {"float32"}
    for new, old in zip(copy.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    pixels = rng.integers(0, 256, (4, 32, 32, 1)).astype("float32")
    outputs = [np.asarray(one(pixels, training=False)) for one in (copy, model)]
    np.testing.assert_allclose(*outputs, atol=1e-6 if policy == "float32" else 0.1)
    # It is a copy: what is trained further in one is not in the other.
    copy.set_weights([value * 0 for value in copy.get_weights()])
    assert any(value.any() for value in model.get_weights())


def test_a_portable_copy_of_nested_networks_is_portable_within():
    inner = models.compact_cnn((16, 16, 1), 3, widths=(2, 2, 2, 2))
    block = keras.Sequential(
        [models.FusedBatchNormalization(name="norm"), keras.layers.Dense(2, name="inside")],
        name="block",
    )
    inputs = keras.Input((16, 16, 1))
    # An operation that is no layer, as the networks of keras.applications have.
    outputs = block(inner(keras.ops.flip(inputs, axis=2)) + 1.0)
    model = keras.Model(inputs, outputs)
    copy = models.portable(model)
    assert len(list(own_layers(model))) == 7 + 1
    assert not list(own_layers(copy))
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1)).astype("float32")
    np.testing.assert_allclose(
        *(np.asarray(one(pixels, training=False)) for one in (copy, model)), atol=1e-6
    )

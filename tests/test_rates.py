"""Learning rates by depth: each step is so many times as large, with any optimiser."""

import keras
import numpy as np
import pytest

from emohelpers import datasets, models, training
from emohelpers.errors import ConfigurationError

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(8, 2)).astype("float32")
FACTORS = {"inner": 0.1, "a*": 0.0, "head": 3.0}
# Of the weights of a, b, c and head, kernel and bias each.
EXPECTED = [0, 0, 0.1, 0.1, 1, 1, 3, 3]


def network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    dense = keras.layers.Dense
    inner = keras.Sequential(
        [keras.Input((3,)), dense(4, name="a1"), dense(4, name="b")], name="inner"
    )
    return keras.Model(inputs, dense(2, name="head")(dense(4, name="c")(inner(inputs))))


def steps(optimizer, factors=None, *, count=1):
    """Return how far each weight went."""
    model = network()
    if factors is not None:
        assert training.rates_by_depth(optimizer, model, factors) is optimizer
    model.compile(optimizer, "mse")
    before = model.get_weights()
    for _ in range(count):
        model.train_on_batch(X, Y)
    return [new - old for new, old in zip(model.get_weights(), before, strict=True)]


def gradients():
    """Return the gradients of the first step, by hand: a network of linear layers."""
    weights = network().get_weights()
    seen = [X]
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        seen.append(seen[-1] @ kernel + bias)
    error = 2 * (seen[-1] - Y) / Y.size
    found = []
    for kernel, before in zip(weights[::-2][: len(seen)], seen[-2::-1], strict=False):
        del kernel
        found = [before.T @ error, error.sum(0), *found]
        error = error @ weights[len(weights) - len(found)].T
    return found


def test_a_step_of_sgd_is_the_rate_times_the_factor_times_the_gradient():
    for step, factor, gradient in zip(
        steps(keras.optimizers.SGD(0.05), FACTORS), EXPECTED, gradients(), strict=True
    ):
        np.testing.assert_allclose(step, -0.05 * factor * gradient, atol=1e-6)


def test_the_first_step_of_adam_is_the_rate_times_the_factor():
    # Then it divides each gradient by its own size.
    for step, factor, gradient in zip(
        steps(keras.optimizers.Adam(0.01), FACTORS), EXPECTED, gradients(), strict=True
    ):
        size = np.abs(gradient)
        # Keras adds its epsilon before the correction of the second moment, 1 - .999.
        expected = -0.01 * factor * np.sign(gradient) * size / (size + 1e-7 / np.sqrt(1e-3))
        np.testing.assert_allclose(step, expected, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.5),
        lambda: keras.optimizers.AdamW(0.01, weight_decay=0.5, clipnorm=0.1),
        lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 5)),
        lambda: keras.optimizers.Nadam(0.01),
        lambda: keras.optimizers.Lion(0.01, weight_decay=0.5),
    ],
    ids=["sgd", "adamw", "adam-cosine", "nadam", "lion"],
)
def test_with_weight_decay_and_schedules_a_step_is_as_many_times_as_large(make):
    for step, plain, factor in zip(steps(make(), FACTORS), steps(make()), EXPECTED, strict=True):
        assert np.abs(plain).max() > 1e-4
        np.testing.assert_allclose(step, factor * plain, atol=1e-6)


def test_no_factor_changes_nothing_and_0_freezes_for_good():
    def make():
        return keras.optimizers.AdamW(0.01, weight_decay=0.5, use_ema=True)

    for new, old in zip(steps(make(), {}, count=4), steps(make(), count=4), strict=True):
        np.testing.assert_array_equal(new, old)
    moved = [step.any() for step in steps(make(), {"inner": 0.0}, count=4)]
    assert moved == [False] * 4 + [True] * 4


def test_what_weight_decay_leaves_out_stays_left_out():
    optimizer = keras.optimizers.SGD(0.05, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model = network()
    biases = [weight for weight in model.trainable_variables if weight.name == "bias"]
    training.rates_by_depth(optimizer, model, {"inner": 0.1})
    optimizer.build(model.trainable_variables)
    for bias in biases:
        bias.assign(bias + 1.0)
    before = model.get_weights()
    optimizer.apply([keras.ops.zeros(weight.shape) for weight in model.trainable_variables])
    for weight, old, factor in zip(model.weights, before, [0.1] * 4 + [1] * 4, strict=True):
        shrunk = 1.0 if weight.name == "bias" else 1 - 0.05 * 0.5 * factor
        np.testing.assert_allclose(weight, old * shrunk, rtol=1e-6)
    assert optimizer.weight_decay == 0.5


def test_where_keras_steps_many_variables_at_once_as_on_torch():
    class Together(keras.optimizers.SGD):
        def _backend_update_step(self, grads, trainable_variables, learning_rate):
            self._parallel_update_step(grads, trainable_variables, learning_rate)

        def _parallel_update_step(self, grads, variables, learning_rate):
            for gradient, variable in zip(grads, variables, strict=True):
                variable.assign(variable - learning_rate * gradient)

    for step, plain in zip(
        steps(Together(0.05), FACTORS), steps(keras.optimizers.SGD(0.05), FACTORS), strict=True
    ):
        np.testing.assert_allclose(step, plain, atol=1e-6)

    class TogetherNadam(Together, keras.optimizers.Nadam):
        pass

    with pytest.raises(ConfigurationError, match="Nadam on Torch"):
        training.rates_by_depth(TogetherNadam(0.05), network(), FACTORS)


def test_a_training_goes_on_with_its_factors_and_with_no_others(tmp_path):
    faces = datasets.make_faces(24, size=24, seed=3)

    def train(directory, epochs, factor):
        keras.utils.set_random_seed(1)
        model = models.baseline_cnn((24, 24, 1), filters=(2, 2, 2), units=4)
        optimizer = training.rates_by_depth(keras.optimizers.Adam(0.01), model, {"conv?": factor})
        training.fit(
            model, faces, faces, directory=directory, epochs=epochs, optimizer=optimizer, verbose=0
        )
        with np.load(directory / "state.npz") as state:
            return {name: state[name] for name in state.files if name.startswith("model/")}

    whole = train(tmp_path / "whole", 2, 0.1)
    train(tmp_path / "cut", 1, 0.1)
    with pytest.raises(ConfigurationError, match="another network, optimiser"):
        train(tmp_path / "cut", 2, 0.2)
    resumed = train(tmp_path / "cut", 2, 0.1)
    for name, values in whole.items():
        np.testing.assert_array_equal(values, resumed[name])


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ({"inner": -0.1}, "factor -0.1 of 'inner'"),
        ({"inner": float("nan")}, "factor nan"),
        ({"inner": float("inf")}, "factor inf"),
        ({"outer": 0.1, "c": 0.1}, "'outer'"),
        # Every layer that the second name fits has the factor of the first.
        ({"*": 0.1, "head": 0.2}, "'head'"),
    ],
)
def test_factors_that_make_no_sense_are_refused(factors, words):
    with pytest.raises(ConfigurationError) as caught:
        training.rates_by_depth(keras.optimizers.SGD(0.1), network(), factors)
    assert words in str(caught.value)


def test_a_built_optimizer_and_a_frozen_layer_are_refused():
    model = network()
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    with pytest.raises(ConfigurationError, match="built already"):
        training.rates_by_depth(optimizer, model, {"c": 0.1})
    model.get_layer("c").trainable = False
    with pytest.raises(ConfigurationError, match="no trainable weight has the factor of 'c'"):
        training.rates_by_depth(keras.optimizers.SGD(0.1), model, {"c": 0.1})

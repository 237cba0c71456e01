"""Builders: layers, shapes, parameter counts by hand, errors."""

import inspect
import itertools
import json

import keras
import numpy as np
import pytest

from emohelpers import models
from emohelpers.errors import ConfigurationError

# Small ones of each kind, for what all of them must do.
TINY = {
    "alexnet": {"filters": (2, 2, 2, 2, 2), "units": 4},
    "baseline_cnn": {"filters": (2, 2, 2), "units": 4},
    "compact_cnn": {"widths": (2, 2, 2, 2)},
    "compact_convolutional_transformer": {"widths": (2, 4), "blocks": 1, "heads": 2},
    "deeper_cnn": {"filters": (2,) * 7},
    "residual_cnn": {"widths": (2, 4), "blocks": (1, 1)},
    "separable_cnn": {"filters": (2,) * 7},
}


def convolutions(channels, *, normalised):
    """Count the parameters of 3x3 convolutions from one number of channels to the next."""
    # A bias each, or the mean, variance, scale and shift of a normalisation.
    return sum((9 * a + (4 if normalised else 1)) * b for a, b in itertools.pairwise(channels))


@pytest.mark.parametrize(
    ("shape", "n_classes", "filters", "units"),
    [((48, 48, 1), 7, (32, 64, 128), 128), ((56, 40, 3), 2, (4, 8, 8), 16)],
)
def test_baseline_has_the_parameters_counted_by_hand(shape, n_classes, filters, units):
    model = models.baseline_cnn(shape, n_classes, filters=filters, units=units)
    counted = convolutions([shape[2], *filters], normalised=False)
    flat = (shape[0] // 8) * (shape[1] // 8) * filters[-1]
    assert model.count_params() == counted + (flat + 1) * units + (units + 1) * n_classes
    assert model.output_shape == (None, n_classes)


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize(
    ("shape", "n_classes", "filters"),
    [((48, 48, 1), 7, (32, 48, 48, 96, 96, 192, 192)), ((31, 8, 3), 2, (3, 4, 5, 6, 7, 8, 9))],
)
def test_deeper_has_the_parameters_counted_by_hand(shape, n_classes, filters, batch_norm):
    model = models.deeper_cnn(shape, n_classes, filters=filters, batch_norm=batch_norm)
    counted = convolutions([shape[2], *filters], normalised=batch_norm)
    assert model.count_params() == counted + (filters[-1] + 1) * n_classes


def test_deeper_has_dropout_and_pooling_between_its_four_blocks():
    model = models.deeper_cnn((16, 16, 1), filters=(2,) * 7, dropout=0.2, last_dropout=0.4)
    kinds = [type(layer).__name__ for layer in model.layers]
    block = ["Conv2D", "FusedBatchNormalization", "ReLU"]
    between = ["MaxPooling2D", "Dropout"]
    inner = block + 3 * (between + 2 * block)
    assert kinds == [
        "InputLayer",
        "Rescaling",
        *inner,
        "GlobalAveragePooling2D",
        "Dropout",
        "Dense",
    ]
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [0.2, 0.2, 0.2, 0.4]


def test_residual_is_a_resnet18():
    widths, n_classes = (64, 128, 256, 512), 7
    counted = convolutions([1, 64], normalised=True)
    before = 64
    for width in widths:
        counted += convolutions([before, width, width, width, width], normalised=True)
        # Where the width changes, so does the shortcut, by a 1x1 convolution.
        counted += (before + 4) * width if before != width else 0
        before = width
    counted += (512 + 1) * n_classes
    model = models.residual_cnn()
    assert model.count_params() == counted
    kernels = [w for w in model.weights if w.name == "kernel" and w.shape[0] == 3]
    assert [kernel.shape[-1] for kernel in kernels] == [
        64,
        *(width for width in widths for _ in range(4)),
    ]
    # Of these one stem and sixteen in blocks, and the last layer: eighteen.
    assert len(kernels) + 1 == 18


@pytest.mark.parametrize(("pool", "sides"), [(False, [17, 9, 5]), (True, [9, 5, 3])])
def test_residual_halves_its_sides_stage_by_stage(pool, sides):
    model = models.residual_cnn(
        (17, 17, 1), 3, widths=(4, 4, 6), blocks=(1, 2, 1), stem=5, pool=pool
    )
    ends = ["stage1_block1_relu", "stage2_block2_relu", "stage3_block1_relu"]
    assert [model.get_layer(name).output.shape[1:3] for name in ends] == [(n, n) for n in sides]
    assert model.get_layer("stem").filters == 5
    # A shortcut has a convolution only where the width changes: the first stage and the third.
    projected = [layer.name for layer in model.layers if layer.name.endswith("_project")]
    assert projected == ["stage1_block1_project", "stage3_block1_project"]


@pytest.mark.parametrize(
    ("shape", "n_classes", "widths"),
    [((48, 48, 1), 7, (24, 32, 64, 128)), ((33, 20, 3), 2, (3, 4, 5, 6))],
)
def test_compact_has_the_parameters_counted_by_hand(shape, n_classes, widths):
    model = models.compact_cnn(shape, n_classes, widths=widths)
    one, two, three, four = widths
    chain = [shape[2], one, two, three, three, four, four, four]
    counted = convolutions(chain, normalised=True)
    assert model.count_params() == counted + (four + 1) * n_classes
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers) == 7


@pytest.mark.parametrize("network", ["residual_cnn", "compact_cnn"])
def test_stochastic_depth_draws_for_each_image_and_keeps_the_mean(network):
    options = {"residual_cnn": {"blocks": (1, 1)}, "compact_cnn": {}}[network]
    widths = (2, 2) if network == "residual_cnn" else (2, 2, 2, 2)
    keras.utils.set_random_seed(0)
    model = models.BUILDERS[network](
        (16, 16, 1), 2, widths=widths, stochastic_depth=0.6, dropout=0.0, **options
    )
    drops = [layer for layer in model.layers if layer.name.endswith("_drop")]
    # From the first branch to the last it grows evenly.
    assert [layer.rate for layer in drops] == pytest.approx([0.3, 0.6])
    kept = np.asarray(drops[1](np.ones((2000, 4, 4, 2), np.float32), training=True))
    first = kept[:, :1, :1, :1]
    np.testing.assert_array_equal(kept, np.broadcast_to(first, kept.shape))
    np.testing.assert_allclose(np.unique(first), [0, 1 / 0.4], rtol=1e-6)
    # 2,000 draws of .4 have a standard deviation of .011.
    assert (first > 0).mean() == pytest.approx(0.4, abs=0.05)


def test_without_stochastic_depth_no_branch_is_dropped():
    for model in (models.compact_cnn(widths=(2, 2, 2, 2)), models.residual_cnn(widths=(2,) * 4)):
        assert not [layer.name for layer in model.layers if layer.name.endswith("_drop")]


def test_alexnet_of_one_tower_has_the_parameters_that_others_count():
    # For 1,000 classes and colour 62,378,344, as in the answers to "How to calculate the number of
    # parameters of AlexNet?"; with two towers it would be 60,965,224.
    model = models.alexnet((227, 227, 3), 1000)
    assert model.count_params() == 62_378_344
    sides = {name: model.get_layer(name).output.shape[1] for name in ("conv1", "pool1", "pool5")}
    assert sides == {"conv1": 55, "pool1": 27, "pool5": 6}


@pytest.mark.parametrize(("shape", "left"), [((67, 67, 1), (1, 1)), ((131, 99, 3), (3, 2))])
def test_alexnet_takes_other_sizes(shape, left):
    filters, units = (3, 4, 5, 6, 7), 8
    model = models.alexnet(shape, 2, filters=filters, units=units)
    assert model.get_layer("pool5").output.shape[1:3] == left
    kernels = [11, 5, 3, 3, 3]
    counted = sum(
        (side * side * a + 1) * b
        for side, (a, b) in zip(kernels, itertools.pairwise([shape[2], *filters]), strict=True)
    )
    flat = left[0] * left[1] * filters[-1]
    counted += (flat + 1) * units + (units + 1) * units + (units + 1) * 2
    assert model.count_params() == counted
    dropped = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert dropped == [0.5, 0.5]


def test_separable_is_the_smile_network_layer_for_layer():
    model = models.separable_cnn()
    assert model.input_shape == (None, 56, 56, 3)
    kinds = [type(layer).__name__ for layer in model.layers]
    after = ["FusedBatchNormalization", "ReLU"]
    assert kinds == [
        "InputLayer",
        "Rescaling",
        *2 * ["Conv2D", *after],
        *5 * ["SeparableConv2D", *after, "MaxPooling2D"],
        "GlobalAveragePooling2D",
        "Dropout",
        "Dense",
    ]
    assert model.get_layer("dropout").rate == 0.5
    assert model.output_shape == (None, 1)
    assert model.layers[-1].activation is keras.activations.sigmoid


def test_separable_has_the_parameters_and_the_penalty_counted_by_hand():
    filters = (2, 3, 4, 5, 6, 7, 8)
    model = models.separable_cnn((40, 32, 1), 4, filters=filters, l2=0.01)
    chain = list(itertools.pairwise([1, *filters]))
    plain = sum(9 * a * b for a, b in chain[:2])
    separable = sum(9 * a + a * b for a, b in chain[2:])
    assert model.count_params() == plain + separable + 4 * sum(filters) + (8 + 1) * 4
    assert model.layers[-1].activation is keras.activations.softmax
    kernels = [np.asarray(w) for w in model.weights if w.name.endswith("kernel")][:-1]
    assert len(kernels) == 2 + 2 * 5
    expected = 0.01 * sum((kernel**2).sum() for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("standardise", [False, True])
def test_every_network_takes_raw_pixels_and_gives_probabilities(name, channels, standardise):
    size = 67 if name == "alexnet" else 33
    model = models.BUILDERS[name]((size, size + 4, channels), 3, **TINY[name])
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size + 4, channels))
    outputs = np.asarray(model(pixels.astype(np.uint8), training=False))
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs.sum(1), 1, atol=1e-5)
    # Nothing learned depends on how pixels are prepared.
    other = models.BUILDERS[name](
        (size, size + 4, channels), 3, standardise=standardise, **TINY[name]
    )
    assert other.count_params() == model.count_params()


def test_every_builder_is_listed_and_its_options_fit_a_recipe():
    assert set(models.BUILDERS) == {*TINY, "transfer"}
    for name, builder in models.BUILDERS.items():
        assert getattr(models, name) is builder
        parameters = inspect.signature(builder).parameters
        assert list(parameters)[:2] == ["input_shape", "n_classes"]
        options = {key: value.default for key, value in list(parameters.items())[2:]}
        assert json.loads(json.dumps(options)).keys() == options.keys()
        # As they come back from recipe.json: lists, where there were tuples.
        back = json.loads(json.dumps(TINY.get(name, {})))
        if back:
            size = 67 if name == "alexnet" else 32
            assert builder((size, size, 1), 3, **back).output_shape == (None, 3)


def test_pixels_are_scaled_to_both_sides_of_0():
    model = models.baseline_cnn(filters=(2, 2, 2), units=4)
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


@pytest.mark.parametrize(
    ("name", "smallest"),
    [
        ("alexnet", 67),
        ("baseline_cnn", 8),
        ("compact_cnn", 8),
        ("deeper_cnn", 8),
        ("residual_cnn", 16),
        ("separable_cnn", 32),
    ],
)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"input_shape": (99, 99)}, "(height, width, channels)"),
        ({"input_shape": (99, 99, 2)}, "1 or 3 channels"),
        ({"input_shape": None}, "at least"),
        ({"input_shape": 99}, "(height, width, channels)"),
        ({"input_shape": (99.0, 99, 1)}, "(height, width, channels)"),
        ({"n_classes": 1}, "2 or more"),
        ({"n_classes": 7.0}, "a whole number"),
        ({"dropout": 1.0}, "from 0 to below 1"),
        ({"dropout": float("nan")}, "from 0 to below 1"),
    ],
)
def test_what_no_network_can_be_built_for_is_refused(name, smallest, arguments, words):
    arguments = dict(arguments)
    if arguments.get("input_shape", ()) is None:
        arguments["input_shape"] = (smallest, smallest - 1, 1)
        words = f"at least {smallest}"
    with pytest.raises(ConfigurationError) as caught:
        models.BUILDERS[name](**{**TINY[name], **arguments})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("alexnet", {"filters": (8, 8, 8)}, "expected 5 numbers"),
        ("alexnet", {"units": 0}, "units"),
        ("baseline_cnn", {"filters": (8, 8)}, "expected 3 numbers"),
        ("compact_cnn", {"widths": (8, 8, 8)}, "expected 4 numbers"),
        ("compact_cnn", {"stochastic_depth": -0.1}, "stochastic_depth=-0.1"),
        ("deeper_cnn", {"filters": (8,) * 8}, "expected 7 numbers"),
        ("deeper_cnn", {"filters": (8,) * 6 + (0,)}, "numbers of 1 or more"),
        ("deeper_cnn", {"filters": (8,) * 6 + (8.5,)}, "all whole"),
        ("deeper_cnn", {"last_dropout": 1.5}, "last_dropout=1.5"),
        ("residual_cnn", {"stem": 0}, "stem=(0,)"),
        ("residual_cnn", {"widths": ()}, "one or more numbers"),
        ("residual_cnn", {"widths": (8, 8), "blocks": (1,)}, "expected 2 numbers"),
        ("residual_cnn", {"stochastic_depth": 1.0}, "stochastic_depth=1.0"),
        (
            "residual_cnn",
            {"input_shape": (31, 48, 1), "widths": (2,) * 6, "blocks": (1,) * 6},
            "halved 5 times: expected 32 or more",
        ),
        ("separable_cnn", {"filters": (8, 8)}, "expected 7 numbers"),
        ("separable_cnn", {"l2": -1.0}, "l2=-1.0"),
        ("separable_cnn", {"l2": float("nan")}, "l2=nan"),
    ],
)
def test_options_that_make_no_sense_are_refused(name, arguments, words):
    with pytest.raises(ConfigurationError) as caught:
        models.BUILDERS[name](**{**TINY[name], **arguments})
    assert words in str(caught.value)

"""Backbones: where their weights come from, what is frozen, and what the errors say."""

import inspect
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from emohelpers import datasets, models, publishing
from emohelpers.errors import ConfigurationError, MissingPathError
from emohelpers.models import _saved, _transfer

ROOT = Path(__file__).resolve().parents[1]
TINY = {
    "alexnet": {"filters": [2, 2, 2, 2, 2], "units": 4},
    "baseline_cnn": {"filters": [2, 3, 4], "units": 5},
    "compact_cnn": {"widths": [2, 3, 4, 5], "stochastic_depth": 0.2},
    "deeper_cnn": {"filters": [2, 2, 3, 3, 4, 4, 5]},
    "residual_cnn": {"widths": [2, 3], "blocks": [1, 2], "stochastic_depth": 0.2},
    "separable_cnn": {"filters": [2, 2, 3, 3, 4, 4, 5]},
}


def pixels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype("float32")


def answer(model, images):
    return np.asarray(model(images, training=False))


def publish(directory, network, shape, n_classes=3, *, options=None, seed=0):
    """Save a network with weights drawn at random, as `recipes.train` would have."""
    options = TINY.get(network, {}) if options is None else options
    model = models.BUILDERS[network](shape, n_classes, **options)
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.1, 0.5, weight.shape) for weight in model.get_weights()])
    recipe = {
        "name": directory.name,
        "dataset": "toyfaces",
        "emotions": ["anger", "fear", "neutral"][:n_classes],
        "network": network,
        "network_options": options,
    }
    copy = models.portable(model)
    publishing.save(copy, recipe, directory=directory)
    return copy


def trainable(backbone):
    """Return the layers with trainable weights, by name."""
    return [layer.name for layer in _transfer._leaves(backbone) if layer.trainable_variables]


@pytest.fixture(scope="module")
def mobilenet():
    keras.utils.set_random_seed(0)
    model = models.transfer((32, 32, 1), 4, backbone="mobilenet_v3_small", freeze=3)
    # As it is drawn at random, hardly anything of an image comes through to the end.
    for weight in model.weights:
        if weight.name == "gamma":
            weight.assign(weight * 5)
    assert np.ptp(answer(model, pixels(4, 32, 32, 1)), axis=0).max() > 0.01
    return model


def test_every_backbone_is_one_of_keras_under_the_file_it_downloads():
    assert len(models.BACKBONES) == 1 + 2 + 7 + 5
    for name, function in models.BACKBONES.items():
        parameters = inspect.signature(getattr(keras.applications, function)).parameters
        default = parameters["name"].default
        assert name.replace("_", "").replace("-", "") == function.lower()
        if name.startswith(("efficientnet", "convnext")):
            # Keras makes the file's name of this one; the others are downloaded below.
            assert _transfer._APPLICATIONS[name].file == f"{default}_notop.h5"


def test_a_grey_image_is_repeated_for_a_backbone_in_colour(mobilenet):
    colour = models.transfer((32, 32, 3), 4, backbone="mobilenet_v3_small")
    colour.set_weights(mobilenet.get_weights())
    grey = pixels(3, 32, 32, 1)
    np.testing.assert_allclose(
        answer(mobilenet, grey), answer(colour, np.repeat(grey, 3, axis=3)), atol=1e-6
    )
    assert mobilenet.output_shape == (None, 4)
    assert mobilenet.get_layer("backbone").output_shape == (None, 576)


def test_a_backbone_computes_as_in_keras_from_raw_pixels(mobilenet):
    theirs = keras.applications.MobileNetV3Small(
        input_shape=(32, 32, 3), include_top=False, weights=None, pooling="avg"
    )
    backbone = mobilenet.get_layer("backbone")
    theirs.set_weights(backbone.get_weights())
    images = pixels(2, 32, 32, 3)
    np.testing.assert_array_equal(answer(backbone, images), answer(theirs, images))


def test_vgg19_has_its_preparation_and_two_frozen_blocks():
    model = models.transfer((32, 48, 3), 7, backbone="vgg19", freeze=2)
    backbone = model.get_layer("backbone")
    # 20,024,384 is what keras.io states for VGG19 (143,667,240) less its three dense layers.
    assert backbone.count_params() == 143_667_240 - (
        (7 * 7 * 512 + 1) * 4096 + 4097 * 4096 + 4097 * 1000
    )
    assert model.count_params() == backbone.count_params() + (512 + 1) * 7
    names = [layer.name for layer in backbone.layers if layer.weights]
    assert trainable(backbone) == [
        name for name in names if name.startswith(tuple("block" + n for n in "345"))
    ]
    images = pixels(2, 32, 48, 3)
    prepared = keras.applications.vgg19.preprocess_input(images.copy())
    seen = keras.Model(backbone.inputs[0], backbone.get_layer("centre").output)
    np.testing.assert_allclose(answer(seen, images), prepared, atol=1e-3)


def test_frozen_blocks_and_their_averages_stay_through_training(mobilenet):
    backbone = mobilenet.get_layer("backbone")
    assert trainable(backbone)[0] == "expanded_conv_3_expand"
    frozen = [
        layer
        for layer in backbone.layers
        if layer.weights and layer.name not in trainable(backbone)
    ]
    # The stem and the first three inverted residual blocks, the last of them number 2.
    assert {layer.name for layer in frozen} >= {"conv", "conv_bn", "expanded_conv_2_project_bn"}
    before = {layer.name: layer.get_weights() for layer in backbone.layers}
    mobilenet.compile(
        keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True
    )
    mobilenet.train_on_batch(pixels(4, 32, 32, 1), np.arange(4))
    same = {
        layer.name
        for layer in backbone.layers
        if layer.weights
        and all(
            np.array_equal(*two)
            for two in zip(layer.get_weights(), before[layer.name], strict=True)
        )
    }
    assert same == {layer.name for layer in frozen}


def test_a_backbone_is_saved_and_its_file_loaded(mobilenet, tmp_path):
    file = tmp_path / "mine.weights.h5"
    mobilenet.get_layer("backbone").save_weights(file)
    model = models.transfer((40, 32, 1), 2, backbone="mobilenet_v3_small", weights=file)
    loaded = model.get_layer("backbone").get_weights()
    for new, old in zip(loaded, mobilenet.get_layer("backbone").get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    # The weights of the whole network, and none.
    whole = tmp_path / "whole.weights.h5"
    mobilenet.save_weights(whole)
    text = tmp_path / "text.h5"
    text.write_text("no weights")
    for wrong in (whole, text):
        with pytest.raises(ConfigurationError, match="does not hold the weights of") as caught:
            models.transfer((32, 32, 1), 2, backbone="mobilenet_v3_small", weights=str(wrong))
        assert str(wrong) in str(caught.value)


def test_a_portable_copy_saves_and_loads(mobilenet, tmp_path):
    copy = models.portable(mobilenet)
    copy.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    images = pixels(2, 32, 32, 1)
    np.testing.assert_allclose(answer(loaded, images), answer(mobilenet, images), atol=1e-6)
    assert trainable(loaded.get_layer("backbone")) == trainable(mobilenet.get_layer("backbone"))


OFFLINE = """
from emohelpers import models
for backbone in ("vgg19", "mobilenet_v3_small"):
    try:
        models.transfer((32, 32, 3), 7, backbone=backbone, weights="imagenet")
    except FileNotFoundError as error:
        print(type(error).__name__, error, error.__cause__, sep="|")
"""


def test_without_a_network_the_missing_imagenet_file_is_named(tmp_path):
    with socket.socket() as closed:  # a port that nothing listens on
        closed.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
        finished = subprocess.run(
            [sys.executable, "-c", OFFLINE],
            cwd=ROOT,
            env={
                **os.environ,
                "KERAS_HOME": str(tmp_path),
                "https_proxy": nowhere,
                "HTTPS_PROXY": nowhere,
                "no_proxy": "",
                "TF_CPP_MIN_LOG_LEVEL": "3",
            },
            capture_output=True,
            text=True,
            timeout=240,
        )
    assert finished.returncode == 0, finished.stderr
    lines = [line for line in finished.stdout.splitlines() if line.startswith("MissingPathError")]
    assert len(lines) == 2, finished.stdout
    for line, backbone in zip(lines, ("vgg19", "mobilenet_v3_small"), strict=True):
        _, message, cause = line.split("|")
        file = _transfer._APPLICATIONS[backbone].file
        assert str(tmp_path / "models" / file) in message
        assert f"weights='path/to/{file}'" in message
        # What Keras itself asked for.
        assert f"/{file}:" in cause


def test_an_imagenet_file_that_is_there_needs_no_network(monkeypatch):
    calls = {}

    def function(**options):
        calls.update(options)
        inputs = keras.Input(options["input_shape"])
        return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))

    monkeypatch.setattr(keras.applications, "EfficientNetV2S", function)
    model = models.transfer((40, 32, 1), 2, backbone="efficientnet_v2_s", weights="imagenet")
    # Keras looks for the file before it downloads it.
    assert calls == {
        "weights": "imagenet",
        "include_top": False,
        "pooling": "avg",
        "input_shape": (40, 32, 3),
    }
    assert model.count_params() == (3 + 1) * 2


@pytest.mark.parametrize(
    ("network", "shape"),
    [(name, (67, 67, 3) if name == "alexnet" else (32, 32, 3)) for name in TINY],
)
def test_a_published_network_goes_on_up_to_its_last_dense_layer(network, shape, tmp_path):
    folder = tmp_path / "mine"
    saved = publish(folder, network, shape)
    model = models.transfer(shape, 5, weights=folder)
    backbone = model.get_layer("backbone")
    # By another route: cut the saved network itself.
    dense = saved.layers[-1]
    cut = keras.Model(saved.inputs[0], dense.input)
    images = pixels(3, *shape)
    np.testing.assert_allclose(answer(backbone, images), answer(cut, images), rtol=1e-5, atol=1e-5)
    assert model.output_shape == (None, 5)
    width = backbone.output_shape[-1]
    removed = sum(weight.size for weight in dense.get_weights())
    assert model.count_params() == saved.count_params() - removed + (width + 1) * 5


@pytest.mark.parametrize(
    ("network", "blocks", "first"),
    [
        ("baseline_cnn", 3, "conv2"),
        ("compact_cnn", 4, "stage2_conv1"),
        ("deeper_cnn", 4, "conv2"),
        ("residual_cnn", 2, "stage2_block1_"),
        ("separable_cnn", 7, "block1_conv2"),
        ("alexnet", 7, "conv2"),
    ],
)
def test_blocks_of_published_networks_freeze_from_the_input_on(network, blocks, first, tmp_path):
    shape = (67, 67, 1) if network == "alexnet" else (32, 32, 1)
    folder = tmp_path / "mine"
    publish(folder, network, shape)
    one = models.transfer(shape, 2, weights=folder, freeze=1).get_layer("backbone")
    assert trainable(one)[0].startswith(first)
    # Only the baseline has a layer behind its last block: of the others all is frozen with it.
    for freeze in ("all",) if network == "baseline_cnn" else (blocks, "all"):
        every = models.transfer(shape, 2, weights=folder, freeze=freeze)
        assert [weight.shape[-1] for weight in every.trainable_variables] == [2, 2]
    with pytest.raises(ConfigurationError, match=f"has {blocks} blocks"):
        models.transfer(shape, 2, weights=folder, freeze=blocks + 1)


def test_frozen_blocks_answer_in_training_as_after_it(tmp_path):
    publish(tmp_path / "mine", "deeper_cnn", (16, 16, 1))
    images = pixels(4, 16, 16, 1)
    outputs = {}
    for freeze in (0, "all"):
        model = models.transfer((16, 16, 1), 2, weights=tmp_path / "mine", freeze=freeze)
        backbone = model.get_layer("backbone")
        outputs[freeze] = [
            np.asarray(backbone(images, training=training)) for training in (False, True)
        ]
    np.testing.assert_array_equal(*outputs["all"])
    np.testing.assert_allclose(outputs["all"][0], outputs[0][0], atol=1e-6)
    assert not np.allclose(*outputs[0])


def test_a_network_without_inner_dense_layers_takes_another_size(tmp_path):
    saved = publish(tmp_path / "mine", "compact_cnn", (24, 24, 3))
    model = models.transfer((40, 32, 1), 2, weights=tmp_path / "mine")
    assert model.input_shape == (None, 40, 32, 1)
    backbone = model.get_layer("backbone")
    for new, old in zip(backbone.get_weights(), saved.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(new, old)


def test_a_network_with_inner_dense_layers_does_not(tmp_path):
    publish(tmp_path / "mine", "baseline_cnn", (24, 24, 1))
    with pytest.raises(ConfigurationError, match=r"on images of 24x24.*input_shape=\(24, 24, 1\)"):
        models.transfer((32, 32, 1), 2, weights=tmp_path / "mine")


def test_a_network_for_grey_images_refuses_colour(tmp_path):
    publish(tmp_path / "mine", "compact_cnn", (16, 16, 1))
    with pytest.raises(ConfigurationError, match=r"input_shape=\(16, 16, 1\).*color=False"):
        models.transfer((16, 16, 3), 2, weights=tmp_path / "mine")


def test_what_was_transferred_is_transferred_again(tmp_path):
    publish(tmp_path / "first", "compact_cnn", (16, 16, 1))
    options = {"weights": str(tmp_path / "first"), "freeze": 1, "dropout": 0.1}
    saved = publish(tmp_path / "second", "transfer", (16, 16, 1), options=options, seed=1)
    model = models.transfer((24, 24, 1), 2, weights=tmp_path / "second", freeze=2)
    backbone = model.get_layer("backbone")
    for new, old in zip(backbone.get_weights(), saved.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(new, old)
    assert trainable(backbone)[0] == "stage3_conv1"
    # What the first training froze is free again.
    free = models.transfer((16, 16, 1), 2, weights=tmp_path / "second")
    assert trainable(free.get_layer("backbone"))[0] == "stage1_conv1"


def test_in_mixed_precision_a_backbone_sees_its_pixels_in_full(tmp_path):
    publish(tmp_path / "mine", "deeper_cnn", (16, 16, 1))
    with models.precision("mixed_bfloat16"):
        model = models.transfer((16, 16, 1), 2, weights=tmp_path / "mine")
    backbone = model.get_layer("backbone")
    assert backbone.get_layer("conv1").compute_dtype == "bfloat16"
    # 200.4 is 200 in half precision.
    seen = []
    layer = backbone.get_layer("rescale")
    call = layer.call
    layer.call = lambda inputs: seen.append(np.asarray(inputs)) or call(inputs)
    model(np.full((1, 16, 16, 1), 200.4, np.float32))
    np.testing.assert_allclose(seen[0], 200.4, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"network": "other_cnn"}, ConfigurationError, "no network 'other_cnn'"),
        ({"network": None}, ConfigurationError, "no network None"),
        ({"network_options": {"depth": 3}}, ConfigurationError, "depth"),
        ({"network_options": {"filters": [9] * 7}}, ConfigurationError, "fit no other size"),
        ({"emotions": None}, ConfigurationError, "can not be read as a recipe"),
        ({"members": ["one", "two"]}, ConfigurationError, "averages several"),
        ("no JSON", ConfigurationError, "can not be read as a recipe"),
        ("[]", ConfigurationError, "can not be read as a recipe"),
        (None, MissingPathError, "no recipe.json"),
    ],
)
def test_a_damaged_folder_is_refused_by_its_path(change, error, words, tmp_path):
    folder = tmp_path / "mine"
    publish(folder, "deeper_cnn", (16, 16, 1))
    path = folder / "recipe.json"
    if isinstance(change, dict):
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    elif change is None:
        path.unlink()
    else:
        path.write_text(change)
    with pytest.raises(error) as caught:
        models.transfer((16, 16, 1), 2, weights=folder)
    assert words in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_damaged_network_is_refused_by_its_path(tmp_path):
    publish(tmp_path / "mine", "deeper_cnn", (16, 16, 1))
    (tmp_path / "mine" / "model.keras").write_bytes(b"PK no")
    with pytest.raises(ConfigurationError, match="can not be loaded as a Keras network"):
        models.transfer((16, 16, 1), 2, weights=tmp_path / "mine")
    (tmp_path / "mine" / "model.keras").unlink()
    with pytest.raises(MissingPathError, match=r"no model\.keras in .*mine"):
        models.transfer((16, 16, 1), 2, weights=tmp_path / "mine")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, ConfigurationError, "backbone=None: expected one of vgg19"),
        ({"backbone": "vgg20"}, ConfigurationError, "backbone='vgg20'"),
        ({"weights": "imagenet"}, ConfigurationError, "backbone=None"),
        ({"backbone": "vgg19", "input_shape": (31, 48, 1)}, ConfigurationError, "at least 32"),
        ({"backbone": "vgg19", "weights": "none.h5"}, MissingPathError, "no file none.h5"),
        ({"backbone": "vgg19", "weights": "fer-baseline"}, ConfigurationError, "or no backbone"),
        ({"weights": "fer-baselime"}, MissingPathError, "fer-baseline"),
        ({"weights": "./fer-baseline"}, MissingPathError, "no folder ./fer-baseline"),
        ({"weights": "fer-baseline", "freeze": -1}, ConfigurationError, "freeze=-1"),
        ({"weights": "fer-baseline", "freeze": True}, ConfigurationError, "freeze=True"),
        ({"weights": "fer-baseline", "freeze": "most"}, ConfigurationError, "freeze='most'"),
        ({"weights": "fer-baseline", "freeze": 4}, ConfigurationError, "has 3 blocks"),
        ({"weights": "fer-baseline", "dropout": 1}, ConfigurationError, "dropout=1"),
        ({"weights": "fer-baseline", "n_classes": 1}, ConfigurationError, "n_classes=1"),
        ({"weights": "fer-baseline", "input_shape": (48, 48)}, ConfigurationError, "channels"),
    ],
)
def test_what_does_not_fit_together_is_refused(options, error, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as caught:
        models.transfer(**options)
    assert words in str(caught.value)


def test_published_networks_are_found_by_name_or_path(tmp_path, monkeypatch):
    assert models.saved_folder("fer-baseline") == ROOT / "saved_models" / "fer-baseline"
    assert models.saved_folder(tmp_path) == tmp_path
    places = (tmp_path / "installed", tmp_path / "checkout")
    for place, name in [(places[0], "one"), (places[1], "two"), (places[1], "half")]:
        (place / name).mkdir(parents=True)
        if name != "half":
            (place / name / "recipe.json").write_text("{}")
    monkeypatch.setattr(_saved, "_PLACES", places)
    assert models.saved_folder("one") == places[0] / "one"
    assert models.saved_folder("two") == places[1] / "two"
    for name in ("half", "..", "", "three"):
        with pytest.raises(MissingPathError, match=r"expected one of one, two, or a path"):
            models.saved_folder(name)
    with pytest.raises(MissingPathError, match="no folder"):
        models.saved_folder("../one")


def test_networks_side_by_side_join_what_each_gives():
    names = ("fer-compact", "ferplus-compact")
    joined = models.transfer((48, 48, 1), 2, weights=names, freeze="all")
    pixels = datasets.make_faces(6, seed=0).images
    apart = [
        models.features(models.transfer((48, 48, 1), 2, weights=name), pixels) for name in names
    ]
    np.testing.assert_allclose(
        models.features(joined, pixels), np.concatenate(apart, axis=1), atol=1e-5
    )
    assert len(joined.trainable_variables) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": ["fer-compact"]}, "expected two or more networks in a sequence"),
        ({"weights": ["fer-compact", "fer-deeper"], "freeze": 1}, "the backbone has 0 blocks"),
        ({"weights": ["fer-compact", "fer-deeper"], "backbone": "vgg19"}, "backbone='vgg19' with"),
    ],
)
def test_networks_that_can_not_stand_side_by_side_are_refused(options, words):
    with pytest.raises(ConfigurationError, match=words):
        models.transfer((48, 48, 1), 2, **options)

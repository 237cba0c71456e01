"""The compact convolutional transformer: by hand, by NumPy, from disk, on other backends."""

import functools
import importlib.util
import itertools
import os
import subprocess
import sys

import cv2
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emohelpers import explain, models, publishing
from emohelpers.errors import ConfigurationError
from emohelpers.explain._sanity import _steps

SMALL = {"widths": (3, 8), "blocks": 3, "heads": 2}


def network(shape=(16, 24, 1), *, seed=0, **options):
    """Build a small one, with weights that make its attention uneven."""
    keras.utils.set_random_seed(seed)
    model = models.compact_convolutional_transformer(shape, 3, **{**SMALL, **options})
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        if len(weight.shape) == 1:  # biases, scales and shifts, which begin as 0 and 1
            weight.assign(weight + rng.normal(0, 0.3, weight.shape))
        elif "attention" in weight.path or "pooling" in weight.path:
            weight.assign(weight * 3)
    return model


def noise(n=4, shape=(16, 24, 1), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def between(model, first, last):
    """Return the part of a network that takes what `first` gives and gives what `last` does."""
    return keras.Model(model.get_layer(first).output, model.get_layer(last).output)


def softmax(x, axis=-1):
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


@settings(max_examples=15)
@given(
    sides=st.tuples(st.integers(16, 50), st.integers(16, 50)),
    channels=st.sampled_from([1, 3]),
    n_classes=st.integers(2, 8),
    filters=st.lists(st.integers(1, 5), min_size=0, max_size=2),
    heads=st.integers(1, 3),
    blocks=st.integers(1, 3),
    expansion=st.sampled_from([0.5, 1.0, 2.0]),
    positions=st.sampled_from(["learned", "sinusoidal", None]),
)
def test_it_has_the_parameters_counted_by_hand(
    sides, channels, n_classes, filters, heads, blocks, expansion, positions
):
    width = 4 * heads
    model = models.compact_convolutional_transformer(
        (*sides, channels),
        n_classes,
        widths=[*filters, width],
        blocks=blocks,
        heads=heads,
        expansion=expansion,
        positions=positions,
    )
    convolutions = sum(9 * a * b for a, b in itertools.pairwise([channels, *filters, width]))
    rows, columns = (-(-side // 2 ** (len(filters) + 1)) for side in sides)
    inner = round(expansion * width)
    # Queries, keys, values and what joins the heads; two dense layers; two normalisations.
    block = 4 * (width + 1) * width + (width + 1) * inner + (inner + 1) * width + 4 * width
    place = rows * columns * width if positions == "learned" else 0
    head = 2 * width + (width + 1) + (width + 1) * n_classes
    assert model.count_params() == convolutions + place + blocks * block + head
    assert model.get_layer("tokens").output.shape == (None, rows * columns, width)


def test_as_given_it_is_as_large_as_the_compact_network():
    one, other = (
        build((48, 48, 1), 7).count_params()
        for build in (models.compact_convolutional_transformer, models.compact_cnn)
    )
    assert abs(one - other) < 0.001 * other


def test_attention_is_what_numpy_makes_of_the_weights():
    model, images = network(), noise()
    found = explain.attention(model, images)
    assert found.blocks.shape == (4, 3, 2, 24, 24)
    assert found.grid == (4, 6)
    for block in range(3):
        name = f"block{block + 1}"
        before = keras.Model(model.inputs[0], model.get_layer(f"{name}_norm1").output)
        x = np.asarray(before(images * 1.0))
        layer = model.get_layer(f"{name}_attention")
        weights = {w.path.split("/")[-2:][0] + "/" + w.name: np.asarray(w) for w in layer.weights}
        query, key = (
            np.einsum("ntd,dhk->nhtk", x, weights[f"{part}/kernel"])
            + weights[f"{part}/bias"][:, None]
            for part in ("query", "key")
        )
        expected = softmax(query @ key.transpose(0, 1, 3, 2) / np.sqrt(4))
        np.testing.assert_allclose(found.blocks[:, block], expected, atol=1e-5)
        assert expected.max() > 2 * expected.min()  # otherwise any other route would do as well
    np.testing.assert_allclose(found.blocks.sum(axis=-1), 1, atol=1e-5)
    last = np.asarray(keras.Model(model.inputs[0], model.get_layer("norm").output)(images * 1.0))
    kernel, bias = model.get_layer("pooling_score").get_weights()
    pooling = softmax(last @ kernel + bias, axis=1)[..., 0]
    np.testing.assert_allclose(found.pooling, pooling, atol=1e-5)
    pooled = np.asarray(
        keras.Model(model.inputs[0], model.get_layer("pooled").output)(images * 1.0)
    )
    np.testing.assert_allclose(pooled, np.einsum("nt,ntd->nd", pooling, last), atol=1e-4)


def test_maps_are_the_tokens_followed_back_by_loops():
    model, images = network(), noise(2)
    found = explain.attention(model, images)
    rolled = []
    for blocks, pooling in zip(found.blocks, found.pooling, strict=True):
        flow = np.eye(24)
        for heads in blocks:  # from the first block to the last, each on the left
            flow = (heads.mean(axis=0) + np.eye(24)) / 2 @ flow
        np.testing.assert_allclose(flow.sum(axis=1), 1, atol=1e-5)
        rolled.append(pooling @ flow)
    for way, tokens in (("pooling", found.pooling), ("rollout", np.array(rolled))):
        for one, token in zip(explain.attention_maps(model, images, way=way), tokens, strict=True):
            np.testing.assert_allclose(one, enlarged(token), atol=1e-4)
    heads = explain.head_maps(model, images)
    assert heads.shape == (2, 3, 2, 16, 24)
    for block, head in itertools.product(range(3), range(2)):
        token = sum(found.pooling[1, q] * found.blocks[1, block, head, q] for q in range(24))
        np.testing.assert_allclose(heads[1, block, head], enlarged(token), atol=1e-4)


def enlarged(token):
    large = cv2.resize(token.reshape(4, 6), (24, 16), interpolation=cv2.INTER_LINEAR)
    return large / large.max()


def test_a_map_is_high_where_the_token_is_that_the_answer_takes():
    model = network()
    kernel, bias = model.get_layer("pooling_score").get_weights()
    model.get_layer("pooling_score").set_weights([kernel * 50, bias])
    images = noise(8)
    found = explain.attention(model, images)
    for image, pooling in zip(
        explain.attention_maps(model, images, way="pooling"), found.pooling, strict=True
    ):
        row, column = divmod(int(pooling.argmax()), 6)
        top, left = np.unravel_index(image.argmax(), image.shape)
        assert (top // 4, left // 4) == (row, column)


@functools.cache
def without_positions():
    return between(network(positions=None), "tokens", "emotion")


@settings(max_examples=10)
@given(order=st.permutations(range(24)))
def test_without_positions_the_order_of_tokens_does_not_matter(order):
    tokens = np.random.default_rng(1).normal(size=(2, 24, 8)).astype("float32")
    one, other = (np.asarray(without_positions()(x)) for x in (tokens, tokens[:, order]))
    np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_with_positions_the_order_of_tokens_matters(positions):
    encoder = between(network(positions=positions), "tokens", "emotion")
    tokens = np.random.default_rng(1).normal(size=(2, 24, 8)).astype("float32")
    one, other = (np.asarray(encoder(x, training=False)) for x in (tokens, tokens[:, ::-1]))
    assert np.abs(one - other).max() > 1e-3


def test_sinusoidal_positions_are_those_of_the_paper():
    layer = models.PositionEmbedding("sinusoidal")
    added = np.asarray(layer(np.zeros((1, 5, 6), "float32")))[0]
    for place, (half, even) in itertools.product(range(5), itertools.product(range(3), (0, 1))):
        angle = place / 10_000 ** (2 * half / 6)
        wave = np.cos(angle) if even else np.sin(angle)
        assert added[place, 2 * half + even] == pytest.approx(wave, abs=1e-6)
    assert layer.count_params() == 0


def test_stochastic_depth_grows_to_the_last_block_and_keeps_the_mean():
    model = network(stochastic_depth=0.4)
    rates = {layer.name: layer.rate for layer in model.layers if layer.name.endswith("_drop")}
    assert rates == {
        f"block{block}_{part}_drop": pytest.approx(rate)
        for block, rate in ((2, 0.2), (3, 0.4))  # in the first block nothing is dropped
        for part in ("attention", "dense")
    }
    drop = model.get_layer("block3_dense_drop")
    branch = np.random.default_rng(0).normal(size=(4000, 2, 3)).astype("float32") + 5
    dropped = np.asarray(drop(branch, training=True))
    whole = (dropped == 0).all(axis=(1, 2)) | (np.abs(dropped - branch / 0.6) < 1e-4).all(
        axis=(1, 2)
    )
    assert whole.all()
    assert dropped.mean() == pytest.approx(branch.mean(), rel=0.05)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", None])
def test_it_comes_back_from_disk_in_safe_mode(tmp_path, positions):
    model, images = network(positions=positions), noise() * 1.0
    model.save(tmp_path / "model.keras")
    back = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(model(images), back(images))
    if positions:
        assert back.get_layer("positions").kind == positions


def test_it_is_published_and_opened_like_any_other(tmp_path):
    model = network((16, 16, 1))
    recipe = {"name": "tiny", "dataset": "toyfaces", "network": "cct", "size": 16}
    recipe |= {"emotions": ["fear", "anger", "neutral"]}
    publishing.save(models.portable(model), recipe, directory=tmp_path / "tiny")
    opened = publishing.open_model(tmp_path / "tiny").model
    images = noise(shape=(16, 16, 1))
    np.testing.assert_allclose(
        models.compiled(opened)(images), np.asarray(model(images * 1.0)), atol=1e-5
    )


def test_compiled_and_in_half_precision_it_answers_the_same():
    model, images = network(standardise=True), noise(20)
    expected = np.asarray(model(images * 1.0, training=False))
    answer = models.compiled(model)
    assert answer.copied
    np.testing.assert_allclose(answer(images), expected, atol=1e-5)
    with models.precision("mixed_bfloat16"):
        half = network(standardise=True)
    assert half.get_layer("block1_attention").compute_dtype == "bfloat16"
    assert half.get_layer("pooling").compute_dtype == "float32"
    half.set_weights(model.get_weights())
    rough = np.asarray(half(images * 1.0, training=False))
    np.testing.assert_allclose(rough, expected, atol=0.1)
    assert np.abs(rough - expected).max() > 1e-4  # it was computed in half precision
    np.testing.assert_allclose(models.compiled(half)(images), expected, atol=1e-5)
    found = explain.attention(half, images)
    assert found.blocks.dtype == np.float32
    np.testing.assert_allclose(found.blocks.sum(axis=-1), 1, atol=0.02)


def test_other_explanations_take_it_and_it_can_forget():
    model, images = network(), noise()
    assert explain.grad_cam(model, images, 0).shape == (4, 16, 24)
    forgot = explain.randomise(model)
    checked = explain.sanity_check(
        model,
        images,
        0,
        method=lambda one, pixels, _: explain.attention_maps(one, pixels),
        layers=[len(_steps(model))],
        n_bootstrap=10,
    )
    assert checked.index[-1] == "conv1"
    maps = [explain.attention_maps(one, images) for one in (model, forgot)]
    by_hand = explain.rank_correlation(*maps).mean()
    assert checked["correlation"].iloc[-1] == pytest.approx(by_hand, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"heads": 3}, "heads=3 for tokens of width 8: expected a divisor"),
        ({"expansion": 0}, "expansion=0: expected above 0"),
        ({"positions": "absolute"}, "positions='absolute': expected one of learned"),
        ({"stochastic_depth": 1.0}, "stochastic_depth=1.0"),
        ({"attention_dropout": -0.1}, "attention_dropout=-0.1"),
        ({"dropout": float("nan")}, "dropout=nan"),
        ({"blocks": 0}, "blocks, heads"),
        ({"widths": ()}, "widths=()"),
        ({"widths": (2, 2, 2, 8)}, "halved 4 times: expected 32 or more"),
    ],
)
def test_what_it_can_not_be_built_of_is_refused(options, words):
    with pytest.raises(ConfigurationError) as caught:
        network(**options)
    assert words in str(caught.value)


def test_a_kind_of_positions_that_there_is_not_is_refused():
    with pytest.raises(ConfigurationError, match="kind='relative': expected one of learned"):
        models.PositionEmbedding("relative")


def test_attention_needs_a_transformer_and_its_images():
    compact = models.compact_cnn((16, 24, 1), 3, widths=(2, 2, 2, 2))
    with pytest.raises(ConfigurationError, match="compact_cnn has no attention"):
        explain.attention(compact, noise())
    with pytest.raises(ConfigurationError, match=r"the network takes \(n, 16, 24, 1\)"):
        explain.attention_maps(network(), noise(shape=(16, 16, 1)))
    with pytest.raises(ConfigurationError, match="way='flow': expected 'pooling' or 'rollout'"):
        explain.attention_maps(network(), noise(), way="flow")


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_give_the_same(tmp_path, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    model, images = network(), noise()
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    script = (
        "import sys, keras, numpy as np\n"
        "from emohelpers import explain, models\n"
        "model = keras.saving.load_model(sys.argv[1], compile=False)\n"
        "images = np.load(sys.argv[2])\n"
        "maps = explain.attention_maps(model, images)\n"
        "np.savez(sys.argv[3], maps=maps, answers=models.compiled(model)(images))\n"
    )
    subprocess.run(
        [
            sys.executable,
            "-c",
            script,
            *(tmp_path / name for name in ("model.keras", "images.npy", "out.npz")),
        ],
        check=True,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    with np.load(tmp_path / "out.npz") as file:
        np.testing.assert_allclose(file["maps"], explain.attention_maps(model, images), atol=1e-4)
        np.testing.assert_allclose(file["answers"], np.asarray(model(images * 1.0)), atol=1e-5)

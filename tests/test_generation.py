"""The autoencoder, its prior, their training and the sampler, each by another route."""

import json
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as any_array

from emohelpers import datasets, generation
from emohelpers.datasets.learnedfaces import Sampler
from emohelpers.errors import ConfigurationError, LabelError, MissingPathError
from emohelpers.generation._likeness import perplexity, psnr
from emohelpers.generation._vq_vae import DepthToSpace, VectorQuantizer

PLAN = generation.Plan(
    n_codes=16,
    code_size=8,
    widths=(8, 16),
    conv_blocks=1,
    width=16,
    heads=2,
    blocks=2,
    dropout=0.1,
    face_epochs=20,
    code_epochs=3,
    face_rate=5e-3,
    batch_size=16,
)
FACES = datasets.make_faces(120, size=24, seed=0, difficulty=0)


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


def half(weight):
    # A seed's state is no weight, and no small number.
    return weight.astype(np.float16).astype(np.float32) if weight.dtype == np.float32 else weight


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("generator")
    return directory, generation.train(FACES, directory=directory, plan=PLAN, verbose=0)


def test_a_vector_becomes_its_nearest_entry_and_the_gradient_passes():
    layer = VectorQuantizer(5)
    vectors = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype(np.float32)
    layer.build(vectors.shape)
    codebook = np.random.default_rng(1).normal(size=(5, 2)).astype(np.float32)
    layer.codebook.assign(codebook)
    distances = ((vectors[..., None, :] - codebook) ** 2).sum(axis=-1)
    np.testing.assert_array_equal(numpy_of(layer.codes(vectors)), distances.argmin(axis=-1))
    chosen = numpy_of(layer(vectors))
    np.testing.assert_allclose(chosen, codebook[distances.argmin(axis=-1)], atol=1e-6)
    pull = 0.25 * distances.min(axis=-1).mean() / 2
    assert float(layer.losses[0]) == pytest.approx(pull, rel=1e-5)
    # Trained through the layer, what comes before it still learns.
    model = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.Dense(2), layer])
    before = [np.array(weight) for weight in model.layers[0].get_weights()]
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(vectors, vectors, verbose=0)
    assert all((a != b).any() for a, b in zip(before, model.layers[0].get_weights(), strict=True))


def test_entries_follow_the_mean_of_what_chooses_them_and_unused_ones_are_placed_anew():
    layer = VectorQuantizer(3, decay=0.5, rare=0.2)
    vectors = np.array([[0.0], [0.2], [4.0], [5.0]], np.float32)
    layer.build(vectors.shape)
    layer.codebook.assign([[0.0], [4.0], [99.0]])
    layer.counts.assign([2.0, 2.0, 0.1])
    layer.sums.assign([[0.0], [8.0], [9.9]])
    layer(vectors, training=True)
    moved = numpy_of(layer.codebook)[:, 0]
    # Half of the old counts and sums, and half of the new: 2 vectors each, of sums .2 and 9.
    assert moved[:2] == pytest.approx([0.1 / 2, (4 + 4.5) / 2])
    assert moved[2] in vectors
    assert numpy_of(layer.counts)[2] == pytest.approx(4 / 3)


def test_a_trained_codebook_is_used_and_draws_faces_better_than_their_mean(trained):
    _, generator = trained
    images = FACES.split("train").images
    codes = generator.codes(images)
    assert codes.shape == (len(images), 16)
    assert codes.max() < 16
    assert perplexity(codes, 16) > 6
    mean = np.asarray(images, float).mean(axis=0)
    gained = psnr(images, generator.reconstruct(images)) - psnr(
        images, np.broadcast_to(mean, images.shape)
    )
    assert gained.mean() > 1


@settings(max_examples=20)
@given(
    grid=any_array(
        np.float32, st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.just(8))
    )
)
def test_depth_to_space_puts_each_channel_where_it_belongs(grid):
    spread = numpy_of(DepthToSpace(2)(grid))
    n, height, width, _ = grid.shape
    assert spread.shape == (n, 2 * height, 2 * width, 2)
    for row in range(2 * height):
        for column in range(2 * width):
            first = ((row % 2) * 2 + column % 2) * 2
            np.testing.assert_array_equal(
                spread[:, row, column], grid[:, row // 2, column // 2, first : first + 2]
            )


def test_the_prior_sees_only_what_came_before():
    prior = generation.code_prior(6, 3, n_codes=5, width=8, heads=2, blocks=2)
    codes = np.array([[0, 1, 2, 3, 4, 0]], np.int32)
    labels = np.array([1], np.int32)
    told = numpy_of(prior([codes, labels]))
    for place in range(6):
        other = codes.copy()
        other[0, place] = (other[0, place] + 1) % 5
        changed = np.abs(numpy_of(prior([other, labels])) - told).max(axis=2)[0] > 1e-6
        assert not changed[: place + 1].any()
        assert changed[place + 1 :].all()
    assert (np.abs(numpy_of(prior([codes, labels + 1])) - told).max(axis=2) > 1e-6).all()


def test_numpy_says_what_keras_says(trained):
    _, generator = trained
    sampler = generator.sampler()
    # In half precision the weights are rounded; the networks get the same ones.
    prior = keras.models.clone_model(generator.prior)
    prior.set_weights([half(weight) for weight in generator.prior.get_weights()])
    codes = generator.codes(FACES.images[:5])
    labels = np.array([0, 1, 2, 6, 7])
    expected = numpy_of(prior([codes.astype(np.int32), labels.astype(np.int32)], training=False))
    np.testing.assert_allclose(sampler.logits(codes, labels), expected, atol=2e-4)
    drawn = numpy_of(generator.vq_vae(np.asarray(FACES.images[:5], np.float32), training=False))
    off = np.abs(np.clip(drawn, 0, 255) - sampler.decode(codes))
    assert off.max() < 1.5  # half a grey level of rounding, and what half precision costs


def test_codes_are_drawn_with_the_shares_that_the_prior_says(trained):
    _, generator = trained
    sampler = generator.sampler()
    labels = np.full(4000, 3)
    first = np.concatenate([part[:, :1] for part in _codes(sampler, labels, guidance=0.0)])
    said = sampler.logits(np.zeros((1, 1), int), [3])[0, 0].astype(float)
    any_of_them = sampler.logits(np.zeros((1, 1), int), [7])[0, 0].astype(float)
    for guidance, temperature in ((0.0, 1.0), (1.5, 1.0), (0.0, 0.5)):
        first = np.concatenate(
            [
                part[:, 0]
                for part in _codes(sampler, labels, guidance=guidance, temperature=temperature)
            ]
        )
        logits = (said + guidance * (said - any_of_them)) / temperature
        expected = np.exp(logits) / np.exp(logits).sum()
        shares = np.bincount(first, minlength=16) / len(labels)
        # Five standard errors: of 48 shares one strays so far in some ten thousand runs.
        assert (np.abs(shares - expected) < 5 * np.sqrt(expected / len(labels)) + 1e-3).all()


def _codes(sampler, labels, *, guidance, temperature=1.0):
    """Draw codes, and decode none of them."""
    caught = []
    quick = Sampler(sampler.weights, sampler.class_names, sampler.grid)
    quick.decode = lambda codes: caught.append(codes) or np.zeros((len(codes), 1, 1, 1), np.uint8)
    quick.draw(labels, seed=5, guidance=guidance, temperature=temperature)
    return caught


def test_a_draw_is_the_same_again_begins_as_a_longer_one_and_follows_its_seed(trained):
    sampler = trained[1].sampler()
    labels = np.arange(150) % 7
    whole = sampler.draw(labels, seed=1, guidance=1.0)
    assert whole.shape == (150, 24, 24, 1)
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(whole, sampler.draw(labels, seed=1, guidance=1.0))
    np.testing.assert_array_equal(whole[:70], sampler.draw(labels[:70], seed=1, guidance=1.0))
    assert (whole != sampler.draw(labels, seed=2, guidance=1.0)).any(axis=(1, 2, 3)).mean() > 0.9


def test_a_sampler_comes_back_from_its_file(trained, tmp_path):
    sampler = trained[1].sampler()
    sampler.guidance = 1.5
    path = sampler.save(tmp_path / "it.npz")
    again = Sampler.open(path)
    assert (again.class_names, again.grid, again.guidance) == (FACES.class_names, (4, 4), 1.5)
    np.testing.assert_array_equal(
        again.draw([0, 1], seed=3), sampler.draw([0, 1], seed=3, guidance=1.5)
    )
    assert [file.name for file in tmp_path.iterdir()] == ["it.npz"]


def test_files_that_are_no_sampler_are_refused(trained, tmp_path):
    with pytest.raises(MissingPathError, match=r"no file .*none\.npz"):
        Sampler.open(tmp_path / "none.npz")
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK not a zip")
    with pytest.raises(ConfigurationError, match="damaged or no sampler"):
        Sampler.open(broken)
    path = trained[1].sampler().save(tmp_path / "whole.npz")
    broken.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ConfigurationError, match="damaged or no sampler"):
        Sampler.open(broken)
    np.savez(tmp_path / "pickled.npz", about=np.array({"a": 1}, dtype=object))
    with pytest.raises(ConfigurationError, match="damaged or no sampler"):
        Sampler.open(tmp_path / "pickled.npz")
    sampler = trained[1].sampler()
    fewer = {name: w for name, w in sampler.weights.items() if name != "codebook"}
    with pytest.raises(ConfigurationError, match="lack 'codebook'"):
        Sampler(fewer, sampler.class_names, sampler.grid)
    with pytest.raises(ConfigurationError, match="expected 5x4 places"):
        Sampler(sampler.weights, sampler.class_names, (5, 4))


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        ([7], {}, "expected one or more, in 0 to 6"),
        ([], {}, "expected one or more"),
        ([[0]], {}, r"labels of shape \(1, 1\)"),
        ([0], {"temperature": 0.0}, "expected above 0"),
        ([0], {"guidance": -1.0}, "0 or more"),
        ([0], {"guidance": float("nan")}, "0 or more"),
    ],
)
def test_draws_that_can_not_be_are_refused(trained, labels, options, words):
    with pytest.raises(ConfigurationError, match=words):
        trained[1].sampler().draw(labels, **options)


def test_a_stopped_training_ends_as_one_that_was_not(trained, tmp_path):
    _, whole = trained

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    original = keras.Model.fit
    calls = []

    def stopped(self, *args, callbacks=(), **options):
        calls.append(self.name)
        more = [Stop()] if len(calls) == 1 else []
        return original(self, *args, callbacks=[*callbacks, *more], **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "fit", stopped)
        with pytest.raises(KeyboardInterrupt):
            generation.train(FACES, directory=tmp_path, plan=PLAN, verbose=0)
        again = generation.train(FACES, directory=tmp_path, plan=PLAN, verbose=0)
    assert calls == ["vq_vae", "vq_vae", "prior"]
    for name in ("vq_vae", "prior"):
        for one, other in zip(
            getattr(whole, name).get_weights(), getattr(again, name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, other)


def test_another_training_in_the_same_folder_is_refused(trained):
    directory, _ = trained
    other = replace(PLAN, unconditional=0.5)
    with pytest.raises(ConfigurationError, match="belongs to a training with another"):
        generation.train(FACES, directory=directory, plan=other, verbose=0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: generation.vq_vae((20, 24, 1)), "images of 20x24: .* that 6 divides"),
        (lambda: generation.vq_vae((24, 24, 1), n_codes=0), "n_codes=0"),
        (lambda: generation.code_prior(4, 7, width=9, heads=2), "that the heads divide"),
        (lambda: generation.code_prior(4, 7, dropout=1.0), "a share below 1"),
    ],
)
def test_networks_that_can_not_be_are_refused(call, words):
    with pytest.raises(ConfigurationError, match=words):
        call()


def test_faces_that_can_not_be_learnt_from_are_refused(tmp_path):
    only = FACES.split("train")
    with pytest.raises(ConfigurationError, match="no validation images"):
        generation.train(only, directory=tmp_path, plan=PLAN)
    unlabelled = replace(FACES, labels=np.full(len(FACES), -1))
    with pytest.raises(LabelError, match="have no label"):
        generation.train(unlabelled, directory=tmp_path, plan=PLAN)
    with pytest.raises(ConfigurationError, match="0 epochs"):
        generation.train(FACES, directory=tmp_path, plan=replace(PLAN, face_epochs=0))
    assert not list(tmp_path.iterdir())


@settings(max_examples=25)
@given(
    arrays=st.integers(1, 6).flatmap(
        lambda width: st.tuples(
            *(any_array(np.uint8, st.tuples(st.integers(1, 9), st.just(width))) for _ in range(2))
        )
    )
)
def test_the_nearest_is_that_of_all_pairs(arrays):
    queries, references = arrays
    found, at = generation.nearest(queries, references)
    gaps = queries[:, None].astype(float) - references
    every = np.sqrt((gaps**2).mean(axis=2))
    np.testing.assert_allclose(found, every.min(axis=1), atol=1e-6)
    np.testing.assert_allclose(found, every[np.arange(len(at)), at], atol=1e-6)


def test_repeated_faces_are_told_from_new_ones():
    rng = np.random.default_rng(0)
    learnt, unseen, new = rng.normal(size=(3, 300, 10))
    reference = generation.nearest(unseen, learnt)[0]
    repeated = np.where(rng.random((300, 1)) < 0.3, learnt + 0.01, new)
    none = generation.nearer_than(generation.nearest(new, learnt)[0], reference)
    some = generation.nearer_than(generation.nearest(repeated, learnt)[0], reference)
    assert none["low"] <= 0.01 <= none["high"]
    assert some["low"] > 0.2
    assert some["value"] == pytest.approx(0.3, abs=0.06)


def test_made_faces_join_the_training_split_alone():
    images, labels = np.array(FACES.images[:4]) // 2, [0, 1, 1, 2]
    more = generation.with_made(FACES, images, labels)
    for name in ("validation", "test"):
        pd.testing.assert_frame_equal(
            more.split(name).table.drop(columns="synthetic"),
            FACES.split(name).table,
            check_dtype=False,  # where a made face has no person, its number is missing
        )
    made = more.select(more.table["synthetic"].to_numpy(bool))
    np.testing.assert_array_equal(made.images, images)
    assert made.labels.tolist() == labels
    assert set(made.table["split"]) == {"train"}
    assert len(more) == len(FACES) + 4
    assert more.table["leaks"].dtype == bool
    with pytest.raises(ConfigurationError, match="expected"):
        generation.with_made(FACES, images[:, :12], labels)
    with pytest.raises(ConfigurationError, match="expected"):
        generation.with_made(FACES, images, labels[:3])


def test_what_is_missing_evens_the_classes_out():
    faces = datasets.make_faces(60, size=24, emotions={"neutral": 0.8, "fear": 0.15, "anger": 0.05})
    counts = np.bincount(faces.labels)
    missing = generation.missing_labels(faces)
    assert (counts + np.bincount(missing, minlength=3) == counts.max()).all()
    some = np.bincount(generation.missing_labels(faces, per_class=10), minlength=3)
    np.testing.assert_array_equal(np.maximum(counts, 10), counts + some)


def test_figures_are_those_of_their_formulas():
    rng = np.random.default_rng(0)
    images, other = rng.integers(0, 256, (2, 3, 6, 6, 1)).astype(np.uint8)
    for ratio, one, two in zip(psnr(images, other), images, other, strict=True):
        noise = np.sqrt(np.mean((one.astype(float) - two) ** 2))
        assert ratio == pytest.approx(20 * np.log10(255 / noise))
    assert psnr(images, images).max() < 60
    assert perplexity(np.arange(8), 8) == pytest.approx(8)
    assert perplexity(np.zeros(8, int), 8) == 1
    shares = np.array([0.5, 0.25, 0.25])
    assert perplexity(np.array([0, 0, 1, 2]), 3) == pytest.approx(np.prod(shares**-shares))


def test_what_is_exported_holds_no_pickles_and_says_what_it_is(trained, tmp_path):
    path = trained[1].sampler().save(tmp_path / "it.npz")
    with np.load(path, allow_pickle=False) as file:
        kinds = {file[name].dtype.kind for name in file.files}
        about = json.loads(str(file["about"]))
    assert kinds == {"f", "U"}
    assert about["class_names"] == list(FACES.class_names)

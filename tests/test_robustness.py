"""Corruptions, attacks and what networks lose by them, each by another route."""

import io
import json

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy import ndimage

from emohelpers import datasets, evaluation, fairness, models, plots, publishing, robustness
from emohelpers.errors import ConfigurationError, LabelError, MissingPathError

GREY = datasets.make_faces(12, seed=0).images[:]
COLOR = datasets.make_faces(6, seed=1, color=True).images[:]
BATCHES = pytest.mark.parametrize("images", [GREY, COLOR], ids=["grey", "colour"])
EVERY = pytest.mark.parametrize("name", list(robustness.CORRUPTIONS))


def moved(images, changed):
    return float(np.mean((images.astype(float) - changed) ** 2))


@EVERY
@BATCHES
def test_worse_severities_change_more_and_seeds_repeat(name, images):
    before = images.copy()
    made = [robustness.corrupt(images, name, k, seed=3) for k in robustness.SEVERITIES]
    again = [robustness.CORRUPTIONS[name](images, k, seed=3) for k in robustness.SEVERITIES]
    for one, other in zip(made, again, strict=True):
        assert one.dtype == np.uint8
        assert one.shape == images.shape
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(images, before)
    changes = [moved(images, one) for one in made]
    assert changes[0] > 0
    assert changes == sorted(changes)
    assert len(robustness.STRENGTHS[name]) == len(robustness.SEVERITIES)


@EVERY
def test_what_is_drawn_differs_by_seed_and_what_is_not_does_not(name):
    first, second = (robustness.corrupt(GREY, name, 4, seed=seed) for seed in (0, 1))
    drawn = {"motion_blur", "gaussian_noise", "shot_noise", "occlusion", "shift", "rotation"}
    assert (first != second).any() == (name in drawn)


@EVERY
@settings(max_examples=10)
@given(pixels=arrays(np.uint8, st.tuples(st.integers(0, 3), *[st.integers(8, 30)] * 2, st.just(1))))
def test_any_images_stay_images(name, pixels):
    changed = robustness.corrupt(pixels, name, 5, seed=0)
    assert changed.shape == pixels.shape
    assert changed.dtype == np.uint8


def test_blur_is_that_of_scipy():
    for severity, sigma in enumerate(robustness.STRENGTHS["gaussian_blur"], start=1):
        changed = robustness.corrupt(GREY, "gaussian_blur", severity)
        other = ndimage.gaussian_filter(
            GREY[..., 0].astype(float), (0, sigma, sigma), mode="mirror", truncate=4
        )
        assert np.abs(changed[..., 0] - other).mean() < 0.5
        assert np.abs(changed[..., 0] - other).max() < 3


@pytest.mark.parametrize("name", ["defocus_blur", "motion_blur"])
def test_the_picture_of_a_point_keeps_its_light_and_its_middle(name):
    point = np.zeros((40, 49, 49, 1), np.uint8)
    point[:, 24, 24] = 255
    # A brighter background so that rounding of single grey levels does not matter.
    spread = robustness.corrupt(point, name, 5, seed=0)[..., 0].astype(float)
    assert spread.sum(axis=(1, 2)) == pytest.approx(255, rel=0.15)
    at = np.arange(49)
    for image in spread:
        assert (image.sum(0) * at).sum() / image.sum() == pytest.approx(24, abs=0.1)
        assert (image.sum(1) * at).sum() / image.sum() == pytest.approx(24, abs=0.1)
    reach = np.hypot(*np.meshgrid(at - 24, at - 24))[(spread > 0).any(axis=0)].max()
    length = robustness.STRENGTHS[name][4] * 49 / 48
    assert reach == pytest.approx(length if name == "defocus_blur" else length / 2, abs=1.5)


@BATCHES
def test_jpeg_is_that_of_pillow(images):
    for severity, quality in enumerate(robustness.STRENGTHS["jpeg"], start=1):
        changed = robustness.corrupt(images, "jpeg", severity)
        for image, mine in zip(images, changed, strict=True):
            buffer = io.BytesIO()
            Image.fromarray(image.squeeze()).save(buffer, "JPEG", quality=quality)
            theirs = np.asarray(Image.open(buffer)).reshape(image.shape)
            assert np.abs(mine.astype(int) - theirs).mean() < 1


@pytest.mark.parametrize("severity", robustness.SEVERITIES)
def test_noise_has_the_spread_that_it_says(severity):
    flat = np.full((20, 48, 48, 1), 128, np.uint8)
    k = severity - 1
    sigma = robustness.STRENGTHS["gaussian_noise"][k]
    changed = robustness.corrupt(flat, "gaussian_noise", severity, seed=0)
    assert changed.std() == pytest.approx(sigma, rel=0.03)
    assert changed.mean() == pytest.approx(128, abs=1)
    photons = robustness.STRENGTHS["shot_noise"][k]
    # The variance of a count is its mean.
    caught = 128 / 255 * photons
    changed = robustness.corrupt(flat, "shot_noise", severity, seed=0)
    if severity < 4:  # then the brightest are clipped
        assert changed.std() == pytest.approx(255 / photons * np.sqrt(caught), rel=0.03)


@pytest.mark.parametrize("severity", robustness.SEVERITIES)
def test_light_and_contrast_are_what_is_left_of_them(severity):
    k = severity - 1
    dark = robustness.corrupt(GREY, "dark", severity)
    assert np.abs(dark - robustness.STRENGTHS["dark"][k] * GREY).max() <= 0.5 + 1e-4
    flat = robustness.corrupt(GREY, "low_contrast", severity).astype(float)
    share = robustness.STRENGTHS["low_contrast"][k]
    for before, after in zip(GREY.astype(float), flat, strict=True):
        assert after.mean() == pytest.approx(before.mean(), abs=0.5)
        assert after.std() == pytest.approx(share * before.std(), abs=0.5)


def test_a_block_covers_its_share_and_larger_ones_what_smaller_ones_covered():
    white = np.full((30, 50, 50, 3), 255, np.uint8)
    before = np.zeros((30, 50, 50), bool)
    for k, share in enumerate(robustness.STRENGTHS["occlusion"], start=1):
        covered = (robustness.corrupt(white, "occlusion", k, seed=2) == 128).all(axis=-1)
        assert (covered.sum(axis=(1, 2)) == round(50 * share) ** 2).all()
        # A pixel of rounding at the edges is allowed.
        assert (before & ~covered).sum(axis=(1, 2)).max() <= 2 * round(50 * share)
        before = covered
    assert len({np.argwhere(one)[0].tobytes() for one in covered}) > 20


def test_a_shift_is_a_roll_away_from_the_edge():
    changed = robustness.corrupt(GREY, "shift", 3, seed=5)
    length = robustness.STRENGTHS["shift"][2]
    for before, after in zip(GREY, changed, strict=True):
        found = [
            (y, x)
            for y in range(-7, 8)
            for x in range(-7, 8)
            if (np.roll(before, (y, x), (0, 1))[8:-8, 8:-8] == after[8:-8, 8:-8]).all()
        ]
        assert len(found) == 1
        assert np.hypot(*found[0]) == pytest.approx(length, abs=0.8)


def test_a_rotation_is_that_of_scipy_and_by_none_the_identity(monkeypatch):
    changed = robustness.corrupt(GREY, "rotation", 3, seed=0)[:, 12:-12, 12:-12, 0]
    sides = []
    for before, after in zip(GREY[..., 0], changed, strict=True):
        turned = {
            angle: ndimage.rotate(before.astype(float), angle, reshape=False, order=1)
            for angle in (-15, 15)
        }
        apart = {
            angle: np.abs(other[12:-12, 12:-12] - after).mean() for angle, other in turned.items()
        }
        side = min(apart, key=apart.get)
        assert apart[side] < 1
        sides.append(side)
    assert len(set(sides)) == 2
    none = {**robustness.STRENGTHS, "rotation": (0.0,) * 5, "shift": (0.0,) * 5}
    monkeypatch.setattr("emohelpers.robustness._corruptions.STRENGTHS", none)
    for name in ("rotation", "shift"):
        np.testing.assert_array_equal(robustness.corrupt(GREY, name, 5), GREY)


def test_a_lower_resolution_is_the_mean_of_blocks():
    stripes = robustness.corrupt(GREY, "low_resolution", 2)[..., 0]
    small = GREY[..., 0].reshape(-1, 24, 2, 24, 2).mean(axis=(2, 4))
    # In the middle of a block of four pixels of the old size linear interpolation is exact.
    again = stripes.reshape(-1, 24, 2, 24, 2).mean(axis=(2, 4))
    assert np.abs(small - again).mean() < 6
    flat = np.full((1, 40, 60, 3), 77, np.uint8)
    np.testing.assert_array_equal(robustness.corrupt(flat, "low_resolution", 5), flat)


def test_lengths_grow_with_the_image():
    large = np.repeat(np.repeat(GREY, 2, axis=1), 2, axis=2)
    for name in ("gaussian_blur", "defocus_blur", "motion_blur", "occlusion", "rotation"):
        small = robustness.corrupt(GREY, name, 3, seed=0)
        halved = robustness.corrupt(large, name, 3, seed=0).reshape(-1, 48, 2, 48, 2)
        assert np.abs(small[..., 0] - halved.mean(axis=(2, 4))).mean() < 1


def test_some_images_are_corrupted_each_in_its_own_way():
    images = np.repeat(GREY[:1], 400, axis=0)
    changed = robustness.corrupt_some(images, share=0.5, names=["dark", "jpeg"], seed=0)
    possible = {
        robustness.corrupt(images[:1], name, severity).tobytes(): (name, severity)
        for name in ("dark", "jpeg")
        for severity in robustness.SEVERITIES
    } | {images[0].tobytes(): None}
    kinds = [possible[one.tobytes()] for one in changed]
    assert len(set(kinds)) == 11
    assert kinds.count(None) == pytest.approx(200, abs=40)
    again = robustness.corrupt_some(images, share=0.5, names=["dark", "jpeg"], seed=0)
    np.testing.assert_array_equal(changed, again)
    np.testing.assert_array_equal(robustness.corrupt_some(images, share=0), images)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((GREY, "fog", 1), "no corruption 'fog': expected one of gaussian_blur"),
        ((GREY, "dark", 0), "severity=0: expected 1 to 5"),
        ((GREY, "dark", 6), "severity=6: expected 1 to 5"),
        ((GREY / np.float32(255), "dark", 1), "images of float32: expected uint8"),
        ((GREY[0], "dark", 1), "expected uint8 or float32 of shape"),
    ],
)
def test_what_can_not_be_corrupted_is_refused(arguments, said):
    with pytest.raises(ConfigurationError) as error:
        robustness.corrupt(*arguments)
    assert said in str(error.value)


@pytest.mark.parametrize("wrong", [{"share": 2}, {"names": []}, {"share": 1, "names": ["fog"]}])
def test_corrupt_some_refuses_what_it_can_not_draw(wrong):
    with pytest.raises(ConfigurationError, match="expected"):
        robustness.corrupt_some(GREY, **wrong)


def linear(weights, bias=0.0, activation="softmax"):
    """Return a network whose outputs are softmax of pixels times weights."""
    side = int(np.sqrt(len(weights)))
    model = keras.Sequential(
        [
            keras.Input((side, side, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(weights.shape[1], activation=activation),
        ]
    )
    model.layers[-1].set_weights([weights, np.full(weights.shape[1], bias)])
    return model


def test_fgsm_of_a_linear_network_is_known_in_closed_form():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(16, 2)).astype(np.float32) / 100
    images = rng.integers(20, 230, (5, 4, 4, 1)).astype(np.uint8)
    labels = np.array([0, 1, 0, 1, 1])
    # Of two classes, only the other one's weights less one's own count.
    apart = np.where(labels[:, None] == 0, weights[:, 1] - weights[:, 0], 0) + np.where(
        labels[:, None] == 1, weights[:, 0] - weights[:, 1], 0
    )
    expected = images + 7 * np.sign(apart).reshape(images.shape)
    before = images.copy()
    found = robustness.fgsm(linear(weights), images, labels, epsilon=7)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(images, before)
    # The loss grows straight along the way, so that nothing within epsilon is worse.
    steps = robustness.pgd(linear(weights), images, labels, epsilon=7, steps=8)
    np.testing.assert_allclose(steps, expected, atol=1e-4)


def test_a_sigmoid_is_attacked_as_the_softmax_that_it_is():
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(16, 1)).astype(np.float32) / 100
    images = rng.integers(20, 230, (4, 4, 4, 1)).astype(np.float32)
    labels = np.array([0, 1, 1, 0])
    one = robustness.fgsm(linear(weights, activation="sigmoid"), images, labels, epsilon=2)
    two = np.concatenate([np.zeros_like(weights), weights], axis=1)
    np.testing.assert_array_equal(one, robustness.fgsm(linear(two), images, labels, epsilon=2))


def test_a_network_that_is_wholly_sure_is_attacked_all_the_same():
    weights = np.zeros((16, 2), np.float32)
    weights[:, 0] = 0.01  # the other class's odds are about exp(-30)
    images = np.full((1, 4, 4, 1), 187, np.uint8)
    model = linear(weights)
    assert model(images.astype(np.float32)).numpy()[0, 0] == 1.0
    np.testing.assert_array_equal(robustness.fgsm(model, images, [0], epsilon=1), images - 1.0)


NETWORK = models.baseline_cnn((12, 12, 1), 3, filters=(2, 2, 2), units=4)


@settings(max_examples=25)
@given(
    pixels=arrays(np.uint8, (2, 12, 12, 1)),
    epsilon=st.floats(0, 40),
    step_size=st.floats(0.1, 90),
)
def test_attacks_stay_within_epsilon_and_the_grey_levels(pixels, epsilon, step_size):
    labels = [0, 2]
    for attacked in (
        robustness.fgsm(NETWORK, pixels, labels, epsilon=epsilon),
        robustness.pgd(NETWORK, pixels, labels, epsilon=epsilon, steps=2, step_size=step_size),
    ):
        assert attacked.shape == pixels.shape
        assert attacked.min() >= 0
        assert attacked.max() <= 255
        assert np.abs(attacked - pixels.astype(float)).max() <= epsilon + 1e-4


def test_pgd_finds_more_than_fgsm_and_repeats_by_its_seed():
    faces = datasets.make_faces(60, seed=4)
    model = publishing.open_model(models.saved_folder("toy-baseline")).model
    given = model, faces.images[:], faces.labels
    found = {
        "fgsm": robustness.fgsm(*given, epsilon=3),
        "pgd": robustness.pgd(*given, epsilon=3, steps=5, seed=1),
    }
    sure = {
        name: evaluation.predict(model, pixels)[np.arange(60), faces.labels].mean()
        for name, pixels in found.items()
    }
    clean = evaluation.predict(model, faces.images)[np.arange(60), faces.labels].mean()
    assert sure["pgd"] < sure["fgsm"] < clean - 0.1
    again = robustness.pgd(*given, epsilon=3, steps=5, seed=1)
    np.testing.assert_array_equal(found["pgd"], again)
    assert (robustness.pgd(*given, epsilon=3, steps=5, seed=2) != again).any()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": [0]}, "expected (n, 12, 12, 1) and (n,)"),
        ({"images": np.zeros((2, 8, 8, 1), np.uint8)}, "expected (n, 12, 12, 1) and (n,)"),
        ({"labels": [0, 3]}, "expected integers, 0 to 2"),
        ({"labels": [0.0, 1.0]}, "expected integers, 0 to 2"),
        ({"epsilon": -1}, "epsilon=-1: expected grey levels"),
        ({"steps": 0}, "expected 1 or more"),
        ({"step_size": 0}, "of more than 0"),
    ],
)
def test_attacks_refuse_what_does_not_fit(changes, said):
    options = {"images": np.zeros((2, 12, 12, 1), np.uint8), "labels": [0, 1], "epsilon": 1}
    options |= changes
    with pytest.raises(ConfigurationError) as error:
        robustness.pgd(NETWORK, options.pop("images"), options.pop("labels"), **options)
    assert said in str(error.value)


FACES = datasets.make_faces(300, seed=9)


@pytest.fixture(scope="module")
def toy():
    return publishing.open_model(models.saved_folder("toy-baseline")).model


@pytest.fixture(scope="module")
def correct(toy):
    return robustness.correct_answers(toy, FACES, corruptions=["dark", "rotation"], seed=1)


def test_answers_are_those_of_corrupted_images(toy, correct):
    assert correct.columns.names == ["corruption", "severity"]
    assert correct.shape == (300, 11)
    said = toy.predict(FACES.images[:], verbose=0).argmax(axis=1)
    np.testing.assert_array_equal(correct["clean", 0], said == FACES.labels)
    dark = robustness.corrupt(FACES.images[:], "dark", 4)
    said = toy.predict(dark, verbose=0).argmax(axis=1)
    np.testing.assert_array_equal(correct["dark", 4], said == FACES.labels)
    again = robustness.correct_answers(toy, FACES, corruptions=["rotation"], seed=1)
    pd.testing.assert_frame_equal(again["rotation"], correct["rotation"])


def test_a_comparison_has_means_and_paired_differences(correct):
    table = robustness.compare(correct, FACES.labels, FACES.class_names)
    assert len(table) == 11 + 3
    rows = table.set_index(["corruption", "severity"])
    right = correct["dark", 5].to_numpy()
    one = rows.loc[("dark", 5)]
    assert one["accuracy"] == pytest.approx(right.mean(), abs=1e-4)
    recalls = [right[FACES.labels == label].mean() for label in range(len(FACES.class_names))]
    assert one["balanced_accuracy"] == pytest.approx(np.mean(recalls), abs=1e-4)
    apart = right.astype(float) - correct["clean", 0]
    assert one["difference"] == pytest.approx(apart.mean(), abs=1e-4)
    # The interval of a mean by the normal approximation.
    error = 1.96 * apart.std() / np.sqrt(len(apart))
    assert one["difference_low"] == pytest.approx(apart.mean() - error, abs=0.015)
    assert one["difference_high"] == pytest.approx(apart.mean() + error, abs=0.015)
    means = table[table["severity"].isna()].set_index("corruption")["accuracy"]
    assert means["dark"] == pytest.approx(correct["dark"].to_numpy().mean(), abs=1e-4)
    assert means["all"] == pytest.approx((means["dark"] + means["rotation"]) / 2, abs=1e-4)
    short = robustness.compare(correct, FACES.labels, FACES.class_names, means=False)
    assert len(short) == 11


def test_groups_lose_what_their_images_lose(correct):
    groups = FACES.table[["gender", "age_group"]]
    table = robustness.by_group(correct, groups, n_bootstrap=200, n_permutations=99)
    row = table[(table["corruption"] == "dark") & (table["group"] == "female")].iloc[0]
    theirs = (groups["gender"] == "female").to_numpy()
    accuracy = correct["dark"].to_numpy()[theirs].mean()
    assert row["n"] == theirs.sum()
    assert row["accuracy"] == pytest.approx(accuracy, abs=1e-4)
    assert row["lost"] == pytest.approx(correct["clean", 0][theirs].mean() - accuracy, abs=1e-4)
    assert row["lost_low"] <= row["lost"] <= row["lost_high"]
    p = (
        table[table["feature"] != "all"]
        .groupby(["corruption", "feature"])["p_holm"]
        .agg(["min", "max"])
    )
    assert (p["min"] == p["max"]).all()
    lost = correct["clean", 0].to_numpy(float) - correct["dark"].to_numpy(float).mean(axis=1)
    alone = fairness.permutation_test(
        np.zeros(300, int),
        lost,
        groups,
        by=["gender"],
        metric=lambda _, values: float(np.mean(values)),
        n_permutations=99,
    )
    assert p.loc[("dark", "gender"), "max"] >= alone["p_value"][0] - 0.06


def test_attacked_answers_are_those_of_attacked_images(toy):
    faces = FACES.select(range(40))
    correct = robustness.attacked_answers(toy, faces, epsilons=[2, 4], steps=3)
    assert correct.columns.to_list() == [
        ("clean", 0), ("fgsm", 2), ("fgsm", 4), ("pgd", 2), ("pgd", 4),
    ]  # fmt: skip
    changed = robustness.fgsm(toy, faces.images[:], faces.labels, epsilon=4)
    said = toy.predict(changed, verbose=0).argmax(axis=1)
    np.testing.assert_array_equal(correct["fgsm", 4], said == faces.labels)
    table = robustness.compare(correct, faces.labels, faces.class_names, means=False)
    assert table.columns[:2].to_list() == ["attack", "epsilon"]


def test_answers_refuse_what_does_not_fit(toy, correct):
    with pytest.raises(ConfigurationError, match="no corruption 'fog'"):
        robustness.correct_answers(toy, FACES, corruptions=["fog"])
    few = FACES.keep_classes(["fear", "neutral"])
    with pytest.raises(ConfigurationError, match="7 classes and the faces have 2"):
        robustness.correct_answers(toy, few, corruptions=[])
    unknown = datasets.FaceDataset(
        few.images, np.full(len(few), -1), few.class_names, few.table, name="unknown"
    )
    with pytest.raises(LabelError):
        robustness.attacked_answers(toy, unknown)
    with pytest.raises(ConfigurationError, match="expected what correct_answers"):
        robustness.compare(correct.iloc[:, 1:], FACES.labels, FACES.class_names)


def test_an_ensemble_is_made_of_what_its_members_said(tmp_path):
    place = tmp_path / "models"
    for name, seed in (("first", 0), ("second", 1)):
        keras.utils.set_random_seed(seed)
        network = models.baseline_cnn(filters=(2, 2, 2), units=4)
        recipe = {"name": name, "dataset": "toyfaces", "emotions": list(datasets.EMOTIONS[:7])}
        publishing.save(network, recipe, directory=place / name)
    both = publishing.combine([place / "first", place / "second"], directory=place / "both")
    options = {"directory": tmp_path / "study", "images": 30}
    table = robustness.study([place / "both", place / "first"], **options)
    assert sorted(path.stem for path in (tmp_path / "study").glob("*.npz")) == ["first", "second"]
    faces = both.load("toyfaces").keep_classes(both.class_names).split("test")
    drawn = np.sort(np.random.default_rng(0).permutation(len(faces))[:30])
    faces = faces.select(drawn)
    own = robustness.correct_answers(both.model, faces, corruptions=["gaussian_noise"])
    rows = table[(table["network"] == "both") & table["severity"].eq(3)].set_index("corruption")
    accuracy = own["gaussian_noise", 3].mean()
    assert rows.loc["gaussian_noise", "accuracy"] == pytest.approx(accuracy, abs=1e-4)


def test_a_study_is_continued_and_not_mixed_with_another(tmp_path, monkeypatch):
    options = {"directory": tmp_path / "study", "images": 20}
    table = robustness.study(["toy-baseline"], **options)
    assert len(table) == 1 + 12 * 5 + 12 + 1
    assert set(table["data"]) == {"toyfaces test"}
    assert set(table["images"]) == {20}
    monkeypatch.setattr("emohelpers.robustness._study.probabilities", None)  # nothing is made anew
    pd.testing.assert_frame_equal(robustness.study(["toy-baseline"], **options), table)
    with pytest.raises(ConfigurationError, match="is of another study"):
        robustness.study(["toy-baseline"], **options, seed=1)


@pytest.mark.parametrize(
    ("networks", "options", "said"),
    [
        ([], {}, "no networks"),
        (["toy-baseline"], {"change": "weather"}, "change='weather'"),
        (["toy-baseline"], {"images": 0}, "images=0"),
        (["toy-baseline", "toy-baseline"], {}, "two networks named toy-baseline"),
        (["nobody"], {}, "no published network"),
    ],
)
def test_a_study_refuses_what_it_can_not_do(tmp_path, networks, options, said):
    with pytest.raises((ConfigurationError, MissingPathError)) as error:
        robustness.study(networks, directory=tmp_path / "none", **options)
    assert said in str(error.value)
    assert not (tmp_path / "none").exists()


def test_the_command_writes_what_each_group_loses_under_attack(run, tmp_path):
    out = tmp_path / "robustness.csv"
    done = run(
        "robustness", "toy-baseline", "--out", out, "--runs", tmp_path / "runs", "--attacks",
        "--images", 40, "--by", "gender",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    table = pd.read_csv(out)
    assert table["attack"].unique().tolist() == ["fgsm", "pgd"]
    assert table["group"].tolist()[:3] == ["all", "female", "male"]
    assert "toy-baseline" in done.stdout
    assert json.loads((tmp_path / "runs" / "settings.json").read_text())["change"] == "attacks"


def test_the_chart_has_a_panel_for_each_corruption_and_a_line_for_each_network(correct):
    table = robustness.compare(correct, FACES.labels, FACES.class_names)
    both = pd.concat([table.assign(network="one"), table.assign(network="two")])
    figure = plots.corruptions(both)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["dark", "rotation"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["one", "two"]
    drawn = figure.axes[0].containers[0].lines[0].get_ydata()
    rows = table[table["corruption"].isin(["clean", "dark"]) & table["severity"].notna()]
    np.testing.assert_allclose(drawn, rows["accuracy"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.drop(columns="severity"), "a table without severity"),
        (lambda table: table.iloc[1:], "one row 'clean' for each network"),
        (lambda table: table.iloc[:1], "0 kinds of change"),
        (lambda table: table.assign(accuracy_low=1.0), "lies outside its interval"),
    ],
)
def test_the_chart_refuses_what_it_can_not_draw(correct, change, said):
    table = robustness.compare(correct, FACES.labels, FACES.class_names)
    with pytest.raises(ConfigurationError) as error:
        plots.corruptions(change(table))
    assert said in str(error.value)


def test_the_published_table_begins_at_the_published_accuracies():
    home = models.saved_folder("fer-baseline").parent
    table = pd.read_csv(home / "robustness-fer2013.csv")
    for network, rows in table.groupby("network"):
        scores = publishing.read_metrics(home / network / "metrics.json")["scores"]
        clean = rows[rows["corruption"] == "clean"].iloc[0]
        expected = scores["PrivateTest"]["accuracy"]["value"]
        assert clean["accuracy"] == pytest.approx(expected, abs=5e-4)
        assert len(rows) == 1 + 12 * 5 + 12 + 1
        steps = rows[rows["severity"] > 0].groupby("corruption")["accuracy"].mean()
        means = rows[rows["severity"].isna()].set_index("corruption")["accuracy"]
        np.testing.assert_allclose(steps, means[steps.index], atol=2e-4)

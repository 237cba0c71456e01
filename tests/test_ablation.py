"""The ablation: steps change what they say, runs resume, and intervals mean what they claim."""

from dataclasses import fields, replace

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, recall_score

from emohelpers import ablation
from emohelpers.datasets import assign_fold, load
from emohelpers.errors import ConfigurationError
from emohelpers.recipes import Recipe

TINY = replace(
    ablation.BASE,
    dataset="toyfaces",
    dataset_options={"n": 120},
    network_options={"widths": (2, 2, 2, 2), "standardise": True},
    size=24,
    batch_size=32,
    warmup=0.5,
)


@pytest.mark.parametrize("study", ablation.STUDIES)
def test_every_step_changes_the_recipe_and_only_what_it_names(study):
    base, steps = ablation.STUDIES[study].base, ablation.STUDIES[study].steps
    names = {field.name for field in fields(Recipe)}
    for name, step in steps.items():
        recipe = ablation.changed(base, name, step)
        assert set(step.fields) <= names
        different = {
            field for field in names - {"name"} if getattr(recipe, field) != getattr(base, field)
        }
        assert different == set(step.fields), name
        assert recipe.name == f"ablation-{name}"
    assert next(iter(steps)) == "all"
    assert len(steps) > 7


def test_it_trains_each_step_and_seed_once_and_goes_on_where_it_stopped(tmp_path):
    steps = {name: ablation.STEPS[name] for name in ("all", "no-geometry", "no-averaging")}
    options = {"base": TINY, "directory": tmp_path, "seeds": (0, 1), "epochs": 1, "verbose": 0}
    table = ablation.run(None, steps=steps, **options)
    assert table["step"].tolist() == list(steps)
    assert table["change"].tolist() == [step.change for step in steps.values()]
    assert (table["seeds"] == 2).all()
    assert (table["epochs"] == 1).all()
    folders = {path.name for path in tmp_path.iterdir()}
    assert folders == {f"{name}-{seed}" for name in steps for seed in (0, 1)}
    # The accuracy is that of the histories, whose best epoch's weights were scored.
    scored = [
        pd.read_csv(tmp_path / f"all-{seed}" / "history.csv")["val_accuracy"].max()
        for seed in (0, 1)
    ]
    assert table["accuracy"][0] == pytest.approx(np.mean(scored), abs=1e-4)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.keras")}
    (tmp_path / "no-geometry-1" / "correct.npy").unlink()
    pd.testing.assert_frame_equal(ablation.run(None, steps=steps, **options), table)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.keras")}
    changed = {path.parent.name for path in before if before[path] != after[path]}
    assert changed <= {"no-geometry-1"}
    # Nothing that was trained in another way is passed off as what is asked for.
    with pytest.raises(ConfigurationError, match="another network"):
        ablation.run(None, steps={"all": steps["all"]}, **{**options, "epochs": 2})


def test_with_a_network_for_each_fold_every_image_is_scored_by_a_stranger(tmp_path):
    base = replace(TINY, votes=0.0, expected_labels=False, folds=2, each_fold=True)
    steps = {"all": ablation.Step(""), "by-image": ablation.Step("", {"split_by": None})}
    options = {"base": base, "directory": tmp_path, "epochs": 1, "verbose": 0}
    table = ablation.run(None, steps=steps, seeds=(0,), **options)
    assert table["images"].tolist() == [120, 120]
    faces = load("toyfaces", n=120, size=24)
    for row, by in ((0, "person"), (1, None)):
        right = np.zeros(120, bool)
        for fold in (1, 2):
            scored = assign_fold(faces, fold, folds=2, by=by).table["split"].eq("test").to_numpy()
            directory = tmp_path / f"{table['step'][row]}-0" / f"fold-{fold}"
            model = keras.models.load_model(directory / "model.keras")
            answers = model.predict(faces.images[scored], verbose=0).argmax(axis=1)
            right[scored] = answers == faces.labels[scored]
        assert table["accuracy"][row] == pytest.approx(right.mean(), abs=1e-4)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    pd.testing.assert_frame_equal(ablation.run(None, steps=steps, seeds=(0,), **options), table)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}


def test_the_interval_of_a_difference_covers_the_truth():
    # The second step is right where the first is, and in 3% of the images more.
    rng = np.random.default_rng(0)
    easy = rng.random((1, 2000)) < 0.6
    first = np.repeat(easy, 3, axis=0)
    second = first | (rng.random((3, 2000)) < 0.075)
    table = ablation.compare({"all": first, "more": second}).set_index("step")
    assert table.loc["all", ["difference", "difference_low", "difference_high"]].tolist() == [0] * 3
    row = table.loc["more"]
    assert row["difference"] == pytest.approx(second.mean() - first.mean(), abs=1e-4)
    assert row["difference_low"] < 0.03 < row["difference_high"]
    assert row["difference_low"] > 0
    # Pairing makes the difference far more certain than either accuracy.
    assert row["difference_high"] - row["difference_low"] < (row["high"] - row["low"]) / 2


def test_with_one_network_the_interval_is_that_of_a_share():
    right = np.random.default_rng(1).random((1, 4000)) < 0.7
    row = ablation.compare({"all": right}).iloc[0]
    half = 1.96 * np.sqrt(0.7 * 0.3 / 4000)
    assert row["high"] - row["low"] == pytest.approx(2 * half, rel=0.1)


def test_seeds_that_differ_widen_the_interval():
    alike = np.tile(np.arange(1000) % 10 < 7, (3, 1))
    apart = np.stack([np.arange(1000) % 10 < share for share in (4, 7, 10)])
    narrow = ablation.compare({"all": alike}).iloc[0]
    wide = ablation.compare({"all": apart}).iloc[0]
    assert narrow["accuracy"] == wide["accuracy"]
    assert wide["high"] - wide["low"] > 2 * (narrow["high"] - narrow["low"])


@pytest.mark.parametrize(
    ("correct", "words"),
    [
        ({}, "one shape"),
        ({"all": np.ones((2, 3)), "other": np.ones((2, 4))}, "one shape"),
        ({"all": np.ones(3)}, "one shape"),
    ],
)
def test_what_can_not_be_compared_is_refused(correct, words):
    with pytest.raises(ConfigurationError, match=words):
        ablation.compare(correct)


def test_figures_of_classes_are_those_of_scikit_learn_and_intervals_those_of_a_share():
    rng = np.random.default_rng(3)
    labels = rng.choice(3, 3000, p=[0.7, 0.27, 0.03])
    answers = np.where(rng.random((1, 3000)) < [[0.9, 0.6, 0.5][k] for k in labels], labels, 0)
    correct = {"all": answers == labels, "zeros": np.zeros((1, 3000)) == labels}
    table = ablation.compare_classes(correct, labels, ["a", "b", "c"]).set_index("step")
    row = table.loc["all"]
    assert row["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(labels, answers[0]), abs=1e-4
    )
    recalls = recall_score(labels, answers[0], average=None)
    for name, recall, n in zip("abc", recalls, np.bincount(labels), strict=True):
        assert row[f"recall_{name}"] == pytest.approx(recall, abs=1e-4)
        width = 2 * 1.96 * np.sqrt(recall * (1 - recall) / n)
        assert row[f"recall_{name}_high"] - row[f"recall_{name}_low"] == pytest.approx(
            width, rel=0.12, abs=1e-4
        )
    # Of a mean of independent shares the variances add up.
    variance = sum(r * (1 - r) / n for r, n in zip(recalls, np.bincount(labels), strict=True)) / 9
    spread = row["balanced_accuracy_high"] - row["balanced_accuracy_low"]
    assert spread == pytest.approx(2 * 1.96 * np.sqrt(variance), rel=0.12)
    assert table.loc["zeros", "recall_a"] == 1
    assert table.loc["zeros", "difference"] == pytest.approx(
        1 / 3 - row["balanced_accuracy"], abs=2e-4
    )
    plain = ablation.compare(correct).set_index("step")
    for ours, theirs in (("accuracy", "accuracy"), ("accuracy_low", "low")):
        assert table[ours].tolist() == pytest.approx(plain[theirs].tolist(), abs=0.004)


def test_a_class_that_some_draws_miss_has_an_interval_from_the_others():
    labels = np.array([0] * 40 + [1])
    correct = {"all": np.ones((2, 41), bool)}
    row = ablation.compare_classes(correct, labels, ["a", "b", "c"]).iloc[0]
    assert row[["recall_b", "recall_b_low", "recall_b_high"]].tolist() == [1, 1, 1]
    assert row["balanced_accuracy_low"] == 1
    assert "recall_c" not in row


@pytest.mark.parametrize("labels", [np.zeros(4, int), np.full(3, 2), np.full(3, -1)])
def test_labels_that_do_not_fit_the_results_are_refused(labels):
    with pytest.raises(ConfigurationError, match="expected one for each of 3 images, in 0 to 1"):
        ablation.compare_classes({"all": np.ones((1, 3))}, labels, ["a", "b"])


def test_what_went_on_with_a_training_does_not_say_how_long_it_took(tmp_path):
    whole, went_on = tmp_path / "whole", tmp_path / "went-on"
    went_on.mkdir()
    (went_on / "state.npz").touch()
    for directory in (whole, went_on):
        assert ablation.keep(directory, lambda: np.array([True])).tolist() == [True]
    assert ablation.seconds([whole, went_on]) == ablation.seconds([whole]) >= 0
    assert np.isnan(ablation.seconds([went_on]))
    # What is kept is not made again.
    assert ablation.keep(whole, lambda: pytest.fail("made again")).tolist() == [True]


@pytest.mark.parametrize("options", [{"seeds": ()}, {"steps": {}}])
def test_nothing_to_train_is_refused(tmp_path, options):
    with pytest.raises(ConfigurationError, match="expected one or more of each"):
        ablation.run(None, directory=tmp_path, base=TINY, **options)

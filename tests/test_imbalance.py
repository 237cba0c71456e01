"""The comparison of ways to even out classes: its folds, its figures, and that it goes on."""

from dataclasses import fields, replace

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.preprocessing import StandardScaler

from emohelpers import ablation, datasets, evaluation, imbalance, models
from emohelpers.errors import ConfigurationError, LabelError
from emohelpers.recipes import Recipe

SHARES = {"anger": 0.4, "neutral": 0.4, "disgust": 0.2}
BASE = replace(
    imbalance.BASES["toyfaces"],
    emotions=tuple(SHARES),
    size=24,
    network_options={"filters": (2, 2, 2), "units": 4},
    steps_per_epoch=2,
)
SOME = {
    name: imbalance.WAYS[name]
    for name in ("nothing", "weights", "focal", "adjusted-after", "smote", "tomek")
}


def faces(n=120, **options):
    return datasets.make_faces(n, size=24, seed=2, emotions=SHARES, difficulty=0, **options)


def network():
    keras.utils.set_random_seed(0)
    return models.baseline_cnn((24, 24, 1), 3, filters=(4, 4, 4), units=12, dropout=0)


def test_every_way_changes_only_what_deals_with_classes():
    allowed = {"class_weights", "beta", "focal", "logit_adjustment", "odds", "sampling"}
    for name, way in imbalance.WAYS.items():
        assert set(way.fields) <= allowed & {field.name for field in fields(Recipe)}
        changed = ablation.changed(BASE, name, way)
        assert (changed.steps_per_epoch, changed.epochs) == (2, 1)
    assert next(iter(imbalance.WAYS)) == "nothing"
    assert all(recipe.epochs == 1 for recipe in imbalance.BASES.values())


def test_every_image_is_scored_once_by_who_has_not_seen_its_person():
    data = faces(200)
    parts = imbalance.folds(data, 4, seed=1)
    assert len(parts) == 4
    scored = [part.split("validation").table["file"] for part in parts]
    assert sorted(pd.concat(scored)) == sorted(data.table["file"])
    for part in parts:
        train, validation = part.split("train"), part.split("validation")
        assert len(train) + len(validation) == 200
        assert not set(train.table["person"]) & set(validation.table["person"])
        rare = np.bincount(validation.labels, minlength=3)[2]
        assert abs(rare - (data.labels == 2).sum() / 4) < 4


def test_a_copy_of_an_image_under_another_name_stands_on_its_side():
    n = 60
    copied = faces(n).select(np.r_[0:n, 0])
    person = copied.table["person"].astype(object).to_numpy().copy()
    person[n] = "somebody else"
    table = copied.table.assign(
        person=person, duplicate_of=pd.array([None] * n + [0], dtype="Int64")
    )
    for part in imbalance.folds(replace(copied, table=table), 5):
        assert part.table["split"].iloc[0] == part.table["split"].iloc[n]
        assert not part.table["leaks"].any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "user"}, "no column 'user'"),
        ({"n": 1}, "1 folds of"),
        ({"n": 99}, "99 folds of 10 groups by person"),
        ({"n": 9}, r"9 folds, and fewer images of disgust \(7\): expected no more folds"),
    ],
)
def test_folds_that_can_not_be_are_refused(options, words):
    with pytest.raises(ConfigurationError, match=words):
        imbalance.folds(faces(40), **options)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    directory = tmp_path_factory.mktemp("imbalance")
    options = {
        "directory": directory,
        "base": BASE,
        "network": network(),
        "ways": SOME,
        "seeds": (0, 1),
        "verbose": 0,
    }
    parts = imbalance.folds(faces(), 2)
    return directory, options, parts, imbalance.run(parts, **options)


def test_a_comparison_has_every_way_in_both_spaces_and_goes_on(compared):
    directory, options, parts, table = compared
    over = table.groupby("space", sort=False)["way"].agg(list)
    assert over["pixels"] == list(SOME)
    assert over["features"] == ["nothing", "weights", "adjusted-after", "smote", "tomek"]
    assert (table["images"] == 120).all()
    assert (table.loc[table["space"] == "pixels", "cpu_seconds"] > 0.1).all()
    assert (table["cpu_seconds"] >= 0).all()
    first = table["way"] == "nothing"
    assert (table.loc[first, ["difference", "difference_low", "difference_high"]] == 0).all(None)
    before = {path: path.stat().st_mtime_ns for path in directory.rglob("*.keras")}
    (directory / "features-1" / "smote-1" / "correct.npy").unlink()
    again = imbalance.run(parts, **options)
    pd.testing.assert_frame_equal(
        again.drop(columns="cpu_seconds"), table.drop(columns="cpu_seconds")
    )
    assert before == {path: path.stat().st_mtime_ns for path in directory.rglob("*.keras")}
    for changed in ({"parts": parts[:1]}, {"network": None}):
        with pytest.raises(ConfigurationError, match="another recipe, network or other images"):
            imbalance.run(**{"parts": parts, **options, **changed})


def test_over_features_it_is_logistic_regression_with_weights(compared):
    _, options, parts, table = compared
    labels, answers = [], {"nothing": [], "weights": [], "adjusted-after": []}
    for part in parts:
        train, validation = evaluation.training_rows(part), part.split("validation")
        learned, scored = (
            models.features(options["network"], x.images) for x in (train, validation)
        )
        scaler = StandardScaler()
        labels.append(validation.labels)
        for name, weights in (("nothing", None), ("weights", "balanced")):
            # With weights, features are scaled by the weighted spread: see softmax_regression.
            each = None
            if weights:
                each = (len(train) / 3 / np.bincount(train.labels))[train.labels]
            scaler.fit(learned.astype(float), sample_weight=each)
            fitted = LogisticRegression(C=1 / 30, class_weight=weights, max_iter=5000, tol=1e-8)
            fitted.fit(scaler.transform(learned), train.labels)
            shares = fitted.predict_proba(scaler.transform(scored))
            answers[name].append(shares.argmax(1))
            if name == "nothing":
                counts = np.bincount(train.labels)
                answers["adjusted-after"].append((shares / counts).argmax(1))
    rows = table[table["space"] == "features"].set_index("way")
    labels = np.concatenate(labels)
    for name, given in answers.items():
        expected = balanced_accuracy_score(labels, np.concatenate(given))
        assert rows.loc[name, "balanced_accuracy"] == pytest.approx(expected, abs=0.01)
        recalls = recall_score(labels, np.concatenate(given), average=None)
        found = [rows.loc[name, f"recall_{emotion}"] for emotion in SHARES]
        assert found == pytest.approx(recalls, abs=0.03)


def test_without_a_network_features_are_those_of_each_seeds_own(compared, tmp_path):
    _, options, parts, _ = compared
    ways = {name: SOME[name] for name in ("nothing", "tomek")}
    own = options | {"directory": tmp_path, "network": None, "ways": ways, "seeds": (0,)}
    table = imbalance.run(parts[:1], **own)
    assert table["network"].tolist()[-1] == "a softmax layer on the first of these"
    assert (tmp_path / "features-0" / "tomek-0" / "correct.npy").exists()


def test_smote_in_a_fold_with_one_image_of_a_class_says_which(tmp_path):
    data = faces()
    lonely = np.concatenate([np.flatnonzero(data.labels < 2), np.flatnonzero(data.labels == 2)[:1]])
    part = data.select(np.sort(lonely))
    table = part.table.assign(split=np.where(np.arange(len(part)) % 3 == 0, "validation", "train"))
    table.loc[part.labels == 2, "split"] = "train"
    part = replace(part, table=table)
    ways = {name: SOME[name] for name in ("nothing", "smote")}
    with pytest.raises(LabelError, match="class disgust has a single image"):
        imbalance.run([part], directory=tmp_path, base=BASE, ways=ways, seeds=(0,), verbose=0)


def test_nothing_to_compare_is_refused(tmp_path):
    for given in ({"parts": []}, {"seeds": ()}, {"ways": {}}):
        options = {"parts": [faces()], "directory": tmp_path, "base": BASE, "network": None} | given
        with pytest.raises(ConfigurationError, match="expected one or more of each"):
            imbalance.run(options.pop("parts"), **options)


def test_between_two_images_of_a_class_features_never_leave_it():
    data, model = faces(300), network()
    labels = evaluation.predict(model, data.images).argmax(1)
    relabelled = replace(data, labels=labels)  # so that the network is right of all
    found = imbalance.between(model, relabelled, pairs=60)
    assert found["space"].value_counts().to_dict() == {"pixels": 60, "features": 60}
    # Where a layer is linear, what it names at two ends it names all along the way.
    assert found.loc[found["space"] == "features", "stays"].all()
    assert found["between"].between(0, 1).all()
    for end in ("first", "second"):
        assert (labels[found[end]] == found["label"]).all()
    assert (found["first"] != found["second"]).all()
    shares = evaluation.predict(model, data.images)
    of_class = [shares[found[end], found["label"]] for end in ("first", "second")]
    np.testing.assert_allclose(found["ends"], np.mean(of_class, axis=0), rtol=1e-5)
    start = imbalance.between(model, relabelled, pairs=60, at=0.0)
    assert start["stays"].all()
    with pytest.raises(ConfigurationError, match="at=2"):
        imbalance.between(model, relabelled, at=2)
    wrong = replace(data, labels=(labels + 1) % 3)
    with pytest.raises(ConfigurationError, match="no class has two images"):
        imbalance.between(model, wrong)

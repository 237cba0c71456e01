"""The systems on UTKFace and facial_expressions: lists, folds, copies on disk, what is scored."""

import csv
import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

from emohelpers import cli, datasets, evaluation, models, publishing, recipes
from emohelpers.errors import ConfigurationError, EmohelpersError

FOLDED = recipes.Recipe(
    name="folded",
    summary="A network of a few weights, one for each part of the people.",
    dataset="facial_expressions",
    network="baseline_cnn",
    network_options={"filters": (2, 2, 2), "units": 4},
    emotions=("happiness", "neutral"),
    size=24,
    folds=3,
    each_fold=True,
    epochs=1,
)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Write drawn faces as facial_expressions lays them out: 40 persons, four images of each."""
    root = tmp_path_factory.mktemp("source") / "facial_expressions"
    (root / "images").mkdir(parents=True)
    (root / "data").mkdir()
    faces = datasets.make_faces(160, seed=4, size=64, emotions=FOLDED.emotions)
    rows = []
    for number, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
        first, last = divmod(number // 4, 10)
        name = f"{'ABCD'[first]}nn_{'klmnopqrst'[last]}ee_{number % 4:04d}.png"
        Image.fromarray(image[..., 0]).save(root / "images" / name)
        rows.append(("u", name, faces.class_names[label]))
    with (root / "data" / "legend.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("user.id", "image", "emotion"), *rows])
    return root


def test_the_published_systems_are_what_their_authors_describe():
    smile = recipes.get("smile-authors")
    assert (smile.size, smile.color, smile.epochs, smile.optimizer) == (56, True, 15, "Adam")
    assert (smile.learning_rate, smile.schedule, smile.augmented_total) == (
        1e-3,
        "constant",
        12_620,
    )
    assert smile.emotions[1] == "happiness"  # what the one sigmoid output is the probability of
    network = models.separable_cnn((56, 56, 3), 2, **smile.network_options)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds.count("SeparableConv2D") == kinds.count("MaxPooling2D") == 5
    assert kinds.count("Conv2D") == 2
    norms = [layer for layer in network.layers if "norm" in layer.name]
    assert {layer.momentum for layer in norms} == {0.99}
    four = recipes.get("four-emotions-authors")
    network = models.baseline_cnn((48, 48, 1), 4, **four.network_options)
    assert network.count_params() == 222_668
    assert (four.augmented_total, four.epochs) == (76_000, 14)
    eight = recipes.get("eight-emotions-authors")
    assert (eight.size, eight.epochs, len(eight.emotions)) == (180, 5, 8)
    thinned = recipes.get("eight-emotions-thinned")
    changed = {
        field.name
        for field in dataclasses.fields(eight)
        if getattr(eight, field.name) != getattr(thinned, field.name)
    }
    assert changed == {"name", "summary", "images_per_class"}


def test_an_l2_penalty_counts_the_squares_of_the_kernels():
    model = models.baseline_cnn((24, 24, 1), 3, filters=(2, 3, 4), units=5, l2=0.01)
    kernels = [
        np.array(weight)
        for layer in model.layers
        if layer.name in ("conv1", "conv2", "conv3", "dense")
        for weight in layer.weights
        if weight.name == "kernel"
    ]
    assert len(kernels) == 4
    expected = 0.01 * sum((kernel**2).sum() for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)
    assert not models.baseline_cnn((24, 24, 1), 3, filters=(2, 3, 4), units=5).losses
    with pytest.raises(ConfigurationError, match="l2=-1: expected 0 or more"):
        models.baseline_cnn(l2=-1)


def test_every_image_is_scored_by_the_network_that_has_not_seen_the_person(people, tmp_path):
    out, cache = tmp_path / "folded", tmp_path / "cache"
    recipes.train(FOLDED, people, directory=out, cache=cache, seed=1, verbose=0)
    saved = publishing.open_model(out)
    faces = saved.load("facial_expressions", people, cache=cache)
    result = publishing.metrics(saved, faces)
    assert list(result["scores"]) == ["out-of-fold"]
    score = result["scores"]["out-of-fold"]
    assert score["n"] == len(faces) == 160
    # By another route: each fold's own folder, on what it calls its test split.
    right = 0
    for fold in (1, 2, 3):
        member = publishing.open_model(out / f"fold-{fold}")
        assert member.recipe["fold"] == fold
        part = member.load("facial_expressions", people, cache=cache)
        persons = {name: set(part.split(name).table["person"]) for name in ("train", "test")}
        assert not persons["train"] & persons["test"]
        test = part.split("test").keep_classes(FOLDED.emotions)
        right += int((evaluation.predict(member.model, test.images).argmax(1) == test.labels).sum())
    assert score["accuracy"]["value"] == pytest.approx(right / 160, abs=1e-6)
    history = pd.read_csv(out / "history.csv")
    assert history["fold"].tolist() == [1, 2, 3]
    best = publishing.best_epoch(out)
    assert (best["epochs"], best["best_epoch"]) == (1, 1)
    assert best["val_accuracy"] == pytest.approx(history["val_accuracy"].mean())
    # The network for new faces is the mean of the three.
    images = np.asarray(faces.images[:5])
    members = [publishing.open_model(out / f"fold-{fold}").model for fold in (1, 2, 3)]
    mean = np.mean([evaluation.predict(model, images) for model in members], axis=0)
    np.testing.assert_allclose(evaluation.predict(saved.model, images), mean, atol=1e-6)
    # Again it only loads; a published folder without its folds is not replaced.
    again = recipes.train(FOLDED, people, directory=out, cache=cache, seed=1, verbose=0)
    np.testing.assert_allclose(evaluation.predict(again.model, images), mean, atol=1e-6)
    publishing.save(saved.model, saved.recipe, directory=tmp_path / "published")
    with pytest.raises(ConfigurationError, match="holds a network without the state"):
        recipes.train(FOLDED, people, directory=tmp_path / "published", cache=cache, verbose=0)
    with pytest.raises(ConfigurationError, match="expected a network trained for each fold"):
        publishing.predict_out_of_fold(publishing.open_model(out / "fold-1"), faces)


def test_a_last_layer_is_fitted_to_each_fold_and_the_rest_stored_once(people, tmp_path):
    fitted = dataclasses.replace(
        FOLDED,
        size=48,
        network="transfer",
        network_options={"weights": ("fer-compact", "ferplus-compact"), "freeze": "all"},
        head={"method": "regression", "penalty": 10.0},
        odds={"happiness": 2.0},
        epochs=0,
    )
    options = {"directory": tmp_path, "cache": tmp_path / "cache", "verbose": 0}
    saved = recipes.train(fitted, people, **options)
    faces = saved.load("facial_expressions", people).keep_classes(fitted.emotions)
    part = datasets.assign_fold(faces, 2, folds=3)
    below = models.transfer((48, 48, 1), 2, **fitted.network_options)
    assert saved.model.count_params() == below.count_params() + 2 * (256 * 2 + 2)
    learned, scored = part.split("train"), part.split("test")
    regression = make_pipeline(
        StandardScaler(), LogisticRegression(C=2 / 10, max_iter=10_000, tol=1e-6)
    ).fit(models.features(below, learned.images), learned.labels)
    shares = regression.predict_proba(models.features(below, scored.images)) * [2, 1]
    rows = np.flatnonzero(faces.table["fold"].eq(2))
    found = publishing.predict_out_of_fold(saved, faces)[rows]
    np.testing.assert_allclose(found, shares / shares.sum(1, keepdims=True), atol=2e-3)
    history = pd.read_csv(tmp_path / "fold-2" / "history.csv").iloc[0]
    checked = part.split("validation")
    answers = evaluation.predict(models.member(saved.model, 2), checked.images).argmax(axis=1)
    assert history["val_accuracy"] == pytest.approx((answers == checked.labels).mean())
    # Done is done: the same command again fits nothing, another recipe is refused.
    before = (tmp_path / "fold-1" / "head.keras").stat().st_mtime_ns
    recipes.train(fitted, people, **options)
    assert (tmp_path / "fold-1" / "head.keras").stat().st_mtime_ns == before
    with pytest.raises(ConfigurationError, match="another recipe or of other images"):
        recipes.train(dataclasses.replace(fitted, odds={}), people, **options)
    with pytest.raises(ConfigurationError, match="fits its last layer and trains nothing"):
        recipes.train(fitted, people, **options, epochs=1)
    # After a stop in the middle: the folds that are there, and one that is fitted now.
    whole = publishing.predict_out_of_fold(saved, faces)
    for path in [*tmp_path.glob("*.*"), *(tmp_path / "fold-2").iterdir()]:
        path.unlink()
    again = recipes.train(fitted, people, **options)
    np.testing.assert_allclose(publishing.predict_out_of_fold(again, faces), whole, atol=1e-6)
    assert publishing.best_epoch(tmp_path)["epochs"] == 0
    with pytest.raises(ConfigurationError, match="epochs=0: expected 1 or more"):
        recipes.train(dataclasses.replace(fitted, head={}), people, **options)


def test_a_split_by_image_knows_the_people_that_it_is_tested_on(people, tmp_path):
    recipe = dataclasses.replace(FOLDED, each_fold=False, split_by=None)
    saved = recipes.train(recipe, people, directory=tmp_path / "x", cache=tmp_path, verbose=0)
    faces = saved.load("facial_expressions", people, cache=tmp_path)
    train, test = (set(faces.split(name).table["person"]) for name in ("train", "test"))
    assert len(train & test) > 0.5 * len(test)


def test_classes_are_thinned_to_the_same_number(people, tmp_path):
    recipe = dataclasses.replace(FOLDED, images_per_class=7)
    data = recipes._train._load(recipe, people, votes=None, labels=None, fold=2, cache=tmp_path)
    rows = evaluation.training_rows(data)
    thin = recipes._data.thinned(recipe, rows, seed=3)
    assert np.bincount(thin.labels).tolist() == [7, 7]
    assert set(thin.table["file"]) <= set(rows.table["file"])
    many = dataclasses.replace(recipe, images_per_class=10_000)
    assert len(recipes._data.thinned(many, rows, seed=3)) == len(rows)
    other = recipes._data.thinned(recipe, rows, seed=4)
    assert other.table["file"].tolist() != thin.table["file"].tolist()
    with pytest.raises(ConfigurationError, match="images_per_class=0: expected 1 or more"):
        recipes._data.thinned(dataclasses.replace(recipe, images_per_class=0), rows, seed=3)


def test_copies_on_disk_are_of_training_images_only(people, tmp_path):
    recipe = dataclasses.replace(
        FOLDED, each_fold=False, augmented_total=400, augmentation_options={"flip": True}
    )
    out = tmp_path / "copies"
    recipes.train(recipe, people, directory=out, cache=tmp_path, verbose=0)
    manifest = pd.read_csv(out / "augmented" / "manifest.csv")
    assert len(manifest) == 400
    assert manifest["file"].is_unique
    assert (manifest["copy"] > 0).sum() == 240
    assert set(manifest["split"][manifest["copy"] > 0]) == {"train"}
    # The network is scored on the images as they are.
    saved = publishing.open_model(out)
    part = saved.load("facial_expressions", people, cache=tmp_path).split("test")
    unchanged = manifest[manifest["split"].eq("test")]["source"]
    assert sorted(unchanged) == sorted(part.table["file"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"folds": 1}, "each of 1 folds: expected 2 or more"),
        ({"folds": 1, "each_fold": False}, "fold=1 of folds=1: expected"),
        ({"crop": 0.5}, "crop=0.5: expected a share"),
        ({"split_by": "nobody"}, "no column 'nobody'"),
    ],
)
def test_folds_that_can_not_be_are_refused(people, tmp_path, change, words):
    recipe = dataclasses.replace(FOLDED, **change)
    with pytest.raises(EmohelpersError, match=words):
        recipes.train(recipe, people, directory=tmp_path / "out", cache=tmp_path, verbose=0)
    assert not list(tmp_path.glob("out/**/model.keras"))


@pytest.fixture(scope="module")
def smiles(tmp_path_factory):
    """Write light and dark pictures as UTKFace, a list to train on and labels made by hand."""
    root, rng = tmp_path_factory.mktemp("utkface"), np.random.default_rng(0)
    (root / "UTKFace").mkdir()
    listed, hand = [], []
    for number in range(90):
        name = f"30_1_2_2017011600301{number:04d}.jpg.chip.jpg"
        light = number % 2
        pixels = rng.integers(0, 90, (40, 40, 3)) + 160 * light
        Image.fromarray(pixels.astype(np.uint8)).save(root / "UTKFace" / name)
        word = "happy" if light else "neutral"
        if number < 40:
            listed.append(f"{name},{word}")
        elif number < 85:
            hand.append(f"{name},{word if number > 45 else 'other'},{int(number != 60)}")
    (root / "list.csv").write_text("\n".join(["file,expression", *listed]))
    (root / "hand.csv").write_text("\n".join(["file,expression,agreement", *hand]))
    return root


def smile_recipe(root, **change):
    return dataclasses.replace(
        FOLDED,
        name="tiny-smile",
        dataset="utkface",
        folds=0,
        each_fold=False,
        training_list=str(root / "list.csv"),
        emotions=("neutral", "happiness"),
        crop=0.1,
        **change,
    )


def test_a_list_trains_one_half_of_the_hand_validates_and_the_other_tests(smiles, tmp_path):
    out = tmp_path / "smile"
    recipes.train(
        smile_recipe(smiles),
        smiles / "UTKFace",
        directory=out,
        labels=smiles / "hand.csv",
        cache=tmp_path,
        verbose=0,
    )
    saved = publishing.open_model(out)
    faces = saved.load("utkface", smiles / "UTKFace", labels=smiles / "hand.csv", cache=tmp_path)
    assert faces.images.shape[1:] == (24, 24, 1)
    result = publishing.metrics(saved, faces)
    assert result["crop"] == 0.1
    assert publishing.metrics_file(saved, result).name == "metrics.json"
    assert result["scores"]["agreed"]["n"] == 38  # 39 happy or neutral, less the one in dispute
    test = faces.table["split"].eq("test").fillna(False).to_numpy(bool) & (faces.labels >= 0)
    assert result["scores"]["agreed-test"]["n"] == test.sum()
    whole = publishing.metrics(saved, faces, crop=0.0)
    assert publishing.metrics_file(saved, whole).name == "metrics-cropped.json"
    # Any table of labels is scored on, also one without a second pass or with trained images.
    (tmp_path / "any.csv").write_text(
        "\n".join(
            ["file,expression", *(smiles / "list.csv").read_text().splitlines()[1:5]]
            + [
                line.rsplit(",", 1)[0]
                for line in (smiles / "hand.csv").read_text().splitlines()[20:]
            ]
        )
    )
    arguments = ["evaluate", str(out), "--data", str(smiles / "UTKFace"), "--json"]
    run = CliRunner().invoke(
        cli.app,
        [*arguments, "--labels", str(tmp_path / "any.csv"), "--cache", str(tmp_path)],
    )
    assert run.exit_code == 0, run.output
    scores = json.loads(run.stdout)["scores"]
    assert scores["all"]["n"] == 4 + 26
    assert scores["all-test"]["n"] < 26


def test_lists_and_labels_that_clash_are_refused(smiles, tmp_path):
    def train(**options):
        recipes.train(
            smile_recipe(smiles),
            smiles / "UTKFace",
            directory=tmp_path / "out",
            cache=tmp_path,
            verbose=0,
            **options,
        )

    with pytest.raises(ConfigurationError, match=r"expected labels, the path of a CSV"):
        train()
    both = tmp_path / "both.csv"
    first = (smiles / "list.csv").read_text().splitlines()[1]
    both.write_text((smiles / "hand.csv").read_text() + f"\n{first},1")
    with pytest.raises(ConfigurationError, match="1 images stand in the list to train on"):
        train(labels=both)
    longer = tmp_path / "longer.csv"
    longer.write_text((smiles / "list.csv").read_text() + "\nx.jpg,happy")
    recipe = dataclasses.replace(smile_recipe(smiles), training_list=str(longer))
    with pytest.raises(ConfigurationError, match=r"1 of the 41 images of .* are not in utkface"):
        recipes.train(
            recipe,
            smiles / "UTKFace",
            directory=tmp_path / "out",
            labels=smiles / "hand.csv",
            cache=tmp_path,
            verbose=0,
        )
    assert not list(tmp_path.glob("out/*"))


def test_a_teacher_of_other_classes_is_asked_about_those_it_knows():
    opinion = np.array([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]], np.float32)
    among = recipes._targets._among(
        ("neutral", "contempt", "anger"), opinion, ("anger", "fear", "neutral")
    )
    np.testing.assert_allclose(among[0], [0.2 / 0.7, 0, 0.5 / 0.7], atol=1e-6)
    np.testing.assert_allclose(among[1], [0.5, 0, 0.5], atol=1e-6)

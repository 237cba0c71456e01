"""Folders of networks come back as they were, and damaged ones are refused by name."""

import json
import re
import zipfile
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from emohelpers import datasets, evaluation, models, publishing, recipes
from emohelpers.errors import ConfigurationError, MissingPathError

RECIPE = {
    "name": "tiny",
    "dataset": "toyfaces",
    "emotions": ["happiness", "neutral", "anger"],
    "reported": {"f1": 0.5},
}


def network(n_classes=3, channels=1):
    keras.utils.set_random_seed(n_classes)
    return models.baseline_cnn((24, 24, channels), n_classes, filters=(2, 2, 2), units=4)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published") / "tiny"
    publishing.save(network(), RECIPE, directory=folder)
    return folder


@pytest.fixture
def folder(pristine, tmp_path):
    copy = tmp_path / "tiny"
    copy.mkdir()
    for path in pristine.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def faces(n=90, **options):
    return datasets.make_faces(n, size=24, seed=3, emotions=RECIPE["emotions"], **options)


def test_what_was_saved_opens_with_the_same_predictions(tmp_path):
    model, images = network(), faces().images
    saved = publishing.save(model, RECIPE, directory=tmp_path / "a" / "b")
    opened = publishing.open_model(tmp_path / "a" / "b")
    assert opened.recipe == saved.recipe == RECIPE
    assert opened.class_names == tuple(RECIPE["emotions"])
    np.testing.assert_array_equal(
        evaluation.predict(opened.model, images), evaluation.predict(model, images)
    )
    assert sorted(path.name for path in saved.directory.iterdir()) == ["model.keras", "recipe.json"]


def test_a_failed_save_leaves_the_old_network_and_no_other_file(folder):
    class Unsavable:
        def save(self, path, **_):
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(OSError, match="No space left"):
        publishing.save(Unsavable(), {**RECIPE, "name": "other"}, directory=folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_data_set_is_loaded_as_the_network_takes_it(tmp_path):
    saved = publishing.SavedModel(network(channels=3), RECIPE, tmp_path)
    loaded = saved.load("toyfaces", n=8, cache=tmp_path)
    assert loaded.images.shape == (8, 24, 24, 3)


@pytest.mark.parametrize("name", ["model.keras", "recipe.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(MissingPathError, match=f"no {re.escape(name)} in .*tiny"):
        publishing.open_model(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "can not be read as JSON"),
        ('{"emotions": [', "can not be read as JSON"),
        ("[1, 2]", "expected a JSON object"),
        ('{"name": "tiny", "dataset": "toyfaces"}', "'emotions' (a list of text)"),
        ('{"name": "tiny", "dataset": "toyfaces", "emotions": 3}', "'emotions' (a list of text)"),
        ('{"name": "tiny", "emotions": ["happiness"]}', "'name' and 'dataset'"),
        ('{"name": 1, "dataset": "toyfaces", "emotions": ["fear"]}', "'name' and 'dataset'"),
        (b"\xff\xfe\x00", "can not be read as JSON"),
    ],
)
def test_a_damaged_recipe_is_refused_by_its_path(folder, text, words):
    path = folder / "recipe.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as caught:
        publishing.open_model(folder)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "no weights"])
def test_a_damaged_network_is_refused_by_its_path(folder, damage):
    path = folder / "model.keras"
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"weights", "cut": content[:-500]}.get(damage, content))
    if damage == "no weights":
        with zipfile.ZipFile(path) as whole:
            config = whole.read("config.json")
        with zipfile.ZipFile(path, "w") as hollow:
            hollow.writestr("config.json", config)
    with pytest.raises(ConfigurationError, match=r"model\.keras can not be loaded"):
        publishing.open_model(folder)


def test_code_in_a_network_is_not_run(folder):
    ran = str(folder / "ran")
    layer = keras.layers.Lambda(lambda x: open(ran, "w").close() or x)  # noqa: PTH123
    model = keras.Sequential([keras.Input((24, 24, 1)), layer])
    model.save(folder / "model.keras")
    Path(ran).unlink()  # building the network has run it
    with pytest.raises(ConfigurationError, match="can not be loaded"):
        publishing.open_model(folder)
    assert not Path(ran).exists()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: network(n_classes=7), "7 outputs and recipe.json names 3"),
        (lambda: keras.Sequential([keras.Input((9,)), keras.layers.Dense(3)]), "takes (None, 9)"),
        (
            lambda: keras.Sequential([keras.Input((24, 24, 1)), keras.layers.Conv2D(3, 3)]),
            "gives (None, 22, 22, 3)",
        ),
        (
            lambda: keras.Sequential(
                [
                    keras.Input((24, 24, 4)),
                    keras.layers.GlobalAveragePooling2D(),
                    keras.layers.Dense(3),
                ]
            ),
            "takes (None, 24, 24, 4)",
        ),
    ],
)
def test_a_network_that_does_not_belong_to_its_recipe_is_refused(folder, build, words):
    build().save(folder / "model.keras")
    with pytest.raises(ConfigurationError) as caught:
        publishing.open_model(folder)
    assert words in str(caught.value)
    assert str(folder) in str(caught.value)


def test_one_output_may_stand_for_two_classes(folder):
    model = keras.Sequential(
        [keras.Input((24, 24, 1)), keras.layers.Flatten(), keras.layers.Dense(1, "sigmoid")]
    )
    two = {**RECIPE, "emotions": ["happiness", "neutral"]}
    publishing.save(model, two, directory=folder)
    assert publishing.open_model(folder).class_names == ("happiness", "neutral")


HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2, 3, 4],
        "val_accuracy": [0.3, 0.6, 0.6, 0.5],
        "val_loss": [1.5, 1.2, 1.1, 1.0],
    }
)


@pytest.mark.parametrize(
    ("monitor", "epoch", "accuracy", "loss"),
    [("val_accuracy", 2, 0.6, 1.2), ("val_loss", 4, 0.5, 1.0)],
)
def test_the_best_epoch_is_the_first_of_the_best(tmp_path, monitor, epoch, accuracy, loss):
    HISTORY.to_csv(tmp_path / "history.csv", index=False)
    best = publishing.best_epoch(tmp_path, monitor=monitor)
    assert best == {"epochs": 4, "best_epoch": epoch, "val_accuracy": accuracy, "val_loss": loss}


@pytest.mark.parametrize("text", ["", "epoch\n1\n", "epoch,val_accuracy,val_loss\n", '"'])
def test_a_damaged_history_is_refused_by_its_path(tmp_path, text):
    with pytest.raises(MissingPathError, match=r"history\.csv"):
        publishing.best_epoch(tmp_path)
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(ConfigurationError, match=r"history\.csv"):
        publishing.best_epoch(tmp_path)


def test_metrics_are_what_evaluation_says_and_survive_json(folder):
    saved = publishing.open_model(folder)
    data = faces()
    result = publishing.metrics(saved, data, views=2)
    assert list(result) == ["recipe", "dataset", "views", "crop", "parameters", "scores"]
    assert result["parameters"] == sum(int(np.prod(w.shape)) for w in saved.model.weights)
    test = data.split("test")
    shares = evaluation.predict(saved.model, test.images, views=2)
    accuracy = (shares.argmax(1) == test.labels).mean()
    assert result["scores"]["test"]["accuracy"]["value"] == pytest.approx(accuracy, abs=1e-6)
    path = publishing.write_metrics(saved, result)
    assert path == folder / "metrics-2-views.json"
    assert json.loads(path.read_text()) == publishing.read_metrics(path) == result


def test_what_was_found_by_group_lies_beside_the_metrics(folder):
    saved = publishing.open_model(folder)
    data = faces(400)
    plain = publishing.metrics(saved, data)
    result = publishing.metrics(saved, data, by=["gender", "gender+age_group"])
    path = publishing.write_metrics(saved, result)
    assert publishing.read_metrics(path) == plain
    read = publishing.read_groups(folder / "groups.json")
    assert set(read) == set(plain["scores"])
    test = data.split("test")
    right = evaluation.predict(saved.model, test.images).argmax(1) == test.labels
    table = read["test"].groups.set_index(["feature", "group"])["accuracy"]
    for gender in ("female", "male"):
        mask = (test.table["gender"] == gender).to_numpy()
        assert table["gender", gender] == pytest.approx(right[mask].mean(), abs=1e-6)
    overall = plain["scores"]["test"]["accuracy"]["value"]
    assert table["all", "all"] == pytest.approx(overall, abs=1e-6)
    assert publishing.results_table([folder])["images"].tolist() == [f"{len(test)}"]


def test_groups_that_are_missing_or_damaged_are_refused(folder):
    saved = publishing.open_model(folder)
    with pytest.raises(ConfigurationError, match=r"no feature 'race': expected one of .*gender"):
        publishing.metrics(saved, faces(), by=["race"])
    with pytest.raises(MissingPathError, match=r"no .*groups\.json"):
        publishing.read_groups(folder / "groups.json")
    for text in ("[]", "{}", '{"groups": 3}', '{"groups": {"test": {"metric": "accuracy"}}}'):
        (folder / "groups.json").write_text(text)
        with pytest.raises(ConfigurationError, match=r"groups\.json"):
            publishing.read_groups(folder / "groups.json")


@pytest.mark.parametrize(
    ("dataset", "views", "crop", "name"),
    [
        ("toyfaces", 1, 0.0, "metrics.json"),
        ("toyfaces", 2, 0.0, "metrics-2-views.json"),
        ("fer2013", 1, 0.0, "metrics-fer2013.json"),
        ("fer2013", 2, 0.1, "metrics-fer2013-2-views-cropped.json"),
    ],
)
def test_every_result_has_a_file_of_its_own(tmp_path, dataset, views, crop, name):
    saved = publishing.SavedModel(None, RECIPE, tmp_path)
    result = {"dataset": dataset, "views": views, "crop": crop}
    assert publishing.metrics_file(saved, result) == tmp_path / name
    groups = name.replace("metrics", "groups")
    assert publishing.groups_file(saved, result) == tmp_path / groups


def test_a_crop_is_the_middle_of_a_larger_picture(folder):
    saved = publishing.open_model(folder)
    height, width, _ = saved.model.input_shape[1:]
    whole = datasets.load("toyfaces", size=(height * 5 // 4, width * 5 // 4), n=40)
    cropped = saved.load("toyfaces", crop=0.1, n=40)
    edge = height // 8
    assert cropped.images.shape[1:] == saved.model.input_shape[1:]
    np.testing.assert_array_equal(cropped.images, whole.images[:, edge:-edge, edge:-edge])
    for crop in (-0.1, 0.5):
        with pytest.raises(ConfigurationError, match=f"crop={crop}"):
            saved.load("toyfaces", crop=crop)


def figure(value):
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def result(*, dataset="toyfaces", views=1, parts=("validation", "test"), names=("a", "b", "c")):
    score = {
        "class_names": list(names),
        "n": 1234,
        "accuracy": figure(0.6543),
        "macro_f1": figure(0.5),
    }
    return {
        "recipe": "tiny",
        "dataset": dataset,
        "views": views,
        "crop": 0.0,
        "parameters": 98765,
        "scores": dict.fromkeys(parts, score),
    }


def test_the_results_table_holds_test_parts_alone_and_says_whose_figures_they_are(folder):
    smiles = result(dataset="utkface", parts=("agreed",), names=("happiness", "neutral"))
    (folder / "metrics.json").write_text(json.dumps(result()))
    (folder / "metrics-utkface.json").write_text(json.dumps(smiles))
    real = result(dataset="fer2013", parts=("PublicTest", "PrivateTest"))
    (folder / "metrics-fer2013.json").write_text(json.dumps(real))
    table = publishing.results_table([folder])
    assert table["data"].tolist() == [
        "toyfaces test",
        "fer2013 PrivateTest",
        "utkface agreed, happiness or neutral",
    ]
    assert table["accuracy"].tolist() == ["0.654 (0.644 to 0.664)"] * 3
    assert table["images"].tolist() == ["1,234"] * 3
    # What the authors reported belongs beside figures on the same data only.
    assert table["its authors"].tolist() == ["F1 0.50", "", ""]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "can not be read as JSON"),
        ("{}", "lacks a figure ('scores')"),
        ('{"scores": {"test": {"n": 1}}}', "lacks a figure"),
        ('{"scores": 5}', "lacks a figure"),
        ('{"scores": {"test": null}}', "lacks a figure"),
    ],
)
def test_damaged_metrics_are_refused_by_their_path(folder, text, words):
    (folder / "metrics.json").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        publishing.results_table([folder])
    assert words in str(caught.value)
    assert str(folder / "metrics.json") in str(caught.value)


def test_metrics_that_are_missing_or_damaged_are_refused(tmp_path):
    path = tmp_path / "metrics.json"
    with pytest.raises(MissingPathError, match=r"no .*metrics\.json"):
        publishing.read_metrics(path)
    for text in ("", "[]", "{}", '{"scores": 1}'):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=r"metrics\.json"):
            publishing.read_metrics(path)


def test_folders_without_figures_are_refused(folder):
    with pytest.raises(MissingPathError, match="tiny"):
        publishing.results_table([folder])
    with pytest.raises(MissingPathError, match="no folder"):
        publishing.results_table([])


TABLE = pd.DataFrame({"network": ["tiny"], "views": [1]})
MARKDOWN = "| network | views |\n| --- | --- |\n| tiny | 1 |\n"
BEGIN, END = "<!-- results: begin -->\n", "<!-- results: end -->"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("old", ["", "| old |\n", "\\1 (a|b) \\g<0>\n"])
def test_only_what_stands_between_the_markers_changes(tmp_path, old, line_end):
    path = tmp_path / "README.md"
    before, after = "# Ünïcode\n\n  two  \n", "\n\n| a | b |\nno line end"
    path.write_bytes((before + BEGIN + old + END + after).replace("\n", line_end).encode())
    assert publishing.renew_table(path, TABLE)
    expected = (before + BEGIN + MARKDOWN + END + after).replace("\n", line_end)
    assert path.read_bytes() == expected.encode()
    assert not publishing.renew_table(path, TABLE)
    assert path.read_bytes() == expected.encode()
    assert [entry.name for entry in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize("text", ["", BEGIN, END, END + "\n" + BEGIN])
def test_a_file_without_both_markers_is_refused_and_kept(tmp_path, text):
    path = tmp_path / "README.md"
    with pytest.raises(MissingPathError, match=r"README\.md"):
        publishing.renew_table(path, TABLE)
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"README\.md: expected the lines"):
        publishing.renew_table(path, TABLE)
    assert path.read_text() == text


def test_a_row_for_each_recipe_sets_theirs_beside_ours(tmp_path):
    (tmp_path / "four-emotions").mkdir()
    (tmp_path / "fer-vgg19").mkdir()
    (tmp_path / "fer-vgg19" / "MODEL_CARD.md").write_text("no weights")
    figure = {"value": 0.5, "low": 0.4, "high": 0.6}
    score = {
        "n": 1234,
        "accuracy": figure,
        "macro_f1": figure,
        "per_class": {
            name: {"recall": {**figure, "value": 0.1 * place}}
            for place, name in enumerate(("happiness", "sadness", "anger", "neutral"), start=1)
        },
    }
    path = tmp_path / "four-emotions" / "metrics.json"
    path.write_text(json.dumps({"dataset": "facial_expressions", "scores": {"out-of-fold": score}}))
    table = publishing.recipes_table(tmp_path, recipes.RECIPES).set_index("recipe")
    assert list(table.index) == list(recipes.RECIPES)
    row = table.loc["four-emotions"]
    assert row["theirs"].startswith(
        "neutral recall 0.96, happiness recall 0.78, anger recall below"
    )
    assert row["ours"].startswith("neutral recall 0.400 (0.400 to 0.600), happiness recall 0.100 (")
    assert row["on"] == "facial_expressions out-of-fold, 1,234 images"
    assert row["command"] == "`emohelpers train four-emotions --data facial_expressions`"
    assert "MODEL_CARD.md" in table.loc["fer-vgg19", "ours"]
    assert table.loc["smile", "ours"] == "not published"
    assert table.loc["smile", "command"].endswith("smile --data UTKFace --labels labels.csv`")
    assert table.loc["ferplus-compact", "command"].endswith("--votes fer2013new.csv`")
    path.write_text(json.dumps({"dataset": "facial_expressions", "scores": {"out-of-fold": {}}}))
    with pytest.raises(ConfigurationError, match="lacks a figure"):
        publishing.recipes_table(tmp_path, recipes.RECIPES)

"""The command: train, evaluate, report; one JSON object; messages in place of tracebacks."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from test_recipes import TINY
from typer.testing import CliRunner

import emohelpers
from emohelpers import cli, datasets, publishing, recipes

COMMAND = Path(sys.executable).with_name("emohelpers")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with class folders of toy faces, and one with a network trained on them."""
    place = tmp_path_factory.mktemp("cli")
    faces = datasets.make_faces(120, size=24, seed=1, emotions=TINY.emotions)
    for image, label, split, file in zip(
        faces.images, faces.labels, faces.table["split"], faces.table["file"], strict=True
    ):
        path = place / "faces" / split / faces.class_names[label] / f"{file}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(path)
    return place


@pytest.fixture
def trained(place, monkeypatch, run):
    tiny = dataclasses.replace(TINY, dataset="folders", dataset_options={}, augmentation=None)
    monkeypatch.setitem(recipes.RECIPES, tiny.name, tiny)
    out = place / "tiny"
    arguments = ("train", "tiny", "--data", place / "faces", "--out", out, "--cache", place)
    trained = run(*arguments, "--seed", 3, "--json")
    assert trained.code == 0, trained.stderr
    return SimpleNamespace(out=out, arguments=arguments, said=trained)


def one_object(text):
    """Parse what must be one JSON object on one line and nothing else."""
    assert text.count("\n") == 1
    content = json.loads(text)
    assert isinstance(content, dict)
    return content


def test_train_evaluate_and_report_hand_on_to_each_other(trained, place, run, tmp_path):
    history = publishing.best_epoch(trained.out)
    said = one_object(trained.said.stdout)
    parameters = publishing.open_model(trained.out).model.count_params()
    assert said == {
        "recipe": "tiny",
        "directory": str(trained.out),
        "parameters": parameters,
        **history,
    }
    data = ("--data", place / "faces", "--cache", place)
    scored = run("evaluate", trained.out, *data, "--write", "--json")
    assert scored.code == 0, scored.stderr
    metrics = one_object(scored.stdout)
    assert json.loads((trained.out / "metrics.json").read_text()) == metrics
    validation = metrics["scores"]["validation"]["accuracy"]["value"]
    assert validation == pytest.approx(history["val_accuracy"], abs=1e-6)
    text = run("evaluate", trained.out, *data).stdout
    assert f"({parameters:,} parameters) on folders, 1 view," in text
    test = metrics["scores"]["test"]
    assert f"{test['accuracy']['value']:.4f} ({test['accuracy']['low']:.4f} to " in text

    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results: begin -->\nold\n<!-- results: end -->\nafter\n")
    reported = run("report", trained.out, "--update", readme)
    assert reported.code == 0
    assert f"| tiny | {parameters:,} | folders test |" in reported.stdout
    assert readme.read_text() == (
        f"before\n<!-- results: begin -->\n{reported.stdout}<!-- results: end -->\nafter\n"
    )
    rows = one_object(run("report", trained.out, "--json").stdout)["results"]
    assert [row["images"] for row in rows] == [str(test["n"])]


def test_evaluate_prints_and_keeps_what_was_found_by_group(trained, place, run):
    data = ("--dataset", "toyfaces", "--cache", place, "--by", "gender,gender+age_group")
    scored = run("evaluate", trained.out, *data, "--write", "--json")
    assert scored.code == 0, scored.stderr
    said = one_object(scored.stdout)
    rows = said["groups"]["test"]["groups"]
    assert (
        sum(row["n"] for row in rows if row["feature"] == "gender") == said["scores"]["test"]["n"]
    )
    kept = json.loads((trained.out / "groups-toyfaces.json").read_text())
    assert kept["groups"] == said["groups"]
    text = run("evaluate", trained.out, *data).stdout
    (row,) = [row for row in rows if row["group"] == "female"]
    assert f"| gender | female | {row['n']} | {row['accuracy']:.3f} (" in text
    assert "| gender+age_group | female, adult | " in text
    (trained.out / "groups-toyfaces.json").unlink()
    (trained.out / "metrics-toyfaces.json").unlink()
    refused = run("evaluate", trained.out, *data[:4], "--by", "race")
    assert refused.code == 1
    assert "no feature 'race': expected one of split, file, person, age_group" in refused.stderr


def test_a_training_that_has_ended_is_taken_up_and_says_the_same(trained, run):
    again = run(*trained.arguments, "--seed", 3, "--json")
    assert one_object(again.stdout) == one_object(trained.said.stdout)


def test_two_trainings_are_combined_and_scored_as_one(place, trained, run):
    out = place / "half"
    arguments = [*trained.arguments[:5], out, *trained.arguments[6:]]
    arguments[arguments.index("--out") + 1] = out
    done = run(*arguments, "--seed", 5, "--half")
    assert done.code == 0, done.stderr
    assert (out / "model.keras").stat().st_size < (trained.out / "model.keras").stat().st_size
    both = run("combine", trained.out, out, "--out", place / "both")
    assert both.stdout == f"{place / 'both'}: The average of tiny, half.\n"
    data = ("--data", place / "faces", "--cache", place)
    scored = one_object(run("evaluate", place / "both", *data, "--views", 2, "--json").stdout)
    assert scored["recipe"] == "both"
    assert scored["views"] == 2
    apart = [publishing.open_model(folder).model.count_params() for folder in (trained.out, out)]
    assert scored["parameters"] == sum(apart)


def test_a_folder_of_another_training_is_refused(trained, run):
    before = {path.name: path.read_bytes() for path in trained.out.iterdir()}
    refused = run(*trained.arguments, "--seed", 4)
    assert refused.code == 1
    assert "another network, optimiser, schedule, data or seed" in refused.stderr
    assert {path.name: path.read_bytes() for path in trained.out.iterdir()} == before


def test_the_installed_command_prints_json_and_nothing_else(trained, place):
    done = subprocess.run(
        [COMMAND, "evaluate", trained.out, "--json", "--data", place / "faces", "--cache", place],
        capture_output=True,
        text=True,
        check=True,
    )
    scores = one_object(done.stdout)["scores"]
    assert set(scores) == {"validation", "test"}


def test_ways_to_even_out_classes_are_compared_into_a_table(run, tmp_path):
    """The smallest comparison that is one, of all that the command does."""
    out = tmp_path / "table" / "imbalance.csv"
    arguments = ["imbalance", "toyfaces", "--out", out, "--runs", tmp_path / "runs"]
    arguments += ["--network", "own", "--steps", 1, "--seeds", 1, "--cache", tmp_path]
    some = run(*arguments, "--only", "nothing", "--only", "undersample")
    assert some.code == 0, some.stderr
    assert some.stdout.count("undersample") == 2
    assert not out.exists()


def damaged(place, name, content):
    folder = place / "damaged"
    folder.mkdir(exist_ok=True)
    recipe = {"name": "tiny", "dataset": "folders", "emotions": list(TINY.emotions)}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    (folder / "model.keras").write_bytes(b"weights")
    (folder / name).write_bytes(content)
    return folder


MISTAKES = [
    (["train", "fer-best"], "no recipe 'fer-best': expected one of fer-baseline"),
    (["train", "fer-baseline", "--data", "nowhere.csv"], "nowhere.csv does not exist"),
    (["train", "fer-baseline"], "no path was given for fer2013"),
    (["train", "toy-baseline", "--data", "x"], "expected none, toy faces are drawn"),
    (["evaluate", "nowhere"], "no recipe.json in nowhere"),
    (["evaluate", ("recipe.json", b"{")], "recipe.json can not be read as JSON"),
    (["evaluate", ("recipe.json", b"{}")], "recipe.json: expected a JSON object with 'name'"),
    (["evaluate", ("model.keras", b"")], "model.keras can not be loaded"),
    (["train", "fer-deeper", "--precision", "int8"], "precision='int8': expected one of float32"),
    (["combine", "nowhere", "--out", "both"], "members nowhere: expected two or more"),
    (["combine", "nowhere", "here", "--out", "both"], "recipe.json"),
    (
        ["ablate", "--data", "x", "--votes", "y", "--out", "z", "--only", "luck"],
        "no step luck: expected some of all, no-geometry",
    ),
    (["ablate", "--data", "x", "--votes", "y"], "expected --out, the CSV to write, or steps"),
    (["ablate", "ten", "--data", "x", "--out", "z"], "no study 'ten': expected one of fer-compact"),
    (["imbalance", "utkface", "--out", "x"], "no data set utkface: expected some of fer2013"),
    (
        ["imbalance", "toyfaces", "--out", "x", "--only", "luck"],
        "no way luck: expected some of nothing, weights",
    ),
    (["imbalance", "toyfaces", "--out", "x", "--network", "nobody"], "no published network"),
    (["report"], "no folder with a metrics.json"),
    (["report", "here", "--recipes"], "--recipes with folders: expected one or the other"),
    (["report", "--calibration", "--recipes"], "--recipes with --calibration: expected one"),
    (["report", "--calibration"], "no folder with a calibration.json"),
    (["report", "--calibration", "nowhere"], "no nowhere/calibration.json"),
    (["report", "nowhere"], "no metrics.json in nowhere"),
    (["report", ("metrics.json", b"[]")], "metrics.json: expected a JSON object"),
    (["report", ("metrics.json", b"{}")], "metrics.json lacks a figure ('scores')"),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_mistake_is_a_message_and_status_1(run, tmp_path, monkeypatch, arguments, words, as_json):
    monkeypatch.chdir(tmp_path)
    given = [damaged(tmp_path, *part) if isinstance(part, tuple) else part for part in arguments]
    if as_json and arguments[0] in ("combine", "ablate", "imbalance"):
        pytest.skip(f"{arguments[0]} writes files and has no --json")
    done = run(*given, *(["--json"] if as_json else []))
    assert done.code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("emohelpers: ")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_mistakes_with_a_network_are_messages_too(trained, place, run, tmp_path):
    data = ("--data", place / "faces", "--cache", place)
    (tmp_path / "README.md").touch()
    (trained.out / "metrics.json").write_text(
        json.dumps({"recipe": "tiny", "dataset": "folders", "scores": {}})
    )
    for arguments, words in [
        (["evaluate", trained.out, *data, "--views", 3], "views=3: expected one of (1, 2, 10)"),
        (["evaluate", trained.out, *data, "--dataset", "faces"], "unknown data set 'faces'"),
        (["evaluate", trained.out, *data, "--labels", "x"], "no option labels"),
        (["report", trained.out, "--update", tmp_path / "README.md"], "expected the lines"),
        (["report", trained.out, "--update", tmp_path / "none.md"], "no file"),
        ([*trained.arguments[:4], "--out", tmp_path / "README.md", *data[2:]], "README.md"),
    ]:
        done = run(*arguments)
        assert done.code == 1, arguments
        assert words in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [["train"], ["train", "toy-baseline", "--epochs", "0"], ["nothing"]]
)
def test_a_wrong_call_is_answered_with_the_usage_and_status_2(run, arguments):
    done = run(*arguments)
    assert done.code == 2
    assert "Usage: emohelpers" in done.stderr


def test_recipes_lists_every_system():
    lines = CliRunner().invoke(cli.app, ["recipes"]).stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        [recipe.name, recipe.dataset] for recipe in recipes.RECIPES.values()
    ]
    content = one_object(CliRunner().invoke(cli.app, ["recipes", "--json"]).stdout)
    assert content["fer-baseline"]["reported"] == {"f1": 0.57}


def test_help_keeps_what_stands_in_brackets():
    runner = CliRunner()
    assert "[saved_models/*]" in runner.invoke(cli.app, ["report", "--help"]).stdout
    assert "runs/RECIPE" in runner.invoke(cli.app, ["train", "--help"]).stdout


def test_the_version_is_the_packages():
    done = CliRunner().invoke(cli.app, ["--version"])
    assert done.stdout == f"emohelpers {emohelpers.__version__}\n"


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import emohelpers; dir(emohelpers)", {"keras", "tensorflow", "numpy", "pandas"}),
        (
            "import emohelpers; emohelpers.datasets.load",
            {"keras", "tensorflow", "matplotlib", "sklearn", "cv2"},
        ),
        ("import emohelpers.cli", {"keras", "tensorflow", "numpy", "pandas", "matplotlib"}),
        ("from emohelpers import plots", {"keras", "tensorflow", "sklearn", "seaborn"}),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_used(code, absent):
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not absent & set(done.stdout.split())


def test_the_package_knows_its_rooms_and_no_others():
    assert set(dir(emohelpers)) == set(emohelpers.__all__)
    assert emohelpers.datasets is datasets
    with pytest.raises(AttributeError, match="no attribute 'debias'"):
        _ = emohelpers.debias

"""The published networks: what the repository says of them is what they are."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

import emohelpers
from emohelpers import publishing, recipes

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = sorted(path.parent for path in ROOT.glob("saved_models/*/recipe.json"))
MEGABYTE = 2**20
# Of an image of 180x180 two million weights are made; the command trains them in minutes.
NOT_STORED = {"eight-emotions-authors", "eight-emotions-thinned"}


def test_there_are_published_networks():
    of_fer = {"fer-baseline", "fer-deeper", "fer-compact", "fer-large", "fer-ensemble"}
    others = {"ferplus-compact", "toy-baseline", "smile", "four-emotions", "eight-emotions"}
    assert of_fer | others <= {folder.name for folder in FOLDERS}


def test_the_default_network_is_small_and_travels_in_the_wheel():
    folder = ROOT / "saved_models" / "fer-compact"
    assert (folder / "model.keras").stat().st_size < 2_000_000
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    wheel, source = settings["targets"]["wheel"], settings["targets"]["sdist"]
    assert "/saved_models/fer-compact" in wheel["include"]
    assert wheel["sources"] == {"saved_models": "emohelpers/saved_models"}
    assert "saved_models/fer-compact" in source["include"]
    model = emohelpers.load_model()
    assert (model.input_shape, model.output_shape) == ((None, 48, 48, 1), (None, 7))
    saved = publishing.open_model(folder).model
    assert all(map(np.array_equal, model.get_weights(), saved.get_weights()))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_is_complete_and_small(folder):
    recipe = json.loads((folder / "recipe.json").read_text())
    assert recipe["name"] == folder.name
    names = {path.name for path in folder.iterdir()}
    assert {"metrics.json", "MODEL_CARD.md"} <= names
    if "members" in recipe:
        assert {ROOT / "saved_models" / name for name in recipe["members"]} <= set(FOLDERS)
        assert "model.keras" not in names
        return
    assert "history.csv" in names
    files = names & {"model.keras", "head.keras"}
    if folder.name in NOT_STORED:
        assert not files
        assert "The network is not stored" in (folder / "MODEL_CARD.md").read_text()
    else:
        assert len(files) == 1
        assert (folder / files.pop()).stat().st_size < 10 * MEGABYTE


def test_all_networks_together_stay_below_the_bound():
    files = [path for path in (ROOT / "saved_models").rglob("*") if path.name != "state.npz"]
    assert sum(path.stat().st_size for path in files if path.is_file()) < 26 * MEGABYTE


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_tables_of_readme_and_card_are_those_of_the_metrics(folder, tmp_path):
    pages = {ROOT / "README.md": FOLDERS, folder / "MODEL_CARD.md": [folder]}
    for page, folders in pages.items():
        copy = tmp_path / page.name
        copy.write_bytes(page.read_bytes())
        assert not publishing.renew_table(copy, publishing.results_table(folders)), page.name


CALIBRATED = sorted(path.parent for path in (ROOT / "saved_models").glob("*/calibration.json"))


@pytest.mark.parametrize("folder", CALIBRATED, ids=lambda folder: folder.name)
def test_the_temperatures_of_readme_and_card_are_those_that_are_stored(folder, tmp_path):
    pages = {ROOT / "README.md": CALIBRATED, folder / "MODEL_CARD.md": [folder]}
    for page, folders in pages.items():
        copy = tmp_path / page.name
        copy.write_bytes(page.read_bytes())
        table = publishing.temperatures_table(folders)
        assert not publishing.renew_table(copy, table, name="calibration"), page.name
    assert publishing.open_model(folder).temperature == pytest.approx(
        float(table["temperature"].iloc[0]), abs=0.005
    )


def test_the_readme_has_a_row_for_each_recipe(tmp_path):
    copy = tmp_path / "README.md"
    copy.write_bytes((ROOT / "README.md").read_bytes())
    table = publishing.recipes_table(ROOT / "saved_models", recipes.RECIPES)
    assert not publishing.renew_table(copy, table, name="recipes")


FER = ("fer2013", "fer2013.csv.xz")
UTKFACE = ("utkface", "utkface_crop_part1.tar")
FACES = ("facial_expressions", "facial_expressions.tar")
LABELS, VOTES = {"labels": "utkface_expression_dev.csv"}, {"votes": "ferplus.csv"}


@pytest.mark.parametrize(
    ("folder", "dataset", "file", "beside", "crop", "views"),
    [
        ("fer-baseline", *FER, {}, 0.0, 1),
        ("fer-baseline-authors", *FER, {}, 0.0, 1),
        ("fer-compact", *FER, {}, 0.0, 1),
        ("fer-compact", *FER, {}, 0.0, 2),
        ("fer-deeper", *FER, {}, 0.0, 1),
        ("fer-deeper", *FER, {}, 0.0, 2),
        ("fer-ensemble", *FER, {}, 0.0, 1),
        ("fer-ensemble", *FER, {}, 0.0, 2),
        ("fer-large", *FER, {}, 0.0, 1),
        ("fer-large", *FER, {}, 0.0, 2),
        ("ferplus-compact", *FER, VOTES, 0.0, 1),
        ("ferplus-compact", *FER, VOTES, 0.0, 2),
        ("smile", *UTKFACE, LABELS, None, 1),
        ("smile", *UTKFACE, LABELS, None, 2),
        ("smile-authors", *UTKFACE, LABELS, None, 1),
        ("smile-steady", *UTKFACE, LABELS, None, 1),
        ("four-emotions", *FACES, {}, None, 1),
        ("four-emotions", *FACES, {}, None, 2),
        ("four-emotions-authors", *FACES, {}, None, 1),
        ("eight-emotions", *FACES, {}, None, 1),
        ("eight-emotions", *FACES, {}, None, 2),
        ("toy-baseline", *FER, {}, 0.0, 1),
        ("toy-baseline", *UTKFACE, LABELS, 0.0, 1),
        ("toy-baseline", *UTKFACE, LABELS, 0.05, 1),
        ("toy-baseline", "toyfaces", None, {}, 0.0, 1),
    ],
)
def test_evaluating_again_gives_the_published_figures(
    folder, dataset, file, beside, crop, views, real_data
):
    saved = publishing.open_model(ROOT / "saved_models" / folder)
    options = {name: real_data(path) for name, path in beside.items()}
    faces = saved.load(dataset, real_data(file) if file else None, crop=crop, **options)
    result = publishing.metrics(saved, faces, views=views, crop=crop)
    published = json.loads(publishing.metrics_file(saved, result).read_text())
    # Through JSON, as the file went: its keys are strings and its tuples lists.
    assert json.loads(json.dumps(result)) == published


def test_assessing_smile_again_gives_the_published_table_by_group(real_data):
    saved = publishing.open_model(ROOT / "saved_models" / "smile")
    faces = saved.load(
        "utkface", real_data(UTKFACE[1]), labels=real_data("utkface_expression_dev.csv")
    )
    by = ("race", "age_group", "gender", "race+gender", "age_group+gender", "race+age_group")
    result = publishing.metrics(saved, faces, by=by)
    published = json.loads((ROOT / "saved_models" / "smile" / "groups.json").read_text())
    assert json.loads(json.dumps(result["groups"])) == published["groups"]

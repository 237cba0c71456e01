"""``emohelpers data``: what is printed where, and the exit codes."""

import json
import subprocess
import sys

import pytest
from PIL import Image
from typer.testing import CliRunner

from emohelpers._cli_data import app
from emohelpers.datasets import SOURCES


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command in an empty folder with an empty user's cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "cache")
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "faces"
    for number, name in enumerate(["happy/1", "sad/2"]):
        path = root / f"{name}.png"
        path.parent.mkdir(parents=True)
        Image.new("L", (48, 48), 50 * number).save(path)
    return root


def test_list_shows_every_set_with_its_licence_and_whether_it_is_here(run, tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "fer2013.csv").touch()
    result = run("list")
    assert result.exit_code == 0
    rows = {block.split()[0]: " ".join(block.split()) for block in result.output.split("\n\n")}
    assert set(rows) == {"name", *SOURCES}
    assert rows["toyfaces"].count("yes") == 1
    assert "datasets/fer2013.csv" in result.output
    assert "Apache-2.0" in rows["facial_expressions"]
    assert max(map(len, result.output.splitlines())) <= 120


def test_list_as_json_is_one_object(run):
    content = json.loads(run("list", "--json").stdout)
    sources = {source["name"]: source for source in content["sources"]}
    assert set(sources) == set(SOURCES)
    assert sources["toyfaces"]["here"] is True
    assert sources["fer2013"]["here"] is False
    assert sources["fer2013"]["path"] is None
    assert all(source["harms"] and source["licence"] for source in sources.values())


@pytest.mark.parametrize("name", ["fer2013", "utkface"])
def test_fetch_says_where_to_click_for_sets_that_need_an_account(run, name):
    result = run("fetch", name, "--to", "mine")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "Put it at mine/" in result.stderr
    assert "Traceback" not in result.stderr
    as_json = run("fetch", name, "--to", "mine", "--json")
    assert as_json.exit_code == 1
    content = json.loads(as_json.stdout)
    assert content["path"] is None
    assert any("mine/" in step for step in content["steps"])


def test_fetch_finds_what_is_here(run, tmp_path):
    (tmp_path / "UTKFace.zip").write_bytes(b"12345")
    result = run("fetch", "utkface", "--to", tmp_path, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "name": "utkface",
        "path": str(tmp_path / "UTKFace.zip"),
        "bytes": 5,
    }
    assert "(5 bytes)" in run("fetch", "utkface", "--to", tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["fetch", "nix"], 2, "unknown data set 'nix'"),
        (["fetch", "toyfaces"], 2, "nothing to fetch"),
        (["fetch"], 2, "Missing argument"),
        (["check", "nix", "x"], 2, "unknown data set 'nix'"),
        (["check", "fer2013", "nowhere.csv"], 1, "nowhere.csv does not exist"),
        (["check", "fer2013"], 1, "no path"),
        (["check", "utkface", "x", "--votes", "y"], 2, "no option votes"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_mistakes_are_said_on_standard_error_without_a_traceback(
    run, arguments, code, said, as_json
):
    result = run(*arguments, *(["--json"] if as_json else []))
    assert result.exit_code == code
    assert result.stdout == ""
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_check_reports_and_exits_with_0_when_all_could_be_read(run, folder):
    result = run("check", "folders", folder)
    assert result.exit_code == 0
    assert "happiness" in result.stdout
    assert result.stdout.endswith("Everything could be read.\n")
    content = json.loads(run("check", "folders", folder, "--json").stdout)
    assert content["clean"] is True
    assert content["counts"] == {"total": {"happiness": 1, "sadness": 1}}


def test_check_exits_with_1_when_something_could_not_be_read(run, folder):
    (folder / "sad" / "bad.png").write_text("text")
    result = run("check", "folders", folder)
    assert result.exit_code == 1
    assert "sad/bad.png" in result.stdout
    as_json = run("check", "folders", folder, "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["unreadable"][0]["where"] == "sad/bad.png"


def test_check_finds_a_set_where_fetch_puts_it(run, tmp_path):
    (tmp_path / "datasets" / "UTKFace").mkdir(parents=True)
    name = "25_1_2_20170116003012345.jpg.chip.jpg"
    Image.new("RGB", (200, 200)).save(tmp_path / "datasets" / "UTKFace" / name)
    content = json.loads(run("check", "utkface", "--json").stdout)
    assert content["path"] == "datasets/UTKFace"
    assert {"column": "race", "value": "Asian", "images": 1} in content["groups"]


def test_the_commands_import_no_keras(run):
    code = (
        "import sys; from emohelpers._cli_data import app; "
        "app(['list'], standalone_mode=False); "
        "heavy = {'keras', 'tensorflow', 'matplotlib', 'sklearn', 'pooch'}; "
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert run("list").exit_code == 0
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0

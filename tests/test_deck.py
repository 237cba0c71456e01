"""The deck and the list say of each figure what stands in figures.toml, and where it comes from."""

import hashlib
import itertools
import json
import re
import shutil
import sys
import time
import zipfile
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from emohelpers import deck, publishing
from emohelpers._cli_deck import deck as command
from emohelpers.errors import ConfigurationError, ImageError, MissingPathError
from tools import run_notebooks

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "presentation_images"
FIGURES = deck.read_figures(IMAGES)


BY_NOTEBOOK = [figure for figure in FIGURES if "run_notebooks" in figure.command]


def saved_names(notebook):
    """Return the names under which a notebook saves figures, as patterns, in its order."""
    cells = json.loads((ROOT / "notebooks" / notebook).read_text(encoding="utf-8"))["cells"]
    source = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    names = re.findall(r'plots\.save\([^"]+"(\d\d_[^"]+)"', source)
    return [re.sub(r"\{\w+\}", "[a-z0-9_]+", name) for name in names]


def test_every_png_is_described_and_charts_have_their_svg():
    found = {path.stem for path in IMAGES.glob("*.png")}
    assert {figure.name for figure in FIGURES} == found
    drawn = {path.stem for path in IMAGES.glob("*.svg")}
    assert drawn < {figure.name for figure in BY_NOTEBOOK}
    assert {"03_confusion", "06_groups", "12_fer2013_effects", "15_fer2013"} < drawn


def test_what_no_notebook_makes_has_a_tool_that_does():
    others = [figure for figure in FIGURES if figure not in BY_NOTEBOOK]
    assert {figure.name[:8] for figure in others} == {"16_page_"}
    for figure in others:
        _, tool, *options = figure.command.split()
        assert figure.name in (ROOT / tool).read_text()
        assert options == ["--figures", IMAGES.name]


@pytest.mark.parametrize("figure", BY_NOTEBOOK, ids=lambda figure: figure.name)
def test_a_figure_is_saved_by_its_notebook_and_made_by_its_command(figure):
    assert figure.notebook[:2] == figure.name[:2]
    assert any(re.fullmatch(name, figure.name) for name in saved_names(figure.notebook))
    words = figure.command.split()
    assert words[:2] == ["python", "tools/run_notebooks.py"]
    made = dict(zip(words[2::2], words[3::2], strict=True))
    assert made["--figures"] == IMAGES.name
    only = run_notebooks.numbered(ROOT / "notebooks", [made["--only"]])
    assert [path.name for path in only] == [figure.notebook]
    for text, longest in ((figure.title, 60), (figure.finding, 140)):
        assert 0 < len(text) <= longest
        assert text == text.strip()
        assert "\n" not in text
    assert figure.finding.endswith(".")


@pytest.mark.parametrize("notebook", sorted({figure.notebook for figure in FIGURES}))
def test_figures_come_in_the_order_of_their_notebook(notebook):
    names = saved_names(notebook)
    own = [figure.name for figure in BY_NOTEBOOK if figure.notebook == notebook]
    places = [next(k for k, name in enumerate(names) if re.fullmatch(name, one)) for one in own]
    assert places == sorted(places)
    assert set(places) == set(range(len(names)))


def test_no_number_is_typed_by_hand():
    text = (IMAGES / "figures.toml").read_text(encoding="utf-8")
    findings = re.findall(r'^finding = "(.*)"$', text, re.MULTILINE)
    assert len(findings) == len(FIGURES)
    for finding in findings:
        assert not re.search(r"\d", re.sub(r"\{[^}]*\}|FER2013|macro F1", "", finding)), finding


def test_a_named_number_is_that_of_the_metrics_file():
    score = json.loads((ROOT / "saved_models/fer-baseline/metrics.json").read_text())["scores"]
    recall = score["PrivateTest"]["per_class"]["fear"]["recall"]
    text = f"recall {recall['value']:.3f} ({recall['low']:.3f} to {recall['high']:.3f});"
    finding = {figure.name: figure.finding for figure in FIGURES}["03_fer_confusion"]
    assert text in finding


def test_the_list_of_the_readme_is_that_of_the_figures(tmp_path):
    copy = tmp_path / "README.md"
    copy.write_bytes((IMAGES / "README.md").read_bytes())
    assert not publishing.renew_table(copy, deck.index(FIGURES), name="figures")
    text = copy.read_text(encoding="utf-8")
    for figure in FIGURES:
        line = next(line for line in text.splitlines() if f"({figure.name}.png)" in line)
        assert figure.title in line
        assert figure.finding in line
        assert f"`{figure.command}`" in line
        assert (IMAGES / re.search(r"\]\((\.\./[^)]+)\)", line)[1]).resolve().is_file()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    pytest.importorskip("pptx")
    path = tmp_path_factory.mktemp("deck") / "deck.pptx"
    return path, deck.build(IMAGES, path)


@pytest.fixture(scope="module")
def slides(built):
    import pptx

    return list(pptx.Presentation(str(built[0])).slides)


def pictures(slide):
    return [shape for shape in slide.shapes if shape.shape_type == 13]


def tables(slides):
    return [shape.table for slide in slides for shape in slide.shapes if shape.has_table]


def test_each_figure_has_a_slide_of_its_own(built, slides):
    own = [slide for slide in slides if pictures(slide)]
    notebooks = {figure.notebook for figure in FIGURES}
    assert built[1] == len(slides) == 1 + len(notebooks) + len(FIGURES) + len(tables(slides)) + 1
    for figure, slide in zip(FIGURES, own, strict=True):
        (picture,) = pictures(slide)
        png = (IMAGES / f"{figure.name}.png").read_bytes()
        assert picture.image.sha1 == hashlib.sha1(png).hexdigest()
        width, height = picture.image.size
        assert picture.width / picture.height == pytest.approx(width / height, rel=1e-4)
        assert picture.crop_left == picture.crop_right == picture.crop_top == picture.crop_bottom
        assert slide.shapes.title.text_frame.text == figure.title
        texts = [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]
        assert texts == [figure.title, figure.finding]
        described = picture._element.nvPicPr.cNvPr.get("descr")
        assert figure.title in described
        assert figure.finding in described
        notes = slide.notes_slide.notes_text_frame.text
        assert f"notebooks/{figure.notebook}" in notes
        assert figure.command in notes


def test_a_section_begins_each_notebook(slides):
    last = None
    following = iter(FIGURES)
    for before, slide in itertools.pairwise(slides):
        if not pictures(slide):
            continue
        figure = next(following)
        if figure.notebook != last:
            cells = json.loads((ROOT / "notebooks" / figure.notebook).read_text("utf-8"))["cells"]
            heading = "".join(cells[0]["source"]).splitlines()[0]
            assert heading == f"# {before.shapes.title.text_frame.text}"
        last = figure.notebook


def test_nothing_leaves_its_slide_or_lies_on_another(slides):
    import pptx

    width, height = pptx.util.Inches(40 / 3), pptx.util.Inches(7.5)
    margin = pptx.util.Inches(0.49)
    for slide in slides:
        shapes = sorted(slide.shapes, key=lambda shape: shape.top)
        for shape in shapes:
            assert shape.left >= margin
            assert shape.left + shape.width <= width - margin
            assert shape.top >= 0
            assert shape.top + shape.height <= height
        for upper, lower in itertools.pairwise(shapes):
            assert upper.top + upper.height <= lower.top


def test_the_tables_hold_what_the_metrics_say(slides):
    cells = [[[cell.text for cell in row.cells] for row in table.rows] for table in tables(slides)]
    results = [row for table in cells if table[0][0] == "network" for row in table[1:]]
    assert {row[0] for row in results} == {
        p.parent.name for p in ROOT.glob("saved_models/*/m*.json")
    }
    for network, parameters, _, images, accuracy, _ in results:
        metrics = json.loads((ROOT / "saved_models" / network / "metrics.json").read_text("utf-8"))
        assert metrics["views"] == 1
        assert parameters == f"{metrics['parameters']:,}"
        values = {
            (f"{score['n']:,}", f"{score['accuracy']['value']:.3f}")
            for score in metrics["scores"].values()
        }
        assert (images, accuracy[:5]) in values
    reported = [row for table in cells if table[0][0] == "recipe" for row in table[1:]]
    assert ["fer-baseline", "F1 0.57"] in [row[:2] for row in reported]


def test_the_last_slide_says_what_it_can_not_do(slides):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    title = slides[-1].shapes.title.text_frame.text
    assert title == "What reading emotions from faces can not do"
    section = readme.split(f"## {title}\n")[1].split("\n## ")[0]
    said = "\n".join(shape.text_frame.text for shape in slides[-1].shapes)
    leads = re.findall(r"\*\*(.+?)\*\*", section)
    assert len(leads) > 2
    assert all(lead in said for lead in leads)
    assert "*" not in said


def test_the_same_files_make_the_same_bytes(built, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "localtime", lambda *_: time.struct_time((2031, 5, 6) + (7,) * 6))
    deck.build(IMAGES, tmp_path / "again.pptx")
    assert (tmp_path / "again.pptx").read_bytes() == built[0].read_bytes()
    with zipfile.ZipFile(built[0]) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == len(set(names))
        assert {member.date_time[0] for member in archive.infolist()} == {1980}


METRICS = ROOT / "saved_models" / "fer-baseline"


@pytest.fixture
def images(tmp_path):
    """A small repository with two figures; returns the folder of the figures."""
    folder = tmp_path / "home" / "figures"
    notebooks, network = folder.parent / "notebooks", folder.parent / "saved_models/fer-baseline"
    for path in (folder, notebooks, network):
        path.mkdir(parents=True)
    lines = []
    for name in ("02_tall", "01_wide"):
        size = (40, 10) if name == "01_wide" else (10, 40)
        Image.new("RGB", size, "red").save(folder / f"{name}.png")
        lines.append(f'[{name}]\ntitle = "A | {name}"\nfinding = "It is red."\n')
        cell = {"cell_type": "markdown", "source": [f"# {name[1]} · Colours\n", "\n", "Of red."]}
        (notebooks / f"{name[:2]}_x.ipynb").write_text(json.dumps({"cells": [cell]}), "utf-8")
    (folder / "figures.toml").write_text("\n".join(lines), encoding="utf-8")
    for name in ("metrics.json", "recipe.json"):
        shutil.copy(METRICS / name, network / name)
    shutil.copy(ROOT / "README.md", folder.parent / "README.md")
    return folder


def change(images, old, new):
    path = images / "figures.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_small_repository_is_sorted_by_notebook_and_its_bars_are_escaped(images):
    figures = deck.read_figures(images)
    assert [figure.name for figure in figures] == ["01_wide", "02_tall"]
    assert r"A \| 01_wide" in publishing.markdown(deck.index(figures))


def test_a_small_repository_makes_a_deck(images, tmp_path):
    pptx = pytest.importorskip("pptx")
    assert deck.build(images, tmp_path / "new" / "small.pptx") == 8
    made = pptx.Presentation(str(tmp_path / "new" / "small.pptx"))
    titles = [slide.shapes.title.text_frame.text for slide in made.slides]
    assert titles[1:5] == ["1 · Colours", "A | 01_wide", "2 · Colours", "A | 02_tall"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["small.pptx"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[01_wide]", "[01_gone]", r"does not describe 01_wide: expected a table \[01_wide\]"),
        ("[01_wide]", "[01_wide", "figures.toml can not be read as TOML"),
        ("title = ", "name = ", r"\[02_tall\] holds name, finding: expected title"),
        ('title = "A | 02_tall"', "", r"\[02_tall\] holds finding: expected title"),
        ('"A | 02_tall"', '" "', "title is ' ': expected one line of text"),
        ('"A | 02_tall"', "7", "title is 7: expected one line of text"),
        ("It is red.", r"It is\nred.", r"finding is 'It is\\nred.': expected one line"),
        ("It is red.", "red " * 40, "finding has 160 characters: expected at most 140"),
        ("A | 02_tall", "a" * 61, "title has 61 characters: expected at most 60"),
        ("red", "{red}", "names {red}: expected {NETWORK: PART FIGURE}"),
        ("red", "{red", "a brace without its partner"),
        ("red", "{none: PrivateTest accuracy}", "there is no .*none.metrics.json"),
        ("red", "{fer-baseline: Test accuracy}", "has no part Test: expected one of PublicTest, "),
        ("red", "{fer-baseline: PrivateTest speed}", "no such figure of PrivateTest: .* macro F1"),
        ("red", "{fer-baseline: PrivateTest joy recall}", "or a class .anger, disgust, "),
        ("red", "{fer-baseline: PrivateTest n}", "no such figure of PrivateTest"),
    ],
)
def test_a_wrong_entry_is_refused_by_name(images, old, new, message):
    change(images, old, new)
    with pytest.raises(ConfigurationError, match=message) as caught:
        deck.read_figures(images)
    assert "figures.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("named", "keys"),
    [
        ("PrivateTest accuracy", ("accuracy",)),
        ("PrivateTest-no-leaks balanced accuracy", ("balanced_accuracy",)),
        ("PublicTest macro F1", ("macro_f1",)),
        ("PrivateTest anger precision", ("per_class", "anger", "precision")),
        ("PrivateTest anger F1", ("per_class", "anger", "f1")),
    ],
)
def test_figures_of_networks_are_looked_up_by_words(images, named, keys):
    change(images, "red", f"{{fer-baseline: {named}}} red")
    found = json.loads((METRICS / "metrics.json").read_text("utf-8"))["scores"][named.split()[0]]
    for key in keys:
        found = found[key]
    text = f"It is {found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f}) red."
    assert deck.read_figures(images)[1].finding == text


def test_files_that_lack_or_do_not_match_are_named(images, tmp_path):
    with pytest.raises(MissingPathError, match=r"no folder .*nowhere"):
        deck.read_figures(tmp_path / "nowhere")
    with pytest.raises(MissingPathError, match=r"no notebook NN_\*.ipynb in "):
        deck.read_figures(images, notebooks=tmp_path)
    (images / "01_wide.png").rename(images / "03_wide.png")
    change(images, "[01_wide]", "[03_wide]")
    with pytest.raises(ConfigurationError, match=r"\[03_wide\]: no notebook .* of 01_, 02_"):
        deck.read_figures(images)
    (images / "03_wide.png").unlink()
    with pytest.raises(
        ConfigurationError, match=r"describes 03_wide, and there is no .*03_wide.png"
    ):
        deck.read_figures(images)
    (images / "figures.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="can not be read as TOML"):
        deck.read_figures(images)
    (images / "figures.toml").unlink()
    with pytest.raises(MissingPathError, match=r"no .*figures.toml"):
        deck.read_figures(images)


def test_nothing_is_overwritten_unless_asked(images, tmp_path):
    pytest.importorskip("pptx")
    out = tmp_path / "a.pptx"
    out.write_text("mine")
    with pytest.raises(ConfigurationError, match=r"a.pptx exists: expected a new file, or --force"):
        deck.build(images, out)
    with pytest.raises(ConfigurationError, match=r"README.md: expected a name that ends in .pptx"):
        deck.build(images, images.parent / "README.md", force=True)
    (tmp_path / "folder.pptx").mkdir()
    with pytest.raises(ConfigurationError, match=r"folder.pptx is a folder"):
        deck.build(images, tmp_path / "folder.pptx", force=True)
    (images / "01_wide.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"01_wide.png can not be read as a picture"):
        deck.build(images, out, force=True)
    Image.new("RGB", (4, 4)).save(images / "01_wide.png", format="JPEG")
    with pytest.raises(ImageError, match=r"01_wide.png is JPEG: expected a PNG"):
        deck.build(images, out, force=True)
    assert out.read_text() == "mine"
    Image.new("RGB", (4, 4)).save(images / "01_wide.png")
    deck.build(images, out, force=True)
    assert zipfile.is_zipfile(out)


def test_sources_of_the_other_slides_are_checked(images, tmp_path):
    pytest.importorskip("pptx")
    out, home = tmp_path / "a.pptx", images.parent
    with pytest.raises(MissingPathError, match=r"no .*gone.md: expected the README"):
        deck.build(images, out, readme=tmp_path / "gone.md")
    (home / "README.md").write_text("# Nothing\n")
    with pytest.raises(ConfigurationError, match="has no list under '## What reading emotions"):
        deck.build(images, out)
    with pytest.raises(MissingPathError, match=r"no folder with a metrics.json"):
        deck.build(images, out, saved_models=tmp_path)
    (home / "notebooks" / "01_x.ipynb").write_text(
        '{"cells": [{"cell_type": "code", "source": "1"}]}'
    )
    with pytest.raises(ConfigurationError, match="first cell begins with '1': expected '# ' and"):
        deck.build(images, out)
    (home / "notebooks" / "01_x.ipynb").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"01_x.ipynb can not be read as a notebook"):
        deck.build(images, out)
    assert not list(tmp_path.glob("*.pptx"))


def test_without_python_pptx_the_extra_is_named(images, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pptx", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'emohelpers\[deck\]'"):
        deck.build(images, tmp_path / "a.pptx")


@pytest.fixture
def invoke():
    app = typer.Typer()
    app.command()(command)
    return lambda *words: CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)


def test_the_command_builds_a_deck(images, tmp_path, invoke):
    pytest.importorskip("pptx")
    out = tmp_path / "a.pptx"
    result = invoke("--images", images, "--out", out)
    assert result.stdout == f"{out}: 8 slides, 2 figures\n"
    with pytest.raises(ConfigurationError, match="or --force"):
        invoke("--images", images, "--out", out)
    result = invoke("--images", images, "--out", out, "--force", "--json")
    assert json.loads(result.stdout) == {"file": str(out), "slides": 8, "figures": 2}


def test_the_command_renews_a_list_and_nothing_else(images, invoke):
    page = images / "README.md"
    page.write_text(
        "# Mine\n<!-- figures: begin -->\n<!-- figures: end -->\nend\n", encoding="utf-8"
    )
    assert invoke("--images", images, "--update", page).stdout == f"{page}: renewed, 2 figures\n"
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Mine\n<!-- figures: begin -->\n| figure | title |")
    assert text.endswith("|\n<!-- figures: end -->\nend\n")
    result = invoke("--images", images, "--update", page, "--json")
    assert json.loads(result.stdout) == {"file": str(page), "figures": 2, "changed": False}
    assert page.read_text(encoding="utf-8") == text

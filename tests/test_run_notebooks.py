import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import typer
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from typer.testing import CliRunner

from tools import run_notebooks

ROOT = Path(__file__).resolve().parents[1]


def write(path, *sources):
    cells = [new_markdown_cell("# A title"), *map(new_code_cell, sources)]
    nbformat.write(new_notebook(cells=cells), path)
    return path


def run(folder, *arguments):
    command = [sys.executable, str(ROOT / "tools" / "run_notebooks.py"), "--notebooks", folder]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


def stored(path):
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def test_it_finds_the_numbered_notebooks_in_order(tmp_path):
    for name in ("11_more.ipynb", "02_b.ipynb", "01_a.ipynb", "scratch.ipynb", "03_c.txt"):
        (tmp_path / name).touch()
    names = [path.name for path in run_notebooks.numbered(tmp_path)]
    assert names == ["01_a.ipynb", "02_b.ipynb", "11_more.ipynb"]
    assert [path.name for path in run_notebooks.numbered(tmp_path, ["02", "11"])] == names[1:]


def test_copies_and_figures_are_made_without_touching_what_is_stored(tmp_path):
    source = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "Path(os.environ['EMO_FIGURES'], 'drawn.txt').write_text('figure')\n"
        "print(os.environ['EMO_DATASET'], os.environ.get('EMO_DATA_ROOT'), sys.executable)\n"
        "print('threads', os.environ['OMP_NUM_THREADS'])"
    )
    path = write(tmp_path / "01_good.ipynb", source)
    before = path.read_bytes()
    build = tmp_path / "build"
    done = run(tmp_path, "--build", build)
    assert done.returncode == 0, done.stderr
    page = (build / "01_good.html").read_text(encoding="utf-8")
    assert f"toyfaces None {sys.executable}" in page
    assert "threads 1" in page
    assert (build / "figures" / "drawn.txt").read_text() == "figure"
    assert path.read_bytes() == before
    assert "01_good.ipynb: " in done.stdout
    assert str(build) in done.stdout
    assert str(build / "figures") in done.stdout


def test_a_failing_cell_is_named_and_the_others_run_all_the_same(tmp_path):
    write(tmp_path / "01_bad.ipynb", "1 + 1", "values = []\nvalues[3]")
    write(tmp_path / "02_dies.ipynb", "import os\nos.write(2, b'no memory')\nos._exit(3)")
    write(tmp_path / "03_good.ipynb", "print('still ' + 'run')")
    done = run(tmp_path, "--build", tmp_path / "build")
    assert done.returncode == 1
    assert "01_bad.ipynb: FAILED in code cell 2 (values = [])" in done.stdout
    assert "IndexError: list index out of range" in done.stdout
    died = "02_dies.ipynb: FAILED in code cell 1 (import os): the kernel died: "
    assert died in done.stdout
    assert "no memory" in done.stdout
    assert "still run" in (tmp_path / "build" / "03_good.html").read_text(encoding="utf-8")


def test_in_place_stores_a_clean_run_that_nbval_then_compares(tmp_path):
    path = write(
        tmp_path / "01_kept.ipynb",
        "print('accuracy', 0.5)",
        "import os\nos.write(2, b'a log of C++')\nprint('10%| |', end='\\r')\nprint('100%|#|')",
    )
    warns = write(tmp_path / "02_warns.ipynb", "import warnings\nwarnings.warn('old')")
    before = warns.read_bytes()
    done = run(tmp_path, "--build", tmp_path / "b", "--figures", tmp_path / "f", "--inplace")
    assert done.returncode == 1
    assert "02_warns.ipynb: FAILED in import warnings: wrote to stderr" in done.stdout
    assert warns.read_bytes() == before
    assert "01_kept.ipynb: FAILED" not in done.stdout
    first, second = stored(path)
    assert [first.execution_count, second.execution_count] == [1, 2]
    assert first.outputs[0].text == "accuracy 0.5\n"
    assert [output.text for output in second.outputs] == ["100%|#|\n"]
    assert nbformat.read(path, as_version=4).metadata.language_info == {"name": "python"}

    assert nbval(path).returncode == 0
    path.write_text(path.read_text().replace("accuracy 0.5", "accuracy 0.6"))
    differs = nbval(path)
    assert differs.returncode == 1
    assert "1 failed, 1 passed" in differs.stdout


def nbval(path):
    """Run a notebook that lies elsewhere as `make test` runs the project's own."""
    command = [sys.executable, "-m", "pytest", "-q", "-c", "pyproject.toml", "--rootdir", "."]
    plugins = ["-p", "conftest", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, *plugins, "--nbval", path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments", [["--inplace", "--dataset", "fer2013"], ["--inplace", "--epochs", "1"], []]
)
def test_what_can_not_be_meant_is_refused(tmp_path, arguments):
    app = typer.Typer()
    app.command()(run_notebooks.run)
    if arguments:
        write(tmp_path / "01_a.ipynb", "1")
    done = CliRunner().invoke(app, ["--notebooks", str(tmp_path), *arguments])
    assert done.exit_code == 2
    assert not list(tmp_path.glob("*.html"))


def test_svgs_of_pictures_are_no_part_of_the_repository(tmp_path):
    picture = b"data:image/png;base64," + b"A" * 500
    for name, content in (
        ("chart.svg", b"<svg>" + b"x" * 600 + picture + b'"</svg>'),
        ("faces.svg", b"<svg>" + b"x" * 100 + picture + b'"' + picture + b'"</svg>'),
        ("faces.png", picture),
    ):
        (tmp_path / name).write_bytes(content)
    run_notebooks.drop_pictures(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chart.svg", "faces.png"]

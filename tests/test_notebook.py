import os
import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata
from pathlib import Path

import nbformat
import numpy as np
import pytest

from emohelpers import notebook
from emohelpers.errors import MissingPathError

ROOT = Path(__file__).resolve().parents[1]
COURSE = sorted((ROOT / "notebooks").glob("01_*.ipynb"))


@pytest.fixture
def course(tmp_path, monkeypatch):
    """Stand in the notebooks' folder of a clone, with none of the variables set."""
    for name in ("notebooks", "emohelpers", "saved_models/fer-baseline"):
        (tmp_path / "clone" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "clone" / "notebooks")
    for name in ("EMO_FIGURES", "EMO_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "clone"


def test_figures_of_real_faces_never_land_in_a_tracked_folder(course):
    assert notebook.figures_folder("toyfaces").resolve() == course / "presentation_images"
    assert notebook.figures_folder("fer2013").resolve() == course / "build" / "fer2013" / "figures"
    assert not notebook.figures_folder("toyfaces").is_absolute()


def test_a_notebook_that_lies_alone_keeps_its_figures_beside_it(tmp_path, monkeypatch, course):
    monkeypatch.chdir(tmp_path)
    assert notebook.figures_folder("toyfaces") == Path("figures")
    monkeypatch.setenv("EMO_FIGURES", "slides")
    assert notebook.figures_folder("fer2013") == Path("slides")
    monkeypatch.delenv("EMO_FIGURES")
    monkeypatch.setenv("EMO_REPOSITORY", str(course))
    assert notebook.figures_folder("toyfaces") == course / "presentation_images"


def test_folders_of_the_course_are_found_above_the_notebook_or_where_it_is_said_to_lie(
    tmp_path, monkeypatch, course
):
    wanted = course / "saved_models" / "fer-baseline"
    assert notebook.repository_folder("saved_models/fer-baseline").resolve() == wanted
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingPathError, match="EMO_REPOSITORY"):
        notebook.repository_folder("saved_models/fer-baseline")
    monkeypatch.setenv("EMO_REPOSITORY", str(course))
    assert notebook.repository_folder("saved_models/fer-baseline") == wanted
    with pytest.raises(MissingPathError, match="other"):
        notebook.repository_folder("other")


def test_facts_say_what_is_missing_too_old_or_not_yet_loaded(capsys, monkeypatch):
    notebook.check_environment()
    fit = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in fit[:4]] == ["Python", "keras", "numpy", "opencv-python"]
    assert all(line.endswith(": yes") for line in fit[:-1])
    # A fact is no version: no figure of what is installed here may stand in it.
    assert metadata.version("numpy") not in "\n".join(fit)

    real = metadata.version
    found = {"keras": "2.15.0", "tensorflow": None, "opencv-python-headless": None}

    def version(name):
        if found.get(name, "") is None:
            raise metadata.PackageNotFoundError(name)
        return "4.12.0" if name == "opencv-contrib-python" else found.get(name) or real(name)

    monkeypatch.setattr(notebook.metadata, "version", version)
    notebook.check_environment()
    facts = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "no, found 2.15.0: pip install 'keras>=3" in facts["keras"]
    assert "no, found none: pip install 'tensorflow>=2" in facts["tensorflow"]
    assert facts["opencv-python"].endswith(": yes")

    monkeypatch.setattr(np, "__version__", "1.26.4")
    notebook.check_environment()
    assert "1.26.4 is still loaded: restart the kernel" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("echo NVIDIA L4", "GPU: NVIDIA L4"),
        ("echo failed >&2; exit 9", "GPU: none found"),
        ("true", "GPU: none found"),
    ],
)
def test_a_gpu_is_named_and_its_absence_is_no_error(tmp_path, monkeypatch, capsys, script, line):
    command = tmp_path / "nvidia-smi"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    notebook.check_environment()
    assert capsys.readouterr().out.splitlines()[-1].startswith(line)


@pytest.fixture
def colab(tmp_path):
    """Make what a Colab runtime is: all dependencies, `google.colab`, but not the package."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    places = {"base": str(tmp_path / "venv"), "platbase": str(tmp_path / "venv")}
    site = Path(sysconfig.get_path("purelib", scheme="venv", vars=places))
    # A path in a .pth file does not run that folder's own .pth files, so this project's editable
    # installation stays out of sight.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (site / "google" / "colab").mkdir(parents=True)
    (site / "google" / "colab" / "__init__.py").touch()
    return Path(sysconfig.get_path("scripts", scheme="venv", vars=places)) / "python"


def wheel(folder):
    """Zip the package as a wheel, which pip installs without a build and without an index."""
    path = folder / "emohelpers-9.9-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for source in sorted((ROOT / "emohelpers").rglob("*.py")):
            archive.write(source, source.relative_to(ROOT))
        said = metadata.distribution("emohelpers").read_text("METADATA")
        said = said.replace(f"Version: {metadata.version('emohelpers')}\n", "Version: 9.9\n", 1)
        info = "emohelpers-9.9.dist-info"
        archive.writestr(f"{info}/METADATA", said)
        tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", tags)
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.mark.skipif(not COURSE, reason="there is no notebook whose setup cell could run")
def test_the_setup_cell_installs_the_package_where_it_is_not_as_in_colab(tmp_path, colab):
    cells = nbformat.read(COURSE[0], as_version=4).cells
    setup = next(cell.source for cell in cells if cell.cell_type == "code")
    told = "import google.colab\n" + setup + "\nimport emohelpers; print(emohelpers.__file__)"
    source = wheel(tmp_path)
    (tmp_path / "content").mkdir()
    done = subprocess.run(
        [colab, "-c", told],
        cwd=tmp_path / "content",
        env={
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "EMO_REPOSITORY": str(source),
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, *facts, last = done.stdout.splitlines()
    assert first == f"installing emohelpers from {source} ..."
    assert facts[-1].startswith("GPU: ")
    assert all(line.endswith(": yes") for line in facts[:-1])
    assert Path(last).is_relative_to(tmp_path / "venv")

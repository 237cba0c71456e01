"""Execute the numbered notebooks: copies as HTML and figures, or their stored outputs anew.

``python tools/run_notebooks.py`` leaves ``build/<dataset>/NN_name.html`` and
``build/<dataset>/figures``; the stored notebooks are not touched. ``--inplace`` stores the outputs
of a clean run on toy faces, and its figures in ``presentation_images``.
"""

import os
import re
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import nbformat
import typer
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "presentation_images"
PARAMETERS = ("EMO_DATASET", "EMO_DATA_ROOT", "EMO_EPOCHS", "EMO_FIGURES")
# What a user shows a notebook of themselves must not be stored in it.
PERSONAL = ("EMO_PHOTO", "EMO_WEBCAM")

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}
# One thread makes training repeat bit for bit on one machine. Under pytest the kernel leaves the
# C++ libraries' log alone, which would else be stored among the outputs.
REPEATABLE = QUIET | {
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTEST_CURRENT_TEST": "1",
}


@dataclass(frozen=True)
class Outcome:
    """What became of one notebook; `failure` is None when it ran to its end."""

    notebook: Path
    seconds: float
    written: Path | None
    failure: str | None


def numbered(folder: Path, only: Iterable[str] = ()) -> list[Path]:
    """Return the notebooks ``NN_*.ipynb`` of a folder in order, or those whose names start so."""
    found = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    starts = tuple(only)
    return [path for path in found if path.name.startswith(starts)] if starts else found


def execute(path: Path) -> tuple[NotebookNode, str | None]:
    """Run a notebook from top to bottom in its own folder, in this Python's own environment."""
    notebook = nbformat.read(path, as_version=4)
    # Without folders to look in, the name stands for this interpreter, whatever kernels a user has.
    manager = AsyncKernelManager(
        kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[])
    )
    begun: list[int] = []
    client = NotebookClient(
        notebook,
        km=manager,
        timeout=None,
        startup_timeout=180,
        record_timing=False,
        store_widget_state=False,
        on_cell_execute=lambda cell, cell_index: begun.append(cell_index),  # noqa: ARG005
        resources={"metadata": {"path": str(path.parent)}},
    )
    failure = None
    with tempfile.TemporaryFile() as log:
        try:
            client.execute(stderr=log, cleanup_kc=True)
        except CellExecutionError as error:
            failure = f"{_name_cell(notebook, begun[-1])}: {error.ename}: {error.evalue}"
        except DeadKernelError:
            log.seek(0)
            said = _last_line(log.read().decode(errors="replace"))
            failure = f"{_name_cell(notebook, begun[-1])}: the kernel died: {said}"
    # A progress bar is stored as it looked in the end, not with every redrawing.
    return CoalesceStreamsPreprocessor().preprocess(notebook, {})[0], failure


def _name_cell(notebook: NotebookNode, index: int) -> str:
    """Name a code cell by its number among the code cells and its first line."""
    number = sum(cell.cell_type == "code" for cell in notebook.cells[: index + 1])
    return f"code cell {number} ({notebook.cells[index].source.strip().splitlines()[0]})"


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _unfit_to_store(notebook: NotebookNode) -> str | None:
    """Return why the outputs must not be stored: what stands on stderr differs by machine."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "stream" and output.name == "stderr":
                return f"{cell.source.splitlines()[0]}: wrote to stderr: {_last_line(output.text)}"
    return None


def _store(path: Path, notebook: NotebookNode) -> None:
    notebook.metadata = {
        "kernelspec": {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    _write(path, nbformat.writes(notebook) + "\n")


def run_one(path: Path, build: Path, inplace: bool) -> Outcome:
    """Execute one notebook and write its HTML or, in place, its outputs."""
    started = time.monotonic()
    notebook, failure = execute(path)
    written: Path | None = None
    if inplace:
        failure = failure or _unfit_to_store(notebook)
        if failure is None:
            written = path
            _store(path, notebook)
    else:
        written = build / f"{path.stem}.html"
        exporter = HTMLExporter(embed_images=True)
        body, _ = exporter.from_notebook_node(
            notebook, resources={"metadata": {"name": path.stem, "path": str(path.parent)}}
        )
        _write(written, body)
    return Outcome(path, time.monotonic() - started, written, failure)


def run(
    dataset: Annotated[str, typer.Option(help="What the notebooks load.")] = "toyfaces",
    data: Annotated[Path | None, typer.Option(exists=True, help="Its file or folder.")] = None,
    notebooks: Annotated[Path, typer.Option(help="Their folder.")] = ROOT / "notebooks",
    build: Annotated[Path | None, typer.Option(help="Where copies go: build/<dataset>.")] = None,
    figures: Annotated[Path | None, typer.Option(help="Where figures go: BUILD/figures.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="First letters, such as 01.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of each notebook's own.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Notebooks at a time; 2 on toy faces.")] = None,
    inplace: Annotated[bool, typer.Option(help="Store the outputs in the notebooks.")] = False,
) -> None:
    """Execute the numbered notebooks and say where everything is."""
    toy = dataset == "toyfaces"
    if inplace and not (toy and data is None and epochs is None):
        raise typer.BadParameter("stored outputs are those of toy faces with no other settings")
    paths = numbered(notebooks.resolve(), only or ())
    if not paths:
        raise typer.BadParameter(f"no notebook NN_*.ipynb in {notebooks}")
    build = (build or ROOT / "build" / dataset).resolve()
    default = FIGURES if inplace else build / "figures"
    figures = (figures or default).resolve()
    for folder in (build, figures):
        folder.mkdir(parents=True, exist_ok=True)
    # Real data is not compared with anything, and may use every core.
    os.environ.update(REPEATABLE if toy else QUIET)
    given = (dataset, data and str(data.resolve()), epochs and str(epochs), str(figures))
    for name in (*PARAMETERS, *(PERSONAL if inplace else ())):
        os.environ.pop(name, None)
    for name, value in zip(PARAMETERS, given, strict=True):
        if value:
            os.environ[name] = value
    with ProcessPoolExecutor(jobs or (2 if toy else 1)) as pool:
        pending = [pool.submit(run_one, path, build, inplace) for path in paths]
        outcomes = [_report(future.result()) for future in as_completed(pending)]
    if figures == FIGURES:
        drop_pictures(figures)
    print(f"{'outputs: ' if inplace else 'HTML:    '}{notebooks if inplace else build}")
    print(f"figures: {figures}")
    if any(outcome.failure for outcome in outcomes):
        raise typer.Exit(1)


def drop_pictures(folder: Path) -> None:
    """Remove the SVGs of a folder that are pictures for the most part.

    They are no sharper than the PNG beside them, and larger: the repository does without.
    """
    for path in folder.glob("*.svg"):
        content = path.read_bytes()
        pictures = sum(map(len, re.findall(rb"data:image/png;base64,[^\"]*", content)))
        if pictures > len(content) / 2:
            path.unlink()


def _report(outcome: Outcome) -> Outcome:
    name, took = outcome.notebook.name, f"{outcome.seconds:.0f} s"
    print(f"{name}: {took}" if outcome.failure is None else f"{name}: FAILED in {outcome.failure}")
    return outcome


if __name__ == "__main__":
    typer.run(run)

"""From the figures, the metrics and the README to a deck on disk."""

from itertools import groupby
from pathlib import Path

from emohelpers._replacing import replacing
from emohelpers.deck import _contents
from emohelpers.deck._figures import read_figures
from emohelpers.deck._slides import Slides
from emohelpers.errors import ConfigurationError, MissingPathError

__all__ = ["build"]

_NAME = "emohelpers"
_SENTENCE = (
    "An open course and toolkit for recognising facial expressions: its figures, what each of them "
    "shows, and how good its networks are. Every face in these slides is drawn; none is a real one."
)
_FROM_METRICS = (
    "From the metrics.json files in saved_models/, with 95% bootstrap intervals, one view of each "
    "image, one seed. "
)
_EVERY_ROW = f"{_FROM_METRICS}Every part and both ways of looking: emohelpers report"
_BESIDE = (
    f"{_FROM_METRICS}The authors' figures are theirs, on data and splits of theirs. "
    "Every system, with its command: emohelpers report --recipes"
)


def build(
    directory: str | Path,
    out: str | Path,
    *,
    notebooks: str | Path | None = None,
    saved_models: str | Path | None = None,
    readme: str | Path | None = None,
    force: bool = False,
) -> int:
    """Build a PowerPoint deck of the figures of a folder.

    A title; for each notebook its title and a slide for each of its figures; the published
    networks; what authors reported beside what was reached; and what all of it can not do. The same
    files give the same bytes.

    Parameters
    ----------
    directory : path
        For instance ``presentation_images``, with its ``figures.toml``: see `read_figures`.
    out : path
        The ``.pptx`` to write. Its folder is made where it does not exist.
    notebooks, saved_models, readme : path, optional
        The course's notebooks, its published networks and its README: beside `directory`, unless
        given.
    force : bool
        Whether `out` is replaced where it exists.

    Returns
    -------
    int
        How many slides it has.

    Raises
    ------
    MissingPathError
        If something that goes into the deck is not there.
    ConfigurationError
        If python-pptx is not installed, `out` exists or ends otherwise, or ``figures.toml``, a
        notebook, a metrics file or the README is not as it should be.
    ImageError
        If a figure is no PNG.
    """
    directory, out = Path(directory), Path(out)
    home = directory.resolve().parent
    if out.suffix.lower() != ".pptx":
        raise ConfigurationError(f"{out}: expected a name that ends in .pptx")
    if out.is_dir():
        raise ConfigurationError(f"{out} is a folder: expected the name of a file")
    if out.exists() and not force:
        raise ConfigurationError(f"{out} exists: expected a new file, or --force")
    courses = Path(notebooks) if notebooks else home / "notebooks"
    networks = Path(saved_models) if saved_models else home / "saved_models"
    slides = Slides(_NAME)
    slides.heading(_NAME, _SENTENCE, "Built by: emohelpers deck")
    figures = read_figures(directory, notebooks=courses, saved_models=networks)
    if not figures:
        raise MissingPathError(f"no figure in {directory}: expected NN_name.png")
    for name, those in groupby(figures, key=lambda figure: figure.notebook):
        title, text = _contents.notebook_heading(courses / name)
        slides.heading(title, text, f"Notebook: notebooks/{name}")
        for figure in those:
            notes = f"Notebook: notebooks/{name}\nMade by: {figure.command}"
            path = directory / f"{figure.name}.png"
            slides.figure(path, figure.title, figure.finding, notes)
    results = _contents.results_table(networks)
    slides.table("The published networks", results, [25, 14, 28, 9, 24, 24], _EVERY_ROW)
    reported = _contents.reported_table(networks)
    if len(reported):
        slides.table("Beside what authors reported", reported, [25, 30, 46, 27], _BESIDE)
    title, items = _contents.limits(Path(readme) if readme else home / "README.md")
    slides.items(title, items, "From README.md")
    content = slides.content()
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as beside:
        beside.write_bytes(content)
    return len(slides)

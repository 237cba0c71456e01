"""``emohelpers generate``: learn to draw faces, and ask what they are worth."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from emohelpers._cli_data import write_table
from emohelpers.errors import ConfigurationError

__all__ = ["generate"]


def generate(
    dataset: Annotated[str, typer.Argument(help="fer2013, facial_expressions or toyfaces.")],
    out: Annotated[Path, typer.Option(help="The CSV to write.")],
    data: Annotated[
        Path | None, typer.Option(help="Where the data set lies; toy faces need none.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Also write what draws the faces, as .npz.")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="A folder for the trainings [runs/generation-DATASET].")
    ] = None,
    judge: Annotated[
        str, typer.Option(help="A published network that names emotions, a path, or 'none'.")
    ] = "fer-compact",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each small network.")] = 3,
    per_emotion: Annotated[
        int, typer.Option(min=1, help="Made faces of each emotion to learn from alone.")
    ] = 1500,
    size: Annotated[int, typer.Option(min=12, help="Side of the faces; a multiple of 6.")] = 48,
    cache: Annotated[
        Path | None, typer.Option(help="Where decoded images are kept; the user's cache without.")
    ] = None,
) -> None:
    """Train a VQ-VAE and its prior, draw faces, and measure what those are worth.

    Goes on where it was stopped.
    """
    from emohelpers import datasets, generation, imbalance, models, publishing

    if dataset not in imbalance.BASES:
        raise ConfigurationError(
            f"no data set {dataset!r}: expected one of {', '.join(imbalance.BASES)}"
        )
    if weights is not None and weights.suffix != ".npz":
        raise ConfigurationError(f"weights {weights}: expected a name that ends in .npz")
    faces = datasets.load(dataset, data, size=size, color=False, cache=cache)
    faces = faces.keep_classes(imbalance.BASES[dataset].emotions)
    if faces.table["split"].isna().all():
        faces = faces.assign_splits(by="person", seed=0)
    found = generation.study(
        faces,
        directory=runs or Path("runs") / f"generation-{dataset}",
        judge=None if judge == "none" else publishing.open_model(models.saved_folder(judge)).model,
        seeds=range(seeds),
        per_emotion=per_emotion,
        verbose=1 if sys.stdout.isatty() else 2,
    )
    write_table(found.table, out)
    if weights is not None:
        found.sampler.save(weights)
    typer.echo(found.table.to_string(index=False))

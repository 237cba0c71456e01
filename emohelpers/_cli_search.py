"""``emohelpers search``: a grid search and successive halving for the same budget."""

from pathlib import Path
from typing import Annotated

import typer

from emohelpers._cli_data import write_table
from emohelpers.errors import ConfigurationError

__all__ = ["search"]


def search(
    dataset: Annotated[str, typer.Argument(help="fer2013 or toyfaces.")],
    out: Annotated[
        Path, typer.Option(help="The CSV to write; STEM-trials.csv beside it has every training.")
    ],
    data: Annotated[
        Path | None, typer.Option(help="Where the data set lies; toy faces need none.")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="A folder for the trainings [runs/search-DATASET].")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How often each search is done.")] = 2,
    cache: Annotated[
        Path | None, typer.Option(help="Where decoded images are kept; the user's cache without.")
    ] = None,
) -> None:
    """Search hyperparameters in two ways for the same budget; goes on where it was stopped."""
    from emohelpers import datasets, evaluation
    from emohelpers import search as room

    if dataset not in room.PLANS:
        raise ConfigurationError(f"no plan for {dataset}: expected one of {', '.join(room.PLANS)}")
    plan = room.PLANS[dataset]
    faces = datasets.load(plan.dataset, data, size=plan.size, color=False, cache=cache)
    faces = faces.keep_classes(datasets.EMOTIONS[:7])
    found, trials = room.study(
        faces,
        directory=runs or Path("runs") / f"search-{dataset}",
        plan=plan,
        seeds=range(seeds),
        verbose=2,
    )
    write_table(found, out)
    write_table(trials, out.with_name(f"{out.stem}-trials.csv"))
    shown = ["question", "part", "setting", "images", "fits", "accuracy", "difference"]
    typer.echo(evaluation.interval_text(found)[shown].to_string(index=False))

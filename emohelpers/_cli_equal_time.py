"""``emohelpers equal-time``: a network against another in the same time of the processor."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from emohelpers._cli_data import write_table

__all__ = ["equal_time"]


def equal_time(
    data: Annotated[Path, typer.Option(help="Where FER2013 lies.")],
    out: Annotated[
        Path, typer.Option(help="The CSV to write; the curves go to STEM-curves.csv beside it.")
    ],
    runs: Annotated[
        Path | None, typer.Option(help="A folder for the trainings [runs/STEM OF OUT].")
    ] = None,
    minutes: Annotated[
        float, typer.Option(min=0.001, help="Of the processor's time, to train each network.")
    ] = 7.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the trainings.")] = 0,
    cache: Annotated[
        Path | None, typer.Option(help="Where decoded images are kept; the user's cache without.")
    ] = None,
) -> None:
    """Train the compact network and a transformer equally long; goes on where it was stopped."""
    from emohelpers import ablation

    found = ablation.equal_time(
        data,
        directory=runs or Path("runs") / out.stem,
        minutes=minutes,
        seed=seed,
        cache=cache,
        verbose=1 if sys.stdout.isatty() else 2,
    )
    write_table(found.curves, out.with_name(f"{out.stem}-curves{out.suffix}"))
    write_table(found.table, out)
    shown = ["setting", "part", "figure", "network", "value", "difference", "passes", "cpu_seconds"]
    typer.echo(found.table[shown].to_string(index=False))

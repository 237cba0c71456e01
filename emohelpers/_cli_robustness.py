"""``emohelpers robustness``: published networks against bad pictures and adversaries."""

from pathlib import Path
from typing import Annotated, Any

import typer

from emohelpers._cli_data import write_table

__all__ = ["robustness"]


def robustness(
    networks: Annotated[list[str], typer.Argument(help="Published networks, or their folders.")],
    out: Annotated[Path, typer.Option(help="The CSV to write.")],
    data: Annotated[
        Path | None, typer.Option(help="Where their data set lies; toy faces need none.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="A CSV of expression labels, for utkface.")
    ] = None,
    attacks: Annotated[
        bool, typer.Option("--attacks", help="FGSM and PGD in place of corruptions.")
    ] = False,
    by: Annotated[
        str, typer.Option(help="What each group loses: columns such as race,age_group.")
    ] = "",
    images: Annotated[
        int | None, typer.Option(min=1, help="Draw so many images, in place of all.")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="A folder for what is done [runs/STEM OF OUT].")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all draws.")] = 0,
    cache: Annotated[
        Path | None, typer.Option(help="Where decoded images are kept; the user's cache without.")
    ] = None,
) -> None:
    """Score networks on corrupted or attacked test images; goes on where it was stopped."""
    from emohelpers import robustness as room

    options: dict[str, Any] = {"labels": labels} if labels else {}
    table = room.study(
        networks,
        data,
        directory=runs or Path("runs") / out.stem,
        change="attacks" if attacks else "corruptions",
        by=[name for name in by.split(",") if name],
        images=images,
        seed=seed,
        cache=cache,
        **options,
    )
    write_table(table, out)
    figure = "lost" if by else "difference"
    named = [name for name in table.iloc[:, 3:5] if name != "feature"]
    shown = ["network", *named, *(["feature", "group"] if by else []), "accuracy", figure]
    typer.echo(table[shown].to_string(index=False))

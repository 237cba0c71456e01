"""``emohelpers deck``: the figures as slides, and the list of them."""

import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["deck"]


def deck(
    images: Annotated[
        Path, typer.Option(help="The folder of the figures and their figures.toml.")
    ] = Path("presentation_images"),
    out: Annotated[Path, typer.Option(help="The PowerPoint file to write.")] = Path("deck.pptx"),
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it is there.")] = False,
    update: Annotated[
        Path | None,
        typer.Option(
            help="Renew the list of figures between the markers of this Markdown file instead."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Build slides of the figures, each with its finding, and of the networks' results.

    Notebooks, networks and the README are taken from beside the folder of the figures.
    """
    from emohelpers import deck as room
    from emohelpers import publishing

    figures = room.read_figures(images)
    if update:
        changed = publishing.renew_table(update, room.index(figures), name="figures")
        result = {"file": str(update), "figures": len(figures), "changed": changed}
        said = "renewed" if changed else "as it was"
    else:
        slides = room.build(images, out, force=force)
        result = {"file": str(out), "slides": slides, "figures": len(figures)}
        said = f"{slides} slides"
    typer.echo(
        json.dumps(result) if as_json else f"{result['file']}: {said}, {len(figures)} figures"
    )

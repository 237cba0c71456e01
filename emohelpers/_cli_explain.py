"""``emohelpers explain``: where a network looks, in numbers."""

from pathlib import Path
from typing import Annotated

import typer

from emohelpers._cli_data import write_table

__all__ = ["explain"]


def explain(
    network: Annotated[
        str, typer.Argument(help="A published network, or the path of a folder that 'train' wrote.")
    ],
    out: Annotated[Path, typer.Option(help="The CSV to write.")],
    data: Annotated[
        Path | None, typer.Option(help="Where the data set lies; toy faces need none.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Which data set it is; the recipe's own without it.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Where decoded images are kept; the user's cache without it."),
    ] = None,
) -> None:
    """Say in which third of a face Grad-CAM lies, by emotion, and check it by random weights.

    The faces are those of the test split that the network names rightly.
    """
    from emohelpers import explain as room
    from emohelpers import models, publishing

    saved = publishing.open_model(models.saved_folder(network))
    faces = saved.load(dataset or saved.recipe["dataset"], data, cache=cache)
    if faces.table["split"].notna().any():
        faces = faces.split("test")
    table = room.study(saved, faces)
    write_table(table, out)
    typer.echo(table.to_string(index=False))

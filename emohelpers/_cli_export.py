"""``emohelpers export``: a network as a file that answers without Keras."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["export"]


def export(
    model: Annotated[str, typer.Argument(help="A published network, or its folder: ./FOLDER.")],
    to: Annotated[str, typer.Option(help="onnx, litert, litert-int8, openvino or saved-model.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Where the network's own data set lies; toy faces need none."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="A CSV of expression labels, for utkface.")
    ] = None,
    votes: Annotated[
        Path | None, typer.Option(help="The FER+ votes, for networks that learned from them.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file, or folder, to write [the network's name].")
    ] = None,
    images: Annotated[
        int, typer.Option(min=1, help="Training images that set the ranges of litert-int8.")
    ] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw of these images.")] = 0,
    cache: Annotated[
        Path | None, typer.Option(help="Where decoded images are kept; the user's cache without.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Write a network as a file that answers without Keras, and check it on test images."""
    from emohelpers import export as room

    result = room.export(
        model,
        to,
        out,
        data=data,
        images=images,
        seed=seed,
        cache=cache,
        force=force,
        **{name: path for name, path in {"labels": labels, "votes": votes}.items() if path},
    )
    if as_json:
        typer.echo(json.dumps(result))
        return
    said: dict[str, Any] = result
    moved = said["difference"]
    typer.echo(
        f"{said['file']}: {said['bytes']:,} bytes; on {said['n']:,} images of {said['on']} "
        f"probabilities differ by {said['largest']:.2g} at most and {said['mean']:.2g} in the "
        f"mean, {said['agree']:.2%} of the answers are the same, accuracy {said['before']:.4f} -> "
        f"{said['after']:.4f}, difference {moved['value']:+.4f} ({moved['low']:+.4f} to "
        f"{moved['high']:+.4f})"
    )

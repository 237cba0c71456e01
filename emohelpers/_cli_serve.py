"""``emohelpers serve``: the page."""

import ipaddress
from typing import Annotated

import typer

from emohelpers._cli_recognise import DetectorName, LeastConfidence, Margin, Model, recognizer

__all__ = ["serve"]


def serve(
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8000,
    model: Model = "fer-compact",
    detector: DetectorName = "auto",
    margin: Margin = 0.0,
    least_confidence: LeastConfidence = 0.4,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="One more name under which the page is asked for; may be repeated."),
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
) -> None:
    """Serve the page: expressions in photos and before the webcam, in the browser."""
    from emohelpers import webapp

    if not _is_loopback(host):
        typer.echo(
            f"warning: listening on {host}: whoever reaches this machine can send pictures to it, "
            "and they travel unencrypted; browsers give the webcam only to this machine itself, "
            "or through a proxy with https",
            err=True,
        )

    def ready(url: str) -> None:
        typer.echo(f"{url} (stop with Ctrl-C)")
        if open_browser:
            import webbrowser

            webbrowser.open(url)

    webapp.serve(
        recognizer(model, detector, margin, least_confidence),
        host=host,
        port=port,
        hosts=allow_host or (),
        ready=ready,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"

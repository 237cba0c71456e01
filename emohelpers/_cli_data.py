"""``emohelpers data``: which data sets there are, fetching, checking and labelling them."""

import json
import textwrap
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from emohelpers.errors import ConfigurationError, EmohelpersError

__all__ = ["app", "write_table"]

app = typer.Typer(
    help="List, fetch and check data sets.", no_args_is_help=True, rich_markup_mode=None
)

_WIDTHS = (18, 24, 22, 24, 20)
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object and nothing else on standard output.")
]


def _fail(error: EmohelpersError) -> NoReturn:
    """Say what was wrong on standard error; 2 where the call itself was wrong."""
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(2 if isinstance(error, ConfigurationError) else 1) from error


def _print_json(content: dict[str, Any]) -> None:
    typer.echo(json.dumps(content, allow_nan=False))


def write_table(table: Any, path: Path) -> None:
    """Write a data frame as CSV, beside and moved into place."""
    from emohelpers import publishing

    path.parent.mkdir(parents=True, exist_ok=True)
    publishing.write(path, table.to_csv(index=False, lineterminator="\n"))


@app.command("list")
def list_sources(*, as_json: Json = False) -> None:
    """Say of each data set what it is, its licence, how it is had and whether it is here."""
    from emohelpers.datasets import SOURCES, describe

    rows = describe().to_dict("records")
    if as_json:
        for row in rows:
            source = SOURCES[row["name"]]
            row |= {"path": row["path"] or None, "harms": source.harms, "home": source.home or None}
        _print_json({"sources": rows})
        return
    cells = [["name", "what it is", "licence", "how it is had", "here"]]
    for row in rows:
        here = row["path"] or ("yes" if row["here"] else "no")
        cells.append([row["name"], row["title"], row["licence"], row["how"], here])
    typer.echo("\n\n".join(_wrapped(line) for line in cells))


def _wrapped(cells: list[str]) -> str:
    """Lay out one row of a table, each cell wrapped to the width of its column."""
    columns = [textwrap.wrap(cell, width) for cell, width in zip(cells, _WIDTHS, strict=True)]
    return "\n".join(
        "  ".join(part.ljust(width) for part, width in zip(line, _WIDTHS, strict=True)).rstrip()
        for line in zip_longest(*columns, fillvalue="")
    )


@app.command("fetch")
def fetch_source(
    name: Annotated[str, typer.Argument(help="The data set, as in 'emohelpers data list'.")],
    *,
    to: Annotated[Path, typer.Option(help="The folder for the file.")] = Path("datasets"),
    as_json: Json = False,
) -> None:
    """Download a data set and check it, or say where to click if it needs an account.

    An interrupted download goes on from where it stopped when the command is given again.
    """
    from emohelpers.datasets import fetch
    from emohelpers.datasets._fetch import steps

    try:
        path = fetch(name, to)
    except EmohelpersError as error:
        if as_json and not isinstance(error, ConfigurationError):
            _print_json({"name": name, "path": None, "steps": steps(name, to=to)})
        _fail(error)
    if as_json:
        _print_json({"name": name, "path": str(path), "bytes": _size(path)})
    else:
        typer.echo(f"{name} lies at {path} ({_size(path):,} bytes).")


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


@app.command("check")
def check_source(
    name: Annotated[str, typer.Argument(help="The data set, as in 'emohelpers data list'.")],
    path: Annotated[
        Path | None,
        typer.Argument(help="The folder, archive or CSV; by default where fetch puts it."),
    ] = None,
    *,
    votes: Annotated[Path | None, typer.Option(help="fer2013: the CSV of FER+ votes.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="utkface: a CSV of expression labels.")
    ] = None,
    legend: Annotated[
        str | None, typer.Option(help="facial_expressions: the name of the CSV of labels.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="The folder of all caches.")] = None,
    as_json: Json = False,
) -> None:
    """Report counts by class and split, duplicates, leaks, odd labels, what can not be read.

    The exit code is 0 if everything could be read (duplicates, leaks and odd labels are reported
    and no failure), else 1.
    """
    from emohelpers.datasets import check

    given = {"votes": votes, "labels": labels, "legend": legend}
    options = {option: value for option, value in given.items() if value is not None}
    try:
        report = check(name, path, cache=cache, **options)
    except EmohelpersError as error:
        _fail(error)
    if as_json:
        _print_json(report.to_dict())
    else:
        typer.echo(report.to_text())
    raise typer.Exit(0 if report.clean else 1)


@app.command("label")
def label_source(
    name: Annotated[str, typer.Argument(help="utkface, which has no labels of expression.")],
    path: Annotated[
        Path | None,
        typer.Argument(help="The folder or archive; by default where fetch would put it."),
    ] = None,
    *,
    labels: Annotated[Path, typer.Option(help="The labels made by hand, which stay out.")],
    out: Annotated[Path, typer.Option(help="The CSV of labels to write.")],
    network: Annotated[
        str, typer.Option(help="A published network that proposes, or ./FOLDER of one.")
    ] = "ferplus-compact",
    precision: Annotated[
        float, typer.Option(help="The share of proposals kept that is to be right.")
    ] = 0.98,
    total: Annotated[int, typer.Option(min=1, help="How many faces at most.")] = 2000,
    crop: Annotated[
        float, typer.Option(help="The share of the side to cut off at each edge.")
    ] = 0.1,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it is there.")] = False,
    cache: Annotated[Path | None, typer.Option(help="The folder of all caches.")] = None,
    as_json: Json = False,
) -> None:
    """Let a network label faces as happy or neutral, and keep those it is sure of.

    From which confidence on is chosen on labels made by hand. The faces kept are balanced over
    race, age group and gender, as far as there are such faces.
    """
    from emohelpers import labelling

    try:
        if name != "utkface":
            raise ConfigurationError(f"{name}: expected utkface, the source without expressions")
        if out.exists() and not force:
            raise ConfigurationError(f"{out} exists: expected a new file, or --force")
        chosen, proposals = labelling.label_utkface(
            network,
            path,
            labels,
            precision=precision,
            total=total,
            crop=crop,
            cache=cache,
        )
    except EmohelpersError as error:
        _fail(error)
    write_table(chosen[["file", "expression", "confidence"]].round({"confidence": 3}), out)
    # One class tells of the other: a cell has as many of each.
    cells = chosen.groupby(list(labelling.GROUPS), observed=True).size()
    if as_json:
        _print_json(
            {
                "file": str(out),
                "images": len(chosen),
                "proposed": len(proposals.table),
                "copies_left_out": proposals.copies,
                "thresholds": [asdict(threshold) for threshold in proposals.thresholds],
                "cells": cells.rename("images").reset_index().to_dict("records"),
            }
        )
        return
    for threshold in proposals.thresholds:
        typer.echo(
            f"{threshold.class_name}: confidence of {threshold.confidence:.3f} or more, right in "
            f"{threshold.precision:.3f} ({threshold.low:.3f} to {threshold.high:.3f}) of "
            f"{threshold.n} of {threshold.of} proposals for images labelled by hand"
        )
    typer.echo(
        f"{len(proposals.table):,} further images are proposed so, {proposals.copies} are left out "
        f"as copies of one labelled by hand; {len(chosen):,} are chosen, of each expression half:"
    )
    typer.echo(cells.unstack("gender", fill_value=0).to_string())
    typer.echo(f"Written to {out}.")


@app.command("agreement")
def measure_agreement(
    name: Annotated[str, typer.Argument(help="facial_expressions, which has two legends.")],
    *,
    data: Annotated[
        Path | None, typer.Option(help="Where it lies; by default where fetch would put it.")
    ] = None,
    second: Annotated[
        str, typer.Option(help="The name of the CSV that labels some of the images again.")
    ] = "500_picts_satz.csv",
    network: Annotated[
        str, typer.Option(help="The published network asked for its opinion, or ./FOLDER of one.")
    ] = "ferplus-compact",
    features: Annotated[
        str, typer.Option(help="The one whose features are learned from; another than NETWORK.")
    ] = "fer-compact",
    out: Annotated[Path | None, typer.Option(help="The CSV to write.")] = None,
    cache: Annotated[Path | None, typer.Option(help="The folder of all caches.")] = None,
    as_json: Json = False,
) -> None:
    """Measure how far labels can be trusted that one person gave to each image.

    By a second legend, by copies of a photograph, by a network that learnt elsewhere, and by what
    is gained if only labels are learned from that no such witness contradicts.
    """
    from emohelpers import labellers

    try:
        if name != "facial_expressions":
            raise ConfigurationError(
                f"{name}: expected facial_expressions, the source with two legends"
            )
        table = labellers.study_facial_expressions(
            data, second=second, network=network, features=features, cache=cache
        )
    except EmohelpersError as error:
        _fail(error)
    if out is not None:
        write_table(table, out)
    if as_json:
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        _print_json({"figures": rows, "file": str(out) if out else None})
        return
    typer.echo(table.to_string(index=False, float_format="{:.3f}".format))


@app.command("noise")
def measure_noise(
    name: Annotated[str, typer.Argument(help="fer2013, the source that raters looked at again.")],
    *,
    votes: Annotated[Path, typer.Option(help="The CSV of FER+ votes.")],
    data: Annotated[
        Path | None, typer.Option(help="Where it lies; by default where fetch would put it.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(
            help="Who names suspects [fer-baseline, fer-compact and ferplus-compact], or ./FOLDER."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The CSV to write.")] = None,
    cache: Annotated[Path | None, typer.Option(help="The folder of all caches.")] = None,
    as_json: Json = False,
) -> None:
    """Set the labels of FER2013 before the ten raters of FER+.

    How many are wrong, how many of the suspects of confident learning are, and what is learned
    from votes in place of labels.
    """
    from emohelpers import labellers

    try:
        if name != "fer2013":
            raise ConfigurationError(f"{name}: expected fer2013, the source with votes")
        given: dict[str, Any] = {"networks": network} if network else {}
        table = labellers.study_fer2013(data, votes, cache=cache, **given)
    except EmohelpersError as error:
        _fail(error)
    if out is not None:
        write_table(table, out)
    if as_json:
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        _print_json({"figures": rows, "file": str(out) if out else None})
        return
    typer.echo(table.to_string(index=False, float_format="{:.3f}".format))

"""``emohelpers predict``, ``video`` and ``webcam``: what is recognised, for the shell."""

import json
import os
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emohelpers._quiet import quiet_libraries

if TYPE_CHECKING:
    import pandas as pd

    from emohelpers.inference import EmotionRecognizer, Frame

__all__ = ["predict", "recognizer", "video", "webcam"]

Model = Annotated[
    str,
    typer.Option(
        help="A published network by its name, the folder of one (./FOLDER), or a file: .keras, "
        ".onnx or .tflite."
    ),
]
DetectorName = Annotated[
    str,
    typer.Option(
        help="haar; yunet, fetched once; none, where each photo is one face; the path of YuNet's "
        "file; auto: YuNet where it is here, else haar."
    ),
]
Margin = Annotated[
    float, typer.Option(help="By what share a face's box grows on each side before it is cut out.")
]
LeastConfidence = Annotated[
    float, typer.Option(min=0, max=1, help="Below it the network abstains.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
Every = Annotated[int, typer.Option(min=1, help="Look at every so many frames.")]
Smooth = Annotated[
    float, typer.Option(min=0, help="Over how many seconds answers are averaged; 0 for none.")
]
Table = Annotated[Path | None, typer.Option(help="The table to write, .csv or .parquet.")]

_BAR = 20
_SHOWN = 10


def recognizer(
    model: str, detector: str, margin: float, least_confidence: float
) -> "EmotionRecognizer":
    """Open a network and a detector; see `EmotionRecognizer`."""
    if not model.endswith((".onnx", ".tflite")):  # which do without, in a tenth of the time
        with quiet_libraries():
            import keras  # noqa: F401 - what it and its backend have to say as they load
    from emohelpers.inference import EmotionRecognizer

    return EmotionRecognizer(model, detector, margin=margin, least_confidence=least_confidence)


def predict(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", exists=True, help="Photos and folders.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The table to write: .csv, .parquet or, where there is no ending, a folder of "
            "Parquet files; a call that was stopped goes on where it was."
        ),
    ] = None,
    annotate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A new folder for copies with the faces.")
    ] = None,
    on_error: Annotated[
        str, typer.Option(help="What a photo does that can not be read: raise or skip.")
    ] = "raise",
    model: Model = "fer-compact",
    detector: DetectorName = "auto",
    margin: Margin = 0.0,
    least_confidence: LeastConfidence = 0.4,
    ray: Annotated[
        bool,
        typer.Option(
            "--ray",
            help="With --out: share the work among the processors of this machine, or of the "
            "cluster that RAY_ADDRESS names.",
        ),
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Recognise the expressions of the faces in photos."""
    from emohelpers.errors import ConfigurationError

    if ray and out is None:
        raise ConfigurationError("--ray without --out: expected where to write the table")
    found = recognizer(model, detector, margin, least_confidence)
    progress = sys.stderr.isatty() and not as_json
    options: dict[str, Any] = {"on_error": on_error, "annotate": annotate, "progress": progress}
    if out is None:
        table = found.folder(paths, **options)
        if as_json:
            typer.echo(json.dumps({"faces": _records(table)}))
        else:
            typer.echo(_text(table))
        return
    try:
        counts = found.write_folder(paths, out, force=force, ray=ray, **options)
    except KeyboardInterrupt:
        kept = f"{out}.parts" if out.suffix else out
        typer.echo(f"stopped; what is done is in {kept}: give the same command", err=True)
        raise typer.Exit(130) from None
    from emohelpers.inference import problems_file

    problems = {"problems": str(problems_file(out))} if counts["unreadable"] else {}
    if as_json:
        typer.echo(json.dumps({"file": str(out), **counts, **problems}))
        return
    before = f", {counts['done_before']:,} of them done before" if counts["done_before"] else ""
    typer.echo(
        f"{out}: {counts['photos']:,} photos{before}, {counts['faces']:,} faces, "
        f"{counts['without_face']:,} without a face, {counts['unreadable']:,} unreadable"
    )
    if problems:
        _show_problems(problems_file(out))


def _show_problems(place: Path) -> None:
    """Name the first photos that could not be read, and the list of all."""
    import csv

    with place.open(encoding="utf-8", newline="") as file:
        for row in islice(csv.DictReader(file), _SHOWN):
            typer.echo(f"  {row['file']}: {row['problem']}")
    typer.echo(f"{place} lists them all")


def video(
    source: Annotated[Path, typer.Argument(metavar="IN", exists=True, help="A video.")],
    out: Annotated[
        Path | None,
        typer.Option(help="A copy with boxes, emoji and bars: .mp4, .avi or .webm, silent."),
    ] = None,
    table: Table = None,
    timeline: Annotated[
        Path | None, typer.Option(help="A figure of the face seen most: .png, .svg or .pdf.")
    ] = None,
    every: Every = 1,
    smooth: Smooth = 0.5,
    model: Model = "fer-compact",
    detector: DetectorName = "auto",
    margin: Margin = 0.0,
    least_confidence: LeastConfidence = 0.4,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Recognise and follow the faces of a video."""
    _check_new(table, timeline, force=force)
    found = recognizer(model, detector, margin, least_confidence)
    rows = found.video(
        source,
        every=every,
        smooth=smooth,
        out=out,
        progress=sys.stderr.isatty() and not as_json,
        force=force,
    )
    _finish(rows, str(source), out, table, timeline, as_json=as_json)


def webcam(
    camera: Annotated[
        str, typer.Option(help="The number of the camera, or the address of a stream.")
    ] = "0",
    out: Annotated[
        Path | None, typer.Option(help="A video to write: .mp4, .avi or .webm, silent.")
    ] = None,
    table: Table = None,
    seconds: Annotated[
        float | None, typer.Option(help="When to stop; otherwise by Ctrl-C, or q in the window.")
    ] = None,
    every: Every = 1,
    smooth: Smooth = 0.5,
    model: Model = "fer-compact",
    detector: DetectorName = "auto",
    margin: Margin = 0.0,
    least_confidence: LeastConfidence = 0.4,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Recognise and follow the faces before a camera, in a window or in the terminal.

    Where OpenCV was built without windows, as on Linux, 'emohelpers serve' shows the picture.
    """
    _check_new(table, None, force=force)
    found = recognizer(model, detector, margin, least_confidence)
    source = int(camera) if camera.isdigit() else camera
    show = _Shown(quiet=as_json)
    rows = found.video(
        source,
        every=every,
        smooth=smooth,
        out=out,
        seconds=seconds,
        on_frame=show,
        force=force,
    )
    show.end()
    _finish(rows, f"camera {camera}", out, table, None, as_json=as_json)


class _Shown:
    """A camera's frames in a window, or in one line of the terminal."""

    def __init__(self, *, quiet: bool) -> None:
        import cv2

        self._window = not quiet and not any(
            line.split()[:2] == ["GUI:", "NONE"] for line in cv2.getBuildInformation().splitlines()
        )
        self._line = not quiet and not self._window and sys.stderr.isatty()

    def __call__(self, frame: "Frame") -> bool:
        if self._window:
            import cv2

            cv2.imshow("emohelpers", frame.annotated()[..., ::-1])
            return cv2.waitKey(1) & 0xFF not in (ord("q"), 27)
        if self._line:
            said = "  ".join(map(_said, _records(frame.table))) or "no face"
            width = max(20, os.get_terminal_size(sys.stderr.fileno()).columns - 1)
            typer.echo(f"\r{said[:width]:<{width}}", err=True, nl=False)
        return True

    def end(self) -> None:
        if self._window:
            import cv2

            cv2.destroyAllWindows()
        if self._line:
            typer.echo(err=True)


def _said(face: dict[str, Any]) -> str:
    """Say one face of a frame: its number, emotion and a bar as long as it is sure."""
    confidence = face[face["emotion"]]
    name = "unsure" if face["abstains"] else face["emotion"]
    bar = "█" * round(confidence * _BAR)
    return f"{face['face']} {name} {confidence:.2f} {bar}"


def _check_new(table: Path | None, timeline: Path | None, *, force: bool) -> None:
    """Refuse to replace a file, or what can not be written, before work begins."""
    from emohelpers.errors import ConfigurationError
    from emohelpers.inference import check_ending

    for path in (table, timeline):
        if path is not None and path.exists() and not force:
            raise ConfigurationError(f"{path} exists: expected a new file, or --force")
    if table is not None:
        check_ending(table)
    if timeline is not None and timeline.suffix not in (".png", ".svg", ".pdf"):
        raise ConfigurationError(f"{timeline}: expected a name that ends in .png, .svg or .pdf")


def _finish(
    rows: "pd.DataFrame",
    source: str,
    out: Path | None,
    table: Path | None,
    timeline: Path | None,
    *,
    as_json: bool,
) -> None:
    """Write the table and the figure, and sum each face up."""
    from emohelpers.inference import write_table

    if table is not None:
        write_table(rows, table)
    if rows.empty:
        timeline = None  # there is nothing to draw
    if timeline is not None:
        from emohelpers import plots

        plots.emotion_timeline(rows).get_figure(root=True).savefig(timeline)  # type: ignore[union-attr]
    faces = [_summed_up(seen) for _, seen in rows.groupby("face")]
    if as_json:
        files = {"out": out, "table": table, "timeline": timeline}
        written = {name: str(path) for name, path in files.items() if path is not None}
        typer.echo(json.dumps({"source": source, "faces": faces, **written}))
        return
    for face in faces:
        shown = ", ".join(f"{name} {share:.0%}" for name, share in face["emotions"].items())
        typer.echo(
            f"face {face['face']}: {face['from']:.1f} to {face['to']:.1f} s, {shown} "
            f"(unsure {face['unsure']:.0%})"
        )
    if not faces:
        typer.echo("no face")
    for path in (out, table, timeline):
        if path is not None:
            typer.echo(str(path))


def _summed_up(seen: "pd.DataFrame") -> dict[str, Any]:
    """Say when one face was seen, and what it showed in which share of the frames."""
    shares = seen["emotion"].value_counts(normalize=True)
    return {
        "face": int(seen["face"].iloc[0]),
        "from": round(float(seen["time"].iloc[0]), 3),
        "to": round(float(seen["time"].iloc[-1]), 3),
        "frames": len(seen),
        "unsure": round(float(seen["abstains"].mean()), 3),
        "emotions": {name: round(float(share), 3) for name, share in shares.items()},
    }


def _records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _text(table: "pd.DataFrame") -> str:
    """Lay a table out for a terminal: the box, and the probability of the emotion alone."""
    lines = [f"{'file':<40} {'face':>4}  {'box':<22} emotion"]
    for row in _records(table):
        file = row["file"] if len(row["file"]) <= 40 else "…" + row["file"][-39:]
        if row["problem"] is not None:
            lines.append(f"{file:<40} {'-':>4}  {row['problem']}")
            continue
        box = f"{row['width']}x{row['height']} at {row['left']},{row['top']}"
        unsure = " (unsure)" if row["abstains"] else ""
        said = f"{row['emotion']} {row[row['emotion']]:.2f}{unsure}"
        lines.append(f"{file:<40} {row['face']:>4}  {box:<22} {said}")
    return "\n".join(lines)

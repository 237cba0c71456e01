"""Many photos: read side by side, answered in batches, kept in parts."""

import contextlib
import io
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from emohelpers._replacing import replacing
from emohelpers.datasets._images import IMAGE_SUFFIXES
from emohelpers.errors import ConfigurationError, EmohelpersError, ImageError, MissingPathError
from emohelpers.faces import Face, read_photo
from emohelpers.inference._annotate import annotate as draw
from emohelpers.inference._table import BOX, append_csv, check_ending, write_table

if TYPE_CHECKING:
    from emohelpers.inference._recognizer import EmotionRecognizer

__all__ = ["to_file", "to_table"]

_CHUNK = 64
_NOBODY = Face((0, 0, 0, 0), float("nan"))

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True)
class _Photo:
    """What is kept of a photo once its faces are cut out, or why they are not."""

    file: str
    faces: list[Face]
    cut: NDArray[np.uint8] | None
    error: EmohelpersError | None = None


@dataclass(frozen=True)
class _Copies:
    """Where copies go into which boxes are drawn; each photo has a place of its own."""

    folder: Path
    places: dict[str, Path]


def to_table(
    recognizer: "EmotionRecognizer",
    paths: Paths,
    *,
    on_error: str,
    annotate: str | os.PathLike[str] | None,
    progress: bool,
) -> pd.DataFrame:
    """Return the table of all photos; see `EmotionRecognizer.folder`."""
    photos = _list(paths, without=annotate)
    copies = _copies(photos, annotate, going_on=False)
    tables = _chunks(recognizer, list(photos), on_error=on_error, copies=copies, progress=progress)
    return pd.concat(list(tables), ignore_index=True)


def to_file(
    recognizer: "EmotionRecognizer",
    paths: Paths,
    out: Path,
    *,
    on_error: str,
    annotate: str | os.PathLike[str] | None,
    progress: bool,
    force: bool,
) -> dict[str, int]:
    """Write the table of all photos; see `EmotionRecognizer.write_folder`."""
    check_ending(out)
    if out.exists() and not force:
        raise ConfigurationError(f"{out} exists: expected a new file, or to be told to replace it")
    photos = _list(paths, without=annotate)
    parts = out.with_name(out.name + ".parts")
    if force:
        shutil.rmtree(parts, ignore_errors=True)
    done = _resume(parts, recognizer)
    copies = _copies(photos, annotate, going_on=bool(done) or force)
    left = [file for file in photos if file not in done]
    chunks = _chunks(
        recognizer, left, on_error=on_error, copies=copies, progress=progress, done=len(done)
    )
    first = len(_written(parts))
    for number, table in enumerate(chunks, start=first):
        write_table(table, parts / f"{number:08d}.parquet")
    counts = _join(parts, out)
    shutil.rmtree(parts)
    return {**counts, "done_before": len(done)}


def _list(paths: Paths, *, without: str | os.PathLike[str] | None) -> dict[str, Path]:
    """Return each photo's path, and what it is called below the folder that was named."""
    named = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    own = Path(without).resolve() if without is not None else None
    photos: dict[str, Path] = {}
    for start in map(Path, named):
        if start.is_file():
            photos[str(start)] = Path(start.name)
        elif start.is_dir():
            for folder, folders, files in os.walk(start):
                # Copies of an earlier call are no photos.
                folders[:] = sorted(name for name in folders if Path(folder, name).resolve() != own)
                for name in sorted(files):
                    if name.lower().endswith(IMAGE_SUFFIXES):
                        path = Path(folder, name)
                        photos[str(path)] = path.relative_to(start)
        else:
            raise MissingPathError(f"no file or folder {start}: expected photos")
    if not photos:
        raise MissingPathError(
            f"no photos in {', '.join(map(str, named)) or 'no folder'}: expected files that end in "
            f"{', '.join(IMAGE_SUFFIXES)}"
        )
    return photos


def _copies(
    photos: dict[str, Path], folder: str | os.PathLike[str] | None, *, going_on: bool
) -> _Copies | None:
    if folder is None:
        return None
    target = Path(folder)
    if target.exists() and not going_on and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"{target} exists: expected a new or an empty folder for copies")
    places: dict[str, Path] = {}
    for file, below in photos.items():
        keeps = below.suffix.lower() in (".png", ".jpg", ".jpeg")
        places[file] = target / (below if keeps else below.with_name(below.name + ".jpg"))
    if len(set(places.values())) < len(places):
        raise ConfigurationError(
            "photos of different folders have the same name: expected one call for each folder, so "
            "that no copy replaces another"
        )
    return _Copies(target, places)


def _chunks(
    recognizer: "EmotionRecognizer",
    files: Sequence[str],
    *,
    on_error: str,
    copies: _Copies | None,
    progress: bool,
    done: int = 0,
) -> Iterator[pd.DataFrame]:
    """Yield a table for every so many photos; no more photos than threads are in memory."""
    if on_error not in ("raise", "skip"):
        raise ConfigurationError(f"on_error={on_error!r}: expected 'raise' or 'skip'")
    bar = tqdm(desc="photos", initial=done, total=done + len(files), unit="", disable=not progress)
    with bar, ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(files), _CHUNK):
            photos = []
            chunk = files[start : start + _CHUNK]
            for photo in pool.map(partial(_look, recognizer), chunk):
                if photo.error is not None and on_error == "raise":
                    pool.shutdown(cancel_futures=True)
                    raise photo.error
                photos.append(photo)
                bar.update()
            table = _table(recognizer, photos)
            if copies:
                found = table[table["problem"].isna()]
                faces = dict(list(found.groupby("file")))
                draws = [
                    pool.submit(
                        _draw,
                        photo.file,
                        faces.get(photo.file, found[:0]),
                        recognizer.class_names,
                        copies.places[photo.file],
                    )
                    for photo in photos
                    if photo.error is None
                ]
                for drawn in draws:
                    drawn.result()
            yield table


def _look(recognizer: "EmotionRecognizer", file: str) -> _Photo:
    try:
        return _Photo(file, *recognizer.find(read_photo(file)))
    except EmohelpersError as error:
        return _Photo(file, [], None, error)
    except OSError as error:  # not allowed to read, a disk that fails
        return _Photo(file, [], None, ImageError(f"{file} can not be read: {error.strerror}"))


def _table(recognizer: "EmotionRecognizer", photos: Sequence[_Photo]) -> pd.DataFrame:
    """Set a chunk of photos into a table, those without a face, too."""
    cuts = [photo.cut for photo in photos if photo.faces and photo.cut is not None]
    answers = iter(recognizer.answer(np.concatenate(cuts)) if cuts else ())
    unknown = np.full(len(recognizer.class_names), np.nan)
    rows: list[tuple[str, int, Face, Any, str | None]] = []
    for photo in photos:
        for number, face in enumerate(photo.faces, start=1):
            rows.append((photo.file, number, face, next(answers), None))
        if not photo.faces:
            # The file stands beside it.
            said = str(photo.error or "no face").removeprefix(photo.file)
            problem = said.removeprefix(":").strip()
            rows.append((photo.file, 0, _NOBODY, unknown, problem))
    files, numbers, faces, probabilities, problems = zip(*rows, strict=True)
    table = recognizer.table(faces, probabilities, numbers=numbers, file=files)
    table["problem"] = pd.array(problems, dtype="string")
    blank = table["problem"].notna()
    table.loc[blank, ["face", *BOX, "emotion", "abstains"]] = pd.NA
    return table


def _draw(file: str, faces: pd.DataFrame, class_names: Sequence[str], place: Path) -> None:
    """Write a copy of a photo with its faces marked, beside its place and moved there."""
    from PIL import Image

    pixels = draw(read_photo(file), faces, class_names)
    buffer = io.BytesIO()
    kind = "PNG" if place.suffix.lower() == ".png" else "JPEG"
    Image.fromarray(pixels).save(buffer, kind, quality=90)
    place.parent.mkdir(parents=True, exist_ok=True)
    with replacing(place) as beside:
        beside.write_bytes(buffer.getvalue())


def _resume(parts: Path, recognizer: "EmotionRecognizer") -> set[str]:
    """Return the photos that are done, after making sure that they were done alike."""
    from emohelpers import publishing

    settings, how = recognizer.settings, parts / "settings.json"
    parts.mkdir(parents=True, exist_ok=True)
    if how.is_file():
        before = json.loads(how.read_text(encoding="utf-8"))
        if before != settings:
            differing = [name for name in settings if before.get(name) != settings[name]]
            raise ConfigurationError(
                f"{parts} was begun with other {', '.join(differing)}: expected the same, or to be "
                "told to begin anew"
            )
    else:
        publishing.write(how, json.dumps(settings))
    done: set[str] = set()
    for part in _written(parts):
        done.update(pd.read_parquet(part, columns=["file"])["file"])
    return done


def _written(parts: Path) -> list[Path]:
    return sorted(parts.glob("[0-9]*.parquet"))


def _join(parts: Path, out: Path) -> dict[str, int]:
    """Write all parts as one table, a part in memory at a time, and count what they hold."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    counts = dict.fromkeys(("photos", "faces", "without_face", "unreadable"), 0)
    writer: Any = None
    with replacing(out) as beside, contextlib.ExitStack() as opened:
        for number, part in enumerate(_written(parts)):
            table = pd.read_parquet(part)
            if out.suffix == ".csv":
                append_csv(table, beside, first=number == 0)
            else:
                rows = pa.Table.from_pandas(table, preserve_index=False)
                if writer is None:
                    writer = opened.enter_context(pq.ParquetWriter(beside, rows.schema))
                writer.write_table(rows)
            counts["photos"] += table["file"].nunique()
            counts["faces"] += int(table["face"].notna().sum())
            counts["without_face"] += int((table["problem"] == "no face").sum())
            counts["unreadable"] += int((table["problem"].fillna("no face") != "no face").sum())
    return counts

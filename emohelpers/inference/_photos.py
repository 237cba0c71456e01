"""Many photos: read side by side, answered in batches, kept in parts."""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from emohelpers.errors import ConfigurationError, EmohelpersError, ImageError
from emohelpers.faces import Face, read_photo
from emohelpers.inference._annotate import annotate as draw
from emohelpers.inference._listing import Listed, Paths, walk
from emohelpers.inference._parts import Parts, problems_file
from emohelpers.inference._table import BOX, check_ending

if TYPE_CHECKING:
    from emohelpers.inference._recognizer import EmotionRecognizer

__all__ = ["read", "settings", "to_disk", "to_table"]

# Photos that are set into a table at a time, which costs as much for few of them.
_CHUNK = 256
_NOBODY = Face((0, 0, 0, 0), float("nan"))


@dataclass(frozen=True)
class _Photo:
    """What is kept of a photo once its faces are cut out, or why they are not."""

    listed: Listed
    faces: list[Face]
    cut: NDArray[np.uint8] | None
    error: EmohelpersError | None = None


def to_table(
    recognizer: "EmotionRecognizer",
    paths: Paths,
    *,
    on_error: str,
    annotate: str | os.PathLike[str] | None,
    progress: bool,
) -> pd.DataFrame:
    """Return the table of all photos; see `EmotionRecognizer.folder`."""
    _check_word(on_error)
    photos = list(walk(paths, without=annotate))
    copies = _copies(photos, annotate, going_on=False)
    with tqdm(desc="photos", total=len(photos), unit="", disable=not progress) as bar:
        return read(recognizer, photos, on_error=on_error, copies=copies, seen=bar.update)


def to_disk(
    recognizer: "EmotionRecognizer",
    paths: Paths,
    out: Path,
    *,
    on_error: str,
    annotate: str | os.PathLike[str] | None,
    progress: bool,
    force: bool,
    ray: bool,
) -> dict[str, int]:
    """Write the table of all photos; see `EmotionRecognizer.write_folder`."""
    _check_word(on_error)
    folder = out
    if out.suffix:
        check_ending(out)
        folder = out.with_name(out.name + ".parts")
        for place in (out, problems_file(out)):
            if place.exists() and not force:
                raise ConfigurationError(
                    f"{place} exists: expected a new file, or to be told to replace it"
                )
    if ray:
        from emohelpers.inference import _ray

        _ray.check(recognizer)
    photos = partial(walk, paths, without=annotate)
    copies = _copies(photos(), annotate, going_on=force or Parts.begun(folder))
    parts = Parts.begin(folder, photos, settings(recognizer), anew=force)
    left = parts.missing()
    before = sum(len(parts.photos(k)) for k in sorted(set(range(len(parts))).difference(left)))
    rows = parts.listing.rows
    with tqdm(desc="photos", initial=before, total=rows, unit="", disable=not progress) as bar:
        if ray:
            _ray.write(recognizer, parts, left, on_error=on_error, copies=copies, seen=bar.update)
        else:
            for number in left:
                table = read(
                    recognizer,
                    parts.photos(number),
                    on_error=on_error,
                    copies=copies,
                    seen=bar.update,
                )
                parts.write(number, table)
    counts = parts.finish()
    if folder != out:
        parts.join(out)
    return {**counts, "done_before": before}


def read(
    recognizer: "EmotionRecognizer",
    photos: Sequence[Listed],
    *,
    on_error: str,
    copies: Path | None,
    seen: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """Return the table of some photos, of which few are in memory at a time.

    Parameters
    ----------
    recognizer : EmotionRecognizer
        Which cuts faces out and answers.
    photos : sequence of Listed
        Any number.
    on_error : str
        See `EmotionRecognizer.folder`.
    copies : Path or None
        A folder for copies into which boxes are drawn.
    seen : callable
        Called after each photo.
    """
    chunks = _chunks(recognizer, photos, on_error=on_error, copies=copies, seen=seen)
    return pd.concat(list(chunks), ignore_index=True)


def settings(recognizer: "EmotionRecognizer") -> dict[str, Any]:
    """Return what the rows of a table depend on besides the photos."""
    return {**recognizer.settings, "network_file": recognizer.checksum}


def _check_word(on_error: str) -> None:
    if on_error not in ("raise", "skip"):
        raise ConfigurationError(f"on_error={on_error!r}: expected 'raise' or 'skip'")


def _copies(
    photos: Iterable[Listed], folder: str | os.PathLike[str] | None, *, going_on: bool
) -> Path | None:
    """Return the folder of the copies, after making sure that none will replace another."""
    if folder is None:
        return None
    target = Path(folder)
    if target.exists() and not going_on and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"{target} exists: expected a new or an empty folder for copies")
    places: set[Path] = set()
    for photo in photos:
        place = _copy(target, photo)
        if place in places:
            raise ConfigurationError(
                "photos of different folders have the same name: expected one call for each "
                "folder, so that no copy replaces another"
            )
        places.add(place)
    return target


def _copy(folder: Path, photo: Listed) -> Path:
    below = Path(photo.below)
    keeps = below.suffix.lower() in (".png", ".jpg", ".jpeg")
    return folder / (below if keeps else below.with_name(below.name + ".jpg"))


def _chunks(
    recognizer: "EmotionRecognizer",
    files: Sequence[Listed],
    *,
    on_error: str,
    copies: Path | None,
    seen: Callable[[], object],
) -> Iterator[pd.DataFrame]:
    """Yield a table for every so many photos; no more photos than threads are in memory."""
    with ThreadPoolExecutor(recognizer.threads or os.cpu_count()) as pool:
        for start in range(0, max(1, len(files)), _CHUNK):
            photos = []
            chunk = files[start : start + _CHUNK]
            for photo in pool.map(partial(_look, recognizer), chunk):
                if photo.error is not None and on_error == "raise":
                    pool.shutdown(cancel_futures=True)
                    raise photo.error
                photos.append(photo)
                seen()
            table = _table(recognizer, photos)
            if copies:
                found = table[table["problem"].isna()]
                faces = dict(list(found.groupby("file")))
                draws = [
                    pool.submit(
                        _draw,
                        photo.listed.file,
                        faces.get(_text(photo.listed.file), found[:0]),
                        recognizer.class_names,
                        _copy(copies, photo.listed),
                    )
                    for photo in photos
                    if photo.error is None
                ]
                for drawn in draws:
                    drawn.result()
            yield table


def _look(recognizer: "EmotionRecognizer", photo: Listed) -> _Photo:
    file = photo.file
    try:
        return _Photo(photo, *recognizer.find(read_photo(file)))
    except EmohelpersError as error:
        closed = ImageError(f"{file} can not be listed: expected a folder that may be read")
        return _Photo(photo, [], None, closed if Path(file).is_dir() else error)
    except OSError as error:  # not allowed to read, a disk that fails
        return _Photo(photo, [], None, ImageError(f"{file} can not be read: {error.strerror}"))


def _text(file: str) -> str:
    """Return a file's name as tables hold it: text, also where the system's is not."""
    return file.encode("utf-8", "backslashreplace").decode("utf-8")


def _table(recognizer: "EmotionRecognizer", photos: Sequence[_Photo]) -> pd.DataFrame:
    """Set a chunk of photos into a table, those without a face, too."""
    cuts = [photo.cut for photo in photos if photo.faces and photo.cut is not None]
    answers = iter(recognizer.answer(np.concatenate(cuts)) if cuts else ())
    unknown = np.full(len(recognizer.class_names), np.nan)
    rows: list[tuple[str, int, Face, Any, str | None]] = []
    for photo in photos:
        file = photo.listed.file
        for number, face in enumerate(photo.faces, start=1):
            rows.append((_text(file), number, face, next(answers), None))
        if not photo.faces:
            # The file stands beside it.
            problem = str(photo.error or "no face").removeprefix(file).removeprefix(":").strip()
            rows.append((_text(file), 0, _NOBODY, unknown, _text(problem)))
    files, numbers, faces, probabilities, problems = zip(*rows, strict=True) if rows else [()] * 5
    # Said to be text, so that no row at all is no other kind of table.
    named = pd.array(files, dtype="str")
    table = recognizer.table(faces, probabilities, numbers=numbers, file=named)
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

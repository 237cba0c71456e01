"""Videos and cameras: frames looked at in batches, faces followed, a copy annotated."""

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from emohelpers._quiet import quiet_libraries
from emohelpers.errors import ConfigurationError, ImageError, MissingPathError
from emohelpers.faces import Face
from emohelpers.inference._annotate import annotate
from emohelpers.inference._tracking import Tracker

if TYPE_CHECKING:
    from emohelpers.inference._recognizer import EmotionRecognizer

__all__ = ["Frame", "frames", "to_table"]

# Frames in memory at a time: 16 of 1920x1080 are 100 MB.
_BATCH = 16
_CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
_USUAL_RATE = 25.0

Source = str | os.PathLike[str] | int


@dataclass(frozen=True)
class Frame:
    """A frame of a video, and the faces in it.

    Parameters
    ----------
    number : int
        From 0.
    time : float
        In seconds from the beginning.
    photo : ndarray of uint8, shape (height, width, 3)
        Red, green, blue, 0..255.
    faces : list of Face
        n of them.
    numbers : list of int
        Of each face, the same while it can be followed.
    probabilities : ndarray of float64, shape (n, n_classes)
        Averaged over time.
    """

    number: int
    time: float
    photo: NDArray[np.uint8]
    faces: list[Face]
    numbers: list[int]
    probabilities: NDArray[np.float64]
    _recognizer: Any = field(repr=False, compare=False)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The faces as a table, see `emohelpers.inference.EmotionRecognizer`."""
        table: pd.DataFrame = self._recognizer.table(
            self.faces,
            self.probabilities,
            numbers=self.numbers,
            frame=self.number,
            time=self.time,
        )
        return table

    def annotated(self) -> NDArray[np.uint8]:
        """Return a copy of the pixels with boxes, emoji and bars drawn into it."""
        return annotate(self.photo, self.table, self._recognizer.class_names)


def frames(
    recognizer: "EmotionRecognizer",
    source: Source,
    *,
    every: int = 1,
    smooth: float = 0.5,
    between: bool = False,
    begun: Callable[["_Reader"], None] | None = None,
) -> Generator[Frame, None, None]:
    """Yield the frames of a video; see `EmotionRecognizer.frames`.

    With `between` those that are not looked at come, too, with what was found last.
    """
    if every < 1:
        raise ConfigurationError(f"every={every}: expected 1 or more")
    tracker = Tracker(smooth=smooth)
    with _Reader(source) as reader, ThreadPoolExecutor(os.cpu_count()) as pool:
        if begun:
            begun(reader)
        last: Frame | None = None
        # A camera's picture is wanted at once, and not with 15 others.
        for batch in _batches(reader, every, between, 1 if reader.live else _BATCH):
            looked = [photo for number, _, photo in batch if number % every == 0]
            found = list(pool.map(recognizer.find, looked))
            cuts = [cut for _, cut in found if len(cut)]
            answers = recognizer.answer(np.concatenate(cuts)) if cuts else np.empty(0)
            faces_of = iter(found)
            done = 0
            for number, at, photo in batch:
                if number % every == 0:
                    faces = next(faces_of)[0]
                    raw = answers[done : done + len(faces)]
                    done += len(faces)
                    numbers, probabilities = tracker.update(at, faces, raw)
                    last = Frame(number, at, photo, faces, numbers, probabilities, recognizer)
                    yield last
                elif last is not None:
                    yield replace(last, number=number, time=at, photo=photo)


def to_table(
    recognizer: "EmotionRecognizer",
    source: Source,
    *,
    every: int,
    smooth: float,
    out: Path | None,
    seconds: float | None,
    progress: bool,
    force: bool,
    on_frame: Callable[[Frame], object] | None,
) -> pd.DataFrame:
    """Return the table of a whole video; see `EmotionRecognizer.video`."""
    if seconds is not None and not seconds > 0:
        raise ConfigurationError(f"seconds={seconds}: expected above 0")
    rows: list[tuple[int, float, int, Face, NDArray[np.float64]]] = []
    bar = tqdm(desc="frames", unit="", disable=not progress)
    live = False

    def begun(reader: "_Reader") -> None:
        nonlocal live
        live, bar.total = reader.live, reader.length
        writer.begin(reader)

    with bar, _Writer(out, force=force) as writer:
        looked = frames(
            recognizer,
            source,
            every=every,
            smooth=smooth,
            between=out is not None,
            begun=begun,
        )
        try:
            for frame in looked:
                if seconds is not None and frame.time >= seconds:
                    break
                if frame.number % every == 0:
                    rows += [
                        (frame.number, frame.time, number, face, probabilities)
                        for face, number, probabilities in zip(
                            frame.faces, frame.numbers, frame.probabilities, strict=True
                        )
                    ]
                writer.add(frame)
                bar.update(1 if out else every)
                if on_frame and frame.number % every == 0 and on_frame(frame) is False:
                    break
        except KeyboardInterrupt:
            if not live:  # of a file a part is not what was asked for
                raise
        finally:
            looked.close()
    numbers, times, names, faces, probabilities = zip(*rows, strict=True) if rows else [()] * 5
    return recognizer.table(
        faces,
        np.array(probabilities),
        numbers=names,
        frame=np.array(numbers, np.int64),
        time=np.array(times, np.float64),
    )


class _Reader:
    """A video or camera, its frames as red, green, blue."""

    def __init__(self, source: Source) -> None:
        self.live = isinstance(source, int) or "://" in os.fspath(source)
        self._name = f"camera {source}" if isinstance(source, int) else os.fspath(source)
        if not self.live and not Path(self._name).is_file():
            raise MissingPathError(f"no file {self._name}: expected a video")
        with _quiet(), quiet_libraries():
            self._capture = cv2.VideoCapture(source if self.live else self._name)
            # A camera that is not there, and a file without pictures, may open all the same.
            self._ahead = self._capture.isOpened() and self._capture.grab()
        if not self._ahead:
            self._capture.release()
            if isinstance(source, int):
                raise MissingPathError(
                    f"no {self._name}: expected the number of a camera that is attached, that this "
                    "user may open and that no other program uses"
                )
            raise ImageError(f"{self._name} holds no picture that can be read: expected a video")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 1 <= rate <= 240 else _USUAL_RATE
        total = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.length = total if not self.live and total > 0 else None
        self._begun = time.monotonic()

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.release()

    def read(self, wanted: Callable[[int], bool]) -> Iterator[tuple[int, float, NDArray[np.uint8]]]:
        """Yield number, time and pixels of the frames whose number is wanted."""
        last = -1.0
        for number in count():
            with _quiet():
                if not self._ahead and not self._capture.grab():
                    return
            self._ahead = False
            at = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if self.live:
                at = time.monotonic() - self._begun
            elif not at > last:  # some files have no times
                at = max(last, 0.0) if number == 0 else last + 1 / self.rate
            last = at
            if wanted(number):
                with _quiet():
                    read, photo = self._capture.retrieve()
                if read:
                    yield number, at, np.ascontiguousarray(_color(photo)[..., ::-1])


def _color(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.cvtColor(photo, cv2.COLOR_GRAY2BGR) if photo.ndim == 2 else photo[..., :3]


def _batches(
    reader: _Reader, every: int, between: bool, size: int
) -> Iterator[list[tuple[int, float, NDArray[np.uint8]]]]:
    batch = []
    for frame in reader.read(lambda number: between or number % every == 0):
        batch.append(frame)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


class _Writer:
    """An annotated video, written beside its place and moved there when it is whole."""

    def __init__(self, out: Path | None, *, force: bool) -> None:
        self._out = out
        self._writer: Any = None  # opened with the first frame, which says how large it is
        self._written, self._live, self._rate = 0, False, _USUAL_RATE
        if out is None:
            return
        if out.suffix.lower() not in _CODECS:
            raise ConfigurationError(f"{out}: expected a name that ends in {', '.join(_CODECS)}")
        if out.exists() and not force:
            raise ConfigurationError(
                f"{out} exists: expected a new file, or to be told to replace it"
            )
        self._beside = out.with_name(f".{out.stem}.{os.getpid()}{out.suffix}")

    def __enter__(self) -> "_Writer":
        return self

    def begin(self, reader: _Reader) -> None:
        self._live, self._rate = reader.live, reader.rate

    def add(self, frame: Frame) -> None:
        if self._out is None:
            return
        pixels = np.ascontiguousarray(frame.annotated()[..., ::-1])
        if self._writer is None:
            self._out.parent.mkdir(parents=True, exist_ok=True)
            codec = cv2.VideoWriter.fourcc(*_CODECS[self._out.suffix.lower()])
            with _quiet(), quiet_libraries():
                self._writer = cv2.VideoWriter(
                    str(self._beside), codec, self._rate, pixels.shape[1::-1]
                )
            if not self._writer.isOpened():
                raise ConfigurationError(f"{self._out} can not be written: expected a place for it")
        # A camera is looked at as fast as this machine can: keep to the clock.
        copies = round(frame.time * self._rate) + 1 - self._written if self._live else 1
        for _ in range(copies):
            self._writer.write(pixels)
        self._written += max(0, copies)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._writer is None or self._out is None:
            return
        self._writer.release()
        if kind is None:
            self._beside.replace(self._out)
        self._beside.unlink(missing_ok=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV from writing to standard error what is said by an exception."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # FFmpeg's own, read when first used
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)

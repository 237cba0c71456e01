"""Frames a second of a 640x480 video with one and with four faces, on all cores."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emohelpers import datasets, faces
from emohelpers.faces import Face
from emohelpers.inference import EmotionRecognizer

_FRAMES = 300
_SIDE = 140
_CORNERS = ((30, 40), (250, 60), (470, 50), (150, 300))


def draw(n_faces: int, shift: int = 0) -> NDArray[np.uint8]:
    """Draw a frame of 640x480 with toy faces, moved to the right by some pixels."""
    drawn = datasets.make_faces(16, size=_SIDE, color=True, seed=36, difficulty=0.0)
    picture = np.full((480, 640, 3), 140, np.uint8)
    for image, (left, top) in zip(drawn.images[::4], _CORNERS[:n_faces], strict=False):
        picture[top : top + _SIDE, left + shift : left + shift + _SIDE] = image
    return picture


@contextmanager
def film(n_faces: int) -> Iterator[Path]:
    """Write a video of faces that sway from left to right."""
    pictures = [draw(n_faces, shift)[..., ::-1].copy() for shift in range(20)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (640, 480))
        for number in range(_FRAMES):
            writer.write(pictures[abs(number % 38 - 19)])
        writer.release()
        yield path


def _known(n_faces: int) -> Any:
    boxes = [Face((left, top, _SIDE, _SIDE), 1.0) for left, top in _CORNERS[:n_faces]]
    return lambda _photo: boxes


def main(data: Path | None = None) -> None:  # noqa: ARG001
    """Print frames a second with each detector, without one, and with the annotated video."""
    detectors: dict[str, Any] = {"Haar": lambda _: faces.HaarDetector()}
    if faces.yunet_path().is_file():
        detectors["YuNet"] = lambda _: faces.YuNetDetector()
    detectors["boxes known"] = _known
    print(f"{'detector':<12} {'faces':>5} {'table':>10} {'and video':>10}   frames a second")
    for name, detector in detectors.items():
        for n_faces in (1, 4):
            recognizer = EmotionRecognizer(detector=detector(n_faces))
            with film(n_faces) as path:
                out = path.with_name("out.mp4")
                recognizer.video(path, seconds=1)
                rates = []
                for target in (None, out):
                    start = time.perf_counter()
                    table = recognizer.video(path, out=target)
                    rates.append(_FRAMES / (time.perf_counter() - start))
            found = len(table) / _FRAMES
            print(
                f"{name:<12} {n_faces:>5} {rates[0]:>10.0f} {rates[1]:>10.0f}   "
                f"{found:.2f} faces found in a frame"
            )


if __name__ == "__main__":
    main()

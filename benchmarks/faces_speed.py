"""Time of `faces.detect` on one core, and how many drawn faces each detector finds.

YuNet is read from where `faces.fetch_yunet` brought it, or from the path in ``EMO_YUNET``; without
it only the Haar cascade is measured. Drawn faces are not what either was trained on.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emohelpers import faces
from emohelpers.datasets import make_faces

# Width, height, faces, and whether they stand before something as manifold as a photo of nature.
PHOTOS = (
    (4000, 3000, 1, False),
    (4000, 3000, 6, False),
    (4000, 3000, 6, True),
    (1920, 1080, 6, True),
    (640, 480, 6, True),
)
ROUNDS = 3
SCENES, SIDE = 60, 120
PLACES = ((30, 40), (250, 60), (470, 50), (150, 300))
OVERLAP = 0.3


def main(data: Path | None = None) -> None:  # noqa: ARG001
    """Measure in a process of one core."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    code = "from benchmarks.faces_speed import measure; measure()"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def detectors() -> dict[str, faces.Detector]:
    """Return the detectors that are here."""
    found: dict[str, faces.Detector] = {"Haar": faces.HaarDetector()}
    place = Path(os.environ.get("EMO_YUNET") or faces.yunet_path())
    if place.is_file():
        found["YuNet"] = faces.YuNetDetector(place)
    else:
        print(f"without YuNet: there is no {place}, and EMO_YUNET does not name its file")
    return found


def measure() -> None:
    """Print a table of times, and one of what is found."""
    cv2.setNumThreads(1)
    known = detectors()
    print("milliseconds of the processor's time on one core (the best of rounds)")
    heads = [f"{name}{what}" for name in known for what in ("", " + JPEG", ", found")]
    print(f"{'drawn photo':32}{'MB':>6}{'JPEG':>8}" + "".join(f"{head:>14}" for head in heads))
    for width, height, n_faces, manifold in PHOTOS:
        photo = _photo(width, height, n_faces, manifold)
        file = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
        decoding, pixels = _milliseconds(partial(faces.read_photo, file))
        figures = ""
        for detector in known.values():
            alone, _ = _milliseconds(partial(faces.detect, pixels, detector))
            together, answer = _milliseconds(partial(faces.detect, file, detector))
            figures += f"{alone:14.0f}{together:14.0f}{len(answer):14d}"
        name = f"{width}x{height}, {n_faces} face{'s' * (n_faces > 1)}{', texture' * manifold}"
        print(f"{name:32}{len(file) / 1e6:6.1f}{decoding:8.0f}{figures}")
    print(f"\n{SCENES} drawn scenes of 640x480 pixels with {len(PLACES)} faces of {SIDE} pixels")
    print(f"{'':10}{'recall':>10}{'precision':>12}")
    for name, detector in known.items():
        recall, precision = _recall_and_precision(detector)
        print(f"{name:10}{recall:10.3f}{precision:12.3f}")


def _background(width: int, height: int) -> NDArray[np.uint8]:
    across, down = np.linspace(90, 170, width)[None], np.linspace(-20, 20, height)[:, None]
    return np.repeat((across + down)[..., None], 3, axis=2).astype(np.uint8)


def _texture(width: int, height: int) -> NDArray[np.uint8]:
    """Draw grey levels of which, as in photos, coarse changes are larger than fine ones.

    The amplitude falls with the spatial frequency (Field 1987, doi:10.1364/JOSAA.4.002379).
    """
    noise = np.random.default_rng(1).normal(size=(height, width))
    frequencies = np.hypot(np.fft.rfftfreq(width)[None], np.fft.fftfreq(height)[:, None])
    frequencies[0, 0] = np.inf
    levels = np.fft.irfft2(np.fft.rfft2(noise) / frequencies, s=noise.shape)
    levels = np.clip(128 + 50 * levels / levels.std(), 0, 255)
    return np.repeat(levels[..., None], 3, axis=2).astype(np.uint8)


def _photo(width: int, height: int, n_faces: int, manifold: bool) -> NDArray[np.uint8]:
    """Draw faces of a quarter of the height, and the noise that makes a photo's file large."""
    side = height // 4
    drawn = make_faces(n_faces, size=240, color=True, difficulty=(0.0, 0.2), seed=0).images
    photo = (_texture if manifold else _background)(width, height)
    for place, image in enumerate(drawn):
        left = round(width * (0.2 + 0.3 * (place % 3))) - side // 2
        top = round(height * (0.27 + 0.45 * (place // 3))) - side // 2
        photo[top : top + side, left : left + side] = cv2.resize(image, (side, side))
    noise = np.random.default_rng(0).normal(0, 3, photo.shape[:2])[..., None]
    return np.clip(photo + noise, 0, 255).astype(np.uint8)


def _milliseconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the shortest time of a call, and its answer."""
    answer = call()
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return 1000 * min(times), answer


def _recall_and_precision(detector: faces.Detector) -> tuple[float, float]:
    """Return the share of drawn faces that are found, and of found faces that were drawn."""
    found = right = answered = 0
    drawn = make_faces(
        SCENES * len(PLACES), size=SIDE, color=True, difficulty=(0.0, 0.2), seed=0
    ).images
    for images in drawn.reshape(SCENES, len(PLACES), SIDE, SIDE, 3):
        scene = _background(640, 480)
        for (left, top), image in zip(PLACES, images, strict=True):
            scene[top : top + SIDE, left : left + SIDE] = image
        answers = faces.detect(scene, detector)
        hits = np.array(
            [
                [_overlap(face.box, (*place, SIDE, SIDE)) > OVERLAP for place in PLACES]
                for face in answers
            ]
        ).reshape(-1, len(PLACES))
        found += int(hits.any(axis=0).sum())
        right += int(hits.any(axis=1).sum())
        answered += len(answers)
    return found / (SCENES * len(PLACES)), right / max(answered, 1)


def _overlap(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """Return intersection over union of two boxes."""
    sides = [
        max(0, min(one[k] + one[k + 2], other[k] + other[k + 2]) - max(one[k], other[k]))
        for k in (0, 1)
    ]
    both = sides[0] * sides[1]
    return both / (one[2] * one[3] + other[2] * other[3] - both)


if __name__ == "__main__":
    main()

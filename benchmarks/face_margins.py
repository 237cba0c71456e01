"""How much room to leave around a found face, for networks that learned from FER2013.

Real photos of facial_expressions and UTKFace, neither of which `fer-compact` has seen, go through
`faces.detect` and `faces.align`. One half of the persons chooses the margin, the other half scores
it. Both sets are looked for where data sets lie and beside FER2013; YuNet as in `faces_speed`.
A face that is not found counts as wrong. Of several in a photo, the surest is taken.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._child import environment
from benchmarks.faces_speed import detectors
from emohelpers import datasets, faces
from emohelpers.datasets._registry import locate

SAVED = Path(__file__).resolve().parents[1] / "saved_models"
MARGINS = (-0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2, 0.3)
# The first seven are those of FER2013: nothing that is asked here knows contempt.
CLASSES = datasets.EMOTIONS[:7]
COLUMNS = (
    ("facial_expressions", "fer-compact", "accuracy"),
    ("facial_expressions", "fer-compact", "balanced_accuracy"),
    ("UTKFace", "fer-compact", "accuracy"),
    ("UTKFace", "smile", "accuracy"),
)
HEADS = ("accuracy", "balanced", "UTKFace", "smile")
NO_DIFFERENCE = 0.01  # of the mean of three figures: less than the data can tell
MOST_OF_A_CLASS = 200
CROPS = 300
DRAWS = 2000


@dataclass(frozen=True)
class Photos:
    """Photos of one face each, and who is on them."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: Sequence[str]
    persons: NDArray[Any]
    found: Sequence[Sequence[faces.Face]] = ()


def main(data: Path | None = None) -> None:
    """Measure in a process of one core."""
    beside = [] if data is None else [data.parent]
    expressions = _find("facial_expressions", beside)
    utkface = _find("utkface", beside)
    by_hand = [] if utkface is None else sorted(utkface.parent.glob("utkface_expression*.csv"))
    if expressions is None or utkface is None or not by_hand:
        print(
            "skipped: it needs facial_expressions, UTKFace and utkface_expression_dev.csv, in "
            "datasets/ or beside the file of --data"
        )
        return
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.face_margins"]
    places = [expressions, utkface, by_hand[0], data or ""]
    subprocess.run([*command, *map(str, places)], env=environment(1), check=True)


def _find(name: str, beside: Sequence[Path]) -> Path | None:
    return locate(name) or locate(name, places=beside)


def measure(expressions: str, utkface: str, by_hand: str, fer2013: str) -> None:
    """Print what each margin scores, and what the chosen ones score on the other half."""
    import cv2

    cv2.setNumThreads(1)
    halves = {
        "facial_expressions": _facial_expressions(expressions),
        "UTKFace": _utkface(utkface, by_hand),
    }
    known = detectors()
    networks = _networks()
    whole = {half: _row(halves, networks, half, _drawn, margin=None) for half in (0, 1)}
    chosen: dict[str, float] = {}
    scored = {"the picture as it is": whole[1]}
    apart: dict[str, list[NDArray[np.float64]]] = {}
    for name, detector in known.items():
        for photos in halves.values():
            photos[:] = [_detected(part, detector) for part in photos]
        print(f"{name} on the choosing half: {_shares_found(halves, 0)}")
        chosen[name] = _choose(partial(_row, halves, networks, 0, _value), whole[0])
        print(f"{name} on the other half: {_shares_found(halves, 1)}\n")
        score = partial(_row, halves, networks, 1, margin=chosen[name])
        turned, plain = score(_drawn), score(_drawn, upright=False)
        found = score(partial(_drawn, found_only=True))
        line = f"{name}, margin {chosen[name]:g}"
        scored |= {line: turned, f"{line}, of those found": found}
        apart |= {
            f"{name}: turned by the eyes - not turned": _differences(turned, plain),
            f"{name}: cut out - the picture as it is": _differences(turned, whole[1]),
        }
    print("the other half, 95% intervals by person")
    _print(scored, 26, _text)
    print("differences of these")
    _print(apart, 26, partial(_text, form="+.3f"))
    if fer2013:
        print("\nmargins that cut faces out as FER2013 did: median and quartiles")
        for name, detector in known.items():
            low, middle, high, share = _margins_of_fer2013(fer2013, detector)
            print(f"{name:10}{middle:8.3f} ({low:.3f} to {high:.3f}), {share:.0%} found")
    defaults = ", ".join(f"{name} {margin:g}" for name, margin in chosen.items())
    print(f"\nchosen margins: {defaults}")


def _choose(row: Callable[..., list[float]], whole: Sequence[NDArray[np.float64]]) -> float:
    """Print what each margin scores and return the one nearest to none of those that are best."""
    table, means = {}, {}
    for margin in MARGINS:
        figures = row(margin=margin)
        # Of facial_expressions the balanced accuracy alone: half its photos are of two classes.
        means[margin] = float(np.mean(figures[1:]))
        table[f"  margin {margin:g}"] = [*figures, means[margin]]
    table["  the picture as it is"] = [values[0] for values in whole]
    _print(table, 12, "{:.3f}".format, (*HEADS, "mean of 3"))
    best = max(means.values())
    return min((margin for margin in MARGINS if means[margin] > best - NO_DIFFERENCE), key=abs)


def _print(
    table: Mapping[str, Sequence[Any]],
    width: int,
    form: Callable[[Any], str],
    heads: Sequence[str] = HEADS,
) -> None:
    print(f"{'':38}" + "".join(f"{head:>{width}}" for head in heads))
    for line, figures in table.items():
        print(f"{line:38}" + "".join(f"{form(figure):>{width}}" for figure in figures))


def _networks() -> dict[str, tuple[Any, Sequence[str]]]:
    """Return what answers for each network, and its classes."""
    from emohelpers import models, publishing

    saved = {name: publishing.open_model(SAVED / name) for name in ("fer-compact", "smile")}
    return {name: (models.compiled(one.model), one.class_names) for name, one in saved.items()}


def _row(
    halves: Mapping[str, Sequence[Photos]],
    networks: Mapping[str, tuple[Any, Sequence[str]]],
    half: int,
    figure: Callable[..., Any],
    **options: Any,
) -> list[Any]:
    """Return a figure for each of `COLUMNS`."""
    predicted = {
        (name, network): _predict(halves[name][half], *networks[network], **options)
        for name, network in dict.fromkeys(column[:2] for column in COLUMNS)
    }
    return [
        figure(halves[name][half], predicted[name, network], metric)
        for name, network, metric in COLUMNS
    ]


def _differences(
    ones: Sequence[NDArray[np.float64]], others: Sequence[NDArray[np.float64]]
) -> list[NDArray[np.float64]]:
    return [one - other for one, other in zip(ones, others, strict=True)]


def _facial_expressions(path: str) -> list[Photos]:
    """Return two halves of the persons: all photos of rare classes, some of the others."""
    loaded = datasets.load("facial_expressions", path, size=180, color=False)
    loaded = datasets.assign_fold(loaded, 1, folds=2)
    loaded = loaded.select(loaded.table["duplicate_of"].isna().to_numpy())
    loaded = loaded.keep_classes(CLASSES)
    rng = np.random.default_rng(0)
    halves = []
    for fold in (1, 2):
        rows: list[int] = []
        for label in range(len(CLASSES)):
            there = np.flatnonzero((loaded.table["fold"] == fold) & (loaded.labels == label))
            rows.extend(rng.permutation(there)[:MOST_OF_A_CLASS].tolist())
        part = loaded.select(np.sort(rows))
        persons = part.table["person"].to_numpy()
        halves.append(Photos(np.asarray(part.images), part.labels, CLASSES, persons))
    return halves


def _utkface(path: str, by_hand: str) -> list[Photos]:
    """Return the two halves of what two passes called happy or neutral, as `smile` has them."""
    from emohelpers.datasets import utkface

    loaded = datasets.load("utkface", path, labels=by_hand)
    loaded = utkface.divide(loaded, utkface.read_training_list("utkface_smile.csv"))
    loaded = loaded.keep_classes(("neutral", "happiness"))
    halves = []
    for split in ("validation", "test"):
        part = loaded.split(split)
        # Nobody's name is known: each image counts as another person.
        persons = np.arange(len(part))
        halves.append(Photos(np.asarray(part.images), part.labels, part.class_names, persons))
    return halves


def _detected(photos: Photos, detector: faces.Detector) -> Photos:
    return replace(photos, found=[faces.detect(image, detector) for image in photos.images])


def _shares_found(halves: dict[str, list[Photos]], half: int) -> str:
    texts = []
    for name, parts in halves.items():
        counts = np.array([len(found) for found in parts[half].found])
        texts.append(
            f"{name}, {len(counts)} photos: {np.mean(counts > 0):.3f} found, "
            f"{np.mean(counts > 1):.3f} more than once"
        )
    return "; ".join(texts)


def _predict(
    photos: Photos,
    network: Any,
    answers: Sequence[str],
    *,
    margin: float | None,
    upright: bool = True,
) -> NDArray[np.int64]:
    """Return positions in `class_names`, one beyond them where no face was found."""
    from emohelpers import preprocessing

    predicted = np.full(len(photos.labels), len(photos.class_names))
    if margin is None:
        seen = np.ones(len(predicted), bool)
        cut = preprocessing.to_grey(preprocessing.resize(photos.images, 48))
    else:
        seen = np.array([len(found) > 0 for found in photos.found])
        cut = np.stack(
            [
                faces.align(image, found[0], size=48, margin=margin, upright=upright)
                for image, found in zip(photos.images, photos.found, strict=True)
                if found
            ]
        )
    outputs = [answers.index(class_name) for class_name in photos.class_names]
    predicted[seen] = network(cut)[:, outputs].argmax(axis=1)
    return predicted


def _counts(photos: Photos, predicted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a confusion matrix for each person; what was not found has the last column."""
    size = len(photos.class_names) + 1
    names, codes = np.unique(photos.persons, return_inverse=True)
    counts = np.zeros((len(names), size, size), np.int64)
    np.add.at(counts, (codes, photos.labels, predicted), 1)
    return counts


def _value(photos: Photos, predicted: NDArray[np.int64], metric: str) -> float:
    from emohelpers.evaluation._scores import confusion_metrics

    return float(confusion_metrics(_counts(photos, predicted).sum(axis=0))[metric])


def _drawn(
    photos: Photos, predicted: NDArray[np.int64], metric: str, *, found_only: bool = False
) -> NDArray[np.float64]:
    """Return a metric, and behind it what it might have been: persons are drawn, with all photos.

    The same persons are drawn for all that is scored on the same photos.
    """
    from emohelpers.evaluation._scores import confusion_metrics

    counts = _counts(photos, predicted)
    if found_only:
        counts[..., -1] = 0
    n_persons = len(counts)
    rng = np.random.default_rng(0)
    times = rng.multinomial(n_persons, np.full(n_persons, 1 / n_persons), size=DRAWS)
    times = np.concatenate([np.ones((1, n_persons)), times])
    return confusion_metrics(np.tensordot(times, counts.astype(float), 1))[metric]


def _text(values: NDArray[np.float64], form: str = ".3f") -> str:
    low, high = np.nanpercentile(values[1:], [2.5, 97.5])
    return f"{values[0]:{form}} ({low:{form}} to {high:{form}})"


def _margins_of_fer2013(path: str, detector: faces.Detector) -> tuple[float, float, float, float]:
    """Return quartiles of the margin that would give FER2013's own crops, and the share found."""
    import cv2

    crops = datasets.load("fer2013", path).split("PublicTest").images
    rows = np.random.default_rng(0).choice(len(crops), CROPS, replace=False)
    scale, room = 4, 12
    margins = []
    for crop in crops[np.sort(rows)]:
        # With room around: a crop as tight as these is no photo, and detectors know photos.
        wide = np.pad(crop, ((room, room), (room, room), (0, 0)), mode="edge")
        found = faces.detect(cv2.resize(wide, None, fx=scale, fy=scale), detector)
        if found:
            margins.append((scale * crop.shape[0] / max(found[0].box[2:]) - 1) / 2)
    low, middle, high = np.percentile(margins, [25, 50, 75])
    return float(low), float(middle), float(high), len(margins) / CROPS


if __name__ == "__main__":
    measure(*sys.argv[1:])

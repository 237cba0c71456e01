"""What made faces are worth to a small network that learns from them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from emohelpers import ablation, evaluation
from emohelpers.datasets import make_faces
from emohelpers.datasets.learnedfaces import Sampler
from emohelpers.generation._made import missing_labels, with_made
from emohelpers.generation._rows import balanced, compared
from emohelpers.generation._work import Work
from emohelpers.imbalance import WAYS

__all__ = ["alone", "rare"]

_WAYS = ("nothing", "oversample", "smote")


def rare(work: Work, sampler: Sampler) -> list[dict[str, Any]]:
    """Ask whether made faces of rare classes help, and whether more than copies or SMOTE's do."""
    emotions = work.base.emotions
    learnt, validation = evaluation.training_rows(work.faces), work.faces.split("validation")
    labels = missing_labels(learnt)
    images = work.drawn(sampler, labels, "rare", seed=1, guidance=sampler.guidance)
    correct = work.right("rare", work.faces, steps={name: WAYS[name] for name in _WAYS})
    grown = with_made(work.faces, images, labels)
    correct["generated"] = work.right("rare-generated", grown)["it"]
    rarest = int(np.bincount(learnt.labels, minlength=len(emotions)).argmin())
    of_rarest = validation.labels == rarest
    rows = []
    for first in _WAYS:
        # All are compared with the first way, and the made faces with each of the others, too.
        names = list(correct) if first == _WAYS[0] else [first, "generated"]
        some = {name: correct[name] for name in names}
        recall = ablation.compare({name: right[:, of_rarest] for name, right in some.items()})
        for table, measure, n in (
            (balanced(some, validation.labels, emotions), "balanced accuracy", len(validation)),
            (recall, f"recall of {emotions[rarest]}", int(of_rarest.sum())),
        ):
            about = {"n": n, "seeds": len(work.seeds)}
            found = compared(table, "rare", work.word("validation"), measure, **about)
            rows += [one for one in found if one["against"] or first == _WAYS[0]]
    return rows


def alone(
    work: Work, per_emotion: int, guidances: Sequence[float]
) -> tuple[list[dict[str, Any]], float]:
    """Choose a guidance; train on made faces alone, on toy faces alone and on the training faces.

    The small network has twice the steps of the other studies, so that made and drawn faces are
    all seen, in five epochs of which the best is chosen on the validation split.
    """
    emotions = work.base.emotions
    recipe = replace(work.base, epochs=5, steps_per_epoch=-(-2 * _steps(work) // 5))
    labels = np.tile(np.arange(len(emotions)), per_emotion)
    training = work.faces.table["split"] == work.word("train")
    rest = work.faces.select(~training.to_numpy(bool))
    sampler = work.generator.sampler()
    validation, test = work.faces.split("validation"), work.faces.split("test")
    rows, right, sources = [], {}, {}
    for guidance in guidances:
        images = work.drawn(sampler, labels, "alone", seed=0, guidance=guidance)
        sources[guidance] = with_made(rest, images, labels)
        right[guidance] = work.right(
            f"alone-made-{guidance:g}", sources[guidance], recipe=recipe, seeds=work.seeds[:1]
        )["it"]
        table = ablation.compare({f"{guidance:g}": right[guidance]})
        about = {"n": len(validation), "seeds": 1}
        rows += compared(table, "guidance", work.word("validation"), "accuracy", **about)
    chosen = max(right, key=lambda one: right[one].mean())
    size, color = work.faces.images.shape[1:3], work.faces.images.shape[3] == 3
    toys = make_faces(len(labels), size=size, color=color, seed=0, emotions=emotions)
    correct = {
        "toy faces": work.right_on_test(
            "alone-toy", with_made(rest, np.asarray(toys.images), toys.labels), recipe
        ),
        "made faces": work.right_on_test(f"alone-made-{chosen:g}", sources[chosen], recipe),
        "training faces": work.right_on_test("alone-real", work.faces, recipe),
    }
    about = {"n": len(test), "seeds": len(work.seeds)}
    for table, measure in (
        (ablation.compare(correct), "accuracy"),
        (balanced(correct, test.labels, emotions), "balanced accuracy"),
    ):
        rows += compared(table, "alone", work.word("test"), measure, **about)
    return rows, chosen


def _steps(work: Work) -> int:
    rows = len(evaluation.training_rows(work.faces))
    return work.base.steps_per_epoch or -(-rows // work.base.batch_size)

"""How far an exported network differs from the Keras network it was made of."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError
from emohelpers.export._running import ExportedNetwork

__all__ = ["check"]


def check(
    model: Any, exported: ExportedNetwork, faces: FaceDataset, class_names: Sequence[str]
) -> dict[str, Any]:
    """Compare an exported network with the Keras network on the same labelled images.

    Parameters
    ----------
    model : keras.Model
        What was exported.
    exported : ExportedNetwork
        What came of it.
    faces : FaceDataset
        Of the network's size. Accuracy is that over the classes that both know.
    class_names : sequence of str
        The network's, in the order of its outputs.

    Returns
    -------
    dict
        ``n``; ``largest`` and ``mean``, the differences of probabilities; ``agree``, the share of
        images with the same answer; ``before`` and ``after``, the accuracies of the Keras network
        and the file, in 0..1; and their ``difference``, a dict of ``value``, ``low`` and ``high``,
        the 95% interval of a bootstrap over the images (`emohelpers.ablation.compare`).

    Raises
    ------
    ConfigurationError
        If there is no image, or fewer than two classes are common.
    """
    from emohelpers import ablation, evaluation

    if not len(faces):
        raise ConfigurationError("no image to check the file on: expected one or more")
    said = {
        "Keras": evaluation.predict(model, faces.images),
        "file": evaluation.both_classes(exported(faces.images)),
    }
    difference = np.abs(said["file"] - said["Keras"])
    answers = [shares.argmax(axis=1) for shares in said.values()]
    correct = {}
    for name, shares in said.items():
        part, common = evaluation.restrict(faces, shares, class_names)
        correct[name] = (common.argmax(axis=1) == part.labels)[None]
    row = ablation.compare(correct).iloc[-1]
    return {
        "n": len(faces),
        "largest": float(difference.max()),
        "mean": float(difference.mean()),
        "agree": float((answers[0] == answers[1]).mean()),
        "before": float(correct["Keras"].mean()),
        "after": float(correct["file"].mean()),
        "difference": {
            "value": float(row["difference"]),
            "low": float(row["difference_low"]),
            "high": float(row["difference_high"]),
        },
    }

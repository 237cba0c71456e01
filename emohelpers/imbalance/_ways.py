"""The small network's training on each data set, and the changes to it that are compared."""

from collections.abc import Mapping
from dataclasses import replace

from emohelpers.ablation import Step
from emohelpers.datasets import EMOTIONS
from emohelpers.recipes import Recipe

__all__ = ["BASES", "WAYS"]

_BASE = Recipe(
    name="imbalance",
    summary="A small network on a short schedule, as many steps whatever it learns from.",
    dataset="fer2013",
    network="baseline_cnn",
    network_options={"filters": (8, 16, 32), "units": 64, "dropout": 0.25, "standardise": True},
    augmentation_options={"flip": True, "shift": 0.08},
    schedule="cosine",
    epochs=1,  # one, so that no way has more epochs to choose the best of than another
    steps_per_epoch=1300,
)

BASES: Mapping[str, Recipe] = {
    "fer2013": _BASE,
    "facial_expressions": replace(
        _BASE, dataset="facial_expressions", emotions=EMOTIONS, steps_per_epoch=600
    ),
    "toyfaces": replace(
        _BASE, dataset="toyfaces", size=24, learning_rate=3e-3, steps_per_epoch=160
    ),
}
"""The small network's training on each data set, which `WAYS` change."""

WAYS: Mapping[str, Step] = {
    "nothing": Step("the classes as they are"),
    "weights": Step("balanced class weights", {"class_weights": 1.0}),
    "class-balanced": Step(
        "class weights by the effective number of images (beta .999)",
        {"class_weights": 1.0, "beta": 0.999},
    ),
    "focal": Step("the focal loss (gamma 2)", {"focal": 2.0}),
    "adjusted-loss": Step("logits adjusted in the loss", {"logit_adjustment": 1.0}),
    "adjusted-after": Step("logits adjusted after training", {"odds": "balanced"}),
    "undersample": Step("as many images of each as the rarest has", {"sampling": "undersample"}),
    "oversample": Step("copies of the rare ones", {"sampling": "oversample"}),
    "smote": Step("SMOTE", {"sampling": "smote"}),
    "tomek": Step("without Tomek links", {"sampling": "tomek"}),
    "smote-tomek": Step("SMOTE, then without Tomek links", {"sampling": "smote-tomek"}),
}
"""The ways by name. ``nothing`` comes first: the others are compared with it."""

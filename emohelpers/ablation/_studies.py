"""The trainings that are taken apart, by name."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from emohelpers.ablation._steps import BASE, STEPS, Step
from emohelpers.recipes import Recipe, get

__all__ = ["STUDIES", "Study"]


@dataclass(frozen=True)
class Study:
    """A recipe and the changes to it whose worth is measured.

    Parameters
    ----------
    base : Recipe
        What is changed. With ``each_fold`` every image is scored, by the network of the fold that
        tests on it, and classes are compared; otherwise the validation split is scored.
    steps : mapping of str to Step
        The first one is what the others are compared with.
    """

    base: Recipe
    steps: Mapping[str, Step]


STUDIES: Mapping[str, Study] = {
    "fer-compact": Study(BASE, STEPS),
    "eight-emotions": Study(
        replace(
            get("eight-emotions-thinned"),
            name="ablation",
            summary="A small network on about 1,500 images of 96x96 pixels.",
            size=96,
            each_fold=True,
        ),
        {
            "all": Step("nothing: about 1,500 grey images, dropout and L2"),
            "all-images": Step(
                "all images to learn from, nine tenths of them neutral or happy",
                {"images_per_class": None},
            ),
            "three-channels": Step("three channels in place of a grey one", {"color": True}),
            "no-dropout": Step("no dropout", {"network_options": {"dropout": 0.0}}),
            "no-l2": Step("no L2 penalty", {"network_options": {"l2": 0.0}}),
            "longer": Step("20 epochs in place of 5", {"epochs": 20}),
            "longer-without": Step(
                "20 epochs, neither dropout nor L2",
                {"epochs": 20, "network_options": {"dropout": 0.0, "l2": 0.0}},
            ),
            "by-image": Step(
                "divided by image: the same person may stand on both sides", {"split_by": None}
            ),
        },
    ),
}
"""The studies of ``emohelpers ablate``."""

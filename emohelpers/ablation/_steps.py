"""The recipe that is taken apart, and the changes to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from emohelpers.recipes import Recipe, get

__all__ = ["BASE", "STEPS", "Step", "changed"]


@dataclass(frozen=True)
class Step:
    """One change to a recipe.

    Parameters
    ----------
    change : str
        What is changed, in a few words.
    fields : mapping
        Fields of `emohelpers.recipes.Recipe` and their new values. The entries of a mapping
        replace those of the recipe's; the others stay.
    """

    change: str
    fields: Mapping[str, Any] = field(default_factory=dict)


BASE = replace(
    get("fer-compact"),
    name="ablation",
    summary="The compact network without a teacher.",
    teacher=None,
    teacher_share=0.0,
    label_smoothing=0.05,
    epochs=5,
    warmup=0.5,
    # Over a few hundred steps; over a thousand, weights of the first epochs would still count.
    optimizer_options={**get("fer-compact").optimizer_options, "ema_momentum": 0.985},
)
"""The recipe that the steps change: `fer-compact` without a teacher, on a short schedule."""

STEPS: Mapping[str, Step] = {
    "all": Step("nothing: the recipe with all of its steps"),
    "no-geometry": Step(
        "no flips, rotations, shifts and zooms",
        {"augmentation_options": {"flip": False, "rotation": 0, "shift": 0, "zoom": 0}},
    ),
    "no-mixup": Step("no mixup", {"mixup": 0.0}),
    "cutmix": Step("CutMix in place of mixup", {"mixup": 0.0, "cutmix": 1.0}),
    "no-smoothing": Step("no label smoothing", {"label_smoothing": 0.0}),
    "no-votes": Step(
        "FER2013's labels alone, no FER+ votes", {"votes": 0.0, "expected_labels": False}
    ),
    "raw-votes": Step(
        "the FER+ votes as they are as a fifth of the target, not the labels that they let expect",
        {"votes": 0.2, "expected_labels": False},
    ),
    "no-averaging": Step(
        "no moving average of the weights", {"optimizer_options": {"use_ema": False}}
    ),
    "constant-rate": Step(
        "a constant learning rate of .02 in place of the cosine with warm-up",
        {"schedule": "constant", "warmup": 0.0, "learning_rate": 0.02},
    ),
}
"""The steps by name. ``all`` comes first: the others are compared with it."""


def changed(base: Recipe, name: str, step: Step) -> Recipe:
    """Return a recipe with a step's change.

    Parameters
    ----------
    base : Recipe
        Stays as it is.
    name : str
        Of the step; the new recipe is called ``<base>-<name>``.
    step : Step
        The change.

    Returns
    -------
    Recipe
        With `fields` of the step in place of the recipe's own.

    Examples
    --------
    >>> changed(BASE, "cutmix", STEPS["cutmix"]).cutmix
    1.0
    """
    fields: dict[str, Any] = {
        key: {**getattr(base, key), **value} if isinstance(value, Mapping) else value
        for key, value in step.fields.items()
    }
    return replace(base, name=f"{base.name}-{name}", **fields)

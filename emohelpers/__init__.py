"""An open course and toolkit for recognising facial expressions.

The rooms, in the order in which data flows: `datasets`, `preprocessing`, `augmentation`,
`sampling`, `models`, `training`, `evaluation`, `plots`; `raters` says how far people agree,
`recipes` names whole systems and `publishing` holds their results. Importing the package imports
none of them, and no Keras: each is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emohelpers import (
        augmentation,
        datasets,
        errors,
        evaluation,
        models,
        plots,
        preprocessing,
        publishing,
        raters,
        recipes,
        sampling,
        training,
    )

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "augmentation",
    "datasets",
    "errors",
    "evaluation",
    "models",
    "plots",
    "preprocessing",
    "publishing",
    "raters",
    "recipes",
    "sampling",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"emohelpers.{name}")
    raise AttributeError(f"module 'emohelpers' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

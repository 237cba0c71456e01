"""An open course and toolkit for recognising facial expressions.

The rooms, in the order in which data flows: `datasets`, `preprocessing`, `augmentation`,
`sampling`, `models`, `training`, `evaluation`, `fairness`, `plots`; `faces` finds faces in photos
and `inference` recognises what they express, which `webapp` shows in a browser; `raters` says how
far people agree, `labellers` how far single labels can be trusted, `labelling` makes labels where
there are none, `recipes` names whole systems, `ablation` takes one apart, `imbalance` compares what
helps rare classes, `search` looks for hyperparameters, `generation` draws faces of nobody,
`explain` maps what a network looks at, `robustness` worsens and attacks images, `publishing` holds
their results, `export` writes networks as files that answer without Keras, and `deck` makes slides.
`load_model` returns a trained network. Importing the package imports none of them, and no Keras:
each is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emohelpers import (
        ablation,
        augmentation,
        datasets,
        deck,
        errors,
        evaluation,
        explain,
        export,
        faces,
        fairness,
        generation,
        imbalance,
        inference,
        labellers,
        labelling,
        models,
        plots,
        preprocessing,
        publishing,
        raters,
        recipes,
        robustness,
        sampling,
        search,
        training,
        webapp,
    )

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "ablation",
    "augmentation",
    "datasets",
    "deck",
    "errors",
    "evaluation",
    "explain",
    "export",
    "faces",
    "fairness",
    "generation",
    "imbalance",
    "inference",
    "labellers",
    "labelling",
    "load_model",
    "models",
    "plots",
    "preprocessing",
    "publishing",
    "raters",
    "recipes",
    "robustness",
    "sampling",
    "search",
    "training",
    "webapp",
]


def load_model(name: str = "fer-compact") -> Any:
    """Return a trained network by its name, without a download.

    Parameters
    ----------
    name : str
        A folder of ``saved_models``. The installed package brings ``fer-compact``, a checkout of
        the project all of them.

    Returns
    -------
    keras.Model
        Takes pixels, 0..255, of ``model.input_shape``; gives a probability for each of
        ``datasets.EMOTIONS[:7]``, or of the classes that the network's ``recipe.json`` names.

    Raises
    ------
    MissingPathError
        If there is no such network here.

    Examples
    --------
    >>> load_model("fer-baseline").output_shape
    (None, 7)
    """
    from emohelpers import models, publishing

    return publishing.open_model(models.saved_folder(name)).model


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"emohelpers.{name}")
    raise AttributeError(f"module 'emohelpers' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

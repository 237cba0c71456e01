"""What a recipe does about classes of different size."""

import numpy as np
from numpy.typing import NDArray

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError, LabelError
from emohelpers.recipes._recipe import Recipe

__all__ = ["class_weights", "odds", "resampled"]


def class_weights(recipe: Recipe, labels: NDArray[np.int64]) -> dict[int, float] | None:
    """Return what a recipe lets each class count, or None where all images count the same.

    Parameters
    ----------
    recipe : Recipe
        Its `class_weights` and `beta` are read.
    labels : ndarray of int64, shape (n,)
        Of the training images.

    Returns
    -------
    dict of int to float, or None
        For each of the recipe's emotions, in label order.
    """
    from emohelpers import sampling

    if not recipe.class_weights:
        return None
    weights = sampling.class_weights(labels, len(recipe.emotions), beta=recipe.beta)
    return {label: weight**recipe.class_weights for label, weight in weights.items()}


def odds(recipe: Recipe, labels: NDArray[np.int64]) -> list[float] | None:
    """Return what a recipe multiplies the odds of each class by after training.

    Parameters
    ----------
    recipe : Recipe
        Its `odds` are read.
    labels : ndarray of int64, shape (n,)
        Of the training images, before they are evened out.

    Returns
    -------
    list of float, or None
        For each of the recipe's emotions; None where odds stay as they are.

    Raises
    ------
    ConfigurationError
        If the odds are a word that is not known.
    LabelError
        If they are to be balanced and a class has no image, or an image no label.
    """
    if not recipe.odds:
        return None
    if not isinstance(recipe.odds, str):
        return [recipe.odds.get(name, 1.0) for name in recipe.emotions]
    if recipe.odds != "balanced":
        raise ConfigurationError(
            f"recipe {recipe.name}: odds {recipe.odds!r}: expected 'balanced', or numbers"
        )
    counts = np.array([(labels == label).sum() for label in range(len(recipe.emotions))])
    if counts.sum() != len(labels) or not counts.all():
        raise LabelError(
            f"recipe {recipe.name}: {counts.tolist()} of {len(labels)} training images in the "
            "classes: expected one or more in each, all with a label"
        )
    factors: list[float] = (len(labels) / counts).tolist()
    return factors


def resampled(recipe: Recipe, rows: FaceDataset, *, seed: int) -> FaceDataset:
    """Even out the classes of training images as a recipe says.

    Parameters
    ----------
    recipe : Recipe
        Its `sampling` and `sampling_options` are read.
    rows : FaceDataset
        The training images.
    seed : int
        Of what is drawn.

    Returns
    -------
    FaceDataset
        `rows` themselves where the recipe leaves them as they are.

    Raises
    ------
    ConfigurationError
        If images are to be made, of which neither raters nor a teacher said anything, and the
        recipe learns from these; also as `emohelpers.sampling.resample`.
    """
    from emohelpers import sampling

    if recipe.sampling is None:
        return rows
    if recipe.sampling.startswith("smote") and (recipe.votes or recipe.teacher):
        raise ConfigurationError(
            f"recipe {recipe.name}: {recipe.sampling} with votes or a teacher: expected one or the "
            "other, since nobody has seen the images that it makes"
        )
    return sampling.resample(rows, recipe.sampling, seed=seed, **recipe.sampling_options)

"""Whether a map depends on what a network has learnt."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from emohelpers.errors import ConfigurationError
from emohelpers.explain._grad_cam import grad_cam
from emohelpers.explain._means import drawn_means, interval
from emohelpers.explain._networks import ClassName, prepare

__all__ = ["randomise", "rank_correlation", "sanity_check"]


def randomise(model: Any, *, layers: int | None = None, seed: int = 0) -> Any:
    """Return a copy of a network that has lost what its last layers have learnt.

    The values of each kernel, bias and normalisation change places at random within it: the layer
    keeps all its numbers and nothing of their order.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential; models within it are looked into.
    layers : int, optional
        How many layers with kernels, from the output down, each with the normalisation after it;
        all of them without it.
    seed : int
        Of the draw. With more layers the last ones are drawn alike.

    Returns
    -------
    keras.Model
        With weights of its own.

    Raises
    ------
    ConfigurationError
        If the network has not so many such layers.

    Examples
    --------
    >>> from emohelpers import load_model
    >>> model = load_model()
    >>> other = randomise(model, layers=1)
    >>> same = [(a == b).all() for a, b in zip(model.get_weights(), other.get_weights())]
    >>> same.count(False), len(same)  # the last kernel and its bias
    (2, 37)
    """
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    steps = _steps(copy)
    count = len(steps) if layers is None else layers
    if not 1 <= count <= len(steps):
        raise ConfigurationError(
            f"layers={layers}: expected 1 to {len(steps)}, as many as the network has with kernels"
        )
    rng = np.random.default_rng(seed)
    for step in steps[::-1][:count]:
        for layer in step:
            layer.set_weights([_shuffled(value, rng) for value in layer.get_weights()])
    return copy


def _shuffled(values: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    return rng.permutation(values.ravel()).reshape(values.shape)


def _steps(model: Any) -> list[list[Any]]:
    """Return the layers with kernels, each with the layers after it that have other weights."""
    steps: list[list[Any]] = []
    for layer in _leaves(model):
        if not layer.weights:
            continue
        if not steps or any(len(weight.shape) > 1 for weight in layer.weights):
            steps.append([])
        steps[-1].append(layer)
    return steps


def _leaves(model: Any) -> list[Any]:
    found: list[Any] = []
    for layer in model.layers:
        found += _leaves(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def rank_correlation(maps: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """Return Spearman's rank correlation of each map with its other.

    Parameters
    ----------
    maps, others : array_like, shape (n, height, width)

    Returns
    -------
    ndarray of float64, shape (n,)
        In -1..1; 0 where a map is the same everywhere, since it has no order.

    Raises
    ------
    ConfigurationError
        If the shapes differ.

    Examples
    --------
    >>> rank_correlation([[[0.1, 0.2, 0.9]]], [[[5, 7, 8]]]).round(2).tolist()
    [1.0]
    """
    one, other = np.asarray(maps, float), np.asarray(others, float)
    if one.shape != other.shape or one.ndim != 3:
        raise ConfigurationError(
            f"maps of {one.shape} and {other.shape}: expected the same shape (n, height, width)"
        )
    ranks = [rankdata(x.reshape(len(x), -1), axis=1) for x in (one, other)]
    first, second = (x - x.mean(axis=1, keepdims=True) for x in ranks)
    length = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    shared = (first * second).sum(axis=1)
    return np.divide(shared, length, out=np.zeros(len(one)), where=length > 0)


def sanity_check(
    model: Any,
    images: Any,
    class_name: ClassName = None,
    *,
    class_names: Sequence[str] | None = None,
    method: Callable[..., NDArray[np.float32]] = grad_cam,
    layers: Sequence[int] | None = None,
    groups: ArrayLike | None = None,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare the maps of a network with those of the same network with randomised weights.

    A map that stays the same when the network forgets what it has learnt shows the image, and not
    the network. The layers are randomised one after the other from the output down, and the maps
    of the same class compared by their rank correlation (Adebayo et al. 2018, "Sanity checks for
    saliency maps", section 3: cascading randomization).

    Parameters
    ----------
    model : keras.Model or emohelpers.publishing.SavedModel
        Takes pixels in 0..255.
    images : array_like of uint8, shape (n, height, width, channels)
        In 0..255, two or more.
    class_name, class_names
        As in `grad_cam`; without a class, what the network predicts before it is randomised.
    method : callable
        Makes the maps: `grad_cam`, `integrated_gradients` or `occlusion`, or what takes and
        returns the same. Maps with a sign are compared with it.
    layers : sequence of int, optional
        How many layers are randomised in each row, see `randomise`; without it 1, 2, and so on to
        all of them.
    groups : array_like, shape (n,), optional
        The person of each image, as in `compare_overlap`.
    n_bootstrap, seed : int
        How many draws the intervals are made of; and of all that is drawn.

    Returns
    -------
    DataFrame
        A row for each number of layers, with the name of the last one reached, and before them the
        row ``another face``: each map compared with that of an image half the list away, of which
        it can not know anything. ``layers``, ``n``, ``correlation`` (the mean of all images),
        ``low`` and ``high``, its 95% interval.

    Raises
    ------
    ConfigurationError
        As in `grad_cam` and `randomise`.

    Examples
    --------
    >>> from emohelpers import datasets, load_model
    >>> faces = datasets.make_faces(8, seed=0)
    >>> sanity_check(load_model(), faces.images, layers=[1, 8]).index.tolist()
    ['another face', 'emotion', 'stage1_conv1']
    """
    model, pixels, classes = prepare(model, images, class_name, class_names)
    names = [step[0].name for step in _steps(model)][::-1]
    counts = list(range(1, len(names) + 1)) if layers is None else list(layers)
    learnt = method(model, pixels, classes)
    found = {("another face", 0): rank_correlation(learnt, np.roll(learnt, len(learnt) // 2, 0))}
    for count in counts:
        other = method(randomise(model, layers=count, seed=seed), pixels, classes)
        found[names[count - 1], count] = rank_correlation(learnt, other)
    values = np.column_stack(list(found.values()))
    draws = drawn_means(values, groups, n_bootstrap=n_bootstrap, seed=seed)
    rows = []
    for (_, count), mean, drawn in zip(found, values.mean(axis=0), draws.T, strict=True):
        low, high = interval(drawn)
        row = {"layers": count, "n": len(values), "correlation": float(mean)}
        rows.append({**row, "low": low, "high": high})
    index = pd.Index([name for name, _ in found], name="randomised down to")
    return pd.DataFrame(rows, index=index)

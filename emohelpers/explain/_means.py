"""Means of figures of images, with intervals that draw whole persons."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError

__all__ = ["drawn_means", "interval"]

_BLOCK = 250


def drawn_means(
    values: NDArray[Any], groups: ArrayLike | None, *, n_bootstrap: int, seed: int
) -> NDArray[np.float64]:
    """Return the means of draws of images, (n, figures) to (draws, figures).

    Groups are drawn with replacement, each with all its images, the same ones for all figures
    (the cluster bootstrap; Efron and Tibshirani 1993).
    """
    n = len(values)
    if n_bootstrap < 1:
        raise ConfigurationError(f"n_bootstrap={n_bootstrap}: expected 1 or more")
    named = np.arange(n) if groups is None else np.asarray(groups)
    if named.shape != (n,):
        raise ConfigurationError(
            f"groups of shape {named.shape}: expected one for each of {n} images"
        )
    places, names = pd.factorize(named)
    if (places < 0).any():
        raise ConfigurationError("an image without a group: expected one for each")
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, places, values)
    sizes = np.bincount(places, minlength=len(names)).astype(float)
    rng = np.random.default_rng(seed)
    parts = []
    # In blocks: all draws of thousands of persons at once would fill a hundred megabytes.
    for start in range(0, n_bootstrap, _BLOCK):
        count = min(_BLOCK, n_bootstrap - start)
        times = rng.multinomial(len(names), [1 / len(names)] * len(names), count).astype(float)
        parts.append((times @ sums) / (times @ sizes)[:, None])
    return np.concatenate(parts)


def interval(draws: NDArray[np.float64]) -> tuple[float, float]:
    """Return the middle 95% of the draws of one figure."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)

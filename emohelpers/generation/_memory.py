"""How near drawn faces come to the faces that were learnt from."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError

__all__ = ["nearer_than", "nearest"]

_BLOCK = 2048


def nearest(
    queries: ArrayLike, references: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the nearest reference of each query.

    Parameters
    ----------
    queries, references : array_like, shapes (n, ...) and (m, ...)
        Images or rows of features, of one shape but for their number.

    Returns
    -------
    ndarray of float64, shape (n,)
        The root of the mean squared difference to the nearest one: between images of 0..255, in
        grey levels.
    ndarray of int64, shape (n,)
        Its position.

    Raises
    ------
    ConfigurationError
        If the shapes differ or there is no reference.

    Examples
    --------
    >>> nearest([[0.0, 0.0]], [[9.0, 9.0], [3.0, 3.0]])
    (array([3.]), array([1]))
    """
    rows, others = (_flat(part) for part in (queries, references))
    if not len(others) or rows.shape[1] != others.shape[1]:
        raise ConfigurationError(
            f"queries of shape {np.shape(queries)}, references of shape {np.shape(references)}: "
            "expected one shape but for the number, and one reference or more"
        )
    best = np.full(len(rows), np.inf, np.float32)
    at = np.zeros(len(rows), np.int64)
    for start in range(0, len(others), _BLOCK):
        part = others[start : start + _BLOCK]
        # The square of the query itself is the same for every reference.
        squares = (part**2).sum(axis=1) - 2 * rows @ part.T
        column = squares.argmin(axis=1)
        found = squares[np.arange(len(rows)), column]
        nearer = found < best
        best[nearer], at[nearer] = found[nearer], column[nearer] + start
    gaps = (rows - others[at]).astype(np.float64)
    return np.sqrt((gaps**2).mean(axis=1)), at


def nearer_than(
    distances: ArrayLike,
    reference: ArrayLike,
    *,
    quantile: float = 0.01,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> dict[str, float]:
    """Say which share of distances is below a quantile of others.

    Where drawn faces repeat learnt ones, more of them lie nearer to a learnt face than that share
    of faces that the network has never seen.

    Parameters
    ----------
    distances, reference : array_like of float, shapes (n,) and (m,)
        Such as those of drawn faces and of held-out ones, see `nearest`.
    quantile : float
        Of `reference`, in 0..1: the share that is expected where nothing is repeated.
    n_bootstrap, seed : int
        Of the interval, which draws both samples.

    Returns
    -------
    dict of str to float
        ``value``, ``low`` and ``high`` (95%), in 0..1.

    Raises
    ------
    ConfigurationError
        If one of them is empty or `quantile` lies outside 0..1.

    Examples
    --------
    >>> nearer_than([1.0, 5.0], [2.0, 3.0, 4.0], quantile=0)["value"]
    0.5
    """
    own, others = np.asarray(distances, np.float64), np.asarray(reference, np.float64)
    if not own.size or not others.size or not 0 <= quantile <= 1:
        raise ConfigurationError(
            f"{own.size} distances, {others.size} to compare with, quantile={quantile}: expected "
            "one or more of each, and 0 to 1"
        )
    rng = np.random.default_rng(seed)
    shares = []
    for _ in range(n_bootstrap):
        edge = np.quantile(others[rng.integers(0, others.size, others.size)], quantile)
        shares.append(float((own[rng.integers(0, own.size, own.size)] < edge).mean()))
    low, high = np.percentile(shares, [2.5, 97.5])
    value = float((own < np.quantile(others, quantile)).mean())
    return {"value": value, "low": float(low), "high": float(high)}


def _flat(part: Any) -> NDArray[np.float32]:
    rows = np.asarray(part, np.float32)
    return rows.reshape(len(rows), -1)

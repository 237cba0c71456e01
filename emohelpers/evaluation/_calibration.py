"""Whether a network is as often right as it says: calibration, its mending, and abstention."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError, LabelError
from emohelpers.evaluation._wilson import wilson

__all__ = [
    "calibrate",
    "calibration_scores",
    "calibration_table",
    "coverage",
    "reliability",
    "with_temperature",
]

TEMPERATURES = (0.05, 20.0)
_METRICS = ("nll", "brier", "ece")
# A probability of 0 for what happened would cost infinitely much; float32 has steps of 1e-7.
_LEAST = 1e-7
_BLOCK = 250  # draws at a time, so that memory stays small


def calibrate(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Find the temperature that makes probabilities fit what is right.

    Networks are often surer than they should be. A temperature above 1 takes some of that away and
    leaves the order of the classes as it is: one number, fitted to images that the network has not
    learnt from, by the likelihood of their labels (Guo et al. 2017, "On calibration of modern
    neural networks", https://arxiv.org/abs/1706.04599, "temperature scaling").

    Parameters
    ----------
    labels : array_like of int, shape (n,), or of float, shape (n, n_classes)
        What is right: the position of a class, or how likely each class is (rows sum to 1), for
        instance the shares of raters' votes.
    probabilities : array_like of float, shape (n, n_classes)
        What a network says, rows sum to 1.

    Returns
    -------
    float
        In 0.05..20, see `with_temperature`.

    Raises
    ------
    ConfigurationError
        If shapes do not fit, there is nothing to fit to, or rows are no probabilities.
    LabelError
        If a label is no position of a class.

    Examples
    --------
    A network that says .9 and is right three times in four:

    >>> temperature = calibrate([0, 0, 0, 1], [[0.9, 0.1]] * 4)
    >>> with_temperature([[0.9, 0.1]], temperature).round(2)
    array([[0.75, 0.25]])
    """
    # Not at the top: it takes time that whoever never asks for it should not wait.
    from scipy.optimize import minimize_scalar

    targets, shares = _checked(labels, probabilities)
    logs = np.log(shares)

    def loss(log_temperature: float) -> float:
        scaled = logs / np.exp(log_temperature)
        largest = scaled.max(axis=1)
        total = np.log(np.exp(scaled - largest[:, None]).sum(axis=1)) + largest
        return float((total - (targets * scaled).sum(axis=1)).mean())

    found = minimize_scalar(
        loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def with_temperature(probabilities: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """Make probabilities less sure, or surer, and keep the order of the classes.

    Parameters
    ----------
    probabilities : array_like of float, shape (n, n_classes)
        In 0..1, rows sum to 1.
    temperature : float
        Above 0. 1 changes nothing, more makes all classes more alike, less the first one surer.

    Returns
    -------
    ndarray of float64, shape (n, n_classes)
        ``softmax(log(probabilities) / temperature)``, rows sum to 1.

    Raises
    ------
    ConfigurationError
        If the temperature is not above 0, or the rows are no probabilities.

    Examples
    --------
    >>> with_temperature([[0.8, 0.2]], 2.0).round(3)
    array([[0.667, 0.333]])
    """
    if not 0 < temperature < np.inf:
        raise ConfigurationError(f"temperature={temperature}: expected a number above 0")
    shares = _probabilities(probabilities)
    largest = shares.max(axis=1, keepdims=True)
    scaled = (shares / largest) ** (1 / temperature)
    return scaled / scaled.sum(axis=1, keepdims=True)


def reliability(labels: ArrayLike, probabilities: ArrayLike, *, bins: int = 15) -> pd.DataFrame:
    """Say how often a network is right, by how sure it is: a reliability diagram as a table.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        The position of the right class.
    probabilities : array_like of float, shape (n, n_classes)
        Of each class; the largest is the answer, and the confidence in it.
    bins : int
        Of equal width, from confidence 0 to 1.

    Returns
    -------
    DataFrame
        A row for each bin in which an image lies: ``from`` and ``to``, its edges (the upper one
        belongs to it); ``n`` images; ``confidence``, their mean; ``accuracy``, the share that is
        right, with ``accuracy_low`` and ``accuracy_high``, its 95% interval (Wilson 1927).

    Raises
    ------
    ConfigurationError
        If shapes do not fit, there is no image, or no bin.
    LabelError
        If a label is no position of a class.

    Examples
    --------
    >>> said = [[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]]
    >>> reliability([0, 0, 0, 1], said, bins=2)[["from", "to", "n", "confidence", "accuracy"]]
       from   to  n  confidence  accuracy
    0   0.5  1.0  4        0.75      0.75
    """
    confidence, right, place = _binned(labels, probabilities, bins)
    edges = np.linspace(0, 1, bins + 1)
    rows = []
    for position in np.unique(place):
        inside = place == position
        low, high = wilson(int(right[inside].sum()), int(inside.sum()))
        rows.append(
            {
                "from": edges[position],
                "to": edges[position + 1],
                "n": int(inside.sum()),
                "confidence": confidence[inside].mean(),
                "accuracy": right[inside].mean(),
                "accuracy_low": low,
                "accuracy_high": high,
            }
        )
    return pd.DataFrame(rows)


def calibration_scores(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    temperature: float = 1.0,
    bins: int = 15,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Score probabilities before and after a temperature, each figure with a 95% interval.

    Fit the temperature to other images than these.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        The position of the right class.
    probabilities : array_like of float, shape (n, n_classes)
        What a network says, rows sum to 1.
    temperature : float
        See `with_temperature`.
    bins : int
        Of the calibration error, see `reliability`.
    n_bootstrap : int
        How many times images are drawn anew with replacement.
    seed : int
        Of the draws.

    Returns
    -------
    dict
        ``n``, ``temperature``, and ``before``, ``after`` and ``difference`` (after less before),
        each with ``{"value", "low", "high"}`` of:

        - ``nll``: the negative log-likelihood of the labels, in nats, 0 or more;
        - ``brier``: the squared distance between the probabilities and the label, summed over the
          classes, 0..2 (Brier 1950, "Verification of forecasts expressed in terms of
          probability", Monthly Weather Review 78);
        - ``ece``: the expected calibration error, the distance between confidence and accuracy
          over the bins, 0..1 (Guo et al. 2017, https://arxiv.org/abs/1706.04599).

        The draws for all of them are the same, so that differences are paired. The calibration
        error is never 0, even where the network's probabilities are right: few images are not
        right as often as they should be. So ``before`` and ``after`` have ``ece_by_chance``, below
        which it lies 95 times in 100 if labels are drawn from the probabilities themselves (Bröcker
        and Smith 2007, "Increasing the reliability of reliability diagrams"). And drawing images
        anew adds to it once more, so that its draws are moved back by what they have too much.

    Raises
    ------
    ConfigurationError
        If shapes do not fit, there is no image, or a number is out of its range.
    LabelError
        If a label is no position of a class.

    Examples
    --------
    >>> result = calibration_scores([0, 0, 0, 1], [[0.9, 0.1]] * 4, temperature=2.0)
    >>> round(result["before"]["ece"]["value"], 3), round(result["after"]["ece"]["value"], 3)
    (0.15, 0.0)
    """
    if n_bootstrap < 1:
        raise ConfigurationError(f"n_bootstrap={n_bootstrap}: expected 1 or more")
    says = {
        "before": _probabilities(probabilities),
        "after": with_temperature(probabilities, temperature),
    }
    parts = {name: _Parts(labels, shares, bins) for name, shares in says.items()}
    n = len(parts["before"].nll)
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in says}
    for start in range(0, n_bootstrap, _BLOCK):
        size = min(_BLOCK, n_bootstrap - start)
        weights = rng.multinomial(n, np.full(n, 1 / n), size=size) / n
        for name, part in parts.items():
            drawn[name].append(part.metrics(weights))
    values = {name: part.metrics(np.full((1, n), 1 / n))[0] for name, part in parts.items()}
    draws = {name: np.concatenate(blocks) for name, blocks in drawn.items()}
    values["difference"] = values["after"] - values["before"]
    draws["difference"] = draws["after"] - draws["before"]
    result: dict[str, Any] = {"n": n, "temperature": round(float(temperature), 6)}
    for name, value in values.items():
        centred = draws[name] - draws[name].mean(axis=0) + value
        low, high = np.percentile(centred, [2.5, 97.5], axis=0)
        if name != "difference":  # which alone may be below 0
            low = np.maximum(low, 0)
        result[name] = {
            metric: {
                "value": round(float(value[k]), 6),
                "low": round(float(min(low[k], value[k])), 6),
                "high": round(float(max(high[k], value[k])), 6),
            }
            for k, metric in enumerate(_METRICS)
        }
        if name in parts:
            chance = _error_by_chance(parts[name], np.random.default_rng(seed))
            result[name]["ece_by_chance"] = round(chance, 6)
    return result


class _Parts:
    """What each image adds to the figures of a network."""

    def __init__(self, labels: ArrayLike, probabilities: NDArray[np.float64], bins: int) -> None:
        targets, shares = _checked(_positions(labels), probabilities)
        self.nll = -(targets * np.log(shares)).sum(axis=1)
        self.brier = ((shares - targets) ** 2).sum(axis=1)
        self.confidence, right, self.place = _binned(labels, probabilities, bins)
        self.bins = bins
        self.gap = self.confidence - right

    def metrics(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the figures of weighted images, (draws, metrics)."""
        return np.stack(
            [weights @ self.nll, weights @ self.brier, self.error(weights, self.gap)], axis=1
        )

    def error(self, weights: NDArray[np.float64], gap: NDArray[np.float64]) -> NDArray[np.float64]:
        of_bin = np.zeros((len(gap), self.bins))
        of_bin[np.arange(len(gap)), self.place] = gap
        return np.abs(weights @ of_bin).sum(axis=1)


def _error_by_chance(part: _Parts, rng: np.random.Generator, draws: int = 1000) -> float:
    """Return the calibration error that a network with right probabilities rarely exceeds."""
    n = len(part.confidence)
    equal = np.full((1, n), 1 / n)
    errors = [
        part.error(equal, part.confidence - (rng.random(n) < part.confidence))[0]
        for _ in range(draws)
    ]
    return float(np.percentile(errors, 95))


def calibration_table(scores: Mapping[str, Any]) -> pd.DataFrame:
    """Lay out what `calibration_scores` returns, for `interval_text`.

    Parameters
    ----------
    scores : mapping
        What `calibration_scores` returns.

    Returns
    -------
    DataFrame
        Rows ``before``, ``after`` and ``difference``; columns ``nll``, ``brier`` and ``ece``, each
        with ``_low`` and ``_high``, and ``ece_by_chance`` (NaN for the difference).

    Examples
    --------
    >>> scores = calibration_scores([0, 0, 0, 1], [[0.9, 0.1]] * 4, temperature=2.0)
    >>> calibration_table(scores)["brier"].round(3).to_dict()
    {'before': 0.42, 'after': 0.375, 'difference': -0.045}
    """
    rows = {}
    for name in ("before", "after", "difference"):
        row: dict[str, float] = {}
        for metric in _METRICS:
            figure = scores[name][metric]
            row |= {
                metric: figure["value"],
                f"{metric}_low": figure["low"],
                f"{metric}_high": figure["high"],
            }
        row["ece_by_chance"] = scores[name].get("ece_by_chance", np.nan)
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def coverage(labels: ArrayLike, probabilities: ArrayLike, *, steps: int = 20) -> pd.DataFrame:
    """Say how accurate a network is if it may keep silent where it is least sure.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        The position of the right class.
    probabilities : array_like of float, shape (n, n_classes)
        Of each class; the largest is the answer, and the confidence in it.
    steps : int
        Shares of the images that are answered: 1/steps, 2/steps, ..., 1.

    Returns
    -------
    DataFrame
        A row for each step: ``coverage``, the share of images answered; ``n``, their number;
        ``confidence``, the least of theirs, from which on the network answers; ``accuracy`` on
        them, with ``accuracy_low`` and ``accuracy_high``, its 95% interval (Wilson 1927). Shares
        in 0..1. See El-Yaniv and Wiener 2010, "On the foundations of noise-free selective
        classification", JMLR 11.

    Raises
    ------
    ConfigurationError
        If shapes do not fit, there is no image, or no step.
    LabelError
        If a label is no position of a class.

    Examples
    --------
    >>> said = [[0.9, 0.1], [0.4, 0.6]]
    >>> coverage([0, 0], said, steps=2)[["coverage", "n", "confidence", "accuracy"]]
       coverage  n  confidence  accuracy
    0       0.5  1         0.9       1.0
    1       1.0  2         0.6       0.5
    """
    if steps < 1:
        raise ConfigurationError(f"steps={steps}: expected 1 or more")
    confidence, right, _ = _binned(labels, probabilities, 1)
    order = np.argsort(-confidence, kind="stable")
    hits = right[order].cumsum()
    rows = []
    for step in range(1, steps + 1):
        n = max(1, round(len(order) * step / steps))
        low, high = wilson(int(hits[n - 1]), n)
        rows.append(
            {
                "coverage": step / steps,
                "n": n,
                "confidence": confidence[order[n - 1]],
                "accuracy": hits[n - 1] / n,
                "accuracy_low": low,
                "accuracy_high": high,
            }
        )
    return pd.DataFrame(rows)


def _binned(
    labels: ArrayLike, probabilities: ArrayLike, bins: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return each answer's confidence, whether it is right (1 or 0), and its bin."""
    if bins < 1:
        raise ConfigurationError(f"bins={bins}: expected 1 or more")
    targets, _ = _checked(_positions(labels), probabilities)
    shares = np.asarray(probabilities, np.float64)
    answers = shares.argmax(axis=1)
    rows = np.arange(len(shares))
    confidence = shares[rows, answers]
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return confidence, targets[rows, answers], place


def _positions(labels: ArrayLike) -> NDArray[Any]:
    positions = np.asarray(labels)
    if positions.ndim != 1:
        raise ConfigurationError(f"labels of shape {positions.shape}: expected (n,)")
    return positions


def _probabilities(probabilities: ArrayLike) -> NDArray[np.float64]:
    shares = np.asarray(probabilities, np.float64)
    if shares.ndim != 2 or shares.size == 0:
        raise ConfigurationError(
            f"probabilities of shape {shares.shape}: expected (n, n_classes), one row or more"
        )
    # Answers of networks in half precision miss 1 by up to some thousandths.
    if not ((shares >= 0).all() and (np.abs(shares.sum(axis=1) - 1) < 0.01).all()):
        raise ConfigurationError("rows that are no probabilities: expected 0..1 with sum 1")
    return shares


def _checked(
    labels: ArrayLike, probabilities: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how likely each class is, and what the network says, kept from 0."""
    shares = np.maximum(_probabilities(probabilities), _LEAST)
    given = np.asarray(labels)
    n, n_classes = shares.shape
    if given.ndim == 2:
        if given.shape != shares.shape:
            raise ConfigurationError(
                f"shares of shape {given.shape} and probabilities of shape {shares.shape}: "
                "expected the same"
            )
        return _probabilities(given), shares
    if given.shape != (n,):
        raise ConfigurationError(
            f"labels of shape {given.shape}: expected ({n},), one for each row of probabilities"
        )
    if given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= n_classes:
        raise LabelError(
            f"labels from {given.min()} to {given.max()}: expected 0 to {n_classes - 1}"
        )
    return np.eye(n_classes)[given], shares

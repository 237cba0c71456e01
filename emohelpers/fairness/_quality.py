"""Whether the quality of the images explains how groups differ."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.fairness._differences import comparable
from emohelpers.fairness._draws import Outcomes, check_draws, draw, interval, metric_name
from emohelpers.fairness._inputs import Feature, check_cases

__all__ = ["at_equal_quality", "quality_strata"]

# Fewer say too little of a group's figure in a stratum.
_FEWEST = 5


def quality_strata(quality: ArrayLike, *, n_strata: int = 5) -> pd.Series:
    """Divide images into strata of about equally many, by a score of their quality.

    Parameters
    ----------
    quality : array_like of float, shape (n,)
        Of any scale, for instance a column of `emohelpers.preprocessing.image_quality`.
    n_strata : int
        Five take away about nine tenths of what a measured cause adds to a difference
        (Cochran 1968). There are fewer where many images have the same score.

    Returns
    -------
    Series of ordered categories, named ``quality``
        ``1`` for the lowest scores, ``2``, ...

    Raises
    ------
    ConfigurationError
        If there are fewer images than strata, fewer than two strata, or a score is missing.

    References
    ----------
    W. G. Cochran (1968), The Effectiveness of Adjustment by Subclassification in Removing Bias in
    Observational Studies, Biometrics 24(2).

    Examples
    --------
    >>> quality_strata([0.1, 0.9, 0.2, 0.8], n_strata=2).tolist()
    ['1', '2', '1', '2']
    """
    scores = np.asarray(quality, float)
    if scores.ndim != 1 or not np.isfinite(scores).all():
        raise ConfigurationError(
            f"quality of shape {scores.shape}: expected (n,), a finite number for each image"
        )
    if not 2 <= n_strata <= len(scores):
        raise ConfigurationError(
            f"n_strata={n_strata} of {len(scores)} images: expected 2 or more, at most as many"
        )
    codes = pd.qcut(scores, n_strata, labels=False, duplicates="drop")
    _, places = np.unique(codes, return_inverse=True)
    names = [str(k + 1) for k in range(int(places.max()) + 1)]
    strata = pd.Categorical(np.array(names)[places], categories=names, ordered=True)
    return pd.Series(strata, name="quality")


def at_equal_quality(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: Any,
    quality: ArrayLike,
    *,
    by: Sequence[str] | None = None,
    metric: str = "accuracy",
    class_names: Sequence[str] | None = None,
    n_strata: int = 5,
    min_group_size: int = 30,
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare groups as if all had images of the same quality.

    Within a stratum of quality the groups' images are alike in it. Each group's strata are weighed
    by the shares that they have among all compared images (direct standardisation), and its metric
    computed of that. What remains between groups, quality as it was measured does not explain; what
    vanishes, it may: light is also part of how a group is treated.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, by, class_names, min_group_size
        As in `by_group`.
    quality : array_like of float, shape (n,)
        A score for each image; see `emohelpers.preprocessing.image_quality`.
    metric : str
        A name that `by_group` takes.
    n_strata : int
        See `quality_strata`.
    confidence, n_bootstrap, seed
        As in `by_group`; images are drawn within each group and stratum.

    Returns
    -------
    DataFrame
        A row for each reliable group of each feature that has two: ``feature``, ``group``, ``n``,
        ``left_out`` (images in strata in which some group has fewer than 5), the metric as it is
        (``NAME``) and at equal quality (``NAME_equal``), and how far each lies from that of all
        compared images (``difference``, ``difference_equal``), all with ``_low`` and ``_high``.

    Raises
    ------
    ConfigurationError
        As in `by_group` and `quality_strata`, if no feature has two reliable groups, or those of
        one have no stratum in common.
    LabelError
        As in `by_group`.

    References
    ----------
    K. J. Rothman, S. Greenland and T. L. Lash (2008), Modern Epidemiology, chapter 3:
    Standardisation.

    Examples
    --------
    Both groups are right on good images only, and one has fewer of them:

    >>> quality = [0] * 10 + [1] * 30 + [0] * 30 + [1] * 10
    >>> y_pred = [1 - good for good in quality]
    >>> tone = {"tone": ["light"] * 40 + ["dark"] * 40}
    >>> table = at_equal_quality([0] * 80, y_pred, tone, quality, n_strata=2)
    >>> table[["group", "accuracy", "accuracy_equal"]]
       group  accuracy  accuracy_equal
    0   dark      0.25             0.5
    1  light      0.75             0.5
    """
    if callable(metric):
        raise ConfigurationError(f"metric {metric!r}: expected a name, to be computed of weights")
    metric_name(metric)
    check_draws(confidence, n_bootstrap, min_group_size)
    cases = check_cases(y_true, y_pred, sensitive_features, by=by, class_names=class_names)
    if np.shape(quality) != (len(cases),):
        raise ConfigurationError(
            f"quality of shape {np.shape(quality)}: expected ({len(cases)},), one for each image"
        )
    strata = quality_strata(quality, n_strata=n_strata).cat.codes.to_numpy()
    outcomes = Outcomes(cases)
    rows = []
    for feature in comparable(cases, min_group_size):
        compared = np.flatnonzero(feature.reliable(min_group_size))
        counts = _common(outcomes, feature, compared, strata)
        found = _figures(metric, outcomes, counts[None].astype(float), counts)
        rng = np.random.default_rng(seed)
        cells = counts.reshape(-1, counts.shape[-1])
        drawn = draw(metric, outcomes, cells, n_bootstrap, rng, parts=len(counts))
        draws = _figures(metric, outcomes, drawn.reshape(-1, *counts.shape), counts)
        for k, group in enumerate(compared.tolist()):
            n = int(counts[:, k].sum())
            row = {
                "feature": feature.name,
                "group": feature.groups[group],
                "n": n,
                "left_out": int(feature.sizes[group]) - n,
            }
            for figures, suffix in ((slice(0, -1, 2), ""), (slice(1, -1, 2), "_equal")):
                value, spread = found[0, figures][k], draws[:, figures][:, k]
                row |= interval(f"{metric}{suffix}", value, spread, confidence)
                apart = spread - draws[:, -1]
                row |= interval(f"difference{suffix}", value - found[0, -1], apart, confidence)
            rows.append(row)
    return pd.DataFrame(rows)


def _common(
    outcomes: Outcomes, feature: Feature, compared: NDArray[Any], strata: NDArray[Any]
) -> NDArray[np.int64]:
    """Count pairs, (strata, groups, pairs), where all compared groups have images."""
    counts = np.stack(
        [outcomes.counts(feature, strata == k)[compared] for k in range(int(strata.max()) + 1)]
    )
    enough = (counts.sum(axis=2) >= _FEWEST).all(axis=1)
    if not enough.any():
        raise ConfigurationError(
            f"the groups of {feature.name!r} have no quality in common: expected a stratum with "
            f"{_FEWEST} images of each; try fewer strata, or fewer groups"
        )
    return counts[enough]


def _figures(
    metric: str, outcomes: Outcomes, drawn: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return each group's figure as it is and at equal quality, in turn, and that of all images.

    (draws, strata, groups, pairs) to (draws, 2 groups + 1).
    """
    sizes = counts.sum(axis=2)
    weights = sizes.sum(axis=1) / sizes.sum()
    as_it_is = outcomes.figure(metric, drawn.sum(axis=1))
    equal = np.einsum("dsgp,sg->dgp", drawn, weights[:, None] / sizes)
    both = np.stack([as_it_is, outcomes.figure(metric, equal)], axis=2).reshape(len(drawn), -1)
    overall = outcomes.figure(metric, drawn.sum(axis=(1, 2)))
    return np.concatenate([both, overall[:, None]], axis=1)

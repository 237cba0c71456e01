"""Whether groups lie further apart than chance would put them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import random_table

from emohelpers.errors import ConfigurationError
from emohelpers.fairness._differences import comparable
from emohelpers.fairness._draws import Metric, Outcomes, check_draws, metric_name
from emohelpers.fairness._inputs import check_cases, check_features

__all__ = ["holm", "permutation_test"]

_BLOCK = 250


def permutation_test(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    by: Sequence[str] | None = None,
    metric: Metric = "accuracy",
    class_names: Sequence[str] | None = None,
    strata: ArrayLike | None = None,
    min_group_size: int = 30,
    n_permutations: int = 5000,
    seed: int = 0,
) -> pd.DataFrame:
    """Test whether groups differ, by dealing out the images among them again.

    Were the group of no matter, every way to deal out labels with their predictions among groups
    of these sizes would be as likely as the one that was found. For each feature the largest
    difference of two groups is tested, and, where it has more than two, each group against the
    other compared ones. The p-value counts the permutations that lie as far apart, and the one
    that was found (Phipson and Smyth 2010).

    Among many groups some differ by chance. P-values are therefore corrected by Holm (1979), all
    largest differences together and all groups together: it bounds the chance of a single false
    claim and holds for tests that depend on each other in any way. These do: a group that is better
    makes the others worse than the rest, and intersections share their images. Corrections that
    bound the share of false claims, as Benjamini and Hochberg's, ask for less dependence.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, by, class_names, min_group_size
        As in `by_group`.
    metric : str or function
        One of those that `by_group` takes; a function is called for each group and permutation.
    strata : array_like, shape (n,), optional
        Images are dealt out only among those of the same stratum, at most 100 of them: with the
        label, what is tested is equalized odds; with strata of image quality, whether groups
        differ among images of equal quality.
    n_permutations : int
        The smallest p-value is ``1 / (n_permutations + 1)``.
    seed : int
        Of the permutations.

    Returns
    -------
    DataFrame
        ``feature``, ``test`` (``largest difference`` or ``against the rest``), ``group`` (or
        ``all``), ``difference``, ``by_chance`` (what 95% of the permutations do not exceed, without
        sign), ``p_value`` and ``p_holm``.

    Raises
    ------
    ConfigurationError
        As in `by_group`, and if no feature has two reliable groups.
    LabelError
        As in `by_group`.

    References
    ----------
    S. Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of
    Statistics 6(2).
    B. Phipson and G. K. Smyth (2010), Permutation P-values Should Never Be Zero, Statistical
    Applications in Genetics and Molecular Biology 9(1).

    Examples
    --------
    >>> race = ["A"] * 40 + ["B"] * 40
    >>> y_pred = [0] * 40 + [0] * 20 + [1] * 20
    >>> table = permutation_test([0] * 80, y_pred, {"race": race}, n_permutations=999)
    >>> table[["feature", "test", "difference", "p_value"]]
      feature                test  difference  p_value
    0    race  largest difference         0.5    0.001
    """
    metric_name(metric)
    check_draws(0.95, n_permutations, min_group_size)
    cases = check_cases(
        y_true,
        y_pred,
        sensitive_features,
        by=by,
        class_names=class_names,
        scores=callable(metric),
    )
    outcomes = Outcomes(cases)
    layers = np.zeros(len(cases), np.int64)
    if strata is not None:
        layers = check_features({"strata": np.asarray(strata)}, len(cases))[0].codes
    rng = np.random.default_rng(seed)
    rows = []
    for feature in comparable(cases, min_group_size):
        compared = feature.reliable(min_group_size)
        counts = np.stack(
            [outcomes.counts(feature, layers == layer)[compared] for layer in np.unique(layers)]
        )
        found, drawn = _apart(metric, outcomes, counts, n_permutations, rng)
        names = [group for group, kept in zip(feature.groups, compared, strict=True) if kept]
        for k, group in enumerate(["all", *names] if len(names) > 2 else ["all"]):
            # Strata may differ in their mix of groups, and then chance does not lie at zero.
            centre = 0.0 if k == 0 else np.nanmean(drawn[:, k])
            far = np.abs(drawn[:, k] - centre)
            as_far = int((far >= abs(found[k] - centre) - 1e-12).sum())
            rows.append(
                {
                    "feature": feature.name,
                    "test": "against the rest" if k else "largest difference",
                    "group": group,
                    "difference": float(found[k]),
                    "by_chance": float(np.nanquantile(far, 0.95)),
                    "p_value": (1 + as_far) / (1 + n_permutations),
                }
            )
    table = pd.DataFrame(rows).sort_values("test", ascending=False, kind="stable")
    table["p_holm"] = table.groupby("test")["p_value"].transform(lambda p: holm(p.to_numpy()))
    return table.sort_index().reset_index(drop=True)


def _apart(
    metric: Metric,
    outcomes: Outcomes,
    counts: NDArray[np.int64],
    n_permutations: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the largest difference, and each group's from the rest: found, and permuted.

    Counts are (strata, groups, pairs). A permutation within a stratum is a random table with the
    same sums of rows and columns.
    """
    tables = [random_table(layer.sum(axis=1), layer.sum(axis=0)) for layer in counts if layer.sum()]
    parts = [_statistics(metric, outcomes, counts.sum(axis=0)[None])]
    for start in range(0, n_permutations, _BLOCK):
        size = min(_BLOCK, n_permutations - start)
        drawn = sum(table.rvs(size, random_state=rng) for table in tables)
        parts.append(_statistics(metric, outcomes, np.asarray(drawn, np.int64)))
    statistics = np.concatenate(parts)
    return statistics[0], statistics[1:]


def _statistics(
    metric: Metric, outcomes: Outcomes, counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(draws, groups, pairs) to (draws, 1 + groups)."""
    figures = outcomes.figure(metric, counts)
    rest = outcomes.figure(metric, counts.sum(axis=1, keepdims=True) - counts)
    widest = np.nanmax(figures, axis=1) - np.nanmin(figures, axis=1)
    return np.concatenate([widest[:, None], figures - rest], axis=1)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Correct p-values for their number by Holm's step-down procedure.

    Parameters
    ----------
    p_values : array_like of float, shape (m,)
        In 0..1.

    Returns
    -------
    ndarray of float64, shape (m,)
        In 0..1: those below a level may be claimed together, with at most that chance of a single
        false claim.

    Raises
    ------
    ConfigurationError
        If one is not in 0..1.

    References
    ----------
    S. Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of
    Statistics 6(2).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, float)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ConfigurationError(f"p-values {values}: expected (m,) in 0..1")
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted

"""Equalized odds, for two classes and for more."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame, false_positive_rate, true_positive_rate
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.fairness._draws import Outcomes, check_draws, extremes, interval
from emohelpers.fairness._inputs import MISSING, Cases, Feature, check_cases

__all__ = ["equalized_odds", "find_rates", "largest_rates", "rate_differences"]

_RATES = {"true_positive_rate": true_positive_rate, "false_positive_rate": false_positive_rate}


def rate_differences(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    by: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    min_group_size: int = 30,
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare the rates of each class between groups, one class against the rest.

    The true positive rate of a class is the share of its images that are called by its name, the
    false positive rate the share of the other images that are. Equalized odds (Hardt, Price and
    Srebro 2016) asks that both are the same in all groups. For more than two classes it is asked of
    each class, the classwise form of Putzel and Lee (2022). Of two classes only the second is
    listed: the rates of the first are what is left of its rates to 1.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, by, class_names
        As in `by_group`.
    min_group_size : int
        A group's rate is compared where it stands on so many images: of the class for the true, of
        the others for the false positive rate.
    confidence, n_bootstrap, seed
        As in `by_group`: each rate is drawn from its Beta distribution, as there.

    Returns
    -------
    DataFrame
        A row for each feature, class and rate that two groups or more can be compared in:
        ``feature``, ``class``, ``rate`` (``true_positive_rate`` or ``false_positive_rate``),
        ``groups`` (how many were compared), ``highest``, ``lowest`` (their names),
        ``highest_rate``, ``lowest_rate``, ``difference`` with ``_low`` and ``_high``. As for
        `largest_differences`, chance alone makes differences larger than 0.

    Raises
    ------
    ConfigurationError
        As in `by_group`, and if there is nothing to compare.
    LabelError
        As in `by_group`.

    References
    ----------
    M. Hardt, E. Price and N. Srebro (2016), Equality of Opportunity in Supervised Learning, NIPS.
    P. Putzel and S. Lee (2022), Blackbox Post-Processing for Multiclass Fairness, SafeAI workshop,
    https://ceur-ws.org/Vol-3087/paper_36.pdf

    Examples
    --------
    >>> y_true = ([0] * 40 + [1] * 40) * 2
    >>> y_pred = [0] * 40 + [1] * 40 + [0] * 40 + [1] * 30 + [0] * 10
    >>> table = rate_differences(y_true, y_pred, {"age": ["young"] * 80 + ["old"] * 80})
    >>> table[["rate", "highest", "lowest", "difference"]]
                      rate highest lowest  difference
    0   true_positive_rate   young    old        0.25
    1  false_positive_rate     old  young        0.00
    """
    cases = check_cases(y_true, y_pred, sensitive_features, by=by, class_names=class_names)
    table = find_rates(
        cases,
        min_group_size=min_group_size,
        confidence=confidence,
        n_bootstrap=n_bootstrap,
        seed=seed,
    )
    if table.empty:
        raise ConfigurationError(
            f"nothing to compare in {', '.join(feature.name for feature in cases.features)}: "
            f"expected two groups with {min_group_size} images of a class, or of its others"
        )
    return table


def equalized_odds(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    by: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    min_group_size: int = 30,
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how far a network is from equalized odds: the largest difference of any rate.

    For two classes it is fairlearn's ``equalized_odds_difference``, of the reliable groups; for
    more, the largest over the classes, each against the rest.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, by, class_names, min_group_size
        As in `rate_differences`.
    confidence, n_bootstrap, seed
        As in `rate_differences`.

    Returns
    -------
    DataFrame
        The row of `rate_differences` with the largest difference, for each feature that has one.

    Raises
    ------
    ConfigurationError
        As in `rate_differences`.
    LabelError
        As in `by_group`.

    Examples
    --------
    >>> y_true = ([0] * 40 + [1] * 40) * 2
    >>> y_pred = [0] * 40 + [1] * 40 + [0] * 40 + [1] * 30 + [0] * 10
    >>> table = equalized_odds(y_true, y_pred, {"age": ["young"] * 80 + ["old"] * 80})
    >>> table[["feature", "rate", "difference"]]
      feature                rate  difference
    0     age  true_positive_rate        0.25
    """
    table = rate_differences(
        y_true,
        y_pred,
        sensitive_features,
        by=by,
        class_names=class_names,
        min_group_size=min_group_size,
        confidence=confidence,
        n_bootstrap=n_bootstrap,
        seed=seed,
    )
    return largest_rates(table)


def find_rates(
    cases: Cases, *, min_group_size: int, confidence: float, n_bootstrap: int, seed: int
) -> pd.DataFrame:
    """Return the rows of `rate_differences`, if there are any."""
    check_draws(confidence, n_bootstrap, min_group_size)
    outcomes = Outcomes(cases)
    n_classes = len(cases.class_names)
    rows = []
    for feature in cases.features:
        counts = outcomes.counts(feature).reshape(-1, n_classes, n_classes)
        rng = np.random.default_rng(seed)
        for label in range(n_classes) if n_classes > 2 else (1,):
            values = _frame(cases, feature, label).by_group.reindex(list(feature.groups))
            for rate in _RATES:
                hits, n = _rate_counts(counts, label, rate)
                kept = (n >= min_group_size) & (np.array(feature.groups) != MISSING)
                if kept.sum() < 2:
                    continue
                found = values[rate].where(kept).to_numpy(float)
                highest, lowest = extremes(found)
                drawn = rng.beta(hits + 0.5, n - hits + 0.5, (n_bootstrap, len(n)))
                apart = drawn[:, highest] - drawn[:, lowest]
                rows.append(
                    {
                        "feature": feature.name,
                        "class": cases.class_names[label],
                        "rate": rate,
                        "groups": int(kept.sum()),
                        "highest": feature.groups[highest],
                        "lowest": feature.groups[lowest],
                        "highest_rate": found[highest],
                        "lowest_rate": found[lowest],
                        **interval("difference", found[highest] - found[lowest], apart, confidence),
                    }
                )
    return pd.DataFrame(rows)


def largest_rates(table: pd.DataFrame) -> pd.DataFrame:
    """Return the row with the largest difference of each feature."""
    largest = table.groupby("feature", sort=False)["difference"].idxmax()
    return table.loc[largest].reset_index(drop=True)


def _frame(cases: Cases, feature: Feature, label: int) -> MetricFrame:
    return MetricFrame(
        metrics=_RATES,
        y_true=(cases.y_true == label).astype(int),
        y_pred=(cases.y_pred == label).astype(int),
        sensitive_features=pd.Series(
            np.array(feature.groups, dtype=object)[feature.codes], name=feature.name
        ),
    )


def _rate_counts(
    counts: NDArray[np.int64], label: int, rate: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how often a class was named and of how many images, for each group."""
    own, named = counts[:, label].sum(-1), counts[:, :, label].sum(-1)
    if rate == "true_positive_rate":
        return counts[:, label, label], own
    return named - counts[:, label, label], counts.sum((-2, -1)) - own

"""Everything about groups in one call: as tables, and as the section of a model card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike

from emohelpers.evaluation import interval_text, markdown
from emohelpers.fairness._differences import largest_differences
from emohelpers.fairness._draws import Metric, metric_name
from emohelpers.fairness._groups import ALL, by_group
from emohelpers.fairness._inputs import check_cases
from emohelpers.fairness._odds import find_rates, largest_rates
from emohelpers.fairness._tests import permutation_test

__all__ = ["Assessment", "assess", "groups_text", "report"]

_TABLES = ("groups", "largest", "tests", "odds")


@dataclass(frozen=True)
class Assessment:
    """What is known of a network by group; see `assess`.

    Parameters
    ----------
    metric : str
        The name of the metric.
    min_group_size : int
        Images from which on a group is compared.
    confidence : float
        Of the intervals.
    groups : DataFrame
        What `by_group` returns.
    largest, tests, odds : DataFrame
        What `largest_differences`, `permutation_test` and `equalized_odds` return; without rows
        where there is nothing to compare.
    """

    metric: str
    min_group_size: int
    confidence: float
    groups: pd.DataFrame
    largest: pd.DataFrame = field(default_factory=pd.DataFrame)
    tests: pd.DataFrame = field(default_factory=pd.DataFrame)
    odds: pd.DataFrame = field(default_factory=pd.DataFrame)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it: tables as lists of rows, with None for NaN."""
        tables = {name: getattr(self, name).round(6).astype(object) for name in _TABLES}
        return {
            "metric": self.metric,
            "min_group_size": self.min_group_size,
            "confidence": self.confidence,
            **{
                name: table.where(table.notna(), None).to_dict("records")
                for name, table in tables.items()
            },
        }

    def to_markdown(self) -> str:
        """Write it as the section of a model card."""
        return _markdown(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Assessment":
        """Return what `to_dict` made a dictionary of."""
        settings = (content["metric"], content["min_group_size"], content["confidence"])
        return cls(*settings, *(pd.DataFrame(content[name]) for name in _TABLES))


def assess(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    by: Sequence[str] | None = None,
    metric: Metric = "accuracy",
    class_names: Sequence[str] | None = None,
    min_group_size: int = 30,
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
    n_permutations: int = 5000,
    seed: int = 0,
) -> Assessment:
    """Assess a network by group: figures, largest differences, tests and equalized odds.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, by, class_names, min_group_size
        As in `by_group`; predictions are classes.
    metric : str or function
        One of those that `by_group` takes.
    confidence, n_bootstrap, seed
        As in `by_group`.
    n_permutations : int
        See `permutation_test`.

    Returns
    -------
    Assessment

    Raises
    ------
    ConfigurationError, LabelError
        As in `by_group`.

    Examples
    --------
    >>> race = ["A"] * 40 + ["B"] * 40
    >>> y_pred = [0] * 36 + [1] * 4 + [0] * 32 + [1] * 8
    >>> found = assess([0] * 80, y_pred, {"race": race}, n_permutations=999)
    >>> found.groups["n"].tolist(), len(found.largest)
    ([80, 40, 40], 1)
    """
    given = (y_true, y_pred, sensitive_features)
    common: dict[str, Any] = {
        "by": by,
        "class_names": class_names,
        "min_group_size": min_group_size,
        "seed": seed,
    }
    drawn = {**common, "confidence": confidence, "n_bootstrap": n_bootstrap}
    groups = by_group(*given, metrics=metric, **drawn)
    settings = (metric_name(metric), min_group_size, confidence)
    reliable = groups[groups["reliable"] & (groups["feature"] != ALL)]
    if not reliable["feature"].duplicated().any():
        return Assessment(*settings, groups)
    rates = find_rates(
        check_cases(*given, by=by, class_names=class_names),
        min_group_size=min_group_size,
        confidence=confidence,
        n_bootstrap=n_bootstrap,
        seed=seed,
    )
    return Assessment(
        *settings,
        groups,
        largest_differences(*given, metric=metric, **drawn),
        permutation_test(*given, metric=metric, n_permutations=n_permutations, **common),
        rates if rates.empty else largest_rates(rates),
    )


def report(y_true: ArrayLike, y_pred: ArrayLike, sensitive_features: Any, **options: Any) -> str:
    """Write the section of a model card that says how a network does by group.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, **options
        As in `assess`, whose result also writes it (`Assessment.to_markdown`).

    Returns
    -------
    str
        Markdown, without a line end at the end.

    Raises
    ------
    ConfigurationError, LabelError
        As in `assess`.

    Examples
    --------
    >>> race = ["A"] * 40 + ["B"] * 40
    >>> y_pred = [0] * 36 + [1] * 4 + [0] * 32 + [1] * 8
    >>> text = report([0] * 80, y_pred, {"race": race}, n_permutations=999)
    >>> [line for line in text.splitlines() if line.startswith("| race | A | 40")]
    ['| race | A | 40 | 0.900 (0.785 to 0.963) |']
    """
    return assess(y_true, y_pred, sensitive_features, **options).to_markdown()


def _markdown(assessment: Assessment) -> str:
    share = f"{assessment.confidence:.0%}"
    name = assessment.metric.replace("_", " ").replace("f1", "F1")
    few = f"fewer than {assessment.min_group_size} images"
    lines = [
        "## By group",
        f"{name.capitalize()} with {share} intervals. Groups marked † have {few}, or are those "
        "whose feature is not known: their figures are unreliable, and they are not compared.",
        "",
        markdown(groups_text(assessment)),
        "",
    ]
    if assessment.largest.empty:
        lines.append(f"No feature has two groups that can be compared (without {few}).")
        return "\n".join(lines)
    lines += [
        "The groups with the highest and the lowest figure. Among several groups some always lie "
        "apart: `by chance` is what 95% of random divisions into groups of these sizes stay below, "
        "and p, from a permutation test, is corrected for the number of features (Holm).",
        "",
        markdown(_largest_text(assessment)),
        "",
        _against_rest(assessment.tests),
    ]
    if not assessment.odds.empty:
        lines += [
            "",
            "Equalized odds: the largest difference between groups in the share of a class's "
            "images that are called by its name (true positives), or of the other images that are "
            "(false positives).",
            "",
            markdown(_odds_text(assessment.odds)),
        ]
    return "\n".join(lines)


def groups_text(assessment: Assessment, *, decimals: int = 3) -> pd.DataFrame:
    """Write the table by group, to be read and not calculated with."""
    table = interval_text(assessment.groups, decimals=decimals)
    table["group"] = [
        group if reliable else f"{group} †"
        for group, reliable in zip(table["group"], table["reliable"], strict=True)
    ]
    table["n"] = [f"{n:,}" for n in table["n"]]
    return table.drop(columns="reliable").rename(
        columns={"n": "images", assessment.metric: assessment.metric.replace("_", " ")}
    )


def _largest_text(assessment: Assessment) -> pd.DataFrame:
    tests = assessment.tests[assessment.tests["test"] == "largest difference"]
    tests = tests.set_index("feature").loc[assessment.largest["feature"]]
    difference = [f"difference{suffix}" for suffix in ("", "_low", "_high")]
    table = interval_text(assessment.largest[["feature", "highest", "lowest", *difference]])
    return table.assign(
        **{
            "by chance": [f"{value:.3f}" for value in tests["by_chance"]],
            "p": [_p_text(value) for value in tests["p_holm"]],
        }
    )


def _against_rest(tests: pd.DataFrame) -> str:
    groups = tests[tests["test"] == "against the rest"]
    apart = groups[groups["p_holm"] < 0.05]
    if groups.empty:
        return "No feature has more than two groups to compare one by one."
    if apart.empty:
        return (
            "No group differs from the other compared groups of its feature by more than chance "
            f"would have it (smallest of {len(groups)} corrected p-values: "
            f"{_p_text(groups['p_holm'].min())})."
        )
    columns = ("feature", "group", "difference", "p_holm")
    named = "; ".join(
        f"{feature} {group} {difference:+.3f} (p {_p_text(p)})"
        for feature, group, difference, p in zip(*map(apart.get, columns), strict=True)
    )
    return (
        f"Of {len(groups)} groups, those that differ from the other compared groups of their "
        f"feature by more than chance would have it, p corrected for their number: {named}."
    )


def _odds_text(odds: pd.DataFrame) -> pd.DataFrame:
    difference = [f"difference{suffix}" for suffix in ("", "_low", "_high")]
    table = interval_text(odds[["feature", "class", "rate", "highest", "lowest", *difference]])
    return table.assign(rate=[rate.replace("_", " ") for rate in table["rate"]])


def _p_text(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"

"""Assess a network by group of people, and compare ways to mitigate what is found.

`by_group`, `differences`, `largest_differences`, `equalized_odds` and `rate_differences` say how
well each group is served, on fairlearn's `MetricFrame`, with intervals; `permutation_test` says
whether chance would do as much, `at_equal_quality` whether the quality of the images explains it.
`reweighing`, `balanced_rows`, `repeat_groups` and `fit_thresholds` change what is learnt or
decided, and `compare` says what that costs everybody and each group. `assess`
makes all tables in one call, and `report` the section of a model card.

A difference that is found is one between images of groups in this data; where it comes from, and
what it means for people, no figure says.
"""

from emohelpers.fairness._compare import compare
from emohelpers.fairness._differences import differences, largest_differences
from emohelpers.fairness._groups import by_group
from emohelpers.fairness._inputs import check_features
from emohelpers.fairness._mitigation import (
    GroupThresholds,
    balanced_rows,
    fit_thresholds,
    repeat_groups,
    reweighing,
)
from emohelpers.fairness._odds import equalized_odds, rate_differences
from emohelpers.fairness._quality import at_equal_quality, quality_strata
from emohelpers.fairness._report import Assessment, assess, groups_text, report
from emohelpers.fairness._tests import holm, permutation_test

__all__ = [
    "Assessment",
    "GroupThresholds",
    "assess",
    "at_equal_quality",
    "balanced_rows",
    "by_group",
    "check_features",
    "compare",
    "differences",
    "equalized_odds",
    "fit_thresholds",
    "groups_text",
    "holm",
    "largest_differences",
    "permutation_test",
    "quality_strata",
    "rate_differences",
    "repeat_groups",
    "report",
    "reweighing",
]

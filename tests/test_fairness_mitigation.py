"""Weights, rows and thresholds recomputed, and what they cost against boolean masks."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emohelpers import fairness
from emohelpers.errors import ConfigurationError, LabelError


def cells(seed, n=150):
    rng = np.random.default_rng(seed)
    groups = rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1])
    labels = (rng.random(n) < np.where(groups == "a", 0.7, 0.3)).astype(int)
    return labels, groups


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_reweighing_makes_groups_and_classes_independent(seed):
    labels, groups = cells(seed)
    weights = fairness.reweighing(labels, groups)
    if len(pd.Series(zip(labels, groups, strict=True)).unique()) < 6:
        return
    table = pd.crosstab(groups, labels, weights, aggfunc="sum").to_numpy()
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    assert table == pytest.approx(expected)
    assert weights.mean() == pytest.approx(1)
    for group in "abc":  # totals stay what they were
        assert weights[groups == group].sum() == pytest.approx((groups == group).sum())


@pytest.mark.parametrize(("how", "of"), [("over", "max"), ("under", "min")])
def test_balanced_rows_hold_as_many_of_each_class_of_each_group(how, of):
    labels, groups = cells(1)
    groups = pd.Series(groups).where(np.arange(150) != 7)  # one is not known
    rows = fairness.balanced_rows(labels, groups, how=how, seed=3)
    counts = pd.crosstab(groups[rows].to_numpy(), labels[rows]).to_numpy()
    sizes = pd.crosstab(groups.to_numpy(), labels).to_numpy()
    assert (counts == getattr(sizes, of)()).all()
    assert 7 not in rows
    assert (np.diff(rows) >= 0).all()
    again = fairness.balanced_rows(labels, groups, how=how, seed=3)
    assert rows.tolist() == again.tolist()
    if how == "over":  # nothing is lost
        assert set(rows) == set(range(150)) - {7}


def test_repeated_groups_stand_as_often_as_asked():
    _, groups = cells(2)
    rows = fairness.repeat_groups({"age": groups}, {"c": 4, "b": 2})
    numbers = np.bincount(rows, minlength=150)
    assert numbers.tolist() == [{"a": 1, "b": 2, "c": 4}[group] for group in groups]


def scored(seed, n=2000):
    """Scores of which those of group b are lower, with labels and groups."""
    rng = np.random.default_rng(seed)
    groups = rng.choice(["a", "b"], n)
    labels = rng.integers(0, 2, n)
    raw = rng.normal(np.where(labels == 1, 1.0, -1.0), 1) - np.where(groups == "b", 1.0, 0.0)
    return labels, 1 / (1 + np.exp(-raw)), groups


def odds(labels, predicted, groups):
    rates = [
        [predicted[(groups == group) & (labels == label)].mean() for group in "ab"]
        for label in (0, 1)
    ]
    return max(abs(first - second) for first, second in rates)


def test_thresholds_of_groups_bring_their_rates_together():
    labels, scores, groups = scored(0)
    thresholds = fairness.fit_thresholds(labels, scores, {"age": groups})
    labels, scores, groups = scored(1)
    before = (scores >= 0.5).astype(int)
    after = thresholds.predict(scores, {"age": groups}, seed=0)
    assert odds(labels, before, groups) > 0.2
    assert odds(labels, after, groups) < 0.06
    assert after.tolist() == thresholds.predict(scores, {"age": groups}, seed=0).tolist()
    both = np.stack([1 - scores, scores], axis=1)
    assert after.tolist() == thresholds.predict(both, {"age": groups}, seed=0).tolist()


def test_one_threshold_for_each_group_of_equal_opportunity():
    labels, scores, groups = scored(2)
    thresholds = fairness.fit_thresholds(
        labels, scores, groups, constraint="true_positive_rate_parity"
    )
    predicted = thresholds.predict(scores, groups)
    rates = [predicted[(groups == group) & (labels == 1)].mean() for group in "ab"]
    assert rates[0] == pytest.approx(rates[1], abs=0.03)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"probabilities": [[0.5, 0.6]] * 4}, "probabilities [0.5, 0.6] in row 0"),
        ({"probabilities": [0.1, 0.2, 1.4, 0.3]}, "in row 2: expected 0 to 1"),
        ({"probabilities": [0.1, 0.2, np.nan, 0.3]}, "in row 2"),
        ({"probabilities": [[0.1, 0.2, 0.7]] * 4}, "expected (n, 2)"),
        ({"probabilities": [0.1] * 3}, "4 labels and 3 probabilities"),
        ({"sensitive_features": ["a"] * 3}, "3 images and labels of 4"),
        ({"sensitive_features": ["a", "b", None, "a"]}, "(missing)"),
        ({"sensitive_features": ["a", "b", "b", "a"], "y_true": [0, 1, 1, 1]}, "not so b"),
        ({"constraint": "luck"}, "constraints are supported"),
    ],
)
def test_bad_input_to_thresholds_is_named(change, words):
    given = {
        "y_true": [0, 1, 0, 1],
        "probabilities": [0.1, 0.9, 0.2, 0.8],
        "sensitive_features": ["a", "a", "b", "b"],
    }
    with pytest.raises(ConfigurationError) as caught:
        fairness.fit_thresholds(**given | change)
    assert words in str(caught.value)


def test_thresholds_know_no_other_groups():
    thresholds = fairness.fit_thresholds([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8], list("aabb"))
    with pytest.raises(ConfigurationError, match=r"no threshold for c: expected .* a, b"):
        thresholds.predict([0.5], ["c"])


def test_bad_input_to_weights_and_rows_is_named():
    with pytest.raises(LabelError, match="labels from -1"):
        fairness.reweighing([0, -1], ["a", "b"])
    with pytest.raises(ConfigurationError, match="how='both'"):
        fairness.balanced_rows([0, 1], ["a", "b"], how="both")
    with pytest.raises(ConfigurationError, match="one class and one group"):
        fairness.balanced_rows([0, 0], ["a", "a"])
    with pytest.raises(ConfigurationError, match="for some of a, b"):
        fairness.repeat_groups(["a", "b"], {"c": 2})
    with pytest.raises(ConfigurationError, match="expected 1 or more"):
        fairness.repeat_groups(["a", "b"], {"a": 0})


def test_costs_are_changes_of_the_same_images():
    rng = np.random.default_rng(5)
    groups = np.repeat(["a", "b"], [300, 100])
    y_true = rng.integers(0, 3, 400)
    first = np.where(rng.random(400) < np.where(groups == "b", 0.4, 0.1), (y_true + 1) % 3, y_true)
    second = np.where((groups == "b") & (rng.random(400) < 0.7), y_true, first)
    second[:9] = (y_true[:9] + 1) % 3
    table = fairness.compare(y_true, {"as it is": first, "other": second}, {"age": groups})
    assert table["way"].tolist() == ["as it is"] * 3 + ["other"] * 3
    assert table["change"].isna().tolist() == [True] * 3 + [False] * 3
    gained = (second == y_true).astype(float) - (first == y_true)
    for _, row in table[3:].iterrows():
        mask = np.ones(400, bool) if row["group"] == "all" else groups == row["group"]
        assert row["accuracy"] == pytest.approx((second == y_true)[mask].mean())
        assert row["change"] == pytest.approx(gained[mask].mean())
        half = 1.96 * gained[mask].std() / np.sqrt(mask.sum())
        assert row["change_low"] == pytest.approx(row["change"] - half, abs=0.02)
        assert row["change_high"] == pytest.approx(row["change"] + half, abs=0.02)
    paired = table["change_high"][5] - table["change_low"][5]
    assert paired < table["accuracy_high"][5] - table["accuracy_low"][5] + 0.06

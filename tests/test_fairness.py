"""Figures by group against boolean masks, fairlearn, scipy and simulated truth."""

import json

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, equalized_odds_difference
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from emohelpers import fairness
from emohelpers.errors import ConfigurationError, LabelError

NAMES = ("anger", "happiness", "neutral")


def outcome(seed, n=240, n_classes=3, wrong=0.25):
    """Labels, predictions and two features; `old` is called wrongly more often."""
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, n_classes, n)
    age = rng.choice(["young", "middle", "old"], n, p=[0.4, 0.35, 0.25])
    gender = rng.choice(["female", "male"], n)
    flip = rng.random(n) < np.where(age == "old", wrong + 0.2, wrong)
    y_pred = np.where(flip, rng.integers(0, n_classes, n), y_true)
    return y_true, y_pred, pd.DataFrame({"age": age, "gender": gender})


@given(st.integers(0, 10_000))
@settings(max_examples=15)
def test_every_figure_equals_that_of_the_rows_of_a_mask(seed):
    y_true, y_pred, table = outcome(seed)
    found = fairness.by_group(
        y_true,
        y_pred,
        table,
        by=["age", "age+gender"],
        metrics=["accuracy", "macro_f1"],
        min_group_size=25,
        n_bootstrap=20,
    ).set_index(["feature", "group"])
    masks = {("all", "all"): np.ones(len(y_true), bool)}
    for age in table["age"].unique():
        masks["age", age] = (table["age"] == age).to_numpy()
        for gender in table["gender"].unique():
            masks["age+gender", f"{age}, {gender}"] = (
                masks["age", age] & (table["gender"] == gender).to_numpy()
            )
    assert set(found.index) == {key for key, mask in masks.items() if mask.any()}
    for key, mask in masks.items():
        if not mask.any():
            continue
        row = found.loc[key]
        assert row["n"] == mask.sum()
        assert row["reliable"] == (mask.sum() >= 25)
        assert row["accuracy"] == pytest.approx((y_true == y_pred)[mask].mean())
        f1 = sk.f1_score(y_true[mask], y_pred[mask], average="macro", zero_division=0)
        assert row["macro_f1"] == pytest.approx(f1)
        assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]


def test_the_interval_of_an_accuracy_is_jeffreys():
    for right, n in [(28, 30), (300, 400), (1, 1), (40, 40)]:
        y_pred = [0] * right + [1] * (n - right)
        row = fairness.by_group([0] * n, y_pred, ["a"] * n, n_bootstrap=40_000).iloc[1]
        low, high = stats.beta.ppf([0.025, 0.975], right + 0.5, n - right + 0.5)
        assert row["accuracy_low"] == pytest.approx(low, abs=0.004)
        assert row["accuracy_high"] == pytest.approx(1 if right == n else high, abs=0.004)


def test_the_interval_of_a_macro_f1_agrees_with_resampled_rows():
    y_true, y_pred, table = outcome(3, n=900)
    row = fairness.by_group(y_true, y_pred, table, by=["age"], metrics="macro_f1").iloc[1]
    mask = (table["age"] == row["group"]).to_numpy()
    rng = np.random.default_rng(5)
    drawn = [rng.choice(np.flatnonzero(mask), mask.sum()) for _ in range(400)]
    values = [sk.f1_score(y_true[r], y_pred[r], average="macro") for r in drawn]
    low, high = np.percentile(values, [2.5, 97.5])
    assert row["macro_f1_low"] == pytest.approx(low, abs=0.012)
    assert row["macro_f1_high"] == pytest.approx(high, abs=0.012)


def test_intervals_of_small_groups_cover_the_truth():
    rng = np.random.default_rng(0)
    # Three hundred groups of 33 images, each right with probability .95, as groups of one feature
    # each: a percentile bootstrap covers the truth in four of five.
    covered = 0
    for part in range(3):
        groups = np.repeat(np.arange(100), 33)
        y_pred = (rng.random(len(groups)) > 0.95).astype(int)
        table = fairness.by_group(
            np.zeros(len(groups), int), y_pred, groups, n_bootstrap=500, seed=part
        )[1:]
        covered += table["accuracy_low"].le(0.95).mul(table["accuracy_high"].ge(0.95)).sum()
    assert 0.92 <= covered / 300 <= 0.99


def test_a_function_of_scores_is_a_metric_too():
    y_true, _, table = outcome(1, n_classes=2)
    scores = np.random.default_rng(2).random(len(y_true)).round(2) * 0.5 + y_true * 0.3
    found = fairness.by_group(
        y_true, scores, table, by=["gender"], metrics=sk.roc_auc_score, n_bootstrap=60
    )
    for _, row in found[1:].iterrows():
        mask = (table["gender"] == row["group"]).to_numpy()
        assert row["roc_auc_score"] == pytest.approx(sk.roc_auc_score(y_true[mask], scores[mask]))
        assert row["roc_auc_score_low"] < row["roc_auc_score"] < row["roc_auc_score_high"]


def test_differences_and_ratios_are_fairlearns():
    y_true, y_pred, table = outcome(4)
    frame = MetricFrame(
        metrics=sk.accuracy_score, y_true=y_true, y_pred=y_pred, sensitive_features=table["age"]
    )
    row = fairness.largest_differences(y_true, y_pred, table, by=["age"], n_bootstrap=50).iloc[0]
    assert row["difference"] == pytest.approx(frame.difference())
    assert row["ratio"] == pytest.approx(frame.ratio())
    assert row["lowest"] == frame.by_group.idxmin()
    assert row["highest"] == frame.by_group.idxmax()
    overall = fairness.differences(y_true, y_pred, table, by=["age"], n_bootstrap=50)
    largest = overall["difference"].abs().max()
    assert largest == pytest.approx(frame.difference(method="to_overall"))
    pairs = fairness.differences(y_true, y_pred, table, by=["age"], against="groups")
    assert len(pairs) == 3
    assert pairs["difference"].abs().max() == pytest.approx(frame.difference())


def test_the_interval_of_a_difference_agrees_with_the_normal_one_of_large_groups():
    n = 4000
    y_pred = np.r_[np.arange(n) % 10 == 0, np.arange(n) % 5 == 0].astype(int)
    groups = ["a"] * n + ["b"] * n
    row = fairness.differences(np.zeros(2 * n, int), y_pred, groups, against="groups").iloc[0]
    half = 1.96 * np.sqrt(0.1 * 0.9 / n + 0.2 * 0.8 / n)
    assert row["difference"] == pytest.approx(0.1)
    assert row["difference_low"] == pytest.approx(0.1 - half, abs=0.001)
    assert row["difference_high"] == pytest.approx(0.1 + half, abs=0.001)


def test_the_permutation_test_of_two_groups_is_fishers_exact_one():
    # The hypergeometric distribution is what permuting does; Fisher sums up rarer tables.
    y_pred = [0] * 33 + [1] * 7 + [0] * 24 + [1] * 16
    table = fairness.permutation_test([0] * 80, y_pred, ["a"] * 40 + ["b"] * 40)
    exact = stats.fisher_exact([[33, 7], [24, 16]]).pvalue
    assert len(table) == 1
    assert table["p_value"][0] == pytest.approx(exact, abs=0.01)


def test_the_permutation_test_agrees_with_shuffled_groups():
    y_true, y_pred, table = outcome(6)
    found = fairness.permutation_test(y_true, y_pred, table, by=["age"], metric="balanced_accuracy")
    row = found.set_index("group").loc["old"]
    rng = np.random.default_rng(1)
    mask = (table["age"] == "old").to_numpy()

    def apart(chosen):
        recalls = [
            [(y_pred == k)[rows & (y_true == k)].mean() for k in range(3)]
            for rows in (chosen, ~chosen)
        ]
        return np.mean(recalls[0]) - np.mean(recalls[1])

    shuffled = np.array([abs(apart(rng.permutation(mask))) for _ in range(1000)])
    assert row["difference"] == pytest.approx(apart(mask))
    assert row["p_value"] == pytest.approx((shuffled >= abs(apart(mask))).mean(), abs=0.06)
    assert row["by_chance"] == pytest.approx(np.quantile(shuffled, 0.95), rel=0.12)


def test_where_groups_do_not_differ_p_values_are_even():
    rng = np.random.default_rng(3)
    p_values = []
    for seed in range(60):
        y_pred = (rng.random(200) > 0.7).astype(int)
        table = fairness.permutation_test(
            np.zeros(200, int), y_pred, rng.choice(list("abc"), 200), n_permutations=300, seed=seed
        )
        p_values.append(table["p_value"][0])
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_strata_take_out_what_they_explain():
    rng = np.random.default_rng(0)
    dark = rng.random(2000) < np.repeat([0.2, 0.8], 1000)
    y_pred = (rng.random(2000) < np.where(dark, 0.4, 0.05)).astype(int)
    groups = ["light"] * 1000 + ["dark"] * 1000
    given = (np.zeros(2000, int), y_pred, groups)
    assert fairness.permutation_test(*given, n_permutations=500)["p_value"][0] < 0.01
    within = fairness.permutation_test(*given, strata=dark, n_permutations=500)
    assert within["p_value"][0] > 0.05


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_its_definition_rejects(p_values):
    adjusted = fairness.holm(p_values)
    for level in (0.01, 0.05, 0.2):
        rejected = set()
        order = sorted(range(len(p_values)), key=p_values.__getitem__)
        for step, k in enumerate(order):
            if p_values[k] * (len(p_values) - step) > level:
                break
            rejected.add(k)
        assert {k for k, p in enumerate(adjusted) if p <= level} == rejected


@pytest.mark.parametrize("seed", range(4))
def test_equalized_odds_of_two_classes_is_fairlearns(seed):
    y_true, y_pred, table = outcome(seed, n_classes=2, n=600)
    row = fairness.equalized_odds(y_true, y_pred, table, by=["age"], n_bootstrap=50).iloc[0]
    expected = equalized_odds_difference(y_true, y_pred, sensitive_features=table["age"])
    assert row["difference"] == pytest.approx(expected)
    assert row["difference"] == pytest.approx(row["highest_rate"] - row["lowest_rate"])


def test_equalized_odds_of_more_classes_is_the_largest_of_one_against_the_rest():
    y_true, y_pred, table = outcome(8, n=900)
    row = fairness.equalized_odds(
        y_true, y_pred, table, by=["age"], class_names=NAMES, n_bootstrap=50
    ).iloc[0]
    gaps = {
        name: equalized_odds_difference(y_true == k, y_pred == k, sensitive_features=table["age"])
        for k, name in enumerate(NAMES)
    }
    assert row["class"] == max(gaps, key=gaps.get)
    assert row["difference"] == pytest.approx(max(gaps.values()))
    every = fairness.rate_differences(y_true, y_pred, table, by=["age"], n_bootstrap=50)
    assert len(every) == 6


def test_rates_on_few_images_are_not_compared():
    y_true = [1] * 10 + [0] * 40 + [1] * 40 + [0] * 40
    table = fairness.rate_differences(y_true, y_true, ["a"] * 50 + ["b"] * 80)
    assert table["rate"].tolist() == ["false_positive_rate"]


def test_small_and_unknown_groups_are_shown_and_not_compared():
    groups = pd.Series(["a"] * 40 + ["b"] * 40 + ["tiny"] * 3 + [None] * 50, dtype="str")
    y_pred = [0] * 40 + [1] * 4 + [0] * 36 + [1] * 3 + [1] * 50
    given = ([0] * 133, y_pred, {"age": groups})
    table = fairness.by_group(*given)
    assert table["group"].tolist() == ["all", "a", "b", "tiny", "(missing)"]
    assert table["reliable"].tolist() == [True, True, True, False, False]
    assert fairness.largest_differences(*given)["difference"][0] == pytest.approx(0.1)
    against = fairness.differences(*given)
    assert against["group"].tolist() == ["a", "b"]
    # All images count in the overall figure, of whatever group.
    assert against["difference"][0] == pytest.approx(1 - 76 / 133)
    assert fairness.permutation_test(*given)["difference"][0] == pytest.approx(0.1)


def test_a_group_of_one_has_an_interval_that_says_so():
    table = fairness.by_group([0] * 41, [0] * 41, ["a"] * 40 + ["b"])
    row = table.set_index("group").loc["b"]
    assert (row["n"], row["reliable"]) == (1, False)
    assert row["accuracy_low"] < 0.2
    assert row["accuracy_high"] == 1


def test_groups_keep_the_order_of_their_categories_and_numbers():
    table = pd.DataFrame(
        {
            "age": pd.Categorical(["elderly", "baby"], ["baby", "child", "elderly"]),
            "tone": [10, 2],
        }
    )
    found = fairness.by_group([0, 1], [0, 1], table, n_bootstrap=10)
    assert found["group"].tolist() == ["all", "baby", "elderly", "2", "10"]


def test_a_seed_repeats_everything():
    y_true, y_pred, table = outcome(2)
    first = fairness.assess(y_true, y_pred, table, n_permutations=200, n_bootstrap=200, seed=1)
    again = fairness.assess(y_true, y_pred, table, n_permutations=200, n_bootstrap=200, seed=1)
    other = fairness.assess(y_true, y_pred, table, n_permutations=200, n_bootstrap=200, seed=2)
    assert first.to_dict() == again.to_dict()
    assert first.to_dict() != other.to_dict()


def test_standardised_figures_are_weighted_means_of_strata():
    rng = np.random.default_rng(4)
    quality = rng.random(1200) ** np.repeat([0.5, 2], 600)
    y_pred = (rng.random(1200) > 0.6 + 0.35 * quality).astype(int)
    groups = np.repeat(["light", "dark"], 600)
    table = fairness.at_equal_quality(
        np.zeros(1200, int), y_pred, groups, quality, n_strata=4
    ).set_index("group")
    strata = np.searchsorted(np.quantile(quality, [0.25, 0.5, 0.75]), quality)
    for group, row in table.iterrows():
        mask = groups == group
        shares = [
            (strata == k).mean() * (y_pred == 0)[mask & (strata == k)].mean() for k in range(4)
        ]
        assert row["accuracy_equal"] == pytest.approx(sum(shares))
        assert row["accuracy"] == pytest.approx((y_pred == 0)[mask].mean())
        assert row["difference"] == pytest.approx(row["accuracy"] - (y_pred == 0).mean())
        assert row["accuracy_equal_low"] < row["accuracy_equal"] < row["accuracy_equal_high"]
    assert abs(table["difference_equal"]).max() < abs(table["difference"]).max()


def test_a_difference_that_quality_does_not_explain_remains():
    rng = np.random.default_rng(4)
    quality = rng.random(1200)
    groups = np.repeat(["a", "b"], 600)
    y_pred = (rng.random(1200) > np.where(groups == "a", 0.95, 0.75)).astype(int)
    table = fairness.at_equal_quality(np.zeros(1200, int), y_pred, groups, quality)
    assert table["difference_equal"].diff().iloc[1] == pytest.approx(-0.2, abs=0.05)
    assert (table["difference_equal_low"] * table["difference_equal_high"] > 0).all()


def test_strata_without_images_of_every_group_are_left_out():
    quality = np.r_[np.linspace(0, 1, 100), np.linspace(0.5, 1.5, 100)]
    groups = np.repeat(["a", "b"], 100)
    y = np.zeros(200, int)
    table = fairness.at_equal_quality(y, y, groups, quality, n_strata=6)
    assert (table["n"] + table["left_out"]).tolist() == [100, 100]
    assert table["left_out"].min() > 30
    apart = np.r_[np.zeros(100), np.ones(100)] + np.linspace(0, 0.1, 200)
    with pytest.raises(ConfigurationError, match="no quality in common"):
        fairness.at_equal_quality(y, y, groups, apart, n_strata=2)


def test_a_report_says_what_was_found_and_survives_a_file():
    rng = np.random.default_rng(0)
    age = np.repeat(["adult", "child", "elderly", "baby"], [300, 200, 100, 9])
    y_true = rng.integers(0, 2, 609)
    y_pred = np.where(rng.random(609) < np.where(age == "elderly", 0.4, 0.05), 1 - y_true, y_true)
    options = {"class_names": ("neutral", "happiness"), "n_permutations": 1000}
    found = fairness.assess(y_true, y_pred, {"age_group": age}, **options)
    text = fairness.report(y_true, y_pred, {"age_group": age}, **options)
    elderly = (y_true == y_pred)[age == "elderly"].mean()
    assert f"| age_group | elderly | 100 | {elderly:.3f} (" in text
    assert "| age_group | baby † | 9 |" in text
    others = (y_true == y_pred)[(age == "adult") | (age == "child")].mean()
    assert f"age_group elderly {elderly - others:+.3f} (p 0.00" in text
    assert "Equalized odds" in text
    assert "debias" not in text
    stored = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert fairness.Assessment.from_dict(stored).to_markdown() == text


def test_a_report_without_anything_to_compare_says_so():
    text = fairness.report([0, 1, 1], [0, 1, 0], {"gender": ["male"] * 3})
    assert "No feature has two groups that can be compared" in text


Y = [0, 1] * 40
GROUPS = ["a", "b"] * 40


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fairness.by_group(Y, Y, GROUPS[1:]), ConfigurationError, "79 images and labels"),
        (lambda: fairness.by_group(Y, Y[1:], GROUPS), ConfigurationError, "expected (80,)"),
        (lambda: fairness.by_group(Y, np.eye(2)[Y], GROUPS), ConfigurationError, "argmax(axis=1)"),
        (lambda: fairness.by_group([], [], []), ConfigurationError, "n at least 1"),
        (
            lambda: fairness.by_group(Y, Y, {"a": GROUPS, "b": GROUPS[1:]}),
            ConfigurationError,
            "a 80, b 79",
        ),
        (
            lambda: fairness.by_group(Y, Y, {"age": GROUPS}, by=["race"]),
            ConfigurationError,
            "no feature 'race': expected one of age",
        ),
        (
            lambda: fairness.by_group(Y, Y, {"age": [None] * 80}),
            ConfigurationError,
            "'age' is missing for every image",
        ),
        (
            lambda: fairness.by_group([0] * 101, [0] * 101, {"file": range(101)}),
            ConfigurationError,
            "has 101 groups",
        ),
        (
            lambda: fairness.by_group(Y, Y, GROUPS, class_names=["a", "b"], metrics="f2"),
            ConfigurationError,
            "no metric 'f2': expected one of accuracy",
        ),
        (
            lambda: fairness.by_group([0, 2], [0, 1], GROUPS[:2], class_names=["a", "b"]),
            LabelError,
            "y_true from 0 to 2: expected 0 to 1",
        ),
        (lambda: fairness.by_group([0, -1], [0, 1], GROUPS[:2]), LabelError, "without a label"),
        (lambda: fairness.by_group(Y, np.array(Y) / 2, GROUPS), LabelError, "of float64"),
        (lambda: fairness.by_group(Y, Y, GROUPS, confidence=95), ConfigurationError, "=95"),
        (
            lambda: fairness.largest_differences(Y, Y, {"age": ["a"] * 80}),
            ConfigurationError,
            "nothing to compare (age a 80): expected a feature with 2 or more groups",
        ),
        (
            lambda: fairness.permutation_test(Y, Y, GROUPS, min_group_size=41),
            ConfigurationError,
            "(group a 40, b 40)",
        ),
        (lambda: fairness.equalized_odds(Y, Y, ["a"] * 80), ConfigurationError, "two groups"),
        (
            lambda: fairness.at_equal_quality(Y, Y, GROUPS, [1.0]),
            ConfigurationError,
            "quality of shape (1,)",
        ),
        (
            lambda: fairness.quality_strata([1.0, np.nan, 2.0]),
            ConfigurationError,
            "a finite number",
        ),
        (lambda: fairness.holm([0.5, 1.2]), ConfigurationError, "in 0..1"),
        (lambda: fairness.compare(Y, {"one": Y}, GROUPS), ConfigurationError, "two or more"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)

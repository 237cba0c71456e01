"""Metrics recomputed by scikit-learn, intervals by resampling rows and by a binomial formula."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from emohelpers import datasets, evaluation
from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError, LabelError

NAMES = ("anger", "fear", "happiness", "neutral")


def outcome(seed, n=200, n_classes=4):
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, n_classes, n)
    probabilities = rng.dirichlet(np.ones(n_classes), n)
    probabilities[np.arange(n), y_true] += 0.4
    return y_true, probabilities


@given(st.integers(0, 10_000), st.integers(5, 60))
@settings(max_examples=30, deadline=None)
def test_every_metric_equals_scikit_learns(seed, n):
    y_true, probabilities = outcome(seed, n)
    y_pred = probabilities.argmax(1)
    score = evaluation.score(y_true, probabilities, NAMES, n_bootstrap=10)
    there = sorted(set(y_true))
    options = {"labels": there, "average": "macro", "zero_division": 0}
    assert score["accuracy"]["value"] == pytest.approx(sk.accuracy_score(y_true, y_pred), abs=1e-6)
    recall = sk.recall_score(y_true, y_pred, **options)
    assert score["balanced_accuracy"]["value"] == pytest.approx(recall, abs=1e-6)
    assert score["macro_recall"]["value"] == pytest.approx(recall, abs=1e-6)
    union = sorted(set(y_true) | set(y_pred))
    f1 = sk.f1_score(y_true, y_pred, labels=union, average="macro", zero_division=0)
    assert score["macro_f1"]["value"] == pytest.approx(f1, abs=1e-6)
    precision = sk.precision_score(y_true, y_pred, labels=union, average="macro", zero_division=0)
    assert score["macro_precision"]["value"] == pytest.approx(precision, abs=1e-6)
    assert score["confusion"] == sk.confusion_matrix(y_true, y_pred, labels=range(4)).tolist()
    for position, name in enumerate(NAMES):
        entry = score["per_class"][name]
        positive, guess = y_true == position, y_pred == position
        assert entry["n"] == positive.sum()
        expected = {
            "precision": positive[guess].mean() if guess.any() else None,
            "recall": guess[positive].mean() if positive.any() else None,
            "specificity": (~guess[~positive]).mean() if (~positive).any() else None,
        }
        for metric, value in expected.items():
            if value is None:
                assert entry[metric] is None
            else:
                assert entry[metric]["value"] == pytest.approx(value, abs=1e-6)


def test_interval_agrees_with_resampled_rows_and_with_the_binomial():
    y_true, probabilities = outcome(1, n=1000)
    score = evaluation.score(y_true, probabilities, NAMES, n_bootstrap=4000)
    y_pred = probabilities.argmax(1)
    rng = np.random.default_rng(7)
    rows = rng.integers(0, 1000, (2000, 1000))
    by_rows = {
        "accuracy": [(y_true[r] == y_pred[r]).mean() for r in rows],
        "macro_f1": [sk.f1_score(y_true[r], y_pred[r], average="macro") for r in rows[:800]],
    }
    for metric, draws in by_rows.items():
        low, high = np.percentile(draws, [2.5, 97.5])
        assert score[metric]["low"] == pytest.approx(low, abs=0.004)
        assert score[metric]["high"] == pytest.approx(high, abs=0.004)
    share = score["accuracy"]["value"]
    half = 1.96 * np.sqrt(share * (1 - share) / 1000)
    assert score["accuracy"]["high"] - score["accuracy"]["low"] == pytest.approx(2 * half, rel=0.06)


def test_interval_narrows_with_confidence_and_repeats_with_its_seed():
    y_true, probabilities = outcome(2)
    wide = evaluation.score(y_true, probabilities, NAMES, seed=3)
    narrow = evaluation.score(y_true, probabilities, NAMES, seed=3, confidence=0.5)
    assert wide == evaluation.score(y_true, probabilities, NAMES, seed=3)
    assert wide["macro_f1"]["low"] < narrow["macro_f1"]["low"] < narrow["macro_f1"]["high"]
    assert narrow["macro_f1"]["high"] < wide["macro_f1"]["high"]


@pytest.mark.parametrize(
    ("y_true", "probabilities", "error", "words"),
    [
        ([], np.empty((0, 4)), ConfigurationError, "no images"),
        ([0, 1], np.ones((3, 4)), ConfigurationError, "expected (2, 4)"),
        ([0], np.full((1, 4), np.nan), ConfigurationError, "NaN"),
        ([4], np.ones((1, 4)), LabelError, "0 to 3"),
        ([-1], np.ones((1, 4)), LabelError, "from -1"),
    ],
)
def test_bad_input_to_score_is_named(y_true, probabilities, error, words):
    with pytest.raises(error) as caught:
        evaluation.score(y_true, probabilities, NAMES)
    assert words in str(caught.value)


def fer_like():
    """Eight images: the table of a FER2013 with known duplicates."""
    split = ["Training"] * 4 + ["PublicTest"] * 2 + ["PrivateTest"] * 3
    table = pd.DataFrame(
        {
            "split": split,
            "file": [f"row {i}" for i in range(9)],
            "row": range(9),
            # 4 repeats 1, 6 repeats 2, 7 repeats 5: only 6 has a copy in Training.
            "duplicate_of": pd.array([None] * 4 + [1, None, 2, 5, None], dtype="Int64"),
            "leaks": [False, True, True, False, True, True, True, True, False],
        }
    )
    images = np.arange(9, dtype=np.uint8).repeat(64).reshape(9, 8, 8, 1)
    return FaceDataset(images, np.array([0, 1, 2, 3, 0, 1, 2, 3, 0]), NAMES, table, name="fer2013")


def test_protocol_names_the_parts_and_finds_what_stands_in_training():
    parts = evaluation.protocol(fer_like())
    assert {name: part.table["row"].tolist() for name, part in parts.items()} == {
        "PublicTest": [4, 5],
        "PrivateTest": [6, 7, 8],
        "PrivateTest-no-leaks": [7, 8],
    }


def test_protocol_of_a_selection_still_finds_what_stands_in_training():
    # Without row 0 every position moves; without row 2 nothing in Training is like row 6.
    parts = evaluation.protocol(fer_like().select([1, 3, 2, 4, 5, 6, 7, 8]))
    assert parts["PrivateTest-no-leaks"].table["row"].tolist() == [7, 8]
    parts = evaluation.protocol(fer_like().select([1, 3, 4, 5, 6, 7, 8]))
    assert parts["PrivateTest-no-leaks"].table["row"].tolist() == [6, 7, 8]


def test_training_rows_leave_out_what_stands_elsewhere():
    assert evaluation.training_rows(fer_like()).table["row"].tolist() == [0, 3]


def test_protocol_of_two_passes_keeps_what_both_agree_on():
    faces = datasets.make_faces(4, seed=0)
    agreement = pd.array([1, 0, None, 1], dtype="Int64")
    table = faces.table.assign(expression="happy", agreement=agreement)
    faces = FaceDataset(faces.images, faces.labels, faces.class_names, table)
    assert evaluation.protocol(faces)["agreed"].table["file"].tolist() == [
        table["file"][0],
        table["file"][3],
    ]


def test_labels_by_hand_are_scored_whole_and_where_nothing_was_chosen_by_them():
    faces = datasets.make_faces(5, seed=0)
    split = ["train", "validation", "test", "test", None]
    table = faces.table.assign(expression=["happy"] * 4 + [None], split=split)
    table["agreement"] = pd.array([1, 1, 1, 0, None], dtype="Int64")
    both = FaceDataset(faces.images, faces.labels, faces.class_names, table)
    parts = evaluation.protocol(both)
    assert {name: part.table["file"].tolist() for name, part in parts.items()} == {
        "agreed": table["file"][:3].tolist(),
        "agreed-test": [table["file"][2]],
    }
    once = FaceDataset(
        faces.images, faces.labels, faces.class_names, table.drop(columns="agreement")
    )
    assert {name: len(part) for name, part in evaluation.protocol(once).items()} == {
        "all": 4,
        "all-test": 2,
    }


def test_private_test_without_leaks_has_the_published_size(real_data):
    faces = datasets.load("fer2013", real_data("fer2013.csv.xz"))
    parts = evaluation.protocol(faces)
    assert len(parts["PrivateTest"]) == len(parts["PublicTest"]) == 3589
    assert len(parts["PrivateTest-no-leaks"]) == 3589 - 288


def test_restrict_keeps_common_classes_in_the_networks_order():
    faces = datasets.make_faces(6, seed=0, emotions=("neutral", "contempt", "happiness"))
    shares = np.random.default_rng(0).dirichlet(np.ones(7), 6).astype(np.float32)
    kept, restricted = evaluation.restrict(faces, shares, datasets.EMOTIONS[:7])
    rows = [name != "contempt" for name in np.array(faces.class_names)[faces.labels]]
    assert kept.class_names == ("happiness", "neutral")
    np.testing.assert_array_equal(
        np.array(kept.class_names)[kept.labels], np.array(faces.class_names)[faces.labels][rows]
    )
    happy, neutral = shares[rows][:, 3], shares[rows][:, 6]
    np.testing.assert_allclose(restricted[:, 0], happy / (happy + neutral), atol=1e-6)


def test_tables_hold_what_the_score_holds():
    y_true, probabilities = outcome(5)
    score = {"class_names": NAMES, **evaluation.score(y_true, probabilities, NAMES)}
    shares = evaluation.confusion_table(score, normalise=True)
    np.testing.assert_allclose(
        shares, sk.confusion_matrix(y_true, probabilities.argmax(1), normalize="true")
    )
    assert evaluation.taken_for(score)["fear"]["fear"] == round(shares.loc["fear", "fear"], 4)
    table = evaluation.per_class_table(score)
    assert table.loc["fear", "f1_low"] == score["per_class"]["fear"]["f1"]["low"]
    summary = evaluation.summary_table({"test": score})
    assert summary.loc["test", "macro_f1_high"] == score["macro_f1"]["high"]


def test_answers_stand_beside_their_labels():
    data = datasets.make_faces(12, seed=2, emotions=NAMES)
    shares = np.random.default_rng(0).dirichlet(np.ones(4), size=12)
    table = evaluation.answers_table(data, shares)
    for row, (label, share) in enumerate(zip(data.labels, shares, strict=True)):
        best = max(range(4), key=share.__getitem__)
        assert table.loc[row].tolist() == [
            data.table["file"][row],
            NAMES[label],
            NAMES[best],
            share[best],
            best == label,
        ]
    with pytest.raises(ConfigurationError, match=r"shape \(12, 3\): expected \(12, 4\)"):
        evaluation.answers_table(data, shares[:, :3])


def test_answers_to_images_without_a_label_are_refused():
    data = datasets.make_faces(3, seed=2, emotions=NAMES)
    bare = FaceDataset(data.images, [0, -1, -1], NAMES, data.table)
    with pytest.raises(LabelError, match=r"2 of .* have no label"):
        evaluation.answers_table(bare, np.full((3, 4), 0.25))


@given(seed=st.integers(0, 1000), n=st.integers(1, 15))
def test_the_most_confused_pairs_are_the_largest_cells_off_the_diagonal(seed, n):
    matrix = np.random.default_rng(seed).integers(0, 6, (4, 4))
    matrix[2] *= seed % 2  # a class without images has no shares
    table = evaluation.most_confused({"class_names": NAMES, "confusion": matrix.tolist()}, n=n)
    cells = [
        (matrix[i, j] / matrix[i].sum(), matrix[i, j])
        for i in range(4)
        for j in range(4)
        if i != j and matrix[i, j]
    ]
    expected = sorted((share for share, _ in cells), reverse=True)[:n]
    assert table["share"].tolist() == pytest.approx(expected)
    for (true, predicted), row in table.iterrows():
        assert row["images"] == matrix[NAMES.index(true), NAMES.index(predicted)]


def test_figures_are_written_with_their_intervals_and_undefined_ones_as_a_dash():
    # No image is called a cat, so its precision is undefined.
    result = evaluation.score([0, 0, 1], [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]], ["dog", "cat"])
    table = evaluation.interval_text(evaluation.per_class_table(result), decimals=2)
    assert table.columns.tolist() == ["n", "precision", "recall", "f1", "specificity"]
    assert table["n"].tolist() == [2, 1]
    assert table.loc["cat", "precision"] == "–"
    value, low, high = (result["per_class"]["dog"]["f1"][key] for key in ("value", "low", "high"))
    assert table.loc["dog", "f1"] == f"{value:.2f} ({low:.2f} to {high:.2f})"


def test_entries_give_back_the_figures_that_a_table_was_made_of():
    y_true, probabilities = outcome(3)
    score = evaluation.score(np.minimum(y_true, 2), probabilities, NAMES, n_bootstrap=50)
    entries = evaluation.interval_entries(evaluation.per_class_table(score))
    assert list(entries) == list(NAMES)
    for name, figures in entries.items():
        expected = {key: value for key, value in score["per_class"][name].items() if key != "n"}
        assert figures == expected
    assert entries["neutral"]["recall"] is None

"""What labels of single persons are worth: pairs, a network's opinion, a consensus."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from emohelpers import datasets, labellers
from emohelpers.errors import ConfigurationError, LabelError

FACES = datasets.make_faces(40, seed=0, emotions=("fear", "neutral", "anger"))
NAMES = ("anger", "fear", "neutral")


def said(words) -> np.ndarray:
    """Return probabilities of a network that is quite sure of these."""
    shares = np.full((len(words), len(NAMES)), 0.1)
    shares[np.arange(len(words)), [NAMES.index(word) for word in words]] = 0.8
    return shares


def words_of(faces) -> np.ndarray:
    return np.array(faces.class_names, dtype=object)[faces.labels]


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=2, max_size=60
    ).filter(lambda pairs: len({word for pair in pairs for word in pair}) > 1)
)
def test_agreement_and_kappa_are_those_of_another_library(rows):
    pairs = pd.DataFrame(rows, columns=["first", "second"])
    table = labellers.agreement_of_pairs(pairs, n_bootstrap=50)
    same = np.mean([first == second for first, second in rows])
    assert table.loc["agreement", "value"] == pytest.approx(same)
    kappa = cohen_kappa_score(pairs["first"], pairs["second"])
    assert table.loc["kappa", "value"] == pytest.approx(kappa)
    assert table.loc["agreement", "low"] <= same <= table.loc["agreement", "high"]
    assert (table["n"] == len(rows)).all()


def test_the_interval_of_kappa_narrows_with_the_root_of_the_pairs():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 3, 3_200)
    second = np.where(rng.random(3_200) < 0.6, first, rng.integers(0, 3, 3_200))
    pairs = pd.DataFrame({"first": first, "second": second}).astype("str")
    wide = labellers.agreement_of_pairs(pairs.head(200)).loc["kappa"]
    narrow = labellers.agreement_of_pairs(pairs).loc["kappa"]
    ratio = (wide["high"] - wide["low"]) / (narrow["high"] - narrow["low"])
    assert ratio == pytest.approx(4, rel=0.2)
    assert narrow["low"] < 0.6 < narrow["high"]


def test_where_all_say_one_thing_kappa_says_nothing():
    table = labellers.agreement_of_pairs(pd.DataFrame({"first": ["a"] * 3, "second": ["a"] * 3}))
    assert table.loc["agreement", "value"] == 1
    assert table.loc["kappa"][["value", "low", "high"]].isna().all()


def test_where_all_agree_nothing_tells_how_far_kappa_could_be_off():
    table = labellers.agreement_of_pairs(
        pd.DataFrame({"first": list("aab"), "second": list("aab")})
    )
    assert table["value"].tolist() == [1, 1]
    assert table.loc["kappa", ["low", "high"]].isna().all()
    assert table.loc["agreement", "low"] < 0.5  # Wilson: three in three may be luck


@pytest.mark.parametrize("rows", [[], [("a", None)]])
def test_pairs_have_to_be_there_and_whole(rows):
    with pytest.raises(ConfigurationError, match="pairs of labels"):
        labellers.agreement_of_pairs(pd.DataFrame(rows, columns=["first", "second"]))


def test_labels_are_paired_by_file_and_folded_names():
    other = dataclasses.replace(FACES, labels=(FACES.labels + 1) % 3).select([5, 3, 9])
    pairs = labellers.label_pairs(FACES, other)
    assert set(pairs["file"]) == set(FACES.table["file"][[3, 5, 9]])
    by_file = pairs.set_index("file")
    for row in (3, 5, 9):
        both = by_file.loc[FACES.table["file"][row]]
        assert both["first"] == FACES.class_names[FACES.labels[row]]
        assert both["second"] == FACES.class_names[(FACES.labels[row] + 1) % 3]
    unlabelled = dataclasses.replace(other, labels=np.full(3, -1))
    with pytest.raises(ConfigurationError, match="share no file with a label"):
        labellers.label_pairs(FACES, unlabelled)


def test_copies_are_set_side_by_side_with_who_labelled_them():
    table = FACES.table.assign(user=["u"] * 20 + ["v"] * 20)
    labels = FACES.labels.copy()
    labels[7] = -1
    faces = dataclasses.replace(FACES, table=table, labels=labels)
    pairs = labellers.same_image_pairs(
        faces, pd.DataFrame({"first": [0, 1, 7], "second": [2, 30, 8]})
    )
    assert pairs["same_user"].tolist() == [True, False]
    words = words_of(faces)
    assert pairs["first"].tolist() == [words[0], words[1]]
    assert pairs["second"].tolist() == [words[2], words[30]]
    # Nobody named is not one person.
    table = table.assign(user=["", "", "u"] + ["v"] * 37)
    pairs = labellers.same_image_pairs(
        dataclasses.replace(faces, table=table), pd.DataFrame({"first": [0, 2], "second": [1, 3]})
    )
    assert pairs["same_user"].isna().tolist() == [True, False]
    assert not pairs["same_user"][1]


def test_a_networks_opinion_is_counted_by_label():
    words = words_of(FACES)
    choices = words.copy()
    choices[:10] = "anger"
    table = labellers.opinion_by_class(FACES, said(choices), NAMES)
    for name in (*NAMES, "all"):
        rows = words == name if name != "all" else np.ones(40, bool)
        agrees = (choices == words)[rows].mean()
        assert table.loc[name, "n"] == rows.sum()
        assert table.loc[name, "agrees"] == pytest.approx(agrees)
        assert table.loc[name, "agrees_low"] <= agrees <= table.loc[name, "agrees_high"]
        mean = np.where(choices == words, 0.8, 0.1)[rows].mean()
        assert table.loc[name, "label_probability"] == pytest.approx(mean)
    # A class that the network does not know is left out.
    two = said(["fear"] * 40)[:, 1:] / 0.9
    known = labellers.opinion_by_class(FACES, two, NAMES[1:])
    assert "anger" not in known.index
    assert known.loc["all", "n"] == (words != "anger").sum()
    assert known.loc["neutral", "most_often"] == "fear"


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        (np.full((40, 2), 0.5), r"probabilities of shape \(40, 2\): expected \(40, 3\)"),
        (np.full((40, 3), 0.5), "row 0 of the probabilities"),
        (np.full((40, 3), np.nan), "row 0 of the probabilities"),
        (np.tile([1.2, -0.2, 0.0], (40, 1)), "row 0 of the probabilities"),
    ],
)
def test_what_are_no_probabilities_is_refused(shares, words):
    for judge in (labellers.opinion_by_class, labellers.consensus):
        with pytest.raises(ConfigurationError, match=words):
            judge(FACES, shares, NAMES)


def test_a_consensus_takes_away_what_is_contradicted_and_invents_nothing():
    words = words_of(FACES)
    choices = words.copy()
    choices[3] = next(name for name in NAMES if name != words[3])
    differ = np.flatnonzero(words != words[10])[:1]
    same = np.flatnonzero((words == words[11]) & (np.arange(40) > 11))[:1]
    pairs = pd.DataFrame({"first": [10, 11], "second": [*differ, *same]})
    agreed = labellers.consensus(FACES, said(choices), NAMES, pairs=pairs)
    gone = {3, 10, int(differ[0])}
    assert set(np.flatnonzero(agreed.labels < 0)) == gone
    kept = np.array([row for row in range(40) if row not in gone])
    np.testing.assert_array_equal(agreed.labels[kept], FACES.labels[kept])
    assert agreed.name == "toyfaces-consensus"
    # A network that is not sure enough contradicts nothing.
    unsure = labellers.consensus(FACES, said(choices), NAMES, sure=0.9)
    np.testing.assert_array_equal(unsure.labels, FACES.labels)


def test_a_consensus_refuses_bad_input():
    with pytest.raises(ConfigurationError, match=r"sure=1.5: expected 0..1"):
        labellers.consensus(FACES, said(words_of(FACES)), NAMES, sure=1.5)
    wrong = [next(name for name in NAMES if name != word) for word in words_of(FACES)]
    with pytest.raises(LabelError, match="no label of toyfaces is left"):
        labellers.consensus(FACES, said(wrong), NAMES)
    unlabelled = dataclasses.replace(FACES, labels=np.full(40, -1))
    with pytest.raises(LabelError, match="have no label"):
        labellers.consensus(unlabelled, said(["fear"] * 40), NAMES)


def test_the_two_legends_of_the_real_set_agree_on_half_of_their_images(real_data, tmp_path):
    archive = real_data("facial_expressions.tar")
    first, second = (
        datasets.load("facial_expressions", archive, legend=legend, size=8, cache=tmp_path)
        for legend in ("legend.csv", "500_picts_satz.csv")
    )
    table = labellers.agreement_of_pairs(labellers.label_pairs(first, second))
    assert table.loc["agreement", "n"] == 499
    assert table.loc["agreement", "value"] == pytest.approx(247 / 499)
    assert 0.2 < table.loc["kappa", "value"] < 0.4

"""Suspects, verdicts and votes: recomputed by scikit-learn, by loops and on planted noise."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from emohelpers import datasets, labellers, raters
from emohelpers.errors import ConfigurationError, LabelError

ROOT = Path(__file__).resolve().parents[1]


def planted(n=2000, share=0.2, seed=0, n_classes=4):
    """Probabilities of a good network, labels of which a share is wrong, and which are."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n)
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), truth] += 3
    said = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wrong = rng.random(n) < share
    labels = np.where(wrong, (truth + rng.integers(1, n_classes, n)) % n_classes, truth)
    return labels, said, wrong


def test_confident_learning_finds_planted_noise_and_as_much_of_it_as_there_is():
    pytest.importorskip("cleanlab")
    labels, said, wrong = planted()
    named = labellers.suspects(labels, said)
    assert named.dtype == bool
    assert named.mean() == pytest.approx(wrong.mean(), abs=0.04)
    assert wrong[named].mean() > 0.9
    assert named[wrong].mean() > 0.8
    ways = labellers.suspects_by_rule(labels, said)
    assert {int(way.sum()) for way in ways.values()} == {int(named.sum())}


def test_without_cleanlab_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cleanlab.filter", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'emohelpers\[labels\]'"):
        labellers.suspects(*planted(20)[:2])


def test_the_least_sure_are_those_with_the_smallest_probability():
    labels, said, _ = planted(200)
    named = labellers.least_sure(labels, said, 30)
    own = said[np.arange(200), labels]
    assert named.sum() == 30
    assert own[named].max() <= own[~named].min()
    assert not labellers.least_sure(labels, said, 0).any()
    with pytest.raises(ConfigurationError, match="n=201: expected 0 to 200"):
        labellers.least_sure(labels, said, 201)
    with pytest.raises(ConfigurationError, match=r"expected \(n,\) and \(n, n_classes\)"):
        labellers.least_sure(labels[:3], said, 1)
    with pytest.raises(LabelError, match="from 4 to 4: expected 0 to 3"):
        labellers.least_sure(np.full(200, 4), said, 1)


def test_precision_and_recall_are_scikit_learns_and_their_intervals_binomial():
    labels, said, wrong = planted(4000)
    ways = {"first": labellers.least_sure(labels, said, 600), "second": said.argmax(1) != labels}
    judged = np.where(np.arange(4000) % 10, wrong, -1)
    table = labellers.compare_suspects(ways, judged, n_bootstrap=2000)
    kept = judged >= 0
    for name, way in ways.items():
        row = table.loc[name]
        assert row["suspects"] == way[kept].sum()
        precision = sk.precision_score(wrong[kept], way[kept])
        assert row["precision"] == pytest.approx(precision)
        assert row["recall"] == pytest.approx(sk.recall_score(wrong[kept], way[kept]))
        half = 1.96 * np.sqrt(precision * (1 - precision) / way[kept].sum())
        assert row["precision_high"] - row["precision_low"] == pytest.approx(2 * half, rel=0.12)
    difference = table.loc["second", "precision"] - table.loc["first", "precision"]
    assert table.loc["second", "difference"] == pytest.approx(difference)
    assert table.loc["first", ["difference_low", "difference_high"]].tolist() == [0, 0]
    chance = table.loc["at random"]
    assert chance["precision"] == pytest.approx(wrong[kept].mean())
    assert chance["recall"] == pytest.approx(ways["first"][kept].mean())
    for ways_, judged_ in (({}, judged), ({"a": [True]}, judged), ({"a": [True]}, [-1])):
        with pytest.raises(ConfigurationError, match="expected one or more"):
            labellers.compare_suspects(ways_, judged_)


def with_votes(rows, labels, **columns):
    """Toy faces of fear and neutral with votes of our own, {emotion: votes} each."""
    faces = datasets.make_faces(len(rows), seed=0, emotions=("fear", "neutral"))
    table = faces.table.copy()
    for emotion in datasets.EMOTIONS:
        table[f"votes_{emotion}"] = [row.get(emotion, 0) for row in rows]
    return dataclasses.replace(faces, table=table.assign(**columns), labels=np.array(labels))


def test_raters_judge_where_most_of_them_name_one_of_the_classes():
    rows = [
        {"fear": 8, "surprise": 2},  # as labelled
        {"neutral": 7, "fear": 3},  # another class
        {"fear": 5, "neutral": 5},  # no majority
        {"surprise": 9, "fear": 1},  # none of the classes
        {"fear": 6, "neutral": 1, "anger": 1, "sadness": 1, "disgust": 1},  # slips left out
        {"neutral": 10},  # no label
    ]
    faces = with_votes(rows, [0, 0, 0, 0, 1, -1])
    assert labellers.wrong_by_votes(faces).tolist() == [0, 1, -1, -1, 1, -1]


def test_copies_with_two_labels_are_judged_by_their_votes_together():
    rows = [
        {"fear": 6, "neutral": 4},
        {"neutral": 9},
        {"neutral": 4},
        {"fear": 2},
        {"anger": 5},
        {},
    ]
    copies = pd.array([None, 0, None, 2, None, 4], dtype="Int64")
    faces = with_votes(rows, [0, 1, 0, 0, 1, 0], duplicate_of=copies)
    table = labellers.copies_with_two_labels(faces)
    assert table["labels"].tolist() == ["fear, neutral", "fear, neutral"]
    assert table["majority"].tolist() == ["neutral", "anger"]
    assert table["named"].tolist() == [True, False]
    table = faces.table.drop(columns="duplicate_of")
    with pytest.raises(ConfigurationError, match="no column duplicate_of"):
        labellers.copies_with_two_labels(dataclasses.replace(faces, table=table))


def drawn_votes(seed, n=300, n_classes=3):
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(n_classes, 0.5), n)
    return shares, np.array([rng.multinomial(10, row) for row in shares])


def test_an_answer_in_the_place_of_a_rater_meets_the_same_majorities():
    _, votes = drawn_votes(0, n=40)
    answers = np.random.default_rng(1).integers(0, 3, 40)
    met = []
    for row, answer in zip(votes, answers, strict=True):
        for rater in np.repeat(np.arange(3), row):
            others = row - np.eye(3, dtype=int)[rater]
            first = np.flatnonzero(others == others.max())
            met.append((answer in first) / len(first))
    assert raters.agreement_with(votes, answers) == pytest.approx(np.mean(met))
    # Where all raters but one agree, whoever answers as they do is as good as they are.
    assert raters.agreement_with([[9, 1]], [0]) == 1.0
    with pytest.raises(ConfigurationError, match=r"answers of shape \(1,\) to 2 images"):
        raters.agreement_with([[2, 0], [1, 1]], [0])


def test_losses_of_votes_are_scikit_learns_of_each_vote():
    shares, votes = drawn_votes(2, n=20)
    shares = np.maximum(shares, 1e-6)
    shares /= shares.sum(axis=1, keepdims=True)
    found = raters.vote_losses(votes, shares)
    for loss, row, said in zip(found, votes, shares, strict=True):
        each = np.repeat(np.arange(3), row)
        expected = sk.log_loss(each, np.tile(said, (10, 1)), labels=[0, 1, 2])
        assert loss == pytest.approx(expected)
    with pytest.raises(ConfigurationError, match="1 rows without one"):
        raters.vote_losses([[0, 0]], [[0.5, 0.5]])


def test_other_raters_foretell_a_vote_worse_than_the_truth_and_better_than_the_mean():
    shares, votes = drawn_votes(3, n=4000)
    _, like = drawn_votes(4, n=4000)
    others = raters.losses_of_others(votes, like=like).mean()
    assert raters.vote_losses(votes, shares).mean() < others
    usual = np.tile(like.sum(axis=0) / like.sum(), (4000, 1))
    assert others < raters.vote_losses(votes, usual).mean()
    # The best guess from nine votes adds the prior that the shares were drawn from: 0.5 each.
    left = np.maximum(votes - 1, 0) + 0.5
    ideal = -(votes * np.log(left / (9 + 1.5))).sum(axis=1) / 10
    assert others == pytest.approx(ideal.mean(), rel=0.003)
    with pytest.raises(ConfigurationError, match="two votes on each"):
        raters.losses_of_others([[1, 0]], like=like[:, :2])


def test_learning_from_votes_foretells_votes_and_a_temperature_mends_the_rest():
    faces = datasets.make_faces(3000, seed=0)
    counts = raters.votes(faces)[list(faces.class_names)].to_numpy()
    # Features that know how the votes lie, and something else.
    noise = np.random.default_rng(0).normal(size=counts.shape)
    features = np.log(counts + 1) + 0.2 * noise
    parts = [faces.split(name) for name in ("train", "validation", "test")]
    rows = [
        faces.table["split"].eq(name).to_numpy(bool) for name in ("train", "validation", "test")
    ]
    given = [(features[row], part) for row, part in zip(rows, parts, strict=True)]
    table = labellers.votes_or_majority(*given, n_bootstrap=200)
    assert table.index.tolist() == ["label", "majority", "votes", "other raters"]
    assert table.loc["votes", "loss"] < table.loc["majority", "loss"]
    assert table.loc["majority", "temperature"] > table.loc["votes", "temperature"]
    assert table.loc["majority", "mended"] < table.loc["majority", "loss"]
    assert (
        table.loc["votes", ["difference", "difference_low", "difference_high"]].tolist() == [0] * 3
    )
    usable = (labellers.wrong_by_votes(parts[2]) >= 0) & (counts[rows[2]].sum(axis=1) > 1)
    assert table["n"].unique().tolist() == [usable.sum()]
    with pytest.raises(ConfigurationError, match="expected as many, and one or more"):
        labellers.votes_or_majority(given[0], given[1], (features[:3], parts[2]))


def test_one_rater_is_taken_from_the_others():
    faces = datasets.make_faces(3000, seed=0)
    before = raters.votes(faces)
    one = raters.one_rater(faces, seed=1)
    taken = before.to_numpy() - raters.votes(one).to_numpy()
    assert (taken.sum(axis=1) == 1).all()
    assert (taken >= 0).all()
    named = np.array(before.columns)[taken.argmax(axis=1)]
    labels = [
        list(faces.class_names).index(name) if name in faces.class_names else -1 for name in named
    ]
    assert one.labels.tolist() == labels
    # Each of the ten is as likely: a vote is drawn as often as it was given.
    share = np.array([(named == name).mean() for name in before])
    np.testing.assert_allclose(share, before.sum() / before.to_numpy().sum(), atol=0.02)
    nobody = with_votes([{}, {"fear": 1}, {"anger": 3}], [0, 0, 0])
    assert raters.one_rater(nobody).labels.tolist() == [-1, 0, -1]
    assert raters.votes(raters.one_rater(nobody)).sum(axis=1).tolist() == [0, 0, 2]


PUBLISHED = ROOT / "saved_models" / "label-noise-fer2013.csv"


def test_the_published_share_of_contradicted_labels_is_that_of_the_files(real_data):
    """By pandas alone, from the files as they are."""
    votes = pd.read_csv(real_data("ferplus.csv"))
    labels = pd.read_csv(real_data("fer2013.csv.xz"), usecols=["emotion", "Usage"])
    names = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
    columns = [name for name in votes.columns if name.lower() not in ("usage", "image name")]
    counts = votes[columns].where(votes[columns] > 1, 0)
    first = counts.idxmax(axis=1)
    clear = (counts.max(axis=1) > counts.sum(axis=1) / 2) & first.isin(names)
    judged = clear & (labels["Usage"] != "Training")
    said = labels["emotion"].map(dict(enumerate(names)))
    table = pd.read_csv(PUBLISHED)
    row = table[(table["what"] == "most raters contradict the label") & (table["of"] == "all")]
    assert row["n"].item() == judged.sum()
    assert row["value"].item() == pytest.approx((said != first)[judged].mean(), abs=1e-4)
    human = table[(table["of"] == "one rater")]
    assert human["value"].item() == pytest.approx(0.745, abs=5e-4)


def test_the_published_figures_are_found_again(real_data):
    pytest.importorskip("cleanlab")
    found = labellers.study_fer2013(
        real_data("fer2013.csv.xz"), real_data("ferplus.csv"), networks=["fer-baseline"]
    )
    both = found.merge(pd.read_csv(PUBLISHED), on=["what", "of"], suffixes=("", "_published"))
    # All but the difference from a network that is not asked here.
    assert len(both) == len(found) - 1
    assert {"fer-baseline, confident learning", "learned from majority"} <= set(both["of"])
    for figure in ("value", "low", "high"):
        np.testing.assert_allclose(both[figure], both[f"{figure}_published"], atol=3e-3)
    np.testing.assert_allclose(both["n"], both["n_published"], atol=3)


def test_the_command_refuses_another_source(run, tmp_path):
    said = run("data", "noise", "utkface", "--votes", tmp_path / "votes.csv")
    assert said.code == 2
    assert "utkface: expected fer2013, the source with votes" in said.stderr

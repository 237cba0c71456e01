"""What raters saw: agreement recomputed vote by vote, and the published figures of FER+."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emohelpers import datasets, raters
from emohelpers.datasets import EMOTIONS, FaceDataset
from emohelpers.errors import ConfigurationError, LabelError


def rated(counts, labels):
    counts = np.asarray(counts)
    table = pd.DataFrame(counts, columns=[f"votes_{name}" for name in EMOTIONS])
    table = table.assign(split="test", file="x", votes_unknown=3)
    return FaceDataset(np.zeros((len(counts), 8, 8, 1), np.uint8), labels, EMOTIONS, table)


def vote_by_vote(image):
    """Take each vote away in turn and ask whether it is what most of the others say."""
    ballots = [choice for choice, count in enumerate(image) for _ in range(count)]
    agreed = []
    for k, own in enumerate(ballots):
        others = ballots[:k] + ballots[k + 1 :]
        most = max(others.count(choice) for choice in others)
        favourites = {choice for choice in others if others.count(choice) == most}
        agreed.append((own in favourites) / len(favourites))
    return agreed


images = st.lists(st.integers(0, 4), min_size=8, max_size=8)


@given(st.lists(images, min_size=1, max_size=8))
def test_agreement_is_what_going_through_the_votes_one_by_one_gives(counts):
    counts = [image for image in counts if sum(image) > 1]
    if not counts:
        return
    agreed = [share for image in counts for share in vote_by_vote(image)]
    assert raters.agreement(counts) == pytest.approx(np.mean(agreed))
    # A single vote has no others to agree with and so changes nothing.
    alone = [0] * 7 + [1]
    assert raters.agreement([*counts, alone]) == pytest.approx(np.mean(agreed))


def test_agreement_by_class_is_that_of_its_images():
    counts = np.random.default_rng(0).multinomial(10, [1 / 8] * 8, size=60)
    labels = np.arange(60) % 3 - 1
    table = raters.agreement_by_class(rated(counts, labels))
    assert table.index.to_list() == ["anger", "disgust", "all"]
    for name, label in (("anger", 0), ("disgust", 1)):
        own = counts[labels == label]
        assert table.loc[name, "images"] == len(own)
        assert table.loc[name, "raters_agree"] == pytest.approx(raters.agreement(own))
        most = [image.max() for image in own]
        shares = [
            (image[label] == top) / (image == top).sum()
            for image, top in zip(own, most, strict=True)
        ]
        assert table.loc[name, "label_agrees"] == pytest.approx(np.mean(shares))
    assert table.loc["all", "raters_agree"] == pytest.approx(raters.agreement(counts[labels >= 0]))


def test_votes_follow_the_label_when_classes_are_reordered():
    counts = np.zeros((2, 8), int)
    counts[0, EMOTIONS.index("fear")] = counts[1, EMOTIONS.index("anger")] = 10
    faces = rated(counts, [EMOTIONS.index("fear"), EMOTIONS.index("anger")])
    swapped = faces.keep_classes(["fear", "anger"])
    assert raters.agreement_by_class(swapped)["label_agrees"].tolist() == [1, 1, 1]
    sums = raters.votes_by_class(swapped)
    assert sums.index.to_list() == ["fear", "anger"]
    assert sums.columns.to_list() == list(EMOTIONS)
    assert (sums.loc["fear", "fear"], sums.loc["anger", "fear"]) == (10, 0)


def test_toy_raters_name_what_was_drawn_as_often_as_it_is_said_of_them():
    faces = datasets.make_faces(1500, seed=3)
    own = raters.votes(faces).to_numpy()[np.arange(len(faces)), faces.labels] / 10
    assert own.mean() == pytest.approx(faces.table["agreement"].mean(), abs=0.02)


def test_ferplus_agrees_as_published(real_data):
    faces = datasets.load("fer2013", real_data("fer2013.csv.xz"), votes=real_data("ferplus.csv"))
    table = raters.agreement_by_class(faces.split("PrivateTest"))
    assert round(table.loc["all", "raters_agree"], 3) == 0.745


def test_what_has_no_votes_is_refused():
    faces = rated(np.zeros((2, 8), int), [0, 0])
    with pytest.raises(ConfigurationError, match="two votes"):
        raters.agreement(raters.votes(faces))
    with pytest.raises(ConfigurationError, match="two votes"):
        raters.agreement_by_class(faces)
    with pytest.raises(ConfigurationError, match="0 or more"):
        raters.agreement([[3, -1]])
    bare = FaceDataset(faces.images, faces.labels, EMOTIONS, faces.table[["split", "file"]])
    assert not raters.has_votes(bare)
    with pytest.raises(ConfigurationError, match="votes=PATH"):
        raters.votes(bare)


def test_soft_labels_are_the_shares_of_the_votes_and_of_the_label():
    faces = rated([[6, 0, 0, 4, 0, 0, 0, 0], [0] * 8], [3, 5])
    first, unrated = raters.soft_labels(faces, share=0.25)
    assert first.tolist() == pytest.approx([0.15, 0, 0, 0.1 + 0.75, 0, 0, 0, 0])
    assert unrated.tolist() == [0, 0, 0, 0, 0, 1, 0, 0]  # no vote leaves the label
    assert raters.soft_labels(faces, share=0).tolist() == np.eye(8)[[3, 5]].tolist()
    assert raters.soft_labels(faces).dtype == np.float32


def test_votes_for_what_is_no_class_do_not_count():
    faces = rated([[5, 0, 0, 3, 2, 0, 0, 0]], [3]).keep_classes(["happiness", "sadness"])
    assert raters.soft_labels(faces).tolist()[0] == pytest.approx([0.6, 0.4])


def test_expected_labels_are_how_often_each_label_goes_with_such_votes():
    # Of the images that all see as anger, three in four are labelled anger, the others fear.
    rng = np.random.default_rng(0)
    seen = rng.integers(0, 3, 3000)
    labels = np.where((seen == 0) & (rng.random(3000) < 0.25), 2, seen)
    faces = rated(10 * np.eye(8, dtype=int)[seen], labels)
    expected = raters.expected_labels(faces)
    for emotion in range(3):
        often = np.bincount(labels[seen == emotion], minlength=8) / (seen == emotion).sum()
        np.testing.assert_allclose(expected[seen == emotion][0], often, atol=0.02)
    np.testing.assert_allclose(expected.sum(1), 1, atol=1e-5)
    assert (expected[:, 3:] == 0).all()  # no such label among these images
    mixed = raters.soft_labels(faces, share=0.6, expected=True)
    np.testing.assert_allclose(mixed, 0.6 * expected + 0.4 * np.eye(8)[labels], atol=1e-6)


def test_votes_foretell_the_labels_of_fer2013_better_when_the_differences_are_learnt(real_data):
    faces = datasets.load("fer2013", real_data("fer2013.csv.xz"), votes=real_data("ferplus.csv"))
    train = faces.split("Training")
    right = {
        expected: raters.soft_labels(train, expected=expected).argmax(1) == train.labels
        for expected in (False, True)
    }
    assert right[False].mean() == pytest.approx(0.64, abs=0.01)
    assert right[True].mean() > right[False].mean() + 0.02


def test_of_one_class_nothing_is_expected():
    with pytest.raises(ConfigurationError, match="two classes or more"):
        raters.expected_labels(rated([[1] * 8, [2] * 8], [3, 3]))


@pytest.mark.parametrize(
    ("faces", "share", "words"),
    [
        (rated([[1] * 8], [0]), 1.5, "share=1.5"),
        (rated([[1] * 8], [-1]), 1.0, "1 of 1 images of .* have no label"),
    ],
)
def test_soft_labels_that_can_not_be_made_are_refused(faces, share, words):
    with pytest.raises((ConfigurationError, LabelError), match=words):
        raters.soft_labels(faces, share=share)


@pytest.mark.parametrize(
    ("counts", "unknown", "not_a_face", "label"),
    [
        ([6, 0, 0, 4, 0, 0, 0, 0], 0, 0, "anger"),  # 6 of 10
        ([5, 0, 0, 5, 0, 0, 0, 0], 0, 0, None),  # no majority
        ([4, 0, 0, 3, 0, 0, 0, 0], 3, 0, None),  # 4 of 10
        ([0, 5, 1, 1, 1, 1, 1, 0], 0, 0, "disgust"),  # single votes are slips: 5 of 5
        ([1, 1, 1, 1, 1, 1, 1, 1], 1, 1, None),
        ([2, 0, 0, 0, 0, 0, 0, 0], 8, 0, None),  # most know no answer
        ([3, 0, 0, 0, 0, 0, 0, 0], 0, 7, None),  # most see no face
        ([0, 0, 0, 0, 0, 0, 0, 10], 0, 0, "contempt"),
    ],
)
def test_the_majority_is_more_than_half_of_the_votes_that_are_no_slips(
    counts, unknown, not_a_face, label
):
    faces = rated([counts], [0])
    table = faces.table.assign(votes_unknown=unknown, votes_not_a_face=not_a_face)
    faces = FaceDataset(faces.images, faces.labels, faces.class_names, table)
    assert raters.by_majority(faces).labels.tolist() == [EMOTIONS.index(label) if label else -1]


def test_the_majority_of_ferplus_keeps_the_images_that_the_literature_counts(real_data):
    faces = datasets.load("fer2013", real_data("fer2013.csv.xz"), votes=real_data("ferplus.csv"))
    voted = raters.by_majority(faces)
    assert voted.name == "fer2013-majority"
    kept = voted.select(voted.labels >= 0)
    counts = [len(kept.split(name)) for name in ("Training", "PublicTest", "PrivateTest")]
    assert counts == [25_060, 3_199, 3_153]
    assert kept.counts().loc["contempt"].tolist() == [119, 13, 16, 148]

"""What raters saw: agreement recomputed vote by vote, and the published figures of FER+."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emohelpers import datasets, raters
from emohelpers.datasets import EMOTIONS, FaceDataset
from emohelpers.errors import ConfigurationError


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

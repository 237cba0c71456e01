"""The data set itself: views without copies, selections that agree with NumPy's, immutability."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emohelpers.datasets import EMOTIONS, FaceDataset
from emohelpers.datasets._base import ImageRows, fold_label
from emohelpers.datasets._duplicates import image_digests, mark_duplicates
from emohelpers.errors import ConfigurationError, LabelError

N = 12
PIXELS = np.arange(N * 8 * 8, dtype=np.uint32).reshape(N, 8, 8, 1).astype(np.uint8)


def faces(**columns):
    table = pd.DataFrame(
        {
            "split": ["Training"] * 6 + ["PublicTest"] * 3 + ["PrivateTest"] * 3,
            "file": [f"row {i}" for i in range(N)],
            **columns,
        }
    )
    return FaceDataset(PIXELS, np.arange(N) % 3, EMOTIONS[:3], table, name="test")


@given(st.lists(st.integers(-N, N - 1)))
def test_selecting_positions_is_numpys_indexing(rows):
    picked = faces().select(rows)
    np.testing.assert_array_equal(np.asarray(picked.images), PIXELS[rows])
    np.testing.assert_array_equal(picked.labels, (np.arange(N) % 3)[rows])
    assert picked.table["file"].tolist() == [f"row {i % N}" for i in rows]


@given(st.lists(st.booleans(), min_size=N, max_size=N), st.data())
def test_selecting_twice_and_indexing_is_numpys(mask, data):
    first = np.flatnonzero(mask)
    second = data.draw(st.permutations(range(len(first)))) if len(first) else []
    picked = faces().select(np.array(mask)).select(second)
    expected = PIXELS[first][second]
    np.testing.assert_array_equal(np.asarray(picked.images), expected)
    assert picked.images.shape == expected.shape
    assert picked.images.nbytes == expected.nbytes
    if len(second):
        np.testing.assert_array_equal(picked.images[-1], expected[-1])
        np.testing.assert_array_equal(picked.images[:, 2:5, ::2], expected[:, 2:5, ::2])
        np.testing.assert_array_equal(picked.images[0, 3], expected[0, 3])
        np.testing.assert_array_equal(picked.images[[0, -1]], expected[[0, -1]])
        assert [image.sum() for image in picked.images] == [image.sum() for image in expected]


def test_contiguous_rows_share_memory_and_others_are_read_when_indexed():
    assert np.shares_memory(faces().split("test").images, PIXELS)
    scattered = faces().select([0, 5]).images
    assert isinstance(scattered, ImageRows)
    assert scattered.base is PIXELS
    with pytest.raises(ValueError, match="copy"):
        np.asarray(scattered, copy=False)


def test_splits_go_by_the_sources_words_and_the_projects():
    assert faces().split("validation").table["file"].tolist() == ["row 6", "row 7", "row 8"]
    assert len(faces().split("PublicTest")) == 3
    assert len(faces().split("Training")) == len(faces().split("train")) == 6
    with pytest.raises(ConfigurationError, match="unknown split 'dev'"):
        faces().split("dev")


def test_keeping_classes_relabels_in_the_order_asked_for():
    kept = faces().keep_classes(["fear", "anger"])
    assert kept.class_names == ("fear", "anger")
    names = np.array(EMOTIONS[:3])[np.arange(N) % 3]
    assert [kept.class_names[label] for label in kept.labels] == [
        name for name in names if name != "disgust"
    ]
    with pytest.raises(LabelError, match="contempt"):
        faces().keep_classes(["contempt"])
    with pytest.raises(LabelError):
        faces().keep_classes(["fear", "fear"])


def test_counts_are_those_of_a_loop():
    counts = faces().counts()
    assert counts.columns.tolist() == ["Training", "PublicTest", "PrivateTest", "total"]
    for position, name in enumerate(EMOTIONS[:3]):
        for split in ("Training", "PublicTest", "PrivateTest"):
            rows = faces().split(split)
            assert counts.loc[name, split] == sum(label == position for label in rows.labels)
    backwards = faces().select(range(N - 1, -1, -1))
    assert backwards.counts().equals(counts)
    none = faces(split=pd.array([None] * N, dtype="str"))
    assert none.counts()["total"].tolist() == [4, 4, 4]


def test_images_without_a_label_are_counted_and_dropped_by_classes():
    labels = np.array([-1, 0] + [1] * (N - 2))
    some = FaceDataset(PIXELS, labels, EMOTIONS[:3], faces().table)
    assert some.counts().loc["(none)", "total"] == 1
    assert len(some.keep_classes(EMOTIONS[:3])) == N - 1


def test_assigned_splits_keep_groups_together_and_have_the_sizes_asked_for():
    people = [f"person {i % 10}" for i in range(N)]
    divided = faces(person=people).assign_splits(validation=0.2, test=0.3, by="person", seed=4)
    parts = divided.table.groupby("person")["split"].unique()
    assert all(len(part) == 1 for part in parts)
    assert parts.str[0].value_counts().to_dict() == {"train": 5, "test": 3, "validation": 2}
    again = faces(person=people).assign_splits(validation=0.2, test=0.3, by="person", seed=4)
    assert again.table.equals(divided.table)
    other = faces(person=people).assign_splits(validation=0.2, test=0.3, by="person", seed=5)
    assert not other.table.equals(divided.table)
    with pytest.raises(ConfigurationError, match="'user'"):
        faces().assign_splits(by="user")
    with pytest.raises(ConfigurationError, match="leave"):
        faces().assign_splits(validation=0.5, test=0.5)


def test_leaks_follow_the_splits_that_are_assigned():
    kinds = [0, 1, 2, 3] * 3
    marks = mark_duplicates([bytes([kind]) for kind in kinds], ["all"] * N)
    divided = faces(**marks).assign_splits(validation=0.25, test=0.25, seed=3)
    sides = divided.table.groupby(kinds)["split"].nunique()
    assert set(sides) == {1, 2, 3}
    assert divided.table["leaks"].tolist() == [bool(sides[kind] > 1) for kind in kinds]
    together = faces(**marks, kind=kinds).assign_splits(validation=0.25, test=0.25, by="kind")
    assert not together.table["leaks"].any()


def test_labels_can_be_taken_from_a_column():
    groups = ["child", "baby", None] * 4
    ordered = pd.Categorical(groups, ["baby", "child", "adult"])
    by_group = faces(group=ordered).label_by("group")
    assert by_group.class_names == ("baby", "child", "adult")
    assert by_group.labels.tolist() == [1, 0, -1] * 4
    words = faces(word=pd.Series(groups, dtype="str")).label_by("word")
    assert (words.class_names, words.labels.tolist()) == (("baby", "child"), [1, 0, -1] * 4)
    with pytest.raises(ConfigurationError, match="'age'"):
        faces().label_by("age")


def test_shuffling_with_the_same_seed_does_not_meet_the_splits():
    n = 2000
    pixels = np.zeros((n, 8, 8, 1), np.uint8)
    table = pd.DataFrame({"split": pd.array([None] * n, dtype="str"), "file": "x"})
    divided = FaceDataset(pixels, np.zeros(n, int), EMOTIONS[:1], table).assign_splits(seed=0)
    first = np.random.default_rng(0).permutation(n)[: n // 10]
    assert (divided.table["split"][first] == "test").mean() < 0.2


def test_nothing_that_a_caller_does_changes_it():
    labels = np.arange(N) % 3
    table = faces().table
    data = FaceDataset(PIXELS, labels, list(EMOTIONS[:3]), table)
    labels[0] = 2
    table.loc[0, "file"] = "changed"
    assert data.labels[0] == 0
    assert data.table.loc[0, "file"] == "row 0"
    with pytest.raises(ValueError, match="read-only"):
        data.labels[0] = 1
    with pytest.raises(AttributeError):
        data.name = "other"


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.data())
def test_duplicates_of_a_selection_are_those_of_its_own_images(kinds, data):
    images = np.array(kinds, np.uint8).repeat(64).reshape(-1, 8, 8, 1)
    splits = data.draw(
        st.lists(
            st.sampled_from(["Training", "PublicTest"]),
            min_size=len(kinds),
            max_size=len(kinds),
        )
    )
    marks = mark_duplicates(image_digests(images), splits)
    table = pd.DataFrame({"split": splits, "file": "x"}).join(marks)
    whole = FaceDataset(images, np.zeros(len(kinds), int), EMOTIONS[:1], table)
    rows = data.draw(st.lists(st.sampled_from(range(len(kinds))), unique=True))
    picked = whole.select(rows)
    expected = mark_duplicates(image_digests(images[rows]), [splits[row] for row in rows])
    assert picked.table["duplicate_of"].equals(expected["duplicate_of"])
    for row, kind in enumerate(kinds):
        others = {splits[i] for i, other in enumerate(kinds) if other == kind} - {splits[row]}
        assert bool(whole.table["leaks"][row]) == bool(others)


@pytest.mark.parametrize(
    ("images", "labels", "error", "words"),
    [
        (PIXELS.astype(float), np.zeros(N), ConfigurationError, "uint8"),
        (PIXELS[..., 0], np.zeros(N), ConfigurationError, "(n, height, width, channels)"),
        (PIXELS, np.zeros(N - 1), ConfigurationError, "11 labels"),
        (PIXELS, np.full(N, 3), LabelError, "3 to 3"),
        (PIXELS, np.full(N, -2), LabelError, "-2"),
    ],
)
def test_parts_that_do_not_fit_are_refused(images, labels, error, words):
    with pytest.raises(error) as caught:
        FaceDataset(images, labels, EMOTIONS[:3], faces().table)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("word", "label"),
    [("HAPPINESS", "happiness"), (" sad ", "sadness"), ("Surprised", "surprise")],
)
def test_words_of_sources_fold_onto_the_emotions(word, label):
    assert fold_label(word) == label


def test_an_unknown_word_is_named():
    with pytest.raises(LabelError, match="'bored'"):
        fold_label("bored")

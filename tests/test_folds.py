"""Copies of one photograph, and parts of a data set that share nobody."""

import dataclasses
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from emohelpers import datasets
from emohelpers.datasets import FaceDataset, assign_fold, near_duplicates, person_groups
from emohelpers.errors import ConfigurationError

FACES = datasets.make_faces(60, seed=5, size=96)


def with_persons(faces: FaceDataset, persons) -> FaceDataset:
    return dataclasses.replace(faces, table=faces.table.assign(person=persons))


def compressed(image: np.ndarray) -> np.ndarray:
    """Return an image as it comes back from a smaller JPEG."""
    stored = io.BytesIO()
    Image.fromarray(image[..., 0]).resize((60, 60)).save(stored, "JPEG", quality=60)
    return np.asarray(Image.open(stored).resize((96, 96)))[..., None]


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Correlate the fine structure of two images, by another library than the package's."""
    from scipy.ndimage import gaussian_filter

    fine = []
    for image in (first, second):
        small = image[..., 0].reshape(32, 3, 32, 3).astype(float).mean((1, 3))
        fine.append((small - gaussian_filter(small, 2.0, mode="mirror", truncate=4)).ravel())
    return float(np.corrcoef(fine)[0, 1])


def test_copies_are_found_whatever_was_done_to_them_and_strangers_are_not():
    images = np.array(FACES.images)
    copies = [
        compressed(images[3]),
        np.clip(images[7].astype(int) + 25, 0, 255).astype(np.uint8),
        images[9],
    ]
    pairs = near_duplicates(np.concatenate([images, copies]), similarity=0.9)
    assert pairs[["first", "second"]].to_numpy().tolist() == [[3, 60], [7, 61], [9, 62]]
    assert pairs["similarity"].between(0.9, 1).all()
    assert pairs["similarity"].iloc[-1] == pytest.approx(1, abs=1e-5)


def test_the_similarity_is_the_correlation_of_fine_structure():
    pairs = near_duplicates(FACES.images, similarity=0.05)
    rows = pairs.sample(12, random_state=0).itertuples(index=False)
    for first, second, similarity in rows:
        expected = correlation(FACES.images[first], FACES.images[second])
        assert similarity == pytest.approx(expected, abs=0.02)
    matrix = np.zeros((60, 60), bool)
    matrix[pairs["first"], pairs["second"]] = True
    assert not np.tril(matrix).any()


def test_an_image_of_one_grey_is_like_no_other():
    flat = np.full((3, 48, 48, 1), 90, np.uint8)
    flat[1] += 1
    assert near_duplicates(flat).empty
    assert near_duplicates(flat[:0]).empty
    assert list(near_duplicates(flat)) == ["first", "second", "similarity"]


@pytest.mark.parametrize("similarity", [0, -0.5, 1.5])
def test_a_similarity_out_of_range_is_refused(similarity):
    with pytest.raises(ConfigurationError, match=r"similarity=.*expected above 0 and up to 1"):
        near_duplicates(FACES.images, similarity=similarity)


def test_two_names_on_one_photograph_are_one_group():
    images = np.array(FACES.images[:6])
    images[4] = compressed(images[1])
    persons = ["Zoe_A", "Ann_Lee", "Bo", "bo", "Cy", "123"]
    faces = with_persons(dataclasses.replace(FACES.select(range(6)), images=images), persons)
    assert person_groups(faces) == ["zoea", "annlee", "bo", "bo", "annlee", "123"]


@given(
    persons=st.lists(st.sampled_from("abcdefghijklmnop"), min_size=60, max_size=60),
    folds=st.integers(2, 6),
    seed=st.integers(0, 99),
)
def test_every_image_is_tested_on_once_by_who_has_not_seen_the_person(persons, folds, seed):
    faces = with_persons(FACES, persons)
    tested = []
    for fold in range(1, folds + 1):
        table = assign_fold(faces, fold, folds=folds, seed=seed).table
        sides = table.groupby("person")["split"].nunique()
        assert (sides == 1).all()
        tested.append(table["split"].eq("test").to_numpy())
        assert (table["fold"].eq(fold) == table["split"].eq("test")).all()
    assert (np.sum(tested, axis=0) == 1).all()


def test_who_comes_or_goes_changes_nothing_for_the_others():
    persons = np.array([f"person{number % 23}" for number in range(60)])
    whole = assign_fold(with_persons(FACES, persons), 2).table.set_index("file")["split"]
    some = FACES.select(persons != "person7")
    part = assign_fold(with_persons(some, persons[persons != "person7"]), 2).table
    assert part["split"].tolist() == whole[part["file"]].tolist()


def test_the_parts_are_about_as_large_as_asked_for():
    faces = datasets.make_faces(2_000, seed=1, size=24)
    split = assign_fold(faces, 1, by=None, folds=4, validation=0.2).table["split"]
    shares = split.value_counts(normalize=True)
    # Three standard errors of 2,000 draws.
    assert shares["test"] == pytest.approx(0.25, abs=0.03)
    assert shares["validation"] == pytest.approx(0.15, abs=0.025)


def test_a_split_by_image_puts_a_person_on_several_sides():
    faces = with_persons(FACES, ["one"] * 60)
    assert set(assign_fold(faces, 1, by=None).table["split"]) == {"train", "validation", "test"}
    assert assign_fold(faces, 1).table["split"].nunique() == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fold": 0}, "fold=0 of folds=5: expected 1 to folds"),
        ({"fold": 6}, "fold=6 of folds=5"),
        ({"fold": 1, "folds": 1}, "folds=1: expected"),
        ({"fold": 1, "validation": 1.0}, "validation=1.0: expected above 0 and below 1"),
        ({"fold": 1, "by": "someone"}, "no column 'someone' in the table: expected one of split"),
    ],
)
def test_bad_arguments_are_refused(options, words):
    with pytest.raises(ConfigurationError, match=words):
        assign_fold(FACES, **options)


def test_the_real_set_holds_copies_under_two_names(real_data, tmp_path):
    faces = datasets.load(
        "facial_expressions", real_data("facial_expressions.tar"), size=48, cache=tmp_path
    )
    pairs = near_duplicates(faces.images)
    persons = faces.table["person"].to_numpy()
    others = pairs[persons[pairs["first"]] != persons[pairs["second"]]]
    names = {frozenset(row) for row in persons[others[["first", "second"]].to_numpy()]}
    assert frozenset({"Raul_Ibanez", "Carlos_Beltran"}) in names
    assert frozenset({"Julianne_Moore", "Todd_Haynes"}) in names
    assert 8 <= len(others) <= 16
    folds = assign_fold(faces, 1).table["fold"]
    for rare in ("contempt", "fear"):
        assert set(folds[faces.labels == datasets.EMOTIONS.index(rare)]) == {1, 2, 3, 4, 5}
    groups = np.array(person_groups(faces))
    assert (groups[others["first"]] == groups[others["second"]]).all()
    assert groups[persons == "HrithikRoshan"][0] == groups[persons == "Hrithik_Roshan"][0]
    # No chain of lookalikes ties strangers into one large group.
    assert len(set(groups)) > 0.99 * len(set(persons))

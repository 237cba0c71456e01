"""Toy faces: known truth, stable bytes, groups as asked for, units that move their own region."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emohelpers.datasets import EMOTIONS, FaceDataset, make_faces
from emohelpers.datasets.toyfaces import ACTION_UNITS, EMFACS, FACES_PER_PERSON, MONK_SCALE, load
from emohelpers.datasets.toyfaces._drawing import paint
from emohelpers.datasets.toyfaces._palette import mix_palette
from emohelpers.datasets.toyfaces._parameters import (
    Draws,
    Faces,
    FaceStream,
    draw_people,
    emotion_shares,
    group_multipliers,
    group_shares,
)
from emohelpers.datasets.toyfaces._raters import GUESSING, SHARPNESS, vote_probabilities
from emohelpers.errors import ConfigurationError


def still_faces(n: int, *, difficulty: float = 0.0, **changes: float) -> Faces:
    """Return faces that look straight ahead, with the named draws fixed."""
    people = draw_people(n * FACES_PER_PERSON, 5, group_shares({"age_group": {"adult": 1}}))
    faces = FaceStream(
        people,
        seed=5,
        emotions=emotion_shares(["neutral"]),
        difficulty=(difficulty, difficulty),
        multipliers=group_multipliers(None),
    ).take(n * FACES_PER_PERSON)
    middle = {
        name: np.full(len(faces), 0.5)
        for name in ("yaw", "pitch", "roll", "shift_x", "shift_y", "scale", "aspect", "gaze_x")
    }
    camera = {**faces.camera, **middle, "hand": np.ones(len(faces))}
    camera |= {name: np.full(len(faces), value) for name, value in changes.items()}
    return Faces(
        faces.people,
        faces.labels,
        faces.intensity,
        np.zeros_like(faces.units),
        Draws(np.stack(list(camera.values()), axis=1), list(camera)),
        faces.quality,
        faces.difficulty,
        faces.rater_draws,
    )


@pytest.fixture(scope="module")
def many() -> FaceDataset:
    return make_faces(1200, size=24, seed=8)


@pytest.mark.parametrize("color", [False, True])
def test_fewer_faces_are_the_first_of_more(color: bool) -> None:
    few, many = make_faces(21, color=color, seed=3), make_faces(270, color=color, seed=3)
    np.testing.assert_array_equal(few.images, many.images[:21])
    np.testing.assert_array_equal(few.labels, many.labels[:21])
    pd.testing.assert_frame_equal(few.table, many.table.iloc[:21])


def test_another_seed_draws_other_faces() -> None:
    assert (make_faces(8, seed=1).images != make_faces(8, seed=2).images).mean() > 0.5


def test_the_same_person_is_drawn_with_several_expressions() -> None:
    table = make_faces(200, seed=1).table
    assert (table.groupby("person").size() == FACES_PER_PERSON).all()
    for column in ("age_group", "gender", "skin_tone"):
        assert (table.groupby("person")[column].nunique() == 1).all()


def test_labels_are_even_in_every_run() -> None:
    for n in (14, 70, 301):
        counts = np.bincount(make_faces(n, seed=n).labels, minlength=7)
        assert abs(counts - n / 7).max() <= 3


def test_a_mapping_sets_the_shares_of_the_emotions_in_its_order() -> None:
    faces = make_faces(400, emotions={"sadness": 1, "happiness": 3})
    assert faces.class_names == ("sadness", "happiness")
    assert np.bincount(faces.labels)[1] == pytest.approx(300, abs=4)


@pytest.mark.parametrize("size", [24, 33, 48, 100, (40, 64)])
@pytest.mark.parametrize("color", [False, True])
def test_any_size_and_colour(size: int | tuple[int, int], color: bool) -> None:
    faces = make_faces(5, size=size, color=color)
    shape = (size, size) if isinstance(size, int) else size
    assert faces.images.shape == (5, *shape, 3 if color else 1)
    assert faces.images.dtype == np.uint8
    assert faces.images.reshape(5, -1).std(axis=1).min() > 5


def test_a_larger_picture_shows_the_same_face() -> None:
    small = make_faces(30, difficulty=0, seed=2).images[..., 0].astype(float)
    large = make_faces(30, difficulty=0, seed=2, size=96).images[..., 0]
    halved = large.reshape(30, 48, 2, 48, 2).mean(axis=(2, 4))
    likeness = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(small, halved, strict=True)]
    assert min(likeness) > 0.9


REGIONS = {
    1: (6, 17),
    2: (6, 17),
    4: (6, 19),
    5: (12, 20),
    6: (13, 34),
    7: (13, 22),
    9: (9, 40),
    10: (24, 42),
    12: (22, 46),
    14: (30, 46),
    15: (28, 48),
    16: (32, 46),
    17: (30, 48),
    20: (27, 48),
    23: (31, 48),
    25: (32, 46),
    26: (25, 48),
    43: (13, 21),
}


@pytest.mark.parametrize("unit", ACTION_UNITS)
def test_each_action_unit_moves_its_own_region(unit: int) -> None:
    """Of the change that a unit makes, at least nine tenths lies in the rows where it should."""
    faces = still_faces(4)
    before = paint(faces, size=48, channels=1).astype(int)
    faces.units[:, ACTION_UNITS.index(unit)] = 1.0
    change = np.abs(paint(faces, size=48, channels=1) - before).mean(axis=(0, 3))
    top, bottom = REGIONS[unit]
    assert change.sum() > 40
    if unit != 26:  # an open jaw moves the whole picture a little, to keep the chin in it
        assert change[top:bottom].sum() > 0.9 * change.sum()


def test_a_unit_on_one_side_leaves_the_other_side_alone() -> None:
    faces = still_faces(4)
    before = paint(faces, size=48, channels=1).astype(int)
    faces.units[:, ACTION_UNITS.index(14), 0] = 1.0
    change = np.abs(paint(faces, size=48, channels=1) - before).sum(axis=(0, 1, 3))
    assert change[:22].sum() > 10 * change[26:].sum()


def test_units_follow_emfacs() -> None:
    faces = make_faces(160, emotions=EMOTIONS, difficulty=0.3, seed=4)
    names = np.array(EMOTIONS)[faces.labels]
    for emotion, units in EMFACS.items():
        rows = faces.table[names == emotion]
        for unit in units:
            assert rows[f"au_{unit}"].min() > 0.15, (emotion, unit)
    assert (faces.table.loc[names == "neutral", "intensity"] == 0).all()


def test_monk_scale_is_the_published_one() -> None:
    """The ten colours at https://skintone.google, lightest first."""
    published = "#f6ede4 #f3e7db #f7ead0 #eadaba #d7bd96 #a07e56 #825c43 #604134 #3a312a #292420"
    assert list(MONK_SCALE) == published.split()


def test_darker_tones_are_drawn_darker() -> None:
    cheeks = []
    for tone in (1, 5, 8, 10):
        faces = make_faces(40, color=True, difficulty=0, group_sizes={"skin_tone": {tone: 1}})
        assert set(faces.table["skin_tone"]) == {tone}
        cheeks.append(np.median(faces.images[:, 24:30, 12:36]))
    assert cheeks == sorted(cheeks, reverse=True)
    assert cheeks[0] > 1.4 * cheeks[-1]


def test_grey_is_the_luminance_of_the_colours() -> None:
    faces = still_faces(3)
    grey, color = mix_palette(faces, 1), mix_palette(faces, 3)
    for one, three in zip(grey, color, strict=True):
        for part, value in one.items():
            assert value == pytest.approx(np.dot(three[part], [0.299, 0.587, 0.114]), abs=1)


def test_group_sizes_are_met() -> None:
    table = make_faces(
        1200,
        size=24,
        group_sizes={"gender": {"female": 3, "male": 1}, "age_group": {"elderly": 1, "baby": 1}},
    ).table
    people = table.drop_duplicates("person")
    assert (people["gender"] == "female").mean() == pytest.approx(0.75, abs=0.08)
    assert set(people["age_group"]) == {"elderly", "baby"}
    assert people["skin_tone"].nunique() == 10


def test_planted_quality_dims_and_flattens_a_group_only() -> None:
    plain = make_faces(200, seed=6)
    planted = make_faces(200, seed=6, group_quality={"female": 0.3, 9: 0.5})
    female = (plain.table["gender"] == "female").to_numpy()
    nine = (plain.table["skin_tone"] == 9).to_numpy()
    ratio = planted.table["quality"] / plain.table["quality"]
    np.testing.assert_allclose(
        ratio, np.where(female, 0.3, 1.0) * np.where(nine, 0.5, 1.0), rtol=1e-4
    )
    same = ~female & ~nine
    np.testing.assert_array_equal(plain.images[same], planted.images[same])
    spread = lambda faces: faces.images[female].reshape(female.sum(), -1).std(axis=1).mean()  # noqa: E731
    assert spread(planted) < 0.7 * spread(plain)
    assert planted.images[female].mean() < 0.9 * plain.images[female].mean()


def test_ten_votes_agree_as_documented(many: FaceDataset) -> None:
    faces = many
    votes = faces.table[[f"votes_{name}" for name in EMOTIONS]].to_numpy()
    assert (votes.sum(axis=1) == 10).all()
    own = votes[np.arange(len(faces)), faces.labels]
    assert own.mean() / 10 == pytest.approx(faces.table["agreement"].mean(), abs=0.015)
    easy, hard = make_faces(50, difficulty=0).table, make_faces(50, difficulty=1).table
    assert easy["agreement"].mean() > hard["agreement"].mean() + 0.1


def test_vote_probabilities_follow_the_written_model() -> None:
    """A surprised face of full clarity, worked out by hand."""
    faces = still_faces(1)
    faces.labels[:] = EMOTIONS.index("surprise")
    faces.intensity[:] = 1.0
    faces.quality[:] = 1.0
    shared = {"fear": 4 / 7, "sadness": 1 / 6, "anger": 1 / 7, "surprise": 1.0}
    weights = np.array([np.exp(SHARPNESS * shared.get(name, 0.0)) for name in EMOTIONS])
    expected = GUESSING / 8 + (1 - GUESSING) * weights / weights.sum()
    np.testing.assert_allclose(vote_probabilities(faces)[0], expected)


def test_a_pair_of_difficulties_mixes_easy_and_hard_faces() -> None:
    ends = [make_faces(200, size=24, difficulty=d).table["agreement"].mean() for d in (0.1, 0.9)]
    mixed = make_faces(200, size=24, difficulty=(0.1, 0.9))
    assert mixed.table["agreement"].mean() == pytest.approx(np.mean(ends), abs=0.04)
    few = make_faces(50, size=24, difficulty=(0.1, 0.9))
    np.testing.assert_array_equal(few.images, mixed.images[:50])


def test_splits_share_no_person(many: FaceDataset) -> None:
    table = many.table
    assert (table.groupby("person")["split"].nunique() == 1).all()
    shares = table["split"].value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx({"train": 0.7, "validation": 0.15, "test": 0.15})


def test_table_says_that_nothing_is_duplicated(many: FaceDataset) -> None:
    assert len({image.tobytes() for image in many.images}) == len(many)
    assert many.table["duplicate_of"].isna().all()
    assert not many.table["leaks"].any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": 0}, "n=0"),
        ({"n": 2.5}, "n=2.5"),
        ({"size": 23}, "24 to 512"),
        ({"size": (48, 600)}, "24 to 512"),
        ({"size": (48, 48, 3)}, "height, width"),
        ({"seed": -1}, "seed=-1"),
        ({"difficulty": 1.1}, "difficulty=1.1"),
        ({"difficulty": float("nan")}, "0 to 1"),
        ({"difficulty": (0.6, 0.5)}, "lower first"),
        ({"emotions": []}, "expected different ones"),
        ({"emotions": "anger"}, "expected different ones"),
        ({"emotions": ["joy"]}, "happiness"),
        ({"emotions": ["anger", "anger"]}, "different"),
        ({"emotions": {"anger": 0.0}}, "above 0"),
        ({"group_sizes": {"race": {"x": 1}}}, "age_group, gender, skin_tone"),
        ({"group_sizes": {"gender": 3}}, "mapping"),
        ({"group_sizes": {"gender": {"woman": 1}}}, "female, male"),
        ({"group_sizes": {"gender": {"female": 0}}}, "not all 0"),
        ({"group_sizes": {"gender": {"female": -1}}}, "0 or more"),
        ({"group_quality": {"woman": 0.5}}, "female"),
        ({"group_quality": {"female": 1.5}}, "0..1"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words.replace(".", r"\.")):
        make_faces(**{"n": 4, **arguments})  # type: ignore[arg-type]


@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(1, 9),
    seed=st.integers(0, 2**40),
    difficulty=st.floats(0, 1),
    emotions=st.lists(st.sampled_from(EMOTIONS), min_size=1, unique=True),
)
def test_any_legal_draw_is_complete(
    n: int, seed: int, difficulty: float, emotions: list[str]
) -> None:
    faces = make_faces(n, size=24, seed=seed, difficulty=difficulty, emotions=emotions)
    assert faces.class_names == tuple(emotions)
    assert not faces.table.drop(columns="duplicate_of").isna().any(axis=None)
    assert faces.table["quality"].between(0, 1).all()


def test_load_maps_the_same_faces_from_its_cache(tmp_path: Path) -> None:
    first = load(n=120, cache=tmp_path, group_quality={"male": 0.5, 3: 0.5})
    again = load(n=120, cache=tmp_path, group_quality={"male": 0.5, 3: 0.5})
    assert isinstance(again.images, np.memmap)
    np.testing.assert_array_equal(first.images, again.images)
    assert len([p for p in tmp_path.iterdir() if p.name.startswith("toyfaces-")]) == 1
    shares = json.loads(next(tmp_path.glob("toyfaces-*/meta.json")).read_text())["class_names"]
    drawn = make_faces(
        120,
        emotions=dict(zip(shares, [4953, 547, 5121, 8989, 6077, 4002, 6198], strict=True)),
        group_quality={"male": 0.5, 3: 0.5},
    )
    np.testing.assert_array_equal(drawn.images, first.images)
    pd.testing.assert_frame_equal(drawn.table, first.table)


def test_load_refuses_a_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected none"):
        load(tmp_path, cache=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "digest"),
    [
        ({"color": False}, "230f8567e95993bf"),
        ({"color": True, "size": 64}, "15560df6b0d94816"),
    ],
)
def test_a_seed_gives_the_same_bytes_everywhere(arguments: dict[str, object], digest: str) -> None:
    """Whoever changes the drawing on purpose raises `_VERSION` and writes the new sums here."""
    faces = make_faces(64, emotions=EMOTIONS, seed=2026, **arguments)  # type: ignore[arg-type]
    assert hashlib.sha256(faces.images.tobytes()).hexdigest()[:16] == digest

"""Resampling keeps what it promises of counts, rows and files, and is imbalanced-learn's own."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imblearn.combine import SMOTETomek
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import TomekLinks

from emohelpers import datasets
from emohelpers.errors import ConfigurationError, LabelError
from emohelpers.sampling import WAYS, resample, resample_features

SHARES = {"anger": 0.5, "neutral": 0.35, "disgust": 0.15}


def faces(n=80, **options):
    return datasets.make_faces(n, size=24, seed=4, emotions=SHARES, **options)


def clouds(counts=(30, 12, 6), n_features=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    rows = rng.normal(labels[:, None], 1, (len(labels), n_features)).astype(np.float32)
    order = rng.permutation(len(labels))
    return rows[order], labels[order]


@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=60).filter(lambda x: len(set(x)) > 1),
    per_class=st.none() | st.integers(1, 40),
    seed=st.integers(0, 3),
)
def test_drawn_classes_have_as_many_rows_as_asked_for_and_only_their_own(labels, per_class, seed):
    labels = np.array(labels)
    # Its position tells each row from all others.
    rows = np.arange(len(labels), dtype=float)[:, None]
    counts = np.bincount(labels)
    present = counts > 0
    for way, limit, wanted in (
        ("undersample", np.minimum, per_class or counts[present].min()),
        ("oversample", np.maximum, per_class or counts.max()),
    ):
        drawn, found = resample_features(rows, labels, way, per_class=per_class, seed=seed)
        positions = drawn[:, 0].astype(int)
        np.testing.assert_array_equal(found, labels[positions])
        expected = np.where(present, limit(counts, wanted), 0)
        np.testing.assert_array_equal(np.bincount(found, minlength=len(counts)), expected)
        again, _ = resample_features(rows, labels, way, per_class=per_class, seed=seed)
        np.testing.assert_array_equal(again, drawn)
        if way == "undersample":
            assert (np.diff(positions) > 0).all()
        else:
            np.testing.assert_array_equal(positions[: len(labels)], np.arange(len(labels)))


@pytest.mark.parametrize("seed", [0, 5])
def test_smote_a_class_at_a_time_is_imbalanced_learns_smote_of_all(seed):
    rows, labels = clouds()
    theirs, their_labels = SMOTE(k_neighbors=3, random_state=seed).fit_resample(rows, labels)
    ours, our_labels = resample_features(rows, labels, "smote", neighbours=3, seed=seed)
    np.testing.assert_array_equal(our_labels, their_labels)
    np.testing.assert_array_equal(ours, theirs)
    assert ours.dtype == np.float32
    theirs, their_labels = SMOTETomek(
        smote=SMOTE(k_neighbors=3, random_state=seed),
        tomek=TomekLinks(sampling_strategy="all"),
    ).fit_resample(rows, labels)
    ours, our_labels = resample_features(rows, labels, "smote-tomek", neighbours=3, seed=seed)
    assert len(ours) < 3 * 30
    np.testing.assert_array_equal(our_labels, their_labels)
    np.testing.assert_array_equal(ours, theirs)


@given(st.integers(2, 8), st.integers(1, 7), st.integers(0, 9))
def test_what_smote_makes_lies_between_an_image_and_a_near_one_of_its_class(n, neighbours, seed):
    rows, labels = clouds((20, n), seed=seed)
    rows = rows.astype(float)
    made, found = resample_features(rows, labels, "smote", neighbours=neighbours, seed=seed)
    np.testing.assert_array_equal(made[: len(rows)], rows)
    assert (found[len(rows) :] == 1).all()
    members = rows[labels == 1]
    apart = np.linalg.norm(members[:, None] - members[None], axis=2)
    # A class that has no more images than neighbours were asked for draws among all the others.
    near = np.argsort(apart, axis=1)[:, 1 : min(neighbours, n - 1) + 1]
    for row in made[len(rows) :]:
        to_row = np.linalg.norm(members - row, axis=1)
        detour = [to_row[a] + to_row[b] - apart[a, b] for a in range(n) for b in near[a] if a != b]
        assert min(detour) < 1e-9


def test_of_nine_images_smote_takes_the_neighbours_that_there_are():
    rows, labels = clouds((30, 9, 3))
    ours, _ = resample_features(rows, labels, "smote", neighbours=20, seed=1)
    for label, others in ((1, 8), (2, 2)):
        kept = labels != 3 - label
        theirs, _ = SMOTE(
            sampling_strategy={label: 30}, k_neighbors=others, random_state=1
        ).fit_resample(rows[kept], labels[kept])
        made = ours[len(rows) : len(rows) + 21] if label == 1 else ours[len(rows) + 21 :]
        np.testing.assert_array_equal(made, theirs[kept.sum() :])


def test_a_class_of_one_image_is_refused_by_its_name_where_images_are_to_be_made():
    rows, labels = clouds((9, 5, 1))
    for way in ("smote", "smote-tomek"):
        with pytest.raises(LabelError, match="class 2 has a single image: SMOTE expects two"):
            resample_features(rows, labels, way)
    data = faces()
    lonely = np.flatnonzero(data.labels == 2)[:1]
    some = data.select(np.concatenate([np.flatnonzero(data.labels < 2), lonely]))
    with pytest.raises(LabelError, match="class disgust has a single image"):
        resample(some, "smote")
    assert np.bincount(resample(some, "oversample").labels).tolist()[2] > 1


def test_made_images_are_interpolated_pixels_rounded_and_put_back_into_shape():
    data = faces(color=True)
    flat = np.asarray(data.images, np.float32).reshape(len(data), -1)
    for way in ("smote", "smote-tomek"):
        more = resample(data, way, neighbours=3, seed=2)
        assert more.images.dtype == np.uint8
        assert more.images.shape[1:] == data.images.shape[1:]
        rows, labels = resample_features(flat, data.labels, "smote", neighbours=3, seed=2)
        rounded = np.rint(rows)
        if way == "smote-tomek":
            kept = TomekLinks(sampling_strategy="all").fit(rounded, labels)
            kept.fit_resample(rounded, labels)
            rounded, labels = (part[kept.sample_indices_] for part in (rounded, labels))
        np.testing.assert_array_equal(more.labels, labels)
        np.testing.assert_array_equal(
            np.asarray(more.images).reshape(len(more), -1), rounded.astype(np.uint8)
        )


def test_the_table_tells_made_images_from_others_and_keeps_what_it_knew():
    data = faces(120).split("train")
    more = resample(data, "smote", per_class=30)
    made = more.table["synthetic"].to_numpy()
    assert made.dtype == bool
    np.testing.assert_array_equal(made, np.arange(len(more)) >= len(data))
    pd.testing.assert_frame_equal(
        more.table[~made][list(data.table)], data.table, check_dtype=False
    )
    assert (more.table["split"] == "train").all()
    assert more.table["leaks"].dtype == bool
    assert more.table.loc[made, "person"].isna().all()
    assert more.class_names == data.class_names
    assert (np.bincount(more.labels) >= 30).all()
    # Once more from what was made: what is synthetic stays so.
    again = resample(more, "smote", per_class=len(more))
    assert (again.table["synthetic"].to_numpy()[: len(more)] == made).all()
    # Of several splits, none is the split of what is made.
    mixed = resample(faces(120), "smote").table
    assert mixed.loc[mixed["synthetic"], "split"].isna().all()


def test_chosen_images_are_neither_copied_nor_reordered():
    data = faces(120)
    for way in ("undersample", "oversample", "tomek"):
        chosen = resample(data, way)
        assert np.shares_memory(getattr(chosen.images, "base", chosen.images), data.images)
        assert list(chosen.table) == list(data.table)
    few = resample(data, "undersample", per_class=5)
    assert few.table["file"].is_monotonic_increasing
    assert np.bincount(few.labels).tolist() == [5, 5, 5]


def tomek_links(rows, labels):
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    nearest = apart.argmin(1)
    return (nearest[nearest] == np.arange(len(rows))) & (labels[nearest] != labels)


@given(st.integers(0, 50))
def test_of_tomek_links_only_images_of_the_smallest_class_stay(seed):
    rows, labels = clouds((15, 10, 6), n_features=2, seed=seed)
    linked = tomek_links(rows.astype(float), labels)
    kept, found = resample_features(rows, labels, "tomek")
    expected = ~linked | (labels == 2)
    np.testing.assert_array_equal(kept, rows[expected])
    np.testing.assert_array_equal(found, labels[expected])


@pytest.mark.parametrize(
    ("way", "options", "error", "words"),
    [
        ("adasyn", {}, ConfigurationError, f"'adasyn': expected one of {', '.join(WAYS)}"),
        ("smote", {"neighbours": 0}, ConfigurationError, "neighbours=0"),
        ("undersample", {"per_class": 0}, ConfigurationError, "per_class=0: expected 1 or more"),
        ("tomek", {"per_class": 9}, ConfigurationError, "per_class with 'tomek'"),
    ],
)
def test_what_can_not_be_asked_for_is_refused(way, options, error, words):
    for call in (lambda: resample(faces(), way, **options), lambda: features(way, **options)):
        with pytest.raises(error, match=words):
            call()


def features(way="smote", rows=None, labels=None, **options):
    known = clouds()
    rows, labels = (
        one if given is None else given for one, given in zip(known, (rows, labels), strict=True)
    )
    return resample_features(rows, labels, way, **options)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"rows": np.zeros((48, 2, 2))}, ConfigurationError, r"shape \(48, 2, 2\)"),
        ({"rows": np.zeros((47, 2))}, ConfigurationError, r"labels of shape \(48,\)"),
        ({"rows": np.zeros((48, 2), np.uint8)}, ConfigurationError, "of uint8"),
        ({"rows": np.full((48, 2), np.nan)}, ConfigurationError, "NaN or infinity"),
        ({"labels": np.full(48, -1)}, LabelError, "integers of 0 or more"),
        ({"labels": np.zeros(48)}, LabelError, "float64: expected integers"),
        ({"labels": np.zeros(48, int)}, ConfigurationError, "48 images of 1 class"),
        (
            {"rows": np.zeros((0, 2)), "labels": np.zeros(0, int)},
            ConfigurationError,
            "0 images of 0 class",
        ),
    ],
)
def test_features_that_can_not_be_resampled_are_refused(given, error, words):
    with pytest.raises(error, match=words):
        features(**given)


def test_images_without_a_label_are_refused():
    data = faces()
    unlabelled = datasets.FaceDataset(
        data.images, np.full(len(data), -1), data.class_names, data.table
    )
    with pytest.raises(LabelError, match="80 of 80 images"):
        resample(unlabelled, "oversample")

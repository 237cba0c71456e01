import hashlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from emohelpers.augmentation import _offline, write_augmented
from emohelpers.datasets._base import FaceDataset
from emohelpers.errors import ConfigurationError, LabelError


@pytest.fixture
def dataset():
    rng = np.random.default_rng(0)
    return FaceDataset(
        images=rng.integers(0, 256, (20, 10, 8, 3), dtype=np.uint8),
        labels=np.arange(20) % 2,
        class_names=("happiness", "neutral"),
        table=pd.DataFrame(
            {
                "split": ["Training"] * 12 + ["PublicTest"] * 4 + ["PrivateTest"] * 4,
                "file": [f"row {row}" for row in range(20)],
            }
        ),
    )


def contents(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def pixels(directory, file):
    return np.asarray(Image.open(directory / file))


def test_every_image_is_written_once_and_training_images_are_copied(dataset, tmp_path):
    manifest = write_augmented(dataset, tmp_path, copies=3)
    assert manifest.groupby("split").size().to_dict() == {"test": 4, "train": 48, "validation": 4}
    assert set(manifest["split"][manifest["copy"] > 0]) == {"train"}
    assert manifest["file"].is_unique
    assert set(contents(tmp_path)) == {*manifest["file"], "manifest.csv"}
    position = {f"row {row}": row for row in range(20)}
    for row in manifest.itertuples():
        image = dataset.images[position[row.source]]
        same = np.array_equal(pixels(tmp_path, row.file), image)
        assert same == (row.copy == 0)
        folder = f"{row.split}/{dataset.class_names[dataset.labels[position[row.source]]]}/"
        assert row.file.startswith(f"{folder}row-{position[row.source]}_{row.copy}_")


def test_the_manifest_on_disk_is_the_one_returned_and_its_sums_hold(dataset, tmp_path):
    manifest = write_augmented(dataset, tmp_path, copies=1)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "manifest.csv"), manifest)
    for file, expected in zip(manifest["file"], manifest["sha256"], strict=True):
        assert hashlib.sha256((tmp_path / file).read_bytes()).hexdigest() == expected


def test_no_source_and_no_picture_stands_in_two_splits(dataset, tmp_path):
    images = np.array(dataset.images)
    images[3] = images[17]  # a training image that is also in the test set
    images[5] = images[4]  # twice in training: both stay
    leaking = FaceDataset(images, dataset.labels, dataset.class_names, dataset.table)
    manifest = write_augmented(leaking, tmp_path, copies=2)
    assert manifest.groupby("source")["split"].nunique().max() == 1
    originals = manifest[manifest["copy"] == 0]
    by_pixels = originals.assign(
        pixels=[pixels(tmp_path, file).tobytes() for file in originals["file"]]
    )
    assert by_pixels.groupby("pixels")["split"].nunique().max() == 1
    assert set(manifest["source"]) == set(dataset.table["file"]) - {"row 3"}


def test_offline_changes_are_those_of_the_pipeline(dataset, tmp_path):
    manifest = write_augmented(dataset, tmp_path, copies=6, preset=None, flip=True)
    source = {f"row {row}": image for row, image in enumerate(dataset.images)}
    mirrored = 0
    for row in manifest[manifest["copy"] > 0].itertuples():
        copy, original = pixels(tmp_path, row.file), source[row.source]
        flipped = np.array_equal(copy, original[:, ::-1])
        assert flipped or np.array_equal(copy, original)
        mirrored += flipped
    assert 20 < mirrored < 52


def test_grey_images_stay_grey(dataset, tmp_path):
    grey = FaceDataset(dataset.images[..., :1], dataset.labels, ("a", "b"), dataset.table)
    manifest = write_augmented(grey, tmp_path, copies=1)
    assert {Image.open(tmp_path / file).mode for file in manifest["file"]} == {"L"}


@pytest.mark.parametrize("total", [20, 25, 32, 50])
def test_a_total_is_shared_out_evenly(dataset, tmp_path, total):
    manifest = write_augmented(dataset, tmp_path, total=total)
    assert len(manifest) == total
    copies = manifest[manifest["split"] == "train"].groupby("source").size()
    assert copies.max() - copies.min() <= 1


def test_a_second_call_writes_nothing(dataset, tmp_path):
    first = write_augmented(dataset, tmp_path, copies=2)
    stamps = {file: (tmp_path / file).stat().st_mtime_ns for file in first["file"]}
    second = write_augmented(dataset, tmp_path, copies=2)
    pd.testing.assert_frame_equal(first, second)
    assert {file: (tmp_path / file).stat().st_mtime_ns for file in second["file"]} == stamps
    assert set(contents(tmp_path)) == {*first["file"], "manifest.csv"}


@pytest.mark.parametrize("written", [0, 7, 23, 45])
def test_an_interrupted_call_goes_on_to_the_same_files(dataset, tmp_path, monkeypatch, written):
    monkeypatch.setattr(_offline, "_BATCH", 8)
    write_augmented(dataset, tmp_path / "whole", copies=3)

    encode, left = _offline._encode, iter(range(written))

    def interrupted(image):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return encode(image)

    with monkeypatch.context() as patch:
        patch.setattr(_offline, "_encode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_augmented(dataset, tmp_path / "parts", copies=3)
    assert len(contents(tmp_path / "parts")) == written
    # What a killed process, which cleans nothing up, leaves behind.
    (tmp_path / "parts" / ".partial").mkdir()
    (tmp_path / "parts" / ".partial" / "row-1.png").write_bytes(b"half a pict")

    write_augmented(dataset, tmp_path / "parts", copies=3)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_images_of_the_same_name_and_pixels_are_both_written(dataset, tmp_path):
    images = np.array(dataset.images)
    images[2] = images[0]
    table = dataset.table.assign(
        file=dataset.table["file"].where(dataset.table.index != 2, "row 0")
    )
    twins = FaceDataset(images, dataset.labels, dataset.class_names, table)
    manifest = write_augmented(twins, tmp_path, copies=1)
    assert (manifest["source"] == "row 0").sum() == 4
    assert manifest["file"].is_unique


@pytest.mark.parametrize("other", [{"seed": 1}, {"preset": "fer"}, {"rotation": 3}])
def test_a_directory_of_other_settings_is_refused_and_left_alone(dataset, tmp_path, other):
    write_augmented(dataset, tmp_path, copies=1)
    before = contents(tmp_path)
    with pytest.raises(ConfigurationError, match="12 files that this call would not write"):
        write_augmented(dataset, tmp_path, copies=1, **other)
    assert contents(tmp_path) == before


def test_a_directory_of_other_files_is_refused(dataset, tmp_path):
    (tmp_path / "thesis.docx").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"1 files .* thesis\.docx"):
        write_augmented(dataset, tmp_path, copies=1)
    with pytest.raises(ConfigurationError, match="is a file"):
        write_augmented(dataset, tmp_path / "thesis.docx", copies=1)


def test_more_copies_later_keep_those_that_are_there(dataset, tmp_path):
    write_augmented(dataset, tmp_path, copies=1)
    before = contents(tmp_path)
    write_augmented(dataset, tmp_path, copies=2)
    after = contents(tmp_path)
    del before["manifest.csv"]
    assert before.items() <= after.items()
    assert len(after) == len(before) + 12 + 1


@pytest.mark.parametrize(
    ("table", "labels", "message"),
    [
        ({"split": None}, None, r"20 of 20 .* row 0: .* dataset\.assign_splits"),
        ({"split": "holdout"}, None, r"no known split"),
        ({"split": "test"}, None, "no image is in the split train"),
        ({}, np.arange(20) % 3 - 1, "7 of 20 images of .* have no label"),
    ],
)
def test_data_sets_that_can_not_be_kept_apart_are_refused(
    dataset, tmp_path, table, labels, message
):
    labels = dataset.labels if labels is None else labels
    other = FaceDataset(dataset.images, labels, dataset.class_names, dataset.table.assign(**table))
    with pytest.raises((ConfigurationError, LabelError), match=message):
        write_augmented(other, tmp_path / "out", copies=1)
    assert not (tmp_path / "out").exists()


def test_strengths_are_checked_before_anything_is_written(dataset, tmp_path):
    with pytest.raises(ConfigurationError, match="unknown preset"):
        write_augmented(dataset, tmp_path / "out", copies=1, preset="strong")
    with pytest.raises(ConfigurationError, match="unknown strength"):
        write_augmented(dataset, tmp_path / "out", copies=1, rotate=3)
    assert not (tmp_path / "out").exists()


def test_class_names_that_leave_the_directory_are_refused(dataset, tmp_path):
    other = FaceDataset(dataset.images, dataset.labels, ("../up", "b"), dataset.table)
    with pytest.raises(ConfigurationError, match=r"class '\.\./up'"):
        write_augmented(other, tmp_path, copies=1)


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ({}, "copies=None, total=None: expected one"),
        ({"copies": 1, "total": 30}, "copies=1, total=30: expected one"),
        ({"copies": -1}, "copies=-1"),
        ({"total": 19}, "total=19: expected at least 20"),
    ],
)
def test_amounts_that_make_no_sense_are_refused(dataset, tmp_path, amount, message):
    with pytest.raises(ConfigurationError, match=message):
        write_augmented(dataset, tmp_path, **amount)

"""Folders of class folders: layouts, splits, class names, bad members."""

import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from emohelpers.datasets import load
from emohelpers.datasets._ingest import Faults
from emohelpers.datasets.folders import class_names_of, parse_layout
from emohelpers.errors import ImageError, LabelError, MissingPathError


def draw(path, grey, size=(16, 12), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, grey).save(path)


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "faces"
    draw(root / "train" / "Happy" / "1.png", 10)
    draw(root / "train" / "sad" / "1.png", 20)
    draw(root / "valid" / "sad" / "2.png", 30)
    draw(root / "TEST" / "sad" / "3.png", 20)
    return root


def test_splits_classes_and_duplicates_are_read_from_the_folders(tree, tmp_path):
    faces = load("folders", tree, cache=tmp_path / "cache")
    assert faces.class_names == ("happiness", "sadness")
    table = faces.table
    assert table["file"].tolist() == [
        "TEST/sad/3.png",
        "train/Happy/1.png",
        "train/sad/1.png",
        "valid/sad/2.png",
    ]
    assert table["split"].tolist() == ["test", "train", "train", "validation"]
    assert table["source_label"].tolist() == ["sad", "Happy", "sad", "sad"]
    assert faces.labels.tolist() == [1, 0, 1, 1]
    assert np.asarray(faces.images)[:, 0, 0, 0].tolist() == [20, 10, 20, 30]
    assert faces.images.shape == (4, 12, 16, 1)
    assert table["duplicate_of"].tolist()[2] == 0
    assert table["duplicate_of"].isna().tolist() == [True, True, False, True]
    assert table["leaks"].tolist() == [True, False, True, False]
    assert len(faces.split("train")) == 2


def test_an_archive_holds_the_same_as_its_folder(tree, tmp_path):
    archive = tmp_path / "faces.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for path in sorted(tree.rglob("*.png")):
            out.write(path, f"some/common/{path.relative_to(tree)}")
    packed = load("folders", archive, cache=tmp_path / "cache")
    plain = load("folders", tree, cache=tmp_path / "cache")
    assert packed.labels.tolist() == plain.labels.tolist()
    assert packed.table["split"].tolist() == plain.table["split"].tolist()
    assert np.array_equal(packed.images, plain.images)


def test_other_names_than_emotions_are_kept_sorted_and_have_no_split(tmp_path):
    root = tmp_path / "faces"
    draw(root / "smile" / "1.png", (1, 2, 3), mode="RGB")
    draw(root / "happy" / "2.png", 9, size=(30, 40))
    faces = load("folders", root, cache=tmp_path / "cache")
    assert faces.class_names == ("happy", "smile")
    assert faces.table["split"].isna().all()
    # The first image, in the order of the names, sets size and colour for all.
    assert faces.images.shape == (2, 40, 30, 1)
    coloured = load("folders", root, size=8, color=True, cache=tmp_path / "cache")
    assert coloured.images.shape == (2, 8, 8, 3)
    assert coloured.images[1, 0, 0].tolist() == [1, 2, 3]


def test_bad_images_are_named_or_skipped_and_counted(tree, tmp_path):
    (tree / "train" / "sad" / "0.png").write_bytes(b"")
    (tree / "train" / "sad" / "4.png").write_text("not an image")
    with pytest.raises(ImageError, match=r"faces/train/sad/0.png is empty"):
        load("folders", tree, cache=tmp_path / "cache")
    faces = load("folders", tree, on_error="skip", cache=tmp_path / "cache")
    assert len(faces) == 4
    assert faces.skipped["where"].tolist() == ["train/sad/0.png", "train/sad/4.png"]
    assert "is empty" in faces.skipped["reason"][0]
    assert "not an image" in faces.skipped["reason"][1]
    # duplicate_of counts positions in what was kept
    first = faces.table["file"].tolist().index("TEST/sad/3.png")
    again = faces.table["file"].tolist().index("train/sad/1.png")
    assert faces.table["duplicate_of"][again] == first


@pytest.mark.parametrize("stray", ["1.png", "train/1.png", "train/sad/old/1.png"])
def test_an_image_outside_the_class_folders_is_named(tree, tmp_path, stray):
    draw(tree / stray, 99)
    with pytest.raises(LabelError, match=rf"^{stray} lies in no class folder.*<split>/<class>"):
        load("folders", tree, cache=tmp_path / "cache")
    faces = load("folders", tree, on_error="skip", cache=tmp_path / "cache")
    assert len(faces) == 4
    assert faces.skipped["where"].tolist() == [stray]


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(MissingPathError, match="nowhere does not exist"):
        load("folders", tmp_path / "nowhere", cache=tmp_path / "cache")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingPathError, match=r"empty holds no image.*<class>/<image>"):
        load("folders", tmp_path / "empty", cache=tmp_path / "cache")


def test_a_changed_folder_is_read_again(tree, tmp_path):
    assert len(load("folders", tree, cache=tmp_path / "cache")) == 4
    draw(tree / "train" / "fear" / "9.png", 77)
    faces = load("folders", tree, cache=tmp_path / "cache")
    assert faces.class_names == ("fear", "happiness", "sadness")


WORDS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8).filter(
    lambda word: word.lower() not in ("train", "training", "test", "testing", "val")
)
SPLITS = {"train": "train", "Training": "train", "VAL": "validation", "test": "test"}


@given(
    prefix=st.lists(WORDS.filter(lambda word: not word.lower().startswith("val")), max_size=2),
    images=st.lists(
        st.tuples(st.sampled_from(list(SPLITS)), WORDS, WORDS), min_size=1, max_size=8, unique=True
    ),
)
def test_any_tree_of_splits_and_classes_is_read_back(prefix, images):
    images = [image for image in images if not image[1].lower().startswith("val")]
    names = ["/".join([*prefix, *image]) + ".png" for image in images]
    layout = parse_layout(names, Faults("raise"))
    assert layout["file"].tolist() == names
    assert layout["split"].tolist() == [SPLITS[split] for split, _, _ in images]
    assert layout["source_label"].tolist() == [word for _, word, _ in images]


@given(st.lists(WORDS, min_size=1, unique=True))
def test_every_word_means_a_class(words):
    class_names, meanings = class_names_of(words)
    assert set(meanings) == set(words)
    assert set(meanings.values()) == set(class_names)
    assert len(set(class_names)) == len(class_names)


def test_words_for_the_same_emotion_are_one_class():
    assert class_names_of(["happy", "HAPPINESS", "Angry"])[0] == ["anger", "happiness"]


def test_images_that_only_look_alike_when_small_are_no_duplicates(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    other = pixels.copy()
    other[0, 0] ^= 1
    for split, image in (("train", pixels), ("test", other)):
        path = tmp_path / "faces" / split / "sad" / "1.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(image).save(path)
    small = load("folders", tmp_path / "faces", size=8, cache=tmp_path / "cache")
    np.testing.assert_array_equal(small.images[0], small.images[1])
    assert small.table["duplicate_of"].isna().all()
    assert not small.table["leaks"].any()

"""facial_expressions: both legends, persons, duplicated names, bad input."""

import csv
import io
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from emohelpers.datasets import EMOTIONS, load
from emohelpers.datasets._ingest import Faults
from emohelpers.datasets.facial_expressions import parse_legend, person_of
from emohelpers.errors import ImageError, LabelError, MissingPathError, TableError

LEGEND = """user.id,image,emotion
302,Ann_Lee_0001.jpg,HAPPINESS
302,Ann_Lee_0002.jpg,neutral
JN721,Ann_Lee_0001.jpg,happiness
jhamski,Bo_10.jpg,Sad
dwdii,Bo_10.jpg,SURPRISE
"""


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "facial_expressions"
    (root / "data").mkdir(parents=True)
    (root / "images").mkdir()
    (root / "data" / "legend.csv").write_text(LEGEND)
    (root / "data" / "500_picts_satz.csv").write_bytes(b"906,Bo_10.jpg,sad\r906,Zoe_0001.jpg,fear")
    names = ["Ann_Lee_0001", "Ann_Lee_0002", "Bo_10", "Zoe_0001"]
    for number, name in enumerate(names):
        Image.new("L", (35, 40), 20 * number).save(root / "images" / f"{name}.jpg")
    return root


def read(path, tmp_path, **options):
    return load("facial_expressions", path, cache=tmp_path / "cache", **options)


def test_every_row_of_the_legend_is_an_image(root, tmp_path):
    faces = read(root, tmp_path)
    assert faces.images.shape == (5, 180, 180, 1)
    assert faces.class_names == EMOTIONS
    named = [faces.class_names[label] for label in faces.labels]
    assert named == ["happiness", "happiness", "neutral", "sadness", "surprise"]
    table = faces.table
    assert table["row"].tolist() == [2, 4, 3, 5, 6]
    assert table["user"].tolist() == ["302", "JN721", "302", "jhamski", "dwdii"]
    assert table["person"].tolist() == ["Ann_Lee", "Ann_Lee", "Ann_Lee", "Bo", "Bo"]
    assert table["source_label"].tolist() == [
        "HAPPINESS",
        "happiness",
        "neutral",
        "Sad",
        "SURPRISE",
    ]
    assert table["duplicate_of"].isna().tolist() == [True, False, True, True, False]
    assert table["duplicate_of"].dropna().tolist() == [0, 3]
    assert np.asarray(faces.images)[:, 90, 90, 0].tolist() == [0, 0, 20, 40, 40]
    assert table["split"].isna().all()


def test_the_notes_count_duplicated_names_contradictions_and_images_without_a_label(root, tmp_path):
    said = "\n".join(read(root, tmp_path).notes)
    assert "names 2 images more than once" in said
    assert "Bo_10.jpg has labels that contradict each other" in said
    assert "sadness (row 5), surprise (row 6)" in said
    assert "Ann_Lee_0001.jpg has" not in said
    assert "1 of 4 images have no label" in said
    assert "Zoe_0001.jpg" in said


def test_the_legend_without_a_header_is_chosen_by_name_or_by_path(root, tmp_path):
    by_name = read(root, tmp_path, legend="500_picts_satz.csv", size=16, color=True)
    by_path = read(root / "data" / "500_picts_satz.csv", tmp_path, size=16, color=True)
    for faces in (by_name, by_path):
        assert faces.table["file"].tolist() == ["images/Bo_10.jpg", "images/Zoe_0001.jpg"]
        assert faces.labels.tolist() == [EMOTIONS.index("sadness"), EMOTIONS.index("fear")]
        assert faces.table["row"].tolist() == [1, 2]
        assert faces.images.shape == (2, 16, 16, 3)


def test_an_archive_holds_the_same_as_its_folder(root, tmp_path):
    archive = tmp_path / "facial_expressions.tar.gz"
    with tarfile.open(archive, "w:gz") as out:
        out.add(root / "images", "facial_expressions-master/images")
        out.add(root / "data", "facial_expressions-master/data")
    packed, plain = read(archive, tmp_path), read(root, tmp_path)
    order = np.argsort(packed.table["row"].to_numpy())
    again = np.argsort(plain.table["row"].to_numpy())
    assert packed.labels[order].tolist() == plain.labels[again].tolist()
    assert np.array_equal(np.asarray(packed.images)[order], np.asarray(plain.images)[again])


def test_images_elsewhere_in_the_repository_are_not_taken(root, tmp_path):
    (root / "drawings").mkdir()
    Image.new("L", (40, 40), 250).save(root / "drawings" / "Ann_Lee_0001.jpg")
    faces = read(root, tmp_path)
    assert np.asarray(faces.images).max() < 100
    assert "1 of 4 images have no label" in "\n".join(faces.notes)


@pytest.mark.parametrize(
    ("legend", "error", "said"),
    [
        ("", TableError, r"legend.csv is empty: expected columns image, emotion"),
        ("user.id,image\n1,a.jpg\n", TableError, r"has columns user.id, image: expected"),
        ("user.id,image,emotion\n", TableError, r"legend.csv holds no good row"),
        (LEGEND + "1,No_0001.jpg,fear\n", MissingPathError, r"row 7 .*names 'No_0001.jpg'"),
        (LEGEND + "1,Zoe_0001.jpg,glad\n", LabelError, r"legend.csv, row 7: unknown label 'glad'"),
        (LEGEND + "1,Zoe_0001.jpg\n", TableError, r"legend.csv, row 7: 2 cells"),
        ("1,a.jpg\n", TableError, r"row 1: 2 cells"),
        (LEGEND.encode() + b"\xff,a,b", TableError, r"legend.csv is not text in UTF-8"),
        (b'user.id,image,emotion\n1,"a,b', TableError, r"legend.csv, row 2: unexpected end"),
    ],
)
def test_a_bad_legend_names_file_and_row(root, tmp_path, legend, error, said):
    data = legend if isinstance(legend, bytes) else legend.encode()
    (root / "data" / "legend.csv").write_bytes(data)
    with pytest.raises(error, match=said):
        read(root, tmp_path)


def test_bad_rows_and_images_are_skipped_and_counted(root, tmp_path):
    with (root / "data" / "legend.csv").open("a") as legend:
        legend.write("1,No_0001.jpg,fear\n1,Zoe_0001.jpg,glad\n1,Zoe_0001.jpg\n")
    (root / "images" / "Ann_Lee_0001.jpg").write_text("text")
    faces = read(root, tmp_path, on_error="skip")
    assert faces.table["row"].tolist() == [3, 5, 6]
    assert faces.table["duplicate_of"].dropna().tolist() == [1]
    skipped = dict(zip(faces.skipped["where"], faces.skipped["reason"], strict=True))
    assert "expected it in images/" in skipped.pop("row 7 of legend.csv")
    assert "'glad'" in skipped.pop("row 8 of legend.csv")
    assert "2 cells" in skipped.pop("row 9 of legend.csv")
    assert "not an image" in skipped.pop("images/Ann_Lee_0001.jpg")
    assert skipped == {}


def test_missing_and_broken_files(root, tmp_path):
    with pytest.raises(MissingPathError, match="nowhere"):
        read(tmp_path / "nowhere", tmp_path)
    with pytest.raises(MissingPathError, match=r"nothing.csv does not exist"):
        read(root / "data" / "nothing.csv", tmp_path)
    with pytest.raises(MissingPathError, match=r"has no other.csv.*500_picts_satz.csv"):
        read(root, tmp_path, legend="other.csv")
    (tmp_path / "lone.csv").write_text(LEGEND)
    with pytest.raises(MissingPathError, match="beside no folder images"):
        read(tmp_path / "lone.csv", tmp_path)
    (root / "images" / "Bo_10.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match=r"images/Bo_10.jpg is empty"):
        read(root, tmp_path)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=9)


@given(
    rows=st.lists(
        st.tuples(CELLS, CELLS, st.sampled_from([*EMOTIONS, "HAPPY", " sad ", "Fearful"])),
        min_size=1,
        max_size=6,
    ),
    end=st.sampled_from(["\n", "\r", "\r\n"]),
    header=st.booleans(),
)
def test_any_legend_is_read_back(rows, end, header):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=end)
    if header:
        writer.writerow(["user.id", "image", "emotion"])
    writer.writerows(rows)
    data = text.getvalue().encode("utf-8-sig" if header else "utf-8")
    legend = parse_legend(data, "x.csv", Faults("raise"))
    assert [(row.user, row.image) for row in legend] == [
        (user.strip(), image.strip()) for user, image, _ in rows
    ]
    assert [row.source_label for row in legend] == [word for _, _, word in rows]
    assert [row.row for row in legend] == [n + header for n in range(1, len(rows) + 1)]
    assert {row.emotion for row in legend} <= set(EMOTIONS)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_legend_or_an_error_of_ours(data):
    try:
        said, rows = "", parse_legend(data, "x.csv", Faults("raise"))
    except (TableError, LabelError) as error:
        said, rows = str(error), []
    assert rows or "x.csv" in said


@given(st.from_regex(r"[A-Za-z](?:[A-Za-z_.-]*[A-Za-z])?", fullmatch=True), st.integers(0, 9999))
def test_the_person_is_the_name_without_its_number(name, number):
    assert person_of(f"images/{name}_{number:04d}.jpg") == name
    assert person_of(f"{name}_{number}.png") == name


@pytest.mark.parametrize("name", ["facial-expressions_2868588k", "Zoe", "_1"])
def test_a_name_without_a_number_is_the_person(name):
    assert person_of(f"{name}.jpg") == name


def test_the_real_set_has_the_known_counts(real_data, tmp_path):
    archive = real_data("facial_expressions.tar")
    faces = load("facial_expressions", archive, size=8, cache=tmp_path)
    assert faces.counts()["total"].to_dict() == {
        "anger": 252,
        "disgust": 208,
        "fear": 21,
        "happiness": 5696,
        "sadness": 268,
        "surprise": 368,
        "neutral": 6868,
        "contempt": 9,
    }
    said = "\n".join(faces.notes)
    assert "names 8 images more than once" in said
    assert "36 of 13,718 images have no label" in said
    assert "Avinash_30.jpg has labels that contradict" in said
    assert faces.table["file"].duplicated().sum() == 8
    assert faces.table["user"].nunique() == 5
    small = load("facial_expressions", archive, size=8, cache=tmp_path, legend="500_picts_satz.csv")
    assert len(small) == 500
    assert (small.labels == EMOTIONS.index("sadness")).sum() == 50

"""UTKFace: file names, groups, expression labels, bad input."""

import hashlib
import tarfile

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from emohelpers import labelling
from emohelpers.datasets import EMOTIONS, load, utkface
from emohelpers.datasets.utkface import GENDERS, RACES, age_group, parse_name
from emohelpers.errors import ImageError, LabelError, MissingPathError, TableError

TIME = "20170116003012345"
A, B, C = f"2_0_0_{TIME}.jpg.chip.jpg", f"30_1_4_{TIME}.jpg.chip.jpg", f"61_1_{TIME}.jpg.chip.jpg"


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "UTKFace"
    root.mkdir()
    for number, name in enumerate((A, B, C)):
        Image.new("RGB", (200, 200), (10 * number, 0, 0)).save(root / name)
    return root


def read(folder, tmp_path, **options):
    return load("utkface", folder, cache=tmp_path / "cache", **options)


@given(
    age=st.integers(0, 116),
    gender=st.sampled_from(range(2)),
    race=st.sampled_from(range(5)),
    time=st.text("0123456789", min_size=14, max_size=17),
    tail=st.sampled_from([".jpg.chip.jpg", ".jpg", " .jpg.chip.jpg", "jpg.chip.jpg", ".png"]),
    folder=st.sampled_from(["", "UTKFace/", "1_1_1/"]),
)
def test_names_are_read_back(age, gender, race, time, tail, folder):
    parsed = parse_name(f"{folder}{age}_{gender}_{race}_{time}{tail}")
    assert parsed == {"age": age, "gender": GENDERS[gender], "race": RACES[race]}


@given(st.text(max_size=40))
def test_any_other_name_is_refused_by_an_error_that_names_it(name):
    try:
        said, age = "", parse_name(name)["age"]
    except LabelError as error:
        said, age = str(error), -1
    assert 0 <= age <= 116 or name in said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("portrait.jpg", "does not parse: expected"),
        (f"x_0_0_{TIME}.jpg", "does not parse"),
        ("30_1_4.jpg", "does not parse"),
        (f"117_0_0_{TIME}.jpg", "age 117: expected 0 to 116"),
        (f"30_2_0_{TIME}.jpg", "gender 2: expected one of 0 male, 1 female"),
        (f"30_0_5_{TIME}.jpg", "race 5: expected one of 0 White, .*4 Other"),
    ],
)
def test_bad_names_say_what_was_expected(folder, tmp_path, name, said):
    with pytest.raises(LabelError, match=said):
        parse_name(name)
    Image.new("RGB", (200, 200), "white").save(folder / name)
    with pytest.raises(LabelError, match=name):
        read(folder, tmp_path)
    faces = read(folder, tmp_path, on_error="skip")
    assert faces.table["file"].tolist() == [A, B, C]
    assert faces.skipped["where"].tolist() == [name]


@pytest.mark.parametrize(
    ("name", "gender"), [(C, "female"), (f"61_3_{TIME}.jpg", None), (f"53__0_{TIME}.jpg", None)]
)
def test_names_that_lack_a_number_are_read_as_far_as_they_go(name, gender):
    parsed = parse_name(name)
    assert parsed["gender"] == gender
    assert parsed["race"] == ("White" if "__" in name else None)


def test_age_groups_begin_where_the_table_says():
    ages = pd.Series([0, 2, 3, 15, 16, 59, 60, 116])
    assert age_group(ages).tolist() == [
        *("baby", "baby", "child", "child"),
        *("adult", "adult", "elderly", "elderly"),
    ]


def test_the_table_and_its_missing_values(folder, tmp_path):
    faces = read(folder, tmp_path)
    assert faces.class_names == EMOTIONS
    assert faces.labels.tolist() == [-1, -1, -1]
    assert faces.images.shape == (3, 200, 200, 3)
    table = faces.table
    assert table["age"].tolist() == [2, 30, 61]
    assert table["age_group"].tolist() == ["baby", "adult", "elderly"]
    assert list(table["age_group"].cat.categories) == ["baby", "child", "adult", "elderly"]
    assert table["gender"].tolist() == ["male", "female", "female"]
    assert table["race"].tolist()[:2] == ["White", "Other"]
    assert table["race"].isna().tolist() == [False, False, True]
    assert any("lacks the race: 1" in note for note in faces.notes)
    assert read(folder, tmp_path, size=48, color=False).images.shape == (3, 48, 48, 1)


def test_the_same_names_in_several_folders_of_an_archive_are_taken_once(folder, tmp_path):
    archive = tmp_path / "utkface.tar.gz"
    with tarfile.open(archive, "w:gz") as out:
        for top in ("UTKFace", "aligned/UTKFace"):
            for path in sorted(folder.iterdir()):
                out.add(path, f"{top}/{path.name}")
    faces = read(archive, tmp_path)
    assert faces.table["file"].tolist() == [f"UTKFace/{name}" for name in (A, B, C)]
    assert any(note.startswith("3 files repeat the name") for note in faces.notes)


def test_expression_labels_are_joined_by_name(folder, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text(f"file,expression,agreement\n{C},happy,1\nsome/{A},other,0\n")
    faces = read(folder, tmp_path, labels=labels)
    happiness = EMOTIONS.index("happiness")
    assert faces.labels.tolist() == [-1, -1, happiness]
    assert faces.table["expression"].isna().tolist() == [False, True, False]
    assert faces.table["expression"].dropna().tolist() == ["other", "happy"]
    assert faces.table["agreement"].dropna().tolist() == [0, 1]
    labels.write_text(f"file,expression\n{B},NEUTRAL\n")
    again = read(folder, tmp_path, labels=labels)
    assert again.labels.tolist() == [-1, EMOTIONS.index("neutral"), -1]
    assert "agreement" not in again.table


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("", TableError, r"labels.csv is empty: expected columns file, expression"),
        ("file,mood\n", TableError, r"has columns file, mood: expected file, expression"),
        ("file,expression\nx.jpg,happy\n", TableError, r"row 2: there is no image 'x.jpg'"),
        (f"file,expression\n{A},glad\n", LabelError, r"row 2: unknown label 'glad'.*or other"),
        (f"file,expression\n{A},happy,1\n", TableError, r"row 2: 3 cells .*expected 2"),
        (f"file,expression\n{A},sad\n\n{A},sad\n", TableError, r"row 4: .*a second time"),
        (f"file,expression,agreement\n{A},sad,2\n", TableError, r"row 2: agreement '2'"),
    ],
)
def test_bad_labels_name_file_and_row(folder, tmp_path, text, error, said):
    labels = tmp_path / "labels.csv"
    labels.write_text(text)
    with pytest.raises(error, match=said):
        read(folder, tmp_path, labels=labels)


def test_bad_rows_of_labels_are_skipped_and_counted(folder, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text(f"file,expression\nx.jpg,happy\n{A},glad\n{A},1,2\n{B},happy\n{B},sad\n")
    faces = read(folder, tmp_path, labels=labels, on_error="skip")
    assert faces.labels.tolist() == [-1, EMOTIONS.index("happiness"), -1]
    assert sorted(faces.skipped["where"]) == [f"row {row} of labels.csv" for row in (2, 3, 4, 6)]


def test_missing_and_broken_files(folder, tmp_path):
    with pytest.raises(MissingPathError, match="nowhere"):
        read(tmp_path / "nowhere", tmp_path)
    with pytest.raises(MissingPathError, match=r"nothing.csv"):
        read(folder, tmp_path, labels=tmp_path / "nothing.csv")
    (folder / B).write_bytes((folder / B).read_bytes()[:300])
    with pytest.raises(ImageError, match=rf"UTKFace/{B} is damaged or cut short"):
        read(folder, tmp_path)
    faces = read(folder, tmp_path, on_error="skip")
    assert faces.table["file"].tolist() == [A, C]
    assert faces.skipped["where"].tolist() == [B]


def test_nothing_readable_is_an_error_even_when_skipping(tmp_path):
    root = tmp_path / "UTKFace"
    root.mkdir()
    (root / "portrait.jpg").write_bytes(b"x")
    with pytest.raises(ImageError, match="no image that can be read"):
        read(root, tmp_path, on_error="skip")


def test_the_real_set_has_the_published_groups(real_data, tmp_path):
    archive = real_data("utkface_crop_part1.tar")
    labels = real_data("utkface_expression_dev.csv")
    # The counts are of the names; small grey pictures keep this quick.
    faces = load("utkface", archive, size=8, color=False, labels=labels, cache=tmp_path)
    assert len(faces) == 9780
    assert faces.table["race"].value_counts().to_dict() == {
        "White": 5265,
        "Asian": 1553,
        "Indian": 1452,
        "Other": 1103,
        "Black": 405,
    }
    assert faces.table["race"].isna().sum() == 2
    written = pd.read_csv(labels).set_index("file")["expression"]
    names = faces.table["file"].str.removeprefix("crop_part1/")
    assert faces.table["expression"].notna().sum() == len(written)
    assert (written[names[faces.labels == 3]] == "happy").all()
    assert (faces.labels == 3).sum() == (written == "happy").sum()
    assert (faces.labels == 6).sum() == (written == "neutral").sum()


def test_a_training_list_is_read_by_names_and_emotions(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(f"file,expression,confidence\nsome/{A},happy,.9\n{B},neutral,.8\n")
    assert utkface.read_training_list(path).to_dict() == {A: "happiness", B: "neutral"}
    for text, error, said in (
        (f"file,expression\n{A},happy\n{A},happy\n", TableError, "row 3: .* a second time"),
        (f"file,expression\n{A},other\n", LabelError, "list.csv, row 2: unknown label 'other'"),
        ("name,expression\n", TableError, "expected file, expression"),
    ):
        path.write_text(text)
        with pytest.raises(error, match=said):
            utkface.read_training_list(path)
    with pytest.raises(MissingPathError, match="elsewhere"):
        utkface.read_training_list(tmp_path / "elsewhere.csv")


def test_halves_follow_the_name_alone(folder, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text(f"file,expression,agreement\n{A},happy,1\n{B},other,1\n{C},neutral,0\n")
    faces = read(folder, tmp_path, labels=labels)
    nothing = pd.Series({}, dtype="str")
    parts = utkface.divide(faces, nothing).table["split"]
    expected = [
        "test" if hashlib.sha256(name.encode()).digest()[0] % 2 else "validation" for name in (A, B)
    ]
    assert parts.tolist()[:2] == expected
    assert parts.isna().tolist() == [False, False, True]  # the two passes differ on the last
    alone = utkface.divide(faces.select([1]), nothing).table["split"]
    assert alone.tolist() == [parts[1]]


def test_listed_images_train_with_the_label_of_the_list_or_of_the_hand(folder, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text(f"file,expression,agreement\n{A},happy,1\n")
    faces = read(folder, tmp_path, labels=labels)
    divided = utkface.divide(faces, pd.Series({A: "neutral", C: "neutral", "x.jpg": "fear"}))
    assert divided.table["split"].eq("train").fillna(False).tolist() == [True, False, True]
    happiness, neutral = EMOTIONS.index("happiness"), EMOTIONS.index("neutral")
    assert divided.labels.tolist() == [happiness, -1, neutral]
    assert faces.labels.tolist() == [happiness, -1, -1]


def test_the_list_in_the_package_keeps_clear_of_the_real_labels(real_data):
    listed = utkface.read_training_list("utkface_smile.csv")
    by_hand = pd.read_csv(real_data("utkface_expression_dev.csv"))["file"]
    assert not set(listed.index) & set(by_hand)


def test_the_list_in_the_package_is_what_the_command_makes(real_data):
    chosen, _ = labelling.label_utkface(
        "ferplus-compact",
        real_data("utkface_crop_part1.tar"),
        real_data("utkface_expression_dev.csv"),
    )
    made = chosen.set_index("file")["expression"]
    listed = utkface.read_training_list("utkface_smile.csv")
    # Another processor's last digit may move a face across a threshold.
    both = made.index.intersection(listed.index)
    assert len(both) > 0.99 * max(len(made), len(listed))
    assert (made[both] == listed[both]).mean() > 0.995


def test_the_list_in_the_package_is_balanced():
    listed = utkface.read_training_list("utkface_smile.csv")
    assert len(listed) >= 1_500
    parsed = pd.DataFrame([utkface.parse_name(name) for name in listed.index])
    parsed["age_group"] = age_group(parsed["age"])
    cells = ["race", "age_group", "gender"]
    counts = parsed.assign(word=listed.to_numpy()).groupby([*cells, "word"], observed=True).size()
    table = counts.unstack(fill_value=0)
    assert (table["happiness"] == table["neutral"]).all()
    assert set(parsed["race"]) == set(RACES)

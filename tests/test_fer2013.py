"""FER2013: the CSV in all its forms, class folders, votes, duplicates, and every way to be bad."""

import csv
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from emohelpers import datasets
from emohelpers.datasets import _pixel_csv
from emohelpers.datasets._ingest import Faults
from emohelpers.datasets._pixel_csv import read_pixel_csv
from emohelpers.errors import (
    ArchiveError,
    ConfigurationError,
    EmohelpersError,
    ImageError,
    LabelError,
    MissingPathError,
    TableError,
)

USAGES = ["Training", "PublicTest", "PrivateTest"]
COLUMNS = ["emotion", "pixels", "Usage"]
RNG = np.random.default_rng(0)
FACES = RNG.integers(0, 256, (6, 48, 48), np.uint8)
FACES[4] = FACES[0]  # stands in Training and in PublicTest
FACES[5] = FACES[2]
ROWS = [(n % 7, FACES[n], USAGES[n % 3]) for n in range(6)]


def as_text(values) -> str:
    return " ".join(map(str, np.ravel(values)))


def as_csv(rows=None, *, columns=COLUMNS, header=None, end="\n", quote="", last_end=True) -> bytes:
    lines = [header if header is not None else ",".join(columns)]
    for emotion, pixels, usage in ROWS if rows is None else rows:
        text = pixels if isinstance(pixels, str) else as_text(pixels)
        fields = {"emotion": str(emotion), "pixels": text, "Usage": usage}
        quoted = {name: f'"{fields[name]}"' if name in quote else fields[name] for name in COLUMNS}
        lines.append(",".join(quoted[column.strip()] for column in columns))
    return (end.join(lines) + (end if last_end else "")).encode()


def load(tmp_path: Path, data: bytes, name: str = "fer2013.csv", **options):
    path = tmp_path / name
    path.write_bytes(data)
    return datasets.load("fer2013", path, cache=tmp_path / "cache", **options)


def check_rows(faces, rows=ROWS) -> None:
    assert faces.labels.tolist() == [emotion for emotion, _, _ in rows]
    np.testing.assert_array_equal(faces.images[..., 0], [pixels for _, pixels, _ in rows])
    assert faces.table["split"].tolist() == [usage for _, _, usage in rows]


def test_the_csv(tmp_path):
    faces = load(tmp_path, as_csv())
    check_rows(faces)
    assert faces.images.shape == (6, 48, 48, 1)
    assert faces.class_names == datasets.EMOTIONS[:7]
    # As an editor numbers them: the header is row 1.
    assert faces.table["row"].tolist() == [2, 3, 4, 5, 6, 7]
    assert faces.table["file"][0] == "row 2"
    assert faces.table["duplicate_of"].tolist() == [pd.NA] * 4 + [0, 2]
    assert faces.table["leaks"].tolist() == [True, False, False, False, True, False]
    assert "2 images repeat" in faces.notes[0]


@pytest.mark.parametrize(
    "form",
    [
        {"columns": ["emotion", " Usage", " pixels"]},
        {"columns": ["Usage", "pixels", "emotion"]},
        {"columns": ["pixels", "emotion", "Usage"]},
        {"end": "\r\n"},
        {"quote": ["pixels"]},
        {"quote": ["pixels", "Usage"], "end": "\r\n"},
        {"quote": COLUMNS},
        {"last_end": False},
        {"end": "\r\n", "last_end": False},
        {"end": "\n\n"},
        {"header": "\ufeffEmotion,Pixels,USAGE"},
    ],
)
def test_forms_in_which_the_csv_is_shared(tmp_path, form):
    check_rows(load(tmp_path, as_csv(**form)))


def test_columns_that_are_not_needed(tmp_path):
    lines = as_csv().decode().splitlines()
    more = "\n".join(f'{line},"a, b ",{n}' for n, line in enumerate(lines))
    check_rows(load(tmp_path, more.replace("a, b ", "note", 1).encode()))


@pytest.mark.parametrize("form", [{}, {"columns": ["emotion", "Usage", "pixels"]}, {"end": "\r\n"}])
def test_a_well_formed_file_is_never_read_row_by_row(form, monkeypatch):
    monkeypatch.setattr(_pixel_csv._Reader, "_read_exactly", None)
    rows = [
        (n % 7, RNG.integers(0, 10 ** (n % 3 + 1), 2304).clip(0, 255), USAGES[n % 3])
        for n in range(90)
    ]
    found = parse(as_csv(rows, **form))
    assert len(found) == 90
    assert all(
        pixels == values.astype(np.uint8).tobytes()
        for (_, pixels, _), (_, values, _) in zip(found, rows, strict=True)
    )


def pack(folder: Path, kind: str, data: bytes) -> Path:
    path = folder / f"fer2013.{kind}"
    if kind == "csv":
        path.write_bytes(data)
    elif kind == "csv.gz":
        path.write_bytes(gzip.compress(data))
    elif kind == "csv.xz":
        path.write_bytes(lzma.compress(data))
    elif kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("example_submission.csv", "id,emotion\n1,0\n")
            archive.writestr("challenges/icml_face_data.csv", data)
    elif kind == "tar.gz":
        with tarfile.open(path, "w:gz") as archive:
            for name, content in {"fer2013/README": b"...", "fer2013/fer2013.csv": data}.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    else:
        path.mkdir()
        (path / "fer2013.csv").write_bytes(data)
    return path


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "csv.xz", "zip", "tar.gz", "folder"])
def test_the_csv_inside_archives(tmp_path, kind):
    faces = datasets.load("fer2013", pack(tmp_path, kind, as_csv()), cache=tmp_path / "cache")
    check_rows(faces)


def test_size_and_color(tmp_path):
    faces = load(tmp_path, as_csv(), size=(24, 32), color=True)
    assert faces.images.shape == (6, 24, 32, 3)
    resized = Image.fromarray(FACES[1]).resize((32, 24), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(faces.images[1, ..., 2], np.asarray(resized))
    # Duplicates are those of the source.
    assert faces.table["duplicate_of"].notna().sum() == 2


def test_the_second_time_the_csv_is_not_parsed(tmp_path, monkeypatch):
    load(tmp_path, as_csv())
    monkeypatch.setattr("emohelpers.datasets.fer2013.read_pixel_csv", None)
    check_rows(load(tmp_path, as_csv()))
    assert len(list((tmp_path / "cache").glob("fer2013-*"))) == 1


def bad_row(**change) -> bytes:
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
    rows[3].update(change)
    return as_csv([tuple(row.values()) for row in rows])


def with_pixel(place: int, value: str) -> str:
    pixels = as_text(FACES[3]).split(" ")
    pixels[place - 1] = value
    return " ".join(pixels)


BAD_ROWS = {
    "2303 pixels": ({"pixels": as_text(FACES[3].ravel()[1:])}, r"2,303 pixels: expected 2,304"),
    "2305 pixels": ({"pixels": as_text(FACES[3]) + " 7"}, r"2,305 pixels: expected 2,304"),
    "no pixels": ({"pixels": ""}, r"0 pixels: expected 2,304"),
    "256": ({"pixels": with_pixel(1, "256")}, r"'256' as pixel 1: expected 0 to 255"),
    "300": ({"pixels": with_pixel(2304, "300")}, r"'300' as pixel 2,304: expected 0 to 255"),
    "1000": ({"pixels": with_pixel(9, "1000")}, r"'1000' as pixel 9: expected 0 to 255"),
    "-1": ({"pixels": with_pixel(9, "-1")}, r"'-1' as pixel 9: expected 0 to 255"),
    "x": ({"pixels": with_pixel(9, "x")}, r"'x' as pixel 9: expected 0 to 255"),
    "1.0": ({"pixels": with_pixel(9, "1.0")}, r"'1\.0' as pixel 9: expected 0 to 255"),
    "no digits": ({"pixels": with_pixel(9, "²")}, r"as pixel 9: expected 0 to 255"),
    "emotion 7": ({"emotion": 7}, r"emotion '7': expected 0 to 6"),
    "emotion -1": ({"emotion": -1}, r"emotion '-1': expected 0 to 6"),
    "no emotion": ({"emotion": ""}, r"emotion '': expected 0 to 6"),
    "unknown Usage": ({"Usage": "Test"}, r"Usage 'Test': expected Training, PublicTest, Priv"),
    "no Usage": ({"Usage": ""}, r"Usage '': expected Training"),
    "a column too many": ({"Usage": "Training,1"}, r"4 columns: expected 3 as in the header"),
    "an open quote": ({"pixels": '"7 8'}, r"columns: expected 3"),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_bad_rows_are_named_or_left_out(tmp_path, kind):
    change, message = BAD_ROWS[kind]
    with pytest.raises(TableError, match=rf"^fer2013\.csv, row 5 has .*{message}"):
        load(tmp_path, bad_row(**change))
    assert list((tmp_path / "cache").glob("*fer2013*")) == []
    faces = load(tmp_path, bad_row(**change), on_error="skip")
    check_rows(faces, ROWS[:3] + ROWS[4:])
    assert faces.table["row"].tolist() == [2, 3, 4, 6, 7]
    assert faces.skipped["where"].tolist() == ["row 5"]
    assert faces.skipped["reason"].str.contains(message).all()
    assert "1 rows or files could not be read" in faces.notes[1]
    with pytest.raises(TableError):
        load(tmp_path, bad_row(**change))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"fer2013\.csv is empty: expected a header emotion,pixels,Usage"),
        (b"\n\n", r"fer2013\.csv is empty"),
        (b"emotion,pixels,Usage\n", r"no row and no image can be read"),
        (
            as_csv(header="emotion,pixels,split"),
            r"no column Usage: expected emotion, pixels, Us.*split",
        ),
        (as_csv(header="a,b,c"), r"no column emotion and no column pixels and no column Usage"),
        (as_csv(header="emotion pixels Usage"), r"no column emotion"),
        (b'emotion,"pixels"x,Usage\n', r"has the header .*expected emotion,pixels,Usage"),
        (b"emotion,pixels,Usage\n" + b"0 " * 200_000, r"no line end in the .* bytes from byte "),
        (bytes(600_000), r"no line end in the"),
    ],
)
def test_files_that_are_not_fer2013(tmp_path, data, message):
    for on_error in ("raise", "skip"):
        with pytest.raises(TableError, match=message):
            load(tmp_path, data, on_error=on_error)


def test_a_missing_path(tmp_path):
    with pytest.raises(MissingPathError, match=r"nowhere\.csv does not exist"):
        datasets.load("fer2013", tmp_path / "nowhere.csv", cache=tmp_path)
    with pytest.raises(MissingPathError, match="no path was given for fer2013"):
        datasets.load("fer2013")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingPathError, match=r"empty holds neither a CSV nor images"):
        datasets.load("fer2013", tmp_path / "empty", cache=tmp_path)


def test_arguments_that_are_not_known(tmp_path):
    for arguments, message in [
        ({"name": "fer"}, "unknown data set 'fer': expected one of toyfaces, fer2013"),
        ({"name": "fer2013", "on_error": "ignore"}, "expected 'raise' or 'skip'"),
        ({"name": "fer2013", "size": 4}, "size=4: expected pixels"),
        ({"name": "fer2013", "size": (48, 48, 1)}, "expected pixels as one integer or"),
        ({"name": "fer2013", "labels": "x"}, "fer2013 has no option labels: expected votes"),
    ]:
        with pytest.raises(ConfigurationError, match=message):
            datasets.load(path=tmp_path, **arguments)


@pytest.mark.parametrize("kind", ["csv.xz", "csv.gz", "zip", "tar.gz"])
def test_an_archive_cut_short(tmp_path, kind):
    path = pack(tmp_path, kind, as_csv())
    path.write_bytes(path.read_bytes()[:-1000])
    for on_error in ("raise", "skip"):
        with pytest.raises(ArchiveError, match=rf"fer2013\.{kind}.*(cut short|damaged)"):
            datasets.load("fer2013", path, cache=tmp_path / "cache", on_error=on_error)


def test_a_zip_that_leaves_its_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "fer2013.zip", "w") as archive:
        archive.writestr("../fer2013.csv", as_csv())
    with pytest.raises(ArchiveError, match=r"'\.\./fer2013\.csv' whose path leaves"):
        datasets.load("fer2013", tmp_path / "fer2013.zip", cache=tmp_path)


# What the csv module and int() make of a file, or None where they find it bad.


def parse_slowly(data: bytes) -> list[tuple[int, bytes, str]] | None:
    try:
        text = data.decode().removeprefix("\ufeff")
        file = io.StringIO(text, newline="")
        table = list(csv.reader(file, skipinitialspace=True, strict=True))
        header = [name.strip().lower() for name in table[0]]
        places = [header.index(name.lower()) for name in COLUMNS]
        rows = []
        for row in table[1:]:
            if not "".join(row).strip():
                continue
            assert len(row) == len(header)
            emotion, pixels, usage = (row[place].strip() for place in places)
            values = bytes(int(value) for value in pixels.split())
            assert 0 <= int(emotion) <= 6
            assert usage in USAGES
            assert len(values) == 2304
            rows.append((int(emotion), values, usage))
    except (ValueError, IndexError, AssertionError, csv.Error):
        return None
    return rows


def parse(data: bytes) -> list[tuple[int, bytes, str]]:
    return [
        row
        for rows in read_pixel_csv(io.BytesIO(data), where="a.csv", faults=Faults("raise"))
        for row in zip(
            rows.emotions.tolist(), map(bytes, map(np.ravel, rows.images)), rows.usages, strict=True
        )
    ]


SMALL_ROWS = st.lists(
    st.builds(
        lambda emotion, seed, top, usage: (
            emotion,
            np.random.default_rng(seed).integers(0, top + 1, 2304),
            usage,
        ),
        st.integers(0, 6),
        st.integers(0, 2**32),
        st.integers(0, 255),
        st.sampled_from(USAGES),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=40, deadline=None)
@given(
    rows=SMALL_ROWS,
    columns=st.permutations(COLUMNS),
    end=st.sampled_from(["\n", "\r\n"]),
    quote=st.lists(st.sampled_from(COLUMNS)),
    last_end=st.booleans(),
)
def test_any_file_reads_as_the_csv_module_reads_it(rows, columns, end, quote, last_end):
    data = as_csv(rows, columns=columns, end=end, quote=quote, last_end=last_end)
    expected = parse_slowly(data)
    assert expected is not None
    assert parse(data) == expected


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    form=st.sampled_from(
        [{}, {"end": "\r\n"}, {"quote": ["pixels"]}, {"columns": ["Usage", "emotion", "pixels"]}]
    ),
    data=st.data(),
)
def test_changed_bytes_read_right_or_not_at_all(form, data):
    content = bytearray(as_csv(ROWS[:3], **form))
    ends = [place for place, byte in enumerate(content) if byte in b',\r\n"']
    places = st.integers(0, len(content) - 1) | st.sampled_from(ends).flatmap(
        lambda end: st.integers(max(end - 3, 0), min(end + 3, len(content) - 1))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(places)
        byte = data.draw(st.sampled_from(b'0129 ,"\n\r-+.x') | st.integers(0, 255))
        action = data.draw(st.sampled_from(["replace", "insert", "delete"]))
        content[place : place + (action != "insert")] = b"" if action == "delete" else [byte]
    try:
        found = parse(bytes(content))
    except TableError:
        return
    assert found == parse_slowly(bytes(content))


@settings(max_examples=30, deadline=None)
@given(rows=SMALL_ROWS, size=st.integers(9_400, 30_000))
def test_blocks_may_end_anywhere(rows, size):
    data = as_csv(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pixel_csv, "_BLOCK", size)
        assert parse(data) == parse_slowly(data)


def write_folders(folder: Path, files: dict[str, np.ndarray]) -> Path:
    for name, pixels in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name, quality=100)
    return folder


FOLDERS = {
    "fer/test/Angry/PrivateTest_88305.png": FACES[0],
    "fer/test/fearful/PublicTest_1.png": FACES[1],
    "fer/test/happy/im7.png": FACES[2],
    "fer/train/disgusted/Training_3.png": FACES[3],
    "fer/train/sad/im0.png": FACES[4],
    "fer/validation/surprised/im1.png": FACES[1],
}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_class_folders(tmp_path, kind):
    path = write_folders(tmp_path / "images", FOLDERS)
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
            for name in FOLDERS:
                archive.write(path / name, name)
        path = tmp_path / "images.zip"
    elif kind == "tar":
        with tarfile.open(tmp_path / "images.tar", "w") as archive:
            for name in FOLDERS:
                archive.add(path / name, name)
        path = tmp_path / "images.tar"
    faces = datasets.load("fer2013", path, cache=tmp_path / "cache")
    np.testing.assert_array_equal(faces.images[..., 0], list(FOLDERS.values()))
    assert [faces.class_names[label] for label in faces.labels] == [
        *("anger", "fear", "happiness"),
        *("disgust", "sadness", "surprise"),
    ]
    assert faces.table["split"].tolist() == [
        *("PrivateTest", "PublicTest", "test"),
        *("Training", "Training", "validation"),
    ]
    assert faces.table["file"].tolist() == list(FOLDERS)
    assert faces.table["duplicate_of"].tolist() == [pd.NA] * 4 + [0, 1]
    assert faces.table["leaks"].tolist() == [True, True, False, False, True, True]
    assert len(faces.split("test")) == 2
    assert faces.images.shape == (6, 48, 48, 1)


def test_bad_files_in_class_folders(tmp_path):
    path = write_folders(tmp_path / "images", FOLDERS)
    (path / "fer/train/sad/im9.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"fer/train/sad/im9\.png is empty"):
        datasets.load("fer2013", path, cache=tmp_path / "cache")
    write_folders(path, {"fer/train/bored/1.png": FACES[0], "fer/test/contempt/1.png": FACES[0]})
    with pytest.raises(LabelError, match=r"contempt"):
        datasets.load("fer2013", path, cache=tmp_path / "cache")
    faces = datasets.load("fer2013", path, cache=tmp_path / "cache", on_error="skip")
    assert len(faces) == 6
    assert sorted(faces.skipped["where"]) == [
        "fer/test/contempt/1.png",
        "fer/train/bored/1.png",
        "fer/train/sad/im9.png",
    ]


HEADER = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
)
VOTES = np.arange(60).reshape(6, 10) % 11


def write_votes(folder: Path, votes=VOTES, header=HEADER, usages=USAGES * 2) -> Path:
    path = folder / "fer2013new.csv"
    counts = [",".join(map(str, row)) for row in votes]
    lines = [f"{usage},fer.png,{row}" for usage, row in zip(usages, counts, strict=False)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_votes_are_joined_row_by_row(tmp_path):
    faces = load(tmp_path, as_csv(), votes=write_votes(tmp_path))
    check_rows(faces)
    for emotion, column in zip(HEADER.split(",")[2:10], VOTES.T, strict=False):
        assert faces.table[f"votes_{emotion}"].tolist() == column.tolist()
    assert faces.table["votes_unknown"].tolist() == VOTES[:, 8].tolist()
    assert faces.table["votes_not_a_face"].tolist() == VOTES[:, 9].tolist()
    skipped = load(tmp_path, bad_row(emotion=7), votes=write_votes(tmp_path), on_error="skip")
    assert skipped.table["votes_neutral"].tolist() == VOTES[[0, 1, 2, 4, 5], 0].tolist()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"votes": VOTES[:5]}, TableError, r"fer2013new\.csv has 5 rows of votes: expected 6"),
        ({"header": HEADER.replace("NF", "no")}, TableError, r"no column NF: expected Usage"),
        ({"usages": ["Training"] * 6}, TableError, r"row 3 has Usage 'Training': expected 'Publi"),
        ({"votes": VOTES - 1}, TableError, r"row 6 has '-1' as anger: expected a count of votes"),
        ({"votes": VOTES / 2}, TableError, r"row 3 has '1\.5' as anger: expected a count of vot"),
        ({"votes": np.full((6, 10), "x")}, TableError, r"row 2 has 'x' as .*expected a count"),
        ({"header": ""}, TableError, r"fer2013new\.csv"),
    ],
)
def test_votes_that_do_not_fit(tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        load(tmp_path, as_csv(), votes=write_votes(tmp_path, **change))


def test_votes_where_there_can_be_none(tmp_path):
    with pytest.raises(MissingPathError, match=r"no\.csv does not exist: expected the CSV of"):
        load(tmp_path, as_csv(), votes=tmp_path / "no.csv")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(TableError, match=r"empty\.csv can not be read"):
        load(tmp_path, as_csv(), votes=tmp_path / "empty.csv")
    folder = write_folders(tmp_path / "images", FOLDERS)
    with pytest.raises(ConfigurationError, match="expected no votes for class folders"):
        datasets.load("fer2013", folder, cache=tmp_path, votes=write_votes(tmp_path))


def test_every_error_is_one_of_the_packages(tmp_path):
    for data in (b"\0" * 100, b'"' * 100, b"\xff\xfe" * 100, b"emotion,pixels,Usage\n\0,\0,\0\n"):
        with pytest.raises(EmohelpersError, match=r"expected"):
            load(tmp_path, data)


@pytest.fixture(scope="module")
def real_faces(real_data, tmp_path_factory):
    """All of FER2013, as its data sheet describes it, with the FER+ votes."""
    return datasets.load(
        "fer2013",
        real_data("fer2013.csv.xz"),
        cache=tmp_path_factory.mktemp("cache"),
        votes=real_data("ferplus.csv"),
    )


def test_the_real_counts(real_faces):
    # Goodfellow et al. (2013), section 2.
    assert real_faces.table["split"].value_counts(sort=False).to_dict() == {
        "Training": 28_709,
        "PublicTest": 3_589,
        "PrivateTest": 3_589,
    }
    published = [4_953, 547, 5_121, 8_989, 6_077, 4_002, 6_198]
    assert np.abs(np.bincount(real_faces.labels) - published).max() <= 3


def test_the_real_duplicates_by_another_route(real_faces):
    groups: dict[bytes, list[int]] = {}
    for row, image in enumerate(np.asarray(real_faces.images).reshape(-1, 2304)):
        groups.setdefault(image.tobytes(), []).append(row)
    splits = real_faces.table["split"].tolist()
    names = {image: {splits[row] for row in rows} for image, rows in groups.items()}
    repeated = {image: rows for image, rows in groups.items() if len(rows) > 1}

    def rows_also_in_training(split: str) -> int:
        crossing = [rows for image, rows in repeated.items() if {split, "Training"} <= names[image]]
        return sum(splits[row] == split for rows in crossing for row in rows)

    assert len(repeated) == 1_518
    assert sum(map(len, repeated.values())) == 3_373
    assert rows_also_in_training("PrivateTest") == 288
    assert rows_also_in_training("PublicTest") == 279
    assert sum({"PublicTest", "PrivateTest"} <= names[image] for image in repeated) == 43
    assert sum(len(rows) for image, rows in groups.items() if len(set(image)) == 1) == 12
    first = {row: rows[0] for rows in repeated.values() for row in rows[1:]}
    assert real_faces.table["duplicate_of"].dropna().to_dict() == first
    leaks = {row for image, rows in groups.items() if len(names[image]) > 1 for row in rows}
    assert set(np.flatnonzero(real_faces.table["leaks"])) == leaks


def test_the_real_votes(real_faces, real_data):
    with real_data("ferplus.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for column, name in (("sadness", "votes_sadness"), ("NF", "votes_not_a_face")):
        assert real_faces.table[name].tolist() == [int(row[column]) for row in rows]
    # Barsoum et al. (2016), section 3: ten raters for each image; one image here has nine.
    totals = real_faces.table.filter(like="votes_").sum(axis=1)
    assert totals.value_counts().to_dict() == {10: 35_886, 9: 1}


def test_an_archive_of_one_image_is_no_csv(tmp_path):
    path = tmp_path / "one.zip"
    stream = io.BytesIO()
    Image.fromarray(np.full((48, 48), 7, np.uint8)).save(stream, "PNG")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("train/angry/Training_1.png", stream.getvalue())
    faces = datasets.load("fer2013", path, cache=tmp_path / "cache")
    assert faces.table["split"].tolist() == ["Training"]
    assert (np.asarray(faces.images) == 7).all()

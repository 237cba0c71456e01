"""What is recognised in photos and folders, recomputed by other routes."""

import os
import threading
import weakref
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from emohelpers import datasets, evaluation, faces, load_model, models
from emohelpers.errors import ConfigurationError, ImageError, MissingPathError
from emohelpers.faces import Face
from emohelpers.inference import EmotionRecognizer

EMOTIONS = datasets.EMOTIONS[:7]
BOX = ["left", "top", "width", "height"]


class Marked:
    """Find faces where a photo says they are: each pure red pixel is the corner of one of 48x48."""

    def __init__(self):
        self.seen = 0
        self.stop_at = None
        self._alive: list[weakref.ref] = []
        self.most_alive = 0
        self._lock = threading.Lock()

    def __call__(self, photo):
        with self._lock:
            self.seen += 1
            if self.stop_at is not None and self.seen >= self.stop_at:
                raise KeyboardInterrupt
            self._alive = [ref for ref in self._alive if ref() is not None]
            self._alive.append(weakref.ref(photo))
            self.most_alive = max(self.most_alive, len(self._alive))
        if photo.shape[2] == 1:
            return []
        rows, columns = np.nonzero((photo == (255, 0, 0)).all(axis=2))
        return [
            Face((int(left), int(top), 48, 48), 1.0)
            for top, left in zip(rows, columns, strict=True)
        ]


def photo(toy, corners, *, size=(120, 200)):
    """Place toy faces with their upper left corners at `corners`, each marked by a red pixel."""
    picture = np.full((*size, 3), 90, np.uint8)
    for face, (left, top) in zip(toy, corners, strict=True):
        picture[top : top + 48, left : left + 48] = face
        picture[top, left] = (255, 0, 0)
    return picture


@pytest.fixture(scope="module")
def toy():
    return datasets.make_faces(12, color=True, seed=7, difficulty=(0.0, 0.2)).images


@pytest.fixture(scope="module")
def network():
    return models.baseline_cnn(filters=(4, 4, 4), units=8)


@pytest.fixture
def recognizer(network):
    return EmotionRecognizer(network, Marked())


@pytest.fixture
def folder(tmp_path, toy):
    """Three photos of 2, 0 and 1 faces, one of them in a folder of its own."""
    home = tmp_path / "photos"
    (home / "trip").mkdir(parents=True)
    Image.fromarray(photo(toy[:2], [(10, 20), (100, 50)])).save(home / "b.png")
    Image.fromarray(photo([], [])).save(home / "a.png")
    Image.fromarray(photo(toy[2:3], [(60, 30)])).save(home / "trip" / "c.png")
    (home / "notes.txt").write_text("no photo")
    return home


def test_a_photo_gives_a_row_for_each_face_and_what_the_network_says_of_its_cut(
    recognizer, network, toy
):
    picture = photo(toy[:3], [(0, 0), (70, 10), (140, 72)])
    table = recognizer.image(picture)
    assert list(table.columns) == ["face", *BOX, "score", *EMOTIONS, "emotion", "abstains"]
    assert table["face"].to_list() == [1, 2, 3]
    np.testing.assert_array_equal(table[BOX], [[0, 0, 48, 48], [70, 10, 48, 48], [140, 72, 48, 48]])
    cuts = np.stack([picture[t : t + 48, x : x + 48] for x, t in [(0, 0), (70, 10), (140, 72)]])
    grey = np.stack([cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY) for cut in cuts])[..., None]
    expected = network.predict(grey, verbose=0)
    np.testing.assert_allclose(table[list(EMOTIONS)], expected, atol=0.02)  # grey may differ by 1
    assert table["emotion"].to_list() == [EMOTIONS[k] for k in expected.argmax(axis=1)]
    assert table["abstains"].to_list() == [bool(p < 0.4) for p in expected.max(axis=1)]


def test_a_cut_face_is_answered_as_predict_answers_it():
    grey = datasets.make_faces(5, seed=7, difficulty=(0.0, 0.2)).images
    whole = EmotionRecognizer("toy-baseline", "none")
    expected = evaluation.predict(load_model("toy-baseline"), grey)
    for face, row in zip(grey, expected, strict=True):
        np.testing.assert_allclose(whole.image(face)[list(EMOTIONS)].iloc[0], row, atol=1e-5)


def test_a_photo_on_disk_has_its_name_first_and_nobody_is_an_empty_table(recognizer, folder):
    table = recognizer.image(folder / "b.png")
    assert table.columns[0] == "file"
    assert table["file"].unique().tolist() == [str(folder / "b.png")]
    empty = recognizer.image(folder / "a.png")
    assert len(empty) == 0
    assert list(empty.columns) == list(table.columns)


def test_a_network_with_one_output_tells_two_classes_apart():
    smile = EmotionRecognizer("smile", "none")
    table = smile.image(datasets.make_faces(1, size=96, seed=1).images[0])
    assert set(smile.class_names) == {"neutral", "happiness"}
    assert table[list(smile.class_names)].sum(axis=1).iloc[0] == pytest.approx(1)


def test_the_margin_is_what_is_cut_out_around_a_face(network, toy):
    picture = photo(toy[:1], [(60, 30)])
    table = EmotionRecognizer(network, Marked(), margin=0.25).image(picture)
    cut = faces.align(picture, Face((48, 18, 72, 72), 1.0), size=48)  # a quarter more each side
    expected = network.predict(cut[None], verbose=0)[0]
    np.testing.assert_allclose(table[list(EMOTIONS)].iloc[0], expected, atol=1e-4)


def test_a_folder_gives_a_row_for_each_face_and_for_each_photo_without_one(recognizer, folder):
    table = recognizer.folder(folder)
    names = [Path(file).relative_to(folder).as_posix() for file in table["file"]]
    assert names == ["a.png", "b.png", "b.png", "trip/c.png"]
    assert table["face"].to_list() == [pd.NA, 1, 2, 1]
    assert table["problem"].to_list() == ["no face", pd.NA, pd.NA, pd.NA]
    single = recognizer.image(folder / "b.png").drop(columns="file")
    both = table[table["file"] == str(folder / "b.png")][single.columns]
    pd.testing.assert_frame_equal(both.reset_index(drop=True), single, rtol=1e-5)
    blank = table.iloc[0].drop(["file", "problem"])
    assert blank.isna().all()


def test_photos_and_folders_may_be_named_together(recognizer, folder):
    table = recognizer.folder([folder / "trip", folder / "b.png"])
    assert [Path(file).name for file in table["file"]] == ["c.png", "b.png", "b.png"]


def test_a_photo_that_can_not_be_read_stops_or_gets_a_row(recognizer, folder):
    (folder / "aa.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    with pytest.raises(ImageError, match=r"aa\.jpg is"):
        recognizer.folder(folder)
    table = recognizer.folder(folder, on_error="skip")
    bad = table[table["file"].str.endswith("aa.jpg")]
    assert len(bad) == 1
    assert bad["problem"].iloc[0].startswith("is not an image: it begins")
    assert len(table) == 5


def test_many_photos_are_answered_in_batches_and_few_are_in_memory(
    recognizer, tmp_path, toy, monkeypatch
):
    calls = []
    answer = recognizer.answer
    monkeypatch.setattr(recognizer, "answer", lambda cut: calls.append(len(cut)) or answer(cut))
    for number in range(300):
        picture = photo(toy[number % 12 :][:1], [(number % 90, 20)])
        Image.fromarray(picture).save(tmp_path / f"{number:03}.png")
    assert len(recognizer.folder(tmp_path)) == 300
    assert calls == [256, 44]
    # Those that are looked at, and one more that a thread is just leaving.
    assert recognizer._detector.most_alive <= os.cpu_count() + 1


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_table_on_disk_is_the_table(recognizer, folder, tmp_path, ending):
    out = tmp_path / f"table.{ending}"
    counts = recognizer.write_folder(folder, out)
    assert counts == {
        "photos": 3,
        "faces": 3,
        "without_face": 1,
        "unreadable": 0,
        "done_before": 0,
    }
    read = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
    expected = recognizer.folder(folder)
    assert list(read.columns) == list(expected.columns)
    for column in expected:
        np.testing.assert_array_equal(read[column].isna(), expected[column].isna())
    known = expected["face"].notna()
    assert read["emotion"][known].to_list() == expected["emotion"][known].to_list()
    np.testing.assert_allclose(
        read[list(EMOTIONS)].astype(float), expected[list(EMOTIONS)], rtol=1e-5
    )
    assert list(tmp_path.glob("*parts*")) == []


def test_what_was_stopped_goes_on_and_ends_as_if_it_had_not(network, tmp_path, toy):
    home = tmp_path / "photos"
    home.mkdir()
    for number in range(200):
        picture = photo(toy[number % 12 :][:1], [(number % 90, 20)])
        Image.fromarray(picture).save(home / f"{number:03}.png")
    whole = EmotionRecognizer(network, Marked()).folder(home)
    out, detector = tmp_path / "table.parquet", Marked()
    recognizer = EmotionRecognizer(network, detector)
    detector.stop_at = 140
    with pytest.raises(KeyboardInterrupt):
        recognizer.write_folder(home, out)
    assert not out.exists()
    Image.fromarray(photo(toy[:1], [(5, 5)])).save(home / "999.png")  # came meanwhile
    detector.stop_at, detector.seen = None, 0
    counts = recognizer.write_folder(home, out)
    assert counts["done_before"] == 128  # two batches of 64
    assert detector.seen == 201 - 128  # none is looked at again
    table = pd.read_parquet(out)
    assert table["file"].is_unique
    table = table[~table["file"].str.endswith("999.png")].reset_index(drop=True)
    pd.testing.assert_frame_equal(table, whole, check_dtype=False, rtol=1e-5)


def test_parts_made_in_another_way_are_not_mixed(network, folder, tmp_path):
    detector = Marked()
    detector.stop_at = 3
    out = tmp_path / "table.csv"
    with pytest.raises(KeyboardInterrupt):
        EmotionRecognizer(network, detector).write_folder(folder, out)
    other = EmotionRecognizer(network, Marked(), least_confidence=0.2)
    with pytest.raises(ConfigurationError, match="begun with other least_confidence"):
        other.write_folder(folder, out)
    assert other.write_folder(folder, out, force=True)["done_before"] == 0
    assert out.exists()


def test_a_table_that_exists_is_kept(recognizer, folder, tmp_path):
    out = tmp_path / "table.csv"
    out.write_text("precious")
    with pytest.raises(ConfigurationError, match=r"table\.csv exists"):
        recognizer.write_folder(folder, out)
    assert out.read_text() == "precious"
    recognizer.write_folder(folder, out, force=True)
    assert out.read_text().startswith("file,face,left")


def test_copies_show_the_faces_and_are_no_photos_themselves(recognizer, folder):
    copies = folder / "marked"
    recognizer.folder(folder, annotate=copies)
    names = sorted(path.relative_to(copies).as_posix() for path in copies.rglob("*.png"))
    assert names == ["a.png", "b.png", "trip/c.png"]
    for name in names:
        before = np.asarray(Image.open(folder / name))
        after = np.asarray(Image.open(copies / name))
        assert after.shape == before.shape
        assert (after == before).all() == (name == "a.png")
    with pytest.raises(ConfigurationError, match="a new or an empty folder"):
        recognizer.folder(folder, annotate=copies)
    again = recognizer.folder(folder, annotate=folder / "marked_again")
    assert again["file"].nunique() == 6  # the first copies are photos now, and no others


def test_copies_of_two_photos_of_one_name_are_refused(recognizer, folder, tmp_path):
    (folder / "trip" / "b.png").write_bytes((folder / "b.png").read_bytes())
    with pytest.raises(ConfigurationError, match="the same name"):
        recognizer.folder([folder / "b.png", folder / "trip"], annotate=tmp_path / "copies")
    assert not (tmp_path / "copies").exists()


def test_two_threads_may_use_one_recognizer():
    whole = EmotionRecognizer("toy-baseline", "haar")
    drawn = datasets.make_faces(8, size=120, color=True, seed=3, difficulty=0.0).images
    pictures = []
    for face in drawn:
        picture = np.full((240, 320, 3), 140, np.uint8)
        picture[60:180, 100:220] = face
        pictures.append(picture)
    alone = [whole.image(picture) for picture in pictures]
    results: dict[int, pd.DataFrame] = {}

    def work(first):
        for place in range(first, len(pictures), 4):
            results[place] = whole.image(pictures[place])

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, expected in enumerate(alone):
        pd.testing.assert_frame_equal(results[place], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda r, _: r.image("no.jpg"), MissingPathError, r"no file no\.jpg"),
        (lambda r, p: r.folder(p / "no"), MissingPathError, "no file or folder"),
        (lambda r, p: r.folder(p), MissingPathError, "no photos in .*: expected files that end"),
        (lambda r, _: r.folder([]), MissingPathError, "no photos in no folder"),
        (lambda r, p: r.write_folder(p, p / "t.txt"), ConfigurationError, r"\.csv or \.parquet"),
    ],
)
def test_bad_input_is_named(recognizer, tmp_path, call, error, words):
    with pytest.raises(error, match=words):
        call(recognizer, tmp_path)


def test_an_unknown_word_for_errors_is_named(recognizer, folder):
    with pytest.raises(ConfigurationError, match="expected 'raise' or 'skip'"):
        recognizer.folder(folder, on_error="ignore")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"least_confidence": 1.5}, r"least_confidence=1\.5"),
        ({"margin": -0.5}, r"margin=-0\.5"),
        ({"class_names": ["yes", "no"]}, "2 class names for a network that tells 7"),
    ],
)
def test_settings_out_of_range_are_named(network, options, words):
    with pytest.raises(ConfigurationError, match=words):
        EmotionRecognizer(network, "none", **options)


def test_an_unknown_network_and_detector_are_named():
    with pytest.raises(MissingPathError, match="no published network 'none-such'"):
        EmotionRecognizer("none-such", "none")
    with pytest.raises(MissingPathError, match="expected YuNet"):
        EmotionRecognizer("toy-baseline", "none-such")


def test_the_detector_is_yunet_once_it_is_here(tmp_path, monkeypatch):
    monkeypatch.setattr("emohelpers.faces._choose.yunet_path", lambda: tmp_path / "yunet.onnx")
    assert isinstance(faces.open_detector(), faces.HaarDetector)
    (tmp_path / "yunet.onnx").write_bytes(b"no network")
    monkeypatch.setattr("emohelpers.faces._yunet.yunet_path", lambda: tmp_path / "yunet.onnx")
    monkeypatch.setattr("emohelpers.faces._choose.fetch_yunet", lambda: tmp_path / "yunet.onnx")
    with pytest.raises(ConfigurationError, match="is no YuNet"):
        faces.open_detector()

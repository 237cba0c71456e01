"""Videos and cameras: what is found in each frame, who is who, and what is written."""

from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from emohelpers import datasets, plots
from emohelpers.errors import ConfigurationError, ImageError, MissingPathError
from emohelpers.inference import EmotionRecognizer, Tracker

EMOTIONS = datasets.EMOTIONS[:7]
RATE = 10


@pytest.fixture(scope="module")
def recognizer():
    return EmotionRecognizer("toy-baseline", "haar")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Two seconds of happiness, then two of surprise, of a face that goes from left to right."""
    shown = {
        emotion: datasets.make_faces(
            1, size=140, color=True, seed=36, emotions=[emotion], difficulty=0.0
        ).images[0]
        for emotion in ("happiness", "surprise")
    }
    path = tmp_path_factory.mktemp("video") / "film.mp4"
    emotions = ["happiness"] * 20 + ["surprise"] * 20
    pictures, boxes = [], []
    for number, emotion in enumerate(emotions):
        picture = np.full((240, 400, 3), 140, np.uint8)
        left = 10 + 5 * number
        picture[50:190, left : left + 140] = shown[emotion]
        pictures.append(picture)
        boxes.append((left, 50, 140, 140))
    write(path, pictures)
    return SimpleNamespace(path=path, boxes=boxes, emotions=emotions)


def write(path, pictures):
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (width, height))
    for picture in pictures:
        writer.write(np.ascontiguousarray(picture[..., ::-1]))
    writer.release()


def read(path):
    capture = cv2.VideoCapture(str(path))
    pictures = []
    while (frame := capture.read())[0]:
        pictures.append(frame[1][..., ::-1])
    capture.release()
    return pictures


def overlap(one, other):
    """Intersection over union, by counting pixels."""
    drawn = np.zeros((2, 300, 500), bool)
    for plane, (left, top, width, height) in zip(drawn, (one, other), strict=True):
        plane[top : top + height, left : left + width] = True
    return (drawn[0] & drawn[1]).sum() / (drawn[0] | drawn[1]).sum()


def test_a_face_is_followed_and_its_expression_seen_to_change(recognizer, film):
    table = recognizer.video(film.path, smooth=0.0)
    columns = ["frame", "time", "face", "left", "top", "width", "height", "score"]
    assert list(table.columns) == [*columns, *EMOTIONS, "emotion", "abstains"]
    assert table["frame"].to_list() == list(range(40))
    assert set(table["face"]) == {1}
    np.testing.assert_allclose(table["time"], np.arange(40) / RATE, atol=0.01)
    for row, box in zip(table.itertuples(), film.boxes, strict=True):
        assert overlap((row.left, row.top, row.width, row.height), box) > 0.6
    right = (table["emotion"] == film.emotions).mean()
    assert right > 0.9


def test_smoothing_averages_over_time_with_weights_that_fall_off(recognizer, film):
    raw = recognizer.video(film.path, smooth=0.0)
    smooth = recognizer.video(film.path, smooth=0.4)
    weight = 1 - np.exp(-np.diff(raw["time"]) / 0.4)
    expected = [raw[list(EMOTIONS)].to_numpy()[0]]
    for share, row in zip(weight, raw[list(EMOTIONS)].to_numpy()[1:], strict=True):
        expected.append(share * row + (1 - share) * expected[-1])
    np.testing.assert_allclose(smooth[list(EMOTIONS)], expected, atol=1e-9)


def test_pictures_that_come_one_by_one_are_tracked_as_a_video_is(recognizer, film):
    expected = recognizer.video(film.path, smooth=0.3)
    tracker = Tracker(smooth=0.3)
    tables = [
        recognizer.track(picture, number / RATE, tracker)
        for number, picture in enumerate(read(film.path))
    ]
    tracked = pd.concat(tables, ignore_index=True)
    assert list(tracked.columns) == [name for name in expected if name != "frame"]
    pd.testing.assert_frame_equal(
        tracked, expected.drop(columns="frame"), check_dtype=False, rtol=1e-4, atol=1e-5
    )


def test_every_third_frame_is_every_third_row(recognizer, film):
    whole = recognizer.video(film.path, smooth=0.0)
    some = recognizer.video(film.path, smooth=0.0, every=3)
    assert some["frame"].to_list() == list(range(0, 40, 3))
    expected = whole[whole["frame"] % 3 == 0]
    np.testing.assert_allclose(some[list(EMOTIONS)], expected[list(EMOTIONS)], atol=1e-5)
    np.testing.assert_allclose(some["time"], expected["time"])


def test_frames_come_one_by_one_with_their_pixels(recognizer, film):
    frames = recognizer.frames(film.path, every=20)
    seen = [(frame.number, frame.photo.copy(), frame.table) for frame in frames]
    assert [number for number, *_ in seen] == [0, 20]
    pictures = read(film.path)
    for number, photo, table in seen:
        np.testing.assert_array_equal(photo, pictures[number])
        assert table["frame"].to_list() == [number]


@pytest.mark.parametrize(("ending", "every"), [("mp4", 1), ("avi", 4), ("webm", 1)])
def test_the_annotated_video_is_as_long_and_shows_the_faces(
    recognizer, film, tmp_path, ending, every, capfd
):
    out = tmp_path / "new" / f"shown.{ending}"
    table = recognizer.video(film.path, out=out, every=every)
    assert len(table) == len(range(0, 40, every))
    before, after = read(film.path), read(out)
    assert len(after) == len(before)
    for one, other in zip(before, after, strict=True):
        assert other.shape == one.shape
        # The bars lie on a dark plate where the scene is an even grey; so it does between looks.
        assert (other.mean(axis=2) < 80).sum() > (one.mean(axis=2) < 80).sum() + 2000
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert capfd.readouterr().err == ""


def test_a_video_that_exists_is_kept(recognizer, film, tmp_path):
    out = tmp_path / "shown.mp4"
    out.write_bytes(b"precious")
    with pytest.raises(ConfigurationError, match=r"shown\.mp4 exists"):
        recognizer.video(film.path, out=out)
    assert out.read_bytes() == b"precious"
    recognizer.video(film.path, out=out, force=True, every=10)
    assert len(read(out)) == 40


def test_what_fails_in_the_middle_leaves_nothing(recognizer, film, tmp_path):
    def fail(frame):
        if frame.number == 20:
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        recognizer.video(film.path, out=tmp_path / "shown.mp4", on_frame=fail)
    assert list(tmp_path.iterdir()) == []


def test_a_video_can_be_ended_by_time_and_by_its_viewer(recognizer, film):
    assert recognizer.video(film.path, seconds=1.0)["frame"].max() == 9
    assert recognizer.video(film.path, on_frame=lambda frame: frame.number < 5)["frame"].max() == 5


def test_two_faces_keep_their_numbers_when_one_comes_and_goes(recognizer, tmp_path):
    one, other = datasets.make_faces(5, size=120, color=True, seed=2, difficulty=0.0).images[[0, 4]]
    pictures = []
    for number in range(30):
        picture = np.full((240, 400, 3), 140, np.uint8)
        picture[60:180, 20:140] = one
        if number >= 10 and not 18 <= number < 22:
            picture[60:180, 240:360] = other
        pictures.append(picture)
    write(tmp_path / "two.mp4", pictures)
    table = recognizer.video(tmp_path / "two.mp4")
    on_left = table["left"] < 180
    assert set(table["face"][on_left]) == {1}
    assert set(table["face"][~on_left]) == {2}  # away for less than a second: the same number
    seen = table["frame"][~on_left]
    assert seen.min() >= 10
    assert not seen.isin(range(18, 22)).any()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda r, p: r.video(p / "no.mp4"), MissingPathError, "no file .*: expected a video"),
        (lambda r, _: r.video(99), MissingPathError, "no camera 99: expected the number"),
        (lambda r, f: r.video(f, every=0), ConfigurationError, "every=0"),
        (lambda r, f: r.video(f, smooth=-1), ConfigurationError, "smooth=-1"),
        (lambda r, f: r.video(f, seconds=0), ConfigurationError, "seconds=0"),
        (lambda r, f: r.video(f, out="x.gif"), ConfigurationError, r"ends in \.mp4, \.avi, \.webm"),
    ],
)
def test_bad_input_is_named(recognizer, film, tmp_path, call, error, words, capfd):
    with pytest.raises(error, match=words):
        call(recognizer, tmp_path if error is MissingPathError else film.path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("content", [b"", b"no video" * 100])
def test_what_is_no_video_is_named(recognizer, tmp_path, content, capfd):
    (tmp_path / "film.mp4").write_bytes(content)
    with pytest.raises(ImageError, match="holds no picture that can be read"):
        recognizer.video(tmp_path / "film.mp4")
    assert capfd.readouterr().err == ""


def test_a_film_cut_short_gives_the_frames_that_are_left(recognizer, film, tmp_path):
    # AVI keeps its index at the end, and can be read without it.
    whole = tmp_path / "whole.avi"
    recognizer.video(film.path, out=whole, every=10)
    short = tmp_path / "short.avi"
    short.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    frames = recognizer.video(short, every=5)["frame"]
    assert 0 < len(frames) < 8


def test_the_timeline_shows_the_face_that_is_there_most_and_its_gaps(recognizer, film):
    table = recognizer.video(film.path)
    lost = table[~table["frame"].between(10, 19)]
    ax = plots.emotion_timeline(lost)
    assert ax.get_title(loc="left").startswith("face 1: ")
    assert ax.get_xlim() == pytest.approx((0.0, 3.9), abs=0.01)
    # At each moment the areas are stacked to 1, but for the gap, where there is none.
    tops = [path.vertices for area in ax.collections for path in area.get_paths()]
    within = np.concatenate([top[(top[:, 0] > 1.05) & (top[:, 0] < 1.95)] for top in tops])
    assert len(within) == 0
    assert max(top[:, 1].max() for top in tops) == pytest.approx(1.0)


def test_a_timeline_of_nobody_is_refused(recognizer, film):
    table = recognizer.video(film.path, every=20)
    with pytest.raises(ConfigurationError, match="no face 7 in the table: expected one of its: 1"):
        plots.emotion_timeline(table, face=7)
    with pytest.raises(ConfigurationError, match="expected one of its: none"):
        plots.emotion_timeline(table[:0])
    with pytest.raises(ConfigurationError, match="a table without time"):
        plots.emotion_timeline(table.drop(columns="time"))


def test_a_stream_is_looked_at_picture_by_picture(recognizer, film, monkeypatch):
    """A camera's frames have the clock's time, are not gathered, and an interrupt ends them."""
    pictures = [picture[..., ::-1] for picture in read(film.path)]

    class Camera:
        def __init__(self, source):
            self.next = -1

        def isOpened(self):
            return True

        def grab(self):
            self.next += 1
            return True

        def retrieve(self):
            return True, pictures[self.next % len(pictures)]

        def get(self, name):
            return 0.0

        def release(self):
            pass

    moments = iter(np.arange(100.0, 200.0, 0.25))
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    monkeypatch.setattr(
        "emohelpers.inference._video.time", SimpleNamespace(monotonic=lambda: next(moments))
    )
    shown = []

    def show(frame):
        shown.append(frame.number)
        if frame.number == 6:
            raise KeyboardInterrupt

    table = recognizer.video(0, on_frame=show)
    assert shown == list(range(7))
    assert table["frame"].to_list() == list(range(7))
    np.testing.assert_allclose(table["time"], 0.25 * np.arange(1, 8))


def test_an_interrupt_of_a_file_is_not_swallowed(recognizer, film):
    def interrupt(_frame):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recognizer.video(film.path, on_frame=interrupt)


def test_frames_of_a_file_are_answered_in_batches(film, recognizer, monkeypatch):
    sizes = []
    answer = recognizer.answer
    monkeypatch.setattr(recognizer, "answer", lambda cut: sizes.append(len(cut)) or answer(cut))
    assert len(recognizer.video(film.path)) == 40
    assert sizes == [16, 16, 8]

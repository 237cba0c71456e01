"""Faces in scenes that are drawn, so that it is known where they are."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
from PIL import Image

from emohelpers import datasets, faces
from emohelpers.errors import ConfigurationError, FetchError, ImageError, MissingPathError
from emohelpers.faces import Face, _yunet


def scene(rows, *, side=120, seed=0, size=(480, 640)):
    """Draw faces of `side` pixels side by side on a background that changes slowly."""
    drawn = datasets.make_faces(40, size=side, color=True, seed=seed, difficulty=(0.0, 0.2))
    height, width = size
    shade = np.linspace(90, 170, width)[None, :, None] + np.linspace(-20, 20, height)[:, None, None]
    picture = np.repeat(shade, 3, axis=2).astype(np.uint8)
    boxes = []
    for row, (left, top) in rows:
        picture[top : top + side, left : left + side] = drawn.images[row]
        boxes.append((left, top, side, side))
    return picture, boxes


def overlap(one, other):
    left, top = np.maximum(one[:2], other[:2])
    right = min(one[0] + one[2], other[0] + other[2])
    bottom = min(one[1] + one[3], other[1] + other[3])
    both = max(0, right - left) * max(0, bottom - top)
    return both / (one[2] * one[3] + other[2] * other[3] - both)


def find(image):
    """Find faces by the detector that is always there."""
    return faces.detect(image, faces.HaarDetector())


@pytest.fixture(params=["haar", "yunet"])
def detector(request):
    if request.param == "haar":
        return faces.HaarDetector()
    if not faces.yunet_path().is_file():
        pytest.skip("YuNet is not here: faces.fetch_yunet() brings it")
    return faces.YuNetDetector()


def test_several_faces_of_a_scene_are_found_where_they_were_drawn(detector):
    found = false = drawn = 0
    for first in range(0, 36, 4):
        places = [(30, 40), (250, 60), (470, 50), (150, 300)]
        picture, boxes = scene(list(zip(range(first, first + 4), places, strict=True)))
        answers = faces.detect(picture, detector)
        hits = [max([overlap(face.box, box) for box in boxes]) > 0.3 for face in answers]
        drawn += len(boxes)
        found += sum(any(overlap(face.box, box) > 0.3 for face in answers) for box in boxes)
        false += len(hits) - sum(hits)
    # Drawn faces are not what the cascade was trained on; of photographs it finds more.
    assert found / drawn > 0.9
    assert false <= 0.05 * drawn


def test_where_nobody_is_nobody_is_found(detector):
    assert faces.detect(scene([])[0], detector) == []


def test_a_grey_photo_an_alpha_channel_and_16_bits_change_nothing():
    picture, _ = scene([(0, (250, 150))])
    expected = find(picture)
    assert len(expected) == 1
    opaque = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    assert find(opaque) == expected
    assert find(picture.astype(np.uint16) * 257) == expected
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    assert overlap(find(grey)[0].box, expected[0].box) > 0.9
    assert find(grey) == find(grey[..., None])


def test_a_photo_that_lies_on_its_side_is_turned_by_its_exif_data(tmp_path):
    picture, _ = scene([(0, (250, 150))])
    upright = Image.fromarray(picture)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    upright.rotate(90, expand=True).save(tmp_path / "photo.png", exif=exif)
    assert find(tmp_path / "photo.png") == find(picture)
    assert find((tmp_path / "photo.png").read_bytes()) == find(picture)


def test_a_large_photo_gives_the_same_face_in_its_own_pixels(detector):
    same = 0
    for row in range(8):
        picture, _ = scene([(row, (250, 150))])
        enlarged = cv2.resize(picture, (4000, 3000), interpolation=cv2.INTER_CUBIC)
        for small in faces.detect(picture, detector):
            for large in faces.detect(enlarged, detector):
                if overlap(np.array(small.box) * 6.25, large.box) > 0.7:
                    same += 1
                    eyes = small.landmarks[:2] * 6.25, large.landmarks[:2]
                    if not np.isnan(eyes).any():
                        np.testing.assert_allclose(*eyes, atol=6.25 * 8)
    assert same >= 6


def test_faces_at_the_border_are_found_and_cut_out(detector):
    found = 0
    for row in range(8):
        picture, _ = scene([(row, (250, 150))])
        # Without hair, right ear, chin or left ear: a tenth of the face is out of the picture.
        for part, box in (
            (picture[162:], (250, -12, 120, 120)),
            (picture[:, 262:], (-12, 150, 120, 120)),
            (picture[:258], (250, 150, 120, 120)),
            (picture[:, :358], (250, 150, 120, 120)),
        ):
            for face in faces.detect(np.ascontiguousarray(part), detector):
                found += overlap(face.box, box) > 0.3
                assert faces.align(part, face, margin=0.5).shape == (48, 48, 1)
    assert found > 0.85 * 32


def test_threads_may_share_a_detector(detector):
    pictures = [scene([(row, (250, 150))], size=(300 + 20 * row, 640))[0] for row in range(8)]
    alone = [detector(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(detector, pictures * 3)) == alone * 3


def test_a_detector_has_a_name():
    assert isinstance(faces.open_detector("haar"), faces.HaarDetector)
    (face,) = faces.open_detector("none")(np.zeros((30, 20, 1), np.uint8))
    assert face.box == (0, 0, 20, 30)


class Zoo(BaseHTTPRequestHandler):
    """Serves some bytes in place of the network."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"network")

    def log_message(self, *args):
        pass


def test_yunet_is_fetched_once_and_checked(monkeypatch, tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Zoo)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    place = tmp_path / "detectors" / "yunet.onnx"
    file = replace(_yunet._FILE, url=f"http://127.0.0.1:{server.server_port}/yunet.onnx")
    monkeypatch.setattr(_yunet, "_FILE", file)
    monkeypatch.setattr(_yunet, "yunet_path", lambda: place)
    try:
        with pytest.raises(FetchError, match=f"expected {file.sha256}"):
            faces.fetch_yunet()
        assert not place.exists()
        sha256 = hashlib.sha256(b"network").hexdigest()
        monkeypatch.setattr(_yunet, "_FILE", replace(file, sha256=sha256))
        assert faces.fetch_yunet() == place
        assert place.read_bytes() == b"network"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert faces.fetch_yunet() == place  # the server is gone


@pytest.mark.parametrize("degrees", [-15.0, 0.0, 20.0])
def test_a_cut_face_is_turned_back_by_its_eyes(degrees):
    picture = np.zeros((200, 300), np.uint8)
    centre = np.array([150.0, 100.0])
    angle = np.deg2rad(degrees)
    across = np.array([np.cos(angle), np.sin(angle)])
    eyes = np.stack([centre - 20 * across, centre + 20 * across])
    for eye in eyes:
        cv2.circle(picture, tuple(round(float(value) * 16) for value in eye), 64, 255, -1, shift=4)
    landmarks = np.full((5, 2), np.nan)
    landmarks[:2] = eyes
    face = Face((100, 50, 100, 100), 1.0, landmarks)
    cut = faces.align(picture[..., None], face, size=100)[..., 0].astype(float)
    columns, rows = np.meshgrid(np.arange(100), np.arange(100))
    for side in (columns < 50, columns >= 50):
        weights = cut * side
        assert (weights * rows).sum() / weights.sum() == pytest.approx(49.5, abs=1.0)
    left = ((cut * columns)[:, :50].sum() / cut[:, :50].sum(), 29.5)
    assert left[0] == pytest.approx(left[1], abs=1.0)


def test_without_eyes_and_margin_a_cut_of_its_own_size_is_the_box():
    picture, _ = scene([(3, (100, 100))])
    face = Face((100, 90, 60, 60), 1.0)
    cut = faces.align(picture, face, size=60, color=True)
    np.testing.assert_array_equal(cut, picture[90:150, 100:160])
    # A margin of a half is as much again on each side.
    wide = faces.align(picture, face, size=120, margin=0.5, color=True)
    np.testing.assert_array_equal(wide, picture[60:180, 70:190])


def test_beyond_the_border_the_border_is_repeated():
    picture = np.arange(100, dtype=np.uint8).reshape(10, 10, 1)
    cut = faces.align(picture, Face((-5, 0, 10, 10), 1.0), size=10)
    expected = np.pad(picture[..., 0], ((0, 0), (5, 0)), mode="edge")[:, :10]
    np.testing.assert_array_equal(cut[..., 0], expected)


def test_a_face_made_small_is_averaged_and_not_picked():
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 1), dtype=np.uint8)
    cut = faces.align(noise, Face((0, 0, 400, 400), 1.0), size=20)
    assert abs(cut.mean() - noise.mean()) < 3
    assert cut.std() < noise.std() / 5


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: find("nowhere.jpg"), MissingPathError, "no file nowhere.jpg"),
        (lambda: find(b"no picture"), ImageError, "is not an image"),
        (lambda: find(np.zeros((4, 100), np.uint8)), ImageError, "at least 8 on each"),
        (lambda: find(np.zeros((50, 50, 5), np.uint8)), ImageError, "1 to 4 channels"),
        (lambda: find(np.zeros((50, 50))), ImageError, "dtype float64: expected uint8"),
        (lambda: find(np.zeros((50, 50), np.uint32)), ImageError, "dtype uint32"),
        (lambda: faces.HaarDetector(smallest=0), ConfigurationError, "a share above 0"),
        (lambda: faces.HaarDetector(neighbours=0), ConfigurationError, "1 or more"),
        (lambda: faces.YuNetDetector("no.onnx"), MissingPathError, "no file no.onnx"),
        (lambda: faces.YuNetDetector(__file__), ConfigurationError, "is no YuNet"),
        (lambda: faces.YuNetDetector("x", least_score=2), ConfigurationError, "expected 0..1"),
        (
            lambda: faces.align(np.zeros((9, 9, 1), np.uint8), Face((0, 0, 0, 5), 1.0)),
            ConfigurationError,
            "a box that is not empty",
        ),
        (
            lambda: faces.align(np.zeros((9, 9, 1), np.uint8), Face((0, 0, 5, 5), 1.0), margin=-1),
            ConfigurationError,
            "above -0.5",
        ),
    ],
)
def test_what_can_not_be_done_is_refused_by_name(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_most_faces_of_facial_expressions_are_found(real_data, detector):
    photos = datasets.load(
        "facial_expressions", real_data("facial_expressions.tar"), size=180, color=False
    )
    rows = np.random.default_rng(0).choice(len(photos), 200, replace=False)
    found = [faces.detect(photos.images[row], detector) for row in np.sort(rows)]
    # They are faces and little else, seen from the front: each picture shows one.
    assert np.mean([len(one) > 0 for one in found]) > 0.93
    assert np.mean([len(one) > 1 for one in found]) < 0.02


def test_most_faces_of_utkface_are_found(real_data, detector):
    photos = datasets.load("utkface", real_data("utkface_crop_part1.tar"), color=False)
    rows = np.random.default_rng(0).choice(len(photos), 150, replace=False)
    found = [faces.detect(photos.images[row], detector) for row in np.sort(rows)]
    assert np.mean([len(one) > 0 for one in found]) > 0.9
    assert np.mean([len(one) > 1 for one in found]) < 0.02

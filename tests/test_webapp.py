"""What the page's server answers and what it refuses, asked through Flask's own client."""

import io
import itertools
import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

from emohelpers import webapp
from emohelpers.inference import EMOJI, EmotionRecognizer
from emohelpers.webapp._streams import Streams
from tests.browser import THREE, THREE_PLACES, scene

STREAM = {"X-Stream": "12345678-9abc-4def-8123-456789abcdef"}


@pytest.fixture(scope="module")
def recognizer():
    return EmotionRecognizer("toy-baseline", "haar")


@pytest.fixture
def client(recognizer):
    return webapp.create_app(recognizer).test_client()


def encoded(pixels, format="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


def three():
    return scene(THREE, THREE_PLACES)


def by_position(answer):
    """Return the emotions from left to right."""
    return [face["emotion"] for face in sorted(answer["faces"], key=lambda face: face["box"][0])]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_a_photo_of_three_faces_is_answered_with_three_boxes_and_what_was_drawn(client, format):
    picture = three()
    answer = client.post("/api/photo", data=encoded(picture, format))
    assert answer.status_code == 200
    found = answer.json
    assert (found["width"], found["height"]) == (640, 480)
    assert by_position(found) == list(THREE)
    assert [face["face"] for face in found["faces"]] == [1, 2, 3]
    for face in found["faces"]:
        assert set(face) == {"face", "box", "score", "probabilities", "emotion", "abstains"}
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
        best = max(face["probabilities"], key=face["probabilities"].get)
        assert (best, face["abstains"]) == (face["emotion"], False)
        left, top, width, height = face["box"]
        x, y = left + width / 2, top + height / 2
        assert any(a < x < a + 150 and b < y < b + 150 for a, b in THREE_PLACES)


def test_a_photo_that_lies_on_its_side_is_answered_upright(client):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    file = io.BytesIO()
    Image.fromarray(three()).rotate(90, expand=True).save(file, "PNG", exif=exif)
    upright = client.post("/api/photo", data=encoded(three())).json
    assert client.post("/api/photo", data=file.getvalue()).json == upright
    assert upright["width"] == 640


def test_a_webcam_is_followed_and_its_last_minute_summed_up(recognizer):
    now = [100.0]
    client = webapp.create_app(recognizer, clock=lambda: now[0]).test_client()

    def see(emotion, headers=STREAM):
        picture = scene([emotion], [(245, 150)])
        return client.post("/api/frame", data=encoded(picture), headers=headers).json

    alone = client.post("/api/photo", data=encoded(scene(["anger"], [(245, 150)]))).json
    first = see("happiness")
    assert first["reactions"] == {"thumb_up": 1.0, "thumb_side": 0.0, "thumb_down": 0.0}
    now[0] += 0.1
    second = see("anger")
    [before], [face] = first["faces"], second["faces"]
    assert face["face"] == before["face"] == 1
    # The average of half a second, of which a tenth has passed.
    kept = np.exp(-0.1 / 0.5)
    expected = (
        kept * before["probabilities"]["happiness"]
        + (1 - kept) * alone["faces"][0]["probabilities"]["happiness"]
    )
    assert face["probabilities"]["happiness"] == pytest.approx(expected, abs=2e-4)
    assert face["emotion"] == "happiness"
    now[0] += 5  # the face was lost for so long that it is another
    third = see("anger")
    assert third["faces"][0]["face"] == 2
    assert third["reactions"]["thumb_down"] == pytest.approx(1 / 3)
    # Another page's webcam is another stream.
    other = see("sadness", {"X-Stream": STREAM["X-Stream"].replace("1", "2")})
    assert other["faces"][0]["face"] == 1
    assert other["reactions"]["thumb_down"] == 1
    now[0] += 29  # of the last minute the first three are a part still
    assert see("neutral")["reactions"]["thumb_up"] == pytest.approx(2 / 4)


def test_faces_of_which_the_network_is_unsure_do_not_count_as_a_reaction():
    doubting = EmotionRecognizer("toy-baseline", "haar", least_confidence=1.0)
    client = webapp.create_app(doubting).test_client()
    found = client.post(
        "/api/frame", data=encoded(scene(["anger"], [(245, 150)])), headers=STREAM
    ).json
    assert [face["abstains"] for face in found["faces"]] == [True]
    assert set(found["reactions"].values()) == {0}


def test_webcams_are_forgotten_when_idle_and_when_there_are_too_many():
    now = [0.0]
    streams = Streams(most=3, seconds=30.0, clock=lambda: now[0])
    kept = {key: streams.get(key) for key in "abc"}
    now[0] = 20
    assert streams.get("a") is kept["a"]
    assert len(streams) == 3
    streams.get("d")  # "b" was not heard of for longest
    assert len(streams) == 3
    assert streams.get("a") is kept["a"]
    assert streams.get("c") is kept["c"]
    assert streams.get("b") is not kept["b"]
    now[0] = 50.5
    assert streams.get("a") is not kept["a"]
    assert len(streams) == 1


class Blank:
    """Finds nothing, at once: where only the way to it is the point."""

    name, class_names = "blank", ("happiness", "sadness")

    def find(self, photo):
        return [], np.empty((0, 8, 8, 1), np.uint8)

    def answer(self, cut):
        return np.empty((len(cut), 2), np.float32)

    def table(self, faces, probabilities, *, numbers=None, **first):
        from emohelpers.inference._table import faces_table

        return faces_table(
            faces, probabilities, self.class_names, least_confidence=0.5, numbers=numbers, **first
        )


def small(width=20, height=10):
    return encoded(np.zeros((height, width, 3), np.uint8))


LIMITS = webapp.Limits(max_bytes=5000, max_pixels=10_000)
REFUSED = {
    "too many bytes": (("/api/photo", {"data": b"x" * 5001}), 413, "too_many_bytes", "5,001"),
    "too many pixels": (("/api/photo", {"data": small(101, 100)}), 422, "too_many_pixels", "101 x"),
    "too small": (("/api/photo", {"data": small(7, 50)}), 422, "too_small", "7 x 50"),
    "nothing": (
        ("/api/photo", {"environ_overrides": {"CONTENT_LENGTH": "0"}}),
        400,
        "empty",
        "expected an image",
    ),
    "unknown length": (
        ("/api/photo", {"data": small(), "headers": {"Transfer-Encoding": "chunked"}}),
        411,
        "length_required",
        "Content-Length",
    ),
    "text": (("/api/photo", {"data": b"GIF? no"}), 415, "not_an_image", "expected one of PNG"),
    "svg, whatever its name says": (
        (
            "/api/photo",
            {
                "data": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
                "content_type": "image/png",
                "headers": {"Content-Disposition": "attachment; filename=face.png"},
            },
        ),
        415,
        "not_an_image",
        "no image",
    ),
    "a kind that no browser shows": (
        ("/api/photo", {"data": encoded(np.zeros((20, 20, 3), np.uint8), "TIFF")}),
        415,
        "not_an_image",
        "no image",
    ),
    "cut short": (("/api/photo", {"data": small()[:-30]}), 422, "damaged", "cut short"),
    "no stream": (("/api/frame", {"data": small()}), 400, "no_stream", "X-Stream"),
    "no UUID": (
        ("/api/frame", {"data": small(), "headers": {"X-Stream": "../../etc"}}),
        400,
        "no_stream",
        "UUID",
    ),
    "foreign origin": (
        ("/api/photo", {"data": small(), "headers": {"Origin": "http://evil.example"}}),
        403,
        "foreign_origin",
        "own page",
    ),
    "another port is another origin": (
        ("/api/photo", {"data": small(), "headers": {"Origin": "http://localhost:8001"}}),
        403,
        "foreign_origin",
        "own page",
    ),
    "a page without an origin": (
        ("/api/photo", {"data": small(), "headers": {"Origin": "null"}}),
        403,
        "foreign_origin",
        "own page",
    ),
    "foreign site": (
        ("/api/photo", {"data": small(), "headers": {"Sec-Fetch-Site": "cross-site"}}),
        403,
        "foreign_origin",
        "own page",
    ),
    "foreign host": (
        ("/", {"method": "GET", "headers": {"Host": "evil.example:8000"}}),
        403,
        "foreign_host",
        "--allow-host",
    ),
    "no page": (("/nothing", {"method": "GET"}), 404, "not_found", "nothing"),
    "no file": (("/static/../_app.py", {"method": "GET"}), 404, "not_found", "nothing"),
    "no emoji": (("/emoji/joy.svg", {"method": "GET"}), 404, "not_found", "nothing"),
    "wrong method": (("/api/photo", {"method": "GET"}), 405, "method_not_allowed", "way"),
    "options": (("/api/photo", {"method": "OPTIONS"}), 405, "method_not_allowed", "way"),
    "double slash": (("/api//about", {"method": "GET"}), 404, "not_found", "nothing"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_each_refusal_says_in_json_what_was_wrong(name):
    (path, options), status, code, words = REFUSED[name]
    client = webapp.create_app(Blank(), limits=LIMITS).test_client()
    answer = client.open(path, **{"method": "POST", **options})
    assert answer.status_code == status
    assert answer.mimetype == "application/json"
    assert set(answer.json) == {"error"}
    assert answer.json["error"]["code"] == code
    assert words in answer.json["error"]["message"]


def test_what_is_at_a_bound_is_taken():
    client = webapp.create_app(Blank(), limits=LIMITS).test_client()
    assert client.post("/api/photo", data=small(100, 100)).status_code == 200
    assert client.post("/api/photo", data=small(8, 8)).status_code == 200
    size = len(small())
    exact = webapp.create_app(Blank(), limits=webapp.Limits(max_bytes=size)).test_client()
    assert exact.post("/api/photo", data=small()).status_code == 200


def test_a_photo_with_too_many_pixels_is_not_decoded(monkeypatch):
    decoded = []
    monkeypatch.setattr("emohelpers.webapp._photo.decode", lambda data, **_: decoded.append(data))
    client = webapp.create_app(Blank(), limits=LIMITS).test_client()
    assert client.post("/api/photo", data=small(101, 100)).status_code == 422
    assert client.post("/api/photo", data=small(7, 7)).status_code == 422
    assert decoded == []


def test_the_own_page_and_programs_that_are_no_browser_may_post():
    client = webapp.create_app(Blank()).test_client()
    for headers in (
        {},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Host": "127.0.0.1:8000", "Origin": "http://127.0.0.1:8000"},
        {"Host": "[::1]:8000", "Origin": "http://[::1]:8000"},
        {"Host": "localhost:8000", "Origin": "https://localhost:8000"},  # through a proxy
    ):
        answer = client.post("/api/photo", data=small(), headers=headers)
        assert answer.status_code == 200, headers


@pytest.mark.parametrize(
    ("hosts", "host", "status"),
    [
        ((), "faces.example", 403),
        (("faces.example",), "faces.example", 200),
        (("faces.example",), "FACES.example:443", 200),
        (("faces.example",), "other.example", 403),
        (("faces.example",), "faces.example.evil.example", 403),
        (("192.168.1.5",), "192.168.1.5:8000", 200),
        (("192.168.1.5",), "192.168.1.6:8000", 403),
        (("0.0.0.0",), "192.168.1.6:8000", 200),  # no name can be turned to another address
        (("::",), "[2001:db8::1]:8000", 200),
        (("0.0.0.0",), "faces.example", 403),
        ((), "127.0.0.1@evil.example", 403),
        ((), "localhost\t", 403),
        ((), "", 403),
    ],
)
def test_the_page_is_served_under_its_own_names_only(hosts, host, status):
    client = webapp.create_app(Blank(), hosts=hosts).test_client()
    answer = client.get("/api/about", environ_overrides={"HTTP_HOST": host})
    assert answer.status_code == status


def test_a_mistake_of_ours_tells_the_client_nothing(caplog):
    class Broken(Blank):
        def find(self, photo):
            raise RuntimeError(f"secret of {__file__}")

    client = webapp.create_app(Broken()).test_client()
    answer = client.post("/api/photo", data=small())
    assert (answer.status_code, answer.json["error"]["code"]) == (500, "failed")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    # The server's owner needs it.
    assert "secret" in caplog.text


def test_every_answer_has_the_headers_and_none_a_cookie(client):
    answers = [
        client.get("/"),
        client.get("/static/app.js"),
        client.get("/emoji/anger.svg"),
        client.get("/api/about"),
        client.get("/nothing"),
        client.post("/api/photo", data=b"no image"),
        client.post("/api/photo", data=encoded(three())),
        client.get("/", headers={"Host": "evil.example"}),
        client.get("/static/app.js", headers={"If-None-Match": "*"}),
    ]
    assert [answer.status_code for answer in answers][-1] == 304
    for answer in answers:
        policy = dict(
            part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; ")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
        assert "unsafe" not in str(policy)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "camera=(self)" in answer.headers["Permissions-Policy"]
        assert "microphone=()" in answer.headers["Permissions-Policy"]
        assert "Set-Cookie" not in answer.headers
        assert "Access-Control-Allow-Origin" not in answer.headers
        path = answer.request.path
        cached = path in ("/", "/static/app.js", "/emoji/anger.svg") and answer.status_code < 400
        assert answer.headers["Cache-Control"] == ("no-cache" if cached else "no-store")


def test_about_says_network_emotions_and_limits(client):
    about = client.get("/api/about").json
    assert about["network"] == "toy-baseline"
    names = [emotion["name"] for emotion in about["emotions"]]
    model = json.loads(
        (files("emohelpers").joinpath("../saved_models/toy-baseline/recipe.json")).read_text()
    )
    assert set(model["emotions"]) == set(names)
    assert all(re.fullmatch("#[0-9A-F]{6}", emotion["color"]) for emotion in about["emotions"])
    assert about["limits"] == {"bytes": 12 * 2**20, "pixels": 25_000_000, "photos": 20}


def test_each_emoji_is_served_as_svg(client):
    for name in EMOJI:
        answer = client.get(f"/emoji/{name}.svg")
        assert answer.mimetype == "image/svg+xml"
        assert answer.text.startswith("<svg ")


STATIC = files("emohelpers.webapp").joinpath("static")


def static_texts():
    return {
        file.name: file.read_text("utf-8")
        for file in STATIC.iterdir()
        if file.name.endswith((".html", ".css", ".js"))
    }


def test_the_page_asks_no_other_host_and_keeps_nothing():
    texts = static_texts()
    assert {"index.html", "style.css", "app.js"} <= set(texts)
    for name, text in texts.items():
        urls = set(re.findall(r"""(?:https?:)?//[a-z0-9.-]+\.[a-z]+[^\s"'`)]*""", text))
        assert urls == set(), name
        kept = "document.cookie|localStorage|sessionStorage|indexedDB|innerHTML|eval\\("
        assert not re.search(kept, text), name
    for script in (text for name, text in texts.items() if name.endswith(".js")):
        for target in re.findall(r'from "([^"]+)"', script):
            assert target.removeprefix("/static/") in texts


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.texts, self._in = [], [], None

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in = tag

    def handle_endtag(self, tag):
        self._in = None

    def handle_data(self, data):
        if self._in in ("script", "style") and data.strip():
            self.texts.append(data)


def test_the_page_has_no_inline_script_or_style_and_says_what_everything_is():
    page = _Tags()
    page.feed(STATIC.joinpath("index.html").read_text("utf-8"))
    assert page.texts == []
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    labelled = {attrs.get("for") for tag, attrs in page.tags if tag == "label"}
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    for tag, attrs in page.tags:
        assert "style" not in attrs
        assert not [name for name in attrs if name.startswith("on")]
        if tag == "img":
            assert "alt" in attrs
        if tag == "canvas":
            assert attrs["role"] == "img"
            assert attrs["aria-label"]
        if tag == "input":
            assert attrs["id"] in labelled
        for name in ("aria-labelledby", "aria-describedby"):
            if name in attrs:
                assert attrs[name] in ids
    assert ("html", {"lang": "en"}) in page.tags


def test_every_element_that_a_script_looks_for_is_in_the_page():
    texts = static_texts()
    ids = set(re.findall(r'id="([^"]+)"', texts["index.html"]))
    scripts = "".join(text for name, text in texts.items() if name.endswith(".js"))
    asked = set(re.findall(r'(?:element|getElementById)\("([^"]+)"\)', scripts))
    assert asked
    assert asked <= ids

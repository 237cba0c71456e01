"""Downloads against a server on 127.0.0.1: whole, interrupted, wrong, missing."""

import hashlib
import io
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from emohelpers.datasets import _registry
from emohelpers.datasets._fetch import fetch, steps
from emohelpers.datasets._registry import SOURCES, Download
from emohelpers.errors import ConfigurationError, FetchError

PAYLOAD = np.random.default_rng(0).bytes(1_000_000)
SHA256 = hashlib.sha256(PAYLOAD).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves ``server.payload``; what it was asked for is kept in ``server.asked``."""

    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append((asked, self.headers.get("If-Range")))
        if self.path != "/file":
            self.send_error(404)
            return
        start = 0
        unchanged = self.headers.get("If-Range") in (None, server.etag)
        if asked and server.ranges and unchanged:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.payload):
                self.send_error(416)
                return
            self.send_response(206)
            last = len(server.payload) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(server.payload)}")
        else:
            self.send_response(200)
        body = server.payload[start:]
        self.send_header("Content-Length", str(len(body)))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        self.wfile.write(body[: server.stop_after])
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.payload, server.etag, server.ranges, server.stop_after = PAYLOAD, '"one"', True, None
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def serve(server, monkeypatch):
    """Make the registry's FER+ file the one that the server has."""

    def point(path="/file", **changes):
        url = f"http://127.0.0.1:{server.server_port}{path}"
        download = Download(url=url, file_name="votes.csv", **{"sha256": SHA256} | changes)
        source = replace(SOURCES["ferplus"], download=download)
        monkeypatch.setattr(_registry, "SOURCES", {**SOURCES, "ferplus": source})

    point()
    return point


def get(tmp_path):
    return fetch("ferplus", tmp_path, progress=False)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.usefixtures("serve")
def test_a_whole_download_lies_in_place_with_nothing_beside_it(server, tmp_path):
    path = get(tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "votes.csv"
    assert path.read_bytes() == PAYLOAD
    assert names(path.parent) == ["votes.csv"]
    assert get(path.parent) == path
    assert len(server.asked) == 1, "a file that is here is not fetched again"


@pytest.mark.usefixtures("serve")
@pytest.mark.parametrize("etag", ['"one"', 'W/"weak"', None])
def test_an_interrupted_download_goes_on_from_its_last_byte(server, tmp_path, etag):
    server.stop_after, server.etag = 300_000, etag
    with pytest.raises(FetchError, match=r"300,000 of 1,000,000 bytes.*300,000 bytes are kept"):
        get(tmp_path)
    assert not (tmp_path / "votes.csv").exists()
    server.stop_after = None
    assert get(tmp_path).read_bytes() == PAYLOAD
    strong = etag if etag == '"one"' else None
    assert server.asked == [(None, None), ("bytes=300000-", strong)]
    assert names(tmp_path) == ["votes.csv"]


@pytest.mark.usefixtures("serve")
def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.ranges, server.stop_after = False, 300_000
    with pytest.raises(FetchError, match="300,000 bytes are kept"):
        get(tmp_path)
    server.stop_after = None
    assert get(tmp_path).read_bytes() == PAYLOAD
    assert names(tmp_path) == ["votes.csv"]


def test_a_file_that_changed_meanwhile_is_begun_anew(server, serve, tmp_path):
    server.stop_after = 300_000
    with pytest.raises(FetchError):
        get(tmp_path)
    server.payload, server.etag, server.stop_after = PAYLOAD[::-1], '"two"', None
    serve(sha256=hashlib.sha256(server.payload).hexdigest())
    assert get(tmp_path).read_bytes() == server.payload


@pytest.mark.usefixtures("serve")
def test_a_part_that_is_longer_than_the_file_is_begun_anew(server, tmp_path):
    (tmp_path / "votes.csv.part").write_bytes(PAYLOAD + b"more")
    assert get(tmp_path).read_bytes() == PAYLOAD
    assert [asked for asked, _ in server.asked] == ["bytes=1000004-", None]


def test_a_wrong_sum_leaves_nothing_behind(serve, tmp_path):
    serve(sha256="0" * 64)
    with pytest.raises(FetchError, match=rf"SHA-256 is {SHA256}: expected {'0' * 64}"):
        get(tmp_path)
    assert names(tmp_path) == []


def test_a_missing_file_names_the_address_and_the_answer(serve, tmp_path):
    serve("/nothing")
    with pytest.raises(FetchError, match=r"http://127.0.0.1:\d+/nothing: .*404 Not Found"):
        get(tmp_path)
    assert names(tmp_path) == []


def test_a_server_that_is_not_there_is_an_error_of_ours(server, serve, tmp_path):
    server.shutdown()
    server.server_close()
    serve()
    with pytest.raises(FetchError, match="refused"):
        get(tmp_path)


@pytest.mark.usefixtures("serve")
def test_a_wrong_file_that_lies_here_is_named_and_kept(server, tmp_path):
    (tmp_path / "votes.csv").write_text("mine")
    with pytest.raises(FetchError, match=r"votes.csv: SHA-256 is .*move the file away"):
        get(tmp_path)
    assert (tmp_path / "votes.csv").read_text() == "mine"
    assert server.asked == []


def archive(legend=b"a", images=2, spoil=False):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as out:
        out.writestr("top-master/data/legend.csv", legend)
        for number in range(images):
            out.writestr(f"top-master/images/{number}.jpg", b"pixels of %d" % number)
    content = buffer.getvalue()
    return content.replace(b"pixels of 1", b"pixels of X") if spoil else content


MEMBERS = {"data/legend.csv": hashlib.sha256(b"a").hexdigest()}


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (archive(legend=b"b"), r"SHA-256 of data/legend.csv is .*expected"),
        (archive(images=1), "1 images: expected at least 2"),
        (archive(spoil=True), r"images/1.jpg is damaged"),
        (archive()[:-30], "expected a zip archive"),
        (b"<html>not found</html>", "expected a zip archive"),
    ],
)
def test_an_archive_is_checked_by_what_is_known_of_its_content(
    server, serve, tmp_path, payload, message
):
    serve(sha256=None, members=MEMBERS, n_images=2)
    server.payload = payload
    with pytest.raises(FetchError, match=message):
        get(tmp_path)
    assert names(tmp_path) == []
    server.payload = archive()
    assert get(tmp_path).read_bytes() == archive()


def test_a_member_that_is_missing_is_named(server, serve, tmp_path):
    serve(sha256=None, members={"data/500.csv": "0" * 64})
    server.payload = archive()
    with pytest.raises(FetchError, match=r"SHA-256 of data/500.csv is no such member"):
        get(tmp_path)


@pytest.mark.parametrize("name", ["fer2013", "utkface"])
def test_a_set_that_needs_an_account_says_where_to_click_and_put_it(tmp_path, name):
    with pytest.raises(FetchError, match="can not be fetched by a program") as caught:
        fetch(name, tmp_path)
    for step in steps(name, to=tmp_path):
        assert step in str(caught.value)
    assert "https://" in str(caught.value)
    assert f"Put it at {tmp_path.as_posix()}/" in str(caught.value)


def test_a_set_that_was_put_there_by_hand_is_found(tmp_path):
    (tmp_path / "fer2013.tar.gz").touch()
    assert fetch("fer2013", tmp_path) == tmp_path / "fer2013.tar.gz"


@pytest.mark.parametrize("name", ["toyfaces", "folders"])
def test_what_is_built_in_or_yours_is_not_fetched(tmp_path, name):
    with pytest.raises(ConfigurationError, match="nothing to fetch") as caught:
        fetch(name, tmp_path)
    assert {"toyfaces": "load('toyfaces')", "folders": "data check folders"}[name] in str(
        caught.value
    )

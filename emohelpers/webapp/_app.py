"""The page's routes: what is asked, what is answered, what is refused."""

import ipaddress
import logging
import re
import time
from collections.abc import Callable, Collection
from importlib.resources import files
from typing import Any

import flask
import pandas as pd
from werkzeug.exceptions import HTTPException

from emohelpers import __version__
from emohelpers.inference import EMOJI, EmotionRecognizer, emoji_svg
from emohelpers.plots._style import EMOTION_COLORS, SERIES_COLORS
from emohelpers.webapp._answers import HEADERS, RefusalError, refusal_json
from emohelpers.webapp._limits import Limits
from emohelpers.webapp._photo import read_photo
from emohelpers.webapp._streams import Streams

__all__ = ["create_app"]

_LOG = logging.getLogger("emohelpers.webapp")

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EVERY_ADDRESS = {"0.0.0.0", "::"}
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_REFUSALS = {
    404: ("not_found", "there is nothing of that name here"),
    405: ("method_not_allowed", "that can not be asked in this way"),
    413: ("too_many_bytes", "the request is too large"),
}


def create_app(
    recognizer: EmotionRecognizer,
    *,
    limits: Limits | None = None,
    hosts: Collection[str] = (),
    clock: Callable[[], float] = time.monotonic,
) -> flask.Flask:
    """Make the page as a WSGI application.

    Parameters
    ----------
    recognizer : EmotionRecognizer
        What looks at the pictures, from several threads at a time.
    limits : Limits, optional
        What is taken.
    hosts : collection of str
        Names under which the page may be asked for, besides those of this machine for itself:
        a page elsewhere whose name was turned to this address must not read the answers. With
        ``0.0.0.0`` or ``::`` any address in numbers is one.
    clock : callable
        Returns the time in seconds; it never goes back.

    Returns
    -------
    flask.Flask
        Its server has to bound how long requests take to arrive, and how many there are.

    Examples
    --------
    >>> client = create_app(EmotionRecognizer("toy-baseline", "haar")).test_client()
    >>> client.get("/api/about").json["network"]
    'toy-baseline'
    """
    limits = limits or Limits()
    app = flask.Flask("emohelpers.webapp", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = limits.max_bytes
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False
    names = {name.lower().strip("[]") for name in (*_LOOPBACK, *hosts)}
    streams = Streams(most=limits.max_streams, seconds=limits.stream_seconds, clock=clock)
    about = _about(recognizer, limits)
    _refuse(app)
    _pages(app)

    @app.before_request
    def check() -> None:
        _check_origin(names)

    @app.get("/api/about")
    def answer_about() -> flask.Response:
        return flask.jsonify(about)

    @app.post("/api/photo")
    def answer_photo() -> flask.Response:
        photo = read_photo(_body(limits), limits)
        faces, cut = recognizer.find(photo)
        table = recognizer.table(faces, recognizer.answer(cut))
        return flask.jsonify(_found(photo.shape, table, recognizer.class_names))

    @app.post("/api/frame")
    def answer_frame() -> flask.Response:
        key = flask.request.headers.get("X-Stream", "")
        if not _UUID.fullmatch(key):
            raise RefusalError(400, "no_stream", "expected a header X-Stream with a UUID")
        photo = read_photo(_body(limits), limits)
        faces, cut = recognizer.find(photo)
        table, reactions = streams.get(key).add(recognizer, faces, recognizer.answer(cut))
        found = _found(photo.shape, table, recognizer.class_names)
        return flask.jsonify({**found, "reactions": reactions})

    return app


def _pages(app: flask.Flask) -> None:
    """Add the files of the page, read once: no path of a request reaches the disk."""
    contents = {
        file.name: file.read_bytes()
        for file in files("emohelpers.webapp").joinpath("static").iterdir()
        if file.name.endswith(tuple(_TYPES))
    }
    page = contents.pop("index.html")

    def send(content: bytes, kind: str) -> flask.Response:
        response = flask.Response(content, mimetype=kind)
        response.add_etag()
        response.headers["Cache-Control"] = "no-cache"
        response.make_conditional(flask.request)
        return response

    @app.get("/")
    def answer_page() -> flask.Response:
        return send(page, "text/html")

    @app.get("/static/<name>")
    def answer_static(name: str) -> flask.Response:
        if name not in contents:
            raise RefusalError(404, *_REFUSALS[404])
        return send(contents[name], _TYPES[name[name.rindex(".") :]])

    @app.get("/emoji/<name>.svg")
    def answer_emoji(name: str) -> flask.Response:
        if name not in EMOJI:
            raise RefusalError(404, *_REFUSALS[404])
        return send(emoji_svg(name).encode(), "image/svg+xml")


def _refuse(app: flask.Flask) -> None:
    """Make every refusal one object, and give every answer its headers."""

    def say(status: int, code: str, message: str) -> flask.Response:
        return flask.Response(refusal_json(code, message), status, mimetype="application/json")

    @app.errorhandler(RefusalError)
    def on_refusal(error: RefusalError) -> flask.Response:
        return say(error.status, error.code, error.message)

    @app.errorhandler(HTTPException)
    def on_http(error: HTTPException) -> flask.Response:
        status = error.code or 500
        response = say(status, *_REFUSALS.get(status, ("bad_request", "expected another request")))
        if status == 405:
            response.headers["Allow"] = error.get_response().headers.get("Allow", "")
        return response

    @app.errorhandler(Exception)
    def on_mistake(error: Exception) -> flask.Response:
        # The server's owner is told where; the client, that it was not its fault.
        _LOG.error("a request failed", exc_info=error)
        return say(500, "failed", "that went wrong on the server")

    @app.after_request
    def add_headers(response: flask.Response) -> flask.Response:
        response.headers.update(HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def _check_origin(names: set[str]) -> None:
    """Refuse a request under another name, and what a page of another origin wants changed."""
    request = flask.request
    host = request.environ.get("HTTP_HOST", "").lower()
    match = _HOST.fullmatch(host)
    name = (match[1] or match[2]) if match else ""
    if name not in names and not (_EVERY_ADDRESS & names and _is_address(name)):
        raise RefusalError(
            403, "foreign_host", "this page is not served under that name; see --allow-host"
        )
    if request.method in ("GET", "HEAD"):
        return
    origin = request.headers.get("Origin", "").lower()
    if (origin and origin not in (f"http://{host}", f"https://{host}")) or request.headers.get(
        "Sec-Fetch-Site", "same-origin"
    ) != "same-origin":
        raise RefusalError(403, "foreign_origin", "only this server's own page may ask for that")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _body(limits: Limits) -> bytes:
    """Return a request's body, whose size is known before it is read."""
    length = flask.request.content_length
    if length is None:
        raise RefusalError(411, "length_required", "expected a header Content-Length")
    if length > limits.max_bytes:
        raise RefusalError(
            413, "too_many_bytes", f"{length:,} bytes: expected at most {limits.max_bytes:,}"
        )
    data = flask.request.get_data(cache=False)
    if not data:
        raise RefusalError(400, "empty", "the request is empty: expected an image")
    return data


def _found(
    shape: tuple[int, ...], table: pd.DataFrame, class_names: Collection[str]
) -> dict[str, Any]:
    """Return what was found in a photo, as JSON has it."""
    return {
        "width": shape[1],
        "height": shape[0],
        "faces": [
            {
                "face": int(row["face"]),
                "box": [int(row[side]) for side in ("left", "top", "width", "height")],
                "score": round(float(row["score"]), 4),
                "probabilities": {name: round(float(row[name]), 4) for name in class_names},
                "emotion": str(row["emotion"]),
                "abstains": bool(row["abstains"]),
            }
            for row in table.to_dict("records")
        ],
    }


def _about(recognizer: EmotionRecognizer, limits: Limits) -> dict[str, Any]:
    return {
        "version": __version__,
        "network": recognizer.name,
        "emotions": [
            {"name": name, "color": EMOTION_COLORS.get(name, SERIES_COLORS[k % 8])}
            for k, name in enumerate(recognizer.class_names)
        ],
        "limits": {
            "bytes": limits.max_bytes,
            "pixels": limits.max_pixels,
            "photos": limits.max_photos,
        },
    }

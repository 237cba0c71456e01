"""The page's server: waitress, with bounds on what a client may hold and for how long."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import numpy as np
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher
from waitress.utilities import Error

from emohelpers.errors import ConfigurationError
from emohelpers.inference import EmotionRecognizer
from emohelpers.webapp._answers import HEADERS, refusal_json
from emohelpers.webapp._app import create_app
from emohelpers.webapp._limits import Limits

__all__ = ["Server", "create_server", "serve"]

_MAX_HEADER = 16 * 1024
# What a refused client may go on sending before it is cut off, which may cost it the answer.
_LINGER_SECONDS, _LINGER_BYTES = 2.0, 64 * 2**20
_REFUSALS = {
    400: ("bad_request", "that is no valid request of HTTP"),
    408: ("too_slow", "the request took too long to arrive"),
    411: ("length_required", "expected a header Content-Length"),
    413: ("too_many_bytes", "the request is too large"),
    431: ("headers_too_large", "the headers of the request are too large"),
    500: ("failed", "that went wrong on the server"),
    501: ("not_implemented", "expected no Transfer-Encoding"),
    503: ("busy", "too much is waiting here: try again in a few seconds"),
}


class _TooSlowError(Error):
    code, reason = 408, "Request Timeout"


class _LengthRequiredError(Error):
    code, reason = 411, "Length Required"


class _BusyError(Error):
    code, reason = 503, "Service Unavailable"


class _Budget:
    """Bytes that requests may hold together."""

    def __init__(self, size: int) -> None:
        self._left, self._lock = size, threading.Lock()

    def take(self, size: int) -> bool:
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give_back(self, size: int) -> None:
        with self._lock:
            self._left += size


class _Request(HTTPRequestParser):
    """A request; once its headers are here it is known whether its body will be taken."""

    error: Error | None

    def __init__(self, adj: Adjustments, budget: _Budget) -> None:
        super().__init__(adj)
        self._budget, self._held, self._judged = budget, 0, False

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if self.headers_finished and not self._judged:
            self._judged = True
            if self.error is None:
                self.error = self._refusal()
            if self.error is not None:
                # Without this waitress would ask for the body all the same, and wait for it.
                self.expect_continue, self.completed = False, True
        return consumed

    def _refusal(self) -> Error | None:
        if self.chunked:
            return _LengthRequiredError("")
        if not self._budget.take(self.content_length):
            return _BusyError("")
        self._held = self.content_length
        return None

    def close(self) -> None:
        self._budget.give_back(self._held)
        self._held = 0
        super().close()


class _Refusal(ErrorTask):
    """What waitress itself refuses, in the words and with the headers of the page."""

    def execute(self) -> None:
        error = self.request.error
        body = refusal_json(*_REFUSALS.get(error.code, _REFUSALS[400])).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend(HEADERS.items())
        self.response_headers.append(("Content-Type", "application/json"))
        self.response_headers.append(("Cache-Control", "no-store"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(HTTPChannel):
    """A connection that knows since when it waits for its client."""

    error_task_class = _Refusal
    request: _Request | None
    will_close: bool

    def __init__(self, server: "Server", sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        self.parser_class = partial(_Request, budget=server.budget)
        self._begun: float | None = None
        self._refused = self._lingers = False
        self._unheard = 0
        super().__init__(server, sock, addr, adj, map=map)

    def waits_since(self) -> float | None:
        """Return since when the client is waited for; None while it waits for the server."""
        if self.requests:
            return None
        # Of a request that trickles in it counts when it began, not when its last byte came.
        return self.last_activity if self._begun is None else self._begun

    def readable(self) -> bool:
        return self._lingers or bool(super().readable())

    def handle_read(self) -> None:
        if self._lingers:
            try:
                self._unheard += len(self.recv(self.adj.recv_bytes))
            except OSError:
                self.handle_close()
            self.will_close |= self._unheard > _LINGER_BYTES
            return
        before = self.request
        super().handle_read()
        if self.request is None:
            self._begun = None
        elif self.request is not before:
            self._begun = time.time()

    def received(self, data: bytes) -> bool:
        taken = bool(super().received(data))
        self._refused |= any(request.error is not None for request in list(self.requests))
        return taken

    def give_up(self, now: float, patience: float) -> None:
        """Stop waiting for a client that takes too long, and tell it where it may still listen."""
        since = self.waits_since()
        if self._lingers:
            self.will_close |= since is not None and since < now - _LINGER_SECONDS
        elif since is not None and since < now - patience:
            if self.request is None or self.total_outbufs_len:
                self.will_close = True
                return
            late = self.parser_class(self.adj)
            late.parse_header(b"GET / HTTP/1.0\r\n")
            late.error, late.completed = _TooSlowError(""), True
            with self.requests_lock:
                self.request.close()
                self.request, self._begun, self._refused = None, None, True
                self.requests.append(late)
            self.server.add_task(self)

    def handle_close(self) -> None:
        """Close; after a refusal only when the client has heard it.

        To close a connection on which more is arriving resets it, and an answer that is on its way
        is lost.
        """
        if self._refused and not self._lingers and self.connected:
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            else:
                self._lingers, self._begun, self.will_close = True, time.time(), False
                return
        if self.request is not None:
            self.request.close()
            self.request = None
        super().handle_close()


class _Dispatcher(ThreadedTaskDispatcher):
    # That requests wait for a thread is no news: their number is bounded.
    queue_logger = logging.Logger("emohelpers.webapp.queue", logging.CRITICAL)


class Server(TcpWSGIServer):
    """A server for one application: see `create_server`.

    Attributes
    ----------
    port : int
        That it listens on.
    url : str
        Under which it is reached.
    """

    channel_class = _Channel

    def __init__(self, application: Any, sock: socket.socket, host: str, limits: Limits) -> None:
        self.limits, self.budget, self._stopping = limits, _Budget(limits.waiting_bytes), False
        adjustments = Adjustments(
            sockets=[sock],
            threads=limits.threads,
            # Here a new connection takes an old one's place; waitress would not accept it.
            connection_limit=2 * limits.connections,
            channel_timeout=max(1, round(limits.request_seconds)),
            cleanup_interval=1,
            asyncore_use_poll=True,
            max_request_header_size=_MAX_HEADER,
            max_request_body_size=limits.max_bytes + 1,
            # What is larger than these goes into a file.
            inbuf_overflow=2 * limits.max_bytes,
            outbuf_overflow=2 * limits.max_bytes,
            ident=None,
            log_socket_errors=False,
        )
        dispatcher = _Dispatcher()
        dispatcher.set_thread_count(limits.threads)
        super().__init__(
            application,
            _sock=sock,
            dispatcher=dispatcher,
            adj=adjustments,
            bind_socket=False,
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
        )
        # What listens on every address is reached on this machine's own.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        shown = f"[{host}]" if ":" in host else host
        self.port = int(self.effective_port)
        self.url = f"http://{shown}:{self.port}"

    def handle_accept(self) -> None:
        super().handle_accept()
        channels = list(self.active_channels.values())
        if len(channels) > self.limits.connections:
            waiting = {channel: channel.waits_since() for channel in channels}
            stale = min(
                (channel for channel in channels if waiting[channel] is not None),
                key=lambda channel: waiting[channel],
                default=None,
            )
            if stale is not None:
                stale._refused = False
                stale.handle_close()

    def maintenance(self, now: float) -> None:
        for channel in list(self.active_channels.values()):
            channel.give_up(now, self.limits.request_seconds)

    def run(self) -> None:
        """Serve until `stop` is called, or the user interrupts."""
        try:
            while not self._stopping:
                wasyncore.loop(timeout=1, use_poll=True, map=self._map, count=1)
        except (KeyboardInterrupt, SystemExit):
            pass
        finally:
            self.task_dispatcher.shutdown()
            wasyncore.close_all(self._map)

    def stop(self) -> None:
        """Let `run` return, from another thread."""
        self._stopping = True
        self.pull_trigger()


def create_server(
    application: Any, *, host: str = "127.0.0.1", port: int = 8000, limits: Limits | None = None
) -> Server:
    """Make a server that listens, and answers once its `run` is called.

    Parameters
    ----------
    application : WSGI application
        See `create_app`.
    host : str
        The address to listen on.
    port : int
        0 for any that is free.
    limits : Limits, optional
        What is taken.

    Returns
    -------
    Server
        With methods `run` and `stop`.

    Raises
    ------
    ConfigurationError
        If it can not listen there.
    """
    name = host.strip("[]")
    sock = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
        if os.name == "posix":  # elsewhere it would let another program take the port over
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except (OSError, OverflowError, UnicodeError) as error:
        if sock is not None:
            sock.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"can not listen on {host}, port {port}: {reason}; expected an address of this machine "
            "and a free port"
        ) from error
    return Server(application, sock, name, limits or Limits())


def serve(
    recognizer: EmotionRecognizer,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    hosts: Collection[str] = (),
    limits: Limits | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the page until the user interrupts.

    Parameters
    ----------
    recognizer : EmotionRecognizer
        What looks at the pictures.
    host : str
        The address to listen on; with another than the default other machines can reach the page.
    port : int
        0 for any that is free.
    hosts : collection of str
        More names under which the page may be asked for, see `create_app`.
    limits : Limits, optional
        What is taken.
    ready : callable, optional
        Told the page's URL when it can be asked for.

    Raises
    ------
    ConfigurationError
        If it can not listen there.
    """
    application = create_app(recognizer, limits=limits, hosts=(host, *hosts))
    server = create_server(application, host=host, port=port, limits=limits)
    _warm_up(recognizer)
    if ready is not None:
        ready(server.url)
    server.run()


def _warm_up(recognizer: EmotionRecognizer) -> None:
    """Let the network build its graphs for few and many faces before the first user waits."""
    _, none = recognizer.find(np.zeros((64, 64, 3), np.uint8))
    recognizer.answer(np.zeros((81, *none.shape[1:]), np.uint8))

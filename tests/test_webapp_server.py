"""The page's server on a socket: clients that are slow, endless, too many or talk nonsense."""

import contextlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from test_cli_recognise import heed_interrupts
from typer.testing import CliRunner

from emohelpers import webapp
from emohelpers._cli_serve import serve
from emohelpers.errors import ConfigurationError
from tests.test_webapp import Blank


@contextlib.contextmanager
def running(recognizer=None, **limits):
    """Serve on a free port in a thread, and check that the server ends when it is told to."""
    limits = webapp.Limits(**limits)
    app = webapp.create_app(recognizer or Blank(), limits=limits)
    server = webapp.create_server(app, port=0, limits=limits)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(timeout=30)
        assert not thread.is_alive()


def connected(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def answer(connection):
    """Read one answer, until the server closes or its length is reached."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, response.read(), response


def request(head, body=b"", host="127.0.0.1"):
    return f"{head}\r\nHost: {host}\r\n".encode() + b"Connection: close\r\n\r\n" + body


def is_well(server):
    """Say whether another client is answered."""
    with connected(server) as other:
        other.sendall(request("GET /api/about HTTP/1.1"))
        status, body, _ = answer(other)
    return status == 200 and json.loads(body)["network"] == "blank"


def code_of(body):
    return json.loads(body)["error"]["code"]


def noise(side):
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_a_photo_of_megabytes_is_answered_and_never_in_a_file(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a temporary file was made")

    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    photo = noise(1300)
    assert len(photo) > 5_000_000
    with running() as server, connected(server) as client:
        client.sendall(request(f"POST /api/photo HTTP/1.1\r\nContent-Length: {len(photo)}", photo))
        status, body, response = answer(client)
    assert (status, json.loads(body)) == (200, {"width": 1300, "height": 1300, "faces": []})
    # Says nothing of what it runs on.
    assert response.getheader("Server") is None
    assert response.getheader("Via") is None


def test_a_body_that_is_too_large_is_refused_before_it_is_sent():
    with running(max_bytes=1000) as server:
        with connected(server) as client:
            client.sendall(b"POST /api/photo HTTP/1.1\r\nHost: localhost\r\n")
            client.sendall(b"Content-Length: 99999999999\r\n\r\n")
            status, body, response = answer(client)
            assert (status, code_of(body)) == (413, "too_many_bytes")
            assert "default-src 'none'" in response.getheader("Content-Security-Policy")
        with connected(server) as client:
            # As curl asks before it sends a large file.
            client.sendall(b"POST /api/photo HTTP/1.1\r\nHost: localhost\r\n")
            client.sendall(b"Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
            status, body, _ = answer(client)
            assert (status, code_of(body)) == (413, "too_many_bytes")
        assert is_well(server)


def test_a_client_that_goes_on_sending_is_told_why_it_was_refused():
    with running(max_bytes=1000) as server, connected(server) as client:
        client.sendall(b"POST /api/photo HTTP/1.1\r\nHost: localhost\r\n")
        client.sendall(b"Content-Length: 3000000\r\n\r\n")
        client.recv(1, socket.MSG_PEEK)  # by now it is refused
        for _ in range(50):
            client.sendall(b"x" * 60_000)
        status, body, _ = answer(client)
        assert (status, code_of(body)) == (413, "too_many_bytes")


def test_an_endless_body_is_refused_at_its_first_chunk():
    with running() as server:
        for more in (b"", b"Expect: 100-continue\r\n"):
            with connected(server) as client:
                client.sendall(b"POST /api/photo HTTP/1.1\r\nHost: localhost\r\n" + more)
                client.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
                status, body, _ = answer(client)
                assert (status, code_of(body)) == (411, "length_required")
                # It may go on, but is not listened to for ever.
                with contextlib.suppress(OSError):
                    for _ in range(10_000):
                        client.sendall(b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n")
                    pytest.fail("600 megabytes were taken")
        assert is_well(server)


def test_headers_that_do_not_end_are_refused():
    with running() as server:
        with connected(server) as client:
            client.sendall(b"GET / HTTP/1.1\r\n" + b"X-Long: " + b"y" * 20_000)
            status, body, _ = answer(client)
            assert (status, code_of(body)) == (431, "headers_too_large")
        assert is_well(server)


def test_clients_that_trickle_are_cut_off_while_others_are_answered():
    with running(request_seconds=2.0) as server, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(server)) for _ in range(20)]
        for client in slow[:10]:
            client.sendall(b"POST /api/photo HTTP/1.1\r\nHost: localhost\r\n")
        for client in slow[10:]:
            client.sendall(
                b"POST /api/photo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n"
            )
        idle = stack.enter_context(connected(server))
        pending = list(slow)
        # Each byte shows life; that must not buy time for ever.
        while pending:
            assert is_well(server)
            for client in list(pending):
                client.setblocking(False)
                try:
                    client.send(b"x")
                except OSError:
                    pending.remove(client)
                    continue
                with contextlib.suppress(BlockingIOError):
                    if client.recv(1, socket.MSG_PEEK):
                        pending.remove(client)
        for client in slow:
            client.settimeout(30)
            status, body, _ = answer(client)
            assert (status, code_of(body)) == (408, "too_slow")
        assert idle.recv(1) == b""
        assert is_well(server)


def test_more_connections_than_are_allowed_push_out_those_that_wait_longest():
    with running(connections=10) as server, contextlib.ExitStack() as stack:
        idle = []
        for _ in range(30):
            idle.append(stack.enter_context(connected(server)))
            idle[-1].sendall(b"GET /api")
            assert is_well(server)
        closed = 0
        for client in idle:
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionResetError):
                closed += client.recv(1) == b""
        assert closed >= 19
        # The newest are still listened to.
        idle[-1].setblocking(True)
        idle[-1].sendall(b"/about HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer(idle[-1])[0] == 200


def test_requests_together_hold_no_more_memory_than_is_allowed():
    head = b"POST /api/photo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    with running(waiting_bytes=2500) as server, contextlib.ExitStack() as stack:
        holding = [stack.enter_context(connected(server)) for _ in range(2)]
        for client in holding:
            client.sendall(head + b"x")
            assert is_well(server)  # by then the server has read what was sent before
        with connected(server) as third:
            third.sendall(head)
            status, body, _ = answer(third)
            assert (status, code_of(body)) == (503, "busy")
        # What is given up or answered makes room again.
        for _ in range(3):
            holding[0].close()
            holding[1].sendall(b"x" * 999)
            assert answer(holding[1])[0] == 415
            assert is_well(server)
            holding = [stack.enter_context(connected(server)) for _ in range(2)]
            for client in holding:
                client.sendall(head + b"x")
                assert is_well(server)


GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) + b"\r\n\r\n",
    b"\r\n\r\n\r\n\r\nnonsense\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
    b"POST /api/photo HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/photo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1, 2\r\n\r\n",
    b"POST /api/photo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"GET http://[::1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /%00%ff/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_nonsense_is_answered_in_json_or_not_at_all(garbage):
    with running() as server:
        with connected(server) as client:
            client.sendall(garbage)
            client.shutdown(socket.SHUT_WR)
            heard = b""
            with contextlib.suppress(ConnectionResetError):
                while part := client.recv(65536):
                    heard += part
        if heard and b"200 OK" not in heard[:20]:
            head, _, body = heard.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.")
            assert 400 <= int(head.split()[1]) <= 501
            assert head.split()[1] != b"500"
            assert b"Content-Security-Policy" in head
            assert set(json.loads(body)) == {"error"}
        for word in (b"Traceback", b"waitress", b"/work", b"python"):
            assert word not in heard
        assert is_well(server)


def test_a_server_that_is_busy_can_be_stopped_and_leaves_the_port():
    entered, leave = threading.Event(), threading.Event()

    class Waiting(Blank):
        def find(self, photo):
            entered.set()
            leave.wait(30)
            return super().find(photo)

    photo = noise(10)
    with running(Waiting()) as server, connected(server) as client:
        client.sendall(request(f"POST /api/photo HTTP/1.1\r\nContent-Length: {len(photo)}", photo))
        assert entered.wait(30)
        # Others are answered meanwhile.
        assert is_well(server)
        port = server.port
        leave.set()
        assert answer(client)[0] == 200
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_port_that_is_taken_and_an_address_that_is_not_ours_are_said():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port}: .*in use; expected"):
            webapp.create_server(webapp.create_app(Blank()), port=port)
    with pytest.raises(ConfigurationError, match=r"can not listen on 203\.0\.113\.7"):
        webapp.create_server(webapp.create_app(Blank()), host="203.0.113.7", port=0)


def test_serve_says_where_and_listens_on_this_machine_alone(monkeypatch):
    said, servers = [], []
    create = webapp._server.create_server

    def remember(*arguments, **options):
        servers.append(create(*arguments, **options))
        return servers[-1]

    monkeypatch.setattr(webapp._server, "create_server", remember)
    ready = threading.Event()

    def on_ready(url):
        said.append(url)
        ready.set()

    thread = threading.Thread(
        target=webapp.serve, args=(Blank(),), kwargs={"port": 0, "ready": on_ready}
    )
    thread.start()
    assert ready.wait(30)
    [server] = servers
    assert said == [f"http://127.0.0.1:{server.port}"]
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert is_well(server)
    server.stop()
    thread.join(30)
    assert not thread.is_alive()


def test_no_descriptor_is_left_behind():
    def descriptors():
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    if not os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        pytest.skip("this system does not list a process's descriptors")
    with running() as server:
        is_well(server)
    before = descriptors()
    with running() as server:
        for _ in range(20):
            assert is_well(server)
            with connected(server) as client:
                client.sendall(b"POST /api/photo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
    assert descriptors() == before


@pytest.mark.parametrize(
    ("host", "warned"),
    [
        ("127.0.0.1", False),
        ("localhost", False),
        ("::1", False),
        ("127.5.5.5", False),
        ("0.0.0.0", True),
        ("192.168.1.5", True),
        ("faces.example", True),
    ],
)
def test_the_command_warns_when_other_machines_are_let_in(monkeypatch, host, warned):
    asked = {}

    def remember(recognizer, *, ready, **options):
        asked.update(options, network=recognizer.name, detector=recognizer.settings["detector"])
        ready("http://127.0.0.1:1234")

    monkeypatch.setattr(webapp, "serve", remember)
    app = typer.Typer()
    app.command()(serve)
    arguments = ["--host", host, "--port", "1234", "--model", "toy-baseline", "--detector", "haar"]
    answer = CliRunner().invoke(app, [*arguments, "--allow-host", "a.example"])
    assert answer.exit_code == 0, answer.output
    assert answer.stdout == "http://127.0.0.1:1234 (stop with Ctrl-C)\n"
    assert ("warning" in answer.stderr) == warned
    assert ("unencrypted" in answer.stderr) == warned
    assert asked == {
        "host": host,
        "port": 1234,
        "hosts": ["a.example"],
        "network": "toy-baseline",
        "detector": "HaarDetector",
    }


def test_the_command_serves_logs_no_request_and_ends_at_ctrl_c():
    command = Path(sys.executable).with_name("emohelpers")
    arguments = ["--port", "0", "--model", "toy-baseline", "--detector", "haar"]
    process = subprocess.Popen(
        [command, "serve", *arguments],
        preexec_fn=heed_interrupts,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:")
        assert line.endswith(" (stop with Ctrl-C)\n")
        port = int(line.split()[0].rsplit(":", 1)[1])
        for body, status in ((noise(100), 200), (b"no image", 415)):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", "/api/photo", body)
            assert connection.getresponse().status == status
            connection.close()
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, error
    assert out == ""
    for word in ("api", "POST", "Traceback", "KeyboardInterrupt"):
        assert word not in error

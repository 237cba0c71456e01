"""Measure the page's server under load: 50 clients send 2,000 photos to it on 127.0.0.1.

The clients run in this process and share the machine's cores with the server, as the browser of
somebody who tries the page does.
"""

import contextlib
import http.client
import io
import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from emohelpers.datasets import make_faces

CLIENTS, PHOTOS, WARM_UP, DIFFERENT = 50, 2000, 300, 100
SIZE, SIDE = (480, 640), 120
PLACES = [(40, 60), (250, 40), (460, 70), (140, 280)]

_SERVER = """
import sys
from emohelpers import webapp
from emohelpers.inference import EmotionRecognizer

recognizer = EmotionRecognizer(sys.argv[1], "haar")
webapp.serve(recognizer, port=0, ready=lambda url: print(url, flush=True))
"""


def photos(n: int, *, seed: int = 0) -> list[bytes]:
    """Draw JPEGs of one to four toy faces each."""
    rng = np.random.default_rng(seed)
    faces = make_faces(4 * n, size=SIDE, color=True, seed=seed, difficulty=0.2).images
    found = []
    for number in range(n):
        shade = np.linspace(*rng.uniform(60, 200, 2), SIZE[1])[None, :, None]
        picture = np.broadcast_to(shade, (*SIZE, 3)).astype(np.uint8)
        for place in rng.permutation(len(PLACES))[: rng.integers(1, 5)]:
            left, top = PLACES[place]
            picture[top : top + SIDE, left : left + SIDE] = faces[4 * number + place]
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=85)
        found.append(file.getvalue())
    return found


@contextlib.contextmanager
def served(network: str) -> Iterator[tuple[int, int]]:
    """Serve the page in a process of its own; yield its number and its port."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, network],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline()
        yield process.pid, int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)\n", url)[1])  # type: ignore[index]
    finally:
        process.terminate()
        process.communicate()


def send(port: int, pictures: Sequence[bytes], n: int) -> tuple[list[float], list[str], float]:
    """Send photos from all clients at once; return latencies, errors and seconds."""
    numbers = iter(range(n))
    latencies: list[float] = []
    errors: list[str] = []
    lock = threading.Lock()

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                connection.close()
                return
            begun = time.perf_counter()
            try:
                connection.request("POST", "/api/photo", pictures[number % len(pictures)])
                answer = connection.getresponse()
                content = json.loads(answer.read())
                error = None if answer.status == 200 and "faces" in content else str(content)
            except (OSError, http.client.HTTPException, ValueError) as raised:
                error = repr(raised)
                connection.close()
            with lock:
                latencies.append(time.perf_counter() - begun)
                if error is not None:
                    errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies, errors, time.perf_counter() - begun


def resident(process: int) -> float:
    """Return a process's resident memory in MB; NaN where the system does not say."""
    status = Path(f"/proc/{process}/status")
    if not status.is_file():
        return float("nan")
    return int(re.search(r"VmRSS:\s+(\d+) kB", status.read_text())[1]) / 1024  # type: ignore[index]


def main(data: Path | None = None, network: str = "fer-compact") -> None:  # noqa: ARG001
    """Print throughput, latency, errors, and the server's memory along the way."""
    pictures = photos(DIFFERENT)
    with served(network) as (process, port):
        memory = {"started": resident(process)}
        send(port, pictures, WARM_UP)
        memory[f"after {WARM_UP} photos of warm-up"] = resident(process)
        latencies: list[float] = []
        errors: list[str] = []
        seconds = 0.0
        for part in itertools.repeat(PHOTOS // 2, 2):
            more, wrong, lasted = send(port, pictures, part)
            latencies += more
            errors += wrong
            seconds += lasted
            memory[f"after {len(latencies):,} photos more"] = resident(process)
    half, most = np.percentile(latencies, [50, 95])
    print(
        f"{CLIENTS} clients, {len(latencies):,} photos of {SIZE[1]}x{SIZE[0]} with 1 to "
        f"{len(PLACES)} toy faces, {network}, Haar, {os.cpu_count()} cores"
    )
    print(f"errors {len(errors)}{': ' + errors[0] if errors else ''}")
    print(f"throughput {len(latencies) / seconds:.1f} photos a second")
    print(f"latency p50 {1000 * half:.0f} ms, p95 {1000 * most:.0f} ms")
    for name, size in memory.items():
        print(f"server's memory {size:6.0f} MB {name}")


if __name__ == "__main__":
    main()

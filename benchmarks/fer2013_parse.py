"""Measure opening FER2013's CSV: `datasets.load` beside what most notebooks do.

Each way runs in a fresh process on one core. Its time begins when everything is imported; its
memory is the peak above a bare interpreter's, so the imports count.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Nothing large is imported here: a child's peak begins at what its parent holds.

_ROWS, _SIDE = 35_887, 48
_USAGES = ("Training",) * 8 + ("PublicTest", "PrivateTest")
_WAYS = {
    "read_csv, split, stack float32": "split_and_stack",
    "datasets.load, the first time": "load",
    "datasets.load, afterwards": "load",
}


def main(data: Path | None = None) -> None:
    """Print seconds and megabytes of each way, side by side.

    Parameters
    ----------
    data : Path, optional
        FER2013's CSV, plain or compressed; a made-up one of the same size unless given.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "fer2013.csv"
        _in_child("write_csv", plain, data or "")
        bare = _in_child("nothing")
        print(f"{data or 'made-up rows'}: {plain.stat().st_size / 1e6:,.0f} MB of text, one core")
        print(f"{'':32}{'seconds':>8}{'of CPU':>8}{'MB at most':>12}")
        for label, way in _WAYS.items():
            child = _in_child(way, plain, Path(folder) / "cache")
            peak = child["peak"] - bare["peak"]
            print(f"{label:32}{child['seconds']:8.2f}{child['cpu']:8.2f}{peak:12,.0f}")


def _in_child(way: str, *arguments: object) -> dict[str, float]:
    """Run one of the functions below in a fresh process and return what it measured."""
    done = subprocess.run(
        [sys.executable, __file__, way, *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout)


class _Stopwatch:
    """Seconds since it was made: on the clock, and of them on the processor."""

    def __init__(self) -> None:
        self._clock, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        return {
            "seconds": time.perf_counter() - self._clock,
            "cpu": time.process_time() - self._cpu,
        }


def nothing() -> dict[str, float]:
    return _Stopwatch().read()


def split_and_stack(path: str, _cache: str) -> dict[str, float]:
    import numpy as np
    import pandas as pd

    watch = _Stopwatch()
    table = pd.read_csv(path)
    images = np.stack([np.array(text.split(" "), "float32") for text in table["pixels"]])
    images = images.reshape(-1, _SIDE, _SIDE, 1)
    return watch.read()


def load(path: str, cache: str) -> dict[str, float]:
    from emohelpers import datasets

    watch = _Stopwatch()
    datasets.load("fer2013", path, cache=cache)
    return watch.read()


def write_csv(path: str, source: str) -> dict[str, float]:
    """Unpack the real CSV, or make one up whose numbers are as long as those of faces."""
    watch = _Stopwatch()
    with Path(path).open("wb") as file:
        if source:
            from emohelpers.datasets._archives import open_source

            with open_source(source) as archive, archive.open(archive.members()[0]) as rows:
                while block := rows.read(2**20):
                    file.write(block)
        else:
            import numpy as np

            rng = np.random.default_rng(0)
            file.write(b"emotion,pixels,Usage\n")
            for row in range(_ROWS):
                pixels = " ".join(map(str, rng.integers(0, 256, _SIDE**2).tolist()))
                file.write(f"{row % 7},{pixels},{_USAGES[row % 10]}\n".encode())
    return watch.read()


def _peak_megabytes() -> float:
    """Return the most memory that this process has held, or NaN where that is not known."""
    try:
        import resource
    except ImportError:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in {"nothing", "write_csv", *_WAYS.values()}:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    else:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        measured = globals()[sys.argv[1]](*sys.argv[2:])
        print(json.dumps(measured | {"peak": _peak_megabytes()}))

"""Recognise a folder of 10,000 photos, stopped once on the way, and watch the memory."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from PIL import Image

from benchmarks.video_speed import draw

_PHOTOS = 10_000
_DIFFERENT = 100


def resident(process: int) -> float:
    """Return the resident memory of a process in MiB (Linux)."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")


def done(parts: Path) -> int:
    """Return how many photos the parts that are written hold: 64 each, as they are not many."""
    return 64 * len(list(parts.glob("part-*.parquet")))


def main(data: Path | None = None) -> None:  # noqa: ARG001
    """Print memory on the way, time, and what a stop and going on again lost or doubled."""
    with tempfile.TemporaryDirectory() as folder:
        photos, out = Path(folder) / "photos", Path(folder) / "table.parquet"
        photos.mkdir()
        for number in range(_PHOTOS):
            place = photos / f"{number:05}.jpg"
            first = photos / f"{number % _DIFFERENT:05}.jpg"
            if number < _DIFFERENT:
                Image.fromarray(draw(number % 5, number % 20)).save(place, quality=90)
            else:
                place.hardlink_to(first)
        command = [str(Path(sys.executable).with_name("emohelpers")), "predict", str(photos)]
        command += ["--out", str(out), "--detector", "haar"]
        parts = out.with_name(out.name + ".parts")
        start = time.perf_counter()
        for stop_at in (_PHOTOS // 2, None):
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # A shell lets jobs in the background ignore Ctrl-C, and they hand that on.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
            marks = [mark for mark in (1000, 2500, 4500, 7500, 9500) if mark > done(parts)]
            while process.poll() is None:
                time.sleep(0.2)
                if marks and done(parts) >= marks[0]:
                    print(f"{done(parts):>6,} photos: {resident(process.pid):,.0f} MiB")
                    marks.pop(0)
                if stop_at and done(parts) >= stop_at:
                    process.send_signal(signal.SIGINT)
                    stop_at = None
            said = process.communicate()[0].decode().strip()
            print(f"exit status {process.returncode}: {Path(said).name if said else 'stopped'}")
        seconds = time.perf_counter() - start
        table = pd.read_parquet(out)
        files = table["file"].nunique()
        doubled = table.duplicated(["file", "face"]).sum()
        print(
            f"{files:,} photos in {seconds:.0f} s ({files / seconds:.0f} a second, "
            f"{os.cpu_count()} cores), {doubled} rows doubled, {_PHOTOS - files} photos lost"
        )


if __name__ == "__main__":
    main()

"""Score 10,000 and 100,000 faces in files by one process and by Ray: time, memory, and who dies.

The faces are drawn, each of other bytes, one in 10,000 of them cut short, and `fer-compact` as ONNX
answers them. Of 10,000 a worker of Ray is killed at a quarter of the parts and the command itself
at half of them, both by SIGKILL; then the same command is given again, and the tables are compared.
``EMO_SCALE=1000000 python -m benchmarks scale`` goes on to a million, where a worker is killed,
too: half an hour, and 6 GB in ``TMPDIR``.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import psutil

from emohelpers import datasets

SIZES = (10_000, 100_000, 1_000_000)
_DRAWN, _A_FOLDER, _BAD = 5_000, 1_000, 10_000
_COMMAND = Path(sys.executable).with_name("emohelpers")
_MIB = 2**20
# Seconds; to look costs processor time.
_EVERY = 1.0


def main(data: Path | None = None) -> None:  # noqa: ARG001
    """Print a line for each size and way, and what was lost, doubled or answered otherwise."""
    largest = int(os.environ.get("EMO_SCALE", SIZES[1]))
    sizes = [size for size in SIZES if size < largest] + [largest]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        subprocess.run(
            [_COMMAND, "export", "fer-compact", "--to", "onnx", "--out", home / "network.onnx"],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        drawn = datasets.make_faces(_DRAWN, seed=0).images[..., 0]
        print("milliseconds a photo: in all, after the first part, of processor time")
        print("MiB at most: of the command's own process, of all processes together")
        made = 0
        for size in sizes:
            make(home / "photos", drawn, made, size)
            made = size
            one, ray = home / "one", home / "ray"
            print(_line(size, "one process", watch(_call(home, one), one)), flush=True)
            died: list[str] = []
            act = _kill_a_worker(ray, len(_parts(one)) // 4, died) if size > SIZES[1] else None
            print(_line(size, "Ray", watch(_call(home, ray, "--ray"), ray, act)), flush=True)
            print(f"{'':>11}{', '.join([*died, compare(one, ray)])}", flush=True)
            if size == sizes[0]:
                killed = home / "killed"
                said = kill(_call(home, killed, "--ray"), killed, len(_parts(one)))
                print(f"{'':>11}{said}, {compare(one, killed)}", flush=True)
            for out in (one, ray, home / "killed"):
                _remove(out)


def make(home: Path, drawn: np.ndarray, start: int, stop: int) -> None:
    """Write faces, each as a JPEG of its own, a thousand to a folder."""
    for number in range(start, stop):
        place = home / f"{number // _A_FOLDER // 100:02}" / f"{number // _A_FOLDER:04}"
        if number % _A_FOLDER == 0:
            place.mkdir(parents=True)
        again, which = divmod(number, len(drawn))
        face = np.roll(drawn[which], again % 48, axis=1) // 8 * 8 + again // 48
        content = cv2.imencode(".jpg", face)[1].tobytes()
        content = content[: len(content) // 2] if number % _BAD == _BAD // 2 else content
        (place / f"{number:07}.jpg").write_bytes(content)


def _call(home: Path, out: Path, *options: str) -> list[str]:
    paths = [str(home / "photos"), "--model", str(home / "network.onnx"), "--out", str(out)]
    return [str(_COMMAND), "predict", *paths, "--detector", "none", "--on-error", "skip", *options]


def _parts(out: Path) -> list[Path]:
    return sorted(out.glob("part-*.parquet"))


@dataclass
class Watched:
    """What a command took, in seconds and bytes, and said."""

    seconds: float = 0
    start: float = 0
    processor: float = 0
    own: float = 0
    together: float = 0
    said: str = ""


def watch(
    call: list[str], out: Path, act: Callable[[psutil.Process], object] | None = None
) -> Watched:
    """Run a command and look at its memory, and that of all processes that it starts.

    Parameters
    ----------
    call : list of str
        The command.
    out : Path
        The folder of its parts.
    act : callable, optional
        Called again and again with the process.
    """
    seen, began = Watched(), time.perf_counter()
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    family = psutil.Process(process.pid)
    looked, used = 0.0, dict[int, float]()
    while process.poll() is None:
        if not seen.start and out.is_dir() and any(out.glob("part-*.parquet")):
            seen.start = time.perf_counter() - began
        if act is not None:
            act(family)
        if time.perf_counter() - looked > _EVERY:
            looked = time.perf_counter()
            seen.own = max(seen.own, _peak(process.pid))
            members = [family, *_children(family)]
            seen.together = max(seen.together, sum(_figure(_shared_once, m) for m in members))
            for m in members:
                used[m.pid] = max(used.get(m.pid, 0), _figure(_processor, m))
        time.sleep(0.05)
    seen.seconds = time.perf_counter() - began
    seen.processor = sum(used.values())
    seen.said = process.communicate()[0].partition("\n")[0]
    return seen


def _figure(read: Callable[[psutil.Process], float], process: psutil.Process) -> float:
    try:
        return read(process)
    except psutil.Error:  # it has ended meanwhile
        return 0


def _shared_once(process: psutil.Process) -> float:
    """Return the memory of a process in bytes, what n of them share by an nth (Linux)."""
    return process.memory_full_info().pss


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _peak(process: int) -> int:
    """Return the most memory that a process has had, in bytes (Linux)."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(found[0]) * 1024 if found else 0


def _line(size: int, way: str, seen: Watched) -> str:
    spans = (seen.seconds, seen.seconds - seen.start, seen.processor)
    each = "".join(f"{1000 * span / size:>10.3f}" for span in spans)
    return (
        f"{size:>9,}  {way:<12}{seen.seconds:>8.0f}{each}{seen.own / _MIB:>8,.0f}"
        f"{seen.together / _MIB:>8,.0f}\n{'':>11}{seen.said.partition(': ')[2]}"
    )


def kill(call: list[str], out: Path, parts: int) -> str:
    """Kill a worker, then the command, give the command again; return what was done."""
    died: list[str] = []
    first = _kill_a_worker(out, parts // 4, died)

    def act(family: psutil.Process) -> None:
        first(family)
        if len(died) == 1 and len(_parts(out)) >= parts // 2:
            workers = _workers(family)
            family.kill()
            psutil.wait_procs(workers)  # which end with it
            died.append(f"the command at {len(_parts(out))} of {parts}")

    watch(call, out, act)
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return ", ".join(died)


def _kill_a_worker(out: Path, part: int, died: list[str]) -> Callable[[psutil.Process], object]:
    """Return what kills one worker, once, when so many parts are there, and notes it."""

    def act(family: psutil.Process) -> None:
        if not died and len(_parts(out)) >= part:
            _workers(family)[0].kill()
            died.append(f"a worker killed at part {len(_parts(out))}")

    return act


def _workers(family: psutil.Process) -> list[psutil.Process]:
    return [child for child in _children(family) if _is_worker(child)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[0].startswith("ray::MapWorker")
    except (psutil.Error, IndexError):
        return False


def compare(one: Path, other: Path) -> str:
    """Say by how much one table in parts differs from another, a part in memory at a time."""
    keys, rows, lost, doubled, most = ["file", "face"], 0, 0, 0, 0.0
    for place in sorted({path.name for path in (*_parts(one), *_parts(other))}):
        expected, found = pd.read_parquet(one / place), pd.read_parquet(other / place)
        rows += len(found)
        doubled += int(found.duplicated(keys).sum())
        both = expected.merge(found, on=keys, how="outer", indicator=True)
        lost += int((both["_merge"] != "both").sum())
        if not expected.equals(found) and len(expected) == len(found):
            numbers = expected.select_dtypes("float64").columns
            most = max(most, float((expected[numbers] - found[numbers]).abs().max().max()))
    return (
        f"{rows:,} rows, {lost} lost or added, {doubled} doubled, probabilities differ by {most:g} "
        "at most from those of one process"
    )


def _remove(out: Path) -> None:
    for path in out.glob("*") if out.is_dir() else ():
        path.unlink()
    if out.is_dir():
        out.rmdir()


if __name__ == "__main__":
    main()

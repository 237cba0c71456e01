"""Measure how many toy faces one core draws in a second."""

import time
from pathlib import Path

import cv2

from emohelpers.datasets import make_faces


def faces_a_second(*, n: int = 2000, size: int = 48, color: bool = False) -> float:
    """Draw `n` faces on one core, nuisance included, and return how many a second.

    The time is the processor's, so that other programs on the machine change it little.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        make_faces(64, size=size, color=color)
        start = time.process_time()
        make_faces(n, size=size, color=color, seed=1)
        return n / (time.process_time() - start)
    finally:
        cv2.setNumThreads(threads)


def main(data: Path | None = None) -> None:  # noqa: ARG001
    """Print faces a second for the sizes that are used most."""
    for size, color in ((48, False), (48, True), (96, True)):
        rate = faces_a_second(size=size, color=color)
        print(f"{size}x{size} {'colour' if color else 'grey':6} {rate:7,.0f} faces a second")


if __name__ == "__main__":
    main()

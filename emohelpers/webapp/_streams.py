"""Webcams that are being followed: numbers and averages of their faces, and no pixels."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike

from emohelpers.faces import Face
from emohelpers.inference import Reactions, Tracker

__all__ = ["Stream", "Streams"]


class Stream:
    """One webcam: who was seen just now, and the reactions of the last minute.

    Parameters
    ----------
    clock : callable
        Returns the time in seconds; it never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._tracker, self._reactions = Tracker(), Reactions()

    def add(
        self, recognizer: Any, faces: Sequence[Face], probabilities: ArrayLike
    ) -> tuple[pd.DataFrame, dict[str, float]]:
        """Take in a picture, as seen now.

        Parameters
        ----------
        recognizer : EmotionRecognizer
            What makes the table.
        faces : sequence of Face
            Found in the picture.
        probabilities : array_like of float, shape (n_faces, n_classes)
            What the network says of each.

        Returns
        -------
        table : DataFrame
            As `EmotionRecognizer.track` returns it, without the time.
        reactions : dict of str to float
            See `Reactions.shares`; faces of which the network is unsure are left out.
        """
        with self._lock:
            now = self._clock()
            numbers, smooth = self._tracker.update(now, faces, probabilities)
            table = recognizer.table(faces, smooth, numbers=numbers)
            sure = ~table["abstains"].astype(bool)
            self._reactions.add(now, table.loc[sure, "emotion"].tolist())
            return table, self._reactions.shares()


class Streams:
    """Webcams by the identifiers that their pages made up.

    Parameters
    ----------
    most : int
        Kept at a time; the one not heard of for longest makes room.
    seconds : float
        After which one that is not heard of is forgotten.
    clock : callable
        Returns the time in seconds; it never goes back.

    Examples
    --------
    >>> streams = Streams(most=2, seconds=30.0)
    >>> streams.get("a") is streams.get("a")
    True
    >>> streams.get("b"), streams.get("c"), len(streams)
    (<...Stream object at ...>, <...Stream object at ...>, 2)
    """

    def __init__(
        self, *, most: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._lock = threading.Lock()
        self._streams: OrderedDict[str, tuple[float, Stream]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._streams)

    def get(self, key: str) -> Stream:
        """Return a stream; a new one if it is not known, or not any more."""
        with self._lock:
            now = self._clock()
            # The first is the one not heard of for longest.
            while self._streams and next(iter(self._streams.values()))[0] < now - self._seconds:
                self._streams.popitem(last=False)
            stream = self._streams.pop(key, (now, None))[1] or Stream(self._clock)
            self._streams[key] = (now, stream)
            while len(self._streams) > self._most:
                self._streams.popitem(last=False)
            return stream

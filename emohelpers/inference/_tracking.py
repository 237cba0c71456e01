"""Follow faces from frame to frame, and smooth what a network says of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.faces import Face

__all__ = ["Tracker"]


@dataclass
class _Track:
    number: int
    box: tuple[int, int, int, int]
    seen: float
    probabilities: NDArray[np.float64]


class Tracker:
    """Give a face the same number in each frame, and a steady answer.

    Faces of two frames are the same where their boxes overlap most (the pairs are chosen so that
    the overlaps together are as large as can be). Probabilities are averaged over time with
    weights that fall off exponentially.

    Parameters
    ----------
    smooth : float
        Time constant of the average in seconds, 0 or more: after that long a new answer has the
        weight 1 - 1/e, 0.63. 0 leaves the answers as they are.
    patience : float
        For how many seconds a face may be lost and still keep its number.
    least_overlap : float
        Of two boxes, intersection over union, 0..1, above which they may be the same face.

    Raises
    ------
    ConfigurationError
        If an argument is out of its range.

    Examples
    --------
    >>> tracker = Tracker(smooth=1.0)
    >>> tracker.update(0.0, [Face((0, 0, 50, 50), 1.0)], [[1.0, 0.0]])
    ([1], array([[1., 0.]]))
    >>> numbers, probabilities = tracker.update(0.1, [Face((4, 0, 50, 50), 1.0)], [[0.0, 1.0]])
    >>> numbers, probabilities.round(3)
    ([1], array([[0.905, 0.095]]))
    """

    def __init__(
        self, *, smooth: float = 0.5, patience: float = 1.0, least_overlap: float = 0.3
    ) -> None:
        if not (smooth >= 0 and patience >= 0 and 0 <= least_overlap < 1):
            raise ConfigurationError(
                f"smooth={smooth}, patience={patience}, least_overlap={least_overlap}: expected "
                "seconds of 0 or more, and 0 to below 1"
            )
        self._smooth, self._patience, self._least_overlap = smooth, patience, least_overlap
        self._tracks: list[_Track] = []
        self._numbers = count(1)

    def update(
        self, time: float, faces: Sequence[Face], probabilities: ArrayLike
    ) -> tuple[list[int], NDArray[np.float64]]:
        """Take in the next frame.

        Parameters
        ----------
        time : float
            Of the frame, in seconds; not before that of the frame before.
        faces : sequence of Face
            Found in it.
        probabilities : array_like of float, shape (n_faces, n_classes)
            What the network says of each.

        Returns
        -------
        numbers : list of int
            Of each face, from 1.
        probabilities : ndarray of float64, shape (n_faces, n_classes)
            Averaged over time.
        """
        answers = np.array(probabilities, np.float64)
        self._tracks = [track for track in self._tracks if time - track.seen <= self._patience]
        known = self._match(faces)
        numbers = []
        for place, face in enumerate(faces):
            track = known.get(place)
            if track is None:
                track = _Track(next(self._numbers), face.box, time, answers[place])
                self._tracks.append(track)
            elif self._smooth:
                kept = np.exp(-max(0.0, time - track.seen) / self._smooth)
                answers[place] = kept * track.probabilities + (1 - kept) * answers[place]
            track.box, track.seen, track.probabilities = face.box, time, answers[place]
            numbers.append(track.number)
        return numbers, answers

    def _match(self, faces: Sequence[Face]) -> dict[int, _Track]:
        """Find the track of each face that has one, by the face's place."""
        if not self._tracks or not faces:
            return {}
        from scipy.optimize import linear_sum_assignment  # half a second, of no use for photos

        overlaps = _overlaps([face.box for face in faces], [track.box for track in self._tracks])
        # What overlaps too little must not win a place by adding a little to the sum.
        overlaps[overlaps <= self._least_overlap] = 0
        pairs = zip(*linear_sum_assignment(overlaps, maximize=True), strict=True)
        return {
            int(face): self._tracks[track] for face, track in pairs if overlaps[face, track] > 0
        }


def _overlaps(ones: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """Return intersection over union of each box with each other."""
    one = np.asarray(ones, np.float64)[:, None]
    other = np.asarray(others, np.float64)[None]
    first = np.maximum(one[..., :2], other[..., :2])
    last = np.minimum(one[..., :2] + one[..., 2:], other[..., :2] + other[..., 2:])
    both = np.clip(last - first, 0, None).prod(axis=2)
    union = one[..., 2:].prod(axis=2) + other[..., 2:].prod(axis=2) - both
    return both / np.maximum(union, 1e-9)

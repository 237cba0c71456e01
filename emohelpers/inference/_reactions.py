"""What an audience showed of late: thumbs up, sideways or down."""

from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from emohelpers.errors import ConfigurationError

__all__ = ["REACTIONS", "Reactions"]

REACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "happiness": "thumb_up",
        "surprise": "thumb_side",
        "neutral": "thumb_side",
        "anger": "thumb_down",
        "disgust": "thumb_down",
        "fear": "thumb_down",
        "sadness": "thumb_down",
        "contempt": "thumb_down",
    }
)
"""For which reaction each expression stands; surprise may be of either kind."""


class Reactions:
    """Sum up the expressions of the last minute as thumbs.

    Parameters
    ----------
    window : float
        How far back to look, in seconds, above 0.

    Raises
    ------
    ConfigurationError
        If the window is not above 0.

    Examples
    --------
    >>> reactions = Reactions()
    >>> for second, emotion in enumerate(["happiness", "happiness", "neutral", "anger"]):
    ...     reactions.add(second, [emotion])
    >>> reactions.shares()
    {'thumb_up': 0.5, 'thumb_side': 0.25, 'thumb_down': 0.25}
    """

    def __init__(self, *, window: float = 60.0) -> None:
        if not window > 0:
            raise ConfigurationError(f"window={window}: expected seconds above 0")
        self._window = window
        self._seen: deque[tuple[float, tuple[str, ...]]] = deque()

    def add(self, time: float, emotions: Sequence[str]) -> None:
        """Take in a frame.

        Parameters
        ----------
        time : float
            Of the frame, in seconds; not before that of the frame before.
        emotions : sequence of str
            Of the faces in it; leave out those of which the network is unsure. What is no emotion
            of `REACTIONS` counts for none.
        """
        thumbs = tuple(REACTIONS[emotion] for emotion in emotions if emotion in REACTIONS)
        self._seen.append((time, thumbs))
        while self._seen[0][0] <= time - self._window:
            self._seen.popleft()

    def shares(self) -> dict[str, float]:
        """Return the share of each reaction among the faces of all frames, each frame alike.

        Returns
        -------
        dict of str to float
            ``thumb_up``, ``thumb_side`` and ``thumb_down``, together 1; all 0 if no face was seen.
        """
        frames = [thumbs for _, thumbs in self._seen if thumbs]
        return {
            thumb: sum(thumbs.count(thumb) / len(thumbs) for thumbs in frames) / max(1, len(frames))
            for thumb in ("thumb_up", "thumb_side", "thumb_down")
        }

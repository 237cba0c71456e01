"""What the page and its server take, and how much of it."""

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Bounds, all of them checked before the work that they bound.

    Parameters
    ----------
    max_bytes : int
        Of a photo's file.
    max_pixels : int
        Of a photo, by its header, before it is decoded.
    max_photos : int
        That the page sends after one choice, one after another; a request holds one.
    max_streams : int
        Webcams that are followed at a time; the one not heard of for longest makes room.
    stream_seconds : float
        After which a webcam that is not heard of is forgotten.
    threads : int
        Requests answered at a time.
    connections : int
        Open at a time; the one that waits for its client longest makes room.
    request_seconds : float
        In which a request has to arrive, and an answer to be taken.
    waiting_bytes : int
        Of all requests together that are arriving or waiting, in memory.
    """

    max_bytes: int = 12 * 2**20
    max_pixels: int = 25_000_000
    max_photos: int = 20
    max_streams: int = 64
    stream_seconds: float = 30.0
    threads: int = 4
    connections: int = 256
    request_seconds: float = 30.0
    waiting_bytes: int = 16 * 12 * 2**20

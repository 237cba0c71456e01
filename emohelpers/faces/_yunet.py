"""YuNet, a small network that finds faces."""

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emohelpers.datasets._cache import cache_directory
from emohelpers.datasets._registry import Download
from emohelpers.errors import ConfigurationError, MissingPathError
from emohelpers.faces._face import Face
from emohelpers.preprocessing import to_color

__all__ = ["YuNetDetector", "fetch_yunet", "yunet_path"]

_FILE = Download(
    # Of a fixed commit, so that the file stays what its SHA-256 says.
    url=(
        "https://media.githubusercontent.com/media/opencv/opencv_zoo/"
        "82b38c8f98e7b52aa171400f3e4c722352d0669f/models/face_detection_yunet/"
        "face_detection_yunet_2023mar.onnx"
    ),
    file_name="face_detection_yunet_2023mar.onnx",
    sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
)

# It knows faces of 10 to 300 pixels: in a larger photo the nearest would be too large for it.
_LONG_SIDE = 640


def yunet_path() -> Path:
    """Return where YuNet lies once it was fetched.

    Returns
    -------
    Path
        A file in the user's cache, which may not be there yet.

    Examples
    --------
    >>> yunet_path().name
    'face_detection_yunet_2023mar.onnx'
    """
    return cache_directory() / "detectors" / _FILE.file_name


def fetch_yunet(*, progress: bool = False) -> Path:
    """Download YuNet, 0.2 MB under the MIT licence, unless it is here; from then on it is used.

    Parameters
    ----------
    progress : bool
        Whether to draw a progress bar on standard error.

    Returns
    -------
    Path
        Its file, see `yunet_path`.

    Raises
    ------
    FetchError
        If the server fails, or the file is not the one that is expected.
    """
    from emohelpers.datasets._fetch import retrieve

    return retrieve(_FILE, yunet_path(), progress=progress)


class YuNetDetector:
    """Find faces, turned ones too, by the network YuNet.

    Parameters
    ----------
    path : path, optional
        The network's file, ``face_detection_yunet_2023mar.onnx`` of OpenCV's model zoo; without
        it the one that `fetch_yunet` brought.
    least_score : float
        Faces of which it is less sure are left out, 0..1.

    Raises
    ------
    MissingPathError
        If the file is not there.
    ConfigurationError
        If OpenCV can not read it, or the score is out of its range.

    References
    ----------
    W. Wu, H. Peng and S. Yu (2023), YuNet: A Tiny Millisecond-level Face Detector, Machine
    Intelligence Research 20(5), doi:10.1007/s11633-023-1423-y.
    """

    def __init__(self, path: str | Path | None = None, *, least_score: float = 0.7) -> None:
        if not 0 <= least_score <= 1:
            raise ConfigurationError(f"least_score={least_score}: expected 0..1")
        file = Path(path) if path is not None else yunet_path()
        if not file.is_file():
            raise MissingPathError(
                f"no file {file}: expected YuNet as ONNX, which faces.fetch_yunet() brings"
            )
        # As bytes: OpenCV can not open paths with every letter on every system.
        self._weights = np.frombuffer(file.read_bytes(), np.uint8)
        self._least_score = least_score
        self._own = threading.local()
        try:
            self._network()
        except cv2.error as error:
            raise ConfigurationError(f"{file} is no YuNet as ONNX: {error}") from error

    def __call__(self, photo: NDArray[np.uint8]) -> list[Face]:
        """Find faces; see `Detector`."""
        scale = min(1.0, _LONG_SIDE / max(photo.shape[:2]))
        small = np.ascontiguousarray(to_color(photo[None])[0, ..., ::-1])
        if scale < 1:
            small = cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        network = self._network()
        network.setInputSize(small.shape[1::-1])
        _, rows = network.detect(small)
        faces = []
        for row in np.asarray(rows if rows is not None else np.empty((0, 15)), np.float64):
            left, top, wide, high = (round(value) for value in (row[:4] / scale).tolist())
            landmarks = row[4:14].reshape(5, 2) / scale
            faces.append(Face((left, top, wide, high), float(row[14]), landmarks))
        return sorted(faces, key=lambda face: -face.score)

    def _network(self) -> Any:
        """Load the network once for each thread: it holds the size of the photo it looks at."""
        if not hasattr(self._own, "network"):
            self._own.network = cv2.FaceDetectorYN.create(
                "onnx", self._weights, np.empty(0, np.uint8), (320, 320), self._least_score
            )
        return self._own.network

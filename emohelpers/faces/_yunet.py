"""YuNet, a small network that finds faces."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emohelpers.errors import ConfigurationError, MissingPathError
from emohelpers.faces._face import Face
from emohelpers.preprocessing import to_color

__all__ = ["YuNetDetector"]


class YuNetDetector:
    """Find faces, turned ones too, by the network YuNet.

    Parameters
    ----------
    path : path
        The network's file, ``face_detection_yunet_2023mar.onnx`` of OpenCV's model zoo.
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

    def __init__(self, path: str | Path, *, least_score: float = 0.7) -> None:
        if not 0 <= least_score <= 1:
            raise ConfigurationError(f"least_score={least_score}: expected 0..1")
        if not Path(path).is_file():
            raise MissingPathError(f"no file {path}: expected YuNet as ONNX")
        try:
            self._network: Any = cv2.FaceDetectorYN.create(
                str(path), "", (320, 320), score_threshold=least_score
            )
        except cv2.error as error:
            raise ConfigurationError(f"{path} is no YuNet as ONNX: {error}") from error

    def __call__(self, photo: NDArray[np.uint8]) -> list[Face]:
        """Find faces; see `Detector`."""
        height, width = photo.shape[:2]
        self._network.setInputSize((width, height))
        _, rows = self._network.detect(np.ascontiguousarray(to_color(photo[None])[0, ..., ::-1]))
        if rows is None:
            return []
        faces = []
        for row in np.asarray(rows, np.float64):
            left, top, wide, high = (round(value) for value in row[:4].tolist())
            faces.append(Face((left, top, wide, high), float(row[14]), row[4:14].reshape(5, 2)))
        return sorted(faces, key=lambda face: -face.score)

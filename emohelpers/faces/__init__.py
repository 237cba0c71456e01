"""Find the faces in a photo, and cut each out as a network wants it.

Two detectors stand behind one interface: OpenCV's Haar cascade, which comes with OpenCV, and YuNet,
a small network that `fetch_yunet` downloads once. `detect` finds, `align` cuts out.
"""

from emohelpers.faces._align import align
from emohelpers.faces._choose import WholePhoto, open_detector
from emohelpers.faces._detect import detect, read_photo
from emohelpers.faces._face import LANDMARKS, Detector, Face
from emohelpers.faces._haar import HaarDetector
from emohelpers.faces._yunet import YuNetDetector, fetch_yunet, yunet_path

__all__ = [
    "LANDMARKS",
    "Detector",
    "Face",
    "HaarDetector",
    "WholePhoto",
    "YuNetDetector",
    "align",
    "detect",
    "fetch_yunet",
    "open_detector",
    "read_photo",
    "yunet_path",
]

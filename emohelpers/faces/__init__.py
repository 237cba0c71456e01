"""Find the faces in a photo, and cut each out as a network wants it.

Two detectors stand behind one interface: OpenCV's Haar cascade, which comes with OpenCV, and YuNet,
a small network whose file has to be given. `detect` finds, `align` cuts out.
"""

from emohelpers.faces._align import align
from emohelpers.faces._detect import detect, read_photo
from emohelpers.faces._face import LANDMARKS, Detector, Face
from emohelpers.faces._haar import HaarDetector
from emohelpers.faces._yunet import YuNetDetector

__all__ = [
    "LANDMARKS",
    "Detector",
    "Face",
    "HaarDetector",
    "YuNetDetector",
    "align",
    "detect",
    "read_photo",
]

"""Recognise expressions in photos, folders, videos and camera pictures.

`EmotionRecognizer` puts a detector and a network together and returns tables; `annotate` draws
what it found into a photo, with emoji of the project's own.
"""

from emohelpers.inference._annotate import annotate
from emohelpers.inference._emoji import EMOJI, emoji, emoji_svg
from emohelpers.inference._parts import problems_file
from emohelpers.inference._reactions import REACTIONS, Reactions
from emohelpers.inference._recognizer import EmotionRecognizer
from emohelpers.inference._table import check_ending, write_table
from emohelpers.inference._tracking import Tracker
from emohelpers.inference._video import Frame

__all__ = [
    "EMOJI",
    "REACTIONS",
    "EmotionRecognizer",
    "Frame",
    "Reactions",
    "Tracker",
    "annotate",
    "check_ending",
    "emoji",
    "emoji_svg",
    "problems_file",
    "write_table",
]

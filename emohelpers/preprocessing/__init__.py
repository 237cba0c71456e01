"""Steps from raw face images to what a network or a person should see.

Each is a pure function over a batch of shape (n, height, width, channels), 1 channel being grey
and 3 red, green, blue. Arrays, memory maps and the rows of a `FaceDataset` are taken alike and
never changed; the whole batch is computed at once, so hand a large data set over in parts.
"""

from emohelpers.preprocessing._measures import image_quality, summarise
from emohelpers.preprocessing._steps import (
    add_noise,
    crop,
    equalise,
    resize,
    scale,
    standardise,
    to_color,
    to_grey,
)

__all__ = [
    "add_noise",
    "crop",
    "equalise",
    "image_quality",
    "resize",
    "scale",
    "standardise",
    "summarise",
    "to_color",
    "to_grey",
]

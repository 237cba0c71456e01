"""New training images out of old ones: as Keras layers while training, or as files before it.

`pipeline` is the online kind: a few Keras layers that change each batch anew. `write_augmented`
is the offline kind: it writes changed copies of the training images into class folders.
"""

from emohelpers.augmentation._layers import RandomAffine, RandomChannelShift
from emohelpers.augmentation._offline import write_augmented
from emohelpers.augmentation._pipeline import PRESETS, Strengths, pipeline

__all__ = [
    "PRESETS",
    "RandomAffine",
    "RandomChannelShift",
    "Strengths",
    "pipeline",
    "write_augmented",
]

"""What to do where some classes have many more images than others: weights and resampling."""

from emohelpers.sampling._resampling import WAYS, resample, resample_features
from emohelpers.sampling._weights import class_weights

__all__ = ["WAYS", "class_weights", "resample", "resample_features"]

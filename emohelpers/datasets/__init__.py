"""Face data sets: loaders that all return a `FaceDataset`, and a generator of toy faces."""

from emohelpers.datasets._base import EMOTIONS, FaceDataset

__all__ = ["EMOTIONS", "FaceDataset"]

"""What helps where some classes have few images: every way to even them out, on one footing."""

from emohelpers.imbalance._between import between
from emohelpers.imbalance._folds import folds
from emohelpers.imbalance._run import run
from emohelpers.imbalance._ways import BASES, WAYS

__all__ = ["BASES", "WAYS", "between", "folds", "run"]

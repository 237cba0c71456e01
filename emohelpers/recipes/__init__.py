"""The named systems: data, preparation, network, optimiser and schedule of each, as data."""

from emohelpers.recipes._known import RECIPES, get
from emohelpers.recipes._recipe import Recipe
from emohelpers.recipes._train import settings, train

__all__ = ["RECIPES", "Recipe", "get", "settings", "train"]

"""Figures from numbers, in one house style, sized for slides.

Functions that draw one chart take ``ax=None`` and return the Axes; those that draw a grid of
pictures return the Figure. No function takes a model. Figures made here belong to their caller
alone: pyplot does not know them, so none is left open. In a notebook, end the cell with the figure
(``plots.class_counts(counts).figure``); in a script, `save` it or pass an ``ax`` of pyplot's own.
"""

from emohelpers.plots._calibration import coverage, reliability
from emohelpers.plots._charts import (
    class_counts,
    compare_curves,
    differences,
    intervals,
    learning_curves,
    size_curves,
)
from emohelpers.plots._corruptions import corruptions
from emohelpers.plots._groups import groups
from emohelpers.plots._heat import heat_maps
from emohelpers.plots._images import (
    augmentation_strip,
    image_grid,
    prediction_gallery,
    sample_grid,
)
from emohelpers.plots._matrices import confusion_matrix, rater_disagreement, transfer_matrix
from emohelpers.plots._means import class_means, mean_faces
from emohelpers.plots._progress import progress
from emohelpers.plots._search import main_effects, searches
from emohelpers.plots._style import EMOTION_COLORS, SlideFigure, save, style
from emohelpers.plots._timeline import emotion_timeline

__all__ = [
    "EMOTION_COLORS",
    "SlideFigure",
    "augmentation_strip",
    "class_counts",
    "class_means",
    "compare_curves",
    "confusion_matrix",
    "corruptions",
    "coverage",
    "differences",
    "emotion_timeline",
    "groups",
    "heat_maps",
    "image_grid",
    "intervals",
    "learning_curves",
    "main_effects",
    "mean_faces",
    "prediction_gallery",
    "progress",
    "rater_disagreement",
    "reliability",
    "sample_grid",
    "save",
    "searches",
    "size_curves",
    "style",
    "transfer_matrix",
]

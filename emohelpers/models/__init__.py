"""Networks: a function for each, which returns an uncompiled `keras.Model`.

Every network takes raw pixels, 0..255, and scales them itself, so that a saved model needs no
preparation that its user could forget.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from emohelpers.models._alexnet import alexnet
from emohelpers.models._average import average, member
from emohelpers.models._cct import PositionEmbedding, compact_convolutional_transformer
from emohelpers.models._compiled import compiled
from emohelpers.models._features import features
from emohelpers.models._gradients import input_gradients
from emohelpers.models._layers import FusedBatchNormalization, portable, precision
from emohelpers.models._plain import baseline_cnn, deeper_cnn
from emohelpers.models._residual import compact_cnn, residual_cnn
from emohelpers.models._saved import saved_folder
from emohelpers.models._separable import separable_cnn
from emohelpers.models._transfer import BACKBONES, transfer

__all__ = [
    "BACKBONES",
    "BUILDERS",
    "FusedBatchNormalization",
    "PositionEmbedding",
    "alexnet",
    "average",
    "baseline_cnn",
    "compact_cnn",
    "compact_convolutional_transformer",
    "compiled",
    "deeper_cnn",
    "features",
    "input_gradients",
    "member",
    "portable",
    "precision",
    "residual_cnn",
    "saved_folder",
    "separable_cnn",
    "transfer",
]

BUILDERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        builder.__name__: builder
        for builder in (
            alexnet,
            baseline_cnn,
            compact_cnn,
            compact_convolutional_transformer,
            deeper_cnn,
            residual_cnn,
            separable_cnn,
            transfer,
        )
    }
)
"""Every builder by its name; each takes an input shape, a number of classes and options."""

"""Networks: a function for each, which returns an uncompiled `keras.Model`.

Every network takes raw pixels, 0..255, and scales them itself, so that a saved model needs no
preparation that its user could forget.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from emohelpers.models._layers import FusedBatchNormalization, portable, precision
from emohelpers.models._plain import baseline_cnn, deeper_cnn
from emohelpers.models._residual import compact_cnn, residual_cnn

__all__ = [
    "BUILDERS",
    "FusedBatchNormalization",
    "baseline_cnn",
    "compact_cnn",
    "deeper_cnn",
    "portable",
    "precision",
    "residual_cnn",
]

BUILDERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {builder.__name__: builder for builder in (baseline_cnn, compact_cnn, deeper_cnn, residual_cnn)}
)
"""Every builder by its name; each takes an input shape, a number of classes and options."""

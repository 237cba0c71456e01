"""A network's file with weights in half precision."""

import io
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from emohelpers._replacing import replacing
from emohelpers.errors import ConfigurationError

__all__ = ["halve", "round_to_half"]

_WEIGHTS = "model.weights.h5"


def round_to_half(model: Any) -> None:
    """Round a network's weights, in place, to what half precision can hold.

    Parameters
    ----------
    model : keras.Model
        Its variables keep their dtype.

    Raises
    ------
    ConfigurationError
        If a weight is too large for half precision (above 65,504).
    """
    with np.errstate(over="ignore"):  # said below, with words
        rounded = [
            value.astype(np.float16).astype(value.dtype) if value.dtype.kind == "f" else value
            for value in map(np.asarray, model.get_weights())
        ]
    wrong = sum(int((~np.isfinite(value)).sum()) for value in rounded)
    if wrong:
        raise ConfigurationError(
            f"{wrong} weights are not finite in half precision, which ends at 65,504: keep them "
            "in float32"
        )
    model.set_weights(rounded)


def halve(path: Path) -> None:
    """Store the weights in a ``.keras`` file as float16, compressed, in its place.

    Keras reads such a file as any other: it converts the numbers to each variable's dtype.

    Parameters
    ----------
    path : Path
        Replaced as a whole.
    """
    with (
        replacing(path) as beside,
        zipfile.ZipFile(path) as old,
        zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new,
    ):
        for member in old.namelist():
            content = old.read(member)
            new.writestr(member, _half(content) if member == _WEIGHTS else content)


def _half(content: bytes) -> bytes:
    """Rewrite an HDF5 file with float16 in place of float32."""
    written = io.BytesIO()
    with h5py.File(io.BytesIO(content), "r") as old, h5py.File(written, "w") as new:
        new.attrs.update(old.attrs)

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                made = new.require_group(name)
            else:
                values = item[()]
                narrow = values.astype(np.float16) if values.dtype == np.float32 else values
                made = new.create_dataset(name, data=narrow)
            made.attrs.update(item.attrs)

        old.visititems(copy)
    return written.getvalue()

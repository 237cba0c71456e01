"""What a sampler needs of the two networks, as plain arrays."""

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

__all__ = ["arrays"]


def arrays(vq_vae: Any, prior: Any) -> dict[str, NDArray[np.float16]]:
    """Return codebook, decoder and prior as arrays of half precision.

    Parameters
    ----------
    vq_vae, prior : keras.Model
        See `vq_vae` and `code_prior`.

    Returns
    -------
    dict of str to ndarray of float16
        ``codebook``, and each weight by its layer's name and its own, such as
        ``decoder/pixels/kernel``.

    Examples
    --------
    >>> from emohelpers.generation import code_prior, vq_vae
    >>> small = vq_vae((12, 12, 1), n_codes=4, code_size=2, widths=(2, 2), blocks=1)
    >>> found = arrays(small, code_prior(4, 7, n_codes=4, width=4, heads=2, blocks=1))
    >>> found["codebook"].shape, found["prior/embedding/labels"].shape
    ((4, 2), (8, 4))
    """
    found = {"codebook": _half(vq_vae.get_layer("codebook").codebook)}
    for place, network in (("decoder", vq_vae.get_layer("decoder")), ("prior", prior)):
        for layer in network.layers:
            for weight in layer.trainable_weights:
                # An inner layer, as attention has four of, stands in the path of its weights.
                inner = weight.path.split("/")[1:]
                found["/".join([place, layer.name, *inner])] = _half(weight)
    return found


def _half(weight: Any) -> NDArray[np.float16]:
    return ops.convert_to_numpy(weight).astype(np.float16)

"""What each pixel adds on the way from an empty image to the image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.explain._networks import ClassName, of_class, prepare, probabilities
from emohelpers.models import input_gradients

__all__ = ["integrated_gradients"]

_BATCH = 256


def integrated_gradients(
    model: Any,
    images: Any,
    class_name: ClassName = None,
    *,
    class_names: Sequence[str] | None = None,
    baseline: float | ArrayLike = 127.5,
    steps: int = 64,
) -> NDArray[np.float32]:
    r"""Share out the probability of a class among the pixels.

    Parameters
    ----------
    model : keras.Model or emohelpers.publishing.SavedModel
        Takes pixels in 0..255; any network, also an average of several.
    images : array_like of uint8, shape (n, height, width, channels)
        In 0..255.
    class_name, class_names
        As in `grad_cam`.
    baseline : float or array_like
        The image in which there is nothing to see, in 0..255: a grey level, or an image (or one
        for each). A pixel that is as in the baseline gets nothing. So middle grey is taken and not
        black, as for photographs of objects: what tells an expression is often the dark.
    steps : int
        Points on the way, 1 or more. The sum of a map misses the difference of probabilities (see
        Notes) by less, the more there are.

    Returns
    -------
    ndarray of float32, shape (n, height, width)
        What each pixel adds to the probability of the class, channels added up; negative where it
        speaks against it.

    Raises
    ------
    ConfigurationError
        If the images, the class or the baseline do not fit the network, or `steps` is below 1.

    Notes
    -----
    Sundararajan, Taly and Yan 2017, "Axiomatic attribution for deep networks", equations 1 and 3:
    with :math:`x` the image, :math:`b` the baseline and :math:`F` the probability of the class,

    .. math:: (x_i - b_i) \int_0^1
              \frac{\partial F(b + a (x - b))}{\partial x_i} \, da,

    It is *complete*: all pixels together get :math:`F(x) - F(b)`. The integral is the sum over the
    midpoints of equal steps in the square root of a. A network that brings every image to one
    contrast, as those with ``standardise`` do, sees the face in its faintest copy already, so that
    most happens at the beginning, where steps in a would be too far apart.

    Examples
    --------
    >>> from emohelpers import datasets, evaluation, load_model
    >>> faces, model = datasets.make_faces(1, seed=0), load_model()
    >>> added = integrated_gradients(model, faces.images, "happiness")
    >>> grey = np.full_like(faces.images, 127)
    >>> with_face, without = (evaluation.predict(model, x)[0, 3] for x in (faces.images, grey))
    >>> bool(abs(added.sum() - (with_face - without)) < 0.01)
    True
    """
    model, pixels, classes = prepare(model, images, class_name, class_names)
    if steps < 1:
        raise ConfigurationError(f"steps={steps}: expected 1 or more")
    try:
        empty = np.broadcast_to(np.asarray(baseline, np.float32), pixels.shape)
    except ValueError as error:
        raise ConfigurationError(
            f"a baseline of shape {np.shape(baseline)}: expected a number, or an image of "
            f"{pixels.shape[1:]}"
        ) from error
    added = np.zeros(pixels.shape, np.float64)
    for start in range(0, len(pixels), _BATCH):
        rows = slice(start, start + _BATCH)
        way = pixels[rows] - empty[rows]

        def probability(outputs: Any, of: NDArray[np.int64] = classes[rows]) -> Any:
            return of_class(probabilities(outputs), of)

        for root in (np.arange(steps) + 0.5) / steps:
            here = empty[rows] + root**2 * way
            added[rows] += 2 * root / steps * input_gradients(model, here, probability)
        added[rows] *= way
    return added.sum(axis=-1).astype(np.float32)

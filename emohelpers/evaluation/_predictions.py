"""What a network says of each image."""

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError
from emohelpers.preprocessing import crop, resize

__all__ = ["VIEWS", "answers_table", "both_classes", "predict"]

VIEWS = (1, 2, 10)
"""Views at test time: 1 is the image itself, 2 the image and its mirror image, 10 five crops of it
(the corners and the centre, 40x40 pixels of 48x48) and their mirror images."""

# Of the height and width: what the central crop leaves off at each edge, rounded to whole pixels.
_MARGIN = 4 / 48

# Compiling takes longer than answering some hundred faces, and its graphs stay right when weights
# change. The network itself is not kept alive.
_compiled: WeakKeyDictionary[Any, dict[int, Any]] = WeakKeyDictionary()


def predict(
    model: Any, images: Any, *, views: int = 1, batch_size: int = 256
) -> NDArray[np.float32]:
    """Return the probability of each class for each image.

    Parameters
    ----------
    model : keras.Model
        Takes pixels in 0..255; ends in softmax, or in one sigmoid output.
    images : array_like of uint8, shape (n, height, width, channels)
        Read a batch at a time, so a memory map of any size will do.
    views : int
        One of `VIEWS`; the probabilities of the views are averaged. A crop leaves off a sixth of
        the height and width, rounded to an even number of pixels, and is resized to the image's
        own size by bilinear interpolation, in float32.
    batch_size : int
        Images in a batch; see `emohelpers.models.compiled`, which answers them.

    Returns
    -------
    ndarray of float32, shape (n, n_classes)
        In 0..1, rows sum to 1. One sigmoid output ``p`` becomes ``(1 - p, p)``.

    Raises
    ------
    ConfigurationError
        If the images do not fit the network, are scaled to 0..1, or `views` is not known.

    Examples
    --------
    >>> from emohelpers import datasets, models
    >>> faces = datasets.make_faces(3, seed=0)
    >>> model = models.baseline_cnn(filters=(2, 2, 2), units=4)
    >>> predict(model, faces.images).shape
    (3, 7)
    """
    if views not in VIEWS:
        raise ConfigurationError(f"views={views}: expected one of {VIEWS}")
    network = _network(model, batch_size)
    images = images if hasattr(images, "shape") else np.asarray(images)
    parts = [network(images[:0])]
    for start in range(0, len(images), batch_size):
        batch = np.asarray(images[start : start + batch_size])
        _check_pixels(batch)
        total = np.zeros((len(batch), parts[0].shape[1]), np.float32)
        for view in _views(batch, views):
            total += network(view)
        parts.append(total / np.float32(views))
    return both_classes(np.concatenate(parts))


def both_classes(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probabilities of two classes where a network gives that of the second alone.

    Parameters
    ----------
    outputs : ndarray of float32, shape (n, n_outputs)
        In 0..1.

    Returns
    -------
    ndarray of float32, shape (n, max(2, n_outputs))
        One sigmoid output ``p`` becomes ``(1 - p, p)``; others are returned as they are.

    Examples
    --------
    >>> both_classes(np.array([[0.25]], np.float32))
    array([[0.75, 0.25]], dtype=float32)
    """
    if outputs.shape[1] > 1:
        return outputs
    return np.concatenate([1 - outputs, outputs], axis=1)


def _network(model: Any, batch_size: int) -> Any:
    """Return the network compiled, with the weights that it has now."""
    from emohelpers import models

    known = _compiled.get(model, {})
    if batch_size in known:
        known[batch_size].update()
        return known[batch_size]
    network = models.compiled(model, batch_size=batch_size)
    if network.copied:  # otherwise it would keep the model alive
        _compiled.setdefault(model, {})[batch_size] = network
    return network


def _check_pixels(batch: NDArray[Any]) -> None:
    """Refuse pixels that somebody has scaled already, to which every network gives one answer."""
    if batch.dtype.kind == "f" and 0 < batch.max() <= 1:
        raise ConfigurationError(
            f"pixels from {batch.min():g} to {batch.max():g}: expected 0..255, which the networks "
            "scale themselves"
        )


def _views(images: NDArray[Any], views: int) -> Iterator[NDArray[Any]]:
    """Yield a batch as seen in each view."""
    for image in _crops(images) if views == 10 else (images,):
        yield image
        if views > 1:
            yield image[:, :, ::-1]


def _crops(images: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
    """Yield the four corners and the centre, each resized to the whole."""
    whole = images.shape[1:3]
    bottom, right = (2 * round(side * _MARGIN) for side in whole)
    size = (whole[0] - bottom, whole[1] - right)
    pixels = images.astype(np.float32)
    for top, left in ((0, 0), (0, right), (bottom, 0), (bottom, right), (None, None)):
        yield resize(crop(pixels, size, top=top, left=left), whole)


def answers_table(dataset: FaceDataset, probabilities: ArrayLike) -> pd.DataFrame:
    """Set a network's answers beside the labels, image by image.

    Parameters
    ----------
    dataset : FaceDataset
        Of n images, all with a label.
    probabilities : array_like of float, shape (n, n_classes)
        Of the data set's classes, see `predict`.

    Returns
    -------
    DataFrame
        A row for each image: ``file``, ``label`` and ``predicted`` (names of classes),
        ``probability`` (of the predicted class, in 0..1) and ``right``.

    Raises
    ------
    ConfigurationError
        If there is not a row for each image and a column for each class.
    LabelError
        If an image has no label.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(2, seed=0, emotions=("fear", "neutral"))
    >>> answers_table(faces, [[0.9, 0.1], [0.6, 0.4]])[["predicted", "probability"]]
      predicted  probability
    0      fear          0.9
    1      fear          0.6
    """
    outputs = np.asarray(probabilities)
    expected = (len(dataset), len(dataset.class_names))
    if outputs.shape != expected:
        raise ConfigurationError(
            f"probabilities of shape {outputs.shape}: expected {expected}, images by classes"
        )
    dataset.check_labelled()
    names = np.array(dataset.class_names, dtype=object)
    predicted = outputs.argmax(axis=1)
    return pd.DataFrame(
        {
            "file": dataset.table["file"].to_numpy(),
            "label": names[dataset.labels],
            "predicted": names[predicted],
            "probability": outputs[np.arange(len(outputs)), predicted],
            "right": predicted == dataset.labels,
        }
    )

"""What a network says of each image."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError, LabelError

__all__ = ["VIEWS", "answers_table", "predict"]

VIEWS = (1, 2)
"""Views at test time: 1 is the image itself, 2 is the average with its mirror image."""


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
        One of `VIEWS`; the probabilities of the views are averaged.
    batch_size : int
        Images in a batch.

    Returns
    -------
    ndarray of float32, shape (n, n_classes)
        In 0..1, rows sum to 1. One sigmoid output ``p`` becomes ``(1 - p, p)``.

    Raises
    ------
    ConfigurationError
        If the images do not fit the network or `views` is not known.

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
    expected = tuple(model.input_shape[1:])
    if tuple(images.shape[1:]) != expected:
        raise ConfigurationError(f"images of {images.shape[1:]}: the network takes {expected}")
    parts = [np.empty((0, model.output_shape[-1]), np.float32)]
    for start in range(0, len(images), batch_size):
        batch = np.asarray(images[start : start + batch_size])
        # A batch of the same size each time is compiled once; the padding is cut off again.
        full = np.concatenate([batch, np.zeros((batch_size - len(batch), *expected), batch.dtype)])
        seen = [full] if views == 1 else [full, full[:, :, ::-1]]
        outputs = [np.asarray(model.predict_on_batch(np.ascontiguousarray(view))) for view in seen]
        parts.append((np.stack(outputs).sum(0) / views)[: len(batch)])
    probabilities = np.concatenate(parts).astype(np.float32)
    if probabilities.shape[1] == 1:
        probabilities = np.concatenate([1 - probabilities, probabilities], axis=1)
    return probabilities


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
    if (dataset.labels < 0).any():
        raise LabelError(
            f"{int((dataset.labels < 0).sum())} images have no label: leave them out with "
            "select(labels >= 0)"
        )
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

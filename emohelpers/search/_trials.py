"""A data set as scikit-learn's searches take it, and what they try."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError
from emohelpers.evaluation import training_rows
from emohelpers.evaluation._wilson import wilson

__all__ = ["SEARCHED", "Trials", "fixed_split"]

SEARCHED = ("learning_rate", "batch_size", "activation", "optimizer")


def fixed_split(faces: FaceDataset) -> tuple[NDArray[np.uint8], NDArray[np.int64], Any]:
    """Lay out the training and the validation split of a data set for a search.

    Parameters
    ----------
    faces : FaceDataset
        Training images that also stand in another split are left out
        (`emohelpers.evaluation.training_rows`). No test image is looked at.

    Returns
    -------
    rows : ndarray of uint8, shape (n, height * width * channels)
        First those to learn from, then those to be scored; in memory.
    labels : ndarray of int64, shape (n,)
    split : sklearn.model_selection.PredefinedSplit
        The one fold of them, for the ``cv`` of a search: a cross-validation would lay copies and
        persons on both sides.

    Raises
    ------
    ConfigurationError
        If one of the splits is empty.
    LabelError
        If an image has no label.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(60, size=24, seed=0).assign_splits(by="person")
    >>> rows, labels, split = fixed_split(faces)
    >>> rows.shape[1], split.get_n_splits()
    (576, 1)
    """
    from sklearn.model_selection import PredefinedSplit

    parts = {"train": training_rows(faces), "validation": faces.split("validation")}
    for name, part in parts.items():
        if len(part) == 0:
            raise ConfigurationError(f"no images in {name}: expected at least one")
        part.check_labelled()
    rows = np.concatenate([part.images[:].reshape(len(part), -1) for part in parts.values()])
    labels = np.concatenate([part.labels for part in parts.values()])
    fold = np.repeat([-1, 0], [len(part) for part in parts.values()])
    return rows, labels, PredefinedSplit(fold)


class Trials:
    """Accuracy, for the ``scoring`` of a search, that writes down each training which it scores.

    A search's own ``cv_results_`` knows neither the processor's time, the time of trainings that
    were loaded from disk, nor which images were answered rightly, without which there is no
    interval for a difference. It goes with ``n_jobs=1``: other processes would fill lists of their
    own.

    Attributes
    ----------
    correct : list of ndarray of bool, shape (n,)
        For each training, in the order of `table`, which of the scored images it gets right.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(60, size=24, seed=0)
    >>> trials, rows = Trials(), faces.images.reshape(60, -1)
    >>> from emohelpers.search import FaceClassifier
    >>> classifier = FaceClassifier((24, 24, 1), images=64).fit(rows, faces.labels)
    >>> 0 <= trials(classifier, rows, faces.labels) <= 1
    True
    >>> trials.table()[["rung", "images", "optimizer"]].values.tolist()
    [[0, 64, 'adam']]
    """

    def __init__(self) -> None:
        self.correct: list[NDArray[np.bool_]] = []
        self._rows: list[dict[str, Any]] = []

    def __call__(self, classifier: Any, rows: Any, labels: Any) -> float:
        """Return the accuracy of a trained classifier, in 0..1, and write it down."""
        right = classifier.predict(rows) == labels
        low, high = wilson(int(right.sum()), len(right))
        accuracy = float(right.mean())
        self._rows.append(
            {
                "images": classifier.images,
                **{name: getattr(classifier, name) for name in SEARCHED},
                "accuracy": accuracy,
                "accuracy_low": low,
                "accuracy_high": high,
                "cpu_seconds": classifier.cpu_seconds_,
            }
        )
        self.correct.append(right)
        return accuracy

    def table(self) -> pd.DataFrame:
        """Return what was tried.

        Returns
        -------
        DataFrame
            A row for each training, in the order of the search: ``rung`` (0 for those that saw
            fewest images, and so on), ``images`` (seen in training), the hyperparameters,
            ``accuracy`` with ``accuracy_low`` and ``accuracy_high`` (Wilson's 95% interval, which
            knows nothing of being the best of many) and ``cpu_seconds`` of the training.

        Raises
        ------
        ConfigurationError
            If nothing was scored.
        """
        if not self._rows:
            raise ConfigurationError("no trials: expected a search that was fitted, with n_jobs=1")
        table = pd.DataFrame(self._rows)
        table.insert(0, "rung", table["images"].rank(method="dense").astype(int) - 1)
        return table

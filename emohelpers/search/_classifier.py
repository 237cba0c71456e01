"""A small network as an estimator of scikit-learn, whose trainings stay on disk."""

import hashlib
import json
import math
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from emohelpers import models
from emohelpers._replacing import replacing
from emohelpers.errors import ConfigurationError
from emohelpers.evaluation import predict
from emohelpers.training._batches import Batches

__all__ = ["OPTIMIZERS", "FaceClassifier", "fingerprint"]

OPTIMIZERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "adam": keras.optimizers.Adam,
        "sgd": partial(keras.optimizers.SGD, momentum=0.9, nesterov=True),
        "rmsprop": keras.optimizers.RMSprop,
    }
)
"""Optimisers by name; each takes a ``learning_rate``. Plain ``sgd`` without a momentum would be no
match for the others in a short training."""

_SMALL = MappingProxyType(
    {"filters": (8, 16, 32), "units": 64, "dropout": 0.25, "standardise": True}
)


class FaceClassifier(keras.wrappers.SKLearnClassifier):
    """`emohelpers.models.baseline_cnn` as an estimator of scikit-learn.

    Every setting is a parameter of its own, so that ``clone``, ``set_params`` and the grids of
    ``GridSearchCV`` work, which name parameters and not the entries of Keras's ``model_kwargs``.
    How long it is trained is counted in images seen, not in epochs: it costs about the same
    whatever the batch size, and it may be less than one epoch, as successive halving wants it.

    Parameters
    ----------
    image_shape : sequence of int
        Height, width and channels: scikit-learn wants rows of numbers, which the network makes
        images of again.
    activation : str
        Of all layers but the last, one of ``keras.activations``.
    batch_size : int
        Images in a step.
    learning_rate : float
        At the first step; it falls to zero along a cosine by the last one.
    optimizer : str
        One of `OPTIMIZERS`.
    images : int
        Training images to see, in an order drawn anew for each pass; a last batch that is begun is
        finished.
    network_options : mapping, optional
        Of the builder, in place of a small network's (8, 16 and 32 filters).
    seed : int
        Of weights, dropout and batches. Training sets the global seeds to it
        (``keras.utils.set_random_seed``).
    directory : path, optional
        Where finished trainings are kept. One that is there, of the same parameters and the same
        images, is loaded in place of being done again.

    Attributes
    ----------
    model_ : keras.Model
        The trained network; takes rows of pixels in 0..255.
    classes_ : ndarray
        The labels, in the order of the network's outputs.
    cpu_seconds_ : float
        Of the processor for the training, all threads together; also if it was loaded.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(64, size=24, seed=0)
    >>> rows = faces.images.reshape(64, -1)
    >>> classifier = FaceClassifier((24, 24, 1), images=128, batch_size=32)
    >>> classifier.fit(rows, faces.labels).predict(rows).shape
    (64,)
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (48, 48, 1),
        *,
        activation: str = "relu",
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        optimizer: str = "adam",
        images: int = 30_000,
        network_options: Mapping[str, Any] | None = None,
        seed: int = 0,
        directory: str | Path | None = None,
    ) -> None:
        super().__init__(model=_build)
        self.image_shape = image_shape
        self.activation = activation
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.images = images
        self.network_options = network_options
        self.seed = seed
        self.directory = directory

    def __sklearn_clone__(self) -> "FaceClassifier":
        """Return an untrained one with the same parameters; Keras's own would forget ours."""
        return type(self)(**self.get_params(deep=False))

    def fit(self, X: Any, y: Any) -> "FaceClassifier":  # noqa: N803 (scikit-learn's names)
        """Train the network, or load the training if it is kept.

        Parameters
        ----------
        X : array_like of uint8, shape (n, height * width * channels)
            Pixels in 0..255.
        y : array_like, shape (n,)
            Labels.

        Returns
        -------
        FaceClassifier
            Itself.

        Raises
        ------
        ConfigurationError
            If a parameter is not valid, rows are not of `image_shape`, or what is kept can not be
            read.
        """
        _check(self, np.shape(X))
        steps = math.ceil(self.images / self.batch_size)
        self.model_kwargs = {
            "image_shape": tuple(self.image_shape),
            "optimizer": partial(
                OPTIMIZERS[self.optimizer],
                learning_rate=keras.optimizers.schedules.CosineDecay(self.learning_rate, steps),
            ),
            "seed": self.seed,
            **dict(self.network_options or _SMALL),
            "activation": self.activation,
        }
        kept = None
        if self.directory is not None:
            settings = self.get_params(deep=False) | {"data": fingerprint(X, y)}
            del settings["directory"]
            kept = _Kept(Path(self.directory), settings)
        self.fit_kwargs = {
            "batch_size": self.batch_size,
            "steps": steps,
            "seed": self.seed,
            "kept": kept,
        }
        super().fit(X, y)
        self.cpu_seconds_ = self.model_.cpu_seconds
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Return the probability of each class.

        Parameters
        ----------
        X : array_like of uint8, shape (n, height * width * channels)
            Pixels in 0..255.

        Returns
        -------
        ndarray of float32, shape (n, n_classes)
            NaN where the training diverged.
        """
        return predict(self.model_, np.asarray(X))

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the most probable label of each row; of a diverged network always the first.

        Parameters
        ----------
        X : array_like of uint8, shape (n, height * width * channels)
            Pixels in 0..255.

        Returns
        -------
        ndarray, shape (n,)
        """
        # Keras's own would refuse NaN, and with it end a search of a hundred trainings.
        answers = np.nan_to_num(self.predict_proba(X)).argmax(axis=1)
        found: NDArray[Any] = self.classes_[answers]
        return found


class _Network(keras.Sequential):
    """A network that is trained for so many steps, or takes its weights from disk."""

    cpu_seconds = float("nan")

    def fit(
        self,
        images: NDArray[np.uint8],
        targets: NDArray[np.float64],
        *,
        batch_size: int,
        steps: int,
        seed: int,
        kept: "_Kept | None",
    ) -> Any:
        if kept is not None and kept.path.exists():
            self.cpu_seconds = kept.load_into(self)
            return None
        # The processor's time and not the clock's: what else a machine does is no part of it.
        started = time.process_time()
        batches = Batches(images, targets, batch_size, seed=seed, steps_per_epoch=steps)
        history = super().fit(batches, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)
        # TensorFlow keeps the batches of every training, and would keep the images with them.
        del batches.images, batches.targets
        self.cpu_seconds = round(time.process_time() - started, 2)
        if kept is not None:
            kept.save(self, self.cpu_seconds)
        return history


def _build(
    X: Any,  # noqa: N803 (what Keras calls it with)
    y: Any,
    *,
    image_shape: tuple[int, ...],
    optimizer: Callable[[], Any],
    seed: int,
    **options: Any,
) -> Any:
    keras.utils.set_random_seed(seed)
    network = _Network(
        [
            keras.Input((X.shape[1],), name="row"),
            keras.layers.Reshape(image_shape, name="image"),
            models.baseline_cnn(image_shape, y.shape[1], **options),
        ],
        name="row_classifier",
    )
    network.compile(optimizer(), "categorical_crossentropy")
    return network


class _Kept:
    """The place on disk of a training: weights and seconds, under what they were made with."""

    def __init__(self, directory: Path, settings: Mapping[str, Any]) -> None:
        self.text = json.dumps(settings, sort_keys=True, default=_plain)
        name = hashlib.sha256(self.text.encode()).hexdigest()[:24]
        self.path = directory / f"{name}.npz"

    def save(self, network: Any, seconds: float) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        weights = {f"weight{k}": value for k, value in enumerate(network.get_weights())}
        with replacing(self.path) as beside:
            np.savez(beside, settings=np.array(self.text), seconds=np.array(seconds), **weights)

    def load_into(self, network: Any) -> float:
        """Give a network the weights that are kept; return the seconds that they took."""
        try:
            with np.load(self.path) as file:
                seconds = float(file["seconds"])
                network.set_weights([file[f"weight{k}"] for k in range(len(network.weights))])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ConfigurationError(
                f"{self.path} can not be read ({error}): expected a training that was kept there; "
                "remove it, and it will be done again"
            ) from error
        return seconds


def _plain(value: Any) -> Any:
    """Return what a search draws, such as NumPy's numbers, as JSON knows it."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is no parameter that can be written down")


def fingerprint(*arrays: Any) -> str:
    """Digest arrays, all of their bytes and their shapes."""
    digest = hashlib.blake2b(digest_size=16)
    for given in arrays:
        array = np.ascontiguousarray(given)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.view(np.uint8).data)
    return digest.hexdigest()


def _check(classifier: FaceClassifier, shape: tuple[int, ...]) -> None:
    """Refuse parameters that would fail or mislead later, or rows that are of other images."""
    if classifier.optimizer not in OPTIMIZERS:
        raise ConfigurationError(
            f"optimizer={classifier.optimizer!r}: expected one of {', '.join(OPTIMIZERS)}"
        )
    if not 0 < classifier.learning_rate < math.inf:
        raise ConfigurationError(
            f"learning_rate={classifier.learning_rate}: expected a number above 0"
        )
    if classifier.batch_size < 1 or classifier.images < 1:
        raise ConfigurationError(
            f"batch_size={classifier.batch_size}, images={classifier.images}: expected 1 or more"
        )
    expected = math.prod(classifier.image_shape)
    if len(shape) != 2 or shape[1] != expected:
        raise ConfigurationError(
            f"rows of shape {shape}: expected (n, {expected}), the pixels of images of "
            f"{tuple(classifier.image_shape)}"
        )

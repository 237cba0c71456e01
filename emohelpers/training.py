"""Training that writes its state as it goes and continues where it was cut off."""

import hashlib
import json
import os
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError

__all__ = ["HISTORY_COLUMNS", "fit", "mix", "multiply_odds"]

HISTORY_COLUMNS = (
    "epoch",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "seconds",
)
"""The columns of ``history.csv``; epochs count from 1."""

_STATE = "state.npz"


class _Batches(keras.utils.PyDataset):
    """Batches of images, targets and, with class weights, image weights, from the memory map.

    With a seed the batches go on without end, epoch after epoch, each epoch in an order of its
    own. A batch depends on its index alone, whatever a backend fetches ahead or asks for twice.
    """

    def __init__(
        self,
        images: np.ndarray,
        targets: np.ndarray,
        batch_size: int,
        *,
        class_weights: np.ndarray | None = None,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        seed: int | None = None,
        first_epoch: int = 0,
    ) -> None:
        super().__init__()
        self.images = images
        self.targets = targets
        self.batch_size = batch_size
        self.class_weights = class_weights
        self.mixup = mixup
        self.cutmix = cutmix
        self.steps = -(-len(targets) // batch_size)
        self.seed = seed
        self.first_epoch = first_epoch
        self._order = lru_cache(maxsize=2)(self._draw_order)

    @property
    def num_batches(self) -> int | None:
        return self.steps if self.seed is None else None

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        epoch, step = divmod(index, self.steps)
        rows = self._order(epoch)[step * self.batch_size : (step + 1) * self.batch_size]
        # Reading in the order of the file is kinder to the disk than reading at random.
        rows = np.sort(rows)
        images, targets = np.asarray(self.images[rows]), self.targets[rows]
        if self.mixup or self.cutmix:
            rng = np.random.default_rng([self.seed or 0, self.first_epoch + epoch, step])
            images, targets = mix(images, targets, mixup=self.mixup, cutmix=self.cutmix, rng=rng)
        if self.class_weights is None:
            return images, targets
        return images, targets, _class_shares(targets) @ self.class_weights

    def _draw_order(self, epoch: int) -> np.ndarray:
        if self.seed is None:
            return np.arange(len(self.targets))
        rng = np.random.default_rng([self.seed, self.first_epoch + epoch])
        return rng.permutation(len(self.targets))


def mix(
    images: np.ndarray,
    targets: np.ndarray,
    *,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Mix each image, and its target alike, with another one of the batch.

    Mixup (Zhang et al. 2018, https://arxiv.org/abs/1710.09412) averages two images with a share
    drawn from Beta(alpha, alpha); CutMix (Yun et al. 2019, https://arxiv.org/abs/1905.04899)
    pastes a box of the other image, of an area that is drawn likewise. Where both are asked for,
    a coin decides for each image.

    Parameters
    ----------
    images : ndarray, shape (n, height, width, channels)
        In any value range.
    targets : ndarray of float, shape (n, n_outputs)
        A probability for each class, or one column.
    mixup, cutmix : float
        Alpha; the smaller, the less is mixed. 0 turns it off.
    rng : numpy.random.Generator
        Draws partners, shares and boxes.

    Returns
    -------
    ndarray of float32, shape (n, height, width, channels)
        In the same value range.
    ndarray of float32, shape (n, n_outputs)
        Of the same sums.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> images = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)
    >>> mixed, targets = mix(images, np.eye(2), mixup=1.0, rng=rng)
    >>> bool(np.allclose(mixed[:, 0, 0, 0] / 255, targets[:, 1]))
    True
    """
    n, height, width, _ = images.shape
    partner = rng.permutation(n)
    pasted = rng.random(n) < (0.5 if mixup and cutmix else float(cutmix > 0))
    # The share of the other image, by either kind.
    share = np.where(
        pasted,
        rng.beta(cutmix, cutmix, n) if cutmix else 0.0,
        rng.beta(mixup, mixup, n) if mixup else 0.0,
    ).astype(np.float32)
    weight = np.broadcast_to(share[:, None, None], (n, height, width)).copy()
    side = np.sqrt(share)[:, None]
    down = np.abs(np.arange(height) + 0.5 - rng.random((n, 1)) * height) < side * height / 2
    along = np.abs(np.arange(width) + 0.5 - rng.random((n, 1)) * width) < side * width / 2
    box = (down[:, :, None] & along[:, None, :]).astype(np.float32)
    weight[pasted] = box[pasted]
    # A box may hang over the edge: what counts is what is seen of it.
    share = weight.mean(axis=(1, 2))[:, None]
    first = images.astype(np.float32)
    mixed = first + weight[..., None] * (first[partner] - first)
    return mixed, (targets + share * (targets[partner] - targets)).astype(np.float32)


def _targets(labels: np.ndarray, n_outputs: int) -> np.ndarray:
    """Return one-hot float32 rows, or one column of 0 and 1 for a network with one output."""
    if n_outputs == 1:
        return labels.astype(np.float32)[:, None]
    return np.eye(n_outputs, dtype=np.float32)[labels]


def _class_shares(targets: np.ndarray) -> np.ndarray:
    """Return the share of each class in each target, also where there is one output for two."""
    return targets if targets.shape[1] > 1 else np.concatenate([1 - targets, targets], axis=1)


class _Recorder(keras.callbacks.Callback):
    """Keep what has to survive: weights, optimiser and random state, history, best weights."""

    def __init__(self, directory: Path, *, signature: str, monitor: str, patience: int) -> None:
        super().__init__()
        self.directory = directory
        self.signature = signature
        self.monitor = monitor
        self.patience = patience
        self.history: list[dict[str, float]] = []
        self.best: list[np.ndarray] = []
        self.scored: list[np.ndarray] = []
        self.started = 0.0

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, whose monitored value is the best; 0 before the first."""
        if not self.history:
            return 0
        values = [row[self.monitor] for row in self.history]
        pick = np.nanargmin if self.monitor.endswith("loss") else np.nanargmax
        return int(pick(values)) + 1 if not np.isnan(values).all() else 1

    @property
    def finished(self) -> bool:
        """Whether as many epochs as `patience` have gone by without a better one."""
        return bool(self.patience) and len(self.history) - self.best_epoch >= self.patience

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.started = time.perf_counter()

    def on_test_end(self, logs: Any = None) -> None:
        # With an exponential moving average these are the averaged weights, before they are
        # swapped back: exactly what the validation figures belong to.
        self.scored = [np.array(value) for value in self.model.get_weights()]

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        row = {name: float(value) for name, value in (logs or {}).items()}
        row["epoch"] = epoch + 1
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        row["seconds"] = round(time.perf_counter() - self.started, 2)
        self.history.append({name: row[name] for name in HISTORY_COLUMNS})
        if self.best_epoch == epoch + 1 or not self.best:
            self.best = self.scored
        self.write()
        if self.finished:
            self.model.stop_training = True

    def write(self) -> None:
        """Write the state, then the history; a kill between the two loses nothing."""
        arrays = {
            f"{group}/{number:04d}": keras.ops.convert_to_numpy(variable)
            for group, variables in _state(self.model).items()
            for number, variable in enumerate(variables)
        }
        arrays |= {f"best/{number:04d}": value for number, value in enumerate(self.best)}
        about = {"signature": self.signature, "history": self.history}
        arrays["about"] = np.array(json.dumps(about))
        # Always the same name, so that a killed process leaves one such file and not many.
        temporary = self.directory / f"{_STATE}.tmp"
        with temporary.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.directory / _STATE)
        self.write_history()

    def write_history(self) -> None:
        temporary = self.directory / "history.csv.tmp"
        self.table().to_csv(temporary, index=False)
        temporary.replace(self.directory / "history.csv")

    def table(self) -> pd.DataFrame:
        table = pd.DataFrame(self.history, columns=list(HISTORY_COLUMNS))
        return table.astype({"epoch": int}).round(6)

    def restore(self) -> None:
        """Take up the state that an earlier run left in the directory, if there is one."""
        path = self.directory / _STATE
        if not path.exists():
            return
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            about = json.loads(str(arrays.pop("about")))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ConfigurationError(
                f"{path} is damaged ({error}): delete it to start this training again"
            ) from error
        if about["signature"] != self.signature:
            raise ConfigurationError(
                f"{path} belongs to a training with another network, optimiser, data or seed: "
                "continue it with the same arguments, or choose another directory"
            )
        for group, variables in _state(self.model).items():
            for number, variable in enumerate(variables):
                variable.assign(arrays[f"{group}/{number:04d}"])
        self.best = [arrays[name] for name in sorted(arrays) if name.startswith("best/")]
        self.history = about["history"]
        self.write_history()


def _state(model: Any) -> dict[str, list[Any]]:
    """All that a step of training reads and changes: weights, random states, optimiser."""
    return {"model": list(model.variables), "optimizer": list(model.optimizer.variables)}


def _signature(
    model: Any,
    train: FaceDataset,
    validation: FaceDataset,
    targets: np.ndarray,
    options: Mapping[str, Any],
) -> str:
    """Digest what has to be the same for a training to be the same."""
    # Names are left out: Keras numbers them anew for each network of a process.
    shapes = {
        group: [list(variable.shape) for variable in variables]
        for group, variables in _state(model).items()
    }
    settings = [
        {key: value for key, value in part.get_config().items() if key != "name"}
        for part in (model.optimizer, *_leaves(model))
    ]
    data = hashlib.sha256(np.ascontiguousarray(targets).tobytes())
    for part in (train, validation):
        data.update(repr(part.images.shape).encode() + np.ascontiguousarray(part.labels).tobytes())
        # Some images tell one source from another; reading all would take as long as an epoch.
        for row in range(0, len(part), max(1, len(part) // 32)):
            data.update(np.ascontiguousarray(part.images[row]).tobytes())
    # Whatever is not JSON counts by its kind: its address would differ in each process.
    text = json.dumps(
        [shapes, settings, data.hexdigest(), options], default=lambda value: type(value).__name__
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _leaves(layer: Any) -> Iterator[Any]:
    """Walk the layers that hold no others."""
    inner = getattr(layer, "layers", None)
    if inner is None:
        yield layer
    for one in inner or ():
        yield from _leaves(one)


def fit(
    model: Any,
    train: FaceDataset,
    validation: FaceDataset,
    *,
    directory: str | Path,
    epochs: int,
    batch_size: int = 64,
    optimizer: Any = "adam",
    targets: np.ndarray | None = None,
    augmentation: Any = None,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    class_weights: Mapping[int, float] | None = None,
    label_smoothing: float = 0.0,
    monitor: str = "val_loss",
    patience: int = 0,
    seed: int = 0,
    callbacks: Sequence[Any] = (),
    verbose: int | str = "auto",
) -> pd.DataFrame:
    """Train a network, with its state on disk after every epoch.

    Called again with the same arguments after it was stopped, even by SIGKILL, it continues after
    the last finished epoch and ends with the weights that an uninterrupted run would have had on
    the same machine. Called again after it ended, it only loads the best weights; with more
    `epochs` it goes on.

    Parameters
    ----------
    model : keras.Model
        Takes pixels in 0..255 of the data's shape; ends in softmax over the data's classes, or in
        one sigmoid output for two classes. Its weights are trained in place.
    train, validation : FaceDataset
        To learn from, and to choose the best epoch with. Batches are read from the memory map.
    directory : path
        Gets ``history.csv`` and ``state.npz``; made if it is not there.
    epochs : int
        At most, counted from the start of the first run.
    batch_size : int
        Images in a step.
    optimizer : str or keras.optimizers.Optimizer
        Unbuilt. With ``use_ema=True`` the averaged weights are scored and kept.
    targets : ndarray of float, shape (n, n_classes), optional
        What to learn of each training image in place of its label: probabilities, for instance
        the shares of raters' votes or the outputs of a better network.
    augmentation : keras.Layer, optional
        Applied to each training batch on the training device, see `emohelpers.augmentation`.
    mixup, cutmix : float
        How strongly to mix each training image with another before augmentation, see `mix`.
    class_weights : mapping of int to float, optional
        The weight of each class in the training loss, see `emohelpers.sampling.class_weights`;
        an image of several classes has the mean of theirs.
    label_smoothing : float
        The share of each target that is spread over all classes, in [0, 1).
    monitor : str
        ``"val_loss"`` or ``"val_accuracy"``: chooses the best epoch.
    patience : int
        Stop after this many epochs without a better one; 0 never stops early.
    seed : int
        Of the order of the batches. Initial weights and dropout take theirs from
        ``keras.utils.set_random_seed``.
    callbacks : sequence of keras.callbacks.Callback
        Further ones; what they remember is not part of the state on disk.
    verbose : int or "auto"
        As in ``keras.Model.fit``: 0 silent, 1 a progress bar, 2 a line for each epoch.

    Returns
    -------
    DataFrame
        The history, a row for each epoch, with the columns of `HISTORY_COLUMNS`; loss is the cross
        entropy in nats, with label smoothing and, in training, with class weights; accuracies are
        shares, seconds are wall-clock. The model has the weights of the best epoch.

    Raises
    ------
    ConfigurationError
        If data and model do not fit, or `directory` holds the state of another training.

    Examples
    --------
    >>> import tempfile
    >>> from emohelpers import datasets, models, training
    >>> faces = datasets.make_faces(64, seed=0)
    >>> model = models.baseline_cnn(filters=(2, 2, 2), units=4)
    >>> history = training.fit(
    ...     model, faces, faces, directory=tempfile.mkdtemp(), epochs=2, verbose=0
    ... )
    >>> history["epoch"].tolist()
    [1, 2]
    """
    n_outputs = _check(model, train, validation, epochs=epochs, monitor=monitor)
    learned = _checked_targets(targets, train, n_outputs)
    weights = _checked_weights(class_weights, len(train.class_names))
    if min(mixup, cutmix) < 0:
        raise ConfigurationError(f"mixup={mixup}, cutmix={cutmix}: expected 0 or more")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    trainer = model if augmentation is None else keras.Sequential([augmentation, model])
    trainer.compile(
        optimizer=optimizer,
        loss=keras.losses.BinaryCrossentropy(label_smoothing=label_smoothing)
        if n_outputs == 1
        else keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing),
        metrics=["accuracy"],
    )
    trainer.build((None, *train.images.shape[1:]))
    trainer.optimizer.build(trainer.trainable_variables)
    options = {
        "batch_size": batch_size,
        "class_weights": class_weights,
        "label_smoothing": label_smoothing,
        "mixup": [mixup, cutmix],
        "monitor": monitor,
        "seed": seed,
    }
    recorder = _Recorder(
        directory,
        signature=_signature(trainer, train, validation, learned, options),
        monitor=monitor,
        patience=patience,
    )
    recorder.set_model(trainer)
    recorder.restore()
    averaged = getattr(trainer.optimizer, "use_ema", False)
    done = len(recorder.history)
    if done < epochs and not recorder.finished:
        batches = _Batches(
            train.images,
            learned,
            batch_size,
            class_weights=weights,
            mixup=mixup,
            cutmix=cutmix,
            seed=seed,
            first_epoch=done,
        )
        trainer.fit(
            batches,
            steps_per_epoch=batches.steps,
            shuffle=False,  # the batches are shuffled already
            validation_data=_Batches(
                validation.images, _targets(validation.labels, n_outputs), batch_size=256
            ),
            initial_epoch=done,
            epochs=epochs,
            # The recorder comes first: it must see the averaged weights before they go back.
            callbacks=[
                recorder,
                *([keras.callbacks.SwapEMAWeights()] if averaged else []),
                *callbacks,
            ],
            verbose=verbose,
        )
    trainer.set_weights(recorder.best)
    return recorder.table()


def _check(
    model: Any, train: FaceDataset, validation: FaceDataset, *, epochs: int, monitor: str
) -> int:
    """Refuse what would fail or mislead later; return the number of the network's outputs."""
    n_outputs = int(model.output_shape[-1])
    if monitor not in ("val_loss", "val_accuracy"):
        raise ConfigurationError(f"monitor={monitor!r}: expected 'val_loss' or 'val_accuracy'")
    if epochs < 1:
        raise ConfigurationError(f"epochs={epochs}: expected 1 or more")
    for part, data in (("train", train), ("validation", validation)):
        if len(data) == 0:
            raise ConfigurationError(f"no images in {part}: expected at least one")
        if (data.labels < 0).any():
            raise ConfigurationError(
                f"{int((data.labels < 0).sum())} images in {part} have no label: leave them out "
                "with select(labels >= 0)"
            )
        if len(data.class_names) != max(n_outputs, 2):
            raise ConfigurationError(
                f"{len(data.class_names)} classes in {part} and {n_outputs} outputs of the "
                "network: expected an output for each class (or one for two classes)"
            )
        expected = tuple(model.input_shape[1:])
        if tuple(data.images.shape[1:]) != expected:
            raise ConfigurationError(
                f"images of {data.images.shape[1:]} in {part}: the network takes {expected}"
            )
    return n_outputs


def _checked_targets(targets: np.ndarray | None, train: FaceDataset, n_outputs: int) -> np.ndarray:
    """Return what the network is to say of each training image, as it says it."""
    if targets is None:
        return _targets(train.labels, n_outputs)
    given = np.asarray(targets, dtype=np.float32)
    expected = (len(train), len(train.class_names))
    if given.shape != expected:
        raise ConfigurationError(
            f"targets of shape {given.shape}: expected {expected}, training images by classes"
        )
    wrong = ~((given >= 0).all(1) & (np.abs(given.sum(1) - 1) < 1e-3))
    if wrong.any():
        row = int(wrong.argmax())
        raise ConfigurationError(
            f"target {row} is {given[row].tolist()}: expected probabilities that sum to 1"
        )
    return given[:, 1:] if n_outputs == 1 else given


def _checked_weights(
    class_weights: Mapping[int, float] | None, n_classes: int
) -> np.ndarray | None:
    if not class_weights:
        return None
    if set(class_weights) != set(range(n_classes)):
        raise ConfigurationError(
            f"class_weights of {sorted(class_weights)}: expected one for each label, "
            f"0 to {n_classes - 1}"
        )
    return np.array([class_weights[label] for label in range(n_classes)], dtype=np.float32)


def multiply_odds(model: Any, factors: Sequence[float]) -> None:
    """Make a trained network name some classes more or less readily, and leave all else as it is.

    Where classes are more or less frequent than in training, this is the correction of Saerens,
    Latinne and Decaestecker (2002, "Adjusting the outputs of a classifier to new a priori
    probabilities", Neural Computation 14), with the ratio of the frequencies as factors.

    Parameters
    ----------
    model : keras.Model
        Ends in a dense layer with softmax and a bias, which is changed in place.
    factors : sequence of float, length n_classes
        What the odds of each class are multiplied by, above 0.

    Raises
    ------
    ConfigurationError
        If a factor is not above 0, there is not one for each class, or the network ends otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> from emohelpers import models
    >>> model = models.baseline_cnn((8, 8, 1), 2, filters=(2, 2, 2), units=4)
    >>> before = model.predict(np.zeros((1, 8, 8, 1)), verbose=0)[0]
    >>> multiply_odds(model, [3, 1])
    >>> after = model.predict(np.zeros((1, 8, 8, 1)), verbose=0)[0]
    >>> round(float(after[0] / after[1] / (before[0] / before[1])), 3)
    3.0
    """
    last = model.layers[-1]
    softmax = getattr(last, "activation", None) is keras.activations.softmax
    if not (softmax and getattr(last, "bias", None) is not None):
        raise ConfigurationError(
            f"the network ends in {last.name!r}: expected a dense layer with softmax and a bias"
        )
    values = np.asarray(factors, dtype=np.float64)
    if values.shape != tuple(last.bias.shape) or not (values > 0).all():
        raise ConfigurationError(
            f"factors {list(factors)}: expected {last.bias.shape[0]} numbers above 0"
        )
    last.bias.assign(keras.ops.convert_to_numpy(last.bias) + np.log(values))

"""The one `fit` of the package."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError
from emohelpers.training._batches import Batches, OneHot, mean_shares
from emohelpers.training._devices import Accuracy, SharedBatches, check_placed, sharing_devices
from emohelpers.training._losses import loss_function
from emohelpers.training._processes import check_same, this_process
from emohelpers.training._recorder import Recorder, signature

__all__ = ["fit"]


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
    focal: float = 0.0,
    logit_adjustment: float = 0.0,
    steps_per_epoch: int | None = None,
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
        To learn from, and to choose the best epoch with. Batches are read from the memory map, and
        those of more than 80,000 training images in shuffled blocks: memory does not grow with the
        pixels.
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
    focal : float
        The focusing parameter gamma of the focal loss (Lin et al. 2017,
        https://arxiv.org/abs/1708.02002): the larger, the less an image counts that the network is
        sure of already; 0 is the cross entropy.
    logit_adjustment : float
        How strongly the loss takes over from the network how frequent the classes are, the tau of
        Menon et al. (2021, https://arxiv.org/abs/2007.07314): with 1 the network answers as if all
        were equally frequent, with 0 as they are in training. Not together with `focal`.
    steps_per_epoch : int, optional
        Batches in an epoch; without it, as many as hold each image once. Batches go on from where
        the last epoch ended.
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
        entropy in nats (or what it was asked to be in its place), with label smoothing and, in
        training, with class weights; accuracies are shares, seconds are wall-clock. The model has
        the weights of the best epoch.

    Raises
    ------
    ConfigurationError
        If data and model do not fit, or `directory` holds the state of another training.
    LabelError
        If an image has no label.

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
    _check_settings(batch_size, patience, mixup, cutmix, label_smoothing)
    if steps_per_epoch is not None and steps_per_epoch < 1:
        raise ConfigurationError(f"steps_per_epoch={steps_per_epoch}: expected 1 or more")
    loss = loss_function(
        mean_shares(learned),
        one_output=n_outputs == 1,
        label_smoothing=label_smoothing,
        focal=focal,
        logit_adjustment=logit_adjustment,
    )
    directory = Path(directory)
    if this_process().index == 0:
        directory.mkdir(parents=True, exist_ok=True)
    devices = sharing_devices()
    parts = [model] if augmentation is None else [augmentation, model]
    # What is compiled would take `Accuracy` along into its file.
    trainer = model if len(parts) == devices == 1 else keras.Sequential(parts)
    trainer.compile(
        optimizer=optimizer, loss=loss, metrics=["accuracy" if devices == 1 else Accuracy()]
    )
    trainer.build((None, *train.images.shape[1:]))
    trainer.optimizer.build(trainer.trainable_variables)
    check_placed(trainer)
    options = {
        "batch_size": batch_size,
        "class_weights": class_weights,
        "label_smoothing": label_smoothing,
        "mixup": [mixup, cutmix],
        "monitor": monitor,
        "seed": seed,
    }
    # Left out where they are not used: trainings that began before there were any can go on.
    further = {"focal": focal, "adjusted": logit_adjustment, "steps": steps_per_epoch}
    options |= {name: value for name, value in further.items() if value}
    recorder = Recorder(
        directory,
        signature=signature(trainer, train, validation, learned, options),
        monitor=monitor,
        patience=patience,
    )
    check_same(recorder.signature)
    recorder.set_model(trainer)
    recorder.restore()
    averaged = getattr(trainer.optimizer, "use_ema", False)
    done = len(recorder.history)
    if done < epochs and not recorder.finished:
        batches: Any = Batches(
            train.images,
            learned,
            batch_size,
            class_weights=weights,
            mixup=mixup,
            cutmix=cutmix,
            seed=seed,
            steps_per_epoch=steps_per_epoch,
            first_epoch=done,
        )
        # A multiple of the devices, so that the last batch alone may have to be filled up.
        scored: Any = Batches(
            validation.images,
            OneHot(validation.labels, n_outputs),
            batch_size=-(-256 // devices) * devices,
        )
        steps = batches.steps_per_epoch
        if devices > 1:
            batches = SharedBatches(batches, devices=devices, training=True)
            scored = SharedBatches(scored, devices=devices, training=False)
        trainer.fit(
            batches,
            steps_per_epoch=steps,
            shuffle=False,  # the batches are shuffled already
            validation_data=scored,
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
        data.check_labelled()
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


def _check_settings(
    batch_size: int, patience: int, mixup: float, cutmix: float, label_smoothing: float
) -> None:
    if batch_size < 1 or patience < 0:
        raise ConfigurationError(
            f"batch_size={batch_size}, patience={patience}: expected 1 or more, and 0 or more"
        )
    if not (0 <= mixup < np.inf and 0 <= cutmix < np.inf):
        raise ConfigurationError(f"mixup={mixup}, cutmix={cutmix}: expected 0 or more")
    if not 0 <= label_smoothing < 1:
        raise ConfigurationError(
            f"label_smoothing={label_smoothing}: expected a share from 0 to below 1"
        )


def _checked_targets(
    targets: np.ndarray | None, train: FaceDataset, n_outputs: int
) -> np.ndarray | OneHot:
    """Return what the network is to say of each training image, as it says it."""
    if targets is None:
        return OneHot(train.labels, n_outputs)
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
    weights = np.array([class_weights[label] for label in range(n_classes)], dtype=np.float32)
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ConfigurationError(f"class_weights of {weights.tolist()}: expected 0 or more each")
    return weights

"""The devices of a training: what each of them gets of every batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from emohelpers.errors import ConfigurationError
from emohelpers.training._batches import Batches
from emohelpers.training._processes import check_backend, this_process

__all__ = ["Accuracy", "SharedBatches", "check_placed", "on_devices", "sharing_devices"]


@contextmanager
def on_devices(devices: int | str = "auto") -> Iterator[None]:
    """Share each batch of the trainings in this block out over several devices.

    Network, augmentation and optimiser have to be made inside of it. Each device holds all
    weights, computes its share of the batch and gets the sum of all gradients: a step is that of
    one device with the whole batch, but for the last digits.

    Parameters
    ----------
    devices : int or "auto"
        How many; ``"auto"`` takes all there are, GPUs where there are any. After `join_processes`
        all of all processes. With 1 nothing is shared out.

    Raises
    ------
    ConfigurationError
        If there are not so many, or Keras has another backend than JAX.

    See Also
    --------
    emohelpers.training.fit : For how it deals with a batch that does not divide.

    Examples
    --------
    >>> import tempfile
    >>> from emohelpers import datasets, models, training
    >>> faces = datasets.make_faces(16, seed=0)
    >>> with training.on_devices(1):
    ...     model = models.baseline_cnn(filters=(2, 2, 2), units=4)
    ...     history = training.fit(
    ...         model, faces, faces, directory=tempfile.mkdtemp(), epochs=1, verbose=0
    ...     )
    """
    if devices != "auto" and (not isinstance(devices, int) or devices < 1):
        raise ConfigurationError(f"devices={devices!r}: expected 1 or more, or 'auto'")
    together = this_process().count > 1
    if devices == 1 and not together:
        yield
        return
    check_backend(f"devices={devices!r}")
    there = keras.distribution.list_devices()
    wanted = len(there) if devices == "auto" else int(devices)
    if wanted > len(there) or (together and wanted < len(there)):
        kind = there[0].partition(":")[0]
        raise ConfigurationError(
            f"devices={devices}, and there {'is' if len(there) == 1 else 'are'} {len(there)} "
            f"({kind}{', of all processes' if together else ''}): expected {len(there)}"
            f"{'' if together else ' at most'}, or 'auto'"
        )
    if wanted == 1:
        yield
        return
    with keras.distribution.DataParallel(devices=there[:wanted], auto_shard_dataset=False).scope():
        yield


def sharing_devices() -> int:
    """Return over how many devices batches are shared out at present."""
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else int(distribution.device_mesh.shape[0])


def check_placed(model: Any) -> None:
    """Refuse a compiled network of which a part was made before its devices were chosen."""
    devices = sharing_devices()
    if devices == 1:
        return
    for variable in (*model.variables, *model.optimizer.variables):
        if len(variable.value.sharding.device_set) < devices:
            raise ConfigurationError(
                f"{variable.path} lies on one of {devices} devices: expected network, augmentation "
                "and optimizer to be made inside of 'with training.on_devices(...)'"
            )


class SharedBatches(keras.utils.PyDataset):
    """Batches that divide by the number of devices, of which each process gets its share.

    A batch that does not divide is filled up with rows of its own. These have weight 0, and
    targets below 0 by which `Accuracy` leaves them out; the others weigh so much more that the loss
    is the mean over them alone.

    Parameters
    ----------
    batches : Batches
        The same in all processes.
    devices : int
        Of all processes.
    training : bool
        Whether the loss of each batch has to be the mean over its own rows, as for a step, or that
        of all batches the mean over all rows, as for a score.
    """

    def __init__(self, batches: Batches, *, devices: int, training: bool) -> None:
        super().__init__()
        self.batches = batches
        self.devices = devices
        self.process = this_process()
        n, size = len(batches.targets), batches.batch_size
        whole, rest = divmod(n, size)
        filled = whole * self._filled(size) + self._filled(rest)
        self.even = filled == n
        self.scale = None if training else filled / n

    @property
    def num_batches(self) -> int | None:
        return self.batches.num_batches

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        batch = self.batches[index]
        if not self.even:
            batch = self._fill(*batch)
        share = len(batch[0]) // self.process.count
        start = self.process.index * share
        return tuple(part[start : start + share] for part in batch)

    def _filled(self, n: int) -> int:
        return -(-n // self.devices) * self.devices

    def _fill(
        self, images: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, ...]:
        n = len(images)
        filled = self._filled(n)
        rows = np.arange(filled) % n
        own = np.arange(filled) < n
        scaled = (np.ones(n) if weights is None else weights) * (self.scale or filled / n)
        return (
            images[rows],
            np.where(own[:, None], targets[rows], -1).astype(np.float32),
            np.where(own, scaled[rows], 0).astype(np.float32),
        )


class Accuracy(keras.metrics.Mean):
    """The accuracy that Keras calls ``"accuracy"``, over the rows whose targets are not below 0."""

    def __init__(self, name: str = "accuracy", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        one_output = y_pred.shape[-1] == 1
        kind = keras.metrics.binary_accuracy if one_output else keras.metrics.categorical_accuracy
        super().update_state(kind(y_true, y_pred), keras.ops.all(y_true >= 0, axis=-1))

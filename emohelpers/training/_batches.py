"""The batches of a training: images from the memory map, what to learn of them, and mixtures."""

from typing import Any

import keras
import numpy as np

from emohelpers.datasets._base import ImageRows
from emohelpers.datasets._row_file import row_file
from emohelpers.training._order import pass_order

__all__ = ["Batches", "OneHot", "class_shares", "mean_shares", "mix", "one_hot"]


class Batches(keras.utils.PyDataset):
    """Batches of images, targets and, with class weights, image weights, from the memory map.

    With a seed the batches go on without end, pass after pass over the images, each in an order of
    its own (see `pass_order`). A batch depends on its index alone, whatever a backend fetches ahead
    or asks for twice. Of a large memory map nothing that was read stays in memory.
    """

    def __init__(
        self,
        images: Any,
        targets: "np.ndarray | OneHot",
        batch_size: int,
        *,
        class_weights: np.ndarray | None = None,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        seed: int | None = None,
        steps_per_epoch: int | None = None,
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
        self.steps_per_epoch = steps_per_epoch or self.steps
        self.first_step = first_epoch * self.steps_per_epoch
        row_bytes = int(np.prod(images.shape[1:])) * images.dtype.itemsize
        self._order = pass_order(len(targets), row_bytes, seed)
        self._file = row_file(images)

    @property
    def num_batches(self) -> int | None:
        return self.steps if self.seed is None else None

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        passed, step = divmod(self.first_step + index, self.steps)
        rows = self._order.rows(passed, step * self.batch_size, (step + 1) * self.batch_size)
        # Reading in the order of the file is kinder to the disk than reading at random.
        rows = np.sort(rows)
        images, targets = self._read(rows), self.targets[rows]
        if self.mixup or self.cutmix:
            rng = np.random.default_rng([self.seed or 0, passed, step])
            images, targets = mix(images, targets, mixup=self.mixup, cutmix=self.cutmix, rng=rng)
        if self.class_weights is None:
            return images, targets
        return images, targets, class_shares(targets) @ self.class_weights

    def _read(self, rows: np.ndarray) -> np.ndarray:
        if self._file is not None:
            selected = isinstance(self.images, ImageRows)
            images = self._file.read(self.images.rows[rows] if selected else rows)
            if images is not None:
                return images
        return np.asarray(self.images[rows])


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


def one_hot(labels: np.ndarray, n_outputs: int) -> np.ndarray:
    """Return one-hot float32 rows, or one column of 0 and 1 for a network with one output."""
    if n_outputs == 1:
        return labels.astype(np.float32)[:, None]
    return np.eye(n_outputs, dtype=np.float32)[labels]


class OneHot:
    """The rows of `one_hot`, made when they are indexed: of many labels all would fill memory.

    Parameters
    ----------
    labels : ndarray of int64, shape (n,)
        From 0.
    n_outputs : int
        Of the network.
    """

    def __init__(self, labels: np.ndarray, n_outputs: int) -> None:
        self.labels = labels
        self.n_outputs = n_outputs

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        return one_hot(self.labels[rows], self.n_outputs)


def mean_shares(targets: np.ndarray | OneHot) -> np.ndarray:
    """Return the share of each class in all targets, float64."""
    if isinstance(targets, OneHot):
        counts = np.bincount(targets.labels, minlength=max(targets.n_outputs, 2))
        return counts / len(targets)
    return class_shares(targets).mean(axis=0, dtype=np.float64)


def class_shares(targets: np.ndarray) -> np.ndarray:
    """Return the share of each class in each target, also where there is one output for two."""
    return targets if targets.shape[1] > 1 else np.concatenate([1 - targets, targets], axis=1)

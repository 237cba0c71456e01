"""Train the two networks of a generator, with their state on disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers import evaluation
from emohelpers.datasets import FaceDataset
from emohelpers.datasets.learnedfaces import Sampler
from emohelpers.errors import ConfigurationError
from emohelpers.generation._export import arrays
from emohelpers.generation._prior import code_prior
from emohelpers.generation._vq_vae import image_codes, squared_error, vq_vae
from emohelpers.training._recorder import Recorder, signature

__all__ = ["Generator", "Plan", "train"]

_COLUMNS = ("epoch", "loss", "val_loss", "learning_rate", "seconds")
# What tells one training from another: networks show in their weights, rates in their optimisers.
_OF_FACES = ("batch_size",)
_OF_CODES = ("batch_size", "unconditional", "dropout")


@dataclass(frozen=True)
class Plan:
    """What the two networks of a generator are, and how long they train.

    Parameters
    ----------
    n_codes, code_size, widths, conv_blocks
        Of `vq_vae`, whose ``blocks`` the last one is.
    width, heads, blocks, dropout
        Of `code_prior`.
    face_epochs, code_epochs : int
        Of the autoencoder over faces, and of the prior over their codes.
    face_rate, code_rate : float
        The largest learning rate of each; both fall to zero along a cosine.
    unconditional : float
        The share of faces whose emotion the prior is not told, so that it can also go without: what
        guidance needs (Ho and Salimans 2022, https://arxiv.org/abs/2207.12598).
    weight_decay : float
        Of the prior.
    batch_size : int
        Of both.
    """

    n_codes: int = 512
    code_size: int = 32
    widths: tuple[int, int] = (64, 128)
    conv_blocks: int = 2
    width: int = 128
    heads: int = 4
    blocks: int = 4
    dropout: float = 0.1
    face_epochs: int = 10
    code_epochs: int = 10
    face_rate: float = 1e-3
    code_rate: float = 1e-3
    unconditional: float = 0.1
    weight_decay: float = 0.05
    batch_size: int = 64


@dataclass(frozen=True)
class Generator:
    """A trained autoencoder with the prior over its codes.

    Parameters
    ----------
    vq_vae, prior : keras.Model
        See `vq_vae` and `code_prior`.
    class_names : sequence of str
        The emotions that the prior knows, in label order.
    histories : dict of str to DataFrame
        The losses of ``faces`` and ``codes``, a row for each epoch.
    """

    vq_vae: Any
    prior: Any
    class_names: Sequence[str]
    histories: dict[str, pd.DataFrame]

    def codes(self, images: Any) -> NDArray[np.uint16]:
        """Return the codes of images, uint16 of shape (n, places), row by row."""
        return image_codes(self.vq_vae, images)

    def sampler(self) -> Sampler:
        """Return what draws faces, without Keras; its weights are rounded to half precision."""
        grid = self.vq_vae.get_layer("encoder").output_shape[1:3]
        return Sampler(arrays(self.vq_vae, self.prior), self.class_names, grid)

    def reconstruct(self, images: Any) -> NDArray[np.uint8]:
        """Draw images again from their codes, uint8 of shape (n, height, width, channels)."""
        return self.sampler().decode(self.codes(images))


def train(
    faces: FaceDataset,
    *,
    directory: str | Path,
    plan: Plan = Plan(),
    seed: int = 0,
    verbose: int | str = "auto",
) -> Generator:
    """Train an autoencoder on the training faces of a data set, then a prior on their codes.

    Faces and their mirror images are learnt alike. Of each network the epoch is kept with the
    lowest loss on the validation split. Training faces that are identical to one of another split
    are left out. Started again with the same arguments it goes on after the last finished epoch.

    Parameters
    ----------
    faces : FaceDataset
        With a training and a validation split, both labelled; of a height and width that 6
        divides.
    directory : path
        Gets the folders ``faces`` and ``codes`` with the state and history of each training.
    plan : Plan
        Of both.
    seed : int
        Of weights, batches and all that is drawn.
    verbose : int or "auto"
        As in ``keras.Model.fit``.

    Returns
    -------
    Generator
        With the weights of the best epochs.

    Raises
    ------
    ConfigurationError
        If there are no faces to learn from or to validate on, their size does not fit, or
        `directory` holds another training.
    LabelError
        If a face has no label.
    """
    rows, validation = evaluation.training_rows(faces), faces.split("validation")
    for part, data in (("training", rows), ("validation", validation)):
        if not len(data):
            raise ConfigurationError(f"no {part} images in {faces.name}: expected at least one")
        data.check_labelled()
    directory = Path(directory)
    # Both are built before either is trained: a training may draw from the state that weights do.
    keras.utils.set_random_seed(seed)
    shape = tuple(faces.images.shape[1:])
    model = vq_vae(
        shape,
        n_codes=plan.n_codes,
        code_size=plan.code_size,
        widths=plan.widths,
        blocks=plan.conv_blocks,
        seed=seed,
    )
    _, rows_of_codes, columns, _ = model.get_layer("encoder").output_shape
    n_labels = len(faces.class_names)
    prior = code_prior(
        rows_of_codes * columns,
        n_labels,
        n_codes=plan.n_codes,
        width=plan.width,
        heads=plan.heads,
        blocks=plan.blocks,
        dropout=plan.dropout,
    )
    histories = {}
    learned = _Endless(
        lambda at, rng: _mirrored(rows.images[at], rng), len(rows), plan.batch_size, seed
    )
    histories["faces"] = _fit(
        model,
        learned,
        (np.asarray(validation.images),) * 2,
        optimizer=keras.optimizers.Adam(_rate(plan.face_rate, plan.face_epochs * learned.steps)),
        loss=squared_error,
        epochs=plan.face_epochs,
        directory=directory / "faces",
        described=(rows, validation, rows.labels, _named(plan, _OF_FACES), seed),
        verbose=verbose,
    )
    # Both sides of each face: a draw between them is then a draw between two rows.
    codes = np.stack(
        [image_codes(model, rows.images), image_codes(model, _Mirror(rows.images))]
    ).astype(np.int32)
    known = image_codes(model, validation.images).astype(np.int32)

    def told(at: NDArray[np.int64], rng: np.random.Generator) -> tuple[Any, Any]:
        sides = rng.integers(0, 2, len(at))
        drawn = codes[sides, at]
        hidden = rng.random(len(at)) < plan.unconditional
        labels = np.where(hidden, n_labels, rows.labels[at]).astype(np.int32)
        return {"codes": drawn, "labels": labels}, drawn

    pairs = _Endless(told, len(rows), plan.batch_size, seed)
    optimizer = keras.optimizers.AdamW(
        _rate(plan.code_rate, plan.code_epochs * pairs.steps),
        weight_decay=plan.weight_decay,
        beta_2=0.98,
        clipnorm=1.0,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    histories["codes"] = _fit(
        prior,
        pairs,
        ({"codes": known, "labels": validation.labels.astype(np.int32)}, known),
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        epochs=plan.code_epochs,
        directory=directory / "codes",
        described=(rows, validation, codes, _named(plan, _OF_CODES), seed),
        verbose=verbose,
    )
    return Generator(model, prior, tuple(faces.class_names), histories)


def _fit(
    model: Any,
    batches: "_Endless",
    validation: tuple[Any, Any],
    *,
    optimizer: Any,
    loss: Any,
    epochs: int,
    directory: Path,
    described: tuple[FaceDataset, FaceDataset, NDArray[Any], dict[str, float], int],
    verbose: int | str,
) -> pd.DataFrame:
    """Train one network; go on where it was stopped."""
    if epochs < 1:
        raise ConfigurationError(f"{epochs} epochs: expected 1 or more")
    directory.mkdir(parents=True, exist_ok=True)
    model.compile(optimizer=optimizer, loss=loss)
    model.optimizer.build(model.trainable_variables)
    train_rows, validation_rows, learned, settings, seed = described
    recorder = Recorder(
        directory,
        signature=signature(
            model, train_rows, validation_rows, learned, {**settings, "seed": seed}
        ),
        monitor="val_loss",
        patience=0,
        columns=_COLUMNS,
    )
    recorder.set_model(model)
    recorder.restore()
    done = len(recorder.history)
    if done < epochs:
        batches.first_step = done * batches.steps
        model.fit(
            batches,
            steps_per_epoch=batches.steps,
            shuffle=False,  # the batches are drawn already
            validation_data=validation,
            validation_batch_size=256,
            initial_epoch=done,
            epochs=epochs,
            callbacks=[recorder],
            verbose=verbose,
        )
    model.set_weights(recorder.best)
    return recorder.table()


def _named(plan: Plan, names: Sequence[str]) -> dict[str, float]:
    return {name: getattr(plan, name) for name in names}


def _rate(largest: float, steps: int) -> Any:
    """Return a learning rate that rises over a fiftieth of the steps and falls along a cosine."""
    rising = max(1, steps // 50)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - rising), warmup_target=largest, warmup_steps=rising
    )


class _Endless(keras.utils.PyDataset):
    """Batches without end, each pass over the rows in an order of its own.

    A batch depends on its number alone, so that a training goes on as if it had not been stopped.
    """

    def __init__(
        self,
        make: Callable[[NDArray[np.int64], np.random.Generator], tuple[Any, Any]],
        n: int,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.make = make
        self.n = n
        self.batch_size = batch_size
        self.seed = seed
        self.first_step = 0

    @property
    def steps(self) -> int:
        """Batches in a pass."""
        return -(-self.n // self.batch_size)

    @property
    def num_batches(self) -> None:
        return None

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        passed, step = divmod(self.first_step + index, self.steps)
        order = np.random.default_rng([self.seed, passed]).permutation(self.n)
        # Reading in the order of the file is kinder to the disk than reading at random.
        at = np.sort(order[step * self.batch_size : (step + 1) * self.batch_size])
        return self.make(at, np.random.default_rng([self.seed, passed, step]))


class _Mirror:
    """Images seen in a mirror, a batch at a time."""

    def __init__(self, images: Any) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice) -> Any:
        return self.images[rows][:, :, ::-1]


def _mirrored(images: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return images twice, half of them mirrored: what goes in and what is to come out."""
    sides = rng.random(len(images)) < 0.5
    shown = np.where(sides[:, None, None, None], images[:, :, ::-1], images)
    return shown, shown

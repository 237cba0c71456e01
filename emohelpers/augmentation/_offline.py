"""Augmentation before training: changed copies of the training images, written as files."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Unpack

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.augmentation._pipeline import Strengths, pipeline, resolve
from emohelpers.datasets._base import SPLITS, FaceDataset
from emohelpers.errors import ConfigurationError

__all__ = ["write_augmented"]

_MANIFEST = "manifest.csv"
# Files in the making; what a killed run left there is thrown away by the next.
_PARTIAL = ".partial"
# Images that share a draw; another number draws other changes.
_BATCH = 256


def write_augmented(
    dataset: FaceDataset,
    directory: str | os.PathLike[str],
    *,
    copies: int | None = None,
    total: int | None = None,
    preset: str | None = "smile",
    seed: int = 0,
    **strengths: Unpack[Strengths],
) -> pd.DataFrame:
    """Write a data set as class folders, with changed copies of its training images.

    Every image is written once as it is, to ``directory/<split>/<class>/<name>.png``, and each
    training image ``copies`` times more with the changes that `pipeline` draws. As only training
    images have copies, none of them can be a child of an image that validates or tests. A training
    image whose very pixels also stand in another split is left out.

    A file's name is made from its source and a digest of pixels and settings, so it is unique and
    the same in every run. Called again with the same arguments, it keeps the files that are there
    and writes those that are missing, for instance because a run was killed; the manifest is
    written last. Run it once at a time in one directory.

    Parameters
    ----------
    dataset : FaceDataset
        All images with a label and a split. For a folder, ``datasets.load("folders", path)``.
    directory : path
        Where to write; created if need be.
    copies : int, optional
        How many changed copies each training image gets, 0 or more.
    total : int, optional
        Instead of `copies`, how many files to write in all, the unchanged ones included: the
        copies are shared out evenly, and a draw decides which images get one more.
    preset, **strengths
        As for `pipeline`.
    seed : int
        Of the changes. The same seed gives the same files on the same Keras backend.

    Returns
    -------
    DataFrame
        The manifest, also written to ``directory/manifest.csv``, a row for each file: ``file``
        (relative to `directory`), ``source`` (the ``file`` of the data set's table), ``class``,
        ``split`` (train, validation or test), ``copy`` (0 is the unchanged image), ``seed`` and
        ``sha256`` (of the file).

    Raises
    ------
    ConfigurationError
        If an image has no split, no image is to train on, not exactly one of `copies` and `total`
        is given or it is too small, or `directory` holds files of another call.
    LabelError
        If an image has no label.

    Examples
    --------
    >>> import tempfile
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(20, seed=0).assign_splits(validation=0.2, test=0.2)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     manifest = write_augmented(faces, directory, copies=2)
    >>> manifest.groupby("split").size().to_dict()
    {'test': 4, 'train': 36, 'validation': 4}
    """
    root = Path(directory)
    chosen = resolve(preset, strengths)
    splits = _splits(dataset)
    plan = _plan(dataset, splits, copies=copies, total=total, seed=seed)
    settings = [f"{name}={float(strength)}" for name, strength in chosen.items()]
    plan["file"] = _names(dataset, plan, settings=" ".join([*settings, f"seed={seed}"]))
    _refuse_others(root, set(plan["file"]))
    with _partial(root) as partial:
        for batch_seed, batch in _batches(plan, seed=seed):
            missing = ~batch["file"].map(lambda file: (root / file).exists()).to_numpy(bool)
            if not missing.any():
                continue
            images = np.asarray(dataset.images[batch["row"].to_numpy()])
            if (batch["copy"] > 0).all():
                augment = pipeline(preset, seed=batch_seed, **strengths)
                images = np.rint(np.asarray(augment(images, training=True))).astype(np.uint8)
            for image, file in zip(images[missing], batch["file"][missing], strict=True):
                _move_into_place(_encode(image), root / file, partial)
        plan["sha256"] = [_digest((root / file).read_bytes()) for file in plan["file"]]
        manifest = plan[["file", "source", "class", "split", "copy", "seed", "sha256"]]
        table = manifest.to_csv(index=False, lineterminator="\n").encode()
        _move_into_place(table, root / _MANIFEST, partial)
    return manifest


def _splits(dataset: FaceDataset) -> NDArray[np.object_]:
    """Return each image's split by its name in `SPLITS`, checked."""
    known = {word: name for name, words in SPLITS.items() for word in words}
    splits = dataset.table["split"].map(known)
    if splits.isna().any():
        first = int(splits.isna().to_numpy().argmax())
        raise ConfigurationError(
            f"{splits.isna().sum()} of {len(dataset)} images have no known split, the first is "
            f"{dataset.table['file'][first]}: split before augmenting, with "
            "dataset.assign_splits(...)"
        )
    dataset.check_labelled()
    if not (splits == "train").any():
        raise ConfigurationError("no image is in the split train: expected some to augment")
    return splits.to_numpy(object)


def _plan(
    dataset: FaceDataset,
    splits: NDArray[np.object_],
    *,
    copies: int | None,
    total: int | None,
    seed: int,
) -> pd.DataFrame:
    """List what to write: a row for each file, unchanged images first, then copy by copy."""
    pixels = pd.Series([_digest(image.tobytes()) for image in dataset.images])
    elsewhere = set(pixels[splits != "train"])
    kept = np.flatnonzero((splits != "train") | ~pixels.isin(elsewhere).to_numpy())
    train = kept[splits[kept] == "train"]
    each = _copies(len(train), len(kept), copies=copies, total=total, seed=seed)
    rounds = [train[each >= copy] for copy in range(1, int(each.max(initial=0)) + 1)]
    rows = np.concatenate([kept, *rounds])
    names = np.array(dataset.class_names, dtype=object)
    return pd.DataFrame(
        {
            "row": rows,
            "source": dataset.table["file"].astype(str).to_numpy(object)[rows],
            "class": names[dataset.labels[rows]],
            "split": splits[rows],
            "copy": np.repeat(np.arange(len(rounds) + 1), [len(kept), *map(len, rounds)]),
            "seed": seed,
            "pixels": pixels.to_numpy(object)[rows],
        }
    )


def _copies(
    n_train: int, n_kept: int, *, copies: int | None, total: int | None, seed: int
) -> NDArray[np.int64]:
    """Return how many copies each training image gets."""
    if (copies is None) == (total is None):
        raise ConfigurationError(f"copies={copies}, total={total}: expected one of them")
    if copies is not None:
        if copies < 0:
            raise ConfigurationError(f"copies={copies}: expected 0 or more")
        return np.full(n_train, copies)
    assert total is not None
    if total < n_kept or not n_train:
        raise ConfigurationError(
            f"total={total}: expected at least {n_kept}, the number of images to write unchanged"
        )
    each, left = divmod(total - n_kept, n_train)
    drawn = np.random.default_rng(seed).permutation(n_train) < left
    return each + drawn.astype(np.int64)


def _names(dataset: FaceDataset, plan: pd.DataFrame, *, settings: str) -> list[str]:
    """Return a path relative to the directory for each row of the plan."""
    for name in dataset.class_names:
        if name.startswith(".") or set(name) & set("/\\"):
            raise ConfigurationError(f"class {name!r}: expected a name that a folder can have")
    # Images of the same name and pixels stay apart by counting them.
    nth = plan.groupby(["source", "pixels", "class", "split", "copy"]).cumcount()
    columns = (plan[name] for name in ("source", "pixels", "class", "split", "copy"))
    files = []
    for source, pixels, folder, split, copy, twin in zip(*columns, nth, strict=True):
        stem = re.sub(r"[^A-Za-z0-9]+", "-", PurePosixPath(source).stem).strip("-")[:60]
        changes = settings if copy else ""
        digest = _digest(f"{source} {pixels} {changes} {copy} {twin}".encode())[:12]
        files.append(f"{split}/{folder}/{stem}_{copy}_{digest}.png")
    return files


def _refuse_others(root: Path, expected: set[str]) -> None:
    if root.exists() and not root.is_dir():
        raise ConfigurationError(f"{root} is a file: expected a directory to write to")
    there = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    }
    others = there - expected - {_MANIFEST}
    if others:
        raise ConfigurationError(
            f"{root} holds {len(others)} files that this call would not write, for instance "
            f"{min(others)}: expected an empty directory, or that of the same call"
        )


def _batches(plan: pd.DataFrame, *, seed: int) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield rows of the same copy with a seed of their own, whatever was written before."""
    for copy in range(plan["copy"].max() + 1):
        rows = plan[plan["copy"] == copy]
        for start in range(0, len(rows), _BATCH):
            sequence = np.random.SeedSequence([seed, copy, start])
            yield int(sequence.generate_state(1)[0]), rows.iloc[start : start + _BATCH]


def _encode(image: NDArray[np.uint8]) -> bytes:
    done, png = cv2.imencode(".png", image[..., ::-1])  # OpenCV stores blue first
    assert done
    return png.tobytes()


@contextmanager
def _partial(root: Path) -> Iterator[Path]:
    partial = root / _PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _move_into_place(content: bytes, target: Path, partial: Path) -> None:
    draft = partial / target.name
    draft.write_bytes(content)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft.replace(target)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

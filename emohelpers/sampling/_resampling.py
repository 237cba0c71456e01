"""Fewer images of large classes, more of small ones: imbalanced-learn over faces and features."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError, LabelError

__all__ = ["WAYS", "resample", "resample_features"]

_Array = NDArray[Any]
_BLOCK = 1024

WAYS: Mapping[str, str] = MappingProxyType(
    {
        "undersample": "leaves out images of large classes at random",
        "oversample": "repeats images of small classes at random",
        "smote": "makes images of small classes between two that there are",
        "tomek": "leaves out images whose nearest neighbour, mutually, is of another class",
        "smote-tomek": "first the one, then the other",
    }
)
"""What `resample` knows, and what each way does."""


def resample(
    faces: FaceDataset,
    way: str,
    *,
    per_class: int | None = None,
    neighbours: int = 5,
    seed: int = 0,
) -> FaceDataset:
    """Even out how many images the classes of a data set have.

    For training images only: what is repeated or made from others must not stand in another split.

    - ``"undersample"`` draws images of the larger classes, ``"oversample"`` further copies for the
      smaller ones.
    - ``"smote"`` makes further images for the smaller classes (Chawla et al. 2002): each lies at a
      random place on the line from an image to one of its nearest neighbours in the same class,
      pixel by pixel.
    - ``"tomek"`` leaves out images of Tomek links (Tomek 1976): pairs of different classes that
      are each other's nearest neighbours. Images of the smallest class of all stay. It evens out
      little; it clears the borders between classes.
    - ``"smote-tomek"`` makes images first, then leaves out both of each link (Batista et al. 2004).

    Nearness is the Euclidean distance of the pixels.

    Parameters
    ----------
    faces : FaceDataset
        Images of two classes or more, all with a label. Classes without an image stay without.
    way : str
        One of `WAYS`.
    per_class : int, optional
        Images in each class: at most for ``"undersample"``, at least for ``"oversample"``,
        ``"smote"`` and ``"smote-tomek"`` (before links are cleared). Without it, as many as the
        smallest, or the largest, class has.
    neighbours : int
        Among how many nearest neighbours SMOTE draws. A class of `n` images, `n` no more than
        that, has only ``n - 1`` others: it draws among all of these.
    seed : int
        Of what is drawn.

    Returns
    -------
    FaceDataset
        Where images are only chosen, `select` of `faces`: over the same memory, in the same order
        (copies follow at the end). Where images are made, all are in a temporary file that goes
        away with the data set: `faces` first, then the images made, class by class, rounded to
        uint8. Its table says in ``synthetic`` (bool) which were made; of those it knows the
        ``split``, where `faces` are of one only, and nothing else.

    Raises
    ------
    ConfigurationError
        If the way is not known, a number is below 1 or there are not two classes.
    LabelError
        If an image has no label, or SMOTE meets a class with a single image.

    Notes
    -----
    For each class that grows, SMOTE holds the class and its new images in memory as float32, some
    times over; Tomek links hold all images so, and compare each with each: with 28,000 images of
    48x48 about a minute on one core.

    References
    ----------
    N. V. Chawla et al. (2002), SMOTE, Journal of Artificial Intelligence Research 16. I. Tomek
    (1976), Two Modifications of CNN, IEEE Transactions on Systems, Man, and Cybernetics 6.
    G. E. Batista, R. C. Prati and M. C. Monard (2004), ACM SIGKDD Explorations 6(1). All as
    imbalanced-learn has them (https://imbalanced-learn.org).

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(60, seed=0, emotions={"neutral": 0.9, "disgust": 0.1})
    >>> faces.counts()["train"].tolist()
    [36, 4]
    >>> train = faces.split("train")
    >>> [len(resample(train, way)) for way in ("undersample", "oversample", "smote")]
    [8, 72, 72]
    """
    faces.check_labelled()
    targets = _targets(faces.labels, faces.class_names, way, per_class, neighbours)
    if way in ("undersample", "oversample"):
        return faces.select(_drawn(faces.labels, way, targets, seed))
    if way == "tomek":
        return faces.select(_without_links(_flat(faces.images), faces.labels, "auto"))
    labels, images = _with_made(faces, targets, neighbours=neighbours, seed=seed)
    table = _with_made_rows(faces.table, len(labels) - len(faces))
    grown = replace(faces, images=images, labels=labels, table=table)
    if way == "smote":
        return grown
    return grown.select(_without_links(_flat(grown.images), grown.labels, "all"))


def resample_features(
    features: ArrayLike,
    labels: ArrayLike,
    way: str,
    *,
    per_class: int | None = None,
    neighbours: int = 5,
    seed: int = 0,
) -> tuple[_Array, NDArray[np.int64]]:
    """Even out how many rows the classes have among the features of images.

    See `resample` for what the ways do, here to what a network makes of images: distances are
    taken, and rows are made, between features, see `emohelpers.models.features`.

    Parameters
    ----------
    features : array_like of float, shape (n, n_features)
        A row for each image.
    labels : array_like of int, shape (n,)
        0 or more.
    way, per_class, neighbours, seed
        See `resample`.

    Returns
    -------
    ndarray of float, shape (m, n_features)
        Of the same dtype: the rows chosen, then those repeated or made.
    ndarray of int64, shape (m,)
        Their labels.

    Raises
    ------
    ConfigurationError
        As `resample`; also if the shapes do not fit or a feature is not finite.
    LabelError
        As `resample`.

    Examples
    --------
    >>> features = np.array([[0.0], [1.0], [9.0], [9.5], [10.0]])
    >>> more, labels = resample_features(features, [0, 0, 1, 1, 1], "smote")
    >>> labels.tolist(), bool(0 < more[-1, 0] < 1)
    ([0, 0, 1, 1, 1, 0], True)
    """
    rows = np.asarray(features)
    found = np.asarray(labels)
    if rows.ndim != 2 or found.shape != (len(rows),) or rows.dtype.kind != "f":
        raise ConfigurationError(
            f"features of {rows.dtype} and shape {rows.shape}, labels of shape {found.shape}: "
            "expected numbers with a point, (n, n_features), and (n,)"
        )
    if found.dtype.kind not in "iu" or (found.size and found.min() < 0):
        raise LabelError(f"labels of {found.dtype}: expected integers of 0 or more")
    if not np.isfinite(rows).all():
        raise ConfigurationError("features with NaN or infinity: expected finite numbers")
    found = found.astype(np.int64)
    names = [str(label) for label in range(found.max(initial=0) + 1)]
    targets = _targets(found, names, way, per_class, neighbours)
    if way in ("undersample", "oversample"):
        kept = _drawn(found, way, targets, seed)
        return rows[kept], found[kept]
    if way in ("smote", "smote-tomek"):
        made = dict(_made(rows.__getitem__, found, targets, neighbours=neighbours, seed=seed))
        rows = np.concatenate([rows, *made.values()])
        found = np.concatenate([found, *(np.full(len(part), k) for k, part in made.items())])
    if way in ("tomek", "smote-tomek"):
        kept = _without_links(rows, found, "auto" if way == "tomek" else "all")
        rows, found = rows[kept], found[kept]
    return rows, found


def _targets(
    labels: NDArray[np.int64],
    class_names: Any,
    way: str,
    per_class: int | None,
    neighbours: int,
) -> dict[int, int]:
    """Return how many rows each class is to have; refuse what can not be resampled."""
    if way not in WAYS:
        raise ConfigurationError(f"way {way!r}: expected one of {', '.join(WAYS)}")
    if neighbours < 1 or (per_class is not None and per_class < 1):
        raise ConfigurationError(
            f"neighbours={neighbours}, per_class={per_class}: expected 1 or more"
        )
    if way == "tomek" and per_class is not None:
        raise ConfigurationError(
            "per_class with 'tomek': expected none, since links decide what is left out"
        )
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise ConfigurationError(
            f"{len(labels)} images of {len(classes)} class: expected two classes or more"
        )
    at_most = way == "undersample"
    wanted = per_class or int(counts.min() if at_most else counts.max())
    limit = min if at_most else max
    targets = {
        int(label): limit(int(count), wanted) for label, count in zip(classes, counts, strict=True)
    }
    if way.startswith("smote"):
        for label, count in zip(classes, counts, strict=True):
            if count == 1 and targets[int(label)] > 1:
                raise LabelError(
                    f"class {class_names[label]} has a single image: SMOTE expects two or more "
                    "to make others between; leave the class out, or oversample"
                )
    return targets


def _drawn(
    labels: NDArray[np.int64], way: str, targets: Mapping[int, int], seed: int
) -> NDArray[np.int64]:
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.under_sampling import RandomUnderSampler

    kind = RandomUnderSampler if way == "undersample" else RandomOverSampler
    sampler = kind(sampling_strategy=dict(targets), random_state=seed)
    positions = np.arange(len(labels))
    sampler.fit_resample(positions[:, None], labels)
    kept = sampler.sample_indices_.astype(np.int64)
    # Those that are left out leave the others in the order of the file, which is kind to the disk.
    return np.sort(kept) if way == "undersample" else kept


def _without_links(rows: _Array, labels: NDArray[np.int64], strategy: str) -> NDArray[np.int64]:
    """Return the positions that stand in no Tomek link (or may stay in theirs)."""
    from imblearn.under_sampling import TomekLinks

    sampler = TomekLinks(sampling_strategy=strategy)
    sampler.fit_resample(rows, labels)
    return sampler.sample_indices_.astype(np.int64)


def _made(
    rows_of: Callable[[NDArray[np.bool_]], _Array],
    labels: NDArray[np.int64],
    targets: Mapping[int, int],
    *,
    neighbours: int,
    seed: int,
) -> Iterator[tuple[int, _Array]]:
    """Yield each class that grows with the rows that SMOTE makes between its own."""
    from imblearn.over_sampling import SMOTE

    for label, count in targets.items():
        members = labels == label
        n = int(members.sum())
        if count == n:
            continue
        sampler = SMOTE(
            sampling_strategy={1: count}, k_neighbors=min(neighbours, n - 1), random_state=seed
        )
        # A class at a time, which bounds the memory; imbalanced-learn wants a second one beside it.
        rows = rows_of(members)
        made, _ = sampler.fit_resample(np.concatenate([rows, rows[:1]]), np.array([1] * n + [0]))
        yield label, made[n + 1 :]


def _with_made(
    faces: FaceDataset, targets: Mapping[int, int], *, neighbours: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return labels and images of a data set followed by those that SMOTE makes."""
    n, shape = len(faces), faces.images.shape[1:]
    counts = np.bincount(faces.labels)
    more = [np.full(count - counts[label], label) for label, count in targets.items()]
    labels = np.concatenate([faces.labels, *more])
    # The memory map keeps the file, whose name is gone at once, for as long as it is needed.
    with tempfile.TemporaryFile() as file:
        images: NDArray[np.uint8] = np.memmap(
            file, dtype=np.uint8, mode="w+", shape=(len(labels), *shape)
        )
    for start in range(0, n, _BLOCK):
        images[start : min(start + _BLOCK, n)] = faces.images[start : start + _BLOCK]
    at = n
    for _, made in _made(
        lambda members: _flat(faces.select(members).images),
        faces.labels,
        targets,
        neighbours=neighbours,
        seed=seed,
    ):
        images[at : at + len(made)] = np.rint(made).reshape(-1, *shape)
        at += len(made)
    return labels, images


def _with_made_rows(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return a table followed by rows for images that were made."""
    made = pd.DataFrame({"synthetic": True}, index=range(count))
    splits = table["split"].unique()
    if len(splits) == 1:
        made["split"] = splits[0]
    # What is true of no image that was made, such as ``leaks``, would turn into a missing value.
    for name in table.select_dtypes(bool).columns.drop("synthetic", errors="ignore"):
        made[name] = False
    known = table if "synthetic" in table else table.assign(synthetic=False)
    return pd.concat([known, made], ignore_index=True)


def _flat(images: Any) -> NDArray[np.float32]:
    """Return a row of float32 for each image: between numbers of uint8 there is no sum."""
    return np.asarray(images, dtype=np.float32).reshape(len(images), -1)

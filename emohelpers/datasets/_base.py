"""The data set that every loader returns, and the one list of emotions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.datasets._duplicates import find_leaks, select_duplicates
from emohelpers.errors import ConfigurationError, LabelError

__all__ = ["EMOTIONS", "SPLITS", "FaceDataset", "ImageRows", "fold_label", "order_splits"]

EMOTIONS = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
    "neutral",
    "contempt",
)
"""The emotions in label order; the first seven stand where FER2013 numbers them 0 to 6."""

SPLITS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "Training"),
    "validation": ("validation", "PublicTest"),
    "test": ("test", "PrivateTest"),
}
"""The names that sources use for each part of the protocol."""

_SYNONYMS = {
    "angry": "anger",
    "disgusted": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
}


def fold_label(word: str) -> str:
    """Map a source's word for an emotion onto the project's name.

    Parameters
    ----------
    word : str
        For instance ``"HAPPINESS"``, ``"happy"``, ``"fearful"`` or ``" sad "``.

    Returns
    -------
    str
        One of `EMOTIONS`.

    Raises
    ------
    LabelError
        If the word is not known.

    Examples
    --------
    >>> fold_label("Fearful")
    'fear'
    """
    folded = str(word).strip().lower()
    folded = _SYNONYMS.get(folded, folded)
    if folded not in EMOTIONS:
        raise LabelError(f"unknown label {word!r}: expected one of {', '.join(EMOTIONS)}")
    return folded


def order_splits(splits: Iterable[str]) -> list[str]:
    """Return the different splits in the order of the protocol, then any others.

    Parameters
    ----------
    splits : iterable of str
        For instance that of each image.

    Returns
    -------
    list of str
        Training first, then validation and test.

    Examples
    --------
    >>> order_splits(["test", "train", "train", "validation"])
    ['train', 'validation', 'test']
    """
    rank = {word: place for place, words in enumerate(SPLITS.values()) for word in words}
    return sorted(dict.fromkeys(splits), key=lambda word: rank.get(word, len(SPLITS)))


class ImageRows:
    """Some rows of an image array, read from it only when they are indexed.

    It has the ``shape``, ``dtype`` and indexing of an array; NumPy functions that need all rows
    (``np.asarray(rows)``) get a copy.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width, channels)
        Usually a memory map.
    rows : ndarray of int64, shape (m,)
        Which rows, in which order.
    """

    def __init__(self, images: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
        self.base = images
        self.rows = rows

    @property
    def shape(self) -> tuple[int, ...]:
        """``(m, height, width, channels)``."""
        return (len(self.rows), *self.base.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The images' dtype, uint8."""
        return self.base.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions, 4."""
        return self.base.ndim

    @property
    def nbytes(self) -> int:
        """What the selected rows would take in memory, in bytes."""
        return len(self.rows) * int(np.prod(self.base.shape[1:])) * self.base.itemsize

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        first, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        picked = self.base[self.rows[first]]
        if not rest:
            return picked
        return picked[rest] if np.ndim(self.rows[first]) == 0 else picked[(slice(None), *rest)]

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (self.base[row] for row in self.rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("rows of a memory map can not become an array without a copy")
        return np.asarray(self.base[self.rows], dtype=dtype)

    def __repr__(self) -> str:
        return f"ImageRows(shape={self.shape}, dtype={self.dtype})"


def _take(images: Any, rows: slice | NDArray[np.int64]) -> Any:
    """Select rows without copying: a slice where they are contiguous, else `ImageRows`."""
    if not isinstance(images, ImageRows):
        return images[rows] if isinstance(rows, slice) else ImageRows(images, rows)
    further = _contiguous(images.rows[rows])
    return _take(images.base, further)


def _contiguous(rows: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    """Return the slice that picks the same rows, where there is one: it copies nothing."""
    if len(rows) == 0:
        return slice(0, 0)
    if rows[-1] - rows[0] + 1 == len(rows) and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def _picked(mask: NDArray[np.bool_]) -> slice | NDArray[np.int64]:
    """Return the rows that a mask picks; all the positions of a long slice are never written."""
    first, count = int(mask.argmax()) if len(mask) else 0, int(mask.sum())
    if mask[first : first + count].all():
        return slice(first, first + count)
    return np.flatnonzero(mask)


def _unchangeable(labels: Any) -> NDArray[np.int64]:
    """Return labels that nobody can change any more: themselves where that is so already."""
    array = np.asarray(labels, dtype=np.int64)
    owner = array.base if isinstance(array.base, np.ndarray) else array
    if array.flags.writeable or owner.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class FaceDataset:
    """Face images with their labels and what their source says of them.

    A data set is immutable: `split`, `select`, `keep_classes` and `assign_splits` return new ones
    over the same images.

    Parameters
    ----------
    images : ndarray or ImageRows of uint8, shape (n, height, width, channels)
        Pixels in 0..255, memory-mapped; 1 channel is grey, 3 are red, green, blue.
    labels : ndarray of int64, shape (n,)
        Positions in `class_names`; -1 where the source has no label.
    class_names : sequence of str
        The classes in label order.
    table : DataFrame of n rows
        ``split`` and ``file``, and what the source has: votes, age, group, user, person, ...
        ``split`` keeps the source's own words (see `SPLITS`) and is missing where it has none.
    name : str
        The source, for instance ``"fer2013"``.
    skipped : DataFrame
        What was left out, in columns ``where`` and ``reason``.
    notes : sequence of str
        What the loader saw and a reader should know, a sentence each.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(20, seed=0)
    >>> faces.images.shape
    (20, 48, 48, 1)
    >>> len(faces.keep_classes(["happiness", "neutral"]).class_names)
    2
    """

    images: Any
    labels: NDArray[np.int64]
    class_names: Sequence[str]
    table: pd.DataFrame
    name: str = "faces"
    skipped: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame({"where": [], "reason": []}, dtype="str")
    )
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        labels = _unchangeable(self.labels)
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise ConfigurationError(
                f"images of {self.images.dtype} and shape {self.images.shape}: "
                "expected uint8 of shape (n, height, width, channels)"
            )
        if not len(self.images) == len(labels) == len(self.table):
            raise ConfigurationError(
                f"{len(self.images)} images, {len(labels)} labels and {len(self.table)} rows of "
                "the table: expected as many of each"
            )
        if len(labels) and not -1 <= labels.min() <= labels.max() < len(self.class_names):
            raise LabelError(
                f"labels from {labels.min()} to {labels.max()}: expected -1 (none) to "
                f"{len(self.class_names) - 1}"
            )
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "class_names", tuple(self.class_names))
        object.__setattr__(self, "notes", tuple(self.notes))
        # Copy-on-write makes this cheap and keeps the caller's later changes out.
        object.__setattr__(self, "table", self.table.reset_index(drop=True).copy(deep=False))

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        height, width, channels = self.images.shape[1:]
        return (
            f"FaceDataset({self.name!r}, {len(self):,} images of {height}x{width}x{channels}, "
            f"{len(self.class_names)} classes)"
        )

    def select(self, mask: ArrayLike) -> "FaceDataset":
        """Return the images that a mask or a list of positions picks.

        Parameters
        ----------
        mask : array_like of bool, shape (n,), or of int, shape (m,)
            True for each row to keep, or the positions to keep in their order.

        Returns
        -------
        FaceDataset
            Over the same memory.

        Raises
        ------
        ConfigurationError
            If a mask is not as long as the data set or a position lies outside it.
        """
        picks = np.asarray(mask)
        if picks.dtype == bool:
            if picks.shape != (len(self),):
                raise ConfigurationError(
                    f"a mask of shape {picks.shape}: expected ({len(self)},), one for each image"
                )
            rows = _picked(picks)
        else:
            positions = picks.astype(np.int64).reshape(-1)
            if len(positions) and not -len(self) <= positions.min() <= positions.max() < len(self):
                raise ConfigurationError(
                    f"positions from {positions.min()} to {positions.max()}: expected 0 to "
                    f"{len(self) - 1}"
                )
            rows = _contiguous(np.where(positions < 0, positions + len(self), positions))
        labels = self.labels[rows]
        labels.flags.writeable = False
        table = self.table.iloc[rows].reset_index(drop=True)
        if "duplicate_of" in table:
            # Positions of the whole set would point at other images of the selection.
            kept = np.arange(len(self))[rows]
            table = table.assign(duplicate_of=select_duplicates(self.table["duplicate_of"], kept))
        return replace(self, images=_take(self.images, rows), labels=labels, table=table)

    def split(self, name: str) -> "FaceDataset":
        """Return one part of the protocol.

        Parameters
        ----------
        name : str
            ``"train"``, ``"validation"`` or ``"test"``, or the source's own word for it
            (FER2013: ``"Training"``, ``"PublicTest"``, ``"PrivateTest"``).

        Returns
        -------
        FaceDataset
            Over the same memory; it may be empty.

        Raises
        ------
        ConfigurationError
            If no source knows the name.
        """
        known = {word for words in SPLITS.values() for word in words}
        if name not in known:
            raise ConfigurationError(
                f"unknown split {name!r}: expected one of {', '.join(sorted(known))}"
            )
        return self.select(self.table["split"].isin(SPLITS.get(name, (name,))).to_numpy(bool))

    def keep_classes(self, names: Sequence[str]) -> "FaceDataset":
        """Return the images of some classes, relabelled in the order of `names`.

        Parameters
        ----------
        names : sequence of str
            Some of `class_names`.

        Returns
        -------
        FaceDataset
            Its labels are positions in `names`.

        Raises
        ------
        LabelError
            If a name is not among `class_names` or stands twice.
        """
        unknown = [name for name in names if name not in self.class_names]
        if unknown or len(set(names)) != len(names):
            raise LabelError(
                f"classes {', '.join(names)}: expected different ones of "
                f"{', '.join(self.class_names)}"
            )
        # The extra last place keeps -1 (no label) at -1.
        place = np.full(len(self.class_names) + 1, -1)
        for new, name in enumerate(names):
            place[self.class_names.index(name)] = new
        relabelled = replace(self, labels=np.zeros(len(self), np.int64), class_names=tuple(names))
        kept = relabelled.select(place[self.labels] >= 0)
        return replace(kept, labels=place[self.labels[place[self.labels] >= 0]])

    def label_by(self, column: str) -> "FaceDataset":
        """Take the labels from a column of the table, for instance to study age groups.

        Parameters
        ----------
        column : str
            Of words or categories, such as ``"age_group"``.

        Returns
        -------
        FaceDataset
            The same images; `class_names` are the column's categories in their order, or else its
            values sorted. The label is -1 where the value is missing.

        Raises
        ------
        ConfigurationError
            If the column is not there.

        Examples
        --------
        >>> from emohelpers import datasets
        >>> datasets.make_faces(40).label_by("gender").class_names
        ('female', 'male')
        """
        if column not in self.table:
            raise ConfigurationError(
                f"no column {column!r}: expected one of {', '.join(self.table.columns)}"
            )
        groups = self.table[column].astype("category").cat
        names = tuple(str(name) for name in groups.categories)
        return replace(self, labels=groups.codes.to_numpy().astype(np.int64), class_names=names)

    def check_labelled(self) -> None:
        """Refuse images without a label, where each is to have one.

        Raises
        ------
        LabelError
            If the label of an image is -1.
        """
        missing = int((self.labels < 0).sum())
        if missing:
            raise LabelError(
                f"{missing} of {len(self)} images of {self.name} have no label: leave them out "
                "with faces.select(faces.labels >= 0)"
            )

    def counts(self) -> pd.DataFrame:
        """Count the images of each class in each split.

        Returns
        -------
        DataFrame
            A row for each class (and ``(none)`` for images without a label), a column for each
            split in the order of the protocol (``all`` where the source has none), and ``total``.
        """
        names = pd.Series([*self.class_names, "(none)"]).take(self.labels).to_numpy()
        splits = self.table["split"].astype(object).where(self.table["split"].notna(), "all")
        order = order_splits(splits)
        counts = pd.crosstab(names, splits.to_numpy()).reindex(
            index=[*self.class_names, *(["(none)"] if (self.labels < 0).any() else [])],
            columns=order,
            fill_value=0,
        )
        counts.index.name, counts.columns.name = "class", None
        if order != ["all"]:
            counts["total"] = counts.sum(axis=1)
        return counts.rename(columns={"all": "total"}) if order == ["all"] else counts

    def assign_splits(
        self,
        *,
        validation: float = 0.1,
        test: float = 0.1,
        by: str | None = None,
        seed: int = 0,
    ) -> "FaceDataset":
        """Divide a data set that has no splits of its own.

        Parameters
        ----------
        validation, test : float
            The share of the groups (or of the images, without `by`) in each part, in 0..1.
        by : str, optional
            A column of the table, for instance ``"person"``: all images that share a value of it
            stand in the same part.
        seed : int
            Of the draw.

        Returns
        -------
        FaceDataset
            The same images with a new ``split`` column; ``leaks``, where the table has it, tells
            of the new splits.

        Raises
        ------
        ConfigurationError
            If the shares do not leave anything to train on or the column is not there.
        """
        if min(validation, test) < 0 or validation + test >= 1:
            raise ConfigurationError(
                f"validation={validation}, test={test}: expected shares of 0 or more that leave "
                "some images to train on"
            )
        if by is not None and by not in self.table:
            raise ConfigurationError(
                f"no column {by!r} in the table: expected one of {', '.join(self.table.columns)}"
            )
        values = self.table[by].astype(str) if by else pd.Series(np.arange(len(self)))
        codes, groups = pd.factorize(values)
        # A stream of its own: a caller who shuffles with the same seed must not meet the splits.
        stream = np.random.SeedSequence(seed).spawn(1)[0]
        drawn = np.random.default_rng(stream).permutation(len(groups))
        edges = np.round(np.array([test, test + validation]) * len(groups)).astype(int)
        part = np.full(len(groups), "train", dtype=object)
        part[drawn[: edges[0]]] = "test"
        part[drawn[edges[0] : edges[1]]] = "validation"
        table = self.table.assign(split=part[codes])
        if "duplicate_of" in table:
            table = table.assign(leaks=find_leaks(table["duplicate_of"], part[codes].tolist()))
        return replace(self, table=table)

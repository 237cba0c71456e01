"""Report on a data set as it lies on disk: counts, duplicates, leaks, what can not be read."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from emohelpers.datasets._base import FaceDataset, order_splits
from emohelpers.datasets._registry import locate
from emohelpers.errors import CacheError, ConfigurationError, EmohelpersError

__all__ = ["Report", "check", "report_on"]

_BATCH = 512
_SHOWN = 20
_MOST_VALUES = 20
_GROUPS = ("expression", "agreement", "user", "age_group", "gender", "race", "skin_tone")


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Parameters
    ----------
    name, path : str
        The data set and where it was read; the path is empty for what is built in.
    shape : tuple of int
        ``(n, height, width, channels)`` of its images.
    counts : DataFrame
        Images of each class in each split, as `FaceDataset.counts` gives them.
    groups : DataFrame
        ``column``, ``value``, ``images``: how many images have each value of what the source says
        of its images (age group, gender, race, user, ...).
    duplicates : DataFrame
        A row for each split and ``total``: ``images``; ``identical``, with the pixels of another
        image; ``repeats``, those of an earlier image; ``leaks``, those of an image of another
        split; ``contradicted``, those of an image with another label; ``constant``, of a single
        shade.
    leaks : DataFrame
        How many images of the row's split have an identical one in the column's.
    odd_labels : DataFrame
        ``written``, ``read_as``, ``images``: labels that the source spells in its own way.
    unreadable : DataFrame
        ``where`` and ``reason`` of what had to be left out.
    notes : sequence of str
        What the loader says, a sentence each.
    """

    name: str
    path: str
    shape: tuple[int, ...]
    counts: pd.DataFrame
    groups: pd.DataFrame
    duplicates: pd.DataFrame
    leaks: pd.DataFrame
    odd_labels: pd.DataFrame
    unreadable: pd.DataFrame
    notes: Sequence[str]

    @property
    def clean(self) -> bool:
        """Whether everything could be read; duplicates and odd labels are no fault of a file."""
        return self.unreadable.empty

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it.

        Returns
        -------
        dict
            The fields of the report; tables by split as ``{split: {class: n}}``, others as lists
            of rows; ``clean`` besides.
        """
        by_split = {"counts": self.counts, "duplicates": self.duplicates.T, "leaks": self.leaks.T}
        by_row = {
            "groups": self.groups,
            "odd_labels": self.odd_labels,
            "unreadable": self.unreadable,
        }
        return {
            "name": self.name,
            "path": self.path,
            "shape": list(self.shape),
            "clean": self.clean,
            **{
                key: {str(k): {str(i): int(n) for i, n in v.items()} for k, v in table.items()}
                for key, table in by_split.items()
            },
            **{key: table.to_dict("records") for key, table in by_row.items()},
            "notes": list(self.notes),
        }

    def to_text(self) -> str:
        """Return the report as aligned plain text.

        Returns
        -------
        str
            Without the tables that are empty, and with the first twenty of what can not be read.
        """
        n, height, width, channels = self.shape
        kind = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
        parts = [f"{self.name}: {n:,} images of {height}x{width}, {kind}"]
        tables = {
            "Images by class and split": self.counts.reset_index(),
            "Images by group": self.groups,
            "Identical images": self.duplicates.rename_axis("split").reset_index(),
            "Images of the row's split that stand in the column's too": self.leaks.rename_axis(
                "split"
            ).reset_index(),
            "Labels in the source's own spelling": self.odd_labels,
            "Left out because it can not be read": self.unreadable.head(_SHOWN),
        }
        for title, table in tables.items():
            if not table.empty:
                parts.append(f"{title}\n{_aligned(table)}")
        if len(self.unreadable) > _SHOWN:
            parts.append(f"... and {len(self.unreadable) - _SHOWN:,} more")
        if self.notes:
            parts.append("\n".join(["Notes", *(f"- {note}" for note in self.notes)]))
        parts.append(
            "Everything could be read."
            if self.clean
            else f"{len(self.unreadable):,} rows or files could not be read."
        )
        return "\n\n".join(parts)


def check(
    name: str,
    path: str | os.PathLike[str] | None = None,
    *,
    cache: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Report:
    """Read a data set, leaving out what can not be read, and report on it.

    Parameters
    ----------
    name : str
        The name of the set, as for `load`.
    path : path-like, optional
        Where it lies; None looks where `fetch` puts it.
    cache : path-like, optional
        The folder of all caches; None for the user's own. A set without faults is cached as
        `load` does, so that loading it later is quick.
    **options
        Of the set, as for `load`: ``votes``, ``labels``, ``legend``.

    Returns
    -------
    Report
        ``clean`` if everything could be read.

    Raises
    ------
    EmohelpersError
        If nothing of it can be read: nothing is there, an archive is damaged, no row is good.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = check("toyfaces", n=60, cache=folder)
    >>> report.clean, report.shape
    (True, (60, 48, 48, 1))
    """
    from emohelpers.datasets import load

    if path is None:
        path = locate(name)
    try:
        faces = load(name, path, cache=cache, **options)
    except (CacheError, ConfigurationError):
        raise
    except EmohelpersError:
        faces = load(name, path, cache=cache, on_error="skip", **options)
    return report_on(faces, path="" if path is None else os.fspath(path))


def report_on(faces: FaceDataset, *, path: str = "") -> Report:
    """Report on a data set that is loaded.

    Parameters
    ----------
    faces : FaceDataset
        With the columns ``duplicate_of`` and ``leaks`` in its table.
    path : str
        Where it was read.

    Returns
    -------
    Report
        See there.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> report = report_on(datasets.make_faces(60))
    >>> int(report.duplicates.loc["total", "images"])
    60
    """
    splits = faces.table["split"].astype(object)
    splits = splits.where(splits.notna(), "all").rename("split")
    positions = pd.Series(np.arange(len(faces)))
    same = faces.table["duplicate_of"].fillna(positions).astype("int64")
    return Report(
        name=faces.name,
        path=path,
        shape=tuple(faces.images.shape),
        counts=faces.counts(),
        groups=_groups(faces.table),
        duplicates=_duplicates(faces, splits, same),
        leaks=_leaks(splits, same),
        odd_labels=_odd_labels(faces),
        unreadable=faces.skipped.reset_index(drop=True),
        notes=faces.notes,
    )


def _groups(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for column in _GROUPS:
        if column in table:
            found = table[column].value_counts(sort=False, dropna=False).sort_index()
            if len(found) > _MOST_VALUES:
                continue
            for value, images in found.items():
                missing = pd.isna(value)  # type: ignore[call-overload]
                rows.append((column, "(none)" if missing else str(value), int(images)))
    return pd.DataFrame(rows, columns=["column", "value", "images"])


def _duplicates(faces: FaceDataset, splits: pd.Series, same: pd.Series) -> pd.DataFrame:
    labels = pd.Series(faces.labels).where(faces.labels >= 0)
    marks = pd.DataFrame(
        {
            "images": 1,
            "identical": same.duplicated(keep=False).astype(int),
            "repeats": faces.table["duplicate_of"].notna().astype(int),
            "leaks": faces.table["leaks"].astype(int),
            "contradicted": (labels.groupby(same).transform("nunique") > 1).astype(int),
            "constant": _constant(faces).astype(int),
        }
    )
    by_split = marks.groupby(splits).sum().reindex(order_splits(splits))
    if list(by_split.index) == ["all"]:
        return by_split.rename(index={"all": "total"})
    return pd.concat([by_split, marks.sum().to_frame("total").T])


def _constant(faces: FaceDataset) -> pd.Series:
    """Tell the images of a single shade, reading a batch at a time."""
    constant = np.zeros(len(faces), bool)
    for start in range(0, len(faces), _BATCH):
        # A few of its pixels rule out nearly every image, so that the others need not be read.
        some = np.asarray(faces.images[start : start + _BATCH, ::16, ::16])
        for position in start + np.flatnonzero((some == some[:, :1, :1]).all(axis=(1, 2, 3))):
            image = np.asarray(faces.images[position])
            constant[position] = (image == image[:1, :1]).all()
    return pd.Series(constant)


def _leaks(splits: pd.Series, same: pd.Series) -> pd.DataFrame:
    names = order_splits(splits)
    repeated = same.duplicated(keep=False)
    table = pd.crosstab(same[repeated], splits[repeated]).reindex(columns=names, fill_value=0)
    counts = table.to_numpy(np.int64)
    shared = counts.T @ (counts > 0).astype(np.int64)
    np.fill_diagonal(shared, 0)
    leaks = pd.DataFrame(shared, index=names, columns=names)
    return leaks if shared.any() else leaks.iloc[:0]


def _odd_labels(faces: FaceDataset) -> pd.DataFrame:
    columns = ["written", "read_as", "images"]
    if "source_label" not in faces.table:
        return pd.DataFrame([], columns=columns)
    read_as = pd.Series([*faces.class_names, "(none)"]).take(faces.labels).to_numpy()
    pairs = pd.DataFrame({"written": faces.table["source_label"], "read_as": read_as})
    odd = pairs[pairs["written"] != pairs["read_as"]]
    return odd.groupby(["read_as", "written"]).size().reset_index(name="images")[columns]


def _aligned(table: pd.DataFrame) -> str:
    """Render a table: words to the left, numbers to the right with thousands separated."""
    numeric = [pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes]
    columns = [
        [str(name), *(f"{cell:,}" if number else str(cell) for cell in table[name])]
        for name, number in zip(table.columns, numeric, strict=True)
    ]
    widths = [max(map(len, column)) for column in columns]
    lines = (
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in zip(*columns, strict=True)
    )
    return "\n".join(f"  {line}" for line in lines)

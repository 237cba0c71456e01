"""Divide a data set into parts that share nobody, each of which can be the one to test on."""

import hashlib
import re
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from emohelpers.datasets._base import FaceDataset
from emohelpers.datasets._duplicates import find_leaks
from emohelpers.datasets._similar import near_duplicates
from emohelpers.errors import ConfigurationError

__all__ = ["assign_fold", "person_groups"]

# Two persons joined by mistake cost nothing, one that stands on both sides costs the truth.
_CAUTIOUS = 0.7


def person_groups(dataset: FaceDataset, *, by: str = "person") -> list[str]:
    """Name for each image the group that has to stay on one side of a split.

    A group is a person, or several where an image of one is a copy of an image of another: the
    same photograph under two names (see `emohelpers.datasets.near_duplicates`), or one name in two
    spellings (``HrithikRoshan``, ``Hrithik_Roshan``). Where persons are numbers,
    as those of toy faces, the source knows them, and none are joined.

    Parameters
    ----------
    dataset : FaceDataset
        Images of any size.
    by : str
        The column of the table that names the person.

    Returns
    -------
    list of str, length n
        The first name, in order of the alphabet, of those in the group, in small letters.

    Raises
    ------
    ConfigurationError
        If the column is not there.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(4, seed=0)
    >>> table = faces.table.assign(person=["Ann_Lee", "AnnLee", "Bo", "Cy"])
    >>> person_groups(replace(faces, table=table))
    ['annlee', 'annlee', 'bo', 'cy']
    """
    if by not in dataset.table:
        raise ConfigurationError(
            f"no column {by!r} in the table: expected one of {', '.join(dataset.table.columns)}"
        )
    written = dataset.table[by].astype(str)
    # A name without a letter, such as a number, is kept whole.
    folded = [re.sub(r"[\W_]", "", name.casefold()) or name for name in written]
    codes, names = pd.factorize(np.array(folded, dtype=object), sort=True)
    if not any(re.search(r"[^\W\d_]", name) for name in names):
        return [str(name) for name in names[codes]]
    pairs = near_duplicates(dataset.images, similarity=_CAUTIOUS)
    ends = codes[pairs["first"]], codes[pairs["second"]]
    joined = coo_array((np.ones(len(pairs)), ends), shape=(len(names), len(names)))
    _, groups = connected_components(joined, directed=False)
    # Sorted codes: the first of a group is the first in the alphabet.
    first = pd.Series(names).groupby(groups).first().to_numpy()
    return [str(name) for name in first[groups[codes]]]


def assign_fold(
    dataset: FaceDataset,
    fold: int,
    *,
    folds: int = 5,
    by: str | None = "person",
    validation: float = 0.125,
    seed: int = 1,
) -> FaceDataset:
    """Divide a data set so that one of several parts is for testing, each in turn.

    Over all folds every image is tested on once, by a network that has not seen the person: the
    way to score rare classes, of which a single test split would hold one or two images.

    Which part a person stands in is read from a digest of the name and the seed. A draw would be
    another for everybody if a single name or copy came or went, and a network's published figures
    would then be computed on people that it has learnt from.

    Parameters
    ----------
    dataset : FaceDataset
        Without splits, or with others, which are replaced.
    fold : int
        The part to test on, from 1 to `folds`.
    folds : int
        How many parts, 2 or more.
    by : str, optional
        The column of the table that names the person, see `person_groups`. None divides image by
        image, whoever they show: what it claims is too good, and how much is worth seeing.
    validation : float
        The share of the other persons that validate, above 0 and below 1.
    seed : int
        Another one is another division. That of 1 spreads what facial_expressions has of contempt
        and fear over all five parts.

    Returns
    -------
    FaceDataset
        With ``split`` (train, validation, test) and ``fold`` (1 to `folds`) in its table; ``leaks``
        tells of the new splits.

    Raises
    ------
    ConfigurationError
        If a number is out of its range or the column is not there.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(300, seed=0)
    >>> parts = [assign_fold(faces, fold, folds=3) for fold in (1, 2, 3)]
    >>> sum(len(part.split("test")) for part in parts)
    300
    >>> persons = [set(parts[0].split(name).table["person"]) for name in ("train", "test")]
    >>> persons[0] & persons[1]
    set()
    """
    if folds < 2 or not 1 <= fold <= folds:
        raise ConfigurationError(f"fold={fold} of folds={folds}: expected 1 to folds, 2 or more")
    if not 0 < validation < 1:
        raise ConfigurationError(f"validation={validation}: expected above 0 and below 1")
    # Of an image its place, as a name may stand there several times.
    names = map(str, range(len(dataset))) if by is None else person_groups(dataset, by=by)
    shares = np.array([_shares(f"{seed} {name}") for name in names]).reshape(-1, 2)
    own = 1 + np.floor(shares[:, 0] * folds).astype(np.int64)
    split: NDArray[np.object_] = np.where(shares[:, 1] < validation, "validation", "train").astype(
        object
    )
    split[own == fold] = "test"
    table = dataset.table.assign(split=split, fold=own)
    if "duplicate_of" in table:
        table = table.assign(leaks=find_leaks(table["duplicate_of"], split.tolist()))
    return replace(dataset, table=table)


def _shares(text: str) -> tuple[float, float]:
    """Return two numbers in [0, 1) that a text decides."""
    digest = hashlib.sha256(text.encode()).digest()
    first, second = (int.from_bytes(digest[start : start + 6]) / 2**48 for start in (0, 6))
    return first, second

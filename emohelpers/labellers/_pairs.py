"""Two labels of the same image: how often they agree."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError
from emohelpers.evaluation._wilson import wilson

__all__ = ["agreement_of_pairs", "label_pairs", "same_image_pairs"]


def label_pairs(first: FaceDataset, second: FaceDataset) -> pd.DataFrame:
    """Pair the labels that two tables give to the same files.

    Parameters
    ----------
    first, second : FaceDataset
        The same source with two legends; a file that a legend names several times gives several
        pairs. Images without a label are left out.

    Returns
    -------
    DataFrame
        A row for each pair: ``file``, ``first`` and ``second``, names of classes.

    Raises
    ------
    ConfigurationError
        If no file has a label in both.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(6, seed=0)
    >>> pairs = label_pairs(faces, faces.select([0, 2, 4]))
    >>> len(pairs), bool((pairs["first"] == pairs["second"]).all())
    (3, True)
    """
    tables = []
    for faces, column in ((first, "first"), (second, "second")):
        labelled = faces.select(faces.labels >= 0)
        names = np.array(labelled.class_names, dtype=object)[labelled.labels]
        tables.append(pd.DataFrame({"file": labelled.table["file"], column: names}))
    pairs = tables[0].merge(tables[1], on="file")
    if pairs.empty:
        raise ConfigurationError(
            f"{first.name} and {second.name} share no file with a label: expected two legends of "
            "one set of images"
        )
    return pairs


def same_image_pairs(faces: FaceDataset, pairs: pd.DataFrame) -> pd.DataFrame:
    """Set the labels of copies of one photograph side by side.

    Parameters
    ----------
    faces : FaceDataset
        All images; pairs of which one has no label are left out.
    pairs : DataFrame
        Positions ``first`` and ``second``, see `emohelpers.datasets.near_duplicates`.

    Returns
    -------
    DataFrame
        A row for each pair: ``first`` and ``second``, names of classes; if the table of `faces`
        has ``user`` also ``same_user``, whether one person gave both labels (NA where the source
        does not say who did).

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(8, seed=0, emotions=("fear", "neutral"))
    >>> same_image_pairs(faces, pd.DataFrame({"first": [0], "second": [1]})).shape
    (1, 2)
    """
    one, other = pairs["first"].to_numpy(np.int64), pairs["second"].to_numpy(np.int64)
    both = (faces.labels[one] >= 0) & (faces.labels[other] >= 0)
    one, other = one[both], other[both]
    names = np.array(faces.class_names, dtype=object)
    labels = pd.DataFrame({"first": names[faces.labels[one]], "second": names[faces.labels[other]]})
    if "user" in faces.table:
        users = faces.table["user"].fillna("").to_numpy(object)
        known = (users[one] != "") & (users[other] != "")
        same = known & (users[one] == users[other])
        labels["same_user"] = pd.arrays.BooleanArray(same.astype(bool), ~known.astype(bool))
    return labels


def agreement_of_pairs(
    pairs: pd.DataFrame, *, n_bootstrap: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Say how often two labels of the same image agree, and how much better than by chance.

    Parameters
    ----------
    pairs : DataFrame
        ``first`` and ``second``, names of classes, see `label_pairs` and `same_image_pairs`.
    n_bootstrap : int
        How many times the pairs are drawn anew with replacement for the interval of kappa.
    seed : int
        Of these draws.

    Returns
    -------
    DataFrame
        Rows ``agreement`` (the share of pairs with equal labels, 0..1, with the interval of Wilson
        1927) and ``kappa`` (Cohen 1960: 1 for full agreement, 0 for what the frequencies of the
        labels alone would give; percentile bootstrap), columns ``value``, ``low``, ``high`` (95%)
        and ``n``. Kappa is NaN where both name a single class throughout, and so is its interval
        where all pairs agree: drawn again they always would.

    Raises
    ------
    ConfigurationError
        If there is no pair, or a label is missing.

    References
    ----------
    J. Cohen (1960), A coefficient of agreement for nominal scales, Educational and Psychological
    Measurement 20(1).

    Examples
    --------
    >>> pairs = pd.DataFrame({"first": list("aabb"), "second": list("aaba")})
    >>> agreement_of_pairs(pairs)["value"].to_dict()
    {'agreement': 0.75, 'kappa': 0.5}
    """
    if pairs.empty or pairs[["first", "second"]].isna().any(axis=None):
        raise ConfigurationError(
            f"{len(pairs)} pairs of labels, some missing: expected one or more, and both labels "
            "of each"
            if len(pairs)
            else "no pairs of labels: expected one or more"
        )
    names = sorted({*pairs["first"], *pairs["second"]})
    place = {name: position for position, name in enumerate(names)}
    table = np.zeros((len(names), len(names)))
    np.add.at(table, (pairs["first"].map(place), pairs["second"].map(place)), 1)
    n, agreeing = len(pairs), int(np.trace(table))
    ends = wilson(agreeing, n)
    # Kappa is a function of the table: its cells are drawn, which is the same as drawing pairs.
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n, table.ravel() / n, size=n_bootstrap).reshape(-1, *table.shape)
    kappas = _kappa(drawn)
    known = agreeing < n and np.isfinite(kappas).any()
    low, high = np.nanpercentile(kappas, [2.5, 97.5]) if known else (np.nan, np.nan)
    return pd.DataFrame(
        {
            "value": [agreeing / n, float(_kappa(table))],
            "low": [ends[0], low],
            "high": [ends[1], high],
            "n": n,
        },
        index=["agreement", "kappa"],
    )


def _kappa(table: NDArray[Any]) -> NDArray[np.float64]:
    """Return Cohen's kappa of tables of counts, shape (..., first, second)."""
    total = table.sum((-2, -1))
    observed = np.trace(table, axis1=-2, axis2=-1) / total
    by_chance = (table.sum(-1) * table.sum(-2)).sum(-1) / total**2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(by_chance < 1, (observed - by_chance) / (1 - by_chance), np.nan)

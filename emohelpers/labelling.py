"""Labels for images that have none: a network proposes them, and only sure ones are kept.

Where to draw the line is measured on some images that people have labelled.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.datasets import FaceDataset, near_duplicates
from emohelpers.errors import ConfigurationError, LabelError
from emohelpers.evaluation._wilson import wilson

__all__ = [
    "GROUPS",
    "Proposals",
    "Threshold",
    "balance",
    "choose_threshold",
    "label_utkface",
    "propose",
]

GROUPS = ("race", "age_group", "gender")
"""The groups of UTKFace over which faces are balanced."""

# As in `assign_fold`: a copy that is missed costs more than one that is none.
_CAUTIOUS = 0.7
_FEWEST = 10


@dataclass(frozen=True)
class Threshold:
    """From which confidence on a proposed label is kept, and how often it is then right.

    Parameters
    ----------
    class_name : str
        The proposed class.
    confidence : float
        The lowest that is kept.
    precision, low, high : float
        The share of right labels among those kept on images labelled by hand, 0..1, and its 95%
        interval (Wilson 1927).
    n, of : int
        How many images labelled by hand are kept with this label, out of how many that it was
        proposed for.
    """

    class_name: str
    confidence: float
    precision: float
    low: float
    high: float
    n: int
    of: int


@dataclass(frozen=True)
class Proposals:
    """What a network proposes for a data set.

    Parameters
    ----------
    table : DataFrame
        A row for each image that may be trained on: ``file`` (its name), ``expression``,
        ``confidence`` (0..1) and the columns of the data set that were asked for.
    thresholds : sequence of Threshold
        One for each class, with which `table` was made.
    copies : int
        How many further images were left out as copies of one labelled by hand.
    """

    table: pd.DataFrame
    thresholds: Sequence[Threshold]
    copies: int


def choose_threshold(
    confidence: ArrayLike, right: ArrayLike, *, class_name: str, precision: float = 0.98
) -> Threshold:
    """Find the lowest confidence from which on labels are right as often as wanted.

    Parameters
    ----------
    confidence : array_like of float, shape (n,)
        Of proposals of one class for images that people have labelled.
    right : array_like of bool, shape (n,)
        Whether the proposed label is that of the people.
    class_name : str
        The class, for the record and for errors.
    precision : float
        The wanted share of right labels, above 0 and up to 1.

    Returns
    -------
    Threshold
        Of all confidences that keep ten images or more and reach the precision, the lowest.

    Raises
    ------
    ConfigurationError
        If shapes differ, a confidence is NaN, there are fewer than ten, or no threshold reaches the
        precision.

    Examples
    --------
    >>> confidence = [0.1] * 10 + [0.6] * 20
    >>> right = [False] * 8 + [True] * 22
    >>> choose_threshold(confidence, right, class_name="neutral").confidence
    0.6
    """
    values, hits = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=bool)
    if values.ndim != 1 or values.shape != hits.shape or np.isnan(values).any():
        raise ConfigurationError(
            f"confidences of shape {values.shape} and answers of shape {hits.shape}: expected as "
            "many numbers of each"
        )
    if not 0 < precision <= 1:
        raise ConfigurationError(f"precision={precision}: expected above 0 and up to 1")
    if len(values) < _FEWEST:
        raise ConfigurationError(
            f"{class_name}: proposed for {len(values)} of the images labelled by hand: expected "
            f"{_FEWEST} or more to choose a threshold on"
        )
    best, reached = None, 0.0
    for limit in np.unique(values):
        kept = hits[values >= limit]
        if len(kept) < _FEWEST:
            break
        reached = max(reached, float(kept.mean()))
        if kept.mean() >= precision:
            best = float(limit)
            break
    if best is None:
        raise ConfigurationError(
            f"{class_name}: proposals are right in {reached:.3f} at best of {_FEWEST} or more of "
            f"the {len(values)} images labelled by hand that they were made for: expected a "
            f"precision that can be reached, not {precision:g}, or a better network"
        )
    kept = hits[values >= best]
    low, high = wilson(int(kept.sum()), len(kept))
    return Threshold(
        class_name,
        best,
        float(kept.mean()),
        low,
        high,
        len(kept),
        len(values),
    )


def propose(
    dataset: FaceDataset,
    probabilities: NDArray[np.float32],
    network_classes: Sequence[str],
    *,
    classes: Sequence[str],
    by_hand: FaceDataset,
    precision: float = 0.98,
    columns: Sequence[str] = (),
) -> Proposals:
    """Propose a label for the images of which a network is sure enough.

    The network's first choice among the classes is proposed. Its confidence is by how much its
    probability exceeds that of the next of these classes, other classes counting as well: a face
    that is clearly none of them has little of each. The threshold of each class is chosen on the
    images of `by_hand`, of which those of other expressions make their proposal wrong.

    Parameters
    ----------
    dataset : FaceDataset
        The images, those labelled by hand among them (column ``expression``).
    probabilities : ndarray of float32, shape (n, len(network_classes))
        What the network says of each image of `dataset`.
    network_classes : sequence of str
        Its classes.
    classes : sequence of str
        Two or more of them, to propose.
    by_hand : FaceDataset
        The images of `dataset` to choose thresholds on, with ``file`` and ``expression``.
    precision : float
        See `choose_threshold`.
    columns : sequence of str
        Of the data set's table, to be kept. Images with a missing value are left out.

    Returns
    -------
    Proposals
        Of images that no hand has labelled in any way, and that are no copies of one that is.

    Raises
    ------
    ConfigurationError
        If shapes do not fit, a class is not known, or the precision can not be reached.
    LabelError
        If no image was labelled by hand.
    """
    if probabilities.shape != (len(dataset), len(network_classes)):
        raise ConfigurationError(
            f"probabilities of shape {probabilities.shape}: expected "
            f"({len(dataset)}, {len(network_classes)}), images by classes of the network"
        )
    unknown = [name for name in classes if name not in network_classes]
    if unknown or len(set(classes)) < 2:
        raise ConfigurationError(
            f"classes {', '.join(classes)}: expected two or more of {', '.join(network_classes)}"
        )
    if "expression" not in dataset.table or not len(by_hand):
        raise LabelError(
            f"{dataset.name} has no image labelled by hand: expected a CSV of labels "
            "(file,expression[,agreement]) to choose thresholds on"
        )
    shares = probabilities[:, [list(network_classes).index(name) for name in classes]]
    second, first = np.sort(shares, axis=1)[:, -2:].T
    names = dataset.table["file"].map(lambda file: PurePosixPath(file).name)
    made = pd.DataFrame(
        {
            "file": names,
            "expression": np.array(classes, dtype=object)[shares.argmax(axis=1)],
            "confidence": first.astype(np.float64) - second,
        }
    ).join(dataset.table[list(columns)])
    chosen = made.set_index("file").loc[[PurePosixPath(f).name for f in by_hand.table["file"]]]
    said = np.array([*by_hand.class_names, "other"], dtype=object)[by_hand.labels]
    thresholds = []
    for name in classes:
        rows = chosen["expression"].eq(name).to_numpy()
        threshold = choose_threshold(
            chosen["confidence"][rows],
            said[rows] == name,
            class_name=name,
            precision=precision,
        )
        thresholds.append(threshold)
    limits = {threshold.class_name: threshold.confidence for threshold in thresholds}
    labelled = dataset.table["expression"].notna().to_numpy(bool)
    copies = _copies(dataset.images, labelled)
    sure = made["confidence"].ge(made["expression"].map(limits)).to_numpy(bool)
    whole = made[list(columns)].notna().all(axis=1).to_numpy(bool)
    table = made[sure & whole & ~labelled & ~copies].reset_index(drop=True)
    return Proposals(table, thresholds, int((copies & ~labelled).sum()))


def label_utkface(
    network: str | Path,
    path: str | Path | None,
    labels: str | Path,
    *,
    precision: float = 0.98,
    total: int = 2000,
    crop: float = 0.1,
    cache: str | Path | None = None,
) -> tuple[pd.DataFrame, Proposals]:
    """Make a happy and neutral training set of UTKFace, which has no expressions.

    Thresholds are chosen on the half of the hand-made labels that is for validation (see
    `emohelpers.datasets.utkface.divide`), so that the other half remains for testing alone.

    Parameters
    ----------
    network : str or path
        A published network by its name, or the folder of one, that knows happiness and neutral.
    path : path, optional
        Where UTKFace lies.
    labels : path
        Where the labels made by hand lie: a CSV of ``file,expression[,agreement]``.
    precision : float
        See `choose_threshold`.
    total : int
        See `balance`; the groups are `GROUPS`.
    crop : float
        The share of the side that is cut off at each edge. Of .05, .09, .125 and .16
        `ferplus-compact` did best with the two in the middle on the validating half.
    cache : path, optional
        See `emohelpers.datasets.load`.

    Returns
    -------
    DataFrame
        The chosen images: ``file``, ``expression``, ``confidence`` and `GROUPS`.
    Proposals
        What was to choose from, with the thresholds.

    Raises
    ------
    EmohelpersError
        If the network or data can not be read, or a precision or total is out of reach.
    """
    from emohelpers import evaluation, models, publishing
    from emohelpers.datasets import utkface

    saved = publishing.open_model(models.saved_folder(network))
    faces = saved.load("utkface", path, crop=crop, labels=labels, cache=cache)
    nothing_listed = pd.Series({}, dtype="str")
    proposals = propose(
        faces,
        evaluation.predict(saved.model, faces.images, views=2),
        saved.class_names,
        classes=("neutral", "happiness"),
        by_hand=utkface.divide(faces, nothing_listed).split("validation"),
        precision=precision,
        columns=GROUPS,
    )
    return balance(proposals.table, by=GROUPS, total=total), proposals


def _copies(images: Any, labelled: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Say which images are copies of one that is labelled by hand."""
    pairs = near_duplicates(images, similarity=_CAUTIOUS)
    first, second = pairs["first"].to_numpy(), pairs["second"].to_numpy()
    copies = np.zeros(len(labelled), bool)
    copies[second[labelled[first]]] = True
    copies[first[labelled[second]]] = True
    return copies


def balance(table: pd.DataFrame, *, by: Sequence[str], total: int) -> pd.DataFrame:
    """Choose as many images of each class and group as there are, up to a common number.

    A cell is a combination of the groups. In each cell all classes get the same number of images,
    so that nobody's group tells the expression. That number is as large as the cell's rarest class
    allows, and bounded by a limit common to all cells, the largest with which there are no more
    than `total` images. Which images are taken a digest of their name decides: not the most
    confident ones, which would be the easiest.

    Parameters
    ----------
    table : DataFrame
        ``file``, ``expression`` and the columns of the groups.
    by : sequence of str
        The columns that make the cells.
    total : int
        How many images at most.

    Returns
    -------
    DataFrame
        Some rows of the table, in the order of their file.

    Raises
    ------
    ConfigurationError
        If a column is not there, or there are images of no or a single class in every cell.

    Examples
    --------
    >>> faces = pd.DataFrame(
    ...     {
    ...         "file": [f"{n}.jpg" for n in range(10)],
    ...         "expression": ["happiness", "neutral"] * 5,
    ...         "race": ["Asian"] * 7 + ["Black"] * 3,
    ...     }
    ... )
    >>> balance(faces, by=["race"], total=6).groupby("race").size().to_dict()
    {'Asian': 4, 'Black': 2}
    """
    missing = [name for name in ("file", "expression", *by) if name not in table]
    if missing or not by:
        raise ConfigurationError(
            f"a table without {', '.join(missing) or 'groups'}: expected file, expression and the "
            "columns of the groups"
        )
    counts = table.groupby([*by, "expression"], observed=True).size().unstack(fill_value=0)
    if counts.shape[1] < 2 or not (smallest := counts.min(axis=1)).any():
        raise ConfigurationError(
            "no group has images of every class: expected some with two classes or more"
        )
    limits = np.arange(1, int(smallest.max()) + 1)
    sizes = np.minimum(smallest.to_numpy()[:, None], limits).sum(axis=0) * counts.shape[1]
    fitting = limits[sizes <= total]
    if not len(fitting):
        raise ConfigurationError(
            f"total={total}: expected at least {sizes[0]}, one of each class in each group"
        )
    room = smallest.clip(upper=int(fitting.max())).rename("room").reset_index()
    digests = table["file"].map(lambda file: hashlib.sha256(str(file).encode()).hexdigest())
    drawn = table.assign(digest=digests).sort_values("digest", kind="stable")
    rank = drawn.groupby([*by, "expression"], observed=True).cumcount()
    allowed = drawn[list(by)].merge(room, how="left", on=list(by))["room"].to_numpy()
    return drawn[rank.to_numpy() < allowed].drop(columns="digest").sort_values("file")

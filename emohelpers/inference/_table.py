"""The tables of what was recognised: a row for each face."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from emohelpers._replacing import replacing
from emohelpers.errors import ConfigurationError
from emohelpers.faces import Face

__all__ = ["BOX", "append_csv", "check_ending", "faces_table", "write_table"]

BOX = ("left", "top", "width", "height")


def faces_table(
    faces: Sequence[Face],
    probabilities: ArrayLike,
    class_names: Sequence[str],
    *,
    least_confidence: float,
    numbers: Sequence[int] | None = None,
    **first: Any,
) -> pd.DataFrame:
    """Set faces and what a network says of them into a table.

    Parameters
    ----------
    faces : sequence of Face
        n of them.
    probabilities : array_like of float, shape (n, n_classes)
        In 0..1.
    class_names : sequence of str
        In the order of the network's outputs.
    least_confidence : float
        The network abstains where no probability reaches it.
    numbers : sequence of int, optional
        Of each face; 1, 2, 3 without them.
    **first
        Columns to stand first, a value for all rows or one for each.

    Returns
    -------
    DataFrame
        The columns that `emohelpers.inference.EmotionRecognizer` describes.
    """
    outputs = np.asarray(probabilities, np.float64).reshape(len(faces), len(class_names))
    boxes = np.array([face.box for face in faces], np.int64).reshape(-1, 4)
    names = np.array([*class_names, None], dtype=object)  # None lets it be empty of faces
    best = outputs.argmax(axis=1) if len(faces) else np.empty(0, np.int64)
    sure = outputs.max(axis=1, initial=0.0) >= least_confidence
    columns = {
        **first,
        "face": pd.array(
            list(numbers) if numbers is not None else np.arange(1, len(faces) + 1), dtype="Int64"
        ),
        **{name: pd.array(boxes[:, k], dtype="Int64") for k, name in enumerate(BOX)},
        "score": np.array([face.score for face in faces], np.float64),
        **{name: outputs[:, k] for k, name in enumerate(class_names)},
        "emotion": pd.array(names[best], dtype="string"),
        "abstains": pd.array(~sure, dtype="boolean"),
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(len(faces)))


def check_ending(path: Path) -> None:
    """Refuse a table's name that does not say how it is written.

    Raises
    ------
    ConfigurationError
        If it ends neither in ``.csv`` nor in ``.parquet``.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise ConfigurationError(f"{path}: expected a name that ends in .csv or .parquet")


def append_csv(table: pd.DataFrame, path: Path, *, first: bool = True) -> None:
    """Write a table as CSV, or the next part of one: numbers to six figures."""
    table.to_csv(
        path,
        mode="w" if first else "a",
        header=first,
        index=False,
        lineterminator="\n",
        float_format="%.6g",
    )


def write_table(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table as CSV or Parquet, beside its place and moved there.

    Parameters
    ----------
    table : DataFrame
        See `emohelpers.inference.EmotionRecognizer`.
    path : path
        Ends in ``.csv`` (numbers to six figures) or ``.parquet`` (as they are); a file of that
        name is replaced.

    Raises
    ------
    ConfigurationError
        If it ends otherwise.
    """
    path = Path(path)
    check_ending(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        if path.suffix == ".csv":
            append_csv(table, beside)
        else:
            table.to_parquet(beside, index=False)

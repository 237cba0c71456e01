"""What is assessed: labels, predictions and the groups that the images belong to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError, LabelError

__all__ = [
    "MISSING",
    "Cases",
    "Feature",
    "check_cases",
    "check_classes",
    "check_features",
    "check_one_feature",
]

MISSING = "(missing)"
"""The group of the images for which a feature is not known."""

# More are hardly groups: file names, or a measurement that nobody has cut into ranges.
_MOST_GROUPS = 100


@dataclass(frozen=True)
class Feature:
    """Which group of a sensitive feature each image belongs to."""

    name: str
    groups: tuple[str, ...]
    codes: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Images of each group, (groups,)."""
        return np.bincount(self.codes, minlength=len(self.groups))

    def reliable(self, min_group_size: int) -> NDArray[np.bool_]:
        """Say which groups are large enough to be compared; those without a value never are."""
        known = np.array([group != MISSING for group in self.groups])
        return known & (self.sizes >= min_group_size)


@dataclass(frozen=True)
class Cases:
    """Labels and predictions of n images, with their groups."""

    y_true: NDArray[Any]
    y_pred: NDArray[Any]
    class_names: tuple[str, ...]
    features: tuple[Feature, ...]

    def __len__(self) -> int:
        return len(self.y_true)


def check_cases(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    by: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    scores: bool = False,
) -> Cases:
    """Check what is to be assessed.

    `scores` allows predictions that are no classes, for metrics of the caller's own.
    """
    labels, predictions = np.asarray(y_true), np.asarray(y_pred)
    if labels.ndim != 1 or labels.size == 0:
        raise ConfigurationError(f"y_true of shape {labels.shape}: expected (n,), n at least 1")
    if predictions.shape != labels.shape:
        hint = "; take probabilities.argmax(axis=1) of probabilities" * (predictions.ndim == 2)
        raise ConfigurationError(
            f"y_pred of shape {predictions.shape}: expected {labels.shape}, one for each label"
            f"{hint}"
        )
    numbers = scores and predictions.dtype.kind == "f"
    highest = max(int(labels.max()), 0 if numbers else int(predictions.max()), 1)
    names = tuple(class_names or map(str, range(highest + 1)))
    labels = check_classes("y_true", labels, len(names))
    if not numbers:
        predictions = check_classes("y_pred", predictions, len(names))
    elif not np.isfinite(predictions).all():
        raise ConfigurationError("y_pred with NaN or infinity: expected finite numbers")
    return Cases(labels, predictions, names, check_features(sensitive_features, len(labels), by=by))


def check_classes(what: str, values: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Return values as positions of classes, or say why they are none."""
    found = np.asarray(values)
    if n_classes < 2:
        raise ConfigurationError(f"{n_classes} classes: expected two or more")
    if found.dtype.kind not in "iu":
        raise LabelError(f"{what} of {found.dtype}: expected integers, positions of classes")
    if found.min() < 0 or found.max() >= n_classes:
        raise LabelError(
            f"{what} from {found.min()} to {found.max()}: expected 0 to {n_classes - 1}; leave out "
            "images without a label (-1)"
        )
    return found.astype(np.int64)


def check_one_feature(sensitive_features: Any, n: int | None, by: str | None) -> Feature:
    """Read one feature or intersection; without `by` that of all columns."""
    table = _as_table(sensitive_features)
    name = "+".join(map(str, table)) if by is None else by
    return check_features(table, len(table) if n is None else n, by=[name])[0]


def check_features(
    sensitive_features: Any, n: int, *, by: Sequence[str] | None = None
) -> tuple[Feature, ...]:
    """Read sensitive features from a table, to see before anything is computed that they are there.

    Parameters
    ----------
    sensitive_features : DataFrame, mapping or array_like of n rows
        As in `by_group`.
    n : int
        Images.
    by : sequence of str, optional
        As in `by_group`.

    Returns
    -------
    tuple of Feature
        One for each name in `by`, with its ``groups`` and the ``codes`` of the images.

    Raises
    ------
    ConfigurationError
        As in `by_group`.

    Examples
    --------
    >>> table = {"race": ["A", "B", None], "gender": ["f", "m", "f"]}
    >>> [feature.groups for feature in check_features(table, 3, by=["race", "race+gender"])]
    [('A', 'B', '(missing)'), ('A, f', 'B, m', '(missing)')]
    """
    table = _as_table(sensitive_features)
    if len(table) != n:
        raise ConfigurationError(
            f"sensitive features of {len(table)} images and labels of {n}: expected as many"
        )
    names = list(table) if by is None else [by] if isinstance(by, str) else list(by)
    if not names or len(set(names)) < len(names):
        raise ConfigurationError(f"features {names}: expected one or more different ones")
    known: dict[str, Feature] = {}
    features = []
    for name in names:
        parts = [part.strip() for part in str(name).split("+")]
        for part in parts:
            if part not in table:
                raise ConfigurationError(
                    f"no feature {part!r}: expected one of {', '.join(map(str, table))}"
                )
            known.setdefault(part, _read(table[part], part))
        features.append(_cross(str(name), [known[part] for part in parts]))
    return tuple(features)


def _as_table(sensitive_features: Any) -> pd.DataFrame:
    if isinstance(sensitive_features, pd.DataFrame):
        return sensitive_features.rename(columns=str)
    if isinstance(sensitive_features, Mapping):
        columns = {str(name): pd.Series(values) for name, values in sensitive_features.items()}
        if len({len(column) for column in columns.values()}) > 1:
            sizes = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
            raise ConfigurationError(f"features of different lengths ({sizes}): expected the same")
        return pd.DataFrame({name: column.to_numpy() for name, column in columns.items()})
    if isinstance(sensitive_features, pd.Series):
        return sensitive_features.rename(str(sensitive_features.name or "group")).to_frame()
    values = np.asarray(sensitive_features)
    if values.ndim != 1:
        raise ConfigurationError(
            f"sensitive features of shape {values.shape}: expected (n,), or a DataFrame with a "
            "column for each feature"
        )
    return pd.DataFrame({"group": values})


def _read(column: pd.Series, name: str) -> Feature:
    values = column.astype("category").cat.remove_unused_categories()
    groups = tuple(str(group) for group in values.cat.categories)
    codes = values.cat.codes.to_numpy().astype(np.int64)
    if not groups:
        raise ConfigurationError(f"feature {name!r} is missing for every image: expected groups")
    return _named(name, groups, codes)


def _cross(name: str, features: Sequence[Feature]) -> Feature:
    """Intersect features: a group for each combination of theirs that an image has."""
    if len(features) == 1:
        return features[0]
    unknown = np.zeros(len(features[0].codes), bool)
    place = np.zeros(len(unknown), np.int64)
    labels: list[str] = [""]
    for feature in features:
        unknown |= np.array([group == MISSING for group in feature.groups])[feature.codes]
        place = place * len(feature.groups) + feature.codes
        labels = [f"{label}, {group}" for label in labels for group in feature.groups]
    found, codes = np.unique(np.where(unknown, -1, place), return_inverse=True)
    groups = tuple(labels[i].removeprefix(", ") for i in found if i >= 0)
    return _named(name, groups, codes - int(found[0] < 0))


def _named(name: str, groups: tuple[str, ...], codes: NDArray[np.int64]) -> Feature:
    """Turn codes of -1 into the group of missing values, the last."""
    if len(groups) > _MOST_GROUPS:
        raise ConfigurationError(
            f"feature {name!r} has {len(groups)} groups: expected at most {_MOST_GROUPS}; cut "
            "numbers into ranges, and name the columns of a table in by"
        )
    if (codes < 0).any():
        codes = np.where(codes < 0, len(groups), codes)
        groups = (*groups, MISSING)
    return Feature(name, groups, codes)

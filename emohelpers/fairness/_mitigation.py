"""Ways to mitigate a difference between groups, to be compared by what they cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from fairlearn.postprocessing import ThresholdOptimizer
from imblearn.over_sampling import RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from emohelpers.errors import ConfigurationError
from emohelpers.fairness._inputs import MISSING, Feature, check_classes, check_one_feature

__all__ = ["GroupThresholds", "balanced_rows", "fit_thresholds", "repeat_groups", "reweighing"]


def reweighing(
    labels: ArrayLike, sensitive_features: Any, *, by: str | None = None
) -> NDArray[np.float64]:
    """Weigh images so that groups and classes do not depend on each other.

    An image of group g and class c weighs P(g) P(c) / P(g, c): where a class is rarer in a group
    than in the others, each of its images counts more (Kamiran and Calders 2012). Groups and
    classes keep the total weight that their numbers give them.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        0 or more.
    sensitive_features : DataFrame, mapping or array_like of n rows
        As in `by_group`.
    by : str, optional
        A feature, or an intersection such as ``"race+gender"``; without it that of all features.

    Returns
    -------
    ndarray of float64, shape (n,)
        Above 0; the ``sample_weight`` of `keras.Model.fit`. Their mean is 1 if each class occurs
        in each group, otherwise less. Images without a value are a group of their own.

    Raises
    ------
    ConfigurationError
        As in `by_group`.
    LabelError
        If a label is no integer of 0 or more.

    References
    ----------
    F. Kamiran and T. Calders (2012), Data Preprocessing Techniques for Classification without
    Discrimination, Knowledge and Information Systems 33.

    Examples
    --------
    >>> reweighing([0, 0, 0, 1, 1, 0], {"age": ["old"] * 3 + ["young"] * 3}, by="age").round(2)
    array([0.67, 0.67, 0.67, 0.5 , 0.5 , 2.  ])
    """
    classes, feature = _classes_and_groups(labels, sensitive_features, by)
    counts = np.zeros((len(feature.groups), int(classes.max()) + 1))
    np.add.at(counts, (feature.codes, classes), 1)
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / counts.sum()
    return (expected / np.maximum(counts, 1))[feature.codes, classes]


def balanced_rows(
    labels: ArrayLike,
    sensitive_features: Any,
    *,
    by: str | None = None,
    how: Literal["over", "under"] = "over",
    seed: int = 0,
) -> NDArray[np.int64]:
    """Draw rows so that each class of each group has as many images.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        0 or more.
    sensitive_features : DataFrame, mapping or array_like of n rows
        As in `by_group`. Images without a value are left out.
    by : str, optional
        As in `reweighing`.
    how : {"over", "under"}
        Repeat images, until each class of each group has as many as the largest; or leave images
        out, until it has as many as the smallest.
    seed : int
        Of the draw.

    Returns
    -------
    ndarray of int64, shape (m,)
        Positions for `FaceDataset.select`, in ascending order.

    Raises
    ------
    ConfigurationError
        As in `by_group`, or if `how` is not known or there is but one class in one group.
    LabelError
        If a label is no integer of 0 or more.

    Examples
    --------
    >>> age = {"age": ["old", "young", "young", "young"]}
    >>> balanced_rows([0, 0, 0, 0], age, how="over").tolist()
    [0, 0, 0, 1, 2, 3]
    """
    if how not in ("over", "under"):
        raise ConfigurationError(f"how={how!r}: expected 'over' or 'under'")
    classes, feature = _classes_and_groups(labels, sensitive_features, by)
    known = np.array(feature.groups)[feature.codes] != MISSING
    rows = np.flatnonzero(known)
    cells = (feature.codes * (int(classes.max()) + 1) + classes)[rows]
    if len(np.unique(cells)) < 2:
        raise ConfigurationError(
            f"{len(rows)} images of one class and one group of {feature.name!r}: expected more "
            "to balance"
        )
    sampler = RandomOverSampler if how == "over" else RandomUnderSampler
    drawn = sampler(random_state=seed)
    drawn.fit_resample(rows[:, None], cells)
    return np.sort(rows[drawn.sample_indices_])


def repeat_groups(
    sensitive_features: Any, times: Mapping[str, int], *, by: str | None = None
) -> NDArray[np.int64]:
    """Repeat the rows of some groups, for an augmentation that changes each of them every time.

    Parameters
    ----------
    sensitive_features : DataFrame, mapping or array_like of n rows
        As in `by_group`.
    times : mapping of str to int
        How often each image of a group stands in the result, 1 or more; other groups' once.
    by : str, optional
        As in `reweighing`.

    Returns
    -------
    ndarray of int64, shape (m,)
        Positions for `FaceDataset.select`, in ascending order.

    Raises
    ------
    ConfigurationError
        As in `by_group`, or if a group is not there or its number is below 1.

    Examples
    --------
    >>> repeat_groups({"age": ["old", "young", "young"]}, {"old": 3}).tolist()
    [0, 0, 0, 1, 2]
    """
    feature = check_one_feature(sensitive_features, None, by)
    unknown = [group for group in times if group not in feature.groups]
    if unknown or any(number < 1 for number in times.values()):
        raise ConfigurationError(
            f"times={dict(times)}: expected 1 or more for some of {', '.join(feature.groups)}"
        )
    numbers = np.array([times.get(group, 1) for group in feature.groups])
    return np.repeat(np.arange(len(feature.codes)), numbers[feature.codes])


@dataclass(frozen=True)
class GroupThresholds:
    """Thresholds of the probability, one or two for each group; see `fit_thresholds`.

    Parameters
    ----------
    optimizer : fairlearn.postprocessing.ThresholdOptimizer
        Fitted.
    feature : str or None
        The feature whose groups it knows.
    groups : tuple of str
        These groups.
    """

    optimizer: Any
    feature: str | None
    groups: tuple[str, ...]

    def predict(
        self, probabilities: ArrayLike, sensitive_features: Any, *, seed: int = 0
    ) -> NDArray[np.int64]:
        """Decide between the two classes.

        Parameters
        ----------
        probabilities : array_like of float, shape (n, 2) or (n,)
            Of both classes, or of the second.
        sensitive_features : DataFrame, mapping or array_like of n rows
            Without missing values.
        seed : int
            Where a group has two thresholds, what lies between them is decided by lot.

        Returns
        -------
        ndarray of int64, shape (n,)
            0 or 1.

        Raises
        ------
        ConfigurationError
            If probabilities are none, lengths do not fit, or a group has no threshold.
        """
        scores = _two_columns(probabilities)
        feature = check_one_feature(sensitive_features, len(scores), self.feature)
        unknown = [group for group in feature.groups if group not in self.groups]
        if unknown:
            raise ConfigurationError(
                f"no threshold for {', '.join(unknown)}: expected groups among "
                f"{', '.join(self.groups)}"
            )
        decided = self.optimizer.predict(
            scores, sensitive_features=_names(feature), random_state=seed
        )
        return np.asarray(decided).astype(np.int64)


def fit_thresholds(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    sensitive_features: Any,
    *,
    by: str | None = None,
    constraint: str = "equalized_odds",
    objective: str = "accuracy_score",
) -> GroupThresholds:
    """Choose thresholds for each group, so that a rate becomes the same in all of them.

    The network stays as it is; fairlearn's ``ThresholdOptimizer`` (Hardt, Price and Srebro 2016)
    finds the thresholds with the best objective that meet the constraint. It often meets it by
    making some groups worse, and by deciding some images by lot; whoever uses it has to know each
    person's group. Fit on validation images, score on others.

    Parameters
    ----------
    y_true : array_like of int, shape (n,)
        0 or 1; each group has both.
    probabilities : array_like of float, shape (n, 2) or (n,)
        Of both classes (rows sum to 1), or of the second.
    sensitive_features : DataFrame, mapping or array_like of n rows
        As in `by_group`, without missing values.
    by : str, optional
        As in `reweighing`.
    constraint : str
        ``equalized_odds``, ``demographic_parity``, ``true_positive_rate_parity``,
        ``false_positive_rate_parity``, ``true_negative_rate_parity`` or
        ``false_negative_rate_parity``.
    objective : str
        ``accuracy_score`` or ``balanced_accuracy_score``.

    Returns
    -------
    GroupThresholds

    Raises
    ------
    ConfigurationError
        If probabilities are none, lengths do not fit, values are missing, a group has one class
        alone, or constraint or objective are not known.
    LabelError
        If a label is not 0 or 1.

    Examples
    --------
    >>> y_true, age = [0, 0, 1, 1] * 2, ["old"] * 4 + ["young"] * 4
    >>> probabilities = [0.1, 0.2, 0.3, 0.4, 0.1, 0.2, 0.8, 0.9]
    >>> thresholds = fit_thresholds(y_true, probabilities, age)
    >>> thresholds.predict(probabilities, age).tolist()
    [0, 0, 1, 1, 0, 0, 1, 1]
    """
    scores = _two_columns(probabilities)
    labels = check_classes("y_true", y_true, 2)
    if labels.shape != (len(scores),):
        raise ConfigurationError(f"{len(labels)} labels and {len(scores)} probabilities")
    feature = check_one_feature(sensitive_features, len(labels), by)
    alone = [
        group
        for code, group in enumerate(feature.groups)
        if len(np.unique(labels[feature.codes == code])) < 2
    ]
    if alone or MISSING in feature.groups:
        raise ConfigurationError(
            f"groups {', '.join(feature.groups)} of {feature.name!r}: expected known ones with "
            f"images of both classes{', not so ' + ', '.join(alone) if alone else ''}"
        )
    optimizer = ThresholdOptimizer(
        estimator=_Given(),
        constraints=constraint,
        objective=objective,
        prefit=True,
        predict_method="predict_proba",
    )
    try:
        optimizer.fit(scores, labels, sensitive_features=_names(feature))
    except ValueError as error:
        raise ConfigurationError(f"thresholds of {feature.name!r}: {error}") from error
    return GroupThresholds(optimizer, by, feature.groups)


class _Given(BaseEstimator):
    """Hands over the probabilities that a network gave already."""

    def fit(self, scores: NDArray[np.float64], labels: NDArray[np.int64]) -> "_Given":
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict_proba(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        return scores


def _two_columns(probabilities: ArrayLike) -> NDArray[np.float64]:
    scores = np.asarray(probabilities, float)
    if scores.ndim == 1:
        scores = np.stack([1 - scores, scores], axis=1)
    if scores.ndim != 2 or scores.shape[1] != 2 or not len(scores):
        raise ConfigurationError(
            f"probabilities of shape {np.shape(probabilities)}: expected (n, 2), or (n,) of the "
            "second class"
        )
    wrong = ~((scores >= 0) & (scores <= 1)).all(axis=1) | (np.abs(scores.sum(1) - 1) > 1e-3)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ConfigurationError(
            f"probabilities {scores[row].tolist()} in row {row}: expected 0 to 1, with the sum 1"
        )
    return scores


def _classes_and_groups(
    labels: ArrayLike, sensitive_features: Any, by: str | None
) -> tuple[NDArray[np.int64], Feature]:
    found = np.asarray(labels)
    if found.ndim != 1 or not found.size:
        raise ConfigurationError(f"labels of shape {found.shape}: expected (n,), n at least 1")
    highest = int(found.max()) + 1 if found.dtype.kind in "iu" else 2
    classes = check_classes("labels", found, max(highest, 2))
    return classes, check_one_feature(sensitive_features, len(classes), by)


def _names(feature: Feature) -> NDArray[Any]:
    return np.array(feature.groups, dtype=object)[feature.codes]

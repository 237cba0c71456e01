"""Two searches of one space for the same budget, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any

from emohelpers.errors import ConfigurationError

__all__ = ["PLANS", "Plan"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a grid search and successive halving try, and what they may spend.

    Parameters
    ----------
    dataset : str
        See `emohelpers.datasets.load`.
    grid : mapping of str to sequence
        For each hyperparameter of `FaceClassifier`, ``learning_rate`` among them, the values of
        the grid. Halving draws from the same values, but the rate from all between the lowest and
        the highest (log-uniform).
    grid_images : int
        Images that each point of the grid is trained with.
    candidates : int
        How many halving begins with.
    first_images : int
        Images that each of these is trained with; at each further rung a third of the candidates,
        those with the best accuracies, are trained with three times as many.
    size : int
        Height and width of the faces in pixels; they are grey.
    network_options : mapping, optional
        Of the builder, see `FaceClassifier`.

    Raises
    ------
    ConfigurationError
        If the two may not see equally many images.

    Examples
    --------
    >>> plan = PLANS["fer2013"]
    >>> plan.points, plan.rungs
    (24, ((27, 6000), (9, 18000), (3, 54000), (1, 162000)))
    >>> plan.budget
    648000
    """

    dataset: str
    grid: Mapping[str, Sequence[Any]]
    grid_images: int
    candidates: int
    first_images: int
    size: int = 48
    network_options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        spent = sum(candidates * images for candidates, images in self.rungs)
        if spent != self.budget:
            raise ConfigurationError(
                f"{self.budget:,} images for the grid and {spent:,} for halving: expected as many"
            )

    @property
    def points(self) -> int:
        """Points of the grid."""
        return prod(len(values) for values in self.grid.values())

    @property
    def budget(self) -> int:
        """Images that all trainings of a search see together."""
        return self.points * self.grid_images

    @property
    def rungs(self) -> tuple[tuple[int, int], ...]:
        """Candidates and images of each rung of halving."""
        rungs = [(self.candidates, self.first_images)]
        # As many, and rounded up, as scikit-learn does it.
        while 3 ** len(rungs) <= self.candidates:
            candidates, images = rungs[-1]
            rungs.append((-(-candidates // 3), 3 * images))
        return tuple(rungs)


_GRID: dict[str, Sequence[Any]] = {
    "learning_rate": (3e-4, 3e-3, 3e-2),
    "batch_size": (32, 128),
    "activation": ("relu", "elu"),
    "optimizer": ("adam", "sgd"),
}

PLANS: Mapping[str, Plan] = MappingProxyType(
    {
        "fer2013": Plan(
            dataset="fer2013", grid=_GRID, grid_images=27_000, candidates=27, first_images=6_000
        ),
        "toyfaces": Plan(
            dataset="toyfaces",
            grid=_GRID | {"activation": ("relu",)},
            grid_images=9_000,
            candidates=9,
            first_images=4_000,
            size=24,
        ),
    }
)
"""A plan for each data set, set before anything was trained by it."""

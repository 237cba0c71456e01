"""What made faces are worth, on one footing with other ways; what is done stays on disk."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emohelpers._settings import keep_settings
from emohelpers.datasets import FaceDataset
from emohelpers.datasets.learnedfaces import Sampler
from emohelpers.errors import ConfigurationError
from emohelpers.generation._likeness import asked, memory, reconstruction
from emohelpers.generation._rows import COLUMNS
from emohelpers.generation._train import Plan, train
from emohelpers.generation._work import Work
from emohelpers.generation._worth import alone, rare
from emohelpers.imbalance import BASES
from emohelpers.recipes import Recipe

__all__ = ["Study", "study"]


@dataclass(frozen=True)
class Study:
    """What `study` found.

    Parameters
    ----------
    table : DataFrame
        A row for each figure.
    sampler : Sampler
        With the guidance that was chosen.
    """

    table: pd.DataFrame
    sampler: Sampler


def study(
    faces: FaceDataset,
    *,
    directory: str | Path,
    plan: Plan | None = None,
    judge: Any = None,
    base: Recipe | None = None,
    guidances: Sequence[float] = (0.0, 1.0, 2.0),
    per_emotion: int = 1500,
    seeds: Sequence[int] = (0, 1, 2),
    verbose: int | str = "auto",
) -> Study:
    """Train a generator on a data set and ask what its faces are worth.

    - ``reconstruction``: what the codes keep of test faces.
    - ``rare``: a small network learns from the training faces as they are, with copies of the
      rare classes, with SMOTE's, or with made faces, always for the same number of steps; scored on
      the validation split, as `emohelpers.imbalance` does.
    - ``alone``: the same network learns from made faces alone, from as many toy faces, or from the
      training faces. The guidance and each epoch are chosen on the validation split; the test split
      is scored once.
    - ``memory``: how near made faces come to the nearest training face or its mirror image, and how
      near faces come that the generator has not seen.

    Started again with the same arguments it goes on where it was stopped.

    Parameters
    ----------
    faces : FaceDataset
        With training, validation and test split.
    directory : path
        For all trainings and what was drawn.
    plan : Plan, optional
        Of the generator; that of `learnedfaces` without it.
    judge : keras.Model, optional
        Names the emotions of these faces, and makes the features in which nearness is taken beside
        pixels.
    base : Recipe, optional
        Of the small network; that of `emohelpers.imbalance.BASES` for the data set without it.
    guidances : sequence of float
        From which to choose, see `emohelpers.datasets.learnedfaces.Sampler.draw`.
    per_emotion : int
        Made faces of each emotion to learn from alone.
    seeds : sequence of int
        Of the small networks.
    verbose : int or "auto"
        Of the trainings.

    Returns
    -------
    Study
        The table's columns: ``study``, ``scored_on``, ``what``, ``against`` (what a difference is
        taken to), ``measure``, ``n`` (faces scored), ``seeds``, and ``value`` with its 95% interval
        ``low`` to ``high``.

    Raises
    ------
    ConfigurationError
        If a split is empty, an argument is out of its range, or `directory` holds another study.
    LabelError
        If a face has no label.
    """
    directory = Path(directory)
    plan = plan or Plan()
    if base is None:
        if faces.name not in BASES:
            raise ConfigurationError(
                f"no recipe for {faces.name}: expected base, or one of {', '.join(BASES)}"
            )
        base = BASES[faces.name]
    if not len(guidances) or not len(seeds) or per_emotion < 1:
        raise ConfigurationError(
            f"{len(guidances)} guidances, {len(seeds)} seeds, per_emotion={per_emotion}: expected "
            "one or more each"
        )
    faces.check_labelled()
    parts = {name: faces.split(name) for name in ("train", "validation", "test")}
    empty = [name for name, part in parts.items() if not len(part)]
    if empty:
        raise ConfigurationError(f"no faces in {', '.join(empty)}: expected some in each split")
    base = replace(base, size=faces.images.shape[1], emotions=tuple(faces.class_names))
    settings = {
        "plan": asdict(plan),
        "base": asdict(base),
        "judge": judge.name if judge is not None else None,
        "faces": {name: np.bincount(part.labels).tolist() for name, part in parts.items()},
        "per_emotion": per_emotion,
    }
    keep_settings(directory, settings, of="a study with other faces, networks or schedules")
    generator = train(faces, directory=directory / "generator", plan=plan, verbose=verbose)
    work = Work(faces, generator, directory, base, tuple(seeds), verbose)
    of_alone, guidance = alone(work, per_emotion, guidances)
    sampler = generator.sampler()
    sampler.guidance = guidance
    rows = [
        *reconstruction(work, judge),
        *rare(work, sampler),
        *of_alone,
        *(asked(work, sampler, judge) if judge is not None else []),
        *memory(work, sampler, judge),
    ]
    return Study(pd.DataFrame(rows)[list(COLUMNS)].round(4), sampler)

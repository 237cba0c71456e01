"""Networks that are trained for the same time of the processor, whatever a step of each takes."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers._replacing import replacing
from emohelpers.ablation._compare import compare
from emohelpers.ablation._steps import BASE, Step, changed
from emohelpers.datasets import FaceDataset, load
from emohelpers.errors import ConfigurationError
from emohelpers.evaluation import predict, protocol, training_rows
from emohelpers.publishing import SavedModel
from emohelpers.recipes import Recipe, train

__all__ = ["NETWORKS", "TIMED", "Contender", "EqualTime", "equal_time"]

# How often the training is scored on the validation split, of which the best is kept.
_PERIODS, _TRY_PERIODS = 8, 2
_TRY_SHARE = 1 / 4  # of the time of the whole training
_WARMUP = 0.05  # of the steps
_SHIFT = 2  # the severity of `emohelpers.robustness.corrupt` in which faces move by 4 of 48 pixels


@dataclass(frozen=True)
class Contender(Step):
    """A network, and how it is trained.

    Parameters
    ----------
    change : str
        What it is, in a few words.
    fields : mapping
        Of the recipe, see `Step`.
    rates : sequence of float
        The learning rates that are tried. Have as many for each network, as far apart.
    """

    rates: Sequence[float] = (1e-3,)


TIMED: Recipe = replace(
    BASE,
    name="equal-time",
    summary="FER2013's labels alone, the same for every network.",
    votes=0.0,
    expected_labels=False,
    # So short a training has no time for mixtures, and more steps of fewer images serve it better.
    mixup=0.0,
    batch_size=64,
    optimizer_options={},
)
"""What all networks have in common: data, augmentation, loss, batches and schedule."""

NETWORKS: Mapping[str, Contender] = MappingProxyType(
    {
        "compact_cnn": Contender(
            "seven convolutions, SGD with momentum as in fer-compact",
            {
                "network": "compact_cnn",
                "optimizer": "SGD",
                "optimizer_options": {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-3},
            },
            rates=(0.03, 0.1),
        ),
        "cct": Contender(
            "a compact convolutional transformer of as many parameters, AdamW",
            {
                "network": "compact_convolutional_transformer",
                # The other has neither, and for so short a training less is better.
                "network_options": {"attention_dropout": 0.0, "stochastic_depth": 0.0},
                "optimizer": "AdamW",
                "optimizer_options": {"weight_decay": 0.05},
            },
            rates=(5e-4, 1.5e-3),
        ),
    }
)
"""The networks of ``emohelpers equal-time``. The first is what the others are compared with."""


class EqualTime(NamedTuple):
    """What `equal_time` found.

    Attributes
    ----------
    table : DataFrame
        A row for each ``setting`` (``equal time``, then ``equal steps``), ``part`` of the protocol,
        ``figure`` and ``network``: ``n`` images, ``value``, ``low`` and ``high``, its 95% interval,
        ``difference`` to the first network with ``difference_low`` and ``difference_high``, of the
        same images; then of the training ``parameters``, ``learning_rate``, ``steps``, ``passes``
        over the training images, ``step_seconds`` (measured beforehand) and ``cpu_seconds`` (used
        in the end). The figures are ``accuracy``; ``accuracy, 2 views``, with the mirror image, and
        ``gain by 2 views``; ``same answer, shifted``, the share of faces that are named as before
        when they are moved by a twelfth of the side.
    curves : DataFrame
        A row for each scoring of each training on the validation split, the tries of the learning
        rates first: ``setting``, ``network``, ``learning_rate``, ``steps``, ``passes``,
        ``cpu_seconds`` and ``val_accuracy``.
    """

    table: pd.DataFrame
    curves: pd.DataFrame


def equal_time(
    path: str | Path | None,
    *,
    directory: str | Path,
    base: Recipe = TIMED,
    networks: Mapping[str, Contender] = NETWORKS,
    minutes: float = 7.0,
    seed: int = 0,
    faces: FaceDataset | None = None,
    cache: str | Path | None = None,
    verbose: int | str = "auto",
) -> EqualTime:
    """Train networks for the same time of the processor, and compare them on the same images.

    The time that a step takes is measured first, a network after the other and again, in the
    trainings themselves. What the time allows is then a number of steps, and the cosine schedule
    ends at the last of them. Each learning rate is tried in a quarter of the time; the validation
    split chooses the rate, and the best of the 8 scorings of a training. Then all networks are
    trained once more for as many steps as the slowest had. At the very end all parts are scored.

    The threads should be one (``TF_NUM_INTRAOP_THREADS=1`` on TensorFlow): the processor's time
    counts all of them, also while they wait for each other.

    Started again with the same arguments it goes on where it was stopped.

    Parameters
    ----------
    path : path, optional
        Where the data set of `base` lies.
    directory : path
        Gets ``step_seconds.json``, and a folder for each training.
    base : Recipe
        What the networks have in common.
    networks : mapping of str to Contender
        Two or more; the first is what the others are compared with.
    minutes : float
        Of the processor's time for the training of each network, above 0; the scoring on the
        validation split is not counted.
    seed : int
        Of the trainings. Another seed gives other networks, which the intervals do not show.
    faces : FaceDataset, optional
        In place of what lies at `path`, see `emohelpers.recipes.train`.
    cache, verbose
        See `emohelpers.recipes.train`.

    Returns
    -------
    EqualTime
        The table of figures, and the curves of the trainings.

    Raises
    ------
    ConfigurationError
        If there are fewer than two networks, one has no rate, the time is too short for a step in
        each scoring, or `directory` holds other trainings.
    """
    if len(networks) < 2 or not all(network.rates for network in networks.values()):
        raise ConfigurationError(
            f"networks {', '.join(networks) or 'none'}: expected two or more, each with a learning "
            "rate"
        )
    if not 0 < minutes < np.inf:
        raise ConfigurationError(f"minutes={minutes}: expected above 0")
    directory = Path(directory)
    if faces is None:
        faces = load(base.dataset, path, size=base.size, color=base.color, cache=cache)
        faces = faces.keep_classes(base.emotions)
    recipes = {name: changed(base, name, network) for name, network in networks.items()}
    seconds = _step_seconds(recipes, faces, directory)
    trainer = _Trainer(faces, directory, seed, verbose)

    def steps(name: str, share: float, periods: int) -> int:
        count = int(60 * minutes * share / seconds[name] / periods) * periods
        if count < periods:
            raise ConfigurationError(
                f"minutes={minutes:g}: a step of {name} takes {seconds[name]:.3f} s: expected time "
                f"for {periods} steps in {share:g} of it"
            )
        return count

    tries = {name: steps(name, _TRY_SHARE, _TRY_PERIODS) for name in networks}
    longest = {name: steps(name, 1.0, _PERIODS) for name in networks}
    tried: dict[str, dict[float, _Trained]] = {name: {} for name in networks}
    for place in range(max(len(network.rates) for network in networks.values())):
        for name, network in networks.items():
            for rate in network.rates[place : place + 1]:
                recipe = replace(recipes[name], learning_rate=rate)
                tried[name][rate] = trainer.train(
                    f"{name}-rate-{rate:g}", recipe, tries[name], _TRY_PERIODS
                )
    for name, found in tried.items():
        best = max(found, key=lambda rate: found[rate].best)
        recipes[name] = replace(recipes[name], learning_rate=best)
    timed = {
        name: trainer.train(f"{name}-time", recipe, longest[name], _PERIODS)
        for name, recipe in recipes.items()
    }
    fewest = min(longest.values())
    stepped = {
        name: timed[name]
        if longest[name] == fewest
        else trainer.train(f"{name}-steps", recipe, fewest, _PERIODS)
        for name, recipe in recipes.items()
    }
    tables = _tables({"equal time": timed, "equal steps": stepped}, seconds, faces)
    curves = [
        trained.curve.assign(setting=setting, network=name)
        for setting, name, trained in (
            *(("learning rate", name, one) for name, by in tried.items() for one in by.values()),
            *(("equal time", name, one) for name, one in timed.items()),
            *(("equal steps", name, one) for name, one in stepped.items()),
        )
    ]
    joined = pd.concat(curves, ignore_index=True)
    first = ["setting", "network"]
    return EqualTime(tables, joined[[*first, *joined.columns.drop(first)]])


def _step_seconds(
    recipes: Mapping[str, Recipe], faces: FaceDataset, directory: Path
) -> dict[str, float]:
    """Return how long a step of each training takes: from disk, or else measured."""
    from emohelpers.ablation._clock import Clock

    kept = directory / "step_seconds.json"
    if kept.exists():
        known: dict[str, float] = json.loads(kept.read_text())
        if set(known) != set(recipes):
            raise ConfigurationError(
                f"{kept} is of {', '.join(known)}: expected {', '.join(recipes)}, or a new folder"
            )
        return known
    validation = faces.table["split"].isin(faces.split("validation").table["split"].unique())
    few = faces.select((~validation | (validation.cumsum() <= 64)).to_numpy(bool))
    found: dict[str, list[float]] = {name: [] for name in recipes}
    for _ in range(2):  # one after the other and again, so that what else happens meets both
        for name, recipe in recipes.items():
            with tempfile.TemporaryDirectory() as place:
                short = _for_steps(replace(recipe, learning_rate=1e-4), 48, 6)
                clock = Clock(Path(place) / "clock.json")
                train(short, directory=place, faces=few, callbacks=[clock], verbose=0)
                # The first epoch also traces the graph.
                found[name] += [clock.seconds[str(epoch)] / 8 for epoch in range(1, 6)]
    seconds = {name: float(np.median(values)) for name, values in found.items()}
    directory.mkdir(parents=True, exist_ok=True)
    with replacing(kept) as beside:
        beside.write_text(json.dumps(seconds))
    return seconds


def _for_steps(recipe: Recipe, steps: int, periods: int) -> Recipe:
    """Return a recipe whose epochs are so many equal periods of so many steps in all."""
    return replace(
        recipe, epochs=periods, steps_per_epoch=steps // periods, warmup=_WARMUP * periods
    )


class _Trained(NamedTuple):
    saved: SavedModel
    best: float
    curve: pd.DataFrame
    about: dict[str, Any]


class _Trainer(NamedTuple):
    faces: FaceDataset
    directory: Path
    seed: int
    verbose: int | str

    def train(self, place: str, recipe: Recipe, steps: int, periods: int) -> _Trained:
        """Train a recipe for so many steps, or go on with it, or read what it came to."""
        from emohelpers.ablation._clock import Clock

        directory = self.directory / place
        directory.mkdir(parents=True, exist_ok=True)
        clock = Clock(directory / "clock.json")
        saved = train(
            _for_steps(recipe, steps, periods),
            directory=directory,
            faces=self.faces,
            seed=self.seed,
            callbacks=[clock],
            verbose=self.verbose,
        )
        history = pd.read_csv(directory / "history.csv")
        done = history["epoch"] * (steps // periods)
        per_pass = len(training_rows(self.faces)) / recipe.batch_size
        used = np.cumsum([clock.seconds[str(epoch)] for epoch in range(periods)])
        curve = pd.DataFrame(
            {
                "learning_rate": recipe.learning_rate,
                "steps": done,
                "passes": (done / per_pass).round(2),
                "cpu_seconds": used.round(1),
                "val_accuracy": history["val_accuracy"].round(4),
            }
        )
        about: dict[str, Any] = {"parameters": saved.model.count_params()}
        for column in ("learning_rate", "steps", "passes", "cpu_seconds"):
            about[column] = curve[column].iloc[-1]
        return _Trained(saved, float(history["val_accuracy"].max()), curve, about)


def _tables(
    settings: Mapping[str, Mapping[str, _Trained]], seconds: Mapping[str, float], faces: FaceDataset
) -> pd.DataFrame:
    """Compare the networks of each setting, and say how each was trained."""
    answers: dict[Path, dict[tuple[str, str], NDArray[Any]]] = {}
    tables = []
    for setting, trainings in settings.items():
        for trained in trainings.values():
            place = trained.saved.directory
            if place not in answers:  # the slowest network stands in both settings
                answers[place] = _answers(trained.saved, faces)
        about = pd.DataFrame({name: trained.about for name, trained in trainings.items()}).T
        about["step_seconds"] = [round(seconds[name], 4) for name in trainings]
        table = _compared(
            {name: answers[trained.saved.directory] for name, trained in trainings.items()}
        )
        table.insert(0, "setting", setting)
        tables.append(table.join(about, on="network"))
    return pd.concat(tables, ignore_index=True).astype({"parameters": int, "steps": int})


def _answers(saved: SavedModel, faces: FaceDataset) -> dict[tuple[str, str], NDArray[Any]]:
    """Return, for each part of the protocol and each figure, what its mean is made of."""
    from emohelpers.robustness import corrupt

    found: dict[tuple[str, str], NDArray[Any]] = {}
    for part, images in protocol(faces).items():
        moved = corrupt(images.images[:], "shift", _SHIFT)
        one, two, shifted = (
            predict(saved.model, pixels, views=views).argmax(axis=1)
            for pixels, views in ((images.images, 1), (images.images, 2), (moved, 1))
        )
        right, with_mirror = one == images.labels, two == images.labels
        found[part, "accuracy"] = right
        found[part, "accuracy, 2 views"] = with_mirror
        found[part, "gain by 2 views"] = with_mirror * 1.0 - right
        found[part, "same answer, shifted"] = shifted == one
    return found


def _compared(answers: Mapping[str, Mapping[tuple[str, str], NDArray[Any]]]) -> pd.DataFrame:
    """Compare networks by their answers on each part of the protocol."""
    tables = []
    for part, figure in next(iter(answers.values())):
        of_networks = {name: found[part, figure][None] for name, found in answers.items()}
        table = compare(of_networks).rename(columns={"step": "network", "accuracy": "value"})
        table.insert(0, "part", part)
        table.insert(1, "figure", figure)
        table.insert(3, "n", next(iter(of_networks.values())).shape[1])
        tables.append(table)
    return pd.concat(tables, ignore_index=True)

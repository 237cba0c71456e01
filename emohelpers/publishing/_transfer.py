"""How well networks travel: each of them on the data sets that the others learned from."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.datasets import FaceDataset, person_groups
from emohelpers.errors import ConfigurationError
from emohelpers.publishing._files import read_recipe
from emohelpers.publishing._metrics import _out_of_fold
from emohelpers.publishing._models import SavedModel, open_model

__all__ = ["TRAVELLERS", "transfer_matrix"]

TRAVELLERS = (
    "fer-compact",
    "fer-large",
    "ferplus-compact",
    "four-emotions-authors",
    "four-emotions",
    "eight-emotions",
    "smile-authors",
    "smile",
    "toy-baseline",
)
"""The published networks of the matrix: by source, those that learned from it alone first."""

_PAIR = ("happiness", "neutral")
_TASKS = ("happiness or neutral", "all classes in common")
# Of what `protocol` names, the first that is there: images that chose nothing come first.
_PARTS = ("PrivateTest", "test", "agreed-test", "agreed", "all-test", "all")


def transfer_matrix(
    networks: Sequence[str | Path],
    test_sets: Sequence[Mapping[str, Any]],
    *,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Score every network on every data set, over the classes that both know.

    A network says one class of those in common: the others' probabilities are left out and the
    rest scaled to sum to 1 (see `emohelpers.evaluation.restrict`). Happiness against neutral is a
    task that all networks and data sets share, which puts the whole matrix on one footing.

    Parameters
    ----------
    networks : sequence of str or path
        Published networks by name, or folders, see `emohelpers.models.saved_folder`.
    test_sets : sequence of mapping
        Arguments of `SavedModel.load`: ``dataset``, ``path``, ``crop`` and so on. Labels are the
        source's own, also for a network that learned what most raters saw.
    n_bootstrap, seed : int
        How many draws the intervals are made of, and of these draws.

    Returns
    -------
    DataFrame
        Two rows for each network and test set: ``network``; ``learned_from``, the data sets that
        it, its backbone and its teachers learned from, its own last; ``dataset``, ``crop`` and
        ``part`` of the images, none of which the network learned from or had its epoch chosen by
        (FER2013: PrivateTest; otherwise all, the test part, or out-of-fold, see `metrics`);
        ``seen`` (``own`` where the network learned from that data set, ``before`` where only its
        backbone or a teacher did, otherwise ``never``); ``task`` (``happiness or neutral`` or ``all
        classes in common``) and its ``classes``; ``n`` images; ``drawn``, what the intervals draw:
        images, or persons (see `emohelpers.datasets.person_groups`) where the source names them;
        ``accuracy`` and ``majority``, that of always answering the most frequent class;
        ``balanced_accuracy`` and ``chance``, that of any constant answer; ``recall_happiness`` and
        ``recall_neutral``; and, for happiness or neutral, ``difference``: balanced accuracy less
        that of ``home``, the network that scores highest among those whose own data set it is, on
        the images that both have answered. Figures have their 95% interval in ``NAME_low`` and
        ``NAME_high``; that of a difference draws the same images, or persons, for both networks.

    Raises
    ------
    ConfigurationError
        If a network or a data set does not know happiness and neutral.
    EmohelpersError
        If a network or a data set can not be read.
    """
    from emohelpers import models

    rows: list[dict[str, Any]] = []
    answers: list[pd.DataFrame] = []
    persons: dict[int, NDArray[Any]] = {}
    for name in networks:
        saved = open_model(models.saved_folder(name))
        learned_from = _learned_from(saved.recipe, saved.directory.parent)
        # The same labels for all, whatever a network learned.
        saved = replace(saved, recipe={**saved.recipe, "labels": "source"})
        for place, options in enumerate(test_sets):
            faces = saved.load(**options)
            if place not in persons:  # the same images in another size show the same persons
                persons[place] = (
                    np.array(person_groups(faces), dtype=object)
                    if "person" in faces.table
                    else np.arange(len(faces))
                )
            table = faces.table.assign(place=np.arange(len(faces)), drawn=persons[place])
            part, images, shares, known = _answer(saved, replace(faces, table=table))
            crop = options.get("crop")
            for task in _TASKS:
                cell, found = _cell(
                    images,
                    shares,
                    known,
                    pair=task == _TASKS[0],
                    n_bootstrap=n_bootstrap,
                    seed=seed,
                )
                about = {
                    "network": saved.recipe["name"],
                    "learned_from": ", ".join(learned_from),
                    "dataset": faces.name,
                    "crop": saved.own_crop(options["dataset"]) if crop is None else crop,
                    "part": part,
                    "seen": _seen(faces.name, learned_from),
                    "task": task,
                }
                rows.append({**about, **found})
                answers.append(cell.assign(test_set=place))
    result = pd.DataFrame(rows)
    result = result.join(_differences(result, answers, n_bootstrap=n_bootstrap, seed=seed))
    return result.round(dict.fromkeys(result.select_dtypes("number"), 4))


def _learned_from(recipe: Mapping[str, Any], home: Path) -> tuple[str, ...]:
    """Name the data sets that a network, its backbone and its teachers learned from."""
    weights = recipe.get("network_options", {}).get("weights") or []
    names = [weights] if isinstance(weights, str) else [str(name) for name in weights]
    names += [recipe["teacher"]] if recipe.get("teacher") else []
    found: list[str] = []
    for name in names:
        published = (home / name / "recipe.json").is_file()
        found += _learned_from(read_recipe(home / name), home) if published else [name]
    own = recipe["dataset"]
    return (*dict.fromkeys(other for other in found if other != own), own)


def _seen(dataset: str, learned_from: Sequence[str]) -> str:
    if dataset == learned_from[-1]:
        return "own"
    return "before" if dataset in learned_from else "never"


def _answer(
    saved: SavedModel, faces: FaceDataset
) -> tuple[str, FaceDataset, NDArray[np.float32], Sequence[str]]:
    """Let a network answer the images that it had no part in; name that part and its classes."""
    from emohelpers import evaluation

    if saved.recipe.get("each_fold") and "fold" in faces.table:
        images, shares = _out_of_fold(saved, faces, views=1)
        return "out-of-fold", images, shares, images.class_names
    parts = evaluation.protocol(faces)
    part = next(name for name in (*_PARTS, *parts) if name in parts)
    images = parts[part]
    return part, images, evaluation.predict(saved.model, images.images), saved.class_names


def _cell(
    images: FaceDataset,
    shares: NDArray[np.float32],
    known: Sequence[str],
    *,
    pair: bool,
    n_bootstrap: int,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return what a network said of each image, and its figures."""
    from emohelpers import evaluation

    missing = [name for name in _PAIR if name not in known or name not in images.class_names]
    if missing:
        raise ConfigurationError(
            f"the network knows {', '.join(known)}, {images.name} has "
            f"{', '.join(images.class_names)}: expected {' and '.join(missing)} in both"
        )
    if pair:
        kept = np.isin(images.labels, [images.class_names.index(name) for name in _PAIR])
        images, shares = images.keep_classes(_PAIR), shares[kept]
    images, shares = evaluation.restrict(images, shares, known)
    by_person = "person" in images.table
    score = evaluation.score(
        images.labels,
        shares,
        images.class_names,
        n_bootstrap=n_bootstrap,
        groups=images.table["drawn"] if by_person else None,
        seed=seed,
    )
    counts = np.bincount(images.labels)
    found: dict[str, Any] = {
        "classes": ", ".join(images.class_names),
        "n": score["n"],
        "drawn": "persons" if by_person else "images",
        **_figure("accuracy", score["accuracy"]),
        "majority": counts.max() / counts.sum(),
        **_figure("balanced_accuracy", score["balanced_accuracy"]),
        "chance": 1 / len(images.class_names),
    }
    for name in _PAIR:
        found |= _figure(f"recall_{name}", score["per_class"][name]["recall"])
    names = np.array(images.class_names, dtype=object)
    said = pd.DataFrame(
        {
            "drawn": images.table["drawn"].to_numpy(),
            "label": names[images.labels],
            "predicted": names[shares.argmax(axis=1)],
        },
        index=images.table["place"].to_numpy(),
    )
    return said, found


def _figure(name: str, entry: Mapping[str, float]) -> dict[str, float]:
    return {name: entry["value"], f"{name}_low": entry["low"], f"{name}_high": entry["high"]}


def _differences(
    table: pd.DataFrame, answers: Sequence[pd.DataFrame], *, n_bootstrap: int, seed: int
) -> pd.DataFrame:
    """Compare each network with the best of those at home, on happiness or neutral."""
    columns = ["home", "difference", "difference_low", "difference_high"]
    rows: dict[int, list[Any]] = {}
    test_set = np.array([said["test_set"].iloc[0] for said in answers])
    for place in np.unique(test_set):
        group = table[table["task"].eq(_TASKS[0]) & (test_set == place)]
        own = group[group["seen"].eq("own")]
        if own.empty:
            continue
        best = int(own.index.to_numpy()[own["balanced_accuracy"].to_numpy().argmax()])
        for row in map(int, group.index.to_numpy()):
            if row != best:
                figures = _difference(
                    answers[row], answers[best], n_bootstrap=n_bootstrap, seed=seed
                )
                rows[row] = [table["network"].iloc[best], *figures]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _difference(
    first: pd.DataFrame, second: pd.DataFrame, *, n_bootstrap: int, seed: int
) -> tuple[float, float, float]:
    """Return balanced accuracy less another's on the same images, with its interval."""
    from emohelpers.evaluation._scores import confusion_metrics, draw_groups, group_counts

    both = first.join(second["predicted"].rename("other"), how="inner")
    labels = both["label"].eq(_PAIR[1]).to_numpy(np.int64)
    counts = np.hstack(
        [
            group_counts(2 * labels + both[name].eq(_PAIR[1]).to_numpy(), both["drawn"], n_cells=4)
            for name in ("predicted", "other")
        ]
    )
    drawn = draw_groups(counts, n_bootstrap=n_bootstrap, rng=np.random.default_rng(seed))
    every = np.vstack([counts.sum(axis=0), drawn]).reshape(-1, 2, 2, 2)
    balanced = confusion_metrics(every)["balanced_accuracy"]
    gains = balanced[:, 0] - balanced[:, 1]
    low, high = np.nanpercentile(gains[1:], [2.5, 97.5])
    return float(gains[0]), float(low), float(high)

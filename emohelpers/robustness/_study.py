"""Published networks against corrupted or attacked faces; what is done stays on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from emohelpers._settings import keep_settings
from emohelpers.datasets import FaceDataset
from emohelpers.datasets._base import SPLITS
from emohelpers.errors import ConfigurationError
from emohelpers.robustness._answers import (
    CLEAN,
    Answers,
    attacked_answers,
    probabilities,
    right,
)
from emohelpers.robustness._compare import by_group, compare
from emohelpers.robustness._corruptions import STRENGTHS

__all__ = ["study"]


def study(
    networks: Sequence[str | Path],
    path: str | Path | None = None,
    *,
    directory: str | Path,
    change: Literal["corruptions", "attacks"] = "corruptions",
    by: Sequence[str] = (),
    images: int | None = None,
    seed: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """Score published networks on corrupted or attacked images of the split they were tested on.

    That is a further scoring of networks that are done: nothing may be chosen by it. Started again
    with the same arguments it goes on after the last network that was done.

    Parameters
    ----------
    networks : sequence of str or path
        Names of published networks, or folders of networks.
    path : path, optional
        Where the data set that they learnt from lies.
    directory : path
        Gets the answers of each network; those of an ensemble are made of its members'.
    change : {"corruptions", "attacks"}
        See `correct_answers` and `attacked_answers`.
    by : sequence of str
        Columns of the data set: what each group loses (see `by_group`) in place of the figures of
        every strength.
    images : int, optional
        How many images to draw; without it, all.
    seed : int
        Of all draws.
    **options
        Of the data set's loader, see `emohelpers.publishing.SavedModel.load`.

    Returns
    -------
    DataFrame
        What `compare`, or with `by` `by_group`, returns of each network, after the columns
        ``network``, ``data`` (the data set and its part) and ``images``.

    Raises
    ------
    ConfigurationError
        If there is no network, or `directory` holds another study.
    EmohelpersError
        If the data or a network can not be read.
    """
    if change not in ("corruptions", "attacks"):
        raise ConfigurationError(f"change={change!r}: expected 'corruptions' or 'attacks'")
    if not len(networks):
        raise ConfigurationError("no networks: expected one or more")
    if images is not None and images < 1:
        raise ConfigurationError(f"images={images}: expected 1 or more")
    from emohelpers import models, publishing

    folders: dict[str, Path] = {}
    for name in networks:
        folder = models.saved_folder(name)
        if folders.setdefault(folder.resolve().name, folder) is not folder:
            raise ConfigurationError(f"two networks named {folder.resolve().name}: expected one")
    settings: dict[str, Any] = {"change": change, "images": images, "seed": seed}
    settings["strengths"] = {name: list(values) for name, values in STRENGTHS.items()}
    directory = Path(directory)
    keep_settings(directory, settings, of="another study")
    tables = []
    for name, folder in folders.items():
        saved = publishing.open_model(folder)
        dataset = saved.recipe["dataset"]
        faces = saved.load(dataset, path, **options).keep_classes(saved.class_names)
        part, scored = _part(faces)
        if images is not None and images < len(scored):
            drawn = np.random.default_rng(seed).permutation(len(scored))[:images]
            scored = scored.select(np.sort(drawn))
        if change == "corruptions":
            answers = _kept(saved, scored, directory, seed)
            correct = right(answers, scored)
        else:
            correct = _kept_attacks(saved, scored, directory, seed)
        if by:
            table = by_group(correct, scored.table, by=by, seed=seed)
        else:
            means = change == "corruptions"
            table = compare(correct, scored.labels, scored.class_names, means=means, seed=seed)
        table.insert(0, "network", name)
        table.insert(1, "data", f"{dataset} {part}")
        table.insert(2, "images", len(scored))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _kept(saved: Any, faces: FaceDataset, directory: Path, seed: int) -> Answers:
    """Return a network's probabilities: from disk, or else made and kept there."""
    from emohelpers import publishing

    members = saved.recipe.get("members")
    if members:  # whose answers may be there already
        beside = saved.directory.resolve().parent
        parts = [
            _kept(publishing.open_model(beside / name), faces, directory, seed) for name in members
        ]
        return {key: np.mean([part[key] for part in parts], axis=0) for key in parts[0]}
    path = directory / f"{saved.directory.resolve().name}.npz"
    if not path.exists():
        made = probabilities(saved.model, faces, seed=seed)
        _write(path, {f"{name} {severity:g}": shares for (name, severity), shares in made.items()})
    answers: Answers = {}
    with np.load(path) as file:
        for key in file.files:
            name, severity = key.split()
            answers[name, int(severity)] = file[key]
    _check_images(path, len(answers[CLEAN, 0]), len(faces))
    return answers


def _kept_attacks(saved: Any, faces: FaceDataset, directory: Path, seed: int) -> pd.DataFrame:
    """Return which attacked images a network gets right: from disk, or else found and kept."""
    path = directory / f"{saved.directory.resolve().name}.npz"
    if not path.exists():
        found = attacked_answers(saved.model, faces, seed=seed)
        kinds, strengths = (found.columns.get_level_values(level) for level in (0, 1))
        _write(
            path,
            {
                "correct": found.to_numpy(bool),
                "kinds": np.array(kinds, dtype=np.str_),
                "strengths": np.array(strengths),
            },
        )
    with np.load(path) as file:
        columns = pd.MultiIndex.from_arrays(
            [file["kinds"], file["strengths"]], names=("attack", "epsilon")
        )
        correct = pd.DataFrame(file["correct"], columns=columns)
    _check_images(path, len(correct), len(faces))
    return correct


def _write(path: Path, arrays: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp.npz")
    try:
        np.savez_compressed(temporary, **arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _check_images(path: Path, kept: int, now: int) -> None:
    if kept != now:
        raise ConfigurationError(
            f"{path} is of {kept:,} images and the data has {now:,}: continue with the same data, "
            "or choose another directory"
        )


def _part(faces: FaceDataset) -> tuple[str, FaceDataset]:
    """Return the part of the protocol that is for testing, with its name."""
    from emohelpers import evaluation

    parts = evaluation.protocol(faces)
    name = next((name for name in parts if name in SPLITS["test"]), next(iter(parts)))
    return name, parts[name]

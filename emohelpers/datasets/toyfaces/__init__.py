"""Toy faces: labelled faces drawn from known parameters, built in and free to share."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.datasets._base import EMOTIONS, FaceDataset
from emohelpers.datasets._cache import Built, ImageWriter, open_dataset
from emohelpers.datasets._drawn import checked_shape
from emohelpers.datasets.toyfaces._drawing import paint
from emohelpers.datasets.toyfaces._nuisance import photograph
from emohelpers.datasets.toyfaces._parameters import (
    ACTION_UNITS,
    AGE_GROUPS,
    EMFACS,
    FACES_PER_PERSON,
    GENDERS,
    GROUPS,
    MONK_SCALE,
    Faces,
    FaceStream,
    draw_people,
    emotion_shares,
    group_multipliers,
    group_shares,
)
from emohelpers.datasets.toyfaces._raters import vote
from emohelpers.errors import ConfigurationError

__all__ = [
    "ACTION_UNITS",
    "AGE_GROUPS",
    "EMFACS",
    "FACES_PER_PERSON",
    "FIXED_SHARES",
    "GENDERS",
    "MONK_SCALE",
    "load",
    "make_faces",
    "moved_pixels",
]

_CHUNK = 256
_VERSION = 2
"""Raised with every change of what is drawn, so that no older cache is taken for it."""

FIXED_SHARES = {
    "anger": 4953,
    "disgust": 547,
    "fear": 5121,
    "happiness": 8989,
    "sadness": 6077,
    "surprise": 4002,
    "neutral": 6198,
}
"""The class totals of FER2013 (Goodfellow et al. 2013), so that the fixed draw is as uneven."""

_SMALLEST = 24


def make_faces(
    n: int,
    *,
    size: int | tuple[int, int] = 48,
    color: bool = False,
    seed: int = 0,
    emotions: Sequence[str] | Mapping[str, float] = EMOTIONS[:7],
    difficulty: float | tuple[float, float] = 0.5,
    group_sizes: Mapping[str, Mapping[Any, float]] | None = None,
    group_quality: Mapping[Any, float] | None = None,
) -> FaceDataset:
    """Draw faces whose expression, identity, groups and image quality are known.

    Parameters
    ----------
    n : int
        How many; four consecutive faces are of the same person.
    size : int or (int, int)
        Side, or height and width, of the pictures in pixels, 24 to 512.
    color : bool
        Three channels (red, green, blue) instead of one.
    seed : int
        Of everything that is drawn. Face i depends on the seed and i alone, so that fewer faces
        are the first of more; the same seed gives the same bytes on every platform.
    emotions : sequence of str, or mapping of str to float
        The classes, in label order; a mapping gives their shares too.
    difficulty : float or (float, float)
        0 (frontal, strong, evenly lit) to 1 (weak, turned, dim, blurred, occluded); a pair draws
        each face's own evenly between two.
    group_sizes : mapping of str to mapping, optional
        For ``"age_group"``, ``"gender"`` or ``"skin_tone"`` the share of each value; what is not
        named is not drawn.
    group_quality : mapping, optional
        For a group (``"baby"``, ``"female"``, ``7``, ...) what its image quality is multiplied by,
        0 (dim, flat, blurred) to 1.

    Returns
    -------
    FaceDataset
        `images` uint8 in 0..255. The columns of its table are described in Notes.

    Raises
    ------
    ConfigurationError
        If an argument is out of its range or names an unknown emotion or group.

    Notes
    -----
    ``split`` (by person: 70% train, 15% validation, 15% test), ``file`` (a made-up name),
    ``person``, ``age_group``, ``gender``, ``skin_tone`` (1..10, Monk Skin Tone Scale),
    ``intensity`` (0 for neutral), ``quality`` (0..1), ``agreement`` (the probability that a rater
    names the drawn emotion), ``votes_<emotion>`` (of ten raters), ``au_<number>`` (strength of each
    action unit on its stronger side, 0 to 1.1), ``duplicate_of`` and ``leaks`` as for FER2013.

    Expressions follow EMFACS (Friesen and Ekman 1983), skin tones the Monk Skin Tone Scale (Monk
    2019, https://skintone.google).

    Examples
    --------
    >>> faces = make_faces(40, seed=1, color=True, size=64)
    >>> faces.images.shape, faces.images.dtype
    ((40, 64, 64, 3), dtype('uint8'))
    >>> bool((make_faces(10).images == make_faces(20).images[:10]).all())
    True
    """
    settings = _check(n, size, seed, emotions, difficulty, group_sizes, group_quality)
    height, width = settings["shape"]
    images = np.empty((n, height, width, 3 if color else 1), np.uint8)
    tables, done = [], 0
    for part, table in _draw(n, color=color, **settings):
        images[done : done + len(part)] = part
        tables.append(table)
        done += len(part)
    table = pd.concat(tables, ignore_index=True)
    labels = table.pop("label").to_numpy()
    return FaceDataset(images, labels, tuple(emotions), table, name="toyfaces")


def moved_pixels(
    n: int,
    *,
    units: Sequence[int] = ACTION_UNITS,
    size: int = 48,
    seed: int = 0,
    emotions: Sequence[str] | Mapping[str, float] = EMOTIONS[:7],
    difficulty: float | tuple[float, float] = 0.5,
) -> NDArray[np.uint8]:
    """Say where action units move the faces that `make_faces` draws with the same arguments.

    Each face is drawn a second time, with these units at rest, by the same person in the same
    pose, and the two are compared before light and camera change them.

    Parameters
    ----------
    n, size, seed, emotions, difficulty
        As in `make_faces`; pictures are square.
    units : sequence of int
        Which of `ACTION_UNITS` are put to rest; all of them without it.

    Returns
    -------
    ndarray of uint8, shape (n, size, size)
        By how many grey levels each pixel differs, 0 where nothing moves.

    Raises
    ------
    ConfigurationError
        If an argument is out of its range or names an unknown unit.

    Examples
    --------
    >>> moved = moved_pixels(4, units=[12], emotions=["happiness"])  # the corners of the mouth
    >>> upper, lower = moved[:, :24].mean(), moved[:, 24:].mean()
    >>> bool(lower > 20 * upper)
    True
    """
    settings = _check(n, size, seed, emotions, difficulty, None, None)
    places = [ACTION_UNITS.index(unit) for unit in units if unit in ACTION_UNITS]
    if len(places) != len(units):
        raise ConfigurationError(
            f"units={list(units)}: expected some of {', '.join(map(str, ACTION_UNITS))}"
        )
    moved = np.empty((n, size, size), np.uint8)
    stream = _stream(n, **{key: settings[key] for key in settings if key != "shape"})
    for first in range(0, n, _CHUNK):
        faces = stream.take(min(_CHUNK, n - first))
        resting = faces.units.copy()
        resting[:, places] = 0
        with_units = paint(faces, size=size, channels=1)
        still = replace(faces, units=resting)
        without = paint(still, size=size, channels=1, framed_as=faces)
        moved[first : first + len(faces)] = cv2.absdiff(with_units, without)[..., 0]
    return moved


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    size: int | tuple[int, int] | None = None,
    color: bool | None = None,
    cache: str | os.PathLike[str] | None = None,
    on_error: str = "raise",  # noqa: ARG001 - every loader has it, and nothing here can be bad
    n: int = 6000,
    seed: int = 0,
    emotions: Sequence[str] | Mapping[str, float] | None = None,
    difficulty: float | tuple[float, float] = 0.5,
    group_sizes: Mapping[str, Mapping[Any, float]] | None = None,
    group_quality: Mapping[Any, float] | None = None,
) -> FaceDataset:
    """Return a fixed draw of toy faces, memory-mapped from a cache.

    Parameters
    ----------
    path : None
        Nothing is read; a path is refused.
    size, color
        As in `make_faces`; None for 48 and grey.
    cache : path-like, optional
        The folder of all caches; None for the user's own.
    on_error : str
        Without effect: no toy face is bad.
    n, seed, difficulty, group_sizes, group_quality
        As in `make_faces`.
    emotions : sequence of str, or mapping of str to float, optional
        As in `make_faces`; None for the seven classes of FER2013 in its shares (disgust 1.5%,
        happiness 25%).

    Returns
    -------
    FaceDataset
        With splits by person: 70% train, 15% validation, 15% test.

    Raises
    ------
    ConfigurationError
        If an argument is out of its range or a path is given.
    CacheError
        If the cache can not be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     faces = load(n=200, cache=folder)
    ...     faces.counts()["total"].to_list()
    [28, 3, 29, 49, 35, 22, 34]
    """
    if path is not None:
        raise ConfigurationError(f"path={path!r}: expected none, toy faces are drawn, not read")
    chosen = FIXED_SHARES if emotions is None else emotions
    wanted = 48 if size is None else size
    settings = _check(n, wanted, seed, chosen, difficulty, group_sizes, group_quality)

    def build(writer: ImageWriter) -> Built:
        tables = []
        for images, table in _draw(n, color=bool(color), **settings):
            writer.append(images)
            tables.append(table)
        table = pd.concat(tables, ignore_index=True)
        return Built(table, table.pop("label").to_numpy(), tuple(chosen))

    key = {"name": "toyfaces", "version": _VERSION, "n": n, "color": bool(color), **settings}
    return open_dataset(cache, key, build)


def _check(
    n: int,
    size: int | tuple[int, int],
    seed: int,
    emotions: Sequence[str] | Mapping[str, float],
    difficulty: float | tuple[float, float],
    group_sizes: Mapping[str, Mapping[Any, float]] | None,
    group_quality: Mapping[Any, float] | None,
) -> dict[str, Any]:
    """Check every argument and return what `_draw` takes."""
    shape = checked_shape(n, size, seed, smallest=_SMALLEST)
    span = tuple(difficulty) if isinstance(difficulty, (tuple, list)) else (difficulty,) * 2
    if len(span) != 2 or not 0 <= span[0] <= span[1] <= 1:
        raise ConfigurationError(
            f"difficulty={difficulty!r}: expected 0 to 1, or two such, the lower first"
        )
    return {
        "shape": shape,
        "seed": seed,
        "emotions": emotion_shares(emotions),
        "difficulty": (float(span[0]), float(span[1])),
        "shares": group_shares(group_sizes),
        "multipliers": group_multipliers(group_quality),
    }


def _draw(
    n: int,
    *,
    shape: tuple[int, int],
    color: bool,
    seed: int,
    emotions: Mapping[str, float],
    difficulty: tuple[float, float],
    shares: Mapping[str, Sequence[float]],
    multipliers: Mapping[str, Mapping[int, float]],
) -> Iterator[tuple[NDArray[np.uint8], pd.DataFrame]]:
    """Yield images and their table, a chunk at a time."""
    stream = _stream(
        n,
        seed=seed,
        emotions=emotions,
        difficulty=difficulty,
        shares=shares,
        multipliers=multipliers,
    )
    for first in range(0, n, _CHUNK):
        faces = stream.take(min(_CHUNK, n - first))
        images = photograph(paint(faces, size=max(shape), channels=3 if color else 1), faces)
        if shape[0] != shape[1]:
            resized = [cv2.resize(i, shape[::-1], interpolation=cv2.INTER_AREA) for i in images]
            images = np.stack(resized).reshape(len(images), *shape, images.shape[3])
        yield images, _table(faces, first, list(emotions))


def _stream(
    n: int,
    *,
    seed: int,
    shares: Mapping[str, Sequence[float]],
    **options: Any,
) -> FaceStream:
    """Return what draws n faces."""
    people = draw_people(-(-n // FACES_PER_PERSON), seed, shares)
    return FaceStream(people, seed=seed, **options)


def _table(faces: Faces, first: int, emotions: list[str]) -> pd.DataFrame:
    """Describe a chunk of faces, a row each."""
    rows = np.arange(first, first + len(faces))
    person = rows // FACES_PER_PERSON
    votes, probabilities = vote(faces)
    # Twenty persons in turn are divided 14, 3, 3, so that every draw has each part.
    turn = (person * 7) % 20
    split = np.select([turn < 14, turn < 17], ["train", "validation"], "test")
    own = np.arange(len(faces)), faces.labels
    places = {EMOTIONS.index(name): label for label, name in enumerate(emotions)}
    columns: dict[str, Any] = {
        "label": np.array([places[label] for label in faces.labels], np.int64),
        "split": split,
        "file": [f"toy-{row:06d}" for row in rows],
        "person": person,
        "age_group": _categories(faces.people.age_group, AGE_GROUPS),
        "gender": _categories(faces.people.gender, GENDERS),
        "skin_tone": np.array(GROUPS["skin_tone"])[faces.people.skin_tone],
        "intensity": np.round(faces.intensity, 6),
        "quality": np.round(faces.quality, 6),
        "agreement": np.round(probabilities[own], 6),
    }
    columns |= {f"votes_{name}": votes[:, k] for k, name in enumerate(EMOTIONS)}
    strongest = np.round(faces.units.max(axis=2), 6)
    columns |= {f"au_{number}": strongest[:, k] for k, number in enumerate(ACTION_UNITS)}
    columns |= {
        "duplicate_of": pd.array([pd.NA] * len(faces), dtype="Int64"),
        "leaks": np.zeros(len(faces), bool),
    }
    return pd.DataFrame(columns)


def _categories(places: NDArray[np.int64], names: tuple[str, ...]) -> "pd.Categorical[str]":
    return pd.Categorical(np.array(names)[places], categories=list(names))

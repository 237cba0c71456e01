"""Learned faces: faces of nobody, drawn by a network that has learnt from FER2013."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.datasets._base import FaceDataset
from emohelpers.datasets._cache import Built, ImageWriter, open_dataset
from emohelpers.datasets._drawn import checked_shape
from emohelpers.datasets.learnedfaces._sampler import Sampler
from emohelpers.datasets.toyfaces import FIXED_SHARES
from emohelpers.datasets.toyfaces._parameters import draw_labels, emotion_shares
from emohelpers.errors import ConfigurationError

__all__ = ["Sampler", "load", "make_learned_faces"]

_WEIGHTS = Path(__file__).with_name("learnedfaces.npz")
_SMALLEST = 8


@lru_cache(maxsize=1)
def _sampler() -> Sampler:
    return Sampler.open(_WEIGHTS)


def make_learned_faces(
    n: int,
    *,
    size: int | tuple[int, int] = 48,
    color: bool = False,
    seed: int = 0,
    emotions: Sequence[str] | Mapping[str, float] | None = None,
    temperature: float = 1.0,
    guidance: float | None = None,
) -> FaceDataset:
    """Draw faces that look as if photographed, of people that there are not.

    A prior draws the codes of a face given its emotion and a decoder makes pixels of them; both
    have learnt from the training images of FER2013, and lie in this package. Their card,
    ``saved_models/learnedfaces/MODEL_CARD.md``, says how far from those images the faces are, what
    they are good for and what not.

    Parameters
    ----------
    n : int
        How many.
    size : int or (int, int)
        Side, or height and width, in pixels, 8 to 512; faces are drawn in 48x48 and resized.
    color : bool
        Three equal channels instead of one.
    seed : int
        Of everything that is drawn. Fewer faces are the first of more. The same seed gives the
        same bytes on the same machine; on another one, now and then a face differs.
    emotions : sequence of str, or mapping of str to float, optional
        The classes, in label order; a mapping gives their shares too. All seven of FER2013 alike
        without it.
    temperature, guidance : float
        See `Sampler.draw`; without a guidance, the one that was chosen on PublicTest.

    Returns
    -------
    FaceDataset
        `images` uint8 in 0..255. Its table has the columns ``split`` (70% train, 15% validation,
        15% test), ``file`` (a made-up name), ``duplicate_of`` and ``leaks`` as for FER2013.

    Raises
    ------
    ConfigurationError
        If an argument is out of its range or names an emotion that FER2013 has not.

    Examples
    --------
    >>> faces = make_learned_faces(3, emotions=["happiness", "disgust"], seed=1)
    >>> faces.images.shape, faces.images.dtype
    ((3, 48, 48, 1), dtype('uint8'))
    """
    chosen = _sampler().class_names if emotions is None else emotions
    settings = _check(n, size, seed, chosen, temperature, guidance)
    images = np.concatenate(list(_draw(n, color=color, **settings)))
    labels = draw_labels(0, n, seed, settings["emotions"])
    return FaceDataset(images, labels, tuple(chosen), _table(n), name="learnedfaces")


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
    temperature: float = 1.0,
    guidance: float | None = None,
) -> FaceDataset:
    """Return a fixed draw of learned faces, memory-mapped from a cache.

    Parameters
    ----------
    path : None
        Nothing is read; a path is refused.
    size, color
        As in `make_learned_faces`; None for 48 and grey.
    cache : path-like, optional
        The folder of all caches; None for the user's own.
    on_error : str
        Without effect: no drawn face is bad.
    n, seed, temperature, guidance
        As in `make_learned_faces`. Drawn at about 130 a second on one core, the first time.
    emotions : sequence of str, or mapping of str to float, optional
        As in `make_learned_faces`; None for the seven classes of FER2013 in its shares.

    Returns
    -------
    FaceDataset
        With splits: 70% train, 15% validation, 15% test.

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
    ...     faces = load(n=40, cache=folder)
    ...     faces.counts().sum().to_list()
    [28, 6, 6, 40]
    """
    if path is not None:
        raise ConfigurationError(f"path={path!r}: expected none, learned faces are drawn, not read")
    chosen = FIXED_SHARES if emotions is None else emotions
    settings = _check(n, 48 if size is None else size, seed, chosen, temperature, guidance)

    def build(writer: ImageWriter) -> Built:
        for images in _draw(n, color=bool(color), **settings):
            writer.append(images)
        labels = draw_labels(0, n, seed, settings["emotions"])
        return Built(_table(n), labels, tuple(chosen))

    # Of the weights, so that no cache of others is taken for theirs.
    digest = hashlib.sha256(_WEIGHTS.read_bytes()).hexdigest()
    key = {"name": "learnedfaces", "weights": digest, "n": n, "color": bool(color), **settings}
    return open_dataset(cache, key, build)


def _check(
    n: int,
    size: int | tuple[int, int],
    seed: int,
    emotions: Sequence[str] | Mapping[str, float],
    temperature: float,
    guidance: float | None,
) -> dict[str, Any]:
    """Check every argument and return what `_draw` takes."""
    shape = checked_shape(n, size, seed, smallest=_SMALLEST)
    shares = emotion_shares(emotions)
    known = _sampler().class_names
    unknown = [name for name in shares if name not in known]
    if unknown:
        raise ConfigurationError(
            f"emotions={emotions!r}: no learned faces of {', '.join(unknown)}: expected some of "
            f"{', '.join(known)}"
        )
    chosen = _sampler().guidance if guidance is None else float(guidance)
    if not 0 < temperature < np.inf or not 0 <= chosen < np.inf:
        raise ConfigurationError(
            f"temperature={temperature}, guidance={guidance}: expected above 0, and 0 or more"
        )
    return {
        "shape": shape,
        "seed": seed,
        "emotions": shares,
        "temperature": float(temperature),
        "guidance": chosen,
    }


def _draw(
    n: int,
    *,
    shape: tuple[int, int],
    color: bool,
    seed: int,
    emotions: Mapping[str, float],
    temperature: float,
    guidance: float,
) -> Iterator[NDArray[np.uint8]]:
    """Yield images, a chunk at a time."""
    sampler = _sampler()
    places = np.array([sampler.class_names.index(name) for name in emotions])
    labels = places[draw_labels(0, n, seed, emotions)]
    for drawn in sampler.chunks(labels, seed=seed, temperature=temperature, guidance=guidance):
        images = drawn
        if shape != images.shape[1:3]:
            larger = shape[0] * shape[1] > images.shape[1] * images.shape[2]
            how = cv2.INTER_LINEAR if larger else cv2.INTER_AREA
            resized = [cv2.resize(one, shape[::-1], interpolation=how) for one in images]
            images = np.stack(resized).reshape(len(images), *shape, 1)
        yield np.repeat(images, 3, axis=3) if color else images


def _table(n: int) -> pd.DataFrame:
    """Describe the faces, a row each."""
    rows = np.arange(n)
    # Twenty faces in turn are divided 14, 3, 3, so that every draw has each part.
    turn = (rows * 7) % 20
    return pd.DataFrame(
        {
            "split": np.select([turn < 14, turn < 17], ["train", "validation"], "test"),
            "file": [f"learned-{row:06d}" for row in rows],
            "duplicate_of": pd.array([pd.NA] * n, dtype="Int64"),
            "leaks": np.zeros(n, bool),
        }
    )

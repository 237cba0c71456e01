"""Whether maps lie where something is known to be."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.explain._means import drawn_means, interval

__all__ = [
    "THIRDS",
    "centred_maps",
    "compare_overlap",
    "edge_maps",
    "mass_in_thirds",
    "most_moved",
    "overlap",
]

THIRDS = ("upper third", "middle third", "lower third")
"""Of a face that fills its picture: forehead and brows; eyes and nose; mouth and chin."""


def most_moved(moved: ArrayLike, *, share: float = 0.2) -> NDArray[np.bool_]:
    """Mark the pixels of each face that move most, as many in each face.

    Parameters
    ----------
    moved : array_like, shape (n, height, width)
        How much each pixel moves, as `emohelpers.datasets.toyfaces.moved_pixels` says it.
    share : float
        Of all pixels, above 0 and below 1. The same for all faces, so that a map which lies
        anywhere is expected to have this share of its mass in the region.

    Returns
    -------
    ndarray of bool, shape (n, height, width)
        Of equal values at the edge, those further up and left are marked.

    Raises
    ------
    ConfigurationError
        If the shape or the share does not fit.

    Examples
    --------
    >>> most_moved([[[0, 9], [3, 1]]], share=0.5).tolist()
    [[[False, True], [True, False]]]
    """
    values = _as_maps("moved", moved)
    if not 0 < share < 1:
        raise ConfigurationError(f"share={share}: expected above 0 and below 1")
    flat = values.reshape(len(values), -1)
    count = max(1, round(share * flat.shape[1]))
    order = np.argsort(-flat, axis=1, kind="stable")[:, :count]
    region = np.zeros(flat.shape, bool)
    np.put_along_axis(region, order, True, axis=1)
    return region.reshape(values.shape)


def overlap(maps: ArrayLike, regions: ArrayLike) -> pd.DataFrame:
    """Say for each map how much of it lies in a region, and whether its highest value does.

    Parameters
    ----------
    maps : array_like, shape (n, height, width)
        Values below 0, which speak against a class, count as 0.
    regions : array_like of bool, shape (n, height, width)

    Returns
    -------
    DataFrame
        A row for each map: ``share`` of its mass that lies in the region, and ``hit``, 1 if its
        highest value does (the *pointing game* of Zhang et al. 2016, "Top-down neural attention
        by excitation backprop"; where several are the highest, the share of them). A map that is 0
        everywhere gets what a map that is the same everywhere gets, the size of the region.

    Raises
    ------
    ConfigurationError
        If the shapes do not fit.

    Examples
    --------
    >>> overlap([[[0.0, 3.0], [1.0, 0.0]]], [[[False, True], [False, False]]])
       share  hit
    0   0.75  1.0
    """
    values = np.maximum(_as_maps("maps", maps), 0)
    inside = np.asarray(regions, dtype=bool)
    if inside.shape != values.shape:
        raise ConfigurationError(
            f"regions of shape {inside.shape} for maps of {values.shape}: expected the same"
        )
    values, inside = (x.reshape(len(x), -1) for x in (values, inside))
    values = np.where(values.any(axis=1, keepdims=True), values, 1.0)
    highest = values == values.max(axis=1, keepdims=True)
    return pd.DataFrame(
        {
            "share": (values * inside).sum(axis=1) / values.sum(axis=1),
            "hit": (highest & inside).sum(axis=1) / highest.sum(axis=1),
        }
    )


def compare_overlap(
    ways: Mapping[str, ArrayLike],
    regions: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    reference: str | None = None,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare maps of the same images by how much of them lies in regions.

    Parameters
    ----------
    ways : mapping of str to array_like, shape (n, height, width)
        Maps by how they were made. Have some among them that know nothing of the network, such as
        `centred_maps` and `edge_maps`.
    regions : array_like of bool, shape (n, height, width)
        See `most_moved`.
    groups : array_like, shape (n,), optional
        The person of each image: intervals draw persons, since faces of one do not count as many.
    reference : str, optional
        The way that the others are compared with.
    n_bootstrap, seed : int
        How many draws the intervals are made of, and of these draws.

    Returns
    -------
    DataFrame
        A row for each way: ``n``, ``share`` and ``hit`` (see `overlap`), the means of all images,
        and with a reference ``difference``, the share less that of the reference; each with
        ``_low`` and ``_high``, the 95% interval of the percentile bootstrap. All ways have the same
        draws.

    Raises
    ------
    ConfigurationError
        If shapes do not fit, or the reference is not one of the ways.

    Examples
    --------
    >>> regions = np.zeros((3, 4, 4), bool)
    >>> regions[:, :2] = True
    >>> ways = {"there": regions * 1.0, "anywhere": np.ones((3, 4, 4))}
    >>> compare_overlap(ways, regions, reference="anywhere")["difference"].tolist()
    [0.5, 0.0]
    """
    if not ways or reference not in (None, *ways):
        raise ConfigurationError(
            f"reference={reference!r}: expected one of the ways, {', '.join(ways) or 'of any'}"
        )
    each = {name: overlap(maps, regions) for name, maps in ways.items()}
    figures = {(name, kind): table[kind] for name, table in each.items() for kind in table}
    if reference is not None:
        for name, table in each.items():
            figures[name, "difference"] = table["share"] - each[reference]["share"]
    values = np.column_stack(list(figures.values()))
    draws = drawn_means(values, groups, n_bootstrap=n_bootstrap, seed=seed)
    rows: dict[str, dict[str, float]] = {name: {"n": len(values)} for name in ways}
    for (name, kind), mean, drawn in zip(figures, values.mean(axis=0), draws.T, strict=True):
        low, high = interval(drawn)
        rows[name] |= {str(kind): float(mean), f"{kind}_low": low, f"{kind}_high": high}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("way").astype({"n": int})


def centred_maps(n: int, shape: tuple[int, int], *, width: float = 0.2) -> NDArray[np.float32]:
    """Return maps that say "in the middle" of every image: what a face tells without a network.

    Parameters
    ----------
    n : int
        How many, all the same.
    shape : (int, int)
        Height and width.
    width : float
        The standard deviation of the bell, as a share of the sides.

    Returns
    -------
    ndarray of float32, shape (n, *shape)
        In 0..1.

    Examples
    --------
    >>> centred_maps(1, (3, 3)).argmax()
    np.int64(4)
    """
    across = [
        np.exp(-(((np.arange(side) + 0.5) / side - 0.5) ** 2) / 2 / width**2) for side in shape
    ]
    bell = np.outer(*across)
    return np.repeat((bell / bell.max())[None].astype(np.float32), n, axis=0)


def edge_maps(images: Any) -> NDArray[np.float32]:
    """Return where images are steep: maps that know the image and nothing of a network.

    Adebayo et al. 2018 found maps of networks that no eye can tell from these.

    Parameters
    ----------
    images : array_like of uint8, shape (n, height, width, channels)
        In 0..255; colour is averaged.

    Returns
    -------
    ndarray of float32, shape (n, height, width)
        The length of the gradient of the grey levels; each map's highest value is 1, or 0 for an
        even image.

    Examples
    --------
    >>> edge_maps(np.array([[[0, 0, 0, 90], [0, 0, 0, 90]]])[..., None])[0, 0].tolist()
    [0.0, 0.0, 0.5, 1.0]
    """
    grey = np.asarray(images, np.float32).mean(axis=-1)
    down, right = np.gradient(grey, axis=(1, 2))
    steep = np.hypot(down, right)
    highest = steep.max(axis=(1, 2), keepdims=True)
    return np.divide(steep, highest, out=np.zeros_like(steep), where=highest > 0)


def mass_in_thirds(maps: ArrayLike) -> NDArray[np.float64]:
    """Return how much of each map lies in each of `THIRDS`.

    Parameters
    ----------
    maps : array_like, shape (n, height, width)
        Values below 0 count as 0.

    Returns
    -------
    ndarray of float64, shape (n, 3)
        Rows sum to 1; a map that is 0 everywhere gets a third of each. Where the height is not a
        multiple of 3, rows at an edge are shared.

    Examples
    --------
    >>> mass_in_thirds([[[0.0], [1.0], [3.0]]]).tolist()
    [[0.0, 0.25, 0.75]]
    """
    values = np.maximum(_as_maps("maps", maps), 0)
    rows = values.sum(axis=2)
    rows = np.where(rows.any(axis=1, keepdims=True), rows, 1.0)
    height = rows.shape[1]
    # Each row is cut in three, so that a third is a third of any height.
    thirds = np.repeat(rows, 3, axis=1).reshape(len(rows), 3, height).sum(axis=2)
    return thirds / thirds.sum(axis=1, keepdims=True)


def _as_maps(name: str, values: ArrayLike) -> NDArray[np.float64]:
    maps = np.asarray(values, dtype=np.float64)
    if maps.ndim != 3 or 0 in maps.shape or not np.isfinite(maps).all():
        raise ConfigurationError(
            f"{name} of shape {maps.shape}: expected (n, height, width), one or more, finite"
        )
    return maps

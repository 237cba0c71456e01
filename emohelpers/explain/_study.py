"""What maps say of a network and real faces, in a table without any face."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError
from emohelpers.evaluation import predict
from emohelpers.explain._grad_cam import grad_cam
from emohelpers.explain._means import drawn_means, interval
from emohelpers.explain._regions import THIRDS, edge_maps, mass_in_thirds
from emohelpers.explain._sanity import sanity_check
from emohelpers.publishing import SavedModel

__all__ = ["study"]


def study(
    saved: SavedModel,
    faces: FaceDataset,
    *,
    layers: Sequence[int] | None = None,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Say of a network in which third of a face its maps lie, by emotion, and if they pass a check.

    The maps are those of `grad_cam` for the label, of the faces to which the network gives that
    label. Of real faces nobody knows where they moved, but a face that fills its picture has its
    brows in the upper third, its eyes and nose in the middle, its mouth in the lower.

    Parameters
    ----------
    saved : emohelpers.publishing.SavedModel
        The network and its classes.
    faces : FaceDataset
        Images that the network takes, which it has not learnt from. Those without a label, or with
        one that it does not know, are left out.
    layers : sequence of int, optional
        See `sanity_check`.
    n_bootstrap, seed : int
        How many draws the intervals are made of; and of all that is drawn.

    Returns
    -------
    DataFrame
        A row for each figure: ``what`` it is, ``of`` which emotion (or layer, or ``all``), ``n``
        images that it is made of, ``value``, ``low`` and ``high``, its 95% interval (percentile
        bootstrap, images as independent of each other):

        - ``Grad-CAM, upper third`` and so on: the share of a map's mass that lies there, the mean
          of the images of an emotion; of ``all`` the mean of the emotions;
        - ``..., less all``: the same less that mean;
        - ``edges, upper third`` and so on: as much of `edge_maps`, which know no network;
        - ``rank correlation with another face``, and ``..., randomised`` down to a layer: see
          `sanity_check`.

        Emotions of which the network names no face rightly are left out.

    Raises
    ------
    ConfigurationError
        If the network names no face rightly, or the images do not fit it.

    Examples
    --------
    >>> from emohelpers import datasets, models, publishing
    >>> saved = publishing.open_model(models.saved_folder("fer-compact"))
    >>> faces = datasets.make_faces(40, seed=0, difficulty=0.0)
    >>> table = study(saved, faces, layers=[1], n_bootstrap=20)
    >>> table["what"].unique()[:3].tolist()
    ['Grad-CAM, upper third', 'Grad-CAM, middle third', 'Grad-CAM, lower third']
    """
    places = {name: place for place, name in enumerate(saved.class_names)}
    names = np.array([*faces.class_names, None], dtype=object)[faces.labels]
    known = np.flatnonzero([name in places for name in names])
    if not len(known):
        raise ConfigurationError(
            f"no image with one of the labels {', '.join(places)}, which the network knows"
        )
    labels = np.array([places[name] for name in names[known]])
    right = predict(saved.model, faces.images[known]).argmax(axis=1) == labels
    if right.sum() < 2:
        raise ConfigurationError(
            f"the network names {right.sum()} of {len(known)} images rightly: expected two or more"
        )
    images, labels = faces.images[known[right]], labels[right]
    draws: dict[str, Any] = {"n_bootstrap": n_bootstrap, "seed": seed}
    maps = {"Grad-CAM": grad_cam(saved, images, labels), "edges": edge_maps(images)}
    rows = []
    for name, of_images in maps.items():
        rows += _thirds(name, mass_in_thirds(of_images), labels, saved.class_names, draws)
    table = sanity_check(saved, images, labels, layers=layers, **draws)
    for place, (layer, row) in enumerate(table.iterrows()):
        what = "randomised" if place else "with another face"
        figures = (row["correlation"], row["low"], row["high"])
        of = str(layer) if place else "all"
        rows.append((f"rank correlation, {what}", of, int(row["n"]), *figures))
    columns = ["what", "of", "n", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns).round({"value": 4, "low": 4, "high": 4})


def _thirds(
    name: str,
    shares: NDArray[np.float64],
    labels: NDArray[np.int64],
    class_names: Sequence[str],
    draws: dict[str, Any],
) -> list[tuple[Any, ...]]:
    """Return the rows of one kind of map: shares by emotion, then what differs from their mean."""
    present = [place for place in range(len(class_names)) if (labels == place).any()]
    means = np.stack([shares[labels == place].mean(axis=0) for place in present])
    # Each emotion's images are drawn by themselves, so that its number stays what it is.
    drawn = np.stack(
        [
            drawn_means(
                shares[labels == place],
                None,
                n_bootstrap=draws["n_bootstrap"],
                seed=draws["seed"] + place,
            )
            for place in present
        ],
        axis=1,
    )
    sizes = [*(int((labels == place).sum()) for place in present), len(labels)]
    names = [*(class_names[place] for place in present), "all"]
    values = np.concatenate([means, means.mean(axis=0, keepdims=True)])
    draws_of = np.concatenate([drawn, drawn.mean(axis=1, keepdims=True)], axis=1)
    rows: list[tuple[Any, ...]] = []
    for third, where in enumerate(THIRDS):
        for of, n, value, each in zip(
            names, sizes, values[:, third], draws_of[:, :, third].T, strict=True
        ):
            rows.append((f"{name}, {where}", of, n, float(value), *interval(each)))
    for third, where in enumerate(THIRDS):
        less = values[:-1, third] - values[-1, third]
        less_drawn = draws_of[:, :-1, third] - draws_of[:, -1:, third]
        for of, n, value, each in zip(names[:-1], sizes, less, less_drawn.T, strict=False):
            rows.append((f"{name}, {where}, less all", of, n, float(value), *interval(each)))
    return rows

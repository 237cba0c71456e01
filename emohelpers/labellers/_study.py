"""Every witness of a data set's labels in one table, and what it is worth to heed them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from emohelpers.datasets import FaceDataset, load, near_duplicates
from emohelpers.errors import ConfigurationError
from emohelpers.evaluation._wilson import wilson
from emohelpers.labellers._effect import effect, figure_row
from emohelpers.labellers._network import consensus, opinion_by_class
from emohelpers.labellers._pairs import agreement_of_pairs, label_pairs, same_image_pairs

__all__ = ["study", "study_facial_expressions"]

# From here on the pairs of facial_expressions are one photograph (looked at by eye); below, some
# are two that were taken a moment apart, between which the face may have changed.
_COPY = 0.9
_SECOND = "500_picts_satz.csv"


def study(
    faces: FaceDataset,
    probabilities: ArrayLike,
    class_names: Sequence[str],
    features: ArrayLike,
    *,
    second: FaceDataset | None = None,
    pairs: pd.DataFrame | None = None,
    folds: int = 5,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Say how far the labels of a data set can be trusted.

    Witnesses are a second legend, copies of a photograph, and a network that learnt elsewhere.
    What it is worth to learn only from labels that no witness contradicts (see `consensus`) is
    then measured: a softmax layer is fitted to features in a cross-validation by person, once to
    all labels and once to those of the consensus, and each is scored on all and on those of the
    consensus. That is done with the classes as they are, and with weights with which each counts
    the same. Read both, and accuracy beside balanced accuracy: a consensus takes away the images
    of a rare class that look like a frequent one, so that a layer learned with weights names the
    frequent one more often, which is a gain in accuracy and a loss of what the weights were for.

    To be scored on the consensus flatters whoever resembles the network that took part in it. So
    `features` should be of another network, and where that has learnt from the same faces the
    figures on the consensus are still too good. What compares is two figures on the same labels.

    Parameters
    ----------
    faces : FaceDataset
        With a label for each image, and ``person`` in its table (see
        `emohelpers.datasets.assign_fold`). Where it has ``user``, copies are told apart by who
        labelled them.
    probabilities : array_like of float, shape (n, len(class_names))
        What the network says of each image. It must not have learnt from these labels.
    class_names : sequence of str
        The network's classes.
    features : array_like of float, shape (n, n_features)
        Of each image, see `emohelpers.models.features`.
    second : FaceDataset, optional
        The same source with other labels, for some of its files.
    pairs : DataFrame, optional
        What `emohelpers.datasets.near_duplicates` finds, in larger images of the same source;
        without it, in those of `faces`.
    folds : int
        Of the cross-validation, 2 or more.
    n_bootstrap, seed : int
        How many draws the intervals are made of, and of these draws.

    Returns
    -------
    DataFrame
        A row for each figure: ``what`` it is, ``of`` which class (or ``all``), ``n`` (pairs or
        images that it is made of), ``value``, and ``low`` and ``high``, its 95% interval. Rows
        that nothing is there for are left out. In this order:

        - the ``agreement`` and ``kappa`` of both legends (see `agreement_of_pairs`), then of
          near-duplicates and of copies, which are those with a similarity of .9 or more (between
          .75 and .9 are also photographs taken a moment apart, whose expressions may truly
          differ), each also of those that one person or two labelled;
        - how often the network names the label (see `opinion_by_class`), that of the second
          legend, and that of the first on the images which the second has too;
        - the share of labels kept by the consensus. Nearly all that are lost are lost to the
          network: of a class that it hardly ever names few are kept, right or wrong;
        - ``accuracy`` and ``balanced accuracy`` of what was learned, and what is gained by
          learning from the consensus. Their intervals are of a percentile bootstrap that draws
          persons with all their images (see `emohelpers.datasets.person_groups`), the same ones
          for all figures. A draw without an image of a class leaves the class out.

        The intervals of shares (Wilson 1927) take images as independent of each other.

    Raises
    ------
    ConfigurationError
        If shapes do not fit, the legends share no file, or the folds leave nothing to learn from.
    LabelError
        If an image has no label, or the consensus leaves none.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> faces = datasets.make_faces(60, seed=0, emotions=("fear", "neutral"))
    >>> certain = np.eye(2)[faces.labels]
    >>> table = study(faces, certain, faces.class_names, certain, n_bootstrap=20)
    >>> table.loc[table["what"] == "the network names the label", ["of", "value"]].values.tolist()
    [['fear', 1.0], ['neutral', 1.0], ['all', 1.0]]
    """
    faces.check_labelled()
    layers = np.asarray(features, dtype=np.float64)
    if layers.ndim != 2 or len(layers) != len(faces) or not np.isfinite(layers).all():
        raise ConfigurationError(
            f"features of shape {layers.shape}: expected ({len(faces)}, n_features), finite "
            "numbers for each image"
        )
    if n_bootstrap < 1:
        raise ConfigurationError(f"n_bootstrap={n_bootstrap}: expected 1 or more")
    shares = np.asarray(probabilities)
    draws = {"n_bootstrap": n_bootstrap, "seed": seed}
    if pairs is None:
        pairs = near_duplicates(faces.images)
    if missing := {"first", "second", "similarity"} - set(pairs):
        raise ConfigurationError(
            f"pairs without {', '.join(sorted(missing))}: expected first, second and similarity, "
            "as near_duplicates gives them"
        )
    agreed = consensus(faces, shares, class_names, pairs=pairs)
    tables = []
    if second is not None:
        between = label_pairs(faces, second)
        tables.append(_agreement("legend and second legend", between, draws))
    tables += [_of_copies(faces, pairs, draws), _opinion(faces, shares, class_names)]
    if second is not None:
        tables.append(_opinion_of_second(faces, second, shares, class_names))
    tables += [_kept(faces, agreed), effect(faces, agreed, layers, folds=folds, **draws)]
    table = pd.concat([part for part in tables if len(part)], ignore_index=True)
    return table.round({"value": 4, "low": 4, "high": 4})


def _agreement(what: str, pairs: pd.DataFrame, draws: Mapping[str, int]) -> pd.DataFrame:
    if pairs.empty:
        return pd.DataFrame()
    found = agreement_of_pairs(pairs, **draws)
    return pd.DataFrame(
        figure_row(f"{what}, {figure}", "all", int(row["n"]), row["value"], row["low"], row["high"])
        for figure, row in found.iterrows()
    )


def _of_copies(faces: FaceDataset, pairs: pd.DataFrame, draws: Mapping[str, int]) -> pd.DataFrame:
    tables = []
    for what, least in (("near-duplicates", 0.0), ("copies", _COPY)):
        labels = same_image_pairs(faces, pairs[pairs["similarity"] >= least])
        tables.append(_agreement(what, labels, draws))
        if "same_user" in labels:
            for who, same in (("one person", True), ("two", False)):
                rows = labels["same_user"].eq(same).fillna(False).to_numpy(bool)
                tables.append(_agreement(f"{what} labelled by {who}", labels[rows], draws))
    return pd.concat(tables)


def _opinion(
    faces: FaceDataset,
    probabilities: NDArray[Any],
    class_names: Sequence[str],
    what: str = "the network names the label",
) -> pd.DataFrame:
    found = opinion_by_class(faces, probabilities, class_names)
    return pd.DataFrame(
        figure_row(what, str(name), row["n"], row["agrees"], row["agrees_low"], row["agrees_high"])
        for name, row in found.iterrows()
    )


def _opinion_of_second(
    faces: FaceDataset, second: FaceDataset, probabilities: NDArray[Any], class_names: Sequence[str]
) -> pd.DataFrame:
    """Let the network judge both legends on the images that they share."""
    place = {file: row for row, file in enumerate(faces.table["file"])}
    rows = second.table["file"].map(place)
    shared = (rows.notna() & (second.labels >= 0)).to_numpy(bool)
    of_second = probabilities[rows[shared].to_numpy(np.int64)]
    too = faces.table["file"].isin(second.table["file"][shared]).to_numpy(bool)
    of_first = _opinion(
        faces.select(too),
        probabilities[too],
        class_names,
        "the network names the label, images of both legends",
    )
    return pd.concat(
        [
            of_first,
            _opinion(
                second.select(shared),
                of_second,
                class_names,
                "the network names the second legend's label",
            ),
        ]
    )


def _kept(faces: FaceDataset, agreed: FaceDataset) -> pd.DataFrame:
    rows = []
    for name in (*faces.class_names, "all"):
        mine = faces.labels == list(faces.class_names).index(name) if name != "all" else ...
        kept = agreed.labels[mine] >= 0
        if not len(kept):
            continue
        ends = wilson(int(kept.sum()), len(kept))
        rows.append(figure_row("kept by the consensus", name, len(kept), kept.mean(), *ends))
    return pd.DataFrame(rows)


def study_facial_expressions(
    path: str | Path | None = None,
    *,
    second: str | None = _SECOND,
    network: str | Path = "ferplus-compact",
    features: str | Path = "fer-compact",
    cache: str | Path | None = None,
) -> pd.DataFrame:
    """Say how far the labels of facial_expressions can be trusted.

    Parameters
    ----------
    path : path, optional
        Where the data set lies.
    second : str, optional
        The name of the second legend beside the first; None to go without.
    network : str or path
        The witness: a published network by its name, or the folder of one, which learnt from
        other faces what several raters saw. It answers two views of each image.
    features : str or path
        The network whose features the softmax layer is fitted to. `fer-compact` has learnt from
        the same faces as `ferplus-compact`, which started from it: figures on the labels of the
        consensus flatter both.
    cache : path, optional
        See `emohelpers.datasets.load`.

    Returns
    -------
    DataFrame
        See `study`. Near-duplicates are looked for in images of the loader's own size.

    Raises
    ------
    ConfigurationError
        If a network learnt from facial_expressions, or `second` is the first legend.
    EmohelpersError
        If the data, a legend or a network can not be read.
    """
    from emohelpers import evaluation, models
    from emohelpers.datasets.facial_expressions import LEGEND

    source = "facial_expressions"
    # A path of a CSV is that of the first legend, and the second lies beside it.
    is_legend = path is not None and Path(path).suffix.lower() == ".csv"
    first = Path(path).name if path is not None and is_legend else LEGEND
    if second is not None and Path(second).name == first:
        raise ConfigurationError(
            f"the second legend is {second}, which is the first: expected another, for instance "
            f"{_SECOND}"
        )
    witness, other = _elsewhere(network, source), _elsewhere(features, source)
    faces = witness.load(source, path, cache=cache)
    beside = Path(path).with_name(second) if path is not None and is_legend and second else path
    return study(
        faces,
        evaluation.predict(witness.model, faces.images, views=2),
        witness.class_names,
        models.features(other.model, other.load(source, path, cache=cache).images),
        second=witness.load(source, beside, legend=second, cache=cache) if second else None,
        pairs=near_duplicates(load(source, path, cache=cache).images),
    )


def _elsewhere(name: str | Path, source: str) -> Any:
    """Open a network that has not learnt from a data set."""
    from emohelpers import models, publishing

    saved = publishing.open_model(models.saved_folder(name))
    if saved.recipe["dataset"] == source:
        raise ConfigurationError(
            f"{name} learnt from {source}: expected a network that has not seen its labels, for "
            "instance ferplus-compact"
        )
    return saved

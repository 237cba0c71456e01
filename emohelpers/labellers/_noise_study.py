"""The labels of FER2013 before the raters of FER+: every figure in one table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers import raters
from emohelpers.datasets import EMOTIONS, FaceDataset, load
from emohelpers.errors import ConfigurationError
from emohelpers.evaluation._wilson import wilson
from emohelpers.labellers._effect import figure_row
from emohelpers.labellers._noise import (
    OPEN,
    WRONG,
    compare_suspects,
    copies_with_two_labels,
    suspects_by_rule,
    wrong_by_votes,
)
from emohelpers.labellers._votes import foretell, resampled_means, votes_or_majority

__all__ = ["study_fer2013"]


def study_fer2013(
    path: str | Path | None,
    votes: str | Path,
    *,
    networks: Sequence[str | Path] = ("fer-baseline", "fer-compact", "ferplus-compact"),
    features: str | Path = "fer-baseline",
    cache: str | Path | None = None,
) -> pd.DataFrame:
    """Set the labels of FER2013 before the votes of FER+.

    Parameters
    ----------
    path : path, optional
        FER2013, its CSV; None for where `emohelpers.datasets.fetch` would put it.
    votes : path
        The votes of FER+ (``fer2013new.csv``).
    networks : sequence of str or path
        Published networks, by name or folder, that learnt from ``Training``: each names suspects
        among the images of ``PublicTest`` and ``PrivateTest``. Of those published, `fer-baseline`
        learnt from the labels alone, `fer-compact` from labels and votes, and `ferplus-compact`
        from votes: the latter two have an idea of what raters would say, so that it flatters them
        to be judged by raters.
    features : str or path
        The network on whose features `votes_or_majority` fits its layers.
    cache : path, optional
        See `emohelpers.datasets.load`.

    Returns
    -------
    DataFrame
        A row for each figure: ``what`` it is, ``of`` whom or what, ``n`` (images, or groups of
        them), ``value``, ``low`` and ``high``, its 95% interval. In this order:

        - ``most raters contradict the label``: the share of images of each class (and all) in both
          test splits that have a verdict (see `wrong_by_votes`; Wilson);
        - of each network and rule (see `suspects_by_rule`) the ``precision`` and ``recall`` of its
          suspects, and by how much its precision differs (see `compare_suspects`);
        - of identical images, whose votes FER+ shares: how often two of them have equal labels;
          of groups of them with two labels (in all splits) how many have a majority, and how often
          it names one of the labels;
        - ``agrees with the majority of the others``: a rater, the label, and each network, on
          ``PrivateTest`` (see `emohelpers.raters.agreement_with`; percentile bootstrap);
        - ``cross-entropy to the votes``, on the images of ``PrivateTest`` that have a verdict: of
          the networks, and of what was learned from labels, majorities and votes with all else
          equal (see `votes_or_majority`). Without a temperature and with one, fitted to the votes
          on ``PublicTest``, and the difference of the latter from the last network, and from what
          was learned from votes.

    Raises
    ------
    ConfigurationError
        If cleanlab is not installed, or a network learnt from other data.
    EmohelpersError
        If the data, the votes or a network can not be read.
    """
    from emohelpers import evaluation, models, publishing

    opened = {
        Path(name).name: publishing.open_model(models.saved_folder(name)) for name in networks
    }
    own = publishing.open_model(models.saved_folder(features))
    for saved in (*opened.values(), own):
        if saved.recipe["dataset"] != "fer2013":
            raise ConfigurationError(
                f"{saved.directory} learnt from {saved.recipe['dataset']}: expected fer2013"
            )
    height, width, channels = own.model.input_shape[1:]
    faces = load(
        "fer2013", path, size=(height, width), color=channels == 3, votes=votes, cache=cache
    )
    tested = faces.select(~faces.table["split"].eq("Training").to_numpy(bool))
    private = tested.table["split"].eq("PrivateTest").to_numpy(bool)
    verdicts = wrong_by_votes(tested)
    # Of all emotions, 0 where a network does not know one.
    said = {}
    for name, saved in opened.items():
        said[name] = np.zeros((len(tested), len(EMOTIONS)))
        places = [list(EMOTIONS).index(emotion) for emotion in saved.class_names]
        said[name][:, places] = evaluation.predict(saved.model, tested.images)
    known = {name: _only(shares, faces.class_names) for name, shares in said.items()}
    tables = [
        _wrong_by_class(tested, verdicts),
        *(_suspects_rows(name, tested, shares, verdicts) for name, shares in known.items()),
        _copies_rows(faces),
        _agreement_rows(
            tested.select(private), {name: shares[private] for name, shares in said.items()}
        ),
        _networks_rows(tested, known, private, verdicts != OPEN),
        _learning_rows(own.model, faces),
    ]
    return pd.concat(tables, ignore_index=True).round({"value": 4, "low": 4, "high": 4})


def _only(shares: NDArray[np.float64], class_names: Sequence[str]) -> NDArray[np.float64]:
    """Return the probabilities of some emotions, as if there were no others."""
    kept = shares[:, [list(EMOTIONS).index(name) for name in class_names]]
    return np.asarray(kept / kept.sum(axis=1, keepdims=True))


def _share_row(what: str, of: str, hits: int, n: int) -> dict[str, Any]:
    return figure_row(what, of, n, hits / n, *wilson(hits, n))


def _wrong_by_class(faces: FaceDataset, verdicts: NDArray[np.int64]) -> pd.DataFrame:
    rows = []
    for name in (*faces.class_names, "all"):
        mine = verdicts != OPEN
        if name != "all":
            mine &= faces.labels == list(faces.class_names).index(name)
        if mine.any():
            wrong = int((verdicts[mine] == WRONG).sum())
            rows.append(
                _share_row("most raters contradict the label", name, wrong, int(mine.sum()))
            )
    return pd.DataFrame(rows)


def _suspects_rows(
    name: str, faces: FaceDataset, shares: NDArray[Any], verdicts: NDArray[np.int64]
) -> pd.DataFrame:
    ways = suspects_by_rule(faces.labels, shares)
    rows = []
    for way, row in compare_suspects(ways, verdicts).iterrows():
        for figure in ("precision", "recall", "difference"):
            if figure == "difference" and way in ("confident learning", "at random"):
                continue
            less = "precision, less that of confident learning"
            what = less if figure == "difference" else figure
            bounds = (row[f"{figure}_low"], row[f"{figure}_high"])
            of = f"{name}, {way}"
            rows.append(figure_row(what, of, int(row["suspects"]), row[figure], *bounds))
    return pd.DataFrame(rows)


def _copies_rows(faces: FaceDataset) -> pd.DataFrame:
    groups = copies_with_two_labels(faces)
    clear = groups["majority"].notna()
    named = int(groups["named"][clear].astype(bool).sum())
    copies = faces.table["duplicate_of"]
    second = np.flatnonzero(copies.notna().to_numpy(bool))
    equal = faces.labels[copies.iloc[second].to_numpy(np.int64)] == faces.labels[second]
    what = "identical images with two labels"
    return pd.DataFrame(
        [
            _share_row("identical images have equal labels", "all", int(equal.sum()), len(equal)),
            _share_row(f"{what} have a majority", "all", int(clear.sum()), len(groups)),
            _share_row(f"{what}: it is one of them", "all", named, int(clear.sum())),
        ]
    )


def _agreement_rows(faces: FaceDataset, said: dict[str, NDArray[Any]]) -> pd.DataFrame:
    counts = raters.votes(faces).to_numpy()
    usable = counts.sum(axis=1) > 1
    counts = counts[usable]
    places = np.array([list(EMOTIONS).index(name) for name in faces.class_names])
    answers = {"the label": places[faces.labels[usable]]}
    answers |= {name: shares[usable].argmax(axis=1) for name, shares in said.items()}
    votes = counts.sum(axis=1)
    # Of each image how many of its votes agree: the figure is the ratio of two sums.
    agreeing = {"one rater": np.array([raters.agreement(row[None]) for row in counts]) * votes}
    for name, named in answers.items():
        each = [
            raters.agreement_with(row[None], one[None])
            for row, one in zip(counts, named, strict=True)
        ]
        agreeing[name] = np.array(each) * votes
    drawn = resampled_means(np.stack([*agreeing.values(), votes], axis=1), 2000, 0)
    ratios = drawn[:, :-1] / drawn[:, -1:]
    rows = []
    for k, (name, sums) in enumerate(agreeing.items()):
        low, high = np.percentile(ratios[:, k], [2.5, 97.5])
        what = "agrees with the majority of the others"
        rows.append(figure_row(what, name, len(counts), sums.sum() / votes.sum(), low, high))
    return pd.DataFrame(rows)


def _networks_rows(
    faces: FaceDataset,
    said: dict[str, NDArray[np.float64]],
    private: NDArray[np.bool_],
    clear: NDArray[np.bool_],
) -> pd.DataFrame:
    counts = raters.votes(faces)[list(faces.class_names)].to_numpy()
    usable = clear & (counts.sum(axis=1) > 1)
    seen, scored = usable & ~private, usable & private
    best = list(said)[-1]
    parts = {name: (shares[seen], shares[scored]) for name, shares in said.items()}
    table = foretell(parts, counts[seen], counts[scored], best=best)
    return _loss_rows(table, best=best, of="{}")


def _learning_rows(model: Any, faces: FaceDataset) -> pd.DataFrame:
    from emohelpers import evaluation, models

    parts = [evaluation.training_rows(faces), faces.split("validation"), faces.split("test")]
    given = [(models.features(model, part.images), part) for part in parts]
    table = votes_or_majority(*given).drop(index="other raters")
    return _loss_rows(table, best="votes", of="learned from {}")


def _loss_rows(table: pd.DataFrame, *, best: str, of: str) -> pd.DataFrame:
    names = {
        "loss": "cross-entropy to the votes",
        "mended": "cross-entropy to the votes, with a temperature",
        "difference": f"the same, less that of {of.format(best)}",
    }
    rows = []
    for figure, what in names.items():
        # Of raters nothing was learned, so that nothing is to be mended.
        left_out = {"loss": "other raters", "difference": best}.get(figure)
        for name, row in table.drop(index=[left_out or ""], errors="ignore").iterrows():
            bounds = (row[f"{figure}_low"], row[f"{figure}_high"])
            rows.append(figure_row(what, of.format(name), int(row["n"]), row[figure], *bounds))
    return pd.DataFrame(rows)

"""What a generator keeps of a face, whether it shows what was asked, and whom it repeats."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emohelpers import ablation, evaluation, models
from emohelpers.datasets import near_duplicates
from emohelpers.datasets.learnedfaces import Sampler
from emohelpers.generation._memory import nearer_than, nearest
from emohelpers.generation._rows import (
    compared,
    interval_of_means,
    interval_of_quantile,
    interval_of_share,
    row,
)
from emohelpers.generation._work import Work

__all__ = ["asked", "memory", "perplexity", "psnr", "reconstruction"]

_UNSEEN = "held-out faces, redrawn"


def psnr(images: Any, redrawn: Any) -> NDArray[np.float64]:
    """Return the peak signal-to-noise ratio of each image, in dB.

    Parameters
    ----------
    images, redrawn : array_like of uint8, shape (n, height, width, channels)
        Pixels in 0..255.

    Returns
    -------
    ndarray of float64, shape (n,)
        ``20 log10(255 / e)``, where `e` is the root of the mean squared difference, but no more
        than rounding to whole grey levels would leave: an `e` of ``12 ** -0.5``, 58.9 dB.

    Examples
    --------
    >>> face = np.full((1, 2, 2, 1), 100, np.uint8)
    >>> psnr(face, face + 5).round(2).tolist()
    [34.15]
    """
    gaps = np.asarray(images, np.float64) - np.asarray(redrawn, np.float64)
    errors = (gaps**2).mean(axis=(1, 2, 3))
    return 10 * np.log10(255**2 / np.maximum(errors, 1 / 12))


def perplexity(codes: NDArray[Any], n_codes: int) -> float:
    """Return how many codes, used alike, would be as hard to foresee as these.

    Parameters
    ----------
    codes : ndarray of int, any shape
        In 0 to ``n_codes - 1``.
    n_codes : int
        Entries of the codebook.

    Returns
    -------
    float
        The exponential of the entropy (in nats) of the codes' shares, 1 to `n_codes`.

    Examples
    --------
    >>> round(perplexity(np.array([0, 0, 3, 3]), 8), 6)
    2.0
    """
    counts = np.bincount(np.ravel(codes).astype(np.int64), minlength=n_codes)
    return float(_perplexities(counts[None].astype(np.float64))[0])


def _perplexities(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = counts / counts.sum(axis=1, keepdims=True)
    # What is never used adds nothing.
    logs = np.log(np.where(shares > 0, shares, 1))
    return np.exp(-(shares * logs).sum(axis=1))


def reconstruction(work: Work, judge: Any) -> list[dict[str, Any]]:
    """Ask what the codes keep of faces that the generator has not learnt from."""
    test, word = work.faces.split("test"), work.word("test")
    pixels = np.asarray(test.images)
    codes = work.generator.codes(pixels)
    sampler = work.generator.sampler()
    redrawn = sampler.decode(codes)
    uses = np.stack([np.bincount(one, minlength=sampler.n_codes) for one in codes.astype(np.int64)])
    figures = {
        "PSNR in dB": interval_of_means(psnr(pixels, redrawn)[:, None], lambda mean: mean[:, 0]),
        "perplexity of the codes": interval_of_means(uses, _perplexities),
        "codes in use": {"value": float((uses.sum(axis=0) > 0).sum())},
    }
    rows = [
        row("reconstruction", word, "redrawn", measure, figure, n=len(test))
        for measure, figure in figures.items()
    ]
    if judge is not None:
        versions = {"as they are": pixels, "redrawn": redrawn}
        rows += _judged(judge, versions, test.labels, "reconstruction", word)
    return rows


def _made_like_test(work: Work, sampler: Sampler) -> NDArray[np.uint8]:
    """Return as many made faces of each emotion as the test split has."""
    labels = work.faces.split("test").labels
    return work.drawn(sampler, labels, "like-test", seed=2, guidance=sampler.guidance)


def asked(work: Work, sampler: Sampler, judge: Any) -> list[dict[str, Any]]:
    """Ask how often a judge sees in a made face the emotion that was asked for."""
    test = work.faces.split("test")
    versions = {"held-out faces": test.images, "made faces": _made_like_test(work, sampler)}
    return _judged(judge, versions, test.labels, "asked", work.word("test"))


def _judged(
    judge: Any, versions: dict[str, Any], labels: NDArray[np.int64], study: str, word: str
) -> list[dict[str, Any]]:
    right = {
        name: (evaluation.predict(judge, images).argmax(axis=1) == labels)[None]
        for name, images in versions.items()
    }
    table = ablation.compare(right)
    return compared(table, study, word, f"accuracy of {judge.name}", n=len(labels), seeds=1)


def memory(work: Work, sampler: Sampler, judge: Any) -> list[dict[str, Any]]:
    """Ask whether made faces lie nearer to learnt ones than faces that were never seen do.

    A face that comes from codes is smoother than a photograph, and a smooth face is nearer to
    every other: so made faces are compared with held-out ones that went through the codes, too.
    What repeating would look like, learnt faces say that went through the codes.
    """
    learnt, test = evaluation.training_rows(work.faces), work.faces.split("test")
    pixels, word = np.asarray(learnt.images), work.word("train")
    made = _made_like_test(work, sampler)
    copies = {
        "held-out faces": _copied(pixels, np.asarray(test.images)),
        "made faces": _copied(pixels, made),
    }
    rows = [
        row("memory", word, what, "near duplicates", interval_of_share(found), n=len(found))
        for what, found in copies.items()
    ]
    held_out = np.asarray(test.images)[~copies["held-out faces"]]
    some = np.random.default_rng(0).permutation(len(learnt))[: len(test)]
    queries = {
        _UNSEEN: work.generator.reconstruct(held_out),
        "held-out faces": held_out,
        "made faces": made,
        "learnt faces, redrawn": work.generator.reconstruct(pixels[some]),
    }
    # The generator has learnt each face and its mirror image.
    references = np.concatenate([pixels, pixels[:, :, ::-1]])
    spaces: dict[str, Callable[[Any], Any]] = {"pixels": lambda images: images}
    if judge is not None:
        spaces[f"features of {judge.name}"] = lambda images: models.features(judge, images)
    for space, of in spaces.items():
        known = of(references)
        distances = {what: nearest(of(images), known)[0] for what, images in queries.items()}
        for what, found in distances.items():
            measure = f"median distance, {space}"
            figure = interval_of_quantile(found, 0.5)
            rows.append(row("memory", word, what, measure, figure, n=len(found)))
            for quantile in (0.01, 0.5) if what != _UNSEEN else ():
                share = nearer_than(found, distances[_UNSEEN], quantile=quantile)
                measure = f"nearer than {quantile:.0%} of those, {space}"
                entry = row("memory", word, what, measure, share, n=len(found))
                rows.append(entry | {"against": _UNSEEN})
    return rows


def _copied(learnt: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say which of the others look like a copy of a learnt face."""
    pairs = near_duplicates(np.concatenate([learnt, others]))
    between = (pairs["first"] < len(learnt)) & (pairs["second"] >= len(learnt))
    found = np.zeros(len(others), bool)
    found[pairs["second"][between].to_numpy() - len(learnt)] = True
    return found

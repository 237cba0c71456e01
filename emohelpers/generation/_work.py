"""What the questions of a study share: faces, generator, small networks, and what is on disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emohelpers import ablation, evaluation
from emohelpers._replacing import replacing
from emohelpers.ablation import Step
from emohelpers.datasets import FaceDataset
from emohelpers.datasets.learnedfaces import Sampler
from emohelpers.generation._train import Generator
from emohelpers.models._saved import load_network
from emohelpers.recipes import Recipe

__all__ = ["Work"]

_AS_IT_IS = {"it": Step("the recipe as it is")}


@dataclass(frozen=True)
class Work:
    """A data set, a generator that has learnt from it, and the recipe of small networks.

    Parameters
    ----------
    faces : FaceDataset
        With three splits.
    generator : Generator
        Trained on the first of them.
    directory : Path
        For what is drawn and trained.
    base : Recipe
        Of the small networks.
    seeds : tuple of int
        Of theirs.
    verbose : int or "auto"
        See `emohelpers.training.fit`.
    """

    faces: FaceDataset
    generator: Generator
    directory: Path
    base: Recipe
    seeds: tuple[int, ...]
    verbose: int | str

    def word(self, split: str) -> str:
        """Return the data set's own word for a split."""
        return str(self.faces.split(split).table["split"].iloc[0])

    def drawn(
        self, sampler: Sampler, labels: NDArray[np.int64], name: str, *, seed: int, guidance: float
    ) -> NDArray[np.uint8]:
        """Return made faces: from disk, or else drawn and kept there."""
        path = self.directory / "drawn" / f"{name}-{guidance:g}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as file:
                if np.array_equal(file["labels"], labels) and int(file["seed"]) == seed:
                    return file["images"]
        images = sampler.draw(labels, seed=seed, guidance=guidance)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside:
            np.savez(beside, images=images, labels=labels, seed=np.array(seed))
        return images

    def right(
        self,
        name: str,
        faces: FaceDataset,
        *,
        recipe: Recipe | None = None,
        steps: Mapping[str, Step] = _AS_IT_IS,
        seeds: tuple[int, ...] | None = None,
    ) -> dict[str, NDArray[np.bool_]]:
        """Train small networks on some faces; say which validation faces each gets right."""
        return ablation.results(
            None,
            directory=self.directory / name,
            base=recipe or self.base,
            steps=steps,
            seeds=seeds or self.seeds,
            faces=faces,
            verbose=self.verbose,
        )

    def right_on_test(self, name: str, faces: FaceDataset, recipe: Recipe) -> NDArray[np.bool_]:
        """Train small networks on some faces; say which test faces each gets right."""
        self.right(name, faces, recipe=recipe)
        test = self.faces.split("test")
        networks = [load_network(self.directory / name / f"it-{seed}") for seed in self.seeds]
        answers = [evaluation.predict(network, test.images) for network in networks]
        return np.stack([one.argmax(axis=1) == test.labels for one in answers])

"""What a training learns of each image: its label, raters' votes, a teacher's opinion."""

import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emohelpers import publishing
from emohelpers.datasets import FaceDataset
from emohelpers.errors import ConfigurationError
from emohelpers.recipes._recipe import Recipe

__all__ = ["targets"]


def targets(recipe: Recipe, rows: FaceDataset, *, directory: Path) -> NDArray[np.float32] | None:
    """Return what is to be learned of each training image, where that is not its label alone.

    Parameters
    ----------
    recipe : Recipe
        Says how much raters and a teacher have to say.
    rows : FaceDataset
        The n training images, with the raters' votes where they are asked for.
    directory : Path
        Of the training; keeps them in ``targets.npz``.

    Returns
    -------
    ndarray of float32, shape (n, n_classes), or None
        Probabilities; None where neither has a say.

    Raises
    ------
    ConfigurationError
        If shares and teacher do not fit, or what is kept is damaged.
    """
    from emohelpers import evaluation, models, raters, training

    if not 0 <= recipe.teacher_share <= 1 or (recipe.teacher_share > 0) != bool(recipe.teacher):
        raise ConfigurationError(
            f"recipe {recipe.name}: teacher {recipe.teacher!r} with a share of "
            f"{recipe.teacher_share:g}: expected both or none, and a share up to 1"
        )
    if not (recipe.votes or recipe.teacher):
        return None
    # Kept, so that a training that goes on elsewhere learns the same to the last digit: fits and
    # predictions differ a little from one processor to the next.
    kept = directory / "targets.npz"
    made_from = _described(recipe, rows)
    if kept.exists():
        try:
            with np.load(kept, allow_pickle=False) as file:
                if str(file["made_from"]) == made_from:
                    return file["targets"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ConfigurationError(
                f"{kept} is damaged ({error}): delete it and state.npz to start this training again"
            ) from error
    learned = raters.soft_labels(rows, share=recipe.votes, expected=recipe.expected_labels)
    if recipe.teacher is not None:
        teacher = publishing.open_model(models.saved_folder(recipe.teacher))
        if len(set(teacher.class_names) & set(rows.class_names)) < 2:
            raise ConfigurationError(
                f"recipe {recipe.name}: its teacher knows {', '.join(teacher.class_names)}: "
                f"expected two or more of {', '.join(rows.class_names)}"
            )
        opinion = _among(
            rows.class_names,
            evaluation.predict(teacher.model, rows.images, views=2),
            teacher.class_names,
        )
        learned = recipe.teacher_share * opinion + (1 - recipe.teacher_share) * learned
    if training.this_process().index:
        return learned
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / "targets.tmp.npz"
    np.savez(temporary, targets=learned, made_from=np.array(made_from))
    temporary.replace(kept)
    return learned


def _described(recipe: Recipe, rows: FaceDataset) -> str:
    """Say what the targets of a recipe are made from."""
    opinions = rows.table.filter(regex="^votes_").to_numpy(np.float64)
    digest = hashlib.sha256(rows.labels.tobytes() + opinions.tobytes()).hexdigest()
    names = ("votes", "expected_labels", "teacher", "teacher_share")
    return json.dumps([digest, *(getattr(recipe, name) for name in names)])


def _among(
    class_names: Sequence[str], opinion: NDArray[np.float32], known: Sequence[str]
) -> NDArray[np.float32]:
    """Reorder a network's probabilities to these classes; those it does not know get 0."""
    columns = [list(known).index(name) if name in known else -1 for name in class_names]
    zero = np.zeros((len(opinion), 1), np.float32)
    kept = np.concatenate([opinion, zero], axis=1)[:, columns]
    # A floor, where a network is sure of a class that is none of these.
    kept = np.where(np.array(columns) >= 0, np.maximum(kept, 1e-6), 0)
    return (kept / kept.sum(axis=1, keepdims=True)).astype(np.float32)

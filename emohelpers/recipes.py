"""The named systems: data, preparation, network, optimiser and schedule of each, as data."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from emohelpers.datasets import EMOTIONS, load
from emohelpers.errors import ConfigurationError

__all__ = ["RECIPES", "Recipe", "get", "train"]


@dataclass(frozen=True)
class Recipe:
    """What a training does, without how.

    Parameters
    ----------
    name : str
        What ``emohelpers train`` calls it.
    summary : str
        One sentence.
    dataset : str
        The source, as in `emohelpers.datasets.load`.
    network : str
        A builder of `emohelpers.models`.
    dataset_options, network_options : mapping
        Further arguments of the loader and of the builder.
    emotions : sequence of str
        The classes, in label order.
    size : int
        Height and width of the images, in pixels.
    color : bool
        Three channels in place of one.
    augmentation : str, optional
        A preset of `emohelpers.augmentation.pipeline`.
    augmentation_options : mapping
        Strengths in place of the preset's.
    class_weights : float
        The exponent of scikit-learn's balanced class weights: 1 balances in full, 0 not at all.
    optimizer : str
        The name of a class of `keras.optimizers`.
    optimizer_options : mapping
        Its arguments, but for the learning rate.
    learning_rate : float
        At the first step, or after the warm-up.
    schedule : str
        ``"constant"``, or ``"cosine"``: down to zero at the last epoch.
    warmup : float
        Epochs over which a cosine schedule first rises from zero.
    label_smoothing, mixup, cutmix : float
        See `emohelpers.training.fit`.
    votes : float
        The share of each training target that the raters' votes have, see
        `emohelpers.raters.soft_labels`; the label has the rest.
    batch_size, epochs, patience : int
        See `emohelpers.training.fit`.
    monitor : str
        What chooses the best epoch, ``"val_accuracy"`` or ``"val_loss"``.
    odds : mapping of str to float
        What the odds of some emotions are multiplied by after training, see
        `emohelpers.training.multiply_odds`.
    reported : mapping
        The figures of the system's authors, where it is not the project's own.
    """

    name: str
    summary: str
    dataset: str
    network: str
    dataset_options: Mapping[str, Any] = field(default_factory=dict)
    network_options: Mapping[str, Any] = field(default_factory=dict)
    emotions: tuple[str, ...] = EMOTIONS[:7]
    size: int = 48
    color: bool = False
    augmentation: str | None = None
    augmentation_options: Mapping[str, Any] = field(default_factory=dict)
    class_weights: float = 0.0
    optimizer: str = "Adam"
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    learning_rate: float = 1e-3
    schedule: str = "constant"
    warmup: float = 0.0
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    votes: float = 0.0
    batch_size: int = 64
    epochs: int = 100
    patience: int = 0
    monitor: str = "val_accuracy"
    odds: Mapping[str, float] = field(default_factory=dict)
    reported: Mapping[str, float] = field(default_factory=dict)


# What most recent networks on FER2013 are trained with, and here all of the project's longer ones.
_LONG: dict[str, Any] = {
    "optimizer": "SGD",
    "optimizer_options": {
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 5e-3,  # decoupled: with this momentum as much as an L2 term of 5e-4
        "use_ema": True,
        "ema_momentum": 0.999,
    },
    "learning_rate": 0.1,
    "schedule": "cosine",
    "warmup": 2.0,
    "label_smoothing": 0.05,
    "mixup": 0.2,
    "votes": 0.2,
    "batch_size": 128,
}

RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="fer-baseline",
            summary="Three convolutions on FER2013, trained with care.",
            dataset="fer2013",
            network="baseline_cnn",
            augmentation="light",
            class_weights=0.5,
            optimizer_options={"use_ema": True, "ema_momentum": 0.999},
            schedule="cosine",
            label_smoothing=0.1,
            epochs=40,
            reported={"macro_f1": 0.57},
        ),
        Recipe(
            name="fer-deeper",
            summary="Seven convolutions with batch normalisation on FER2013, trained with care.",
            dataset="fer2013",
            network="deeper_cnn",
            network_options={"standardise": True},
            augmentation="fer",
            augmentation_options={"zoom": 0.2},
            **_LONG,
            epochs=70,
            reported={"macro_f1": 0.62},
        ),
        Recipe(
            name="fer-large",
            summary="A residual network on FER2013, the best single one.",
            dataset="fer2013",
            network="residual_cnn",
            network_options={
                "widths": (48, 96, 192),
                "blocks": (1, 2, 2),
                "stem": 32,
                "pool": True,
                "stochastic_depth": 0.1,
                "standardise": True,
            },
            augmentation="fer",
            augmentation_options={"zoom": 0.2},
            **_LONG,
            epochs=40,
        ),
        Recipe(
            name="toy-baseline",
            summary="The same network, on standardised images, trained on drawn faces alone.",
            dataset="toyfaces",
            dataset_options={
                "n": 30_000,
                "seed": 1,  # other people than those of the draw that everybody gets
                "difficulty": (0.2, 1.0),
                "emotions": {
                    "anger": 0.15,
                    "disgust": 0.04,
                    "fear": 0.15,
                    "happiness": 0.12,
                    "sadness": 0.18,
                    "surprise": 0.13,
                    "neutral": 0.23,
                },
            },
            network="baseline_cnn",
            network_options={"standardise": True},
            augmentation="fer",
            augmentation_options={"zoom": 0.2},
            optimizer="AdamW",
            optimizer_options={"weight_decay": 1e-3, "use_ema": True, "ema_momentum": 0.99},
            schedule="cosine",
            label_smoothing=0.1,
            epochs=15,
            # The folds of real faces at rest look like drawn smiles. Drawing fewer smiles instead
            # taught the network less of what a smile is.
            odds={"happiness": 0.5},
        ),
    )
}
"""Every recipe by its name."""


def get(name: str) -> Recipe:
    """Return a recipe by its name.

    Parameters
    ----------
    name : str
        One of `RECIPES`.

    Returns
    -------
    Recipe
        The recipe.

    Raises
    ------
    ConfigurationError
        If there is none of that name.

    Examples
    --------
    >>> get("fer-baseline").dataset
    'fer2013'
    """
    if name not in RECIPES:
        raise ConfigurationError(f"no recipe {name!r}: expected one of {', '.join(RECIPES)}")
    return RECIPES[name]


def train(
    recipe: Recipe,
    path: str | Path | None = None,
    *,
    directory: str | Path,
    votes: str | Path | None = None,
    epochs: int | None = None,
    precision: str = "float32",
    seed: int = 0,
    cache: str | Path | None = None,
    verbose: int | str = "auto",
) -> Any:
    """Train a recipe from its data to a folder that `emohelpers.publishing.open_model` opens.

    Started again with the same arguments, it goes on where it was stopped.

    Parameters
    ----------
    recipe : Recipe
        One of `RECIPES`, or your own.
    path : path, optional
        Where the data set lies; toy faces need none.
    directory : path
        Gets ``model.keras``, ``recipe.json``, ``history.csv`` and ``state.npz``.
    votes : path, optional
        Where the FER+ votes lie, for recipes that learn from them.
    epochs : int, optional
        In place of the recipe's; a cosine schedule ends there.
    precision : str
        A dtype policy of Keras: ``"float32"``, ``"mixed_bfloat16"`` (about a third faster on CPUs
        that have it, and on GPUs) or ``"mixed_float16"`` (GPUs).
    seed : int
        Of the initial weights, dropout, augmentation and the order of the batches.
    cache : path, optional
        See `emohelpers.datasets.load`.
    verbose : int or "auto"
        See `emohelpers.training.fit`.

    Returns
    -------
    emohelpers.publishing.SavedModel
        With the weights of the best epoch.

    Raises
    ------
    ConfigurationError
        If a part of the recipe is not known, or the folder holds another training, or a network
        without the state of its training, which would be replaced.
    """
    import keras

    from emohelpers import augmentation, evaluation, models, publishing, raters, sampling, training

    directory = Path(directory)
    _check_free(directory)
    _check_precision(precision)
    epochs = recipe.epochs if epochs is None else epochs
    if epochs < 1:
        raise ConfigurationError(f"epochs={epochs}: expected 1 or more")
    builder = _builder(recipe)
    data = load(
        recipe.dataset,
        path,
        size=recipe.size,
        color=recipe.color,
        cache=cache,
        **{**recipe.dataset_options, **({} if votes is None else {"votes": votes})},
    ).keep_classes(recipe.emotions)
    rows = evaluation.training_rows(data)
    keras.utils.set_random_seed(seed)
    with models.precision(precision):
        model = builder(data.images.shape[1:], len(recipe.emotions), **recipe.network_options)
    balanced = sampling.class_weights(rows.labels, len(recipe.emotions))
    weights = {label: weight**recipe.class_weights for label, weight in balanced.items()}
    training.fit(
        model,
        rows,
        data.split("validation"),
        directory=directory,
        epochs=epochs,
        batch_size=recipe.batch_size,
        optimizer=_optimizer(recipe, epochs=epochs, steps=-(-len(rows) // recipe.batch_size)),
        targets=raters.soft_labels(rows, share=recipe.votes) if recipe.votes else None,
        augmentation=recipe.augmentation
        and augmentation.pipeline(recipe.augmentation, seed=seed, **recipe.augmentation_options),
        class_weights=weights if recipe.class_weights else None,
        label_smoothing=recipe.label_smoothing,
        mixup=recipe.mixup,
        cutmix=recipe.cutmix,
        monitor=recipe.monitor,
        patience=recipe.patience,
        seed=seed,
        verbose=verbose,
    )
    if recipe.odds:
        training.multiply_odds(model, [recipe.odds.get(name, 1.0) for name in recipe.emotions])
    return publishing.save(
        models.portable(model),
        {**asdict(recipe), "epochs": epochs, "precision": precision, "seed": seed},
        directory=directory,
    )


def _check_free(directory: Path) -> None:
    """Refuse a folder, such as a published one, whose network no training could go on with."""
    if (directory / "model.keras").exists() and not (directory / "state.npz").exists():
        raise ConfigurationError(
            f"{directory} holds a network without the state of its training: expected a folder "
            "that is new or whose training can go on"
        )


def _check_precision(precision: str) -> None:
    known = ("float32", "mixed_bfloat16", "mixed_float16")
    if precision not in known:
        raise ConfigurationError(f"precision={precision!r}: expected one of {', '.join(known)}")


def _builder(recipe: Recipe) -> Callable[..., Any]:
    from emohelpers import models

    if recipe.network not in models.BUILDERS:
        raise ConfigurationError(
            f"recipe {recipe.name}: no network {recipe.network!r}: expected one of "
            f"{', '.join(models.BUILDERS)}"
        )
    return models.BUILDERS[recipe.network]


def _optimizer(recipe: Recipe, *, epochs: int, steps: int) -> Any:
    """Build a recipe's optimiser for so many epochs of so many steps."""
    import keras

    optimizer = getattr(keras.optimizers, recipe.optimizer, None)
    if not isinstance(optimizer, type) or not issubclass(optimizer, keras.optimizers.Optimizer):
        raise ConfigurationError(
            f"recipe {recipe.name}: no optimizer {recipe.optimizer!r}: expected a class of "
            "keras.optimizers such as 'Adam' or 'SGD'"
        )
    if recipe.schedule not in ("constant", "cosine"):
        raise ConfigurationError(
            f"recipe {recipe.name}: no schedule {recipe.schedule!r}: expected 'constant' or "
            "'cosine'"
        )
    if not 0 <= recipe.warmup < epochs:
        raise ConfigurationError(
            f"recipe {recipe.name}: a warm-up of {recipe.warmup:g} epochs: expected 0 or more and "
            f"fewer than the {epochs} of the training"
        )
    rate = recipe.learning_rate
    if recipe.schedule == "cosine":
        rising = round(recipe.warmup * steps)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if rising else recipe.learning_rate,
            epochs * steps - rising,
            warmup_target=recipe.learning_rate if rising else None,
            warmup_steps=rising,
        )
    built = optimizer(learning_rate=rate, **recipe.optimizer_options)
    if recipe.optimizer_options.get("weight_decay"):
        # Shrinking what scales or shifts a normalised value regularises nothing.
        built.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return built

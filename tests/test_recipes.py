"""Recipes are complete as data, and train end to end into a folder that opens again."""

import dataclasses
import inspect

import keras
import numpy as np
import pandas as pd
import pytest

from emohelpers import augmentation, datasets, evaluation, models, publishing, recipes
from emohelpers.errors import ConfigurationError

TINY = recipes.Recipe(
    name="tiny",
    summary="A network of a few weights on a few toy faces.",
    dataset="toyfaces",
    network="baseline_cnn",
    dataset_options={"n": 120},
    network_options={"filters": (2, 2, 2), "units": 4},
    emotions=("happiness", "neutral", "anger"),
    size=24,
    augmentation="light",
    class_weights=0.5,
    schedule="cosine",
    epochs=2,
)


@pytest.mark.parametrize("recipe", recipes.RECIPES.values(), ids=str)
def test_every_recipe_names_only_what_exists(recipe):
    assert recipes.get(recipe.name) is recipe
    assert recipe.dataset in datasets.SOURCES
    builder = models.BUILDERS[recipe.network]
    assert set(recipe.network_options) <= set(inspect.signature(builder).parameters)
    assert recipe.augmentation is None or recipe.augmentation in augmentation.PRESETS
    assert set(recipe.emotions) <= set(datasets.EMOTIONS)
    assert set(recipe.reported) <= {"accuracy", "macro_f1"}
    assert 0 < recipe.learning_rate < 1
    assert 0 <= recipe.label_smoothing < 1


def test_the_published_baseline_is_the_network_that_its_authors_describe():
    recipe = recipes.get("fer-baseline")
    shape = (recipe.size, recipe.size, 3 if recipe.color else 1)
    model = models.baseline_cnn(shape, len(recipe.emotions), **recipe.network_options)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv2D") == kinds.count("MaxPooling2D") == 3
    assert kinds.count("Dropout") == 1
    assert recipe.reported == {"macro_f1": 0.57}


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"'fer-best'.*fer-baseline"):
        recipes.get("fer-best")


def test_a_training_leaves_what_opens_and_scores_as_its_history_says(tmp_path):
    out = tmp_path / "tiny"
    saved = recipes.train(TINY, directory=out, seed=3, cache=tmp_path, verbose=0)
    history = pd.read_csv(out / "history.csv")
    assert len(history) == 2
    assert history["learning_rate"].is_monotonic_decreasing  # the cosine
    # The best epoch's weights, not the last one's, lie in the folder.
    data = saved.load("toyfaces", n=120, cache=tmp_path).keep_classes(TINY.emotions)
    part = data.split("validation")
    opened = publishing.open_model(out)
    shares = evaluation.predict(opened.model, part.images)
    right = (shares.argmax(1) == part.labels).mean()
    assert right == pytest.approx(history["val_accuracy"].max(), abs=1e-6)
    np.testing.assert_array_equal(shares, evaluation.predict(saved.model, part.images))
    # recipe.json holds every field of the recipe, and the seed.
    written = {**dataclasses.asdict(TINY), "emotions": list(TINY.emotions)}
    written |= {"precision": "float32", "seed": 3}
    written["network_options"] = {"filters": [2, 2, 2], "units": 4}
    assert opened.recipe == written
    assert opened.class_names == TINY.emotions


def test_the_seed_decides_the_weights(tmp_path):
    plain = dataclasses.replace(TINY, augmentation=None)
    first, again = (
        recipes.train(
            plain, directory=tmp_path / name, epochs=1, seed=1, cache=tmp_path, verbose=0
        ).model.get_weights()
        for name in ("first", "again")
    )
    for one, same in zip(first, again, strict=True):
        np.testing.assert_allclose(one, same, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"network": "vgg99"}, "no network 'vgg99': expected one of baseline_cnn"),
        ({"network": "Any"}, "no network 'Any'"),
        ({"optimizer": "Adamant"}, "no optimizer 'Adamant'"),
        ({"optimizer": "schedules"}, "no optimizer 'schedules'"),
        ({"schedule": "stairs"}, "no schedule 'stairs': expected 'constant' or 'cosine'"),
        ({"augmentation": "heavy"}, "heavy"),
        ({"epochs": 0}, "epochs=0"),
        ({"dataset_options": {"number": 120}}, "toyfaces has no option number"),
    ],
)
def test_an_unknown_part_of_a_recipe_is_refused_before_anything_is_written(tmp_path, change, words):
    recipe = dataclasses.replace(TINY, **change)
    with pytest.raises(ConfigurationError) as caught:
        recipes.train(recipe, directory=tmp_path / "out", cache=tmp_path / "cache", verbose=0)
    assert words in str(caught.value)
    assert not list(tmp_path.glob("out/*"))


def test_a_published_network_is_not_trained_over(tmp_path):
    model = models.baseline_cnn((24, 24, 1), 3, filters=(2, 2, 2), units=4)
    publishing.save(model, dataclasses.asdict(TINY), directory=tmp_path)
    before = (tmp_path / "model.keras").read_bytes()
    with pytest.raises(ConfigurationError, match="holds a network without the state"):
        recipes.train(TINY, directory=tmp_path, verbose=0)
    assert (tmp_path / "model.keras").read_bytes() == before


def test_no_epochs_are_not_taken_for_the_recipes_own(tmp_path):
    with pytest.raises(ConfigurationError, match="epochs=0"):
        recipes.train(TINY, directory=tmp_path / "out", epochs=0, cache=tmp_path, verbose=0)


def test_optimizer_options_and_schedule_reach_the_optimizer():
    recipe = dataclasses.replace(TINY, optimizer="SGD", optimizer_options={"momentum": 0.9})
    optimizer = recipes._optimizer(recipe, epochs=1, steps=10)
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert optimizer.momentum == 0.9
    rates = [float(optimizer._learning_rate(step)) for step in (0, 5, 10)]
    assert rates == pytest.approx([1e-3, 5e-4, 0], abs=1e-9)

"""Recipes are complete as data, and train end to end into a folder that opens again."""

import dataclasses
import inspect

import cv2
import keras
import numpy as np
import pandas as pd
import pytest

from emohelpers import augmentation, datasets, evaluation, models, publishing, recipes, training
from emohelpers.errors import ConfigurationError, EmohelpersError

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


@pytest.mark.parametrize("recipe", recipes.RECIPES.values(), ids=recipes.RECIPES)
def test_every_recipe_names_only_what_exists(recipe):
    assert recipes.get(recipe.name) is recipe
    assert recipe.dataset in datasets.SOURCES
    builder = models.BUILDERS[recipe.network]
    assert set(recipe.network_options) <= set(inspect.signature(builder).parameters)
    assert recipe.augmentation is None or recipe.augmentation in augmentation.PRESETS
    assert set(recipe.emotions) <= set(datasets.EMOTIONS)
    recalls = {f"{name}_recall{end}" for name in recipe.emotions for end in ("", "_below")}
    assert set(recipe.reported) <= {"accuracy", "f1", *recalls}
    assert 0 < recipe.learning_rate < 1
    assert 0 <= recipe.label_smoothing < 1
    # A last layer that is calculated takes no epochs, and everything else takes some.
    assert (recipe.epochs == 0) == bool(recipe.head)
    assert recipe.head or recipe.warmup < recipe.epochs
    assert set(recipe.head) <= set(inspect.signature(training.fit_head).parameters)
    assert 0 <= recipe.votes <= 1
    assert (recipe.teacher_share > 0) == (recipe.teacher is not None)
    assert recipe.labels in ("source", "majority")
    assert 0 <= recipe.crop < 0.5
    # A source without splits is divided in one way or the other.
    without = recipe.dataset in ("utkface", "facial_expressions")
    assert (recipe.folds > 1) + (recipe.training_list is not None) == without
    assert not recipe.each_fold or recipe.folds


def test_the_published_baseline_is_the_network_that_its_authors_describe():
    recipe = recipes.get("fer-baseline")
    shape = (recipe.size, recipe.size, 3 if recipe.color else 1)
    model = models.baseline_cnn(shape, len(recipe.emotions), **recipe.network_options)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv2D") == kinds.count("MaxPooling2D") == 3
    assert kinds.count("Dropout") == 1
    assert recipe.reported == {"f1": 0.57}


def test_the_systems_of_others_are_trained_as_their_authors_describe_them():
    deeper, vgg, alexnet = map(recipes.get, ("fer-deeper-authors", "fer-vgg19", "alexnet"))
    assert (deeper.optimizer, deeper.learning_rate) == ("Adam", 1e-3)
    assert (deeper.batch_size, deeper.epochs, deeper.patience) == (128, 50, 12)
    assert deeper.augmentation_options["rotation"] == 30
    assert deeper.reported == recipes.get("fer-deeper").reported == {"f1": 0.62}
    assert (vgg.optimizer, vgg.learning_rate, vgg.batch_size, vgg.epochs) == ("SGD", 1e-3, 32, 50)
    assert vgg.network_options == {"backbone": "vgg19", "weights": "imagenet", "freeze": 2}
    assert (vgg.size, vgg.color, vgg.reported) == (48, True, {"f1": 0.64})
    assert (alexnet.size, alexnet.batch_size, alexnet.epochs) == (227, 32, 25)
    assert (alexnet.optimizer, alexnet.reported) == ("Adam", {"accuracy": 0.517})


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
        ({"network": "vgg99"}, "no network 'vgg99': expected one of alexnet, baseline_cnn"),
        ({"network": "Any"}, "no network 'Any'"),
        ({"optimizer": "Adamant"}, "no optimizer 'Adamant'"),
        ({"optimizer": "schedules"}, "no optimizer 'schedules'"),
        ({"schedule": "stairs"}, "no schedule 'stairs': expected 'constant' or 'cosine'"),
        ({"augmentation": "heavy"}, "heavy"),
        ({"epochs": 0}, "epochs=0"),
        ({"dataset_options": {"number": 120}}, "toyfaces has no option number"),
        ({"labels": "mine"}, "labels 'mine': expected 'source' or 'majority'"),
        ({"warmup": 2}, "a warm-up of 2 epochs: expected 0 or more and fewer than the 2"),
        ({"teacher_share": 0.5}, "teacher None with a share of 0.5"),
        ({"teacher": "fer-baseline"}, "with a share of 0: expected both or none"),
        ({"teacher": "nobody", "teacher_share": 0.5}, "no published network 'nobody'"),
        ({"sampling": "adasyn"}, "way 'adasyn': expected one of undersample"),
        ({"sampling": "smote", "votes": 0.5}, "smote with votes or a teacher"),
        ({"odds": "fair"}, "odds 'fair': expected 'balanced', or numbers"),
        ({"beta": 2.0}, "beta=2.0"),
        ({"focal": 2.0, "logit_adjustment": 1.0}, "expected one of them"),
        ({"steps_per_epoch": 0, "schedule": "constant"}, "steps_per_epoch=0"),
    ],
)
def test_an_unknown_part_of_a_recipe_is_refused_before_anything_is_written(tmp_path, change, words):
    recipe = dataclasses.replace(TINY, **change)
    with pytest.raises(EmohelpersError) as caught:
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


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_is_none_is_refused(tmp_path, seed):
    with pytest.raises(ConfigurationError, match=f"seed={seed}"):
        recipes.train(TINY, directory=tmp_path / "out", seed=seed, cache=tmp_path, verbose=0)


def test_no_epochs_are_not_taken_for_the_recipes_own(tmp_path):
    with pytest.raises(ConfigurationError, match="epochs=0"):
        recipes.train(TINY, directory=tmp_path / "out", epochs=0, cache=tmp_path, verbose=0)


def test_optimizer_options_and_schedule_reach_the_optimizer():
    recipe = dataclasses.replace(TINY, optimizer="SGD", optimizer_options={"momentum": 0.9})
    optimizer = recipes._train._optimizer(recipe, epochs=1, steps=10)
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert optimizer.momentum == 0.9
    rates = [float(optimizer._learning_rate(step)) for step in (0, 5, 10)]
    assert rates == pytest.approx([1e-3, 5e-4, 0], abs=1e-9)


def test_the_warm_up_rises_to_the_rate_and_the_cosine_falls_to_zero():
    recipe = dataclasses.replace(TINY, warmup=1.0, learning_rate=0.1)
    optimizer = recipes._train._optimizer(recipe, epochs=5, steps=10)
    rates = [float(optimizer._learning_rate(step)) for step in (0, 5, 10, 30, 50)]
    assert rates == pytest.approx([0, 0.05, 0.1, 0.05, 0], abs=1e-8)


def test_weight_decay_leaves_biases_and_normalisations_alone():
    options = {"momentum": 0.0, "weight_decay": 0.1}
    recipe = dataclasses.replace(TINY, optimizer="SGD", optimizer_options=options)
    model = models.compact_cnn((24, 24, 1), 3, widths=(2, 2, 2, 2))
    optimizer = recipes._train._optimizer(recipe, epochs=1, steps=1)
    before = [np.array(variable) + 1 for variable in model.trainable_variables]
    for variable, value in zip(model.trainable_variables, before, strict=True):
        variable.assign(value)
    optimizer.build(model.trainable_variables)
    zero = [np.zeros(variable.shape, np.float32) for variable in model.trainable_variables]
    optimizer.apply_gradients(zip(zero, model.trainable_variables, strict=True))
    for variable, value in zip(model.trainable_variables, before, strict=True):
        shrunk = 1 - 0.1 * TINY.learning_rate if variable.name == "kernel" else 1.0
        np.testing.assert_allclose(np.array(variable), value * shrunk, rtol=1e-6)


def test_balanced_odds_are_the_inverse_shares_before_classes_are_evened_out(tmp_path):
    plain = dataclasses.replace(
        TINY,
        augmentation=None,
        class_weights=0.0,
        sampling="oversample",
        steps_per_epoch=3,
        epochs=1,
    )
    options = {"epochs": 1, "cache": tmp_path / "cache", "verbose": 0}
    balanced = dataclasses.replace(plain, odds="balanced")
    first = recipes.train(plain, directory=tmp_path / "plain", **options)
    second = recipes.train(balanced, directory=tmp_path / "balanced", **options)
    faces = datasets.load("toyfaces", size=24, n=120, cache=tmp_path / "cache")
    faces = faces.keep_classes(TINY.emotions)
    train = evaluation.training_rows(faces)
    answers = evaluation.predict(first.model, faces.images)
    expected = answers / (np.bincount(train.labels) / len(train))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(evaluation.predict(second.model, faces.images), expected, atol=1e-4)


def test_faces_may_be_given_in_place_of_a_path(tmp_path):
    faces = datasets.make_faces(60, size=24, seed=5, emotions=TINY.emotions)
    saved = recipes.train(TINY, directory=tmp_path / "given", faces=faces, epochs=1, verbose=0)
    kept = pd.read_csv(tmp_path / "given" / "history.csv")["val_accuracy"][0]
    part = faces.split("validation")
    answers = evaluation.predict(saved.model, part.images).argmax(1)
    assert (answers == part.labels).mean() == pytest.approx(kept, abs=1e-6)
    others = faces.keep_classes(["anger", "happiness", "neutral"])
    with pytest.raises(ConfigurationError, match="faces of anger, happiness, neutral: expected"):
        recipes.train(TINY, directory=tmp_path / "others", faces=others, verbose=0)


def test_a_pupil_learns_its_teachers_opinion_and_keeps_it(tmp_path):
    teacher = recipes.train(TINY, directory=tmp_path / "teacher", cache=tmp_path, verbose=0)
    pupil = dataclasses.replace(
        TINY, teacher=str(tmp_path / "teacher"), teacher_share=0.75, votes=0.5
    )
    out = tmp_path / "pupil"
    out.mkdir()
    data = datasets.load("toyfaces", n=120, size=24, cache=tmp_path).keep_classes(TINY.emotions)
    rows = evaluation.training_rows(data)
    targets = recipes._targets.targets(pupil, rows, directory=out)
    opinion = evaluation.predict(teacher.model, rows.images, views=2)
    voted = rows.table[[f"votes_{name}" for name in TINY.emotions]].to_numpy(float)
    total = voted.sum(1, keepdims=True)
    label = np.eye(3)[rows.labels]
    voted = np.where(total > 0, voted / np.maximum(total, 1), label)
    expected = 0.75 * opinion + 0.25 * (0.5 * voted + 0.5 * label)
    np.testing.assert_allclose(targets, expected, atol=1e-6)
    np.testing.assert_allclose(targets.sum(1), 1, atol=1e-6)
    # They are kept: a teacher that changes or goes away changes nothing any more.
    (tmp_path / "teacher").rename(tmp_path / "away")
    np.testing.assert_array_equal(recipes._targets.targets(pupil, rows, directory=out), targets)
    recipes.train(pupil, directory=out, cache=tmp_path, verbose=0)
    assert publishing.open_model(out).class_names == TINY.emotions
    # But never for other images, shares or teachers than they were made of.
    fewer = recipes._targets.targets(
        dataclasses.replace(pupil, teacher=str(tmp_path / "away")),
        rows.select(range(9)),
        directory=out,
    )
    np.testing.assert_allclose(fewer, targets[:9], atol=1e-5)
    voted_more = dataclasses.replace(pupil, teacher=str(tmp_path / "away"), votes=1.0)
    other = recipes._targets.targets(voted_more, rows, directory=out)
    np.testing.assert_allclose(other, 0.75 * opinion + 0.25 * voted, atol=1e-6)


def test_damaged_targets_are_refused_with_their_name(tmp_path):
    pupil = dataclasses.replace(TINY, votes=0.5)
    recipes.train(pupil, directory=tmp_path / "out", cache=tmp_path, epochs=1, verbose=0)
    kept = tmp_path / "out" / "targets.npz"
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(ConfigurationError, match=r"targets\.npz is damaged"):
        recipes.train(pupil, directory=tmp_path / "out", cache=tmp_path, epochs=2, verbose=0)


def test_a_teacher_of_other_classes_is_refused(tmp_path):
    recipes.train(TINY, directory=tmp_path / "teacher", cache=tmp_path, epochs=1, verbose=0)
    pupil = dataclasses.replace(
        TINY,
        emotions=("fear", "surprise", "anger"),
        teacher=str(tmp_path / "teacher"),
        teacher_share=0.5,
    )
    with pytest.raises(
        ConfigurationError, match="its teacher knows happiness, neutral, anger: expected two"
    ):
        recipes.train(pupil, directory=tmp_path / "pupil", cache=tmp_path, verbose=0)


def test_a_recipe_of_majorities_learns_and_is_scored_on_them(tmp_path):
    recipe = dataclasses.replace(TINY, labels="majority", votes=1.0, emotions=datasets.EMOTIONS)
    out = tmp_path / "majority"
    recipes.train(recipe, directory=out, cache=tmp_path, epochs=1, verbose=0)
    saved = publishing.open_model(out)
    faces = saved.load("toyfaces", n=120, cache=tmp_path)
    assert faces.name == "toyfaces-majority"
    assert 0 < (faces.labels < 0).sum() < 60
    result = publishing.metrics(saved, faces)
    assert publishing.metrics_file(saved, result).name == "metrics.json"
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    silent = dataclasses.replace(saved, recipe={**saved.recipe, "dataset": "folders"})
    (pictures / "anger").mkdir()
    cv2.imwrite(str(pictures / "anger" / "a.png"), np.asarray(faces.images[0]))
    with pytest.raises(ConfigurationError, match="came without their votes"):
        silent.load("folders", pictures, cache=tmp_path)
    test = faces.split("test")
    assert result["scores"]["test"]["n"] == (test.labels >= 0).sum()


def test_mixed_precision_trains_and_leaves_a_network_of_keras_own_layers(tmp_path):
    recipe = dataclasses.replace(
        TINY, network="compact_cnn", network_options={"widths": (2, 2, 2, 2)}
    )
    out = tmp_path / "mixed"
    recipes.train(
        recipe, directory=out, cache=tmp_path, epochs=1, precision="mixed_bfloat16", verbose=0
    )
    opened = keras.saving.load_model(out / "model.keras")
    assert {layer.dtype_policy.name for layer in opened.layers} == {"float32"}
    assert {type(layer).__module__.split(".")[0] for layer in opened.layers} == {"keras"}
    assert keras.config.dtype_policy().name == "float32"
    assert publishing.open_model(out).recipe["precision"] == "mixed_bfloat16"

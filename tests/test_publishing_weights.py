"""Half precision and ensembles: recomputed from the members and from the file's numbers."""

import io
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

from emohelpers import datasets, evaluation, models, publishing
from emohelpers.errors import ConfigurationError, MissingPathError

EMOTIONS = ["happiness", "neutral", "anger"]


def network(seed=0, widths=(4, 4, 8, 8)):
    keras.utils.set_random_seed(seed)
    return models.compact_cnn((24, 24, 1), 3, widths=widths, standardise=True)


def recipe(name, **others):
    return {"name": name, "dataset": "toyfaces", "emotions": EMOTIONS, **others}


def images():
    return datasets.make_faces(20, size=24, seed=3).images


def stored(path):
    """Read every array of a .keras file's weights."""
    arrays = {}
    with zipfile.ZipFile(path) as file, h5py.File(io.BytesIO(file.read("model.weights.h5"))) as h5:
        h5.visititems(
            lambda name, item: (
                arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return arrays


def test_half_precision_stores_rounded_weights_in_half_the_space(tmp_path):
    whole, half = network(), network()
    publishing.save(whole, recipe("whole"), directory=tmp_path / "whole")
    saved = publishing.save(half, recipe("half"), directory=tmp_path / "half", half=True)
    full, narrow = (stored(tmp_path / name / "model.keras") for name in ("whole", "half"))
    assert full.keys() == narrow.keys()
    assert {array.dtype for array in narrow.values() if array.dtype.kind == "f"} == {
        np.dtype(np.float16)
    }
    for name, array in full.items():
        np.testing.assert_array_equal(array.astype(np.float16), narrow[name], err_msg=name)
    sizes = [(tmp_path / name / "model.keras").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.7 * sizes[0]
    # What is in memory is what the file holds; the variables stay in single precision.
    opened = publishing.open_model(tmp_path / "half").model
    np.testing.assert_array_equal(
        evaluation.predict(opened, images()), evaluation.predict(saved.model, images())
    )
    assert {variable.dtype for variable in opened.weights} == {"float32"}


def test_weights_that_half_precision_can_not_hold_are_refused(tmp_path):
    model = network()
    model.layers[-1].bias.assign([1e5, 0, 0])
    with pytest.raises(ConfigurationError, match=r"1 weights .* 65,504"):
        publishing.save(model, recipe("large"), directory=tmp_path / "large", half=True)
    assert not (tmp_path / "large" / "model.keras").exists()
    assert float(model.layers[-1].bias.numpy()[0]) == 1e5


@pytest.fixture
def folders(tmp_path):
    for seed, name in enumerate(("one", "two", "three")):
        model = network(seed, widths=(4, 4, 8, 8 + seed))
        publishing.save(model, recipe(name), directory=tmp_path / name)
    return [tmp_path / name for name in ("one", "two", "three")]


def test_an_ensemble_says_the_mean_of_what_its_members_say(folders, tmp_path):
    saved = publishing.combine(folders, directory=tmp_path / "all")
    members = [publishing.open_model(folder).model for folder in folders]
    apart = [evaluation.predict(member, images()) for member in members]
    for each in (saved, publishing.open_model(tmp_path / "all")):
        together = evaluation.predict(each.model, images())
        np.testing.assert_allclose(together, np.mean(apart, axis=0), atol=1e-6)
    assert saved.recipe["members"] == ["one", "two", "three"]
    assert saved.class_names == tuple(EMOTIONS)
    assert [path.name for path in (tmp_path / "all").iterdir()] == ["recipe.json"]
    assert saved.model.count_params() == sum(member.count_params() for member in members)


def test_an_ensemble_that_makes_no_sense_is_refused(folders, tmp_path):
    one, two, _ = folders
    with pytest.raises(ConfigurationError, match="two or more different"):
        publishing.combine([one, one], directory=tmp_path / "all")
    with pytest.raises(ConfigurationError, match="does not lie in"):
        publishing.combine([one, two], directory=tmp_path / "elsewhere" / "all")
    with pytest.raises(ConfigurationError, match="holds a network"):
        publishing.combine([one, two], directory=folders[2])
    large = models.compact_cnn((32, 32, 1), len(EMOTIONS), widths=(2, 2, 2, 2))
    publishing.save(large, recipe("large"), directory=tmp_path / "large")
    with pytest.raises(ConfigurationError, match="same input"):
        publishing.combine([one, tmp_path / "large"], directory=tmp_path / "all")
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two", "three", "large"}


def test_an_ensemble_is_not_replaced_by_one_of_others(folders, tmp_path):
    publishing.combine(folders[:2], directory=tmp_path / "all")
    with pytest.raises(ConfigurationError, match="expected a new folder"):
        publishing.combine(folders[1:], directory=tmp_path / "all")
    assert publishing.open_model(tmp_path / "all").recipe["members"] == ["one", "two"]


@pytest.mark.parametrize("members", ["one", ["../one"], ["one", 3], ["all", "one"], ["/etc"]])
def test_members_are_names_of_other_folders_beside(tmp_path, members):
    folder = tmp_path / "all"
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps(recipe("all", members=members)))
    with pytest.raises(ConfigurationError, match="names of other folders"):
        publishing.open_model(folder)


def test_a_missing_or_unlike_member_is_named(folders, tmp_path):
    publishing.combine(folders, directory=tmp_path / "all")
    other = recipe("two")
    other["emotions"] = ["anger", "happiness", "neutral"]
    (tmp_path / "two" / "recipe.json").write_text(json.dumps(other))
    with pytest.raises(ConfigurationError, match="two knows anger, happiness, neutral"):
        publishing.open_model(tmp_path / "all")
    (tmp_path / "two" / "recipe.json").unlink()
    with pytest.raises(MissingPathError, match=r"recipe\.json in .*two"):
        publishing.open_model(tmp_path / "all")


def test_networks_of_other_shapes_have_no_average():
    with pytest.raises(ConfigurationError, match="same input and output"):
        models.average([network(), models.baseline_cnn((24, 24, 1), 2, filters=(2, 2, 2), units=4)])
    with pytest.raises(ConfigurationError, match="two or more"):
        models.average([network()])


def test_networks_that_differ_in_their_last_layer_share_the_rest(tmp_path):
    parts = []
    for seed in (0, 1, 2):
        keras.utils.set_random_seed(seed)
        parts.append(
            models.transfer((48, 48, 1), 4, weights="fer-baseline", freeze="all", dropout=0.1)
        )
    together = models.average(parts)
    assert together.count_params() < parts[0].count_params() + 3 * (128 * 4 + 4)
    pixels = datasets.make_faces(8, seed=0).images
    apart = [evaluation.predict(part, pixels) for part in parts]
    np.testing.assert_allclose(
        evaluation.predict(together, pixels), np.mean(apart, axis=0), atol=1e-6
    )
    publishing.save(together, recipe("together"), directory=tmp_path)
    read = keras.models.load_model(tmp_path / "model.keras")
    for number, answers in enumerate(apart, start=1):
        member = models.member(read, number)
        np.testing.assert_allclose(evaluation.predict(member, pixels), answers, atol=1e-6)
    with pytest.raises(ConfigurationError, match="no member 4"):
        models.member(read, 4)


@pytest.mark.parametrize("weights", ["fer-baseline", ["fer-compact", "ferplus-compact"]])
def test_a_last_layer_on_published_networks_is_all_that_is_stored(tmp_path, weights):
    options = {"weights": weights, "freeze": "all"}
    parts = []
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        parts.append(models.transfer((48, 48, 1), 3, **options))
    described = recipe("head", size=48, network="transfer", network_options=options)
    pixels = datasets.make_faces(8, seed=0).images
    for name, model in (("one", parts[0]), ("two", models.average(parts))):
        publishing.save(model, described, directory=tmp_path / name, half=True)
        assert {path.name for path in (tmp_path / name).iterdir()} == {"head.keras", "recipe.json"}
        if name == "one":  # an older file of another kind does not win
            whole = {**described, "network_options": {}}
            publishing.save(model, whole, directory=tmp_path / name, half=True)
            names = {path.name for path in (tmp_path / name).iterdir()}
            assert names == {"model.keras", "recipe.json"}
            publishing.save(model, described, directory=tmp_path / name, half=True)
        assert (tmp_path / name / "head.keras").stat().st_size < 30_000
        opened = publishing.open_model(tmp_path / name).model
        np.testing.assert_allclose(
            evaluation.predict(opened, pixels), evaluation.predict(model, pixels), atol=1e-6
        )
    member = models.member(opened, 2)
    np.testing.assert_allclose(
        evaluation.predict(member, pixels), evaluation.predict(parts[1], pixels), atol=2e-3
    )


def test_a_last_layer_on_other_networks_than_its_own_is_refused(tmp_path):
    options = {"weights": "fer-baseline", "freeze": "all"}
    described = recipe("head", size=48, network="transfer", network_options=options)
    publishing.save(models.transfer((48, 48, 1), 3, **options), described, directory=tmp_path)
    written = json.loads((tmp_path / "recipe.json").read_text())
    described["network_options"] = {"weights": "fer-deeper", "freeze": "all"}
    (tmp_path / "recipe.json").write_text(json.dumps(written | described))
    with pytest.raises(ConfigurationError, match=r"fer-deeper give \(192, 3\) and are others"):
        publishing.open_model(tmp_path)
    # As many features, of other weights.
    described["network_options"] = {"weights": "fer-compact", "freeze": "all"}
    (tmp_path / "recipe.json").write_text(json.dumps(written | described))
    with pytest.raises(ConfigurationError, match=r"fer-compact give \(128, 3\) and are others"):
        publishing.open_model(tmp_path)
    described["network_options"] = {"weights": "no-such", "freeze": "all"}
    (tmp_path / "recipe.json").write_text(json.dumps(described))
    with pytest.raises(MissingPathError, match="no published network 'no-such'"):
        publishing.open_model(tmp_path)
    del described["network_options"]
    (tmp_path / "recipe.json").write_text(json.dumps(described))
    with pytest.raises(ConfigurationError, match="can not be read as the recipe of a last layer"):
        publishing.open_model(tmp_path)


def test_networks_that_differ_below_their_last_layer_stay_whole():
    parts = [network(0), network(1)]
    together = models.average(parts)
    assert together.count_params() == 2 * parts[0].count_params()
    for number, part in enumerate(parts, start=1):
        np.testing.assert_allclose(
            evaluation.predict(models.member(together, number), images()),
            evaluation.predict(part, images()),
            atol=1e-6,
        )

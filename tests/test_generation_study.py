"""What made faces are worth: the study's rows by another route, and that it goes on."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from emohelpers import ablation, datasets, evaluation, generation, imbalance, models
from emohelpers.datasets.learnedfaces import Sampler
from emohelpers.errors import ConfigurationError
from emohelpers.models._saved import load_network

SHARES = {"anger": 0.45, "neutral": 0.35, "disgust": 0.2}
PLAN = generation.Plan(
    n_codes=16,
    code_size=8,
    widths=(8, 16),
    conv_blocks=1,
    width=16,
    heads=2,
    blocks=1,
    face_epochs=5,
    code_epochs=2,
    batch_size=16,
)
BASE = replace(
    imbalance.BASES["toyfaces"],
    network_options={"filters": (2, 2, 2), "units": 4},
    augmentation_options={},
    steps_per_epoch=3,
)
FACES = datasets.make_faces(160, size=24, seed=0, emotions=SHARES, difficulty=0)


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    directory = tmp_path_factory.mktemp("study")
    options = {
        "directory": directory,
        "plan": PLAN,
        "base": BASE,
        "judge": models.baseline_cnn((24, 24, 1), 3, filters=(2, 2, 2), units=4),
        "guidances": (0.0, 1.0),
        "per_emotion": 10,
        "seeds": (0,),
        "verbose": 0,
    }
    return directory, options, generation.study(FACES, **options)


def figure(table, **wanted):
    """Return the one row that has these values."""
    wanted = {"against": "", **wanted}
    rows = table[np.logical_and.reduce([table[key] == value for key, value in wanted.items()])]
    assert len(rows) == 1, wanted
    return rows.iloc[0]


def test_every_question_has_its_rows_and_every_interval_holds_its_value(studied):
    _, _, found = studied
    table = found.table
    assert list(dict.fromkeys(table["study"])) == [
        "reconstruction",
        "rare",
        "guidance",
        "alone",
        "asked",
        "memory",
    ]
    known = table[table["low"].notna()]
    assert (known["low"] <= known["value"] + 1e-9).all()
    assert (known["value"] <= known["high"] + 1e-9).all()
    assert set(table.loc[table["low"].isna(), "measure"]) == {"codes in use"}
    columns = ["study", "scored_on", "what", "against", "measure"]
    assert not table.duplicated(columns).any()
    test, validation = FACES.split("test"), FACES.split("validation")
    assert (table.loc[table["study"].isin(["alone", "reconstruction"]), "n"] == len(test)).all()
    assert (table.loc[table["study"] == "guidance", "n"] == len(validation)).all()


def test_the_figures_of_rare_classes_are_those_of_the_networks_on_disk(studied):
    directory, _, found = studied
    validation = FACES.split("validation")
    rare = validation.labels == 2
    recalls = {}
    for way, folder in (
        ("nothing", "rare/nothing-0"),
        ("oversample", "rare/oversample-0"),
        ("smote", "rare/smote-0"),
        ("generated", "rare-generated/it-0"),
    ):
        answers = evaluation.predict(load_network(directory / folder), validation.images)
        right = answers.argmax(axis=1) == validation.labels
        recalls[way] = right[rare].mean()
        of_class = [right[validation.labels == label].mean() for label in range(3)]
        rows = {"study": "rare", "what": way}
        row = figure(found.table, **rows, measure="balanced accuracy")
        assert row["value"] == pytest.approx(np.mean(of_class), abs=1e-4)
        row = figure(found.table, **rows, measure="recall of disgust")
        assert row["value"] == pytest.approx(recalls[way], abs=1e-4)
        assert row["n"] == rare.sum()
    for first in ("nothing", "oversample", "smote"):
        row = figure(
            found.table,
            study="rare",
            what="generated",
            against=first,
            measure="recall of disgust",
        )
        assert row["value"] == pytest.approx(recalls["generated"] - recalls[first], abs=1e-4)


def test_made_faces_fill_the_classes_up_and_are_all_there_is_alone(studied):
    directory, _, _ = studied
    train = FACES.split("train")
    with np.load(next((directory / "drawn").glob("rare-*.npz"))) as file:
        grown = np.bincount(train.labels) + np.bincount(file["labels"], minlength=3)
    assert len(set(grown)) == 1
    with np.load(directory / "drawn" / "alone-0.npz") as file:
        assert np.bincount(file["labels"]).tolist() == [10, 10, 10]
        images, labels = file["images"], file["labels"]
        again = Sampler.draw(_sampler(directory), labels, seed=0, guidance=0.0)
        np.testing.assert_array_equal(images, again)


def _sampler(directory):
    return generation.train(
        FACES, directory=directory / "generator", plan=PLAN, verbose=0
    ).sampler()


def test_the_best_guidance_on_validation_is_chosen_and_the_test_split_scored(studied):
    directory, options, found = studied
    rows = found.table[found.table["study"] == "guidance"]
    best = rows.loc[rows["value"].idxmax(), "what"]
    assert f"{found.sampler.guidance:g}" == best
    test = FACES.split("test")
    for what, folder in (
        ("toy faces", "alone-toy"),
        ("made faces", f"alone-made-{best}"),
        ("training faces", "alone-real"),
    ):
        network = load_network(directory / folder / "it-0")
        right = evaluation.predict(network, test.images).argmax(axis=1) == test.labels
        row = figure(found.table, study="alone", what=what, measure="accuracy")
        assert row["value"] == pytest.approx(right.mean(), abs=1e-4)
        recipe = json.loads((directory / folder / "it-0" / "recipe.json").read_text())
        # Twice the steps of the other studies, whoever it learns from.
        assert recipe["epochs"] * recipe["steps_per_epoch"] >= 2 * BASE.steps_per_epoch
    judge = options["judge"]
    answers = evaluation.predict(judge, test.images).argmax(axis=1)
    row = figure(
        found.table, study="asked", what="held-out faces", measure=f"accuracy of {judge.name}"
    )
    assert row["value"] == pytest.approx((answers == test.labels).mean(), abs=1e-4)


def test_distances_are_those_to_learnt_faces_and_their_mirror_images(studied):
    _, _, found = studied
    learnt = np.asarray(FACES.split("train").images, float)
    test = np.asarray(FACES.split("test").images, float)
    copies = [learnt, learnt[:, :, ::-1]]
    gaps = [
        np.sqrt(((one - face) ** 2).mean(axis=(1, 2, 3))).min() for face in test for one in copies
    ]
    expected = np.median(np.reshape(gaps, (-1, 2)).min(axis=1))
    row = figure(
        found.table, study="memory", what="held-out faces", measure="median distance, pixels"
    )
    assert row["value"] == pytest.approx(expected, abs=1e-3)


def test_a_generator_that_repeats_is_found_out(studied, tmp_path):
    """Where the drawn faces on disk are learnt ones, the study has to say so."""
    directory, options, found = studied
    train, test = FACES.split("train"), FACES.split("test")
    copy = shutil.copytree(directory, tmp_path / "study")
    path = copy / "drawn" / f"like-test-{found.sampler.guidance:g}.npz"
    stolen = np.asarray(train.images[: len(test)])
    np.savez(path, images=stolen, labels=test.labels, seed=np.array(2))
    table = generation.study(FACES, **{**options, "directory": copy}).table
    honest = figure(found.table, study="memory", what="made faces", measure="near duplicates")
    caught = figure(table, study="memory", what="made faces", measure="near duplicates")
    assert caught["value"] == 1
    assert honest["value"] < 0.2
    measure = "nearer than 1% of those, pixels"
    against = "held-out faces, redrawn"
    caught = figure(table, study="memory", what="made faces", measure=measure, against=against)
    assert caught["low"] > 0.9


def test_a_study_goes_on_and_says_the_same(studied):
    directory, options, found = studied
    before = {path: path.stat().st_mtime_ns for path in directory.rglob("*.keras")}
    drawn = {path: path.stat().st_mtime_ns for path in (directory / "drawn").iterdir()}
    again = generation.study(FACES, **options)
    pd.testing.assert_frame_equal(again.table, found.table)
    assert before == {path: path.stat().st_mtime_ns for path in directory.rglob("*.keras")}
    assert drawn == {path: path.stat().st_mtime_ns for path in (directory / "drawn").iterdir()}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"per_emotion": 11}, "is of a study with other faces"),
        ({"seeds": ()}, "0 seeds"),
        ({"guidances": ()}, "0 guidances"),
        ({"base": None}, "of a study with other"),
    ],
)
def test_studies_that_can_not_be_are_refused(studied, change, words):
    _, options, _ = studied
    with pytest.raises(ConfigurationError, match=words):
        generation.study(FACES, **{**options, **change})


def test_faces_without_a_split_are_refused(studied, tmp_path):
    _, options, _ = studied
    rest = FACES.select((FACES.table["split"] != "test").to_numpy())
    with pytest.raises(ConfigurationError, match="no faces in test"):
        generation.study(rest, **{**options, "directory": tmp_path})
    with pytest.raises(ConfigurationError, match="no recipe for mine"):
        generation.study(replace(FACES, name="mine"), **{**options, "base": None})
    assert not list(tmp_path.iterdir())


def test_the_command_refuses_what_it_does_not_know(run, tmp_path):
    out = tmp_path / "x.csv"
    for arguments, words in (
        (["generate", "mine", "--out", out], "no data set 'mine': expected one of fer2013"),
        (["generate", "toyfaces", "--out", out, "--weights", "x.h5"], "ends in .npz"),
        (["generate", "toyfaces", "--out", out, "--judge", "nobody"], "no published network"),
    ):
        result = run(*arguments)
        assert result.code == 1
        assert words in result.stderr
        assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_the_command_writes_what_the_study_found(run, tmp_path, monkeypatch, studied):
    _, _, found = studied
    asked = {}

    def study(faces, **options):
        asked.update(options, faces=faces)
        return found

    monkeypatch.setattr(generation, "study", study)
    out, weights = tmp_path / "found.csv", tmp_path / "faces.npz"
    cache = ("--cache", tmp_path / "cache", "--size", 24, "--runs", tmp_path / "runs")
    result = run("generate", "toyfaces", "--out", out, "--weights", weights, *cache)
    assert result.code == 0, result.stderr
    pd.testing.assert_frame_equal(
        pd.read_csv(out, keep_default_na=False, na_values={"low": "", "high": ""}),
        found.table,
        check_dtype=False,
    )
    np.testing.assert_array_equal(Sampler.open(weights).draw([0, 2]), found.sampler.draw([0, 2]))
    assert asked["judge"].output_shape == (None, 7)
    assert asked["faces"].images.shape[1:] == (24, 24, 1)
    assert asked["directory"] == tmp_path / "runs"


def test_compared_ways_have_the_intervals_of_ablation():
    from emohelpers.generation._rows import balanced, compared

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    correct = {name: rng.random((2, 200)) < share for name, share in (("a", 0.4), ("b", 0.6))}
    rows = pd.DataFrame(compared(ablation.compare(correct), "s", "d", "m", n=200, seeds=2))
    assert rows[["what", "against"]].values.tolist() == [["a", ""], ["b", ""], ["b", "a"]]
    expected = ablation.compare(correct).iloc[1]
    assert (
        rows.loc[2, ["value", "low", "high"]].tolist()
        == expected[["difference", "difference_low", "difference_high"]].tolist()
    )
    table = balanced(correct, labels, ("x", "y", "z"))
    mean = np.mean([correct["b"][:, labels == k].mean() for k in range(3)])
    assert table["accuracy"].iloc[1] == pytest.approx(mean, abs=1e-4)

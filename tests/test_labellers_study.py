"""All witnesses of labels in one table, and what a consensus is worth; the command for it."""

import dataclasses
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, cohen_kappa_score
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

from emohelpers import datasets, labellers, models
from emohelpers._cli_data import app
from emohelpers.errors import ConfigurationError, LabelError, MissingPathError

SAVED = Path(__file__).resolve().parents[1] / "saved_models"
NAMES = ("fear", "neutral", "anger")
N = 240
NO_PAIRS = pd.DataFrame({"first": [], "second": [], "similarity": []}, dtype="int64")
PAIRS = pd.DataFrame(
    {
        "first": [0, 1, 2, 3, 4, 5],
        "second": [100, 101, 102, 10, 11, 12],
        "similarity": [0.8, 0.95, 1.0, 0.76, 0.9, 0.99],
    }
)


@pytest.fixture(scope="module")
def faces():
    drawn = datasets.make_faces(N, seed=0, emotions=NAMES)
    return dataclasses.replace(
        drawn, table=drawn.table.assign(user=["u"] * 90 + ["v"] * (N - 90)), class_names=NAMES
    )


@pytest.fixture(scope="module")
def shares():
    """Return what a network says that is no more than guessing."""
    return np.random.default_rng(1).dirichlet([0.3] * 3, N)


@pytest.fixture(scope="module")
def features(faces):
    rng = np.random.default_rng(2)
    return np.eye(3)[faces.labels] + rng.normal(0, 0.7, (N, 3))


@pytest.fixture(scope="module")
def table(faces, shares, features):
    second = faces.select(range(0, N, 3))
    labels = (second.labels + (np.arange(len(second)) % 4 == 0)) % 3
    second = dataclasses.replace(second, labels=labels)
    return labellers.study(
        faces, shares, NAMES, features, second=second, pairs=PAIRS, n_bootstrap=200
    )


def row(table, what, of="all"):
    found = table[(table["what"] == what) & (table["of"] == of)]
    assert len(found) == 1, what
    return found.iloc[0]


def test_the_legends_are_compared(table, faces):
    first = faces.labels[::3]
    second = (first + (np.arange(len(first)) % 4 == 0)) % 3
    agreement = row(table, "legend and second legend, agreement")
    assert agreement["n"] == len(first)
    assert agreement["value"] == pytest.approx(np.mean(first == second), abs=1e-4)
    kappa = row(table, "legend and second legend, kappa")
    assert kappa["value"] == pytest.approx(cohen_kappa_score(first, second), abs=1e-4)


@pytest.mark.parametrize(
    ("what", "rows"),
    [
        ("near-duplicates", [0, 1, 2, 3, 4, 5]),
        ("near-duplicates labelled by one person", [3, 4, 5]),
        ("near-duplicates labelled by two", [0, 1, 2]),
        ("copies", [1, 2, 4, 5]),
        ("copies labelled by one person", [4, 5]),
        ("copies labelled by two", [1, 2]),
    ],
)
def test_copies_are_told_apart_by_likeness_and_labeller(table, faces, what, rows):
    same = faces.labels[PAIRS["first"][rows]] == faces.labels[PAIRS["second"][rows]]
    found = row(table, f"{what}, agreement")
    assert found["n"] == len(rows)
    assert found["value"] == pytest.approx(same.mean(), abs=1e-4)


def test_the_network_judges_both_legends(table, faces, shares):
    chosen = shares.argmax(axis=1)
    second = (faces.labels[::3] + (np.arange(N // 3) % 4 == 0)) % 3
    for what, labels, said in (
        ("the network names the label", faces.labels, chosen),
        ("the network names the label, images of both legends", faces.labels[::3], chosen[::3]),
        ("the network names the second legend's label", second, chosen[::3]),
    ):
        for of in (*NAMES, "all"):
            mine = labels == NAMES.index(of) if of != "all" else labels >= 0
            right = int((labels == said)[mine].sum())
            found = row(table, what, of)
            assert found["n"] == mine.sum()
            assert found["value"] == pytest.approx(right / mine.sum(), abs=1e-4)
            low, high = binomtest(right, int(mine.sum())).proportion_ci(method="wilson")
            assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-4)


def kept_by_hand(faces, shares) -> np.ndarray:
    kept = (shares.argmax(axis=1) == faces.labels) | (shares.max(axis=1) <= 0.5)
    for one, other in PAIRS[["first", "second"]].to_numpy().astype(int):
        if faces.labels[one] != faces.labels[other]:
            kept[[one, other]] = False
    return kept


def test_the_consensus_is_counted_by_class(table, faces, shares):
    kept = kept_by_hand(faces, shares)
    for of in (*NAMES, "all"):
        mine = faces.labels == NAMES.index(of) if of != "all" else faces.labels >= 0
        found = row(table, "kept by the consensus", of)
        assert found["n"] == mine.sum()
        assert found["value"] == pytest.approx(kept[mine].mean(), abs=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_what_is_learned_is_scored_on_persons_not_learned_from(
    table, faces, shares, features, weighted
):
    kept = {"all": np.ones(N, bool), "the consensus": kept_by_hand(faces, shares)}
    fold = datasets.assign_fold(faces, 1).table["fold"].to_numpy()
    predicted = {name: np.full(N, -1) for name in kept}
    for name, rows in kept.items():
        for number in range(1, 6):
            learned = rows & (fold != number)
            counts = np.bincount(faces.labels[learned])
            weights = (1 / counts if weighted else np.ones(3))[faces.labels[learned]]
            weights *= learned.sum() / weights.sum()
            scaler = StandardScaler().fit(features[learned], sample_weight=weights)
            layer = LogisticRegression(C=1 / 30, tol=1e-8, max_iter=1000).fit(
                scaler.transform(features[learned]), faces.labels[learned], weights
            )
            tested = fold == number
            predicted[name][tested] = layer.predict(scaler.transform(features[tested]))
    how = " with class weights" if weighted else ""
    for scored, rows in kept.items():
        for figure, measure in (
            ("accuracy", accuracy_score),
            ("balanced accuracy", balanced_accuracy_score),
        ):
            end = f"{how}, scored on {scored}: {figure}"
            values = [measure(faces.labels[rows], predicted[name][rows]) for name in kept]
            for name, value in zip(kept, values, strict=True):
                found = row(table, f"learned from {name}{end}")
                assert found["n"] == rows.sum()
                assert found["value"] == pytest.approx(value, abs=1e-4)
                assert found["low"] <= value <= found["high"]
            gain = row(table, f"gain of learning from the consensus{end}")
            assert gain["value"] == pytest.approx(values[1] - values[0], abs=2e-4)
            assert gain["low"] <= gain["value"] <= gain["high"]


def test_intervals_are_of_persons_and_not_of_images():
    # One image of each of many persons, or each of them ten times: no more is known.
    faces = datasets.make_faces(60, seed=3, emotions=NAMES)
    faces = dataclasses.replace(
        faces, table=faces.table.assign(person=[f"person{n}" for n in range(60)])
    )
    rng = np.random.default_rng(0)
    labels = np.eye(3)[np.where(rng.random(60) < 0.3, rng.integers(0, 3, 60), faces.labels)]
    found = []
    for times in (1, 10):
        rows = np.repeat(np.arange(60), times)
        table = labellers.study(
            faces.select(rows),
            np.full((len(rows), 3), 1 / 3),
            faces.class_names,
            labels[rows],
            pairs=NO_PAIRS,
            n_bootstrap=300,
        )
        found.append(row(table, "learned from all, scored on all: accuracy"))
    assert (
        found[0][["value", "low", "high"]].tolist() == found[1][["value", "low", "high"]].tolist()
    )
    assert found[0]["high"] - found[0]["low"] > 0.1


def test_a_good_witness_undoes_what_a_careless_labeller_did(faces, features):
    # Two in three faces of fear are called neutral, and the network knows better.
    truth, careless = faces.labels, np.arange(N) % 3 > 0
    labels = np.where((truth == NAMES.index("fear")) & careless, NAMES.index("neutral"), truth)
    wrong = dataclasses.replace(faces, labels=labels)
    table = labellers.study(wrong, np.eye(3)[truth], NAMES, features, pairs=NO_PAIRS)
    right = "gain of learning from the consensus, scored on the consensus: accuracy"
    assert row(table, right)["low"] > 0.02
    # Whoever has learnt the mistakes repeats them, and by the wrong labels that looks better.
    seen = "gain of learning from the consensus, scored on all: accuracy"
    assert row(table, seen)["value"] < 0


def test_rows_that_nothing_is_there_for_are_left_out(faces, shares, features):
    plain = dataclasses.replace(faces, table=faces.table.drop(columns="user"))
    table = labellers.study(plain, shares, NAMES, features, pairs=PAIRS.head(1), n_bootstrap=10)
    said = set(table["what"])
    assert "near-duplicates, agreement" in said
    assert not any("legend" in what or "copies" in what or "labelled" in what for what in said)
    assert len(table) == 2 + 4 + 4 + 24


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"features": np.zeros((3, 2))}, r"features of shape \(3, 2\): expected \(240, n_features"),
        ({"features": np.full((N, 2), np.nan)}, "finite numbers"),
        ({"shares": np.full((N, 2), 0.5)}, "probabilities of shape"),
        ({"pairs": PAIRS[["first", "second"]]}, "pairs without similarity"),
        ({"n_bootstrap": 0}, "n_bootstrap=0"),
        ({"folds": 1}, "folds=1"),
    ],
)
def test_bad_arguments_are_refused(faces, shares, features, changes, words):
    given = {"shares": shares, "features": features, "pairs": PAIRS} | changes
    with pytest.raises(ConfigurationError, match=words):
        labellers.study(faces, given.pop("shares"), NAMES, given.pop("features"), **given)


def test_images_without_a_label_and_persons_without_others_are_refused(faces, shares, features):
    some = dataclasses.replace(faces, labels=np.where(np.arange(N) < 2, -1, faces.labels))
    with pytest.raises(LabelError, match="2 of 240 images"):
        labellers.study(some, shares, NAMES, features)
    alone = dataclasses.replace(faces, table=faces.table.assign(person="Ann"))
    with pytest.raises(ConfigurationError, match="0 labels of 0 classes are left to learn from"):
        labellers.study(alone, shares, NAMES, features, pairs=PAIRS)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Lay out a set as facial_expressions is; its second legend errs every fourth time."""
    root = tmp_path_factory.mktemp("source") / "facial_expressions"
    (root / "images").mkdir(parents=True)
    (root / "data").mkdir()
    faces = datasets.make_faces(60, seed=5, emotions=("happiness", "neutral"))
    first, second = ["user.id,image,emotion"], []
    for number, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
        name = f"Person{chr(65 + number % 26)}{chr(65 + number // 26)}_{number}.png"
        cv2.imwrite(str(root / "images" / name), image[..., 0])
        words = [faces.class_names[label], faces.class_names[1 - label]]
        first.append(f"u,{name},{words[0]}")
        if number < 20:
            second.append(f"v,{name},{words[number % 4 == 0]}")
    (root / "data" / "legend.csv").write_text("\n".join(first))
    (root / "data" / "500_picts_satz.csv").write_text("\r".join(second))
    return root


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(
        app, ["agreement", *map(str, arguments), "--cache", str(tmp_path / "cache")]
    )


def test_the_command_prints_the_table_and_writes_it(run, root, tmp_path):
    out = tmp_path / "new" / "labels.csv"
    out.parent.mkdir()
    out.write_text("an older one")
    result = run("facial_expressions", "--data", root, "--out", out)
    assert result.exit_code == 0, result.output
    written = pd.read_csv(out)
    table = labellers.study_facial_expressions(root, cache=tmp_path / "cache")
    pd.testing.assert_frame_equal(written, table, check_dtype=False)
    assert row(written, "legend and second legend, agreement")[["n", "value"]].tolist() == [
        20,
        0.75,
    ]
    assert len(result.stdout.splitlines()) == len(written) + 1
    assert "learned from the consensus, scored on all: balanced accuracy" in result.stdout
    assert [path.name for path in out.parent.iterdir()] == ["labels.csv"]
    # By the path of the first legend, and as JSON, it is the same.
    again = run("facial_expressions", "--data", root / "data" / "legend.csv", "--json")
    assert again.exit_code == 0, again.output
    said = json.loads(again.stdout)
    assert said["file"] is None
    pd.testing.assert_frame_equal(
        pd.DataFrame(said["figures"]).astype(written.dtypes.to_dict()), written
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["utkface"], 2, "expected facial_expressions"),
        (["facial_expressions", "--second", "legend.csv"], 2, "which is the first"),
        (["facial_expressions", "--second", "third.csv"], 1, "has no third.csv"),
        (["facial_expressions", "--network", "nix"], 1, "nix"),
    ],
)
def test_mistakes_are_said_on_standard_error(run, root, tmp_path, arguments, code, words):
    result = run(*arguments, "--data", root, "--out", tmp_path / "labels.csv")
    assert result.exit_code == code, result.output
    assert words in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "labels.csv").exists()


def test_a_network_that_learnt_from_the_labels_is_no_witness(root, tmp_path):
    shutil.copytree(models.saved_folder("fer-compact"), tmp_path / "network")
    recipe = json.loads((tmp_path / "network" / "recipe.json").read_text())
    recipe["dataset"] = "facial_expressions"
    (tmp_path / "network" / "recipe.json").write_text(json.dumps(recipe))
    for role in ("network", "features"):
        with pytest.raises(ConfigurationError, match="learnt from facial_expressions"):
            labellers.study_facial_expressions(root, **{role: tmp_path / "network"}, cache=tmp_path)
    with pytest.raises(MissingPathError):
        labellers.study_facial_expressions(root / "data" / "nix.csv", cache=tmp_path)


def test_the_figures_of_the_real_set_are_those_in_the_repository(real_data, tmp_path):
    archive = real_data("facial_expressions.tar")
    table = labellers.study_facial_expressions(archive, cache=tmp_path)
    agreement = row(table, "legend and second legend, agreement")
    assert agreement[["n", "value"]].tolist() == [499, round(247 / 499, 4)]
    assert row(table, "near-duplicates, agreement")[["n", "value"]].tolist() == [77, 0.8571]
    counts = table[table["what"] == "kept by the consensus"].set_index("of")["n"]
    assert counts["all"] == 13_690
    assert counts[["neutral", "happiness", "disgust", "contempt"]].tolist() == [6868, 5696, 208, 9]
    # The second legend is the odd one: on the same images the network sides with the first.
    sides = [
        row(table, f"the network names the {words}")
        for words in ("label, images of both legends", "second legend's label")
    ]
    assert sides[0]["low"] > 0.8 > 0.6 > sides[1]["high"]
    stored = pd.read_csv(SAVED / "labels-facial_expressions.csv")
    pd.testing.assert_frame_equal(table[["what", "of"]], stored[["what", "of"]], check_dtype=False)
    columns = ["value", "low", "high"]
    np.testing.assert_allclose(table[columns], stored[columns], atol=0.01)

"""How well networks travel: each cell by another route, and the committed matrix."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from PIL import Image
from sklearn.metrics import balanced_accuracy_score

from emohelpers import datasets, evaluation, plots, publishing
from emohelpers.errors import ConfigurationError
from emohelpers.evaluation import score
from emohelpers.publishing import _transfer

SAVED = Path(__file__).resolve().parents[1] / "saved_models"
FIGURES = ("accuracy", "balanced_accuracy", "recall_happiness", "recall_neutral")
PAIR, COMMON = "happiness or neutral", "all classes in common"
TOYS = {"dataset": "toyfaces"}


@pytest.fixture(scope="module")
def toys():
    return publishing.transfer_matrix(["toy-baseline", "fer-compact", "smile"], [TOYS])


@pytest.fixture(scope="module")
def answers():
    """What each network says of the toy faces of the test split that are happy or neutral."""
    faces = datasets.load("toyfaces", size=48, color=False).split("test")
    names = np.array(faces.class_names)[faces.labels]
    kept = np.isin(names, ["happiness", "neutral"])
    said = {}
    for network in ("toy-baseline", "fer-compact", "smile"):
        saved = publishing.open_model(SAVED / network)
        outputs = saved.model.predict(faces.images[kept], verbose=0)
        outputs = outputs if outputs.shape[1] > 1 else np.hstack([1 - outputs, outputs])
        happy, neutral = map(saved.class_names.index, ("happiness", "neutral"))
        said[network] = np.where(outputs[:, happy] > outputs[:, neutral], "happiness", "neutral")
    return names[kept], faces.table["person"].to_numpy()[kept], said


def test_a_cell_is_what_a_comparison_of_two_columns_gives(toys, answers):
    labels, _, said = answers
    rows = toys[toys["task"].eq(PAIR)].set_index("network")
    assert list(rows.index) == list(said)
    for network, predicted in said.items():
        row = rows.loc[network]
        assert row["n"] == len(labels)
        assert row["accuracy"] == pytest.approx(np.mean(predicted == labels), abs=1e-4)
        balanced = balanced_accuracy_score(labels, predicted)
        assert row["balanced_accuracy"] == pytest.approx(balanced, abs=1e-4)
        for name in ("happiness", "neutral"):
            recall = np.mean(predicted[labels == name] == name)
            assert row[f"recall_{name}"] == pytest.approx(recall, abs=1e-4)
        assert row["majority"] == pytest.approx(np.mean(labels == "happiness"), abs=1e-4)
        assert row["chance"] == 0.5


def test_a_difference_draws_the_same_persons_for_both_networks(toys, answers):
    labels, persons, said = answers
    row = toys[toys["task"].eq(PAIR)].set_index("network").loc["fer-compact"]
    assert row["home"] == "toy-baseline"
    places = [np.flatnonzero(persons == person) for person in np.unique(persons)]
    rng = np.random.default_rng(7)
    drawn = []
    for _ in range(400):
        rows = np.concatenate([places[k] for k in rng.integers(0, len(places), len(places))])
        away, home = (
            balanced_accuracy_score(labels[rows], said[name][rows])
            for name in ("fer-compact", "toy-baseline")
        )
        drawn.append(away - home)
    value = balanced_accuracy_score(labels, said["fer-compact"]) - balanced_accuracy_score(
        labels, said["toy-baseline"]
    )
    assert row["difference"] == pytest.approx(value, abs=1e-4)
    ends = row[["difference_low", "difference_high"]].astype(float)
    np.testing.assert_allclose(ends, np.percentile(drawn, [2.5, 97.5]), atol=0.012)


def test_it_is_said_what_a_network_has_seen_and_which_classes_count(toys):
    rows = toys.set_index(["network", "task"])
    assert rows.loc[("toy-baseline", PAIR), "seen"] == "own"
    assert rows.loc[("fer-compact", PAIR), ["learned_from", "seen"]].tolist() == [
        "fer2013",
        "never",
    ]
    assert rows.loc[("smile", PAIR), "learned_from"] == "fer2013, utkface"
    assert rows.loc[("fer-compact", COMMON), "classes"] == ", ".join(datasets.EMOTIONS[:7])
    assert rows.loc[("fer-compact", COMMON), "chance"] == round(1 / 7, 4)
    # Two classes only: both tasks are one.
    both = [rows.loc[("smile", task), "balanced_accuracy"] for task in (PAIR, COMMON)]
    assert both[0] == both[1]
    assert set(toys["part"]) == {"test"}
    assert set(toys["drawn"]) == {"persons"}
    home = toys[toys["network"].eq("toy-baseline")]
    assert home[["home", "difference"]].isna().all(axis=None)


def test_images_of_one_person_are_no_news_of_each_other():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    outputs = np.eye(2)[np.where(rng.random(300) < 0.8, labels, 1 - labels)]
    single = score(labels, outputs, ["a", "b"], groups=np.arange(300))
    many = score(
        np.repeat(labels, 20), np.repeat(outputs, 20, 0), ["a", "b"], groups=np.arange(6000) // 20
    )
    assert many["n"] == 6000
    assert {name: many[name] for name in ("accuracy", "macro_f1")} == {
        name: single[name] for name in ("accuracy", "macro_f1")
    }
    # And who has one image each is drawn as images are.
    images = score(labels, outputs, ["a", "b"])
    for end in ("value", "low", "high"):
        assert single["accuracy"][end] == pytest.approx(images["accuracy"][end], abs=0.01)
    with pytest.raises(ConfigurationError, match="one for each image"):
        score(labels, outputs, ["a", "b"], groups=np.arange(299))


def test_a_network_without_both_classes_has_no_place_in_the_matrix():
    faces = datasets.make_faces(4, seed=0, emotions=("fear", "anger"))
    shares = np.eye(2, dtype=np.float32)[faces.labels]
    with pytest.raises(ConfigurationError, match="expected happiness and neutral in both"):
        _transfer._cell(faces, shares, faces.class_names, pair=True, n_bootstrap=9, seed=0)


# The committed matrix


@pytest.fixture(scope="module")
def matrix():
    return pd.read_csv(SAVED / "transfer_matrix.csv")


def test_the_matrix_has_every_network_on_every_set(matrix):
    keys = ["network", "dataset", "crop", "task"]
    assert not matrix.duplicated(keys).any()
    assert len(matrix) == len(publishing.TRAVELLERS) * 4 * 2
    assert list(dict.fromkeys(matrix["network"])) == list(publishing.TRAVELLERS)
    for name in (*FIGURES, "difference"):
        rows = matrix.dropna(subset=[name])
        assert rows[name].between(rows[f"{name}_low"], rows[f"{name}_high"]).all(), name
    pair = matrix[matrix["task"].eq(PAIR)]
    assert set(pair["chance"]) == {0.5}
    assert (pair["home"].isna() == pair["difference"].isna()).all()
    assert pair["difference"].isna().sum() == 4  # one at home on each set
    recalls = pair[["recall_happiness", "recall_neutral"]].mean(axis=1)
    np.testing.assert_allclose(pair["balanced_accuracy"], recalls, atol=1e-4)
    assert set(matrix["drawn"][matrix["dataset"].eq("facial_expressions")]) == {"persons"}
    assert set(matrix["drawn"][~matrix["dataset"].eq("facial_expressions")]) == {"images"}


def test_the_matrix_says_what_a_network_has_seen_and_which_images_were_left(matrix):
    seen = matrix.groupby("network")[["dataset", "seen"]].agg(list)
    seen = {name: dict(zip(*row, strict=True)) for name, *row in seen.itertuples()}
    assert seen["fer-compact"]["fer2013"] == seen["ferplus-compact"]["fer2013"] == "own"
    assert seen["four-emotions"]["fer2013"] == seen["smile"]["fer2013"] == "before"
    assert seen["four-emotions-authors"]["fer2013"] == seen["smile-authors"]["fer2013"] == "never"
    assert set(seen["toy-baseline"].values()) == {"never"}
    parts = matrix.set_index(["network", "dataset"])["part"].groupby(level=[0, 1]).first()
    assert set(parts.xs("fer2013", level=1)) == {"PrivateTest"}
    faces = parts.xs("facial_expressions", level=1)
    assert faces["four-emotions"] == faces["eight-emotions"] == "out-of-fold"
    assert (faces["four-emotions-authors"], faces["fer-compact"]) == ("test", "all")
    smiles = parts.xs("utkface", level=1)
    assert smiles["smile"] == smiles["smile-authors"] == "agreed-test"
    assert smiles["fer-compact"] == "agreed"


@pytest.mark.parametrize(
    ("network", "file", "dataset", "crop", "part"),
    [
        ("fer-compact", "metrics", "fer2013", 0.0, "PrivateTest"),
        ("fer-large", "metrics", "fer2013", 0.0, "PrivateTest"),
        ("toy-baseline", "metrics-fer2013", "fer2013", 0.0, "PrivateTest"),
        ("toy-baseline", "metrics-utkface", "utkface", 0.0, "agreed"),
        ("four-emotions", "metrics", "facial_expressions", 0.0, "out-of-fold"),
        ("four-emotions-authors", "metrics", "facial_expressions", 0.0, "test"),
        ("eight-emotions", "metrics", "facial_expressions", 0.0, "out-of-fold"),
        ("smile", "metrics", "utkface", 0.1, "agreed-test"),
        ("smile-authors", "metrics", "utkface", 0.0, "agreed-test"),
    ],
)
def test_where_the_classes_are_the_same_so_are_the_published_figures(
    matrix, network, file, dataset, crop, part
):
    published = json.loads((SAVED / network / f"{file}.json").read_text())["scores"][part]
    row = matrix[
        matrix["network"].eq(network)
        & matrix["dataset"].eq(dataset)
        & matrix["crop"].eq(crop)
        & matrix["task"].eq(COMMON)
    ].iloc[0]
    assert (row["part"], row["n"]) == (part, published["n"])
    assert row["classes"].split(", ") == published["class_names"]
    # Persons are drawn here, images there.
    ends = ("value",) if row["drawn"] == "persons" else ("value", "low", "high")
    for name in ("accuracy", "balanced_accuracy"):
        for end in ends:
            column = name if end == "value" else f"{name}_{end}"
            assert row[column] == pytest.approx(published[name][end], abs=5.1e-5), column


def test_cells_computed_again_are_those_of_the_repository(matrix, real_data):
    smiles = {
        "dataset": "utkface",
        "path": real_data("utkface_crop_part1.tar"),
        "labels": real_data("utkface_expression_dev.csv"),
        "crop": 0.1,
    }
    again = publishing.transfer_matrix(["fer-compact", "smile-authors"], [smiles])
    keys = ["network", "dataset", "crop", "task"]
    stored = again[keys].merge(matrix, on=keys, how="left")
    names = [name for name in again if name not in ("home",) and "difference" not in name]
    pd.testing.assert_frame_equal(again[names], stored[names], check_dtype=False)


def test_the_command_writes_what_it_computes(run, tmp_path, monkeypatch, matrix):
    asked = {}

    def compute(networks, test_sets):
        asked.update(networks=tuple(networks), test_sets=test_sets)
        return matrix

    monkeypatch.setattr(publishing, "transfer_matrix", compute)
    out = tmp_path / "new" / "matrix.csv"
    places = {"fer2013": "a.csv", "facial-expressions": "b", "utkface": "c", "labels": "d.csv"}
    given = [word for name, path in places.items() for word in (f"--{name}", path)]
    result = run("transfer-matrix", *given, "--out", out)
    assert result.code == 0, result.stderr
    assert asked["networks"] == publishing.TRAVELLERS
    sets = [(one["dataset"], str(one["path"]), one.get("crop")) for one in asked["test_sets"]]
    assert sets == [
        ("fer2013", "a.csv", None),
        ("facial_expressions", "b", None),
        ("utkface", "c", 0.0),
        ("utkface", "c", 0.1),
    ]
    assert out.read_bytes() == (SAVED / "transfer_matrix.csv").read_bytes()
    assert len(result.stdout.splitlines()) == len(matrix) + 1


def test_a_set_that_is_not_there_is_named_and_nothing_written(run, tmp_path):
    out = tmp_path / "matrix.csv"
    given = ["--facial-expressions", "b", "--utkface", "c", "--labels", "d.csv", "--out", out]
    result = run("transfer-matrix", "toy-baseline", "--fer2013", tmp_path / "nix.csv", *given)
    assert result.code == 1
    assert "nix.csv" in result.stderr
    assert not out.exists()


# The figure


def test_the_figure_writes_each_cell_and_frames_what_a_network_has_seen(matrix, tmp_path):
    ax = plots.transfer_matrix(matrix)
    rows = matrix[matrix["task"].eq(PAIR)]
    assert len(ax.texts) == len(rows)
    row = rows.iloc[1]
    words = [100 * row[f"balanced_accuracy{end}"] for end in ("", "_low", "_high")]
    assert ax.texts[1].get_text() == "{:.0f}\n{:.0f} to {:.0f}".format(*words)
    styles = [patch.get_linestyle() for patch in ax.patches]
    assert styles.count("-") == rows["seen"].eq("own").sum()
    assert len(styles) == rows["seen"].isin(["own", "before"]).sum()
    assert {to_hex(patch.get_edgecolor()) for patch in ax.patches} == {"#e69f00"}
    shades = np.asarray(ax.collections[0].get_array()).ravel()
    assert shades[1] == pytest.approx(2 * (row["balanced_accuracy"] - 0.5))
    with Image.open(plots.save(ax, "edge", directory=tmp_path)[0]) as image:
        pixels = np.asarray(image.convert("L"))
    assert (np.concatenate([pixels[[0, -1]].ravel(), pixels[:, [0, -1]].ravel()]) == 255).all()


def test_the_figure_refuses_two_figures_for_one_cell(matrix):
    with pytest.raises(ConfigurationError, match="expected one for each"):
        plots.transfer_matrix(pd.concat([matrix, matrix]))
    with pytest.raises(ConfigurationError, match="0 rows of the task 'nix'"):
        plots.transfer_matrix(matrix, task="nix")


def test_the_summary_of_a_cell_reads_as_a_table(matrix):
    shown = evaluation.interval_text(matrix)
    assert "balanced_accuracy_low" not in shown
    assert shown["difference"].str.contains(" to ").sum() == matrix["difference"].notna().sum()

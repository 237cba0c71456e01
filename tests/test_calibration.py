"""Calibration recomputed by scikit-learn, by a grid and by simulation; the file and the command."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from emohelpers import datasets, evaluation, models, plots, publishing
from emohelpers.errors import ConfigurationError, LabelError


def outcome(seed, n=400, n_classes=4, sharpness=1.0):
    """Labels drawn from probabilities, and these, made surer by a power."""
    rng = np.random.default_rng(seed)
    honest = rng.dirichlet(np.ones(n_classes), n)
    labels = (honest.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=n_classes - 1)
    powers = honest**sharpness
    return labels, powers / powers.sum(axis=1, keepdims=True)


def test_the_temperature_is_the_best_of_a_fine_grid_by_scikit_learns_loss():
    labels, said = outcome(0, sharpness=2.5)
    fitted = evaluation.calibrate(labels, said)
    grid = np.exp(np.linspace(np.log(0.5), np.log(8), 400))
    losses = [sk.log_loss(labels, evaluation.with_temperature(said, t)) for t in grid]
    assert fitted == pytest.approx(grid[int(np.argmin(losses))], rel=0.01)
    best = sk.log_loss(labels, evaluation.with_temperature(said, fitted))
    assert best <= min(losses) + 1e-9


def test_it_finds_again_the_power_by_which_honest_probabilities_were_sharpened():
    labels, said = outcome(1, n=20_000, sharpness=2.0)
    assert evaluation.calibrate(labels, said) == pytest.approx(2.0, rel=0.05)


def test_distributions_as_targets_are_repeated_labels():
    _, said = outcome(2, n=50, sharpness=2.0)
    votes = np.random.default_rng(3).multinomial(10, np.full(4, 0.25), size=50)
    shares = votes / 10
    rows = np.repeat(np.arange(50), 10)
    each = np.concatenate([np.repeat(np.arange(4), row) for row in votes])
    assert evaluation.calibrate(shares, said) == pytest.approx(
        evaluation.calibrate(each, said[rows]), rel=1e-4
    )


@given(st.integers(0, 10_000), st.floats(0.05, 20))
def test_a_temperature_keeps_rows_and_the_first_place_and_one_changes_nothing(seed, temperature):
    _, said = outcome(seed, n=20)
    scaled = evaluation.with_temperature(said, temperature)
    np.testing.assert_allclose(scaled.sum(axis=1), 1)
    rows = np.arange(20)
    assert (scaled[rows, said.argmax(axis=1)] == scaled.max(axis=1)).all()
    np.testing.assert_allclose(evaluation.with_temperature(said, 1.0), said)
    again = evaluation.with_temperature(scaled, 1 / temperature)
    kept = scaled.min(axis=1) > 1e-200
    np.testing.assert_allclose(again[kept], said[kept], rtol=1e-6)


def test_certain_probabilities_stay_certain():
    certain = [[1.0, 0.0], [0.0, 1.0]]
    np.testing.assert_array_equal(evaluation.with_temperature(certain, 3.0), certain)


def test_the_reliability_table_is_scikit_learns_curve_of_being_right():
    labels, said = outcome(4, n=1000, sharpness=2.0)
    table = evaluation.reliability(labels, said, bins=10)
    right, confidence = said.argmax(axis=1) == labels, said.max(axis=1)
    accuracy, mean = calibration_curve(right, confidence, n_bins=10)
    np.testing.assert_allclose(table["accuracy"], accuracy)
    np.testing.assert_allclose(table["confidence"], mean)
    assert table["n"].sum() == 1000
    assert (table["accuracy_low"] <= table["accuracy"]).all()
    assert (table["accuracy"] <= table["accuracy_high"]).all()


def test_a_confidence_on_an_edge_lies_in_the_lower_bin():
    table = evaluation.reliability([0, 1], [[0.5, 0.5], [0.0, 1.0]], bins=2)
    assert table[["from", "to", "n"]].to_numpy().tolist() == [[0, 0.5, 1], [0.5, 1, 1]]


def test_scores_equal_those_of_scikit_learn_and_of_the_table():
    labels, said = outcome(5, sharpness=2.0)
    result = evaluation.calibration_scores(labels, said, temperature=2.0, n_bootstrap=200)
    both = {"before": said, "after": evaluation.with_temperature(said, 2.0)}
    for name, shares in both.items():
        found = result[name]
        assert found["nll"]["value"] == pytest.approx(sk.log_loss(labels, shares), abs=1e-6)
        brier = sum(sk.brier_score_loss(labels == k, shares[:, k]) for k in range(4))
        assert found["brier"]["value"] == pytest.approx(brier, abs=1e-6)
        table = evaluation.reliability(labels, shares)
        gaps = (table["accuracy"] - table["confidence"]).abs()
        assert found["ece"]["value"] == pytest.approx((gaps * table["n"]).sum() / 400, abs=1e-6)
    for metric in ("nll", "brier", "ece"):
        figures = [result[name][metric]["value"] for name in ("before", "after", "difference")]
        assert figures[2] == pytest.approx(figures[1] - figures[0], abs=2e-6)
    table = evaluation.calibration_table(result)
    assert table.loc["after", "brier"] == result["after"]["brier"]["value"]
    assert np.isnan(table.loc["difference", "ece_by_chance"])


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    labels, said = outcome(6, n=2000)
    result = evaluation.calibration_scores(labels, said)
    each = -np.log(said[np.arange(2000), labels])
    half = 1.96 * each.std() / np.sqrt(2000)
    found = result["before"]["nll"]
    assert found["high"] - found["value"] == pytest.approx(half, rel=0.1)
    assert found["value"] - found["low"] == pytest.approx(half, rel=0.1)
    assert result["difference"]["nll"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_honest_probabilities_have_no_more_error_than_chance_and_sharpened_ones_have():
    within, beyond = 0, 0
    for seed in range(20):
        options = {"n_bootstrap": 1, "seed": seed}
        honest = evaluation.calibration_scores(*outcome(seed, n=1500), **options)["before"]
        within += honest["ece"]["value"] <= honest["ece_by_chance"]
        assert honest["ece"]["value"] < 0.05
        sharp = evaluation.calibration_scores(*outcome(seed, n=1500, sharpness=2), **options)
        beyond += sharp["before"]["ece"]["value"] > sharp["before"]["ece_by_chance"]
    assert within >= 17
    assert beyond == 20


def test_coverage_is_the_accuracy_of_the_surest():
    labels, said = outcome(7, n=200)
    table = evaluation.coverage(labels, said, steps=10)
    right, confidence = said.argmax(axis=1) == labels, said.max(axis=1)
    assert table["n"].tolist() == list(range(20, 201, 20))
    for row in table.itertuples():
        surest = confidence >= row.confidence
        assert surest.sum() == row.n
        assert row.accuracy == pytest.approx(right[surest].mean())
    assert table["accuracy"].iloc[-1] == pytest.approx(right.mean())
    assert len(evaluation.coverage([0], [[1.0, 0.0]], steps=4)) == 4


SAID = [[0.9, 0.1], [0.2, 0.8]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: evaluation.calibrate([0], SAID), ConfigurationError, r"labels of shape \(1,\)"),
        (lambda: evaluation.calibrate([0, 2], SAID), LabelError, "from 0 to 2: expected 0 to 1"),
        (lambda: evaluation.calibrate([0.0, 1.0], SAID), LabelError, "expected 0 to 1"),
        (lambda: evaluation.calibrate([[1, 0]], SAID), ConfigurationError, "expected the same"),
        (lambda: evaluation.calibrate([], np.zeros((0, 2))), ConfigurationError, "one row or more"),
        (lambda: evaluation.reliability([0, 1], [[2, 3]] * 2), ConfigurationError, "no probabil"),
        (lambda: evaluation.reliability(SAID, SAID), ConfigurationError, r"expected \(n,\)"),
        (lambda: evaluation.reliability([0, 1], SAID, bins=0), ConfigurationError, "bins=0"),
        (lambda: evaluation.coverage([0, 1], SAID, steps=0), ConfigurationError, "steps=0"),
        (lambda: evaluation.with_temperature(SAID, 0), ConfigurationError, "temperature=0"),
        (
            lambda: evaluation.calibration_scores([0, 1], SAID, n_bootstrap=0),
            ConfigurationError,
            "n_bootstrap=0",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_plots_show_the_tables():
    labels, said = outcome(8)
    tables = {"before": evaluation.reliability(labels, said), "after": None}
    tables["after"] = evaluation.reliability(labels, evaluation.with_temperature(said, 2))
    figure = plots.reliability(tables)
    for ax, table in zip(figure.axes, tables.values(), strict=True):
        np.testing.assert_allclose(ax.lines[1].get_ydata(), table["accuracy"])
        np.testing.assert_allclose([bar.get_height() for bar in ax.patches], table["n"] / 400)
    table = evaluation.coverage(labels, said)
    ax = plots.coverage({"a": table, "b": table}, marks={"one rater": 0.7})
    np.testing.assert_allclose(ax.lines[1].get_ydata(), table["accuracy"])
    assert [text.get_text() for text in ax.texts] == ["one rater"]
    for draw in (plots.reliability, plots.coverage):
        with pytest.raises(ConfigurationError, match="0 tables"):
            draw({})
        with pytest.raises(ConfigurationError, match="without"):
            draw({"empty": pd.DataFrame({"n": [1]})})


EMOTIONS = ("happiness", "neutral", "anger")


@pytest.fixture
def saved(tmp_path):
    model = models.baseline_cnn((24, 24, 1), 3, filters=(2, 2, 2), units=4)
    recipe = {"name": "tiny", "dataset": "toyfaces", "emotions": list(EMOTIONS)}
    return publishing.save(model, recipe, directory=tmp_path / "tiny")


def test_a_temperature_is_stored_read_and_forgotten_with_its_network(saved):
    faces = datasets.make_faces(400, size=24, seed=3, emotions=EMOTIONS)
    assert saved.temperature == 1.0
    result = publishing.calibration(saved, faces)
    assert (result["fitted_on"], result["scored_on"]) == ("validation", "test")
    parts = evaluation.predict_parts(saved.model, faces, class_names=EMOTIONS)
    known, shares = parts["validation"]
    assert result["fitted_n"] == len(known)
    assert result["temperature"] == pytest.approx(
        evaluation.calibrate(known.labels, shares), abs=1e-6
    )
    assert result["before"]["nll"]["value"] == pytest.approx(
        sk.log_loss(parts["test"][0].labels, parts["test"][1], labels=[0, 1, 2]), abs=1e-5
    )
    path = publishing.write_calibration(saved, result)
    assert json.loads(path.read_text()) == result
    assert publishing.open_model(saved.directory).temperature == result["temperature"]
    path.write_text('{"temperature": 0}')
    with pytest.raises(ConfigurationError, match="expected a 'temperature', a number above 0"):
        _ = saved.temperature
    publishing.save(saved.model, saved.recipe, directory=saved.directory)
    assert saved.temperature == 1.0


def test_a_temperature_of_other_data_or_views_is_not_stored(saved):
    faces = datasets.make_faces(400, size=24, seed=3, emotions=EMOTIONS)
    with pytest.raises(ConfigurationError, match="expected a validation split"):
        publishing.calibration(saved, faces.split("test"))
    result = publishing.calibration(saved, faces)
    for other in ({"views": 2}, {"dataset": "fer2013"}):
        with pytest.raises(ConfigurationError, match="expected one of toyfaces and 1 view"):
            publishing.write_calibration(saved, result | other)
    assert saved.temperature == 1.0


@pytest.mark.parametrize(
    ("name", "file"), [("toy-baseline", None), ("fer-compact", "fer2013.csv.xz")]
)
def test_a_published_temperature_is_found_again(name, file, real_data):
    saved = publishing.open_model(models.saved_folder(name))
    faces = saved.load(saved.recipe["dataset"], real_data(file) if file else None)
    result = publishing.calibration(saved, faces)
    published = json.loads((saved.directory / "calibration.json").read_text())
    assert saved.temperature == published["temperature"]
    assert result["temperature"] == pytest.approx(published["temperature"], rel=1e-3)
    for figure in ("nll", "brier", "ece"):
        for end in ("value", "low", "high"):
            expected = published["after"][figure][end]
            assert result["after"][figure][end] == pytest.approx(expected, abs=1e-3)


def test_a_damaged_calibration_is_refused_by_its_path(tmp_path):
    for text, words in (("{", "can not be read as JSON"), ('{"recipe": "a"}', "lacks a figure")):
        (tmp_path / "calibration.json").write_text(text)
        with pytest.raises(ConfigurationError, match=words) as caught:
            publishing.temperatures_table([tmp_path])
        assert str(tmp_path / "calibration.json") in str(caught.value)


def test_the_command_fits_prints_and_writes(saved, run, tmp_path):
    said = run("calibrate", saved.directory, "--cache", tmp_path, "--write", "--json")
    assert said.code == 0, said.stderr
    result = json.loads(said.stdout)
    assert json.loads((saved.directory / "calibration.json").read_text()) == result
    text = run("calibrate", saved.directory, "--cache", tmp_path).stdout
    assert f"tiny: temperature {result['temperature']:.3f}, fitted to" in text
    assert f"{result['after']['ece']['value']:.3f} (" in text
    row = json.loads(run("report", "--calibration", saved.directory, "--json").stdout)
    (row,) = row["calibration"]
    assert row["temperature"] == f"{result['temperature']:.2f}"
    for when, ending in (("before", ""), ("after", " after")):
        for figure, words in (("ece", "ECE"), ("brier", "Brier")):
            assert row[words + ending].startswith(f"{result[when][figure]['value']:.3f} (")

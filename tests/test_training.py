"""Training survives SIGKILL, writes its history, and refuses what does not fit."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from emohelpers import augmentation, datasets, evaluation, models, training
from emohelpers.errors import ConfigurationError, LabelError

SCRIPT = Path(__file__).with_name("training_run.py")


def start(directory, epochs, *stop):
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_DETERMINISTIC_OPS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(directory), str(epochs), *map(str, stop)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def finish(directory, epochs):
    process = start(directory, epochs)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    return int(output)


def final_state(directory):
    """The best weights that the model ended with, and all that the last epoch left."""
    with np.load(directory / "weights.npz") as best, np.load(directory / "state.npz") as last:
        return {**best, **{name: last[name] for name in last.files if name != "about"}}


def test_killed_twice_and_resumed_it_ends_with_the_same_weights(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert finish(whole, 5) == 5
    for stop in (0, 2):  # in the first epoch, when nothing is on disk yet, and in the third
        process = start(cut, 5, stop)
        assert process.stdout.readline() == "halted\n"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        kept = cut / "history.csv"
        assert (len(pd.read_csv(kept)) if kept.exists() else 0) == stop
    assert finish(cut, 5) == 5
    expected, resumed = final_state(whole), final_state(cut)
    assert expected.keys() == resumed.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(values, resumed[name], err_msg=name)
    figures = [name for name in training.HISTORY_COLUMNS if name != "seconds"]
    pd.testing.assert_frame_equal(
        pd.read_csv(whole / "history.csv")[figures], pd.read_csv(cut / "history.csv")[figures]
    )


def faces(n=64, **options):
    return datasets.make_faces(n, size=24, seed=3, **options)


def network(n_classes=7, units=8, **options):
    keras.utils.set_random_seed(1)
    return models.baseline_cnn((24, 24, 1), n_classes, filters=(4, 4, 4), units=units, **options)


def fit(model, directory, *, data=None, epochs=3, **options):
    data = faces() if data is None else data
    return training.fit(model, data, data, directory=directory, epochs=epochs, **options, verbose=0)


def test_history_is_on_disk_and_says_what_the_model_scores(tmp_path):
    model, data = network(), faces()
    history = fit(model, tmp_path, data=data, optimizer="adam")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "history.csv"), history)
    assert tuple(history.columns) == training.HISTORY_COLUMNS
    best = history.loc[history["val_loss"].idxmin()]
    shares = evaluation.predict(model, data.images)
    loss = -np.log(shares[np.arange(len(data)), data.labels]).mean()
    assert best["val_loss"] == pytest.approx(loss, abs=1e-4)
    assert best["val_accuracy"] == pytest.approx((shares.argmax(1) == data.labels).mean(), abs=1e-6)


def test_averaged_weights_are_the_ones_that_were_scored(tmp_path):
    model, data = network(), faces()
    optimizer = keras.optimizers.Adam(0.02, use_ema=True, ema_momentum=0.8)
    history = fit(model, tmp_path, data=data, optimizer=optimizer)
    shares = evaluation.predict(model, data.images)
    loss = -np.log(shares[np.arange(len(data)), data.labels]).mean()
    assert history["val_loss"].min() == pytest.approx(loss, abs=1e-4)


def test_a_lost_line_of_history_comes_back_and_a_finished_run_only_loads(tmp_path):
    first = network()
    history = fit(first, tmp_path)
    (tmp_path / "history.csv").write_text("epoch\n")
    second = network()
    pd.testing.assert_frame_equal(fit(second, tmp_path), history)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "history.csv"), history)
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_more_epochs_go_on_from_the_last(tmp_path):
    history = fit(network(), tmp_path, epochs=2)
    longer = fit(network(), tmp_path, epochs=4)
    pd.testing.assert_frame_equal(longer.head(2), history)
    assert longer["epoch"].tolist() == [1, 2, 3, 4]


def test_patience_stops_and_keeps_the_best(tmp_path):
    # A rate this high makes the loss explode after the first epochs.
    history = fit(network(), tmp_path, epochs=12, patience=2, optimizer=keras.optimizers.SGD(1e4))
    assert len(history) < 12
    assert len(history) - history["val_loss"].idxmin() - 1 == 2


def test_another_training_in_the_same_directory_is_refused(tmp_path):
    fit(network(), tmp_path, epochs=1)
    state = (tmp_path / "state.npz").read_bytes()
    for model, options in [
        (network(units=9), {}),
        (network(), {"seed": 1}),
        (network(), {"optimizer": "sgd"}),
        (network(), {"data": faces(65)}),
        (network(), {"data": datasets.make_faces(64, size=24, seed=4)}),
        (network(), {"augmentation": augmentation.pipeline("light", seed=0)}),
        (network(dropout=0.1), {}),
        (network(standardise=True), {}),
    ]:
        with pytest.raises(ConfigurationError, match="another network"):
            fit(model, tmp_path, epochs=2, **options)
    assert (tmp_path / "state.npz").read_bytes() == state


def test_a_damaged_state_is_refused_with_its_name(tmp_path):
    fit(network(), tmp_path, epochs=1)
    state = tmp_path / "state.npz"
    state.write_bytes(state.read_bytes()[:500])
    with pytest.raises(ConfigurationError, match=r"state\.npz"):
        fit(network(), tmp_path, epochs=2)


def test_one_output_learns_two_classes(tmp_path):
    data = faces(emotions=("happiness", "neutral"))
    keras.utils.set_random_seed(0)
    inputs = keras.Input((24, 24, 1))
    features = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(features))
    adam = keras.optimizers.Adam(0.01)
    history = fit(model, tmp_path, data=data, epochs=80, optimizer=adam, monitor="val_accuracy")
    shares = evaluation.predict(model, data.images)
    assert shares.shape == (64, 2)
    accuracy = (shares.argmax(1) == data.labels).mean()
    assert accuracy == pytest.approx(history["val_accuracy"].max(), abs=1e-6)
    assert accuracy > 0.75


def test_weights_of_classes_change_what_is_learned(tmp_path):
    data = faces(120, emotions=("anger", "happiness", "neutral"))
    model = network(3)
    weights = {0: 100.0, 1: 0.01, 2: 0.01}
    adam = keras.optimizers.Adam(0.01)
    fit(model, tmp_path, data=data, epochs=4, class_weights=weights, optimizer=adam)
    # The last state is what the weights led to; the best epoch may be the first.
    with np.load(tmp_path / "state.npz") as arrays:
        values = [arrays[f"model/{i:04d}"] for i in range(len(model.variables))]
    for variable, value in zip(model.variables, values, strict=True):
        variable.assign(value)
    assert (evaluation.predict(model, data.images).argmax(1) == 0).mean() > 0.9


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (lambda: faces().select([]), {}, "no images in train"),
        (lambda: faces(emotions=("anger", "fear")), {}, "2 classes"),
        (lambda: datasets.make_faces(8, size=32, seed=0), {}, "the network takes (24, 24, 1)"),
        (faces, {"epochs": 0}, "epochs=0"),
        (faces, {"monitor": "loss"}, "val_accuracy"),
        (faces, {"batch_size": 0}, "batch_size=0"),
        (faces, {"patience": -1}, "patience=-1"),
        (faces, {"mixup": float("nan")}, "mixup=nan"),
        (faces, {"label_smoothing": 1.0}, "label_smoothing=1.0"),
        (faces, {"class_weights": dict.fromkeys(range(7), -1.0)}, "expected 0 or more each"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, data, options, words):
    with pytest.raises(ConfigurationError) as caught:
        fit(network(), tmp_path, data=data(), **options)
    assert words in str(caught.value)


def test_images_without_a_label_are_refused(tmp_path):
    data = faces()
    labels = data.labels.copy()
    labels[:3] = -1
    bad = datasets.FaceDataset(data.images, labels, data.class_names, data.table)
    with pytest.raises(LabelError, match=r"3 of .* have no label"):
        fit(network(), tmp_path, data=bad)


def test_multiplied_odds_are_bayes_rule_with_other_frequencies():
    model, data = network(3), faces(emotions=("anger", "happiness", "neutral"))
    before = evaluation.predict(model, data.images)
    factors = np.array([0.5, 2.0, 1.0])
    training.multiply_odds(model, factors)
    expected = before * factors / (before * factors).sum(1, keepdims=True)
    np.testing.assert_allclose(evaluation.predict(model, data.images), expected, atol=1e-6)


@pytest.mark.parametrize("factors", [[1, 1], [1, 1, 0], [1, 1, -2], [1, 1, float("nan")]])
def test_odds_that_make_no_sense_are_refused(factors):
    with pytest.raises(ConfigurationError, match="3 numbers above 0"):
        training.multiply_odds(network(3), factors)


def test_odds_need_a_softmax_at_the_end():
    inputs = keras.Input((4,))
    for end in (keras.layers.Dense(1, activation="sigmoid"), keras.layers.Softmax()):
        with pytest.raises(ConfigurationError, match="softmax and a bias"):
            training.multiply_odds(keras.Model(inputs, end(inputs)), [1.0])


def test_another_strength_of_augmentation_is_another_training(tmp_path):
    fit(network(), tmp_path, epochs=1, augmentation=augmentation.pipeline("light", seed=0))
    other = augmentation.pipeline("light", seed=0, rotation=170)
    with pytest.raises(ConfigurationError, match="another network"):
        fit(network(), tmp_path, epochs=2, augmentation=other)
    same = augmentation.pipeline("light", seed=0)
    assert len(fit(network(), tmp_path, epochs=2, augmentation=same)) == 2

"""Several devices and several processes train as one does, and what they can not do is refused."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from emohelpers import recipes, training
from emohelpers.errors import ConfigurationError
from emohelpers.training import _devices
from emohelpers.training._batches import Batches, one_hot

SCRIPT = Path(__file__).with_name("devices_run.py")
QUICK = "--xla_backend_optimization_level=0"  # compiling takes longer than these few steps
CLUSTER = ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")


def start(folder, *runs, devices, **environment):
    """Train in a process that has so many virtual devices."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    flags = {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} {QUICK}",
    }
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), *runs],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**known, **flags, **environment},
    )


def finish(process):
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return output


def steps(directory):
    """Return the figures of each step, not rounded."""
    with np.load(directory / "state.npz") as file:
        history = json.loads(str(file["about"]))["history"]
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    return np.array([[row[name] for name in names] for row in history])


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    """Six steps on 1 device and three on 4; six on 1 and on 3 that do not divide them."""
    folder = tmp_path_factory.mktemp("devices")
    output = finish(
        start(
            folder,
            "one:everything:1:6",
            "several:everything:4:3",
            "plain:plain:1:6",
            "uneven:plain:3:6",
            devices=4,
        )
    )
    return folder, output


def test_each_step_on_several_devices_is_that_of_one(one_process):
    folder, _ = one_process
    # Of 24, 24 and 12 images; the 31 to validate on do not divide.
    expected = steps(folder / "one")[:3]
    assert np.ptp(expected[:, 0]) > 0.1
    np.testing.assert_allclose(steps(folder / "several"), expected, rtol=5e-6)


def test_a_batch_that_does_not_divide_counts_each_image_once(one_process):
    folder, _ = one_process
    expected = steps(folder / "plain")
    assert np.ptp(expected[:, 0]) > 0.1
    np.testing.assert_allclose(steps(folder / "uneven"), expected, rtol=5e-6)


def test_what_was_trained_on_several_devices_answers_on_one(one_process):
    _, output = one_process
    answers = dict(line.split() for line in output.splitlines() if len(line.split()) == 2)
    assert float(answers["uneven"]) == pytest.approx(float(answers["plain"]), rel=1e-5)


def test_devices_that_are_not_there_and_networks_made_too_early_are_refused(one_process):
    _, output = one_process
    assert "devices=99, and there are 4 (cpu): expected 4 at most, or 'auto'" in output
    assert "lies on one of 2 devices: expected network" in output


def test_two_processes_go_on_with_what_the_first_finds_and_it_alone_writes(one_process, tmp_path):
    folder, _ = one_process
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(folder / "several", first / "several")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    processes = [
        start(
            place,
            "several:everything:auto:6",
            devices=1,
            KERAS_DISTRIBUTION_JOB_ADDRESSES=address,
            KERAS_DISTRIBUTION_NUM_PROCESSES="2",
            KERAS_DISTRIBUTION_PROCESS_ID=str(index),
        )
        for index, place in enumerate((first, second))
    ]
    outputs = [finish(process) for process in processes]
    np.testing.assert_allclose(steps(first / "several"), steps(folder / "one"), rtol=5e-6)
    assert not second.exists()
    assert outputs[0] == outputs[1]
    # They also tried with a seed each.
    assert outputs[0].startswith("process 1 trains with other data, arguments or versions")


def batches(n, size, *, weights=None, seed=None):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (n, 4, 4, 1)).astype(np.uint8)
    targets = one_hot(rng.integers(0, 3, n), 3)
    return Batches(images, targets, size, class_weights=weights, seed=seed)


@pytest.mark.parametrize("weights", [None, np.array([1, 2, 0.5], np.float32)])
@pytest.mark.parametrize(("n", "size", "devices"), [(23, 8, 4), (16, 8, 4), (3, 8, 4), (20, 7, 6)])
def test_shares_of_processes_make_up_the_batch(monkeypatch, n, size, devices, weights):
    whole = batches(n, size, weights=weights, seed=0)
    shares = []
    for index in range(2):
        process = training.Process(index, 2)
        monkeypatch.setattr(_devices, "this_process", lambda process=process: process)
        shares.append(_devices.SharedBatches(whole, devices=devices, training=True))
    for step in range(2 * whole.steps):
        images, targets, *weighted = whole[step]
        weighted = weighted[0] if weighted else np.ones(len(images))
        first, second = (share[step] for share in shares)
        assert len(first[0]) == len(second[0])
        together = [np.concatenate(parts) for parts in zip(first, second, strict=True)]
        assert len(together[0]) % devices == 0
        np.testing.assert_array_equal(together[0][: len(images)], images)
        np.testing.assert_array_equal(together[1][: len(images)], targets)
        # Whatever the images' losses are, their mean is the same.
        losses = np.random.default_rng(2).random(len(together[0]))
        expected = (losses[: len(images)] * weighted).mean()
        scaled = together[2] if len(together) == 3 else np.ones(len(losses))
        assert (losses * scaled).mean() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("outputs", [1, 3])
def test_keras_scores_filled_up_batches_as_it_scores_the_images(outputs):
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (21, 4, 4, 1)).astype(np.uint8)
    targets = one_hot(rng.integers(0, max(outputs, 2), 21), outputs)
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dense(outputs, activation="sigmoid" if outputs == 1 else "softmax")(x)
    model = keras.Model(inputs, x)
    loss = f"{'binary' if outputs == 1 else 'categorical'}_crossentropy"
    model.compile(loss=loss, metrics=["accuracy"])
    expected = model.evaluate(images, targets, verbose=0)
    model.compile(loss=loss, metrics=[_devices.Accuracy()])
    filled = _devices.SharedBatches(Batches(images, targets, 8), devices=4, training=False)
    assert sum(len(filled[step][0]) for step in range(filled.num_batches)) == 24
    np.testing.assert_allclose(model.evaluate(filled, verbose=0), expected, rtol=1e-6)


def test_several_devices_need_jax():
    if keras.backend.backend() == "jax":
        pytest.skip("Keras runs on JAX here")
    for call in (lambda: training.on_devices(2).__enter__(), training.join_processes):
        with pytest.raises(ConfigurationError, match=r"KERAS_BACKEND=jax .*emohelpers\[jax\]"):
            call()


@pytest.mark.parametrize("devices", [0, -1, "all", 1.5, None])
def test_a_number_of_devices_that_makes_no_sense_is_refused(devices):
    with (
        pytest.raises(ConfigurationError, match="expected 1 or more, or 'auto'"),
        training.on_devices(devices),
    ):
        pass


@pytest.mark.parametrize(
    ("devices", "environment", "words"),
    [
        ("0", {}, "--devices 0: expected 1 or more, or 'auto'"),
        ("some", {}, "--devices some"),
        ("auto", {"NUM_PROCESSES": "2"}, "JOB_ADDRESSES, KERAS_DISTRIBUTION_PROCESS_ID not"),
        ("auto", dict(zip(CLUSTER, ("a:1", "2", "2"), strict=True)), "PROCESS_ID=2: expected"),
        ("auto", dict(zip(CLUSTER, ("a:1", "two", "0"), strict=True)), "NUM_PROCESSES=two"),
    ],
)
def test_the_command_says_what_it_needs(run, monkeypatch, devices, environment, words):
    for name in CLUSTER:
        monkeypatch.delenv(f"KERAS_DISTRIBUTION_{name}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(f"KERAS_DISTRIBUTION_{name}", value)
    called = run("train", "toy-baseline", "--devices", devices)
    assert called.code == 1
    assert words in called.stderr


def test_the_command_chooses_jax_itself_but_does_not_overrule_the_user(tmp_path):
    def train(**environment):
        known = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
        command = [sys.executable, "-m", "emohelpers.cli", "train", "toy-baseline", "--devices=99"]
        return subprocess.run(
            [*command, "--out", str(tmp_path / "run"), "--cache", str(tmp_path)],
            env={**known, "JAX_PLATFORMS": "cpu", **environment},
            capture_output=True,
            text=True,
            timeout=240,
        ).stderr

    assert "KERAS_BACKEND=torch: expected KERAS_BACKEND=jax, or none" in train(
        KERAS_BACKEND="torch"
    )


def test_recipes_that_do_not_train_by_steps_are_refused_devices(tmp_path):
    with pytest.raises(ConfigurationError, match="fits its last layer"):
        recipes.train(recipes.get("four-emotions"), directory=tmp_path, devices=2)


def test_recipes_that_write_what_they_train_on_are_refused_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "this_process", lambda: training.Process(1, 2))
    with pytest.raises(ConfigurationError, match="files that it writes itself"):
        recipes.train(recipes.get("four-emotions-authors"), directory=tmp_path)

"""Networks trained for the same time: steps follow from it, and figures from the files."""

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from emohelpers import ablation, datasets, plots, robustness
from emohelpers.ablation import _clock, _equal_time
from emohelpers.ablation._clock import Clock
from emohelpers.errors import ConfigurationError

HOME = Path(__file__).resolve().parents[1] / "saved_models"
BASE = replace(ablation.TIMED, dataset="toyfaces", size=24, batch_size=24, augmentation=None)
BASE = replace(BASE, augmentation_options={})
NETWORKS = {
    "compact": ablation.Contender(
        "convolutions",
        {"network": "baseline_cnn", "network_options": {"filters": (2, 2, 2), "units": 4}},
        rates=(0.1,),
    ),
    "cct": ablation.Contender(
        "attention",
        {
            "network": "compact_convolutional_transformer",
            "network_options": {"widths": (2, 4), "blocks": 1, "heads": 2},
            "optimizer": "AdamW",
        },
        rates=(1e-3, 1e-2),
    ),
}


@pytest.fixture(scope="module")
def faces():
    found = datasets.make_faces(160, seed=0, size=24, emotions=datasets.EMOTIONS[:7])
    return found.assign_splits(by="person", seed=0)


@pytest.fixture(scope="module")
def compared(faces, tmp_path_factory):
    """Return the folder and the result of a comparison whose seconds for a step are known."""
    directory = tmp_path_factory.mktemp("equal")
    (directory / "step_seconds.json").write_text(json.dumps({"compact": 0.1, "cct": 0.25}))
    return directory, compare(faces, directory)


def compare(faces, directory, **options):
    given = {"base": BASE, "networks": NETWORKS, "minutes": 0.1, "verbose": 0, **options}
    return ablation.equal_time(None, directory=directory, faces=faces, **given)


def test_the_time_says_how_many_steps_each_network_gets(compared):
    directory, found = compared
    steps = found.curves.groupby(["setting", "network"], sort=False)["steps"].max()
    # 6 seconds, of which a try has a quarter; cut to whole steps in each of 2 or 8 periods.
    assert steps.to_dict() == {
        ("learning rate", "compact"): 14,
        ("learning rate", "cct"): 6,
        ("equal time", "compact"): 56,
        ("equal time", "cct"): 24,
        ("equal steps", "compact"): 24,
        ("equal steps", "cct"): 24,
    }
    assert sorted(path.name for path in directory.iterdir() if path.is_dir()) == [
        "cct-rate-0.001",
        "cct-rate-0.01",
        "cct-time",  # which had the fewest steps, and is not trained again
        "compact-rate-0.1",
        "compact-steps",
        "compact-time",
    ]
    # The schedule ends with the steps: the rate of the last one is nearly zero.
    for place in ("compact-time", "cct-time", "compact-steps"):
        history = pd.read_csv(directory / place / "history.csv")
        assert len(history) == 8
        assert history["learning_rate"].iloc[-1] < 0.02 * history["learning_rate"].max()


def test_the_rate_is_the_one_that_validation_preferred(compared):
    directory, found = compared
    tried = found.curves[found.curves["setting"] == "learning rate"]
    best = tried[tried["network"] == "cct"].groupby("learning_rate")["val_accuracy"].max()
    chosen = found.table[found.table["network"] == "cct"]["learning_rate"].unique()
    assert len(best) == 2
    assert chosen.tolist() == [best.idxmax()]
    recipe = json.loads((directory / "cct-time" / "recipe.json").read_text())
    assert recipe["learning_rate"] == chosen[0]


def test_the_figures_are_those_of_the_saved_networks(compared, faces):
    directory, found = compared
    table = found.table.set_index(["setting", "part", "figure", "network"])
    assert len(table) == 2 * 2 * 4 * 2
    images, labels = faces.split("test").images[:], faces.split("test").labels
    moved = robustness.corrupt(images, "shift", 2)
    right = {}
    for network in NETWORKS:
        model = keras.models.load_model(directory / f"{network}-time" / "model.keras")

        def answers(pixels, model=model):
            return np.asarray(model(pixels * 1.0, training=False))

        one = answers(images).argmax(axis=1)
        two = (answers(images) + answers(images[:, :, ::-1])).argmax(axis=1)
        right[network] = one == labels
        expected = {
            "accuracy": (one == labels).mean(),
            "accuracy, 2 views": (two == labels).mean(),
            "gain by 2 views": (two == labels).mean() - (one == labels).mean(),
            "same answer, shifted": (answers(moved).argmax(axis=1) == one).mean(),
        }
        for figure, value in expected.items():
            row = table.loc["equal time", "test", figure, network]
            assert row["value"] == pytest.approx(value, abs=1e-4)
            assert row["low"] <= row["value"] <= row["high"]
            assert row["n"] == len(labels)
            assert row["parameters"] == model.count_params()
    row = table.loc["equal time", "test", "accuracy", "cct"]
    paired = right["cct"] * 1.0 - right["compact"]
    assert row["difference"] == pytest.approx(paired.mean(), abs=1e-4)
    drawn = np.random.default_rng(7).choice(paired, (4000, len(paired))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert row[["difference_low", "difference_high"]].tolist() == pytest.approx(
        [low, high], abs=0.05
    )


def test_time_and_passes_are_those_of_the_training(compared, faces):
    directory, found = compared
    clock = json.loads((directory / "compact-time" / "clock.json").read_text())
    curve = found.curves.query("setting == 'equal time' and network == 'compact'")
    np.testing.assert_allclose(curve["cpu_seconds"], np.cumsum(list(clock.values())), atol=0.06)
    last = curve.iloc[-1]
    assert last["passes"] == pytest.approx(
        56 * BASE.batch_size / len(faces.split("train")), abs=0.01
    )
    row = found.table.query("setting == 'equal time' and network == 'compact'").iloc[0]
    assert row["cpu_seconds"] == last["cpu_seconds"]
    assert row["step_seconds"] == 0.1


def test_what_is_done_is_not_done_again(compared, faces):
    directory, found = compared
    before = {path: path.read_bytes() for path in directory.rglob("state.npz")}
    clocks = {path: path.read_text() for path in directory.rglob("clock.json")}
    again = compare(faces, directory)
    pd.testing.assert_frame_equal(again.table, found.table)
    pd.testing.assert_frame_equal(again.curves, found.curves)
    assert before == {path: path.read_bytes() for path in directory.rglob("state.npz")}
    assert clocks == {path: path.read_text() for path in directory.rglob("clock.json")}
    # Another time is another training: it is refused, and nothing is lost.
    with pytest.raises(ConfigurationError, match="belongs to a training with another"):
        compare(faces, directory, minutes=0.2)
    assert before == {path: path.read_bytes() for path in directory.rglob("state.npz")}
    one = {"compact": NETWORKS["compact"], "other": NETWORKS["cct"]}
    with pytest.raises(ConfigurationError, match=r"is of compact, cct: expected compact, other"):
        compare(faces, directory, networks=one)


class FakeTraining:
    """What calls a clock as a training does, with a processor that takes as long as it is told."""

    def __init__(self, monkeypatch, seconds):
        self.now, self.seconds, self.trained = 0.0, seconds, []
        monkeypatch.setattr(_clock.time, "process_time", lambda: self.now)
        monkeypatch.setattr(_equal_time, "train", self)

    def __call__(self, recipe, *, faces, callbacks, **_):
        self.trained.append(recipe.name)
        self.images = len(faces.split("validation"))
        for epoch in range(recipe.epochs):
            callbacks[0].on_epoch_begin(epoch)
            # The first epoch takes long, and so does the scoring after each.
            self.now += self.seconds[recipe.name] * recipe.steps_per_epoch + 100 * (epoch == 0)
            callbacks[0].on_test_begin()
            self.now += 50


def test_a_step_is_measured_without_the_first_epoch_and_the_scoring(monkeypatch, tmp_path, faces):
    fake = FakeTraining(monkeypatch, {"a": 0.25, "b": 2.0})
    recipes = {name: replace(BASE, name=name) for name in "ab"}
    found = _equal_time._step_seconds(recipes, faces, tmp_path)
    assert found == {"a": pytest.approx(0.25), "b": pytest.approx(2.0)}
    assert fake.trained == ["a", "b", "a", "b"]
    assert fake.images <= 64
    assert _equal_time._step_seconds(recipes, faces, tmp_path) == found
    assert fake.trained == ["a", "b", "a", "b"]


def test_the_clock_goes_on_after_a_stop_and_forgets_what_was_cut_off(monkeypatch, tmp_path):
    path = tmp_path / "clock.json"
    times = iter([10, 13, 20, 27, 1, 6])
    monkeypatch.setattr(_clock.time, "process_time", lambda: next(times))
    first = Clock(path)
    for epoch in (0, 1):
        first.on_epoch_begin(epoch)
        first.on_test_begin()
    assert Clock(path).seconds == {"0": 3, "1": 7}
    second = Clock(path)  # the state of epoch 1 was not written any more
    second.on_epoch_begin(1)
    second.on_test_begin()
    assert json.loads(path.read_text()) == {"0": 3, "1": 5}
    assert [each.name for each in tmp_path.iterdir()] == ["clock.json"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"networks": {"cct": NETWORKS["cct"]}}, "networks cct: expected two or more"),
        ({"networks": {}}, "networks none"),
        (
            {"networks": {**NETWORKS, "none": replace(NETWORKS["cct"], rates=())}},
            "each with a learning rate",
        ),
        ({"minutes": 0.0}, "minutes=0.0: expected above 0"),
        ({"minutes": 0.01}, "a step of compact takes 0.100 s: expected time for 2 steps"),
    ],
)
def test_what_can_not_be_compared_is_refused(tmp_path, faces, options, words):
    (tmp_path / "step_seconds.json").write_text(json.dumps({"compact": 0.1, "cct": 0.25}))
    with pytest.raises(ConfigurationError) as caught:
        compare(faces, tmp_path, **options)
    assert words in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["step_seconds.json"]


def test_the_two_networks_are_of_equal_size_and_tried_as_often():
    recipes = {
        name: ablation.changed(ablation.TIMED, name, network)
        for name, network in ablation.NETWORKS.items()
    }
    one, other = recipes.values()
    differ = {
        name for name in vars(one) if name != "name" and getattr(one, name) != getattr(other, name)
    }
    assert differ == {"network", "network_options", "optimizer", "optimizer_options"}
    assert {len(network.rates) for network in ablation.NETWORKS.values()} == {2}


def test_the_command_writes_both_tables_or_says_what_was_wrong(run, monkeypatch, tmp_path):
    table, curves = pd.DataFrame({"setting": ["equal time"]}), pd.DataFrame({"steps": [1]})
    for column in ("part", "figure", "network", "value", "difference", "passes", "cpu_seconds"):
        table[column] = 0.5
    asked = {}

    def equal_time(data, **options):
        asked.update(options, data=data)
        return ablation.EqualTime(table, curves)

    missing = run("equal-time", "--data", tmp_path / "no.csv", "--out", tmp_path / "o.csv")
    assert missing.code == 1
    assert "no.csv" in missing.stderr
    assert "Traceback" not in missing.stderr
    monkeypatch.setattr(ablation, "equal_time", equal_time)
    out = tmp_path / "new" / "cct.csv"
    done = run("equal-time", "--data", "fer.csv", "--out", out, "--minutes", 2)
    assert done.code == 0, done.stderr
    assert (asked["data"], asked["minutes"]) == (Path("fer.csv"), 2)
    assert asked["directory"] == Path("runs") / "cct"
    pd.testing.assert_frame_equal(pd.read_csv(out), table)
    pd.testing.assert_frame_equal(pd.read_csv(out.with_name("cct-curves.csv")), curves)


def test_the_committed_table_compares_what_it_says():
    table = pd.read_csv(HOME / "cct-fer2013.csv")
    curves = pd.read_csv(HOME / "cct-fer2013-curves.csv")
    assert set(table["part"]) == {"PublicTest", "PrivateTest", "PrivateTest-no-leaks"}
    runs = table.groupby(["setting", "network"]).first()
    sizes = runs.loc["equal time", "parameters"]
    assert sizes.max() < 1.02 * sizes.min()
    used = runs.loc["equal time", "cpu_seconds"]
    assert used.max() < 1.1 * used.min()
    assert runs.loc["equal steps", "steps"].nunique() == 1
    # Both networks of a row answer the same images, so differences are those of the values.
    by_network = table.pivot(index=["setting", "part", "figure"], columns="network", values="value")
    differences = table[table["network"] == "cct"].set_index(["setting", "part", "figure"])
    expected = (by_network["cct"] - by_network["compact_cnn"]).reindex(differences.index)
    np.testing.assert_allclose(differences["difference"], expected, atol=2e-4)
    sizes = {"PublicTest": 3589, "PrivateTest": 3589, "PrivateTest-no-leaks": 3301}
    assert table.groupby("part")["n"].first().to_dict() == sizes
    # The accuracy on PublicTest is that of the best scoring of the training, by another code.
    for (setting, network), part in table.groupby(["setting", "network"]):
        curve = curves[(curves["setting"] == setting) & (curves["network"] == network)]
        row = part.query("part == 'PublicTest' and figure == 'accuracy'").iloc[0]
        assert row["value"] == pytest.approx(curve["val_accuracy"].max(), abs=1e-3)


def test_progress_is_drawn_over_what_it_took():
    curve = pd.DataFrame({"passes": [1.0, 2.0], "val_accuracy": [0.2, 0.5]})
    ax = plots.progress({"one": curve, "two": curve / 2}, over="passes")
    assert [line.get_xdata().tolist() for line in ax.lines] == [[1, 2], [0.5, 1]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]
    assert ax.get_ylim()[0] == 0
    for curves, over, words in (
        ({}, "passes", "0 trainings: expected 1 to 4"),
        ({"one": curve}, "hours", "over='hours': expected one of cpu_seconds"),
        ({"one": curve}, "steps", "one: 2 rows without steps"),
        ({"one": curve[:0]}, "passes", "one: 0 rows without a row"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            plots.progress(curves, over=over)
        assert words in str(caught.value)

"""Searches for hyperparameters: the estimator, what stays on disk, equal budgets, the tables."""

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, randint
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 (allows the next line)
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, PredefinedSplit

from emohelpers import datasets, plots, search
from emohelpers.errors import ConfigurationError
from emohelpers.search import FaceClassifier, Plan, Trials
from emohelpers.search import _classifier as module

SAVED = Path(__file__).resolve().parents[1] / "saved_models"
TINY = {"filters": (2, 2, 2), "units": 4}
PLAN = Plan(
    dataset="toyfaces",
    grid={
        "learning_rate": (1e-3, 3e-2),
        "batch_size": (16,),
        "activation": ("elu",),
        "optimizer": ("adam",),
    },
    grid_images=96,
    candidates=3,
    first_images=32,
    size=24,
    network_options=TINY,
)


@pytest.fixture(scope="module")
def faces():
    drawn = datasets.make_faces(300, size=24, seed=3, difficulty=0)
    return drawn.assign_splits(by="person", seed=0)


@pytest.fixture(scope="module")
def data(faces):
    train = faces.split("train")
    return train.images[:].reshape(len(train), -1), train.labels


def classifier(**options):
    return FaceClassifier((24, 24, 1), network_options=TINY, **options)


def guess_weights(network, batches, *, steps_per_epoch, **_):
    """Train in no time: weights by what decides a training."""
    rate = float(keras.ops.convert_to_numpy(network.optimizer._learning_rate(0)))
    rng = np.random.default_rng([batches.seed, steps_per_epoch, int(rate * 1e6)])
    network.set_weights([rng.normal(size=value.shape) for value in network.get_weights()])


@pytest.fixture
def quick(monkeypatch):
    """Train in no time, since what a training learns is of no account."""
    monkeypatch.setattr(keras.Sequential, "fit", guess_weights)


@pytest.fixture
def trained(monkeypatch):
    """Count the trainings that are done and not loaded."""
    done = []
    plain = module.Batches

    def batches(images, targets, batch_size, **options):
        done.append((images.dtype, batch_size, options))
        return plain(images, targets, batch_size, **options)

    monkeypatch.setattr(module, "Batches", batches)
    return done


def test_every_setting_is_a_parameter_that_survives_a_clone():
    one = classifier(activation="elu", batch_size=8, learning_rate=0.1, seed=4, directory="here")
    copy = clone(one)
    assert copy is not one
    assert copy.get_params() == one.get_params()
    assert copy.get_params()["network_options"] == TINY
    copy.set_params(optimizer="sgd", images=7)
    assert (copy.optimizer, copy.images, one.optimizer) == ("sgd", 7, "adam")


def test_it_sees_as_many_images_as_asked_for_in_bytes_and_at_a_rate_that_falls_to_zero(
    data, trained
):
    one = classifier(images=100, batch_size=24, optimizer="sgd", learning_rate=0.2)
    one.fit(*data)
    optimizer = one.model_.optimizer
    assert int(optimizer.iterations) == 5  # 4 batches would be 96 images
    assert float(optimizer.learning_rate) == pytest.approx(0, abs=1e-7)
    first = float(keras.ops.convert_to_numpy(optimizer._learning_rate(0)))
    assert (first, optimizer.momentum) == (pytest.approx(0.2), 0.9)
    assert [(kind, size) for kind, size, _ in trained] == [(np.uint8, 24)]


def test_the_activation_is_that_of_every_layer_but_the_last(data):
    one = classifier(images=16, batch_size=16, activation="tanh").fit(*data)
    *_, network = one.model_.layers
    kinds = [layer.activation for layer in network.layers if hasattr(layer, "activation")]
    assert [kind.__name__ for kind in kinds] == ["tanh"] * 4 + ["softmax"]


def test_the_seed_decides_all(data):
    weights = [
        classifier(images=32, batch_size=16, seed=seed).fit(*data).model_.get_weights()
        for seed in (0, 0, 1)
    ]
    assert all(map(np.array_equal, weights[0], weights[1]))
    assert not np.allclose(weights[0][0], weights[2][0])


def test_it_answers_with_the_label_that_its_network_gives_most(data):
    rows, labels = data
    some = np.isin(labels, (3, 5, 6))
    one = classifier(images=64, batch_size=16).fit(rows[some], labels[some])
    shares = one.model_.predict(rows, verbose=0)
    assert shares.shape == (len(rows), 3)
    np.testing.assert_allclose(one.predict_proba(rows), shares, atol=1e-5)
    assert one.predict(rows).tolist() == np.array([3, 5, 6])[shares.argmax(1)].tolist()


def test_a_network_that_diverged_is_scored_and_no_error(data):
    rows, labels = data
    one = classifier(images=160, batch_size=16, optimizer="sgd", learning_rate=1e30)
    one.fit(rows, labels)
    assert np.isnan(one.predict_proba(rows)).any()
    diverged = np.isnan(one.predict_proba(rows)).all(axis=1)
    assert (one.predict(rows[diverged]) == labels.min()).all()


def test_a_training_that_is_kept_is_loaded(data, trained, tmp_path):
    options = {"images": 32, "batch_size": 16, "directory": tmp_path}
    first = classifier(**options).fit(*data)
    again = classifier(**options).fit(*data)
    assert len(trained) == 1
    assert all(map(np.array_equal, first.model_.get_weights(), again.model_.get_weights()))
    assert again.cpu_seconds_ == first.cpu_seconds_ > 0


@pytest.mark.usefixtures("quick")
def test_another_training_is_kept_beside_it(data, trained, tmp_path):
    options = {"images": 32, "batch_size": 16, "directory": tmp_path}
    classifier(**options).fit(*data)
    # NumPy's numbers, as random searches draw them, are the same parameters.
    classifier(**options | {"images": np.int64(32)}, learning_rate=np.float64(1e-3)).fit(*data)
    assert len(trained) == 1
    rows, labels = data
    changed = rows.copy()
    changed[-1, -1] ^= 1
    classifier(**options).fit(changed, labels)
    classifier(**options).fit(rows, labels[::-1])
    for other in ({"seed": 1}, {"images": 33}, {"activation": "tanh"}, {"learning_rate": 2e-3}):
        classifier(**options | other).fit(*data)
    assert len(trained) == 7
    assert len(list(tmp_path.iterdir())) == 7


@pytest.mark.parametrize("content", [b"", b"PK", b"other weights"])
def test_a_damaged_training_is_named_and_left_as_it_is(data, tmp_path, content):
    one = classifier(images=16, batch_size=16, directory=tmp_path).fit(*data)
    (path,) = tmp_path.iterdir()
    if content == b"other weights":
        with np.load(path) as file:
            kept = {name: file[name] for name in file.files}
        np.savez(path, **kept | {"weight0": np.zeros(5)})
        content = path.read_bytes()
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"{path.name} can not be read .* remove it"):
        one.fit(*data)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"optimizer": "lion"}, "optimizer='lion': expected one of adam, sgd, rmsprop"),
        ({"activation": "rely"}, "activation='rely': expected a name of keras.activations"),
        ({"learning_rate": 0}, "learning_rate=0: expected a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"batch_size": 0}, "batch_size=0, images=30000: expected 1 or more"),
        ({"images": 0}, "images=0"),
        ({"image_shape": (48, 48, 1)}, r"rows of shape \(\d+, 576\): expected \(n, 2304\)"),
    ],
)
def test_what_can_not_be_trained_is_refused(data, tmp_path, options, words):
    one = classifier(directory=tmp_path).set_params(**options)
    with pytest.raises(ConfigurationError, match=words):
        one.fit(*data)
    assert not list(tmp_path.iterdir())


def test_the_split_is_fixed_and_leaves_copies_and_test_images_out(faces):
    leaks = np.zeros(len(faces), bool)
    train = np.flatnonzero(faces.table["split"] == "train")
    leaks[train[:3]] = True
    marked = replace(faces, table=faces.table.assign(leaks=leaks))
    rows, labels, split = search.fixed_split(marked)
    ((learned, scored),) = split.split()
    assert rows.dtype == np.uint8
    expected = faces.images[:][train[3:]].reshape(-1, 576)
    np.testing.assert_array_equal(rows[learned], expected)
    validation = faces.split("validation")
    np.testing.assert_array_equal(labels[scored], validation.labels)
    np.testing.assert_array_equal(rows[scored].reshape(-1, 24, 24, 1), validation.images)
    assert len(rows) == len(train) - 3 + len(validation)
    with pytest.raises(ConfigurationError, match="no images in validation"):
        search.fixed_split(faces.split("train"))


class Guess(ClassifierMixin, BaseEstimator):
    """Trained in no time: as many images as it is told, and right by its own number."""

    seen: list  # of all: (candidate, images)

    def __init__(self, number=0, images=1):
        self.number = number
        self.images = images

    def fit(self, X, y):  # noqa: N803 (scikit-learn's names)
        self.seen.append((self.number, self.images))
        self.classes_ = np.unique(y)
        return self


@settings(max_examples=25)
@given(candidates=st.integers(2, 100), first=st.integers(1, 5000))
def test_the_rungs_are_those_of_scikit_learn(candidates, first):
    plan = Plan(
        dataset="none",
        grid={"number": (1,)},
        grid_images=1,
        candidates=1,
        first_images=1,
    )
    object.__setattr__(plan, "candidates", candidates)
    object.__setattr__(plan, "first_images", first)
    Guess.seen = []
    HalvingRandomSearchCV(
        Guess(),
        {"number": randint(0, 10**6)},
        resource="images",
        n_candidates=candidates,
        min_resources=first,
        max_resources=plan.rungs[-1][1],
        cv=PredefinedSplit([-1, -1, 0, 0]),
        scoring=lambda one, *_: one.number,
        refit=False,
        return_train_score=False,
        random_state=0,
    ).fit(np.zeros((4, 1)), [0, 1, 0, 1])
    images = pd.Series([images for _, images in Guess.seen])
    counted = images.value_counts().sort_index()
    assert tuple(zip(counted, counted.index, strict=True)) == plan.rungs


def test_both_searches_of_a_plan_see_as_many_images():
    for plan in search.PLANS.values():
        assert plan.points == np.prod([len(values) for values in plan.grid.values()])
        assert plan.budget == sum(count * images for count, images in plan.rungs)
    with pytest.raises(ConfigurationError, match=r"97 images .* expected as many"):
        replace(PLAN, grid={"learning_rate": (1,)}, grid_images=97)


@pytest.fixture(scope="module")
def studied(faces, tmp_path_factory):
    directory = tmp_path_factory.mktemp("search")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Sequential, "fit", guess_weights)
        return directory, search.study(faces, directory=directory, plan=PLAN, seeds=(0, 1))


@pytest.mark.usefixtures("quick")
def test_a_study_stopped_half_way_goes_on_and_trains_nothing_twice(
    faces, studied, tmp_path, trained, monkeypatch
):
    _, (found, trials) = studied
    plain = module._Network.fit

    def fit(network, *arguments, **options):
        if len(trained) == 4:
            raise KeyboardInterrupt
        return plain(network, *arguments, **options)

    monkeypatch.setattr(module._Network, "fit", fit)
    with pytest.raises(KeyboardInterrupt):
        search.study(faces, directory=tmp_path, plan=PLAN, seeds=(0, 1))
    monkeypatch.setattr(module._Network, "fit", plain)
    assert len(list(tmp_path.glob("*.npz"))) == 4
    found_again, trials_again = search.study(faces, directory=tmp_path, plan=PLAN, seeds=(0, 1))
    # For each seed 2 points of the grid, 3 candidates and 1 of them once more. The winner of each
    # is trained with as many images as in its search: it is there.
    assert len(trained) == 2 * 6
    for now, before in ((found_again, found), (trials_again, trials)):
        drop = "cpu_seconds"
        pd.testing.assert_frame_equal(now.drop(columns=drop), before.drop(columns=drop))


@pytest.mark.usefixtures("quick")
def test_each_rung_goes_on_with_the_best_and_the_winner_is_trained_on(faces, studied):
    _, (found, trials) = studied
    assert trials.groupby(["search", "seed"])["images"].sum().tolist() == [192] * 4
    rows, labels, split = search.fixed_split(faces)
    learned = split.test_fold < 0
    tested = faces.split("test")
    for name in ("grid", "halving"):
        as_found, on_validation, on_test = [], [], []
        for seed in (0, 1):
            own = trials[(trials["search"] == name) & (trials["seed"] == seed)]
            last = own[own["rung"] == own["rung"].max()]
            best = last.loc[last["accuracy"].idxmax()]
            if name == "halving":
                first = own[own["rung"] == 0].set_index("learning_rate")["accuracy"]
                assert first[best["learning_rate"]] == first.max() > first.min()
            as_found.append(best["accuracy"])
            winner = classifier(
                images=96,
                activation="elu",
                batch_size=16,
                learning_rate=next(
                    rate
                    for rate in (*PLAN.grid["learning_rate"], *_drawn(seed))
                    if float(f"{rate:.4g}") == best["learning_rate"]
                ),
                seed=seed,
            ).fit(rows[learned], labels[learned])
            on_validation.append(winner.score(rows[~learned], labels[~learned]))
            on_test.append(winner.score(tested.images[:].reshape(len(tested), -1), tested.labels))
        of_search = found[found["setting"] == name]
        assert of_search["accuracy"].tolist() == pytest.approx(
            [np.mean(as_found), np.mean(on_validation), np.mean(on_test)], abs=1e-3
        )
        spent = trials.loc[trials["search"] == name, "cpu_seconds"].sum() / 2
        assert of_search["cpu_seconds"].tolist() == pytest.approx([spent] * 3, abs=0.051)


def _drawn(seed):
    """Return the learning rates that halving draws, by another way: the inverse of their CDF."""
    low, high = PLAN.grid["learning_rate"]
    drawn = np.random.RandomState(seed)
    rates = []
    for _ in range(PLAN.candidates):
        # In the order of names; a list is drawn from by its length.
        drawn.randint(1)
        drawn.randint(1)
        rates.append(low * (high / low) ** drawn.uniform())
        drawn.randint(1)
    return rates


def test_nothing_is_chosen_by_the_test_split(faces, studied, trained):
    directory, (found, trials) = studied
    is_test = (faces.table["split"] == "test").to_numpy()
    labels = np.where(is_test, (faces.labels + 1) % 7, faces.labels)
    other, same = search.study(
        replace(faces, labels=labels), directory=directory, plan=PLAN, seeds=(0, 1)
    )
    assert not trained
    pd.testing.assert_frame_equal(same, trials)
    on_test = found["part"] == "test"
    pd.testing.assert_frame_equal(other[~on_test], found[~on_test])
    assert (other.loc[on_test, "accuracy"] != found.loc[on_test, "accuracy"]).all()


def test_further_seeds_go_on_and_another_study_is_refused(faces, studied, trained):
    directory, (_, trials) = studied
    _, one = search.study(faces, directory=directory, plan=PLAN, seeds=(1,))
    pd.testing.assert_frame_equal(one, trials[trials["seed"] == 1].reset_index(drop=True))
    before = {path: path.read_bytes() for path in directory.iterdir()}
    labels = np.where(faces.table["split"] == "train", (faces.labels + 1) % 7, faces.labels)
    for changed in (
        {"plan": replace(PLAN, grid_images=192, first_images=64)},
        {"faces": replace(faces, labels=labels)},
    ):
        given = {"faces": faces, "plan": PLAN} | changed
        with pytest.raises(ConfigurationError, match="another plan or of other images"):
            search.study(given["faces"], directory=directory, plan=given["plan"])
    assert not trained
    assert {path: path.read_bytes() for path in directory.iterdir()} == before


def test_a_study_without_seeds_or_test_images_is_refused(faces, tmp_path):
    with pytest.raises(ConfigurationError, match="no seeds"):
        search.study(faces, directory=tmp_path, plan=PLAN, seeds=())
    untested = faces.select((faces.table["split"] != "test").to_numpy())
    with pytest.raises(ConfigurationError, match="no images in test"):
        search.study(untested, directory=tmp_path, plan=PLAN)
    assert not list(tmp_path.iterdir())


def grid_trials(seed=0, seeds=2):
    """Return a grid's trials with answers drawn at random, as accurate as the settings say."""
    rng = np.random.default_rng(seed)
    rows, correct = [], []
    for k in range(seeds):
        for rate in (0.1, 0.01):
            for optimizer in ("sgd", "adam"):
                for size in (8, 16, 32):
                    row = {"learning_rate": rate, "batch_size": size, "optimizer": optimizer}
                    rows.append({"seed": k, **row, "activation": "relu"})
                    correct.append(rng.random(400) < 0.3 + 2 * rate + 0.1 * (optimizer == "sgd"))
    return pd.DataFrame(rows), correct


def test_a_main_effect_is_the_mean_over_all_else_and_its_interval_holds_the_truth():
    trials, correct = grid_trials()
    table = search.main_effects(trials, correct)
    trials["accuracy"] = np.mean(correct, axis=1)
    for name in ("learning_rate", "batch_size", "optimizer"):
        rows = table[table["parameter"] == name]
        means = trials.groupby(name)["accuracy"].mean()
        assert rows["value"].tolist() == [str(value) for value in means.index]
        np.testing.assert_allclose(rows["accuracy"], means, atol=1e-4)
        assert (rows["fits"] == 24 // len(means)).all()
    assert "activation" not in set(table["parameter"])
    effect = table.set_index(["parameter", "value"])
    for at, truth in ((("learning_rate", "0.1"), 0.18), (("optimizer", "sgd"), 0.1)):
        low, high = effect.loc[at, ["difference_low", "difference_high"]]
        assert low < truth < high
    for size in ("16", "32"):  # which changes nothing
        low, high = effect.loc["batch_size", size][["difference_low", "difference_high"]]
        assert low < 0 < high


def test_main_effects_are_judged_seed_by_seed_and_the_grid_stays_as_it_is():
    trials, _ = grid_trials()
    # One seed is always right and the other never, whatever the settings, and they come in another
    # order with each.
    order = np.random.default_rng(1).permutation(len(trials))
    order = order[np.argsort(trials["seed"].to_numpy()[order], kind="stable")]
    shuffled = trials.iloc[order]
    table = search.main_effects(shuffled, [np.full(50, seed == 0) for seed in shuffled["seed"]])
    assert table["accuracy"].eq(0.5).all()
    assert (table[["accuracy_low", "accuracy_high"]] == [0, 1]).all(axis=None)
    assert (table[["difference", "difference_low", "difference_high"]] == 0).all(axis=None)
    # What is right at one optimiser only: no image and no seed is in doubt, and so nothing is.
    answers = [np.full(50, optimizer == "sgd") for optimizer in trials["optimizer"]]
    effect = search.main_effects(trials, answers).set_index(["parameter", "value"])
    assert effect.loc[("optimizer", "sgd"), ["difference_low", "difference_high"]].tolist() == [
        1,
        1,
    ]
    assert (effect.loc["batch_size", ["accuracy_low", "accuracy_high"]] == 0.5).all(axis=None)


def test_effects_of_what_is_no_whole_grid_are_refused():
    trials, correct = grid_trials()
    for rows, answers in (
        (trials.iloc[1:], correct[1:]),
        (trials, correct[1:]),
        (trials.iloc[:1], correct[:1]),
    ):
        with pytest.raises(ConfigurationError, match="all points of a grid equally often"):
            search.main_effects(rows, answers)


class Known:
    """A classifier that is right of the first of ten, and took two seconds."""

    images, batch_size, cpu_seconds_ = 64, 16, 2.0
    learning_rate, activation, optimizer = 0.1, "relu", "adam"

    def predict(self, rows):
        return np.r_[np.ones(7), np.zeros(3)]


def test_trials_hold_each_accuracy_with_wilsons_interval():
    trials = Trials()
    with pytest.raises(ConfigurationError, match="no trials"):
        trials.table()
    assert trials(Known(), None, np.ones(10)) == 0.7
    again = Known()
    again.images = 32
    trials(again, None, np.zeros(10))
    table = trials.table()
    assert table["rung"].tolist() == [1, 0]
    # Wilson (1927), J. Am. Stat. Assoc. 22, p. 209.
    z, n, p = norm.ppf(0.975), 10, 0.7
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert table.loc[0, "accuracy_low"] == pytest.approx(middle - half)
    assert table.loc[0, "accuracy_high"] == pytest.approx(middle + half)
    assert trials.correct[0].tolist() == [True] * 7 + [False] * 3


def test_it_works_in_scikit_learns_grid_by_the_names_of_its_parameters(faces):
    rows, labels, split = search.fixed_split(faces)
    trials = Trials()
    grid = {"batch_size": [16, 32], "optimizer": ["sgd"]}
    one = classifier(images=32, seed=1)
    found = GridSearchCV(one, grid, cv=split, scoring=trials, refit=False).fit(rows, labels)
    assert trials.table()[["batch_size", "optimizer"]].values.tolist() == [[16, "sgd"], [32, "sgd"]]
    assert found.cv_results_["mean_test_score"].tolist() == trials.table()["accuracy"].tolist()
    ((learned, scored),) = split.split()
    again = (
        clone(one).set_params(batch_size=16, optimizer="sgd").fit(rows[learned], labels[learned])
    )
    assert again.score(rows[scored], labels[scored]) == trials.table()["accuracy"][0]


def test_the_command_writes_both_tables_and_says_what_is_wrong(
    run, faces, studied, tmp_path, monkeypatch
):
    directory, (found, trials) = studied
    monkeypatch.setattr(search, "PLANS", {"toyfaces": PLAN})
    asked = []

    def load(name, path, **options):
        asked.append((name, path, options["size"], options["color"]))
        return faces

    monkeypatch.setattr(datasets, "load", load)
    out = tmp_path / "tables" / "toy.csv"
    arguments = ["search", "toyfaces", "--out", out, "--runs", directory, "--seeds", 1]
    done = run(*arguments)
    assert done.code == 0, done.stderr
    assert asked == [("toyfaces", None, 24, False)]
    written = pd.read_csv(out, dtype={"setting": str})
    assert written["setting"].tolist() == found["setting"].tolist()
    assert written["fits"].tolist() == [1] * 8
    pd.testing.assert_frame_equal(
        pd.read_csv(out.with_name("toy-trials.csv")), trials[trials["seed"] == 0]
    )
    assert "winner trained on" in done.stdout
    wrong = run("search", "utkface", "--out", out)
    assert (wrong.code, wrong.stdout) == (1, "")
    assert wrong.stderr == "emohelpers: no plan for utkface: expected one of toyfaces\n"
    before = out.read_bytes()
    (directory / "settings.json").write_text(json.dumps({}))
    other = run(*arguments)
    assert other.code == 1
    assert other.stderr.startswith("emohelpers: ")
    assert "of a study by another plan" in other.stderr
    assert out.read_bytes() == before


def course():
    names = {"search": ["grid"] * 2 + ["halving"] * 4, "rung": [0, 0, 0, 0, 0, 1]}
    names |= {"images": [3000, 3000, 1000, 1000, 1000, 3000]}
    names |= {"learning_rate": [1, 2, 1, 2, 3, 2], "accuracy": [0.5, 0.4, 0.2, 0.35, 0.3, 0.6]}
    return pd.DataFrame(names)


def line(ax, label):
    (one,) = [one for one in ax.lines if one.get_label() == label]
    return one.get_xdata().tolist(), one.get_ydata().tolist()


def test_a_course_shows_what_was_spent_who_was_dropped_and_who_was_chosen():
    grid, halving = plots.searches(course()).axes
    assert line(grid, "trained") == ([3, 6], [0.5, 0.4])
    assert line(grid, "chosen") == ([3], [0.5])
    assert line(grid, "best so far") == ([3, 6], [0.5, 0.5])
    assert line(halving, "trained") == ([2, 6], [0.35, 0.6])
    assert line(halving, "trained and dropped") == ([1, 3], [0.2, 0.3])
    assert line(halving, "chosen") == ([6], [0.6])
    assert line(halving, "best so far") == ([1, 2, 3, 6], [0.2, 0.35, 0.35, 0.6])
    assert [text.get_text() for text in halving.texts] == ["3 × 1,000", "1 × 3,000"]
    joined = [one for one in halving.lines if list(one.get_xdata()) == [2, 6]]
    assert [list(one.get_ydata()) for one in joined] == [[0.35, 0.6]] * 2


def test_a_course_chooses_in_the_last_rung_even_if_an_earlier_one_was_better():
    table = course()
    table.loc[5, "accuracy"] = 0.1
    halving = plots.searches(table).axes[1]
    assert line(halving, "chosen") == ([6], [0.1])


def test_what_is_no_course_or_no_effect_is_refused():
    for table in (
        course().drop(columns="rung"),
        course().iloc[:0],
        course().assign(seed=range(6)),
        course().assign(search=list("abcdef")),
    ):
        with pytest.raises(ConfigurationError, match="1 to 4 searches and one seed"):
            plots.searches(table)
    trials, correct = grid_trials()
    effects = search.main_effects(trials, correct)
    trials["accuracy"] = np.mean(correct, axis=1)
    for table in (effects.drop(columns="accuracy_low"), effects.iloc[:0]):
        with pytest.raises(ConfigurationError, match="1 to 4 parameters"):
            plots.main_effects(table, trials)
    with pytest.raises(ConfigurationError, match="lies outside its interval"):
        plots.main_effects(effects.assign(accuracy_low=0.99), trials)
    for rows in (
        trials.drop(columns="optimizer"),
        trials[trials["batch_size"] > 8],
        trials.iloc[[*range(11), *range(12, 23)]],
    ):
        with pytest.raises(ConfigurationError, match="expected those of a whole grid"):
            plots.main_effects(effects, rows)


def test_effects_are_drawn_over_each_combination_of_all_else():
    trials, correct = grid_trials()
    effects = search.main_effects(trials, correct)
    trials["accuracy"] = np.mean(correct, axis=1)
    axes = plots.main_effects(effects, trials).axes
    assert [ax.get_title(loc="left") for ax in axes] == ["learning rate", "batch size", "optimizer"]
    for ax, (_, rows) in zip(axes, effects.groupby("parameter", sort=False), strict=True):
        assert [label.get_text() for label in ax.get_xticklabels()] == rows["value"].tolist()
        *thin, mean = ax.lines
        np.testing.assert_allclose(mean.get_ydata(), rows["accuracy"])
        assert len(thin) == 12 // len(rows)
        np.testing.assert_allclose(
            np.mean([one.get_ydata() for one in thin], axis=0), rows["accuracy"], atol=1e-4
        )
    others = trials[(trials["learning_rate"] == 0.1) & (trials["batch_size"] == 32)]
    pair = others.groupby("optimizer")["accuracy"].mean()  # adam, then sgd
    drawn = [list(one.get_ydata()) for one in axes[2].lines]
    assert any(np.allclose(one, pair) for one in drawn)


def test_the_published_tables_are_of_the_plan_and_of_each_other():
    """Recompute what the one says of the other."""
    plan = search.PLANS["fer2013"]
    trials = pd.read_csv(SAVED / "search-fer2013-trials.csv")
    found = pd.read_csv(SAVED / "search-fer2013.csv", dtype={"setting": str})
    seeds = trials["seed"].nunique()
    spent = trials.groupby(["search", "seed"])["images"].sum()
    assert (spent == plan.budget).all()
    assert len(spent) == 2 * seeds
    grid, halving = (trials[trials["search"] == name] for name in ("grid", "halving"))
    assert (grid.groupby(list(plan.grid)).size() == seeds).all()
    assert len(grid) == seeds * plan.points
    counted = halving.groupby(["rung", "images"]).size() // seeds
    assert [(n, images) for (_, images), n in counted.items()] == list(plan.rungs)
    rates = plan.grid["learning_rate"]
    assert halving["learning_rate"].between(min(rates), max(rates)).all()
    names = ["difference", "difference_low", "difference_high"]
    assert (found["accuracy"] - found["accuracy_low"]).min() > 0
    assert (found["accuracy_high"] - found["accuracy"]).min() > 0
    winners = found[found["question"] == "winner as found"].set_index("setting")
    for name, rows in (("grid", grid), ("halving", halving)):
        last = rows[rows["rung"] == rows["rung"].max()]
        best = last.groupby("seed")["accuracy"].max()
        assert winners.loc[name, "accuracy"] == pytest.approx(best.mean(), abs=2e-4)
        seconds = rows["cpu_seconds"].sum() / seeds
        assert winners.loc[name, "cpu_seconds"] == pytest.approx(seconds, abs=0.1)
    trained_on = found[found["question"] == "winner trained on"]
    assert trained_on["part"].tolist() == ["validation"] * 2 + ["test"] * 2
    assert (trained_on["images"] == plan.rungs[-1][1]).all()
    assert (found.loc[found["setting"] == "grid", names] == 0).all(axis=None)
    for name in plan.grid:
        rows = found[found["question"] == name].set_index("setting")["accuracy"]
        means = grid.groupby(grid[name].astype(str))["accuracy"].mean()
        np.testing.assert_allclose(rows, means[rows.index], atol=2e-4)


def test_on_fer2013_no_image_to_be_scored_is_learnt_from(real_data):
    faces = datasets.load("fer2013", real_data("fer2013.csv.xz"))
    rows, labels, split = search.fixed_split(faces)
    assert np.bincount(split.test_fold + 1).tolist() == [28_017, 3_589]
    learned = {row.tobytes() for row in rows[split.test_fold < 0]}
    scored = [row.tobytes() for row in rows[split.test_fold >= 0]]
    tested = [image.tobytes() for image in faces.split("test").images[:]]
    assert not learned & {*scored, *tested}
    np.testing.assert_array_equal(labels[split.test_fold >= 0], faces.split("validation").labels)

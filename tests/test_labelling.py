"""Proposed labels: thresholds, what stays out, the balance over groups."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from emohelpers import datasets, labelling, publishing
from emohelpers._cli_data import app
from emohelpers.datasets import utkface
from emohelpers.errors import ConfigurationError, LabelError

NAMES = ("anger", "happiness", "neutral")


def table_of(counts) -> pd.DataFrame:
    """Make a table of so many files for each race, gender and expression."""
    rows = [
        {"file": f"{race}_{gender}_{word}_{n}.jpg", "expression": word, "race": race, "sex": gender}
        for (race, gender, word), count in counts.items()
        for n in range(count)
    ]
    return pd.DataFrame(rows, columns=["file", "expression", "race", "sex"])


@given(
    counts=st.dictionaries(
        st.tuples(
            st.sampled_from("ABC"), st.sampled_from("mf"), st.sampled_from(["happiness", "neutral"])
        ),
        st.integers(0, 30),
        min_size=12,
        max_size=12,
    ),
    total=st.integers(1, 300),
)
def test_cells_are_as_equal_as_the_data_allows(counts, total):
    table = table_of(counts)
    smallest = {
        cell: min(counts.get((*cell, word), 0) for word in ("happiness", "neutral"))
        for cell in {key[:2] for key in counts}
    }
    filled = [number for number in smallest.values() if number]
    if not filled or 2 * len(filled) > total:
        with pytest.raises(ConfigurationError):
            labelling.balance(table, by=["race", "sex"], total=total)
        return
    chosen = labelling.balance(table, by=["race", "sex"], total=total)
    assert len(chosen) <= total
    assert chosen["file"].is_unique
    assert chosen["file"].isin(table["file"]).all()
    found = chosen.groupby(["race", "sex", "expression"]).size()
    limit = found.max()
    for cell, number in smallest.items():
        for word in ("happiness", "neutral"):
            assert found.get((*cell, word), 0) == min(number, limit)
    # One more for each cell would have been too many, or was not there.
    more = sum(2 * min(number, limit + 1) for number in filled)
    assert more > total or limit == max(filled)


def test_who_is_chosen_depends_on_nothing_but_the_name():
    table = table_of({("A", "m", "happiness"): 20, ("A", "m", "neutral"): 5})
    chosen = labelling.balance(table, by=["race"], total=10)
    shuffled = table.sample(frac=1, random_state=1)
    again = labelling.balance(shuffled, by=["race"], total=10)
    assert chosen["file"].tolist() == again["file"].tolist() == sorted(chosen["file"])


@pytest.mark.parametrize(
    ("counts", "options", "words"),
    [
        ({("A", "m", "happiness"): 3}, {"by": ["race"]}, "no group has images of every class"),
        ({("A", "m", "happiness"): 3}, {"by": ["tone"]}, "a table without tone"),
        ({("A", "m", "happiness"): 3}, {"by": []}, "a table without groups"),
        (
            {("A", "m", "happiness"): 3, ("A", "m", "neutral"): 3},
            {"by": ["race"], "total": 1},
            "total=1: expected at least 2",
        ),
    ],
)
def test_what_can_not_be_balanced_is_refused(counts, options, words):
    with pytest.raises(ConfigurationError, match=words):
        labelling.balance(table_of(counts), **{"total": 10, **options})


@given(
    st.lists(
        st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans()), min_size=10, max_size=60
    ),
    st.sampled_from([0.5, 0.8, 0.95]),
)
def test_the_threshold_is_the_lowest_that_keeps_what_was_asked_for(pairs, precision):
    confidence, right = map(np.array, zip(*pairs, strict=True))
    kept = {limit: right[confidence >= limit] for limit in set(confidence)}
    enough = [
        limit
        for limit, answers in kept.items()
        if len(answers) >= 10 and answers.mean() >= precision
    ]
    if not enough:
        with pytest.raises(ConfigurationError, match=r"neutral: proposals are right in .* at best"):
            labelling.choose_threshold(confidence, right, class_name="neutral", precision=precision)
        return
    found = labelling.choose_threshold(confidence, right, class_name="neutral", precision=precision)
    assert found.confidence == min(enough)
    answers = kept[min(enough)]
    assert (found.n, found.of) == (len(answers), len(pairs))
    # Wilson's interval, from its formula.
    n, share, z = len(answers), answers.mean(), 1.959964
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    assert found.precision == pytest.approx(share)
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half), abs=1e-5)


@pytest.mark.parametrize(
    ("confidence", "right", "precision", "words"),
    [
        ([0.5] * 12, [True] * 11, 0.9, "as many numbers of each"),
        ([float("nan")] * 12, [True] * 12, 0.9, "as many numbers of each"),
        ([0.5] * 12, [True] * 12, 1.5, "precision=1.5"),
        ([0.5] * 9, [True] * 9, 0.9, "proposed for 9 of the images labelled by hand"),
        ([0.5] * 10, [False] * 10, 0.9, "right in 0.000 at best of 10 or more of the 10"),
    ],
)
def test_thresholds_refuse_what_they_can_not_be_chosen_on(confidence, right, precision, words):
    with pytest.raises(ConfigurationError, match=words):
        labelling.choose_threshold(confidence, right, class_name="x", precision=precision)


def drawn(n=90):
    """Draw faces of which every third has a label by hand, and what a network says of them."""
    from dataclasses import replace

    faces = datasets.make_faces(n, seed=2, size=64, emotions=("happiness", "neutral"))
    # Four drawn faces in a row are of one person, and alike; noise is like nothing.
    images = np.random.default_rng(0).integers(0, 200, (n, 64, 64, 1)).astype(np.uint8)
    faces = replace(faces, images=images)
    files = [f"some/{number}.jpg" for number in range(n)]
    words = np.array(faces.class_names, dtype=object)[faces.labels]
    hand = np.arange(n) % 3 == 0
    table = faces.table.assign(file=files, expression=np.where(hand, words, None))
    table["expression"] = table["expression"].astype("str").where(hand)
    labels = np.where(hand, faces.labels, -1)
    shares = np.full((n, 3), 0.05)
    shares[np.arange(n), [NAMES.index(word) for word in words]] = 0.9
    return replace(faces, table=table, labels=labels), shares.astype(np.float32), hand


def test_nothing_labelled_by_hand_and_no_copy_of_it_is_proposed():
    from dataclasses import replace

    faces, shares, hand = drawn()
    images = np.array(faces.images)
    images[1] = np.minimum(images[0].astype(int) + 20, 255)  # a copy of one labelled by hand
    faces = replace(faces, images=images)
    proposals = labelling.propose(
        faces,
        shares,
        NAMES,
        classes=("neutral", "happiness"),
        by_hand=faces.select(hand),
        columns=("gender",),
    )
    assert proposals.copies == 1
    expected = [f"{number}.jpg" for number in range(90) if number % 3 and number != 1]
    assert proposals.table["file"].tolist() == expected
    assert proposals.table["confidence"].to_numpy() == pytest.approx(0.85)
    assert list(proposals.table) == ["file", "expression", "confidence", "gender"]
    assert all(threshold.precision == 1 for threshold in proposals.thresholds)


def test_other_expressions_count_as_wrong_and_missing_groups_stay_out():
    from dataclasses import replace

    faces, shares, hand = drawn()
    labels = faces.labels.copy()
    labels[np.flatnonzero(hand)[:5]] = -1  # looked at, and none of the classes
    table = faces.table.assign(gender=faces.table["gender"].astype(object))
    table.loc[2, "gender"] = None
    faces = replace(faces, labels=labels, table=table)
    proposals = labelling.propose(
        faces,
        shares,
        NAMES,
        classes=("neutral", "happiness"),
        by_hand=faces.select(hand),
        precision=0.5,
        columns=("gender",),
    )
    wrong = sum(round((1 - one.precision) * one.n) for one in proposals.thresholds)
    assert wrong == 5
    assert "2.jpg" not in set(proposals.table["file"])


def test_proposals_refuse_bad_input():
    faces, shares, hand = drawn(90)
    options = {"classes": ("neutral", "happiness"), "by_hand": faces.select(hand)}
    with pytest.raises(ConfigurationError, match="probabilities of shape"):
        labelling.propose(faces, shares[:5], NAMES, **options)
    with pytest.raises(ConfigurationError, match="classes fear, neutral: expected two or more of"):
        labelling.propose(faces, shares, NAMES, **{**options, "classes": ("fear", "neutral")})
    with pytest.raises(LabelError, match="has no image labelled by hand"):
        labelling.propose(faces, shares, NAMES, **{**options, "by_hand": faces.select([])})


def test_the_command_writes_a_list_and_says_what_it_holds(tmp_path, monkeypatch):
    """On drawn faces under UTKFace's names, with a network that tells light pictures from dark."""
    import keras

    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "cache")
    folder, rng = tmp_path / "UTKFace", np.random.default_rng(0)
    folder.mkdir()
    words, hand = {}, []
    for number in range(120):
        light = number % 2
        name = f"30_{number // 2 % 2}_{number // 4 % 2}_2017011600301{number:04d}.jpg.chip.jpg"
        pixels = rng.integers(0, 60, (200, 200, 3)) + 180 * light
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name, quality=95)
        words[name] = "happiness" if light else "neutral"
        if number < 70:
            hand.append(f"{name},{'happy' if light else 'neutral'},1")
    (tmp_path / "hand.csv").write_text("\n".join(["file,expression,agreement", *hand]))
    inputs = keras.Input((48, 48, 1))
    grey = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(grey))
    model.layers[-1].set_weights([np.array([[-1.0, 1.0]]), np.array([125.0, -125.0])])
    recipe = {"name": "light", "dataset": "fer2013", "emotions": ["neutral", "happiness"]}
    publishing.save(model, recipe, directory=tmp_path / "network")
    command = [
        *("label", "utkface", folder, "--labels", tmp_path / "hand.csv"),
        *("--network", f"{tmp_path}/network", "--out", tmp_path / "new" / "list.csv"),
        *("--total", "40"),
    ]
    result = CliRunner().invoke(app, [*map(str, command), "--json"])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    listed = utkface.read_training_list(tmp_path / "new" / "list.csv")
    assert said["images"] == len(listed) == 40
    assert said["proposed"] == 50
    assert {cell["images"] for cell in said["cells"]} == {10}
    assert all(words[name] == emotion for name, emotion in listed.items())
    assert not set(listed.index) & {row.split(",")[0] for row in hand}
    assert [threshold["precision"] for threshold in said["thresholds"]] == [1, 1]
    before = (tmp_path / "new" / "list.csv").read_bytes()
    again = CliRunner().invoke(app, list(map(str, command)))
    assert again.exit_code == 2
    assert "exists: expected a new file, or --force" in again.output
    forced = CliRunner().invoke(app, [*map(str, command), "--force"])
    assert forced.exit_code == 0
    assert "50 further images are proposed so, 0 are left out" in forced.output
    assert (tmp_path / "new" / "list.csv").read_bytes() == before


def test_only_utkface_is_labelled(tmp_path):
    command = ["label", "fer2013", "--labels", str(tmp_path), "--out", str(tmp_path / "x.csv")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert "fer2013: expected utkface" in result.output

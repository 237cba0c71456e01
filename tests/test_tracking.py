"""Faces are told apart and followed, answers smoothed, reactions counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emohelpers.errors import ConfigurationError
from emohelpers.faces import Face
from emohelpers.inference import REACTIONS, Reactions, Tracker


def at(left, top=0, side=50):
    return Face((left, top, side, side), 1.0)


def numbers(tracker, time, faces):
    return tracker.update(time, faces, np.full((len(faces), 2), 0.5))[0]


def test_two_faces_that_come_near_each_other_keep_their_numbers():
    tracker = Tracker(smooth=0)
    for step in range(20):
        near = 60 - 2 * abs(10 - step)  # they approach to 80 pixels of 50 wide, and part again
        faces = [at(near), at(140 - near + 60)]
        order = faces if step % 2 else faces[::-1]  # whichever the detector names first
        given = numbers(tracker, step / 10, order)
        found = dict(zip([face.box for face in order], given, strict=True))
        if step == 0:
            first = [found[face.box] for face in faces]
        assert [found[face.box] for face in faces] == first


def test_the_pairs_are_those_that_overlap_most_together():
    tracker = Tracker(smooth=0, least_overlap=0.1)
    numbers(tracker, 0.0, [at(0), at(40)])
    # The first face now lies nearer to where the second was, and the second is where nobody was.
    assert numbers(tracker, 0.1, [at(25), at(65)]) == [1, 2]


def test_a_face_away_for_less_than_its_patience_is_the_same():
    tracker = Tracker(patience=1.0)
    assert numbers(tracker, 0.0, [at(0)]) == [1]
    assert numbers(tracker, 0.5, []) == []
    assert numbers(tracker, 1.0, [at(3)]) == [1]
    assert numbers(tracker, 2.01, [at(3)]) == [2]


def test_a_face_elsewhere_is_another():
    tracker = Tracker()
    numbers(tracker, 0.0, [at(0)])
    assert numbers(tracker, 0.1, [at(45)]) == [2]


def test_smoothing_forgets_with_its_time_constant_whatever_the_rate_of_frames():
    for rate in (5, 30):
        tracker = Tracker(smooth=0.5)
        tracker.update(0.0, [at(0)], [[1.0, 0.0]])
        for step in range(1, rate + 1):  # for a second the answer is the other
            _, (answer,) = tracker.update(step / rate, [at(0)], [[0.0, 1.0]])
        assert answer[0] == pytest.approx(np.exp(-2))
        assert answer.sum() == pytest.approx(1)


def test_a_label_flickers_less_when_it_is_smoothed():
    rng = np.random.default_rng(0)
    raw = rng.dirichlet([4, 3, 3], size=300)  # the first class, most of the time

    def changes(smooth):
        tracker = Tracker(smooth=smooth)
        labels = [tracker.update(k / 25, [at(0)], [row])[1].argmax() for k, row in enumerate(raw)]
        return int((np.diff(labels) != 0).sum())

    assert changes(0.0) == int((np.diff(raw.argmax(axis=1)) != 0).sum())
    assert changes(0.5) < changes(0.0) / 5


def test_each_face_is_smoothed_with_its_own_past():
    tracker = Tracker(smooth=1.0)
    tracker.update(0.0, [at(0), at(200)], [[1.0, 0.0], [0.0, 1.0]])
    _, answers = tracker.update(0.1, [at(200), at(0)], [[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(answers, [[0.0, 1.0], [1.0, 0.0]])


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(1, 90)), max_size=5
        ),
        max_size=8,
    ),
    st.floats(0, 2),
)
def test_numbers_are_never_given_twice_and_probabilities_stay_such(frames, smooth):
    tracker = Tracker(smooth=smooth)
    highest = 0
    for step, boxes in enumerate(frames):
        faces = [at(*box) for box in boxes]
        raw = np.random.default_rng(step).dirichlet([1, 1, 1], size=len(faces))
        found, answers = tracker.update(step / 10, faces, raw.reshape(-1, 3))
        assert len(set(found)) == len(found) == len(faces)
        new = [number for number in found if number > highest]
        assert sorted(new) == list(range(highest + 1, highest + 1 + len(new)))
        highest += len(new)
        assert (answers >= 0).all()
        np.testing.assert_allclose(answers.sum(axis=1), 1)


@pytest.mark.parametrize("options", [{"smooth": -1}, {"patience": -1}, {"least_overlap": 1.0}])
def test_settings_out_of_range_are_named(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Tracker(**options)


def test_reactions_are_those_of_the_last_minute():
    reactions = Reactions(window=60)
    reactions.add(0, ["anger"])
    reactions.add(30, ["happiness"])
    assert reactions.shares() == {"thumb_up": 0.5, "thumb_side": 0.0, "thumb_down": 0.5}
    reactions.add(60, ["neutral"])  # the anger is a minute ago
    assert reactions.shares() == {"thumb_up": 0.5, "thumb_side": 0.5, "thumb_down": 0.0}


def test_a_frame_counts_once_however_many_faces_it_has():
    reactions = Reactions()
    reactions.add(0, ["happiness"])
    reactions.add(1, ["anger", "sadness", "happiness", "neutral"])
    reactions.add(2, [])
    reactions.add(3, ["something else"])
    assert reactions.shares() == {"thumb_up": 0.625, "thumb_side": 0.125, "thumb_down": 0.25}


def test_without_a_face_there_is_no_reaction():
    assert sum(Reactions().shares().values()) == 0
    with pytest.raises(ConfigurationError, match="window=0"):
        Reactions(window=0)


@given(
    st.lists(st.lists(st.sampled_from([*REACTIONS, "smile"]), max_size=4), max_size=30),
    st.integers(1, 20),
)
def test_shares_are_those_of_the_frames_within_the_window(frames, window):
    reactions = Reactions(window=window)
    for time, emotions in enumerate(frames):
        reactions.add(time, emotions)
    kept = [[REACTIONS[e] for e in emotions if e in REACTIONS] for emotions in frames[-window:]]
    kept = [thumbs for thumbs in kept if thumbs]
    for thumb, share in reactions.shares().items():
        means = [np.mean([one == thumb for one in thumbs]) for thumbs in kept]
        assert share == pytest.approx(np.mean(means) if means else 0.0)

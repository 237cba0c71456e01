"""What is drawn on a photo, looked for in its pixels."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emohelpers import datasets
from emohelpers.datasets import EMOTIONS
from emohelpers.errors import ConfigurationError, ImageError
from emohelpers.inference._annotate import annotate
from emohelpers.inference._emoji import emoji
from emohelpers.plots import EMOTION_COLORS

NAMES = list(EMOTIONS)


def rgb(color):
    return [int(color[start : start + 2], 16) for start in (1, 3, 5)]


def rows_of(boxes, emotion="happiness", *, abstains=False, probability=0.9):
    rest = (1 - probability) / 7
    return pd.DataFrame(
        [
            {"face": number, "left": left, "top": top, "width": width, "height": height}
            | {name: probability if name == emotion else rest for name in NAMES}
            | {"emotion": emotion, "abstains": abstains}
            for number, (left, top, width, height) in enumerate(boxes, 1)
        ]
    )


def scene(boxes, size=(480, 640)):
    """Draw toy faces on a ground of a colour that nothing else has."""
    picture = np.full((*size, 3), (20, 120, 90), np.uint8)
    for number, (left, top, side, _) in enumerate(boxes):
        face = datasets.make_faces(1, size=side, color=True, seed=number)
        picture[top : top + side, left : left + side] = face.images[0]
    return picture


def changed(before, after):
    """Return first row, last row, first column and last column that differ."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return rows.min(), rows.max(), columns.min(), columns.max()


@pytest.mark.parametrize("name", NAMES)
def test_the_border_of_the_box_has_the_emotions_colour(name):
    box = (200, 150, 120, 100)
    drawn = annotate(scene([]), rows_of([box], name), NAMES)
    sides = (drawn[150, 200:320], drawn[249, 200:320], drawn[150:250, 200], drawn[150:250, 319])
    for side in sides:
        assert (side == rgb(EMOTION_COLORS[name])).all()
    # Between black and white it shows on any ground.
    assert (drawn[250, 205:315] == 0).all()
    assert (drawn[160:240] == 255).all(axis=2).any(axis=1).all()


def test_only_what_is_near_a_face_changes():
    box = (200, 150, 120, 120)
    photo = scene([box])
    top, bottom, left, right = changed(photo, annotate(photo, rows_of([box]), NAMES))
    assert 150 - 50 < top < 150 - 15  # the label
    assert 270 <= bottom < 150 + 160
    assert 195 < left <= 200
    assert 320 + 60 < right < 320 + 160  # the bars
    top, bottom, left, right = changed(photo, annotate(photo, rows_of([box]), NAMES, bars=False))
    assert (bottom, left) == (270, 199)
    assert right < 370
    # The middle of the face is left as it was.
    drawn = annotate(photo, rows_of([box]), NAMES)
    np.testing.assert_array_equal(drawn[165:255, 215:305], photo[165:255, 215:305])


def test_the_emoji_of_the_emotion_stands_in_the_label():
    box = (200, 150, 120, 120)
    photo = scene([])
    for name in NAMES:
        found = {}
        label = annotate(photo, rows_of([box], name), NAMES, bars=False)[100:149, 190:240]
        for other in (*NAMES, "unsure"):
            picture = emoji(other, 20)
            opaque = picture[..., 3] == 255
            found[other] = min(
                np.abs(label[y : y + 20, x : x + 20][opaque] - picture[opaque][:, :3].astype(int))
                .mean()
                .item()
                for y in range(29)
                for x in range(30)
            )
        assert min(found, key=found.get) == name
        assert found[name] < 1


def test_one_who_abstains_is_unsure_in_grey_and_says_no_probability():
    box = (200, 150, 120, 120)
    sure = annotate(scene([]), rows_of([box]), NAMES, bars=False)
    unsure = annotate(scene([]), rows_of([box], abstains=True), NAMES, bars=False)
    assert unsure[200, 200].tolist() == [217, 217, 217]
    assert changed(scene([]), unsure)[3] < changed(scene([]), sure)[3]
    grey = emoji("unsure", 20)[16, 10, :3].tolist()
    assert (unsure[100:149] == grey).all(axis=2).any()
    assert not (sure[100:149] == grey).all(axis=2).any()


def length_of_bar(drawn, color):
    """Return how many pixels of a bar's colour stand right of the box, in the longest row."""
    return (np.abs(drawn[:, 330:].astype(int) - color).max(axis=2) < 3).sum(axis=1).max()


def test_the_more_probable_the_longer_the_bar():
    box = (200, 150, 120, 120)
    lengths = [
        length_of_bar(
            annotate(scene([]), rows_of([box], probability=probability), NAMES),
            rgb(EMOTION_COLORS["happiness"]),
        )
        for probability in (0.0, 0.2, 0.5, 0.75, 1.0)
    ]
    assert lengths[0] == 0
    assert lengths == sorted(set(lengths))
    np.testing.assert_allclose(np.array(lengths) / lengths[-1], (0, 0.2, 0.5, 0.75, 1), atol=0.02)
    # What is no probability does not reach beyond its track.
    over = rows_of([box]).assign(happiness=7.0, fear=np.nan, anger=-3.0)
    drawn = annotate(scene([]), over, NAMES)
    assert length_of_bar(drawn, rgb(EMOTION_COLORS["happiness"])) == lengths[-1]


def test_panels_do_not_cover_faces_where_there_is_room():
    boxes = [(20, 60, 150, 150), (230, 30, 110, 110), (420, 90, 160, 160), (120, 290, 140, 140)]
    photo = scene(boxes)
    drawn = annotate(photo, rows_of(boxes), NAMES)
    for left, top, width, height in boxes:
        inner = np.s_[top + 8 : top + height - 8, left + 8 : left + width - 8]
        np.testing.assert_array_equal(drawn[inner], photo[inner])


def test_panels_do_not_cover_each_other():
    # Here the first panel has to make room for the last.
    boxes = [(376, 244, 70, 70), (109, 273, 70, 70), (323, 370, 70, 70)]
    photo = np.zeros((480, 640, 3), np.uint8)
    table = rows_of(boxes).assign(**dict.fromkeys(NAMES, 0.0))
    colors, counts = np.unique(
        annotate(photo, table[:1], NAMES)[244:320, 452:].reshape(-1, 3), axis=0, return_counts=True
    )
    track = colors[np.argsort(counts)[-3]]  # after black and the plate
    seen = [
        (annotate(photo, part, NAMES) == track).all(axis=2).sum() for part in (table[:1], table)
    ]
    assert seen[0] > 1000
    assert seen[1] == 3 * seen[0]


def test_a_face_at_the_right_border_has_its_bars_on_the_left():
    box = (500, 150, 130, 130)
    photo = scene([box])
    left = changed(photo, annotate(photo, rows_of([box]), NAMES))[2]
    assert 340 < left < 400


def test_without_room_above_the_label_lies_within_the_box():
    box = (100, 2, 200, 200)
    photo = scene([box])
    drawn = annotate(photo, rows_of([box]), NAMES, bars=False)
    inside, below = drawn[10:35, 110:200], drawn[204:]
    assert (inside != photo[10:35, 110:200]).any(axis=2).mean() > 0.9
    np.testing.assert_array_equal(below, photo[204:])


def test_a_small_face_has_box_and_emoji_only():
    box = (200, 150, 40, 40)
    photo = scene([box])
    drawn = annotate(photo, rows_of([box]), NAMES)
    top, bottom, left, right = changed(photo, drawn)
    assert (bottom, left, right) == (190, 199, 240)
    assert 120 < top < 140
    # A face of as many pixels is small on a large photo.
    large = np.zeros((3000, 4000, 1), np.uint8)
    drawn = annotate(large, rows_of([(2000, 1500, 100, 100)]), NAMES)
    assert changed(large.repeat(3, axis=2), drawn)[3] == 2099  # its dark rim is not seen on black


def test_sizes_grow_with_the_photo():
    box = np.array([200, 150, 200, 200])
    widths = []
    for factor in (1, 4):
        photo = np.zeros((480 * factor, 640 * factor, 3), np.uint8)
        drawn = annotate(photo, rows_of([box * factor]), NAMES)
        top, _, _, right = changed(photo, drawn)
        widths.append((150 * factor - top, right - 400 * factor))
    ratios = np.array(widths[1]) / widths[0]
    assert ((ratios > 2) & (ratios < 5)).all()


def test_a_photo_of_one_channel_comes_back_in_colour():
    photo = scene([(200, 150, 120, 120)])[..., :1]
    table = rows_of([(200, 150, 120, 120)])
    np.testing.assert_array_equal(
        annotate(photo, table, NAMES), annotate(photo.repeat(3, axis=2), table, NAMES)
    )


def test_without_classes_there_are_no_bars():
    table = rows_of([(200, 150, 120, 120)])
    np.testing.assert_array_equal(
        annotate(scene([]), table.assign(abstains=True), []),
        annotate(scene([]), table.assign(abstains=True), NAMES, bars=False),
    )


def test_no_faces_give_a_copy():
    photo = scene([])
    for table in (rows_of([(0, 0, 60, 60)])[:0], rows_of([(700, 0, 60, 60), (5, -90, 70, 80)])):
        drawn = annotate(photo, table, NAMES)
        np.testing.assert_array_equal(drawn, photo)
        assert not np.shares_memory(drawn, photo)


def test_classes_that_are_no_emotions_have_a_light_box_and_no_emoji():
    table = pd.DataFrame(
        [
            {"face": 1, "left": 200, "top": 150, "width": 120, "height": 120}
            | {"a smile\nof a very long name": 0.7, "": 0.3, "abstains": False}
            | {"emotion": "a smile\nof a very long name"}
        ]
    )
    photo = np.zeros((480, 640, 3), np.uint8)
    drawn = annotate(photo, table, ["a smile\nof a very long name", ""])
    assert drawn[200, 200].tolist() == [217, 217, 217]
    yellow = emoji("neutral", 20)[4, 10, :3]
    assert not (drawn == yellow).all(axis=2).any()
    small = annotate(photo, table.assign(width=30, height=30), table.columns[5:7])
    assert changed(photo, small) == (150, 179, 200, 229)


@pytest.mark.parametrize(
    ("photo", "table", "error", "words"),
    [
        (scene([]), rows_of([(0, 0, 9, 9)]).drop(columns=["fear", "top"]), ConfigurationError,
         r"lacks the columns \['top', 'fear'\]: expected face, left"),
        (scene([]) / 255, rows_of([(0, 0, 9, 9)]), ImageError, "expected uint8"),
    ],
)  # fmt: skip
def test_what_can_not_be_drawn_is_refused_in_words(photo, table, error, words):
    with pytest.raises(error, match=words):
        annotate(photo, table, NAMES)


places = st.integers(-400, 500)
lengths = st.integers(-5, 700)


@settings(max_examples=60, deadline=None)
@given(
    boxes=st.lists(st.tuples(places, places, lengths, lengths), max_size=6),
    size=st.tuples(st.integers(8, 300), st.integers(8, 300)),
    channels=st.sampled_from([1, 3]),
    abstains=st.booleans(),
    bars=st.booleans(),
)
def test_boxes_of_any_kind_are_drawn_as_far_as_they_are_seen(boxes, size, channels, abstains, bars):
    photo = np.full((*size, channels), 77, np.uint8)
    table = rows_of(boxes, "sadness", abstains=abstains)
    if not boxes:
        table = rows_of([(0, 0, 9, 9)])[:0]
    before = table.copy()
    drawn = annotate(photo, table, NAMES, bars=bars)
    assert drawn.shape == (*size, 3)
    assert drawn.dtype == np.uint8
    assert (photo == 77).all()
    pd.testing.assert_frame_equal(table, before)
    seen = [
        left < size[1] and top < size[0] and left + max(wide, 1) > 0 and top + max(high, 1) > 0
        for left, top, wide, high in boxes
    ]
    if not any(seen):
        assert (drawn == 77).all()

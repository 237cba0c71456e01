import base64
import io
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import _pylab_helpers
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from PIL import Image

from emohelpers import plots
from emohelpers.datasets import EMOTIONS
from emohelpers.errors import ConfigurationError
from emohelpers.plots import _style

COUNTS = pd.DataFrame(
    {"train": [30, 10], "test": [4, 2], "total": [34, 12]}, index=["fear", "happiness"]
)
HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2, 3, 4],
        "loss": [1.9, 1.2, 0.6, 0.3],
        "accuracy": [0.2, 0.6, 0.9, 0.95],
        "val_loss": [1.8, 1.4, 1.7, 2.0],
        "val_accuracy": [0.3, 0.5, 0.6, 0.55],
        "learning_rate": 0.001,
        "seconds": 3.0,
    }
)


def interval(value, low, high):
    return {"value": value, "low": low, "high": high}


@pytest.fixture
def faces():
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (40, 12, 10, 1), dtype=np.uint8)


def titles(figure):
    return [ax.get_title(loc="center") for ax in figure.axes]


def tick_names(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def shown(ax):
    return np.asarray(ax.images[0].get_array())


@pytest.fixture(autouse=True)
def _no_traces():
    before = dict(mpl.rcParams)
    yield
    assert not _pylab_helpers.Gcf.get_all_fig_managers()
    assert dict(mpl.rcParams) == before


def test_class_counts_draws_one_bar_for_each_class_and_split():
    ax = plots.class_counts(COUNTS)
    train, test = ax.containers
    assert [bar.get_width() for bar in train] == [30, 10]
    assert [bar.get_width() for bar in test] == [4, 2]
    assert tick_names(ax.yaxis) == ["fear", "happiness"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["train", "test"]
    assert [text.get_text() for text in ax.texts] == ["30", "10", "4", "2"]
    # The bars of one class stand beside each other, not upon each other.
    assert train[0].get_y() + train[0].get_height() <= test[0].get_y()


def test_class_counts_of_one_column_uses_the_colour_of_each_emotion():
    bars = plots.class_counts(COUNTS[["total"]]).patches
    assert [bar.get_width() for bar in bars] == [34, 12]
    assert [to_hex(bar.get_facecolor()).upper() for bar in bars] == [
        plots.EMOTION_COLORS["fear"],
        plots.EMOTION_COLORS["happiness"],
    ]


def test_class_counts_refuses_an_empty_table():
    with pytest.raises(ConfigurationError, match="a row for each class"):
        plots.class_counts(COUNTS.iloc[:0])


# Machado et al. 2009, severity 1: how colours look without one kind of cone.
VISION = {
    "all cones": np.eye(3),
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}


@pytest.mark.parametrize("vision", VISION)
def test_emotions_have_colours_that_all_kinds_of_vision_tell_apart(vision):
    assert tuple(plots.EMOTION_COLORS) == EMOTIONS
    seen = [np.array(VISION[vision]) @ to_rgb(color) for color in plots.EMOTION_COLORS.values()]
    distances = [np.linalg.norm(a - b) for k, a in enumerate(seen) for b in seen[:k]]
    assert min(distances) > 0.19


def test_learning_curves_draw_the_history_and_mark_where_the_validation_loss_turns():
    loss, accuracy = plots.learning_curves(HISTORY).axes
    for ax, metric in ((loss, "loss"), (accuracy, "accuracy")):
        training, validation, turn = ax.lines[:3]
        assert training.get_ydata().tolist() == HISTORY[metric].tolist()
        assert validation.get_ydata().tolist() == HISTORY[f"val_{metric}"].tolist()
        assert validation.get_xdata().tolist() == [1, 2, 3, 4]
        assert list(turn.get_xdata()) == [2, 2]
        assert ax.get_xlabel() == "epoch"
        assert ax.patches[0].get_extents().width > 0
    assert loss.get_title(loc="left") == "validation loss turns at epoch 2"
    assert (accuracy.lines[3].get_xdata()[0], accuracy.lines[3].get_ydata()[0]) == (3, 0.6)
    assert accuracy.get_title(loc="left") == "best validation 60.0%, epoch 3"


def test_learning_curves_say_when_the_validation_loss_never_turns():
    loss = plots.learning_curves(HISTORY.iloc[:2]).axes[0]
    assert loss.get_title(loc="left") == "validation loss falls to the end"
    assert not loss.patches


@pytest.mark.parametrize(
    "history", [HISTORY.drop(columns="val_loss"), HISTORY.iloc[:0]], ids=["column", "epoch"]
)
def test_learning_curves_refuse_a_history_that_lacks_something(history):
    with pytest.raises(ConfigurationError, match="val_loss"):
        plots.learning_curves(history)


def test_confusion_matrix_writes_shares_of_the_row_and_counts():
    counts = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])
    ax = plots.confusion_matrix(counts, ["anger", "fear", "neutral"])
    texts = np.array([text.get_text() for text in ax.texts]).reshape(3, 3)
    assert texts[0].tolist() == ["80%\n8", "20%\n2", "0%\n0"]
    assert texts[1].tolist() == ["25%\n1", "75%\n3", "0%\n0"]
    assert texts[2].tolist() == ["–\n0"] * 3
    weights = np.array([text.get_fontweight() == "bold" for text in ax.texts]).reshape(3, 3)
    assert (weights == np.eye(3, dtype=bool)).all()
    assert tick_names(ax.yaxis) == ["anger (10)", "fear (4)", "neutral (0)"]
    assert tick_names(ax.xaxis) == ["anger", "fear", "neutral"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "label (images)")
    shares = np.ma.filled(ax.collections[0].get_array().astype(float), -1).reshape(3, 3)
    assert shares[:2].tolist() == [[0.8, 0.2, 0], [0.25, 0.75, 0]]
    # Rows run downwards as in the table.
    assert ax.texts[0].get_position()[1] < ax.texts[3].get_position()[1]
    assert ax.yaxis_inverted()


def test_confusion_matrix_can_write_counts_alone():
    ax = plots.confusion_matrix([[1200, 2], [1, 3]], ["fear", "anger"], normalise=False)
    assert [text.get_text() for text in ax.texts] == ["1,200", "2", "1", "3"]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1, 2, 3], [4, 5, 6]], r"\(2, 3\) for 2 classes"),
        ([[1, 2], [-1, 3]], "counts of 0 or more"),
        ([[1, np.nan], [1, 3]], "counts of 0 or more"),
    ],
)
def test_confusion_matrix_refuses_what_is_not_one(matrix, message):
    with pytest.raises(ConfigurationError, match=message):
        plots.confusion_matrix(matrix, ["fear", "anger"])


def test_rater_disagreement_writes_each_rows_shares():
    votes = pd.DataFrame(
        {"votes_fear": [3.0, 0], "votes_anger": [1.0, 0], "votes_not_a_face": [0, 0]},
        index=["fear", "anger"],
    )
    ax = plots.rater_disagreement(votes)
    assert [text.get_text() for text in ax.texts] == ["75%", "25%", "0%", "–", "–", "–"]
    assert tick_names(ax.xaxis) == ["fear", "anger", "not a face"]
    assert tick_names(ax.yaxis) == ["fear", "anger"]
    with pytest.raises(ConfigurationError, match="votes"):
        plots.rater_disagreement(-votes - 1)


def test_intervals_draw_each_value_on_its_interval():
    scores = {
        "fear": {
            "n": 4,
            "recall": interval(0.4, 0.3, 0.6),
            "f1": interval(0.5, 0.5, 0.5),
            "confusion": [],
        },
        "anger": {"n": 9, "recall": interval(0.7, 0.65, 0.8), "f1": interval(0.2, 0.1, 0.25)},
    }
    ax = plots.intervals(scores, metrics=("recall", "f1"))
    recall, f1 = ax.containers
    assert recall.lines[0].get_xdata().tolist() == [0.4, 0.7]
    assert f1.lines[0].get_xdata().tolist() == [0.5, 0.2]
    ends = np.array(recall.lines[2][0].get_segments())[..., 0]
    np.testing.assert_allclose(ends, [[0.3, 0.6], [0.65, 0.8]])
    assert tick_names(ax.yaxis) == ["fear", "anger"]
    assert ax.get_xlabel() == "value, with its 95% interval"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["recall", "F1"]


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({}, "at least one row"),
        ({"fear": {"n": 3}}, "fear: no recall"),
        ({"fear": {"recall": 0.4}}, "fear: no recall"),
        ({"fear": {"recall": interval(0.4, 0.5, 0.6)}}, "outside its interval"),
        ({"fear": {"recall": interval(np.nan, 0.5, 0.6)}}, "outside its interval"),
    ],
)
def test_intervals_refuse_what_has_none(scores, message):
    with pytest.raises(ConfigurationError, match=message):
        plots.intervals(scores, metrics=["recall"])


def test_intervals_leave_out_what_is_undefined():
    scores = {"fear": {"precision": None}, "anger": {"precision": interval(0.7, 0.6, 0.8)}}
    (drawn,) = plots.intervals(scores, metrics=["precision"]).containers
    np.testing.assert_array_equal(drawn.lines[0].get_xdata(), [np.nan, 0.7])
    plots.intervals(scores, metrics=["precision"]).figure._repr_png_()


def test_the_markers_of_0_and_1_are_drawn_whole():
    scores = {"fear": {"recall": interval(0, 0, 0)}, "anger": {"recall": interval(1, 1, 1)}}
    (drawn,) = plots.intervals(scores, metrics=["recall"]).containers
    assert not drawn.lines[0].get_clip_on()


def test_compare_curves_draw_each_training_on_the_same_scale_and_mark_its_best():
    worse = HISTORY.assign(val_accuracy=[0.4, 0.3, 0.2, 0.1])
    figure = plots.compare_curves({"plain": HISTORY, "worse": worse})
    for ax, history in zip(figure.axes, (HISTORY, worse), strict=True):
        training, validation, _ = ax.lines
        assert training.get_ydata().tolist() == history["accuracy"].tolist()
        assert validation.get_ydata().tolist() == history["val_accuracy"].tolist()
        assert validation.get_xdata().tolist() == [1, 2, 3, 4]
    stars = [(*ax.lines[2].get_xdata(), *ax.lines[2].get_ydata()) for ax in figure.axes]
    assert stars == [(3, 0.6), (1, 0.4)]
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["plain", "worse"]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["training", "validation"]


def test_compare_curves_of_losses_mark_the_lowest():
    (ax,) = plots.compare_curves({"plain": HISTORY}, metric="loss").axes
    assert (ax.lines[2].get_xdata()[0], ax.lines[2].get_ydata()[0]) == (2, 1.4)
    assert ax.get_ylabel() == "loss (cross-entropy)"


def test_losses_that_jump_are_drawn_on_a_logarithmic_axis_where_asked():
    jumping = HISTORY.assign(val_loss=[20.0, *HISTORY["val_loss"][1:]])
    figure = plots.compare_curves({"calm": HISTORY, "jumping": jumping}, metric="loss", log=True)
    figure.canvas.draw()
    assert {ax.get_yscale() for ax in figure.axes} == {"log"}
    lowest = min(HISTORY["loss"].min(), HISTORY["val_loss"].min())
    low, high = figure.axes[0].get_ylim()
    assert low < lowest < 20 < high
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert {"1", "2", "10"} <= set(labels)


@pytest.mark.parametrize(
    ("histories", "metric", "message"),
    [
        ({}, "accuracy", "0 trainings: expected 1 to 4"),
        (dict.fromkeys("abcde", HISTORY), "accuracy", "5 trainings: expected 1 to 4"),
        ({"plain": HISTORY}, "f1", "expected 'accuracy' or 'loss'"),
        ({"plain": HISTORY.drop(columns="val_loss")}, "loss", "plain: .* without val_loss"),
        ({"plain": HISTORY.iloc[:0]}, "accuracy", "plain: a history of 0 epochs without a row"),
    ],
)
def test_compare_curves_refuse_what_can_not_be_compared(histories, metric, message):
    with pytest.raises(ConfigurationError, match=message):
        plots.compare_curves(histories, metric=metric)


DIFFERENCES = pd.DataFrame(
    {
        "difference": [-0.02, 0.004, 0.03],
        "difference_low": [-0.035, -0.006, 0.0],
        "difference_high": [-0.01, 0.02, 0.05],
    },
    index=["without mixup", "with noise", "larger"],
)


def test_differences_are_drawn_in_points_and_grey_where_they_may_be_chance():
    ax = plots.differences(DIFFERENCES)
    values = [drawn.lines[0].get_xdata()[0] for drawn in ax.containers]
    ends = [np.array(drawn.lines[2][0].get_segments())[0, :, 0] for drawn in ax.containers]
    np.testing.assert_allclose(values, [-2, 0.4, 3])
    np.testing.assert_allclose(ends, [[-3.5, -1], [-0.6, 2], [0, 5]], atol=1e-9)
    fills = [to_hex(drawn.lines[0].get_markerfacecolor()) for drawn in ax.containers]
    assert fills[0] not in fills[1:]
    assert fills[1:] == ["#ffffff", "#ffffff"]
    assert tick_names(ax.yaxis) == list(DIFFERENCES.index)
    assert ax.yaxis_inverted()
    assert ax.lines[0].get_xdata() == [0, 0]
    assert "difference in accuracy, percentage points" in ax.get_xlabel()
    named = plots.differences(DIFFERENCES, metric="balanced accuracy")
    assert "difference in balanced accuracy" in named.get_xlabel()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (DIFFERENCES.iloc[:0], "0 rows without a row"),
        (DIFFERENCES.drop(columns="difference_low"), "without difference_low"),
        (DIFFERENCES.assign(difference=0.5), "without mixup: 50 points lie outside"),
        (DIFFERENCES.assign(difference_low=np.nan), "outside their interval nan"),
    ],
)
def test_differences_refuse_what_is_no_interval(table, message):
    with pytest.raises(ConfigurationError, match=message):
        plots.differences(table)


def test_image_grid_shows_each_image_in_its_own_range(faces):
    grey = faces[0]
    color = np.repeat(faces[1], 3, axis=-1)
    unit = faces[2, ..., 0] / 255.0
    standardised = (faces[3] - faces[3].mean()) / faces[3].std()
    figure = plots.image_grid(
        [grey, color, unit, standardised],
        titles=["a", "b", "c", "d"],
        columns=3,
        row_names=["first", "second"],
        value_range=[(0, 255), (0, 255), (0, 1), None],
    )
    assert titles(figure) == ["a", "b", "c", "d", "", ""]
    np.testing.assert_allclose(shown(figure.axes[0]), grey[..., 0] / 255, atol=1e-6)
    np.testing.assert_allclose(shown(figure.axes[1]), color / 255, atol=1e-6)
    np.testing.assert_allclose(shown(figure.axes[2]), unit, atol=1e-6)
    stretched = shown(figure.axes[3])
    assert (stretched.min(), stretched.max()) == (0, 1)
    assert stretched.ravel().argsort()[-1] == standardised.ravel().argsort()[-1]
    assert [ax.get_ylabel() for ax in figure.axes] == ["first", "", "", "second", "", ""]
    assert all(ax.images[0].get_clim() == (0, 1) for ax in figure.axes[:4])


def test_image_grid_refuses_what_does_not_fit(faces):
    with pytest.raises(ConfigurationError, match="3 titles for 2 images"):
        plots.image_grid(faces[:2], titles=["a", "b", "c"])
    with pytest.raises(ConfigurationError, match="1 value ranges for 2 images"):
        plots.image_grid(faces[:2], value_range=[(0, 1)])
    with pytest.raises(ConfigurationError, match="2 row names for 1 rows"):
        plots.image_grid(faces[:2], row_names=["a", "b"])
    with pytest.raises(ConfigurationError, match="0 images"):
        plots.image_grid([])
    with pytest.raises(ConfigurationError, match=r"\(4, 4, 2\)"):
        plots.image_grid([np.zeros((4, 4, 2))])


def test_sample_grid_shows_images_of_each_class_in_its_row(faces):
    labels = np.array([0, 1, 2, 1] * 10)
    labels[:4] = -1
    figure = plots.sample_grid(faces, labels, ["fear", "anger", "disgust"], per_class=6, seed=3)
    rows = np.array(figure.axes).reshape(3, 6)
    assert [row[0].get_ylabel() for row in rows] == ["fear\n9", "anger\n18", "disgust\n9"]
    found = {face.tobytes(): label for face, label in zip(faces, labels, strict=True)}
    for k, row in enumerate(rows):
        drawn = [np.rint(shown(ax) * 255).astype(np.uint8).tobytes() for ax in row]
        assert len(set(drawn)) == 6
        assert {found[pixels] for pixels in drawn} == {k}
    again = plots.sample_grid(faces, labels, ["fear", "anger", "disgust"], per_class=6, seed=3)
    other = plots.sample_grid(faces, labels, ["fear", "anger", "disgust"], per_class=6, seed=4)
    assert (shown(again.axes[0]) == shown(figure.axes[0])).all()
    assert any((shown(a) != shown(b)).any() for a, b in zip(other.axes, figure.axes, strict=True))


def test_sample_grid_writes_the_title_of_the_image_it_stands_over(faces):
    names = [f"row {k}" for k in range(40)]
    figure = plots.sample_grid(faces, [0, 1] * 20, ["fear", "anger"], per_class=3, titles=names)
    for ax in figure.axes:
        position = int(ax.get_title(loc="center").removeprefix("row "))
        assert (np.rint(shown(ax) * 255) == faces[position, ..., 0]).all()


def test_sample_grid_leaves_places_of_a_small_class_empty(faces):
    figure = plots.sample_grid(faces[:4], [0, 0, 0, 1], ["fear", "anger", "disgust"])
    assert [len(ax.images) for ax in figure.axes] == [1, 1, 1, 1, 0, 0, 0, 0, 0]
    with pytest.raises(ConfigurationError, match="3 labels for 4 images"):
        plots.sample_grid(faces[:4], [0, 0, 1], ["fear", "anger"])
    with pytest.raises(ConfigurationError, match="nothing to draw"):
        plots.sample_grid(faces[:4], [-1] * 4, ["fear", "anger"])


def test_mean_faces_are_the_means_of_each_class_and_their_difference(faces):
    labels = np.array([0, 1, -1, 1] * 10)
    figure = plots.mean_faces(faces, labels, ["fear", "anger", "disgust"])
    upper, lower = figure.axes[:3], figure.axes[3:6]
    means = [faces[labels == k].astype(float).mean(axis=(0, 3)) for k in (0, 1)]
    overall = (means[0] + means[1]) / 2
    for k in (0, 1):
        np.testing.assert_allclose(shown(upper[k]), means[k] / 255, atol=1e-5)
        np.testing.assert_allclose(shown(lower[k]), means[k] - overall, atol=1e-3)
        low, high = lower[k].images[0].get_clim()
        assert low == -high
    assert not upper[2].images
    assert not lower[2].images
    assert [ax.get_title(loc="center") for ax in upper] == ["fear", "anger", "disgust"]
    with pytest.raises(ConfigurationError, match="no image has a label"):
        plots.mean_faces(faces, np.full(40, -1), ["fear"])


def test_mean_faces_read_a_set_larger_than_a_block(monkeypatch, faces):
    monkeypatch.setattr("emohelpers.plots._means._BLOCK", 7)
    labels = np.arange(40) % 2
    figure = plots.mean_faces(faces, labels, ["fear", "anger"])
    expected = faces[1::2].astype(float).mean(axis=(0, 3)) / 255
    np.testing.assert_allclose(shown(figure.axes[1]), expected, atol=1e-5)


def test_augmentation_strip_draws_the_original_first(faces):
    figure = plots.augmentation_strip(faces[0], faces[1:4].astype(np.float32), columns=4)
    assert titles(figure) == ["original", "1", "2", "3"]
    for position, ax in enumerate(figure.axes):
        np.testing.assert_allclose(shown(ax), faces[position, ..., 0] / 255, atol=1e-6)
    assert [ax.spines["left"].get_visible() for ax in figure.axes] == [True, False, False, False]
    with pytest.raises(ConfigurationError, match="at least one"):
        plots.augmentation_strip(faces[0], faces[:0])
    with pytest.raises(ConfigurationError, match="1 titles for 2 images"):
        plots.augmentation_strip(faces[0], faces[:2], titles=["flip"])


def test_prediction_gallery_tells_right_from_wrong_by_mark_colour_and_frame(faces):
    probabilities = [[0.9, 0.1], [0.75, 0.25]]
    figure = plots.prediction_gallery(faces[:2], [0, 1], probabilities, ["fear", "anger"])
    assert titles(figure) == ["label fear\n✓ fear 90%", "label anger\n✗ fear 75%"]
    right, wrong = figure.axes
    assert right.title.get_color() != wrong.title.get_color()
    assert right.spines["top"].get_linestyle() != wrong.spines["top"].get_linestyle()
    assert right.spines["top"].get_edgecolor() != wrong.spines["top"].get_edgecolor()


def test_prediction_gallery_refuses_lengths_that_differ(faces):
    with pytest.raises(ConfigurationError, match="1 labels for 2 images"):
        plots.prediction_gallery(faces[:2], [0], np.ones((2, 2)) / 2, ["fear", "anger"])
    with pytest.raises(ConfigurationError, match=r"\(2, 3\): expected \(2, 2\)"):
        plots.prediction_gallery(faces[:2], [0, 1], np.ones((2, 3)) / 3, ["fear", "anger"])


def test_charts_draw_into_the_axes_they_are_given():
    ax = Figure().add_subplot()
    assert plots.class_counts(COUNTS, ax=ax) is ax
    assert len(ax.patches) == 4


def test_save_writes_a_slide_sized_png_and_an_svg_with_the_same_bytes_each_time(tmp_path, faces):
    sums = []
    for folder in ("a", "b"):
        figure = plots.sample_grid(faces, np.arange(40) % 3, ["fear", "anger", "disgust"])
        paths = plots.save(figure, "01_samples", directory=tmp_path / folder)
        assert paths == [tmp_path / folder / f"01_samples.{end}" for end in ("png", "svg")]
        assert sorted((tmp_path / folder).iterdir()) == sorted(paths)
        sums.append([sha256(path.read_bytes()).hexdigest() for path in paths])
    assert sums[0] == sums[1]
    with Image.open(paths[0]) as image:
        assert image.width == 1920
        assert image.height <= 1080
    assert b"<svg" in paths[1].read_bytes()


def test_save_takes_axes_and_keeps_the_width_of_foreign_figures(tmp_path):
    ax = plots.class_counts(COUNTS, ax=Figure(figsize=(4, 3)).add_subplot())
    png, _ = plots.save(ax, "counts", directory=tmp_path)
    with Image.open(png) as image:
        assert image.size == (1920, 1440)
    png, _ = plots.save(plots.class_counts(COUNTS), "counts", directory=tmp_path)
    with Image.open(png) as image:
        assert image.size == (1920, 1080)


def by_size(*values):
    return {
        size: {"accuracy": interval(value, value - 0.05, value + 0.1)}
        for size, value in zip((50, 200, 2000), values, strict=False)
    }


def test_size_curves_draw_each_way_on_its_intervals_over_a_logarithmic_axis():
    ways = {"frozen": by_size(0.4, 0.5, 0.55), "from scratch": by_size(0.2, 0.3)}
    ax = plots.size_curves(ways, marks={"chance": 0.14})
    assert ax.get_xscale() == "log"
    assert tick_names(ax.xaxis) == ["50", "200", "2,000"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(ways)
    for container, values, sizes in zip(
        ax.containers, ([0.4, 0.5, 0.55], [0.2, 0.3]), ([50, 200, 2000], [50, 200]), strict=True
    ):
        line, _, (bars,) = container
        np.testing.assert_allclose(line.get_ydata(), values)
        np.testing.assert_allclose(line.get_xdata(), sizes, rtol=0.05)
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        np.testing.assert_allclose(ends, [[value - 0.05, value + 0.1] for value in values])
    # At the same number of images the intervals stand beside each other.
    assert ax.containers[0][0].get_xdata()[0] != ax.containers[1][0].get_xdata()[0]
    assert [text.get_text() for text in ax.texts] == ["chance"]
    assert ax.lines[-1].get_ydata() == [0.14, 0.14]


def test_size_curves_take_sizes_in_any_order_and_another_metric():
    backwards = dict(reversed(by_size(0.4, 0.5, 0.55).items()))
    ax = plots.size_curves({"frozen": backwards})
    assert ax.lines[0].get_ydata().tolist() == [0.4, 0.5, 0.55]
    ax = plots.size_curves(
        {"frozen": {9: {"macro_f1": interval(0.3, 0.2, 0.4)}}}, metric="macro_f1"
    )
    assert ax.get_ylabel().startswith("macro F1")


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ({}, "0 ways: expected 1 to 6"),
        ({str(k): by_size(0.5) for k in range(7)}, "7 ways"),
        ({"a": {}}, "numbers of images"),
        ({"a": by_size(0.5), "b": {}}, "b: no number of images"),
        ({"a": {0: by_size(0.5)[50]}}, "each above 0"),
        ({"a": {1500: {"recall": 0.5}}}, "a, 1,500 images: no accuracy"),
        ({"a": {50: {"accuracy": interval(0.5, 0.6, 0.7)}}}, "lies outside its interval"),
    ],
)
def test_size_curves_refuse_what_they_can_not_draw(scores, said):
    with pytest.raises(ConfigurationError, match=said):
        plots.size_curves(scores)


def test_nothing_that_is_drawn_is_cut_off_at_the_edge(tmp_path, faces):
    scores = {name: {"f1": interval(0.5, 0.1, 1.0)} for name in EMOTIONS}
    drawn = [
        plots.class_counts(COUNTS * 1000).figure,
        plots.learning_curves(HISTORY),
        plots.compare_curves({"one name": HISTORY, "another name": HISTORY}),
        plots.differences(DIFFERENCES).figure,
        plots.confusion_matrix(np.full((8, 8), 1234), EMOTIONS).figure,
        plots.rater_disagreement(pd.DataFrame(np.eye(8), EMOTIONS, EMOTIONS)).figure,
        plots.intervals(scores, metrics=["f1"]).figure,
        plots.size_curves({f"one way, {k}": by_size(0.9, 0.9, 0.9) for k in range(6)}).figure,
        plots.mean_faces(faces, np.arange(40) % 8, EMOTIONS),
        plots.prediction_gallery(faces[:18], np.zeros(18, int), np.full((18, 8), 1 / 8), EMOTIONS),
    ]
    for figure in drawn:
        png, _ = plots.save(figure, "edge", directory=tmp_path)
        with Image.open(png) as image:
            pixels = np.asarray(image.convert("L"))
        border = np.concatenate([pixels[[0, -1]].ravel(), pixels[:, [0, -1]].ravel()])
        assert (border == 255).all()


def test_a_failed_save_leaves_nothing_and_keeps_what_was_there(tmp_path, monkeypatch):
    figure = plots.class_counts(COUNTS).figure
    png, svg = plots.save(figure, "counts", directory=tmp_path)
    before = png.read_bytes()

    def broken(path, content):
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", broken)
    with pytest.raises(OSError, match="disk full"):
        plots.save(figure, "counts", directory=tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([png, svg])
    assert png.read_bytes() == before


def test_a_png_has_a_palette_where_nobody_can_see_it():
    def compacted(pixels):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return Image.open(io.BytesIO(_style.compact_png(buffer.getvalue())))

    chart = np.full((200, 300, 3), 255, np.uint8)
    chart[50:150, 40:90] = (213, 94, 0)
    chart[60:160, 100:140] = np.linspace(0, 255, 40, dtype=np.uint8)[:, None]
    assert compacted(chart).mode == "P"
    np.testing.assert_array_equal(compacted(chart).convert("RGB"), chart)
    photo = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    assert compacted(photo).mode == "RGB"
    np.testing.assert_array_equal(compacted(photo), photo)
    smooth = np.stack(np.broadcast_arrays(*np.ogrid[0:90, 0:90], 80), axis=2).astype(np.uint8)
    moved = np.asarray(compacted(smooth).convert("RGB")).astype(int) - smooth
    assert np.abs(moved).max() <= 12
    half = np.dstack([chart, np.full(chart.shape[:2], 0, np.uint8)])
    assert (np.asarray(compacted(half).convert("RGB")) == 255).all()


def test_pictures_in_an_svg_are_made_small_where_they_are_opaque():
    rng = np.random.default_rng(0)
    face = rng.integers(0, 256, (40, 30), dtype=np.uint8)
    figure = plots.SlideFigure()
    left, right = figure.subplots(1, 2)
    left.imshow(face, cmap="gray", vmin=0, vmax=255, interpolation="none")
    right.imshow(np.dstack([face] * 4), interpolation="none")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    written = buffer.getvalue()
    small = _style.compact_svg(written)
    pattern = rb"data:image/png;base64,([^\"]*)"
    assert re.sub(pattern, b"", small) == re.sub(pattern, b"", written)
    (opaque, clear), (small_opaque, small_clear) = (
        [base64.b64decode(found) for found in re.findall(pattern, svg)] for svg in (written, small)
    )
    assert small_clear == clear
    assert len(small_opaque) < len(opaque) / 2
    before, after = (Image.open(io.BytesIO(png)) for png in (opaque, small_opaque))
    assert after.mode == "L"
    np.testing.assert_array_equal(after.convert("RGBA"), before)


@pytest.mark.parametrize("name", ["", "../up", "a/b", "fig.png", "Counts", "a b", ".hidden"])
def test_save_refuses_names_that_are_more_than_a_name(tmp_path, name):
    with pytest.raises(ConfigurationError, match="figure name"):
        plots.save(plots.SlideFigure(), name, directory=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_figure_shows_itself_in_a_notebook_in_the_house_style():
    png = plots.class_counts(COUNTS).figure._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert len(png) < 60_000


def test_plots_neither_load_pyplot_nor_choose_a_backend():
    code = (
        "import sys, matplotlib as m; before = m.rcParams._get('backend')\n"
        "import pandas as pd; from emohelpers import plots\n"
        "plots.class_counts(pd.DataFrame({'total': [1]}, index=['fear'])).figure._repr_png_()\n"
        "assert m.rcParams._get('backend') == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""The figure of groups shows the numbers of its table, and marks what is unreliable."""

import numpy as np
import pandas as pd
import pytest

from emohelpers import plots
from emohelpers.errors import ConfigurationError

TABLE = pd.DataFrame(
    {
        "feature": ["all", "race", "race", "age_group", "age_group"],
        "group": ["all", "Asian", "Black", "adult", "elderly"],
        "n": [1200, 900, 300, 1188, 12],
        "reliable": [True, True, True, True, False],
        "accuracy_low": [0.93, 0.94, 0.85, 0.93, 0.45],
        "accuracy": [0.95, 0.96, 0.90, 0.95, 0.75],
        "accuracy_high": [0.97, 0.98, 0.94, 0.97, 0.92],
    }
)


def drawn(ax):
    """Values, places and fill of all dots on intervals."""
    return [
        (*point, bar.lines[0].get_markerfacecolor())
        for bar in ax.containers
        for point in zip(*bar.lines[0].get_data(), strict=True)
    ]


def test_each_group_stands_in_its_row_and_unreliable_ones_are_hollow():
    ax = plots.groups(TABLE)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["race", "Asian", "Black", "age group", "adult", "elderly"]
    rows = {names[list(ax.get_yticks()).index(y)]: (x, fill) for x, y, fill in drawn(ax)}
    for _, row in TABLE[1:].iterrows():
        value, fill = rows[row["group"]]
        assert value == row["accuracy"]
        assert (fill == "white") == (not row["reliable"])
    words = [text.get_text() for text in ax.texts]
    assert words == ["images", "900", "300", "1,188", "12"]
    assert [label.get_fontweight() for label in ax.get_yticklabels()][::3] == ["bold", "bold"]


def test_the_line_is_the_figure_of_all_images_and_labels_say_what_is_drawn():
    ax = plots.groups(TABLE)
    line = next(line for line in ax.lines if line.get_label().startswith("all images"))
    assert line.get_xdata() == [0.95, 0.95]
    assert line.get_label() == "all images, 0.950"
    assert ax.get_xlabel() == "accuracy, with its 95% interval"
    assert ax.get_title(loc="left") == "accuracy by group"


def test_an_interval_that_leaves_the_axis_ends_in_an_arrow():
    ax = plots.groups(TABLE)
    left = ax.get_xlim()[0]
    assert 0.6 < left < 0.75
    (arrows,) = [line for line in ax.lines if line.get_marker() == "<" and len(line.get_xdata())]
    assert arrows.get_xdata().tolist() == [left]


def test_other_figures_are_marked_where_they_are_known():
    ax = plots.groups(TABLE, marks={"theirs": {("race", "Black"): 0.9, ("race", "Indian"): 0.5}})
    (marks,) = [line for line in ax.lines if line.get_label() == "theirs"]
    assert marks.get_xdata().tolist() == [0.9]


@pytest.mark.parametrize(
    ("table", "options", "words"),
    [
        (TABLE.drop(columns="n"), {}, "a table without n"),
        (TABLE, {"metric": "macro_f1"}, "without macro_f1_low"),
        (TABLE[:1], {}, "0 groups"),
        (pd.concat([TABLE] * 12), {}, "draw the features apart"),
        (TABLE.assign(accuracy_high=0.5), {}, "lies outside its interval"),
        (TABLE, {"marks": {"a": {}, "b": {}}}, "expected one"),
    ],
)
def test_bad_input_is_named(table, options, words):
    with pytest.raises(ConfigurationError, match=words):
        plots.groups(table, **options)


def test_many_groups_and_undefined_figures_are_drawn():
    table = pd.DataFrame(
        {"feature": "race+age_group", "group": [f"group {k}" for k in range(30)], "n": 40}
    )
    table["reliable"] = True
    table[["accuracy_low", "accuracy", "accuracy_high"]] = [0.8, 0.9, 0.95]
    table.loc[3, ["accuracy_low", "accuracy", "accuracy_high"]] = np.nan
    ax = plots.groups(table)
    assert ax.figure._repr_png_()[:4] == b"\x89PNG"

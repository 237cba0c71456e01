"""Emoji: two renderers of one table, and told apart without colour."""

import itertools
import re
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from emohelpers.datasets import EMOTIONS
from emohelpers.errors import ConfigurationError
from emohelpers.inference._emoji import EMOJI, emoji, emoji_svg

SVG = "{http://www.w3.org/2000/svg}"


def on(picture, ground):
    """Lay an emoji over an even ground, 0..255."""
    alpha = picture[..., 3:] / 255
    return picture[..., :3] * alpha + ground * (1 - alpha)


def drawn_by_matplotlib(svg, size):
    """Draw the paths of an SVG on white, by nothing but what its text says."""
    figure = Figure(figsize=(1, 1), dpi=size)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 100), ylim=(100, 0))
    axes.axis("off")
    codes = {"M": Path.MOVETO, "L": Path.LINETO, "Q": Path.CURVE3, "C": Path.CURVE4}
    for element in ET.fromstring(svg).iter(SVG + "path"):
        points, kinds = [], []
        for command, numbers in re.findall(r"([MLQCZ])([^MLQCZ]*)", element.get("d")):
            if command == "Z":
                points.append(points[0])
                kinds.append(Path.CLOSEPOLY)
            else:
                pairs = np.array(numbers.split(), float).reshape(-1, 2)
                points += pairs.tolist()
                kinds += [codes[command]] * len(pairs)
        axes.add_patch(
            PathPatch(
                Path(points, kinds),
                facecolor=element.get("fill"),
                edgecolor=element.get("stroke", "none"),
                linewidth=float(element.get("stroke-width", 0)) * 72 / 100,
                capstyle=element.get("stroke-linecap", "butt"),
                snap=False,
                joinstyle=element.get("stroke-linejoin", "miter"),
            )
        )
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(float)


def test_there_is_one_for_each_emotion_for_doubt_and_for_reactions():
    assert (*EMOTIONS, "unsure", "thumb_up", "thumb_side", "thumb_down") == EMOJI


@pytest.mark.parametrize("name", EMOJI)
def test_corners_are_clear_and_the_middle_is_opaque(name):
    for size in (24, 65, 200):
        picture = emoji(name, size)
        assert picture.shape == (size, size, 4)
        assert picture.dtype == np.uint8
        assert not picture[[0, 0, -1, -1], [0, -1, 0, -1], 3].any()
        assert picture[size // 2, size // 2, 3] == 255
        assert (picture[..., 3] == 255).mean() > 0.3


@pytest.mark.parametrize("name", EMOJI)
def test_pixels_agree_with_the_svg_as_matplotlib_draws_it(name):
    size = 96
    ours, theirs = on(emoji(name, size), 255), drawn_by_matplotlib(emoji_svg(name), size)
    assert np.abs(ours - theirs).mean() < 1.5
    # Smooth edges differ a little; nothing larger than an edge does.
    blurred = cv2.blur(ours - theirs, (5, 5))
    assert np.abs(blurred).max() < 15


@pytest.mark.parametrize("ground", [0, 255])
def test_at_24_pixels_they_are_told_apart_in_grey(ground):
    greys = {}
    for name in EMOJI:
        grey = on(emoji(name, 24), ground) @ (0.299, 0.587, 0.114)
        # Light and contrast are taken out: only where features are may tell them apart.
        inner = grey[4:-4, 4:-4]
        greys[name] = (inner - inner.mean()) / inner.std()
    for one, other in itertools.combinations(EMOJI, 2):
        # Of two unlike pictures it is 2, of two equal ones 0.
        assert ((greys[one] - greys[other]) ** 2).mean() > 0.5, (one, other)
        color = np.abs(on(emoji(one, 24), ground) - on(emoji(other, 24), ground)).mean()
        assert color > 10, (one, other)


def test_the_edge_has_the_colour_of_the_rim_and_no_dark_fringe():
    picture = emoji("neutral", 40).astype(int)
    edge = (picture[..., 3] > 8) & (picture[..., 3] < 248)
    assert edge.sum() > 40
    assert np.abs(picture[edge][:, :3] - (0xE3, 0x9C, 0x12)).max() < 20
    assert not picture[picture[..., 3] == 0].any()


def test_thumbs_are_one_hand_turned():
    up = on(emoji("thumb_up", 100), 255)
    assert np.abs(up[::-1] - on(emoji("thumb_down", 100), 255)).mean() < 1
    assert np.abs(np.rot90(up, 2).swapaxes(0, 1) - on(emoji("thumb_side", 100), 255)).mean() < 1


def test_contempt_alone_is_one_sided():
    for name in EMOTIONS:
        grey = on(emoji(name, 48), 255).mean(axis=2)[8:26, 8:-8]  # brows and eyes
        uneven = np.abs(grey - grey[:, ::-1]).mean()
        assert (uneven > 25) == (name == "contempt"), (name, uneven)


@pytest.mark.parametrize("name", EMOJI)
def test_svg_holds_paths_and_a_title_only(name):
    text = emoji_svg(name)
    root = ET.fromstring(text)
    assert root.attrib == {"viewBox": "0 0 100 100", "role": "img"}
    assert [element.tag for element in root][:1] == [SVG + "title"]
    assert root[0].text == name.replace("_", " ")
    allowed = {"d", "fill", "stroke", "stroke-width", "stroke-linecap", "stroke-linejoin"}
    for element in root[1:]:
        assert element.tag == SVG + "path"
        assert set(element.attrib) <= allowed
        assert re.fullmatch(r"M[-\d. ]+([LQC][-\d. ]+)+Z?", element.get("d"))
        for paint in (element.get("fill"), element.get("stroke", "none")):
            assert re.fullmatch(r"none|#[0-9A-F]{6}", paint)
    assert not re.search(r"style|script|href|url|<!|\bon\w+=", text)


def test_a_picture_is_kept_and_can_not_be_changed():
    assert emoji("fear", 30) is emoji("fear", 30)
    with pytest.raises(ValueError, match="read-only"):
        emoji("fear", 30)[0, 0] = 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: emoji("joy"), "no emoji 'joy': expected one of anger, disgust, .*thumb_down"),
        (lambda: emoji_svg("../etc"), "expected one of anger"),
        (lambda: emoji("fear", 7), "size=7: expected 8..1024"),
        (lambda: emoji("fear", 1025), "size=1025: expected 8..1024"),
    ],
)
def test_what_is_not_there_is_refused_in_words(call, words):
    with pytest.raises(ConfigurationError, match=words):
        call()

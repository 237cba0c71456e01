"""A picture from Colab's browser, with a stand-in for what Colab brings."""

import base64
import sys
from types import ModuleType

import pytest

from emohelpers._colab import take_photo
from emohelpers.errors import ConfigurationError

JPEG = b"\xff\xd8\xff picture"


@pytest.fixture
def browser(monkeypatch):
    """Make the browser answer what is said, or fail with what is said."""

    def answer(said):
        output = ModuleType("google.colab.output")

        def eval_js(script):
            assert "getUserMedia" in script
            if isinstance(said, Exception):
                raise said
            return said

        output.eval_js = eval_js
        for name, module in (
            ("google", ModuleType("google")),
            ("google.colab", ModuleType("google.colab")),
            ("google.colab.output", output),
        ):
            monkeypatch.setitem(sys.modules, name, module)

    return answer


def test_the_browsers_picture_is_a_jpeg(browser):
    browser("data:image/jpeg;base64," + base64.b64encode(JPEG).decode())
    assert take_photo() == JPEG


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (RuntimeError("NotAllowedError: denied"), "gave no picture: NotAllowedError: denied"),
        (None, "answered 'None': expected a JPEG"),
        ("data:text/html;base64,AAAA", "expected a JPEG"),
        ("data:image/jpeg;base64,*", "is damaged"),
    ],
)
def test_what_is_no_picture_is_named(browser, said, words):
    browser(said)
    with pytest.raises(ConfigurationError, match=words):
        take_photo()


def test_elsewhere_another_way_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab.output", None)
    with pytest.raises(ConfigurationError, match=r"no Google Colab: .*emohelpers serve"):
        take_photo()

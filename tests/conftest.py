"""Fixtures that several test modules share."""

import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings

from emohelpers import cli

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# How long an example takes says nothing about right and wrong, and machines differ.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def seed_everything() -> None:
    """Give whatever is drawn without a seed of its own the same numbers in every run."""
    random.seed(0)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup() -> None:
    """Seed each fixture, of whatever scope, so that the order of tests does not matter."""
    seed_everything()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Seed each test."""
    seed_everything()


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return the path of a real data file that lies beside the project, or skip the test."""

    def find(name: str) -> Path:
        path = REAL_DATA / name
        if not path.exists():
            pytest.skip(f"the real data set {name} does not lie beside the project")
        return path

    return find


@pytest.fixture
def run(monkeypatch, capsys):
    """Call the command as the shell does; return its exit status and what it printed where."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["emohelpers", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        code = caught.value.code or 0
        return SimpleNamespace(code=code, stdout=printed.out, stderr=printed.err)

    return call

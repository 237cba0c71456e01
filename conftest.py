"""Options and environment under which pytest runs the notebooks (``pytest --nbval notebooks``)."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    """Give the notebooks' kernels what the run that stored the outputs had."""
    if not config.option.nbval:
        return
    # Importing it loads nbconvert, for which the other tests need not wait.
    from tools.run_notebooks import PARAMETERS, PERSONAL, REPEATABLE

    config.option.nbval_current_env = True
    config.option.nbval_sanitize_with = str(ROOT / "tests" / "nbval_sanitize.cfg")
    # A busy machine needs a multiple of the time; what hangs is stopped all the same.
    config.option.nbval_cell_timeout = 300
    config.option.nbval_kernel_startup_timeout = 180
    for name in (*PARAMETERS, *PERSONAL):
        os.environ.pop(name, None)
    # A variable that the caller has set wins: that is how other thread counts are tried.
    for name, value in REPEATABLE.items():
        os.environ.setdefault(name, value)
    os.environ["EMO_FIGURES"] = str(ROOT / "build" / "test" / "figures")

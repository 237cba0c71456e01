"""What C++ libraries write to standard error is kept from the user, unless something fails."""

import os
import subprocess

import pytest

from emohelpers._quiet import quiet_libraries


def test_what_is_written_past_python_is_dropped(capfd):
    with quiet_libraries():
        os.write(2, b"noise")
        subprocess.run(["sh", "-c", "echo noise >&2"], check=True)
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_what_came_before_a_failure_is_shown(capfd):
    def fail():
        os.write(2, b"the reason")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"), quiet_libraries():
        fail()
    assert capfd.readouterr().err == "the reason"

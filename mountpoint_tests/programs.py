"""The programs of this machine that tests run: where they are, or why a test cannot run them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

__all__ = ["FEW_PLUGINS", "SEARCH", "program"]

_BIN = Path(sys.executable).parent

# An ordinary user's PATH on Debian leaves out where irqbalance is.  A tool written in Python
# takes the system's Python, not the one of the tests, which lacks its modules.
SEARCH = ":".join(
    (
        *(each for each in os.environ["PATH"].split(":") if Path(each) != _BIN),
        *("/usr/local/sbin", "/usr/sbin", "/sbin"),
    )
)

# For a pytest that a test starts: without the plugins of whatever else is installed, whose
# imports are three quarters of its start.  That pytest finds fakeproc's by itself is seen in the
# fresh environment of `plugin/test_example_project.py`, and by these tests themselves.
FEW_PLUGINS = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_PLUGINS": "fakeproc.pytest_plugin,xdist.plugin",
}

# What scripts/setup could not install here, as this distribution has no package of it.
_LACKS = Path(sys.prefix) / "fakeproc-lacks"


def program(name: str) -> str:
    """The path of a program; without it the test fails, or is skipped where it cannot be had."""
    found = shutil.which(name, path=SEARCH)
    if found is None and _LACKS.exists() and name in _LACKS.read_text().split():
        pytest.skip(f"this distribution has no package of {name}")
    if found is None:
        pytest.fail(f"the program {name} is missing: scripts/setup --for test installs it")
    return found

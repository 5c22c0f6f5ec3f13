"""Guests to test against: machines in this process, with a clock that stands still."""

from __future__ import annotations

import pytest

from fakeproc.machine import Machine

from .guests import captured_guest, default_guest


@pytest.fixture
def machine() -> Machine:
    """The guest of the cover letter, to do with as one likes."""
    return default_guest()


@pytest.fixture(scope="module")
def untouched() -> Machine:
    """The guest of the cover letter, for tests that only look at it."""
    return default_guest()


@pytest.fixture
def captured() -> Machine:
    """The guest of most captures: 8 CPUs, no monitor pages, nothing counted."""
    return captured_guest("boot-8cpu")

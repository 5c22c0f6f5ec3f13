"""The view of a guest in this process, whose clock stands still."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import fakeproc
from fakeproc.view.app import Top
from fakeproc.view.sources import GuestSource


@pytest.fixture
def view() -> Callable[..., tuple[Top, fakeproc.Machine]]:
    """A view, and the machine that it looks at."""

    def make(profile: str = "hyperv-gen2", **options: object) -> tuple[Top, fakeproc.Machine]:
        machine = fakeproc.Machine(profile, **options)
        machine.traffic("all", 0)
        machine.traffic("netvsc", 300)
        machine.traffic("timer", 100)
        return Top(GuestSource(machine), interval_s=3600), machine

    return make

"""What the view draws: on 8, 64 and 2,048 CPUs, narrow and wide."""

from __future__ import annotations

import pytest

import fakeproc
from fakeproc.view.app import Top
from fakeproc.view.sources import GuestSource


@pytest.mark.parametrize("size", [(80, 24), (160, 48)], ids=["narrow", "wide"])
@pytest.mark.parametrize("profile", ["hyperv-gen2", "azure-d64", "hyperv-max"])
def test_a_guest_under_traffic(snap_compare, view, profile: str, size: tuple[int, int]) -> None:
    top, _ = view(profile)
    assert snap_compare(top, press=["t", "down", "down"], terminal_size=size)


def test_an_offline_cpu(snap_compare) -> None:
    machine = fakeproc.Machine()
    machine.write("/proc/irq/40/smp_affinity_list", "0\n")
    machine.set_online(7, False)
    top = Top(GuestSource(machine), interval_s=3600)
    assert snap_compare(top, press=["down", "right"], terminal_size=(100, 30))

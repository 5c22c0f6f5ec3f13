"""stress-ng's stressors of /proc, /sys and CPU hotplug: the guest is still well afterwards."""

from __future__ import annotations

import os

import pytest

from .views import state, targets


@pytest.fixture
def quiet_guest(mount_guest):
    """All channels on CPU 0, so that the other CPUs can go."""
    guest = mount_guest()
    for irq in targets(guest):
        (guest.proc / f"irq/{irq}/smp_affinity_list").write_text("0")
    return guest


@pytest.mark.parametrize("stressor", ["procfs", "sysfs"])
def test_against_stress_ng(mount_guest, inside, stressor) -> None:
    guest = mount_guest()
    before = targets(guest)
    inside(guest, "stress-ng", f"--{stressor}", "2", "--timeout", "2", "--verify", "--quiet")
    assert targets(guest) == before
    assert state(guest)["cpus"]["online"] == list(range(8))


def test_against_stress_ng_cpu_online(quiet_guest, inside) -> None:
    if os.geteuid() != 0:
        pytest.skip("stress-ng switches CPUs off only as root")
    real = open("/sys/devices/system/cpu/online").read()
    # It calls pathological what may hang a machine; this one is emulated.
    options = ("--cpu-online", "2", "--cpu-online-all", "--pathological")
    inside(quiet_guest, "stress-ng", *options, "--timeout", "2", "--verify", "--quiet")
    log = (quiet_guest.host / "log").read_text()
    assert all(f"CPU {cpu} is now offline" in log for cpu in range(1, 8))
    assert state(quiet_guest)["cpus"]["online"] == list(range(8))
    assert all(target.agrees for target in targets(quiet_guest).values())
    assert open("/sys/devices/system/cpu/online").read() == real

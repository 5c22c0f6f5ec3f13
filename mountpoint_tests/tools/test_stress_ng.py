"""stress-ng's stressors of /proc, /sys and CPU hotplug: the guest is still well afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from .views import state, targets

REAL_CPUS = Path("/sys/devices/system/cpu/online")


@pytest.fixture
def quiet_guest(mount_guest):
    """All channels on CPU 0, so that the other CPUs can go."""
    guest = mount_guest()
    for irq in targets(guest):
        (guest.proc / f"irq/{irq}/smp_affinity_list").write_text("0")
    return guest


@pytest.mark.parametrize("stressor", ["procfs", "sysfs"])
def test_against_stress_ng(mount_guest, inside, tmp_path, stressor) -> None:
    guest = mount_guest()
    before = targets(guest)
    options = (f"--{stressor}", "2", "--timeout", "1", "--verify", "--quiet")
    inside(guest, "stress-ng", *options, "--temp-path", tmp_path)
    assert targets(guest) == before
    assert state(guest)["cpus"]["online"] == list(range(8))


@pytest.mark.usefixtures("_as_root")  # as somebody else stress-ng does not try
def test_against_stress_ng_cpu_online(quiet_guest, inside, tmp_path) -> None:
    real = REAL_CPUS.read_text()
    # It calls pathological what may hang a machine; this one is emulated.
    options = ("--cpu-online", "2", "--cpu-online-all", "--pathological")
    inside(
        quiet_guest,
        "stress-ng",
        *options,
        "--timeout",
        "2",
        "--verify",
        "--quiet",
        "--temp-path",
        tmp_path,
    )
    log = (quiet_guest.host / "log").read_text()
    assert all(f"CPU {cpu} is now offline" in log for cpu in range(1, 8))
    assert state(quiet_guest)["cpus"]["online"] == list(range(8))
    assert all(target.agrees for target in targets(quiet_guest).values())
    assert REAL_CPUS.read_text() == real

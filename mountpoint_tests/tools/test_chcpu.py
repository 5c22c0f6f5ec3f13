"""chcpu in a guest whose /sys is mounted over the computer's own: refused, then let."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

CPUS = "devices/system/cpu"


@pytest.fixture
def chcpu(window) -> Callable[..., tuple[bool, str]]:
    """Whether it is content, and what it says."""

    def run(guest, *options: str) -> tuple[bool, str]:
        done = window(guest, "chcpu", *options)
        return done.returncode == 0, done.stdout + done.stderr

    return run


@pytest.fixture
def still(mount_guest):
    return mount_guest("--clock", "manual")


def evacuate(guest, cpus: set[int]) -> None:
    for irq in range(24, 45):
        directory = guest.proc / "irq" / str(irq)
        if int((directory / "effective_affinity_list").read_text()) in cpus:
            (directory / "smp_affinity_list").write_text("0")


def online(guest) -> str:
    return (guest.sys / CPUS / "online").read_text()


@pytest.mark.parametrize("way", ["smp_affinity", "smp_affinity_list", "cpu"])
def test_refused_and_after_the_channel_is_moved_disabled(still, chcpu, way) -> None:
    refused = "chcpu: CPU 5 disable failed: Device or resource busy\n"
    assert chcpu(still, "-d", "5") == (False, refused)
    assert online(still) == "0-7\n"
    file = still.proc / "irq/38" / way if way != "cpu" else still.channel(18) / "cpu"
    file.write_text("1" if way == "smp_affinity" else "0")
    assert chcpu(still, "-d", "5") == (True, "CPU 5 disabled\n")
    assert online(still) == "0-4,6-7\n"
    assert chcpu(still, "-d", "5") == (True, "CPU 5 is already disabled\n")
    assert chcpu(still, "-e", "5") == (True, "CPU 5 enabled\n")
    assert chcpu(still, "-e", "5") == (True, "CPU 5 is already enabled\n")
    assert online(still) == "0-7\n"


def test_of_several_those_that_are_free_go(still, chcpu) -> None:
    evacuate(still, {3, 4})
    content, said = chcpu(still, "-d", "2-5")
    assert not content
    assert sorted(said.splitlines()) == [
        "CPU 3 disabled",
        "CPU 4 disabled",
        "chcpu: CPU 2 disable failed: Device or resource busy",
        "chcpu: CPU 5 disable failed: Device or resource busy",
    ]
    assert online(still) == "0-2,5-7\n"


def test_cpu_0_cannot_be_asked_for(still, chcpu) -> None:
    evacuate(still, {0})
    assert not (still.sys / CPUS / "cpu0/online").exists()
    assert chcpu(still, "-d", "0") == (False, "chcpu: CPU 0 is not hot pluggable\n")
    assert online(still) == "0-7\n"


def test_the_cover_letters_columns(still, chcpu) -> None:
    evacuate(still, {2, 3, 4, 5})
    said = "".join(f"CPU {cpu} disabled\n" for cpu in (2, 3, 4, 5))
    assert chcpu(still, "-d", "2-5") == (True, said)
    header = (still.proc / "interrupts").read_text().splitlines()[0]
    assert header.split() == ["CPU0", "CPU1", "CPU6", "CPU7"]


def test_the_computers_own_cpus_are_left_alone(still, chcpu) -> None:
    before = Path("/sys/devices/system/cpu/online").read_text()
    evacuate(still, {1})
    assert chcpu(still, "-d", "1") == (True, "CPU 1 disabled\n")
    assert Path("/sys/devices/system/cpu/online").read_text() == before

"""What the interrupts of network adapters could be called, and when the name can be known."""

from __future__ import annotations

import pytest

from fakeproc import profiles
from fakeproc.machine import Machine
from fakeproc.timeline import SECOND

from .guests import interrupt_rows, text, write

SECOND_NIC = "11111111-2222-3333-4444-555555555555"


def guest(names: str, patches: frozenset[int] | None = None) -> Machine:
    profile = profiles.load("hyperv-gen2")
    kernel = profile.kernel.model_copy(update={"netvsc_names": names, "patches": patches})
    machine = Machine(profile.model_copy(update={"kernel": kernel}), "manual")
    machine.advance(3 * SECOND)
    return machine


def say(machine: Machine, file: str, line: str) -> int | str:
    answer = write(machine, f"/host/{file}", line.encode())
    machine.advance(SECOND)
    return answer


def named(machine: Machine) -> dict[str, int]:
    """The names of the adapters' interrupts, and how many have each."""
    rows = interrupt_rows(text(machine, "/proc/interrupts")).values()
    found = [row.name for row in rows if row.name.startswith("netvsc")]
    return {name: found.count(name) for name in sorted(found)}


def queues(interface: str, *numbers: int) -> dict[str, int]:
    return {f"netvsc-{interface}:{number}": 1 for number in numbers}


def test_as_posted_no_interrupt_says_of_which_adapter_it_is() -> None:
    machine = guest("as posted")
    assert say(machine, "offer", f"netvsc guid={SECOND_NIC} subchannels=2") != "EINVAL"
    assert named(machine) == {"netvsc": 8 + 3}


def test_the_primary_channel_is_opened_before_the_interface_has_a_name() -> None:
    """`netvsc_probe`: rndis_filter_device_add() opens it, register_netdevice() comes after."""
    machine = guest("sub-channels")
    assert named(machine) == {"netvsc": 1, **queues("eth0", *range(1, 8))}
    assert say(machine, "ethtool", "13 combined 3") == 13  # which opens it a second time
    assert named(machine) == queues("eth0", 0, 1, 2)


def test_with_the_name_reserved_all_interrupts_have_it_at_once() -> None:
    assert named(guest("all")) == queues("eth0", *range(8))


def test_a_second_adapter_has_the_next_name() -> None:
    machine = guest("all")
    say(machine, "offer", f"netvsc guid={SECOND_NIC} subchannels=1")
    assert named(machine) == queues("eth0", *range(8)) | queues("eth1", 0, 1)
    lines = text(machine, "/host/ethtool").splitlines()
    assert [line.split(" name ")[1] for line in lines] == ["eth0", "eth1"]


def test_an_interface_that_is_renamed_leaves_the_interrupts_as_they_are_called() -> None:
    """Until they are requested again; and its name is free for the next adapter."""
    machine = guest("all")
    assert say(machine, "ethtool", "13 name lan0") == 12
    assert named(machine) == queues("eth0", *range(8))
    say(machine, "offer", f"netvsc guid={SECOND_NIC}")
    assert named(machine) == queues("eth0", *range(1, 8)) | {"netvsc-eth0:0": 2}
    say(machine, "ethtool", "13 combined 2")
    assert named(machine) == queues("lan0", 0, 1) | queues("eth0", 0)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("13 name eth0", 12),  # as it is called
        ("13 name lan0", 12),
        ("13 name a-name-of-15-ch", 23),
        ("13 name a-name-of-16-cha", "EINVAL"),
        ("13 name a/b", "EINVAL"),
        ("13 name eth0:1", "EINVAL"),
        ("13 name ..", "EINVAL"),
        ("13 name", "EINVAL"),
        ("7 name lan0", "EINVAL"),
    ],
)
def test_which_names_an_interface_may_have(line: str, answer: int | str) -> None:
    assert say(guest("as posted"), "ethtool", line) == answer


def test_a_name_that_another_interface_has_is_refused() -> None:
    machine = guest("as posted")
    say(machine, "offer", f"netvsc guid={SECOND_NIC}")
    assert say(machine, "ethtool", f"{SECOND_NIC} name eth0") == "EEXIST"
    say(machine, "rescind", "13")
    assert say(machine, "ethtool", f"{SECOND_NIC} name eth0") == 46


def test_without_patch_3_there_is_no_name_to_choose() -> None:
    patches = frozenset({1, 2, 6, 7, 8, 9, 10, 11, 12})
    rows = interrupt_rows(text(guest("all", patches), "/proc/interrupts"))
    assert rows["39"].name == "(null)"

"""Several VMBus connections: relids global or per connection, one IRQ domain or one for each."""

from __future__ import annotations

import json

import pytest

from fakeproc import profiles
from fakeproc.machine import Machine
from fakeproc.profiles.errors import ProfileError
from fakeproc.timeline import SECOND

from .guests import interrupt_rows, node_at, text, write

HEARTBEAT = "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0"
SECOND_ONE = "11111111-2222-3333-4444-555555555555"
THIRD = "22222222-2222-3333-4444-555555555555"
CPU7 = "/sys/devices/system/cpu/cpu7/online"

DEVICES = f"""
[[vmbus.devices]]
class = "heartbeat"
instance = "{HEARTBEAT}"
relid = 7
[[vmbus.devices]]
class = "kvp"
instance = "{SECOND_ONE}"
relid = RELID
connection = 2
[[vmbus.devices]]
class = "netvsc"
instance = "{THIRD}"
relid = 9
connection = 2
subchannels = [{{ relid = 10 }}, {{ relid = 11 }}]
"""


def toml(relids: str, domains: str, relid: int, protocol: str = "5.3") -> str:
    return (
        'description = "two connections"\n[cpus]\npossible = 8\n'
        f'[vmbus]\nprotocol = "{protocol}"\nconnections = 2\nhibernation = true\n'
        f'relids = "{relids}"\ndomains = "{domains}"\n' + DEVICES.replace("RELID", str(relid))
    )


def guest(
    relids: str = "per connection", domains: str = "per connection", relid: int = 7
) -> Machine:
    machine = Machine(profiles.parse(toml(relids, domains, relid), "two.toml", "two"), "manual")
    machine.advance(SECOND)
    return machine


def say(machine: Machine, file: str, line: str) -> int | str:
    answer = write(machine, f"/host/{file}", line.encode())
    machine.advance(SECOND)
    return answer


def rows(machine: Machine) -> dict[str, tuple[int, str, str]]:
    """IRQ: the sum of its counts, its hwirq and its name."""
    found = interrupt_rows(text(machine, "/proc/interrupts"))
    return {irq: (sum(r.counts), r.hwirq, r.name) for irq, r in found.items() if r.chip == "VMBus"}


def irq_of(machine: Machine, name: str) -> str:
    return next(irq for irq, row in rows(machine).items() if row[2] == name)


def test_a_relid_of_each_connection_is_a_row_of_its_own_that_moves_alone() -> None:
    machine = guest()
    heartbeat, kvp = irq_of(machine, "heartbeat"), irq_of(machine, "kvp")
    assert heartbeat != kvp
    assert rows(machine)[heartbeat][1] == rows(machine)[kvp][1] == "7"
    assert text(machine, f"/sys/kernel/irq/{kvp}/hwirq") == "7\n"
    assert say(machine, "interrupt", "7 10") == 4
    assert say(machine, "interrupt", "2:7 3") == 5
    assert (rows(machine)[heartbeat][0], rows(machine)[kvp][0]) == (10, 3)
    assert write(machine, f"/proc/irq/{kvp}/smp_affinity_list", b"5") == 1
    machine.advance(SECOND)
    assert text(machine, f"/proc/irq/{kvp}/effective_affinity_list") == "5\n"
    assert text(machine, f"/proc/irq/{heartbeat}/effective_affinity_list") == "0\n"
    state = json.loads(text(machine, "/host/state.json"))["vmbus"]["devices"]
    assert [state[name]["channels"][0]["host_target_vp"] for name in (HEARTBEAT, SECOND_ONE)] == [
        0,
        5,
    ]
    assert [state[name]["connection"] for name in (HEARTBEAT, SECOND_ONE)] == [1, 2]


def test_global_relids_are_given_out_once() -> None:
    with pytest.raises(ProfileError, match="relid 7 is given to two channels"):
        guest("global")
    machine = guest("global", relid=8)
    assert {row[1] for row in rows(machine).values()} == {"7", "8", "9", "10", "11"}
    assert say(machine, "offer", "vss relid=7 connection=2") == "EINVAL"
    assert text(machine, "/host/log").rstrip().endswith("relid 7 is taken (EINVAL)")
    assert say(machine, "offer", "vss relid=12 connection=2") == 25
    assert irq_of(machine, "vss")


def test_relids_per_connection_may_be_offered_on_the_other_one() -> None:
    machine = guest()
    assert say(machine, "offer", "vss relid=9 connection=1") == 24
    assert say(machine, "offer", "balloon relid=9 connection=2") == "EINVAL"
    assert [row[1] for row in rows(machine).values()].count("9") == 2
    assert say(machine, "traffic", "2:9 50") == 6
    assert "2:9 50 steady" in text(machine, "/host/traffic")
    assert rows(machine)[irq_of(machine, "netvsc")][0] == 50
    assert rows(machine)[irq_of(machine, "vss")][0] == 0


def test_one_domain_for_relids_per_connection_loses_the_second_channel() -> None:
    """`irq_create_mapping` answers with the interrupt that the relid has; the open gives EBUSY."""
    machine = guest(domains="global")
    log = text(machine, "/host/log")
    assert "genirq: Flags mismatch irq 24. 00200000 (kvp) vs. 00200000 (heartbeat)" in log
    assert f"probe failed for device {SECOND_ONE} (-16)" in log
    assert [row[2] for row in rows(machine).values()].count("kvp") == 0
    assert say(machine, "interrupt", "7 10") == 4
    assert rows(machine)["24"] == (10, "7", "heartbeat"), "the handler has the first channel"
    # The interrupt's data is the second channel, which is not open: nothing moves any more.
    assert write(machine, "/proc/irq/24/smp_affinity_list", b"5") == "EIO"
    # And when the second goes, it takes the interrupt of the first with it.
    assert say(machine, "rescind", "2:7") == 3
    assert "24" not in rows(machine)
    assert say(machine, "interrupt", "7 10") == 4


@pytest.mark.parametrize(("relids", "relid"), [("global", 8), ("per connection", 7)])
def test_hibernation_works_with_both(relids: str, relid: int) -> None:
    machine = guest(relids, relid=relid)
    before = sorted(row[2] for row in rows(machine).values())
    assert say(machine, "power", "hibernate") == 9
    assert sorted(row[2] for row in rows(machine).values()) == before
    devices = json.loads(text(machine, "/host/state.json"))["vmbus"]["devices"]
    for count, (name, device) in enumerate(devices.items(), start=1):
        primary = device["channels"][0]
        on = f"{device['connection']}:" if relids != "global" else ""
        assert say(machine, "interrupt", f"{on}{primary['relid']} {count}") not in {"EINVAL"}
        assert rows(machine)[str(primary["irq"])][0] == count, name


@pytest.mark.parametrize(("relids", "relid"), [("global", 8), ("per connection", 7)])
def test_a_cpu_goes_only_without_channels_of_either(relids: str, relid: int) -> None:
    machine = guest(relids, relid=relid)
    heartbeat, kvp = irq_of(machine, "heartbeat"), irq_of(machine, "kvp")
    for irq in (heartbeat, kvp):
        assert write(machine, f"/proc/irq/{irq}/smp_affinity_list", b"7") == 1
        assert write(machine, CPU7, b"0") == "EBUSY"
        assert write(machine, f"/proc/irq/{irq}/smp_affinity_list", b"6") == 1
    jammed = "2:7" if relids != "global" else "8"
    assert write(machine, CPU7, b"0") == 1
    assert write(machine, CPU7, b"1") == 1
    assert write(machine, f"/proc/irq/{kvp}/smp_affinity_list", b"7") == 1
    machine.advance(SECOND)
    assert say(machine, "fault", f"pending {jammed}") not in {"EINVAL"}
    assert text(machine, "/host/fault") == f"pending {jammed}\n"
    assert write(machine, f"/proc/irq/{kvp}/smp_affinity_list", b"6") == 1
    assert write(machine, CPU7, b"0") == "EBUSY"
    assert f"event flags are pending on CPU 7: relid {relid} (kvp)" in text(machine, "/host/log")


def test_flags_left_on_a_cpu_that_was_off_wait_for_their_own_connection() -> None:
    """Each connection has a page of event flags of its own on every CPU."""
    machine = guest()
    kvp = irq_of(machine, "kvp")
    machine.kernel.vmbus.synic.set_flags(0, {7}, 1)
    say(machine, "interrupt", "7")
    assert rows(machine)[kvp][0] == 0
    say(machine, "interrupt", "2:9")
    assert rows(machine)[kvp][0] == 1


def test_sub_channels_come_on_the_connection_of_their_device() -> None:
    machine = guest()
    device = machine.kernel.vmbus.devices[THIRD]
    assert [c.relid for c in device.channels] == [9, 10, 11]
    assert {c.connection.number for c in device.channels} == {1}
    assert node_at(machine, f"/sys/bus/vmbus/devices/{THIRD}/channels/11/cpu") is not None


@pytest.mark.parametrize(
    ("text_", "sentence"),
    [
        (toml("per connection", "global", 7, "4.1"), "protocol 4.1 has one connection"),
        (toml("global", "global", 8).replace("connection = 2\n", "connection = 3\n"), "the host"),
        (toml("both", "global", 8), "vmbus.relids"),
        (toml("global", "global", 8).replace("connections = 2", "connections = 5"), "connections"),
    ],
)
def test_what_cannot_be_is_a_sentence(text_: str, sentence: str) -> None:
    with pytest.raises(ProfileError, match=r"two\.toml") as refused:
        profiles.parse(text_, "two.toml", "two")
    assert sentence in str(refused.value)


@pytest.mark.parametrize("word", ["3:7", "0:7", "2:", ":7", "2:7:1", "x:7"])
def test_a_connection_that_is_not_has_no_channel(word: str) -> None:
    assert write(guest(), "/host/interrupt", word.encode()) == "EINVAL"

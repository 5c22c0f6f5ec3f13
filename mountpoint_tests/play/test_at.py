"""host/at: a request that is made at its moment, also in the middle of another one."""

from __future__ import annotations

import pytest

import fakeproc

AFFINITY = "/proc/irq/39/smp_affinity_list"
ONLINE = "/sys/devices/system/cpu/cpu6/online"
CPU = "/sys/bus/vmbus/devices/0022486b-1fa4-0022-486b-1fa40022486b/channels/19/cpu"


def now(machine: fakeproc.Machine) -> float:
    return float(machine.read("/host/clock").split()[1])


def made(machine: fakeproc.Machine) -> list[list[str]]:
    """The requests that were made: number, outcome, moment, path."""
    lines = machine.read("/host/at").splitlines()
    return [line.split()[1:] for line in lines if line.startswith("done ")]


def test_a_write_is_made_at_its_moment_and_not_before() -> None:
    machine = fakeproc.Machine()
    machine.write("/host/at", f"+0.5 {AFFINITY} 3\n")
    machine.advance(0.499)
    assert machine.read(AFFINITY) == "6\n"
    assert machine.read("/host/at").endswith(f"{AFFINITY} 3\n")
    machine.advance(0.001)
    assert machine.read(AFFINITY) == "3\n"
    assert [outcome for _, outcome, *_ in made(machine)] == ["2"]


def test_a_moment_may_be_a_time_of_the_machine() -> None:
    machine = fakeproc.Machine()
    moment = f"{now(machine) + 2:.6f}"
    machine.write("/host/at", f"at {moment} {AFFINITY} 3")
    machine.write("/host/clock", f"advance to {moment}")
    assert machine.read(AFFINITY) == "3\n"
    assert now(machine) == pytest.approx(float(moment))


def test_a_refused_write_leaves_its_errno_and_a_sentence() -> None:
    machine = fakeproc.Machine()
    machine.write("/host/at", f"+1 {AFFINITY} 9\n+1 proc/nothing 1\n+1 host/rescind 999")
    machine.advance(1)
    assert [outcome for _, outcome, *_ in made(machine)] == ["ERANGE", "ENOENT", "EINVAL"]
    assert f"to {AFFINITY} refused" in machine.log()


def test_requests_are_listed_and_cancelled() -> None:
    machine = fakeproc.Machine()
    machine.write("/host/at", f"+1 {AFFINITY} 3\n+2 read {AFFINITY}\n")
    assert [line.split()[0] for line in machine.read("/host/at").splitlines()] == ["1", "2"]
    machine.write("/host/at", "cancel 1")
    machine.advance(3)
    assert machine.read(AFFINITY) == "6\n"
    assert [number for number, *_ in made(machine)] == ["2"]


def test_what_escapes_stand_for_is_written() -> None:
    machine = fakeproc.Machine()
    machine.write("/host/at", r"+0 host/traffic 19\x20\x205\n20 7")
    machine.advance(0)
    assert {"19 5 steady", "20 7 steady"} <= set(machine.read("/host/traffic").splitlines())


def test_a_write_falls_into_the_middle_of_an_offline_that_waits() -> None:
    """Patch 12: a channel may not move to a CPU that is going, while that still reads online."""
    machine = fakeproc.Machine()
    for relid, channel in machine.state().channels.items():
        if channel.target_cpu == 6:
            path = f"/sys/bus/vmbus/devices/*/channels/{relid}/cpu"
            machine.write(path.replace("*", _device_of(machine, relid)), "0")
    machine.advance(1)
    machine.write("/host/latency", "ack 0.03")
    machine.write(f"{CPU.replace('/19/', '/20/')}", "1")  # it waits to be acknowledged
    machine.write("/host/at", f"+0.005 read {ONLINE}\n+0.005 {CPU} 6\n+0.006 {AFFINITY} 6")
    assert machine.write(ONLINE, "0") == 1
    assert [outcome for _, outcome, *_ in made(machine)] == ["2", "EINVAL", "EINVAL"]
    entries = machine.read("/host/journal").splitlines()
    assert any("\tread\t" in entry and entry.endswith("\t1\\n") for entry in entries)
    assert machine.read(ONLINE) == "0\n"


def _device_of(machine: fakeproc.Machine, relid: int) -> str:
    devices = machine.state().devices
    return next(n for n, d in devices.items() if any(c.relid == relid for c in d.channels))


def test_the_clock_goes_to_the_next_event_and_until_none_waits() -> None:
    machine = fakeproc.Machine()
    machine.write("/host/at", f"+1.5 {AFFINITY} 3\n+2.5 {AFFINITY} 4")
    before = now(machine)
    machine.write("/host/clock", "advance next")
    assert (machine.read(AFFINITY), now(machine)) == ("3\n", pytest.approx(before + 1.5))
    machine.write("/host/clock", "advance idle")
    assert machine.read(AFFINITY) == "4\n"
    with pytest.raises(fakeproc.RefusedError, match="no event waits"):
        machine._tell("clock", "advance next")  # noqa: SLF001


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "no command"),
        ("+1", "expected MOMENT PATH DATA"),
        (f"soon {AFFINITY} 3", "a moment is in seconds"),
        (f"+1e5 {AFFINITY} 3", "a moment is in seconds"),
        (f"-1 {AFFINITY} 3", "a moment is in seconds"),
        (f"99999999999 {AFFINITY} 3", "a moment is at most"),
        ("+1 etc/passwd 3", "a path begins with proc/, sys/, host/"),
        ("+1 proc 3", "a path begins with"),
        ("cancel 7", "no request '7' waits"),
        ("cancel x", "no request 'x' waits"),
        (f"+1 read {AFFINITY} now", "unexpected argument 'now'"),
        (rf"+1 {AFFINITY} \q\x", "an escape"),
    ],
)
def test_a_bad_line_is_refused_with_its_reason(line: str, why: str) -> None:
    machine = fakeproc.Machine()
    with pytest.raises(fakeproc.RefusedError, match=why):
        machine._tell("at", line)  # noqa: SLF001
    assert machine.read("/host/at") == ""

"""Where the time of CPUs goes: /proc/stat and /proc/uptime, whatever happens and whoever looks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakeproc import profiles
from fakeproc.guest.accounting import USER_HZ
from fakeproc.machine import Machine
from fakeproc.timeline import SECOND

from .guests import channel_path, default_guest, text, write

CPUS = "/sys/devices/system/cpu"
COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq")


def ticks(machine: Machine) -> dict[str, list[int]]:
    """The lines of /proc/stat that begin with cpu."""
    lines = [line.split() for line in text(machine, "/proc/stat").splitlines()]
    return {name: [*map(int, rest)] for name, *rest in lines if name.startswith("cpu")}


def console(machine: Machine, file: str, command: str) -> None:
    assert write(machine, f"/host/{file}", command.encode()) == len(command)


def evacuate(machine: Machine) -> None:
    """Move every channel to CPU 0."""
    for relid in list(machine.kernel.vmbus.channels):
        write(machine, f"{channel_path(machine, relid)}/cpu", b"0")
    machine.advance(SECOND)


def test_a_cpu_that_was_off_for_ten_minutes_gains_only_the_second_it_is_on() -> None:
    machine = default_guest()
    evacuate(machine)
    before = ticks(machine)
    assert write(machine, f"{CPUS}/cpu7/online", b"0") == 1
    off = machine.timeline.now
    machine.advance(600 * SECOND)
    assert "cpu7" not in ticks(machine)
    assert write(machine, f"{CPUS}/cpu7/online", b"1") == 1
    on = machine.timeline.now
    machine.advance(SECOND)
    after = ticks(machine)
    assert sum(after["cpu7"]) - sum(before["cpu7"]) == pytest.approx(USER_HZ, abs=3)
    expected = 7 * (on - off + SECOND) / SECOND * USER_HZ + USER_HZ
    assert sum(after["cpu"]) - sum(before["cpu"]) == pytest.approx(expected, abs=10)


def test_the_idle_time_of_uptime_is_that_of_stat() -> None:
    machine = default_guest()
    evacuate(machine)
    write(machine, f"{CPUS}/cpu7/online", b"0")
    machine.advance(100 * SECOND)
    idle = float(text(machine, "/proc/uptime").split()[1])
    assert idle == pytest.approx(ticks(machine)["cpu"][COLUMNS.index("idle")] / USER_HZ, abs=0.02)


def test_a_flood_reads_the_same_however_often_it_was_looked_at() -> None:
    """Two million interrupts a second cost fourteen seconds a second: they wait for their time."""
    often, seldom = default_guest(), default_guest()
    for machine in (often, seldom):
        console(machine, "traffic", "19 2000000")
    for _ in range(100):
        text(often, "/proc/stat")
        text(often, "/proc/uptime")
        often.advance(SECOND // 10)
    seldom.advance(10 * SECOND)
    for machine in (often, seldom):
        console(machine, "traffic", "19 0")
    for _ in range(300):
        often.advance(SECOND // 100)
        text(often, "/proc/stat")
    seldom.advance(3 * SECOND)
    for _ in range(20):
        for path in ("/proc/stat", "/proc/uptime", "/proc/softirqs", "/proc/interrupts"):
            assert text(often, path) == text(seldom, path), path
        for machine in (often, seldom):
            machine.advance(60 * SECOND)


def test_what_came_at_once_takes_its_time_and_not_more() -> None:
    """A million interrupts at one moment cost seven seconds, one second a second."""
    machine = default_guest()
    before = ticks(machine)["cpu6"]
    console(machine, "interrupt", "19 1000000")
    machine.advance(SECOND)
    first = [now - then for now, then in zip(ticks(machine)["cpu6"], before, strict=True)]
    assert sum(first) == pytest.approx(USER_HZ, abs=3)
    assert first[COLUMNS.index("idle")] <= 1
    machine.advance(9 * SECOND)
    all_of_it = [now - then for now, then in zip(ticks(machine)["cpu6"], before, strict=True)]
    busy = all_of_it[COLUMNS.index("irq")] + all_of_it[COLUMNS.index("softirq")]
    assert busy == pytest.approx(7 * USER_HZ, abs=20)


def test_a_counter_that_wraps_gives_no_time_back() -> None:
    machine = default_guest()
    console(machine, "interrupt", "19 4294967295")
    machine.advance(60 * SECOND)
    before = ticks(machine)["cpu6"]
    console(machine, "interrupt", "19 10")
    after = ticks(machine)["cpu6"]
    assert all(now >= then for now, then in zip(after, before, strict=True))


def test_err_counts_in_the_total_of_all_interrupts() -> None:
    """`arch_irq_stat()`: once for the machine, and in no CPU's sum."""
    toml = profiles.source("hyperv-gen2")
    assert "\nERR" not in toml
    with_errors = toml.replace("\nHYP = ", "\nERR = [5]\nHYP = ", 1)
    machines = [
        Machine(profiles.parse(each, "p.toml", "p"), "manual") for each in (toml, with_errors)
    ]
    totals = [int(text(m, "/proc/stat").split("intr ")[1].split()[0]) for m in machines]
    assert totals[1] - totals[0] == 5


steps = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.integers(0, 3 * SECOND)),
        st.tuples(st.just("online"), st.integers(1, 7)),
        st.tuples(st.just("offline"), st.integers(1, 7)),
        st.tuples(st.just("traffic"), st.sampled_from(["19 0", "19 900000 poisson", "all 50"])),
        st.tuples(st.just("interrupt"), st.sampled_from(["19 1", "19 300000", "message 7"])),
        st.tuples(st.just("move"), st.integers(0, 7)),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(steps)
def test_no_time_goes_back_and_all_of_it_is_somewhere(happenings) -> None:
    machine = default_guest()
    evacuate(machine)
    last, online_for = ticks(machine), {}
    for what, how in happenings:
        before, online = machine.timeline.now, machine.kernel.cpus.online
        if what == "advance":
            machine.advance(how)
        elif what in ("online", "offline"):
            write(machine, f"{CPUS}/cpu{how}/online", b"1" if what == "online" else b"0")
        elif what == "move":
            write(machine, "/proc/irq/39/smp_affinity_list", b"%d" % how)
        else:
            console(machine, what, how)
        now = ticks(machine)
        for name in last.keys() & now.keys():
            grew = [new - old for new, old in zip(now[name], last[name], strict=True)]
            assert min(grew) >= 0, (name, what, how)
        for cpu in range(8):
            if online >> cpu & machine.kernel.cpus.online >> cpu & 1:
                online_for[cpu] = online_for.get(cpu, 0) + machine.timeline.now - before
                passed = (machine.timeline.now - before) / SECOND * USER_HZ
                grew = sum(now[f"cpu{cpu}"]) - sum(last[f"cpu{cpu}"])
                assert grew == pytest.approx(passed, abs=5), (cpu, what, how)
        last = now


@pytest.mark.parametrize("name", profiles.names())
def test_a_guest_that_has_counted_has_run_as_long(name: str) -> None:
    """hyperv-arm64 had the counts of nine hours, and an uptime of 0.01 s."""
    profile = profiles.load(name)
    counted = sum(
        sum(channel.counts.values()) for _, channel in profile.vmbus.located_channels
    ) + sum(sum(counts.values()) for counts in profile.arch.values())
    assert counted == 0 or profile.uptime_s > 60 * 60
    timers = profile.arch.get("arch_timer") or profile.arch.get("HVS") or {}
    assert (sum(timers.values()) > 0) == (counted > 0)

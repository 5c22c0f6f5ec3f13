"""CPUs that go and come back, to the nanosecond: what is waited for, refused, moved, kept."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from fakeproc import profiles
from fakeproc.files.sys.cpu_busy import holders_explained
from fakeproc.machine import Machine
from fakeproc.profiles.kernels import with_kernel
from fakeproc.timeline import MILLISECOND, SECOND

from .guests import channel_path, edited, read, text, write
from .replay import close

pytestmark = pytest.mark.every_kernel

CPUS = "/sys/devices/system/cpu"
GOING, ELSEWHERE = 5, 1  # CPU 5 holds relid 18 alone: IRQ 38, a sub-channel of netvsc
RELID, IRQ = 18, 38

SOURCE = profiles.source("hyperv-gen2")


def guest(toml: str) -> Machine:
    return Machine(profiles.parse(toml, "test.toml", "test"), "manual")


def offline(machine: Machine, cpu: int = GOING) -> int | str:
    return write(machine, f"{CPUS}/cpu{cpu}/online", b"0")


def online(machine: Machine, cpu: int = GOING) -> int | str:
    return write(machine, f"{CPUS}/cpu{cpu}/online", b"1")


def console(machine: Machine, name: str, command: str) -> None:
    assert write(machine, f"/host/{name}", command.encode()) == len(command)


def move(machine: Machine, relid: int, cpu: int) -> int | str:
    return write(machine, f"{channel_path(machine, relid)}/cpu", b"%d" % cpu)


def evacuate(machine: Machine, cpus: set[int], to: int = ELSEWHERE) -> None:
    """Move all channels away, and let the host have heard of it."""
    for channel in list(machine.kernel.vmbus.channels.values()):
        if channel.target_cpu in cpus:
            assert move(machine, channel.relid, to) == 1
    machine.advance(SECOND)


def said(machine: Machine, since: int = 0) -> list[str]:
    """Lines of the log, ours left out."""
    lines = [record.text for record in list(machine.kernel.log.records)[since:]]
    return [line for line in lines if not line.startswith("fakeproc:")]


def refused(machine: Machine, cpu: int) -> str:
    """Why a CPU cannot go offline."""
    with pytest.raises(OSError, match="Errno 16") as refusal, holders_explained():
        machine.timeline.finish(machine.kernel.hotplug.set_online(cpu, False))
    return str(refusal.value)


def elapsed(machine: Machine, act: Callable[[], object]) -> float:
    """Milliseconds of machine time that it takes."""
    before = machine.timeline.now
    act()
    return (machine.timeline.now - before) / MILLISECOND


def ways(machine: Machine, relid: int = RELID, irq: int = IRQ) -> dict[str, Callable[[int], bytes]]:
    """The three paths that move a channel, and how to name one CPU there."""
    return {
        f"/proc/irq/{irq}/smp_affinity": lambda cpu: b"%x" % (1 << cpu),
        f"/proc/irq/{irq}/smp_affinity_list": lambda cpu: b"%d" % cpu,
        f"{channel_path(machine, relid)}/cpu": lambda cpu: b"%d" % cpu,
    }


def counts(machine: Machine, irq: int = IRQ) -> list[int]:
    return [
        int(count) for count in text(machine, f"/sys/kernel/irq/{irq}/per_cpu_count").split(",")
    ]


# Who holds a CPU -------------------------------------------------------------------------------


@pytest.mark.parametrize("cpu", range(1, 8))
def test_a_cpu_that_channels_interrupt_stays(machine, cpu) -> None:
    why = refused(machine, cpu)
    assert f"CPU {cpu} is interrupted by " in why
    holders = [c for c in machine.kernel.vmbus.channels.values() if c.target_cpu == cpu]
    for channel in holders:
        who = f"relid {channel.relid} ({channel.irq_name}, IRQ {channel.desc.irq})"
        assert f"{who} of {channel.device.name}" in why
    assert offline(machine, cpu) == "EBUSY"
    assert text(machine, f"{CPUS}/online") == "0-7\n"
    assert machine.kernel.vmbus.synic.online == 0xFF


@pytest.mark.parametrize("cpu", range(1, 8))
def test_the_command_in_the_refusal_moves_them(machine, cpu) -> None:
    why = refused(machine, cpu)
    assert "to move" in why
    command = why.rpartition(": ")[2]
    words = command.replace(";", "").split()
    numbers = words[words.index("in") + 1 : words.index("do")] if "for" in words else None
    to = words[words.index("echo") + 1]
    for number in numbers or [command.split("/")[3]]:
        assert write(machine, f"/proc/irq/{number}/smp_affinity_list", to.encode()) == len(to)
    assert offline(machine, cpu) == 1


def test_a_channel_that_is_closed_holds_its_cpu_too(machine) -> None:
    evacuate(machine, {GOING})
    assert move(machine, 13, GOING) == 1
    close(machine, 13)
    why = refused(machine, GOING)
    assert re.search(r"relid 13 \(netvsc, IRQ 34, not open\) of 0022486b.*cannot", why)
    assert text(machine, f"{CPUS}/cpu{GOING}/online") == "1\n"


def test_the_cpu_of_the_connection_stays(machine) -> None:
    """Without an `online` file; hotplug/target comes as far as hv_synic_cleanup()."""
    assert read(machine, f"{CPUS}/cpu0/online") == "ENOENT"
    evacuate(machine, {0})
    assert write(machine, f"{CPUS}/cpu0/hotplug/target", b"0") == "EBUSY"
    assert text(machine, f"{CPUS}/cpu0/hotplug/target") == "236\n"
    assert text(machine, f"{CPUS}/online") == "0-7\n"


def test_after_a_refusal_the_cpu_takes_channels_again(machine) -> None:
    assert offline(machine) == "EBUSY"
    for path, name in ways(machine, 19, 39).items():
        assert move(machine, 19, ELSEWHERE) == 1
        assert write(machine, path, name(GOING)) == len(name(GOING)), path


# Waiting for acknowledgements (patch 11) -------------------------------------------------------

NOTHING_SENT = None


@pytest.mark.parametrize(
    ("ack", "waited"),
    [
        (NOTHING_SENT, 0),
        (0, 0),  # it has come before the next request
        (0.3, 10),
        (3, 10),
        (10, 10),
        (10.001, 20),
        (12, 20),
        (30, 30),
        (49.9, 50),
        (50, 50),
    ],
)
def test_offline_waits_in_whole_polls_until_the_host_has_acted(machine, ack, waited) -> None:
    if ack is NOTHING_SENT:
        evacuate(machine, {GOING})
    else:
        console(machine, "latency", f"ack {ack / 1000}")
        assert move(machine, RELID, ELSEWHERE) == 1
    since = len(machine.kernel.log.records)
    assert elapsed(machine, lambda: offline(machine)) == waited
    assert said(machine, since) == [f"smpboot: CPU {GOING} is now offline"]
    assert text(machine, f"{CPUS}/online") == "0-4,6-7\n"


def test_all_outstanding_acknowledgements_are_waited_for(machine) -> None:
    """Also those of channels that have nothing to do with the CPU."""
    evacuate(machine, {GOING})
    console(machine, "latency", "ack 0.015")
    assert move(machine, 22, 2) == 1
    machine.advance(8 * MILLISECOND)
    assert move(machine, 13, 3) == 1
    assert elapsed(machine, lambda: offline(machine)) == 20
    assert (
        machine.kernel.vmbus.connection.modify_completed
        == machine.kernel.vmbus.connection.modify_sent
    )


@pytest.mark.parametrize("ack", [51, 200, 2000])
def test_a_late_acknowledgement_is_given_up_and_the_cpu_goes(machine, ack) -> None:
    console(machine, "latency", f"ack {ack / 1000}")
    assert move(machine, RELID, ELSEWHERE) == 1
    since = len(machine.kernel.log.records)
    assert elapsed(machine, lambda: offline(machine)) == 50
    assert said(machine, since) == [
        "hv_vmbus: Timed out waiting for MODIFYCHANNEL. CPU 5 sent 1 completed 0",
        "smpboot: CPU 5 is now offline",
    ]
    assert text(machine, f"{CPUS}/cpu{GOING}/online") == "0\n"


def test_a_lost_acknowledgement_is_missed_at_every_offline_from_then_on(machine) -> None:
    console(machine, "fault", "modifychannel drop")
    assert move(machine, RELID, ELSEWHERE) == 1
    machine.advance(SECOND)
    for _ in range(3):
        since = len(machine.kernel.log.records)
        assert offline(machine) == 1
        assert (
            "Timed out waiting for MODIFYCHANNEL. CPU 5 sent 1 completed 0"
            in said(machine, since)[0]
        )
        assert online(machine) == 1


def test_interrupts_that_come_while_it_waits_are_counted_where_they_land(machine) -> None:
    """What would be lost without patch 11: the host has not acted yet when the CPU is to go."""
    console(machine, "latency", "ack 0.025")
    assert move(machine, RELID, ELSEWHERE) == 1
    channel = machine.host.relids.taken[RELID]
    for at in (1, 12, 24, 26):
        machine.timeline.after(at * MILLISECOND, lambda: machine.host.signal(channel, 10))
    assert offline(machine) == 1
    assert counts(machine) == [0, 10, 0, 0, 0, 30, 0, 0]
    assert channel.sent == sum(counts(machine))
    intr = text(machine, "/proc/stat").split("\nintr ")[1].split()
    assert intr[1 + IRQ] == "40"


def test_traffic_that_comes_while_it_waits_in_vain_is_counted(machine) -> None:
    """It is integrated when somebody looks, and nobody has looked before the CPU goes."""
    console(machine, "traffic", f"{RELID} 1000")
    console(machine, "traffic", "irq8 1000")  # rtc0 interrupts CPU 2
    console(machine, "latency", "ack 2")
    assert move(machine, RELID, ELSEWHERE) == 1
    before = counts(machine, 8)[2]
    assert elapsed(machine, lambda: offline(machine)) == 50
    machine.catch_up()
    assert counts(machine) == [0, 0, 0, 0, 0, 50, 0, 0]
    assert counts(machine, 8)[2] == before + 50
    machine.advance(SECOND)
    assert counts(machine)[GOING] == 50, "a CPU that is offline counts nothing"


def test_without_the_wait_they_stay_behind_on_the_cpu_that_is_gone(machine) -> None:
    """A host that acts later than the guest waits: set in the event page, counted by nobody."""
    console(machine, "latency", "ack 1")
    assert move(machine, RELID, ELSEWHERE) == 1
    assert offline(machine) == 1
    console(machine, "interrupt", f"{RELID} 10")
    assert counts(machine) == [0] * 8
    machine.advance(SECOND)
    assert online(machine) == 1
    assert counts(machine) == [0] * 8
    machine.kernel.interrupt(GOING, {})  # the next interrupt there finds the one flag
    assert counts(machine) == [0, 0, 0, 0, 0, 1, 0, 0]


def test_the_host_acts_in_the_order_in_which_it_is_told(machine) -> None:
    """Or it would go on interrupting a CPU that has gone, with every message acknowledged."""
    console(machine, "latency", "ack 1")
    assert move(machine, 19, GOING) == 1
    console(machine, "latency", "ack 0.001")
    assert move(machine, 19, ELSEWHERE) == 1
    machine.advance(2 * SECOND)
    assert machine.host.relids.taken[19].target_vp == ELSEWHERE


def test_a_message_about_a_channel_that_is_gone_is_not_taken_for_its_successor(machine) -> None:
    console(machine, "latency", "ack 1")
    assert move(machine, RELID, 2) == 1
    console(machine, "rescind", machine.kernel.vmbus.channels[13].device.name)
    machine.advance(SECOND // 2)
    console(machine, "offer", f"netvsc relid={RELID}")
    machine.advance(2 * SECOND)
    new = machine.kernel.vmbus.channels[RELID]
    assert new.target_cpu != 2
    assert machine.host.relids.taken[RELID].target_vp == new.target_cpu


# Events that are pending -----------------------------------------------------------------------


@pytest.fixture
def jammed(machine) -> Machine:
    """A flag on CPU 5 that nobody consumes, and no channel there."""
    console(machine, "fault", f"pending {RELID}")
    evacuate(machine, {GOING})
    return machine


def test_a_pending_event_keeps_the_cpu(jammed) -> None:
    since = len(jammed.kernel.log.records)
    assert elapsed(jammed, lambda: offline(jammed)) == 60
    assert said(jammed, since) == ["hv_vmbus: Events pending when trying to offline CPU 5"]
    assert offline(jammed) == "EBUSY"
    assert text(jammed, f"{CPUS}/online") == "0-7\n"
    assert jammed.kernel.vmbus.synic.online == 0xFF
    console(jammed, "fault", "clear")
    assert elapsed(jammed, lambda: offline(jammed)) == 0
    assert text(jammed, f"{CPUS}/cpu{GOING}/online") == "0\n"


@pytest.mark.parametrize(("cleared", "waited"), [(1, 20), (20, 20), (21, 40), (59, 60)])
def test_an_event_that_is_consumed_meanwhile_lets_it_go(jammed, cleared, waited) -> None:
    jammed.timeline.after(cleared * MILLISECOND, jammed.host.faults.clear)
    assert elapsed(jammed, lambda: offline(jammed)) == waited
    assert text(jammed, f"{CPUS}/cpu{GOING}/online") == "0\n"


# The race with an affinity write (patch 12) -----------------------------------------------------


def in_the_middle(machine: Machine, act: Callable[[], object]) -> list[object]:
    """What `act` gives in the middle of an offline that sleeps; CPU 5 is online all the while."""
    given: list[object] = []

    def run() -> None:
        assert text(machine, f"{CPUS}/cpu{GOING}/online") == "1\n"
        assert text(machine, f"{CPUS}/online") == "0-7\n"
        assert f"CPU{GOING} " in text(machine, "/proc/interrupts").splitlines()[0]
        given.append(act())

    console(machine, "latency", "ack 0.025")
    assert move(machine, RELID, ELSEWHERE) == 1
    machine.timeline.after(5 * MILLISECOND, run)
    given.append(offline(machine))
    assert len(given) == 2, "the offline did not sleep"
    return given


def is_on_a_dead_cpu(machine: Machine) -> list[int]:
    cpus = machine.kernel.cpus
    channels = machine.kernel.vmbus.channels.values()
    return [channel.relid for channel in channels if not cpus.is_online(channel.target_cpu)]


@pytest.mark.parametrize("way", [0, 1, 2])
@pytest.mark.parametrize(("relid", "irq"), [(18, 38), (19, 39), (7, 24), (14, 28)])
def test_a_cpu_that_is_going_takes_no_channel(machine, way, relid, irq) -> None:
    path, name = list(ways(machine, relid, irq).items())[way]
    before = {18: ELSEWHERE}.get(relid, machine.kernel.vmbus.channels[relid].target_cpu)
    assert in_the_middle(machine, lambda: write(machine, path, name(GOING))) == ["EINVAL", 1]
    assert machine.kernel.vmbus.channels[relid].target_cpu == before
    assert is_on_a_dead_cpu(machine) == []


def test_of_several_cpus_the_one_that_is_going_is_not_picked(machine) -> None:
    path = "/proc/irq/39/smp_affinity_list"
    machine.kernel.vmbus.chip.last_pick = 4  # CPU 5 would be next
    assert in_the_middle(machine, lambda: write(machine, path, b"5,7")) == [3, 1]
    assert machine.kernel.vmbus.channels[19].target_cpu == 7
    assert text(machine, path) == "5,7\n"


def test_a_mask_with_the_cpu_of_now_is_kept_whole(machine) -> None:
    path = f"/proc/irq/{IRQ}/smp_affinity"
    assert in_the_middle(machine, lambda: write(machine, path, b"ff")) == [2, 1]
    assert text(machine, path) == "ff\n"
    assert machine.kernel.vmbus.channels[RELID].target_cpu == ELSEWHERE
    assert online(machine) == 1
    assert text(machine, path) == "ff\n"
    assert machine.kernel.vmbus.channels[RELID].target_cpu == ELSEWHERE


def test_other_moves_go_on_meanwhile(machine) -> None:
    assert in_the_middle(machine, lambda: move(machine, 22, 6)) == [1, 1]
    assert machine.kernel.vmbus.channels[22].target_cpu == 6


def test_a_move_that_waits_is_no_reason_to_stay_once_refused(jammed) -> None:
    """In the middle of an offline that is refused in the end: EINVAL, and afterwards not."""
    given: list[object] = []
    jammed.timeline.after(30 * MILLISECOND, lambda: given.append(move(jammed, RELID, GOING)))
    assert offline(jammed) == "EBUSY"
    assert given == ["EINVAL"]
    assert move(jammed, RELID, GOING) == 1


@pytest.mark.parametrize("bound", ["1", "0"])
def test_a_channel_offered_meanwhile_never_ends_on_the_cpu_that_goes(machine, bound) -> None:
    """vmbus_process_offer() holds cpus_read_lock(): it waits until the CPU is gone."""
    assert write(machine, "/sys/bus/vmbus/drivers_autoprobe", bound.encode()) == 1
    machine.kernel.vmbus.placement.allocated[0] = 0xDF  # CPU 5 would be next
    command = "netvsc relid=100"
    assert in_the_middle(machine, lambda: console(machine, "offer", command)) == [None, 1]
    machine.advance(SECOND)
    assert 100 in machine.kernel.vmbus.channels
    assert is_on_a_dead_cpu(machine) == []
    assert machine.kernel.vmbus.connection.modify_sent == 1, "its interrupts were lost for a while"


def test_a_device_bound_meanwhile_never_ends_on_the_cpu_that_goes(machine) -> None:
    """Its sub-channels are offered while the CPU is on its way."""
    name = machine.kernel.vmbus.channels[13].device.name
    driver = "/sys/bus/vmbus/drivers/hv_netvsc"
    assert write(machine, f"{driver}/unbind", name.encode()) == len(name)
    machine.advance(SECOND)
    console(machine, "latency", "ack 0.045")
    assert move(machine, 14, 2) == 1
    bind = f"{driver}/bind"
    machine.timeline.after(5 * MILLISECOND, lambda: write(machine, bind, name.encode()))
    assert offline(machine) == 1
    machine.advance(SECOND)
    assert len(machine.kernel.vmbus.devices[name].channels) > 1
    assert is_on_a_dead_cpu(machine) == []


# Older protocols -------------------------------------------------------------------------------


@pytest.fixture
def never_acknowledges() -> Machine:
    return guest(edited(SOURCE, protocol='"5.2"'))


@pytest.fixture
def cannot_retarget() -> Machine:
    return guest(edited(SOURCE, protocol='"4.0"'))


@pytest.mark.parametrize("moved", [True, False])
def test_protocol_5_2_has_a_fixed_pause(never_acknowledges, moved) -> None:
    machine = never_acknowledges
    evacuate(machine, {GOING})
    console(machine, "latency", "ack 10")
    if moved:
        assert move(machine, 22, 2) == 1
    since = len(machine.kernel.log.records)
    assert elapsed(machine, lambda: offline(machine)) == 25
    assert said(machine, since) == ["smpboot: CPU 5 is now offline"]


def test_protocol_5_2_looks_for_events_and_minds_the_race(never_acknowledges) -> None:
    machine = never_acknowledges
    console(machine, "fault", f"pending {RELID}")
    evacuate(machine, {GOING})
    given: list[object] = []
    machine.timeline.after(5 * MILLISECOND, lambda: given.append(move(machine, RELID, GOING)))
    assert elapsed(machine, lambda: offline(machine)) == 25 + 60
    assert text(machine, f"{CPUS}/cpu{GOING}/online") == "1\n"
    assert given == ["EINVAL"]


def test_only_the_series_pauses_for_what_the_host_does_not_acknowledge(never_acknowledges) -> None:
    """Patch 11; a kernel without the series looks for events and does not wait before."""
    profile = with_kernel(never_acknowledges.profile, "6.12")
    stock = Machine(profile, "manual")
    evacuate(stock, {GOING})
    assert elapsed(stock, lambda: offline(stock)) == 0
    assert text(stock, f"{CPUS}/online") == "0-4,6-7\n"


def test_protocol_4_0_neither_waits_nor_looks(cannot_retarget) -> None:
    """Its channels cannot be moved: a CPU is free only once they are gone."""
    machine = cannot_retarget
    assert "the host's VMBus protocol cannot move channels" in refused(machine, GOING)
    assert move(machine, RELID, ELSEWHERE) == "EIO"
    assert offline(machine) == "EBUSY"
    console(machine, "rescind", str(RELID))
    name = machine.kernel.vmbus.channels[13].device.name
    write(machine, "/sys/bus/vmbus/drivers/hv_netvsc/unbind", name.encode())
    machine.advance(SECOND)
    machine.host.faults.jam(GOING, 7)
    assert elapsed(machine, lambda: offline(machine)) == 0
    assert text(machine, f"{CPUS}/online") == "0-4,6-7\n"


# Other interrupts (kernel/irq/cpuhotplug.c) ----------------------------------------------------

# To the default guest's rtc0 and acpi: a managed interrupt, one that is managed and has two
# CPUs, and one that keeps CPU 6 busy.
MORE_IRQS = """
[[irqs]]
irq = 10
hwirq = 10
chip = "PCI-MSI"
actions = ["nvme0q4"]
affinity = [7]
effective = 7
managed = true

[[irqs]]
irq = 11
hwirq = 11
chip = "PCI-MSI"
actions = ["nvme0q3"]
affinity = [4, 5]
effective = 5
managed = true

[[irqs]]
irq = 12
hwirq = 12
actions = ["i8042"]
affinity = [6]
effective = 6

# Each CPU of the recorded machine has a queue: vectors decide between CPUs 6 and 7.
[[irqs]]
irq = 13
chip = "PCI-MSI"
hwirq = 1
actions = ["nvme0q2"]
affinity = [6]
effective = 6
managed = true

[arch]
"""


@pytest.fixture
def msi() -> Machine:
    """All channels are on CPU 0, and in nobody's way."""
    machine = guest(SOURCE.replace("[arch]", MORE_IRQS, 1))
    evacuate(machine, set(range(1, 8)), to=0)
    return machine


def affinity(machine: Machine, irq: int) -> tuple[str, str]:
    names = ("smp_affinity", "effective_affinity")
    return tuple(text(machine, f"/proc/irq/{irq}/{name}").strip() for name in names)


def pin(cpus: bytes) -> Callable[[Machine], None]:
    """Set the affinity of rtc0, and let it fire, so that it takes effect."""

    def act(machine: Machine) -> None:
        assert write(machine, "/proc/irq/8/smp_affinity_list", cpus) == len(cpus)
        machine.kernel.raise_irq(8, 1)

    return act


def off(*cpus: int) -> Callable[[Machine], None]:
    return lambda machine: [offline(machine, cpu) for cpu in cpus]


def on(*cpus: int) -> Callable[[Machine], None]:
    return lambda machine: [online(machine, cpu) for cpu in cpus]


# stock-kernels.md, section 11: what a real 6.1 has, of ahci and of nvme0q4.
STORY = (
    ("pinned to CPU 7", pin(b"7"), ("80", "80"), ("80", "80")),
    ("CPU 7 offline", off(7), ("7f", "02"), ("80", "01")),
    ("mask of CPU 0 and the offline one", pin(b"0,7"), ("81", "01"), ("80", "01")),
    ("CPU 7 online again", on(7), ("81", "01"), ("80", "80")),
    ("mask of CPUs 6 and 7", pin(b"6,7"), ("c0", "80"), ("80", "80")),
    ("CPU 7 offline, 6 left", off(7), ("c0", "40"), ("80", "01")),
    ("CPU 7 online, 6 kept", on(7), ("c0", "40"), ("80", "80")),
    ("pinned to CPU 7 once more", pin(b"7"), ("80", "80"), ("80", "80")),
    ("CPU 7 offline once more", off(7), ("7f", "02"), ("80", "01")),
    ("CPU 7 online once more", on(7), ("7f", "02"), ("80", "80")),
    ("all but CPU 0 offline", off(1, 2, 3, 4, 5, 6, 7), ("7f", "01"), ("80", "01")),
    ("all back", on(1, 2, 3, 4, 5, 6, 7), ("7f", "01"), ("80", "80")),
)


def test_the_story_of_an_unplugged_cpu(msi) -> None:
    for step, act, ordinary, managed in STORY:
        act(msi)
        assert (affinity(msi, 8), affinity(msi, 10)) == (ordinary, managed), step


def test_a_managed_interrupt_of_several_cpus_stays_among_them(msi) -> None:
    steps = (
        (off(5), ("30", "10")),
        (on(5), ("30", "10")),  # it does not move back
        (off(4), ("30", "20")),
        (off(5), ("30", "01")),  # shut down: reads CPU 0
        (on(4), ("30", "10")),
    )
    for act, expected in steps:
        act(msi)
        assert affinity(msi, 11) == expected


def test_a_managed_interrupt_that_is_shut_down_does_not_fire(msi) -> None:
    msi.kernel.raise_irq(10, 5)
    off(7)(msi)
    msi.kernel.raise_irq(10, 100)
    on(7)(msi)
    msi.kernel.raise_irq(10, 5)
    assert counts(msi, 10) == [0, 0, 0, 0, 0, 0, 0, 10]


def test_a_broken_affinity_stays_broken(msi) -> None:
    """i8042 was for CPU 6 alone; IRQ 24 and its like are never migrated."""
    off(6)(msi)
    assert affinity(msi, 12) == ("bf", "02")
    on(6)(msi)
    assert affinity(msi, 12) == ("bf", "02")
    assert affinity(msi, 24) == ("01", "01")


def test_a_move_that_waits_for_an_interrupt_goes_with_its_cpu(msi) -> None:
    """irq_fixup_move_pending(): what was asked for is no longer there to move to."""
    before = affinity(msi, 9)
    assert write(msi, "/proc/irq/9/smp_affinity_list", b"3") == 1
    assert affinity(msi, 9) == ("08", before[1])
    off(3)(msi)
    assert affinity(msi, 9) == before
    on(3)(msi)
    msi.kernel.raise_irq(9, 1)
    assert affinity(msi, 9) == before


def test_a_move_that_waits_counts_no_interrupt_twice(msi) -> None:
    """irq_move_masked_irq(): the first interrupt lands where it was, and carries out the move."""
    before = counts(msi, 9)
    (old,) = [cpu for cpu in range(8) if affinity(msi, 9)[1] == f"{1 << cpu:02x}"]
    assert write(msi, "/proc/irq/9/smp_affinity_list", b"3") == 1
    msi.kernel.raise_irq(9, 5)
    expected = before.copy()
    expected[old] += 1
    expected[3] += 4
    assert counts(msi, 9) == expected


# Which CPUs are given channels ----------------------------------------------------------------


def targets(machine: Machine) -> set[int]:
    return {channel.target_cpu for channel in machine.kernel.vmbus.channels.values()}


def offer(machine: Machine, command: str) -> set[int]:
    """The CPUs of the channels of a new device."""
    before = set(machine.kernel.vmbus.channels)
    console(machine, "offer", command)
    machine.advance(SECOND)
    after = machine.kernel.vmbus.channels
    return {channel.target_cpu for relid, channel in after.items() if relid not in before}


def test_channels_of_a_guest_that_boots_with_cpus_offline(machine) -> None:
    machine = guest(SOURCE.replace("[cpus]\n", "[cpus]\noffline = [2, 3, 5]\n", 1))
    assert text(machine, f"{CPUS}/offline") == "2-3,5\n"
    assert targets(machine) == {0, 1, 4, 6, 7}


def test_channels_offered_while_cpus_are_offline(machine) -> None:
    evacuate(machine, {2, 3, 4, 5})
    for cpu in (2, 3, 4, 5):
        assert offline(machine, cpu) == 1
    assert offer(machine, "netvsc subchannels=31") == {0, 1, 6, 7}
    assert offer(machine, "scsi subchannels=8") <= {0, 1, 6, 7}
    assert offer(machine, "heartbeat guid=11111111-2222-3333-4444-555555555555") == {0}
    assert is_on_a_dead_cpu(machine) == []


def test_channels_opened_again_while_cpus_are_offline(machine) -> None:
    name = machine.kernel.vmbus.channels[13].device.name
    driver = "/sys/bus/vmbus/drivers/hv_netvsc"
    evacuate(machine, {2, 3, 4, 5})
    for cpu in (2, 3, 4, 5):
        assert offline(machine, cpu) == 1
    for file in ("unbind", "bind"):
        assert write(machine, f"{driver}/{file}", name.encode()) == len(name)
        machine.advance(SECOND)
    channels = machine.kernel.vmbus.devices[name].channels
    assert {channel.state.name for channel in channels} == {"OPENED"}
    assert is_on_a_dead_cpu(machine) == []


ISOLATED = "[cpus]\nisolated = { managed_irq = [2, 3], domain = [2, 3] }\n"


def test_isolated_cpus_are_given_no_channels(machine) -> None:
    machine = guest(SOURCE.replace("[cpus]\n", ISOLATED, 1))
    assert text(machine, f"{CPUS}/isolated") == "2-3\n"
    assert targets(machine) == {0, 1, 4, 5, 6, 7}
    assert offer(machine, "netvsc subchannels=31") == {0, 1, 4, 5, 6, 7}
    for cpu in (2, 3):  # and so nothing keeps them
        assert offline(machine, cpu) == 1


@pytest.mark.parametrize(
    ("mask", "answer", "kept", "cpu"),
    [
        (b"4", "EINVAL", "80", 7),
        (b"c", "EINVAL", "80", 7),
        (b"1c", 2, "1c", 4),
        (b"f", 1, "0f", 0),
        (b"8c", 2, "8c", 7),
    ],
)
def test_isolated_cpus_are_not_picked_by_affinity_writes(mask, answer, kept, cpu) -> None:
    machine = guest(SOURCE.replace("[cpus]\n", ISOLATED, 1))
    assert move(machine, 19, 7) == 1
    assert write(machine, "/proc/irq/39/smp_affinity", mask) == answer
    assert affinity(machine, 39) == (kept, f"{1 << cpu:02x}")
    assert move(machine, 19, 2) == "EINVAL"


def test_the_last_cpu_that_is_not_isolated_stays() -> None:
    isolated = "[cpus]\nisolated = { domain = [0, 1, 2, 3, 4, 5, 6] }\n"
    machine = guest(SOURCE.replace("[cpus]\n", isolated, 1))
    evacuate(machine, {6, 7})
    assert offline(machine, 7) == "EBUSY"
    assert offline(machine, 6) == 1


# Counts ----------------------------------------------------------------------------------------


def test_counts_leave_with_their_column_and_come_back(machine) -> None:
    console(machine, "interrupt", f"{RELID} 7")
    before = json.loads(text(machine, "/host/state.json"))["irqs"]
    table = text(machine, "/proc/interrupts")
    evacuate(machine, {GOING})
    machine.kernel.accounting.restore_arch("HYP", {0: 71})  # the acknowledgement counted
    assert offline(machine) == 1
    assert text(machine, "/proc/interrupts") == without_column(table, GOING)
    assert counts(machine)[GOING] == 7
    assert online(machine) == 1
    assert text(machine, "/proc/interrupts") == table
    after = json.loads(text(machine, "/host/state.json"))["irqs"]
    assert [irq["counts"] for irq in after.values()] == [irq["counts"] for irq in before.values()]


def without_column(table: str, cpu: int) -> str:
    """/proc/interrupts without the eleven characters of a CPU; ERR and MIS have one column."""
    at = 5 + 11 * cpu
    lines = table.splitlines(keepends=True)
    return "".join(
        line if line[:3] in {"ERR", "MIS"} else line[:at] + line[at + 11 :] for line in lines
    )

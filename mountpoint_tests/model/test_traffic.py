"""Interrupts that come by themselves, and every file in which they count."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from fakeproc import profiles
from fakeproc.guest.accounting import USER_HZ
from fakeproc.guest.cpu_time import HARDIRQ_COST, SOFTIRQ_COST
from fakeproc.guest.hv.vmbus import PACKET_BYTES
from fakeproc.host.traffic import Poisson, Source, Steady, source
from fakeproc.machine import Machine
from fakeproc.timeline import MILLISECOND, SECOND

from .guests import channel_path, default_guest, interrupt_rows, text, write

pytestmark = pytest.mark.every_kernel

CPUS = 8
WRAP = 1 << 32
NETVSC = {13: 34, **dict(zip(range(16, 23), range(36, 43), strict=True))}  # relid: IRQ
STORVSC = {14: 28, 23: 43, 15: 29, 24: 44}
# /proc/stat, arch/x86/kernel/irq.c: rows of other interrupts that count into the total of `intr`.
IN_TOTAL = {
    *("NMI", "LOC", "SPU", "PMI", "IWI", "RTR", "RES", "CAL"),
    *("TRM", "THR", "HYP", "HRE", "HVS", "MCE", "MCP"),
}


# Sources -----------------------------------------------------------------------------------------


def arrivals(of: Source, *instants: int) -> list[int]:
    """How many there have been up to each of the instants."""
    total, counts = 0, []
    for instant in instants:
        total += of.take(instant)
        counts.append(total)
    return counts


def test_steady_interrupts_come_at_even_intervals():
    assert arrivals(Steady(4, 0), 0, SECOND // 4 - 1, SECOND // 4, SECOND, 10 * SECOND) == [
        *(0, 0, 1, 4, 40)
    ]


@pytest.mark.parametrize(
    ("rate", "seconds", "count"),
    [
        (1000, 1, 1000),
        (0.5, 3, 1),
        (0.1, 100, 10),
        (1 / 3, 3000, 1000),
        (0, 10**6, 0),
        (1e9, 5, 5e9),
    ],
)
def test_steady_interrupts_do_not_drift(rate, seconds, count):
    assert arrivals(Steady(rate, 7), 7 + seconds * SECOND) == [count]


@pytest.mark.parametrize("kind", ["steady", "poisson"])
def test_a_source_has_no_interrupts_before_it_starts(kind):
    assert arrivals(source(kind, 1000, 5 * SECOND, "seed"), 0, 4 * SECOND, 5 * SECOND) == [0, 0, 0]


instants = st.lists(st.integers(0, 10**13), min_size=1, max_size=20).map(sorted)


@given(st.sampled_from(["steady", "poisson"]), st.floats(0.001, 1e5), st.integers(0, 99), instants)
@settings(deadline=None)
def test_the_answer_does_not_depend_on_how_often_it_is_asked(kind, rate, seed, instants):
    asked_often = arrivals(source(kind, rate, 0, f"{seed}"), *instants)
    asked_once = [arrivals(source(kind, rate, 0, f"{seed}"), instant)[0] for instant in instants]
    assert asked_often == asked_once
    assert asked_often == sorted(asked_often)


@pytest.mark.parametrize("rate", [0.3, 40, 5000])
def test_poisson_counts_have_the_mean_and_the_variance_of_their_rate(rate):
    """Of 2,000 intervals: both within six standard errors."""
    span, number = int(20 / rate * SECOND), 2000  # 20 are to be expected in each
    poisson = Poisson(rate, 0, "seed")
    counts = [poisson.take((at + 1) * span) for at in range(number)]
    assert statistics.fmean(counts) == pytest.approx(20, abs=6 * (20 / number) ** 0.5)
    assert statistics.variance(counts) == pytest.approx(20, abs=6 * 20 * (2 / number) ** 0.5)


def test_poisson_intervals_know_nothing_of_one_another():
    poisson = Poisson(100, 0, "seed")
    counts = [poisson.take((at + 1) * SECOND // 10) for at in range(4000)]
    assert abs(statistics.correlation(counts[:-1], counts[1:])) < 6 / 4000**0.5


def test_the_seed_decides():
    several = [arrivals(Poisson(100, 0, seed), *range(0, SECOND, SECOND // 50)) for seed in "aab"]
    assert several[0] == several[1] != several[2]


@pytest.mark.parametrize(
    ("kind", "rate"), [("steady", -1), ("poisson", -0.1), ("steady", float("inf")), ("bursty", 1)]
)
def test_a_source_that_cannot_be_is_refused(kind, rate):
    with pytest.raises(ValueError, match=r"not a rate|neither steady nor poisson"):
        source(kind, rate, 0, "")


# One reading of everything -----------------------------------------------------------------------


@dataclass
class Reading:
    """What the files that count said at one moment."""

    rows: dict[str, list[int]]  # /proc/interrupts
    intr: list[int]  # /proc/stat: the total, then one for each IRQ
    times: dict[str, list[int]]  # /proc/stat: the cpu lines
    softirq: list[int]  # /proc/stat: the total, then one for each kind
    softirqs: dict[str, list[int]]  # /proc/softirqs
    per_cpu: dict[str, list[int]]  # /sys/kernel/irq/<n>/per_cpu_count
    channels: dict[int, tuple[int, int]]  # interrupts and events, by relid
    rings: dict[int, tuple[int, ...]]  # indices, of primary channels
    uptime: float

    @classmethod
    def of(cls, machine: Machine) -> Reading:
        machine.catch_up()
        stat = {}
        for line in text(machine, "/proc/stat").splitlines():
            key, *numbers = line.split()
            stat[key] = [int(number) for number in numbers]
        channels, rings = {}, {}
        for relid, channel in machine.kernel.vmbus.channels.items():
            path = channel_path(machine, relid)
            channels[relid] = tuple(
                int(text(machine, f"{path}/{n}")) for n in ("interrupts", "events")
            )
            if channel.is_primary and channel.inbound is not None:
                rings[relid] = tuple(
                    int(text(machine, f"{path}/../../{way}_{end}_index"))
                    for way in ("in", "out")
                    for end in ("read", "write")
                )
        return cls(
            {
                label: row.counts
                for label, row in interrupt_rows(text(machine, "/proc/interrupts")).items()
            },
            stat["intr"],
            {key: numbers for key, numbers in stat.items() if key.startswith("cpu")},
            stat["softirq"],
            {
                line.split(":")[0].strip(): [int(n) for n in line.split(":")[1].split()]
                for line in text(machine, "/proc/softirqs").splitlines()[1:]
            },
            {
                str(irq): [
                    int(n) for n in text(machine, f"/sys/kernel/irq/{irq}/per_cpu_count").split(",")
                ]
                for irq in machine.kernel.irqs.descs
            },
            channels,
            rings,
            float(text(machine, "/proc/uptime").split()[0]),
        )


def grown(after: list[int], before: list[int]) -> list[int]:
    return [one - other for one, other in zip(after, before, strict=True)]


def moved(machine: Machine, relid: int, before: Reading, packets: int) -> tuple[int, ...]:
    """Where the ends of both rings stand after so many packets; they may be where they were."""
    channel = machine.kernel.vmbus.channels[relid]
    assert channel.inbound
    size = channel.inbound.data_size
    return tuple((index + packets * PACKET_BYTES) % size for index in before.rings[relid])


def assert_differences_agree(machine: Machine, before: Reading, after: Reading) -> None:
    """Two readings of a real machine differ by the same interrupts, wherever they count."""
    rows = {label: grown(after.rows[label], before.rows[label]) for label in after.rows}
    irqs = {label: row for label, row in rows.items() if label.isdigit()}
    for label, row in irqs.items():
        assert grown(after.per_cpu[label], before.per_cpu[label]) == row, label
        assert after.intr[1 + int(label)] - before.intr[1 + int(label)] == sum(row), label
    counted = sum(map(sum, irqs.values())) + sum(
        sum(rows[label]) for label in IN_TOTAL & rows.keys()
    )
    assert after.intr[0] - before.intr[0] == counted
    for relid, (interrupts, events) in after.channels.items():
        irq = str(machine.kernel.vmbus.channels[relid].desc.irq)
        was = before.channels[relid]
        assert interrupts - was[0] == events - was[1] == sum(irqs.get(irq, [])), relid
        if relid in after.rings:
            assert after.rings[relid] == moved(machine, relid, before, interrupts - was[0]), relid
    softirqs = {name: grown(after.softirqs[name], before.softirqs[name]) for name in after.softirqs}
    assert grown(after.softirq[1:], before.softirq[1:]) == [sum(row) for row in softirqs.values()]
    assert after.softirq[0] - before.softirq[0] == sum(map(sum, softirqs.values()))
    for cpu in range(CPUS):
        interrupts = sum(
            row[cpu] for label, row in rows.items() if label.isdigit() or label in IN_TOTAL
        )
        raised = sum(row[cpu] for row in softirqs.values())
        assert_times_agree(
            grown(after.times[f"cpu{cpu}"], before.times[f"cpu{cpu}"]),
            interrupts,
            raised,
            after.uptime - before.uptime,
        )
    network = sum(sum(irqs[str(irq)]) for irq in NETVSC.values())
    assert sum(softirqs["NET_RX"]) == network


def assert_times_agree(times: list[int], interrupts: int, softirqs: int, seconds: float) -> None:
    """Each column is cut to a whole tick, at both ends."""
    assert times[5] == pytest.approx(interrupts * HARDIRQ_COST * USER_HZ / SECOND, abs=1)
    assert times[6] == pytest.approx(softirqs * SOFTIRQ_COST * USER_HZ / SECOND, abs=1)
    assert sum(times) == pytest.approx(seconds * USER_HZ, abs=4)
    assert min(times) >= 0


def quiet_guest() -> Machine:
    """The default guest, past its quiet time, with no source left."""
    machine = default_guest()
    machine.advance(3 * SECOND)
    silence = b"all 0\ntimer 0\n"
    assert write(machine, "/host/traffic", silence) == len(silence)
    assert text(machine, "/host/traffic") == ""
    return machine


# A thousand interrupts ---------------------------------------------------------------------------


def test_a_thousand_interrupts_count_on_one_cpu_in_every_view_and_nothing_else_does():
    machine = default_guest()
    assert text(machine, "/host/clock").startswith("manual ")
    before = Reading.of(machine)
    assert write(machine, "/host/interrupt", b"19 1000\n") == 8
    after = Reading.of(machine)
    rows = {
        label: row
        for label in after.rows
        if any(row := grown(after.rows[label], before.rows[label]))
    }
    assert rows == {"39": [0, 0, 0, 0, 0, 0, 1000, 0]}
    per_cpu = {
        irq: row
        for irq in after.per_cpu
        if any(row := grown(after.per_cpu[irq], before.per_cpu[irq]))
    }
    assert per_cpu == rows
    intr = grown(after.intr, before.intr)
    assert {at: number for at, number in enumerate(intr) if number} == {0: 1000, 1 + 39: 1000}
    softirqs = {
        name: row
        for name in after.softirqs
        if any(row := grown(after.softirqs[name], before.softirqs[name]))
    }
    assert softirqs == {"NET_RX": [0, 0, 0, 0, 0, 0, 1000, 0]}
    assert after.softirq[0] - before.softirq[0] == 1000
    assert {
        relid: counts
        for relid, counts in after.channels.items()
        if counts != before.channels[relid]
    } == {19: (3375, 3375)}
    assert {name for name in after.times if after.times[name] != before.times[name]} <= {
        "cpu",
        "cpu6",
    }
    assert after.rings == before.rings  # a sub-channel's rings are nobody's file
    assert after.uptime == before.uptime


def test_a_move_that_the_host_hears_of_half_a_second_later_halves_a_second_of_interrupts():
    machine = quiet_guest()
    for name, line in (("traffic", b"19 1000"), ("latency", b"ack 0.5")):
        assert write(machine, f"/host/{name}", line) == len(line)
    assert text(machine, "/host/latency") == "ack 0.5\n"
    before = Reading.of(machine)
    assert write(machine, "/proc/irq/39/smp_affinity_list", b"2\n") == 2
    assert text(machine, "/proc/irq/39/effective_affinity_list") == "2\n"
    assert write(machine, "/host/clock", b"advance 1") == 9
    after = Reading.of(machine)
    assert grown(after.rows["39"], before.rows["39"]) == [0, 0, 500, 0, 0, 0, 500, 0]
    assert_differences_agree(machine, before, after)
    write(machine, "/host/clock", b"advance 1")
    assert grown(Reading.of(machine).rows["39"], after.rows["39"]) == [0, 0, 1000, 0, 0, 0, 0, 0]


def test_the_default_latency_is_300_microseconds():
    machine = quiet_guest()
    assert text(machine, "/host/latency") == "ack 0.0003\n"
    write(machine, "/host/traffic", b"19 10000")
    before = Reading.of(machine).rows["39"]
    write(machine, "/proc/irq/39/smp_affinity_list", b"2")
    machine.advance(MILLISECOND)
    assert grown(Reading.of(machine).rows["39"], before) == [0, 0, 7, 0, 0, 0, 3, 0]


# Rates -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "grows"),
    [
        (b"19 1000", {"39": 2000}),
        (b"19 0.5", {"39": 1}),
        (b"netvsc 10", {str(irq): 20 for irq in NETVSC.values()}),
        (b"scsi 10", {str(irq): 20 for irq in STORVSC.values()}),
        (b"heartbeat 3", {"24": 6}),
        (b"all 4", {str(irq): 8 for irq in range(24, 45)}),
        (b"irq8 50", {"8": 100}),
        (b"timer 100", {"HVS": 200 * CPUS}),
        (b"19 5\n20 6\nirq9 7", {"39": 10, "40": 12, "9": 14}),
        (b"19 0", {}),
    ],
)
def test_a_rate_is_what_comes(line, grows):
    machine = quiet_guest()
    before = Reading.of(machine)
    assert write(machine, "/host/traffic", line) == len(line)
    machine.advance(2 * SECOND)
    after = Reading.of(machine)
    found = {label: sum(grown(after.rows[label], before.rows[label])) for label in after.rows}
    others = {"CAL", "RES"} if "HVS" in grows else set()  # timers lead to some of these
    assert {label: n for label, n in found.items() if n and label not in others} == grows
    assert_differences_agree(machine, before, after)


@pytest.mark.parametrize("kind", ["steady", "poisson"])
def test_the_traffic_file_reads_as_it_was_written(kind):
    machine = quiet_guest()
    lines = f"13 0.25 {kind}\n19 1000 {kind}\nirq8 50 {kind}\ntimer 100 steady\n"
    assert write(machine, "/host/traffic", lines.encode()) == len(lines)
    assert text(machine, "/host/traffic") == lines
    other = quiet_guest()
    assert write(other, "/host/traffic", text(machine, "/host/traffic").encode()) == len(lines)
    machine.advance(100 * SECOND)
    other.advance(100 * SECOND)
    assert Reading.of(machine) == Reading.of(other)


def test_without_a_kind_a_rate_is_steady():
    machine = quiet_guest()
    write(machine, "/host/traffic", b"19 7")
    assert text(machine, "/host/traffic") == "19 7 steady\n"


@pytest.mark.parametrize("stop", [b"19 0", b"netvsc 0", b"all 0"])
def test_a_rate_of_0_stops(stop):
    machine = quiet_guest()
    write(machine, "/host/traffic", b"19 1000 poisson")
    machine.advance(SECOND)
    assert write(machine, "/host/traffic", stop) == len(stop)
    before = Reading.of(machine)
    machine.advance(60 * SECOND)
    assert Reading.of(machine).rows == before.rows
    assert text(machine, "/host/traffic") == ""


def test_all_0_stops_a_closed_channel_too():
    machine = quiet_guest()
    name = machine.kernel.vmbus.channels[7].device.name
    write(machine, "/host/traffic", b"7 1000")
    assert write(machine, "/sys/bus/vmbus/drivers/hv_utils/unbind", name.encode()) == 36
    write(machine, "/host/traffic", b"all 0")
    assert write(machine, "/sys/bus/vmbus/drivers/hv_utils/bind", name.encode()) == 36
    before = Reading.of(machine).rows
    machine.advance(SECOND)
    assert Reading.of(machine).rows == before


def test_a_closed_channel_gets_no_interrupts_and_none_are_made_up_for_when_it_is_opened():
    machine = quiet_guest()
    name = machine.kernel.vmbus.channels[7].device.name
    write(machine, "/host/traffic", b"7 1000")
    machine.advance(SECOND)
    write(machine, "/sys/bus/vmbus/drivers/hv_utils/unbind", name.encode())
    before = Reading.of(machine)
    machine.advance(10 * SECOND)
    after = Reading.of(machine)
    assert after.per_cpu == before.per_cpu
    assert after.intr[0] == before.intr[0]
    write(machine, "/sys/bus/vmbus/drivers/hv_utils/bind", name.encode())
    opened = sum(Reading.of(machine).rows["24"])
    machine.advance(SECOND)
    assert sum(Reading.of(machine).rows["24"]) - opened == 1000


def test_a_new_rate_counts_from_now_on_and_the_old_one_up_to_now():
    machine = quiet_guest()
    write(machine, "/host/traffic", b"19 1000")
    before = Reading.of(machine).rows["39"]
    machine.advance(SECOND)
    write(machine, "/host/traffic", b"19 10")
    machine.advance(SECOND)
    assert sum(grown(Reading.of(machine).rows["39"], before)) == 1010


# The default guest -------------------------------------------------------------------------------


def test_the_default_guest_is_quiet_at_first_so_that_the_letters_table_can_be_read():
    machine = default_guest()
    before = Reading.of(machine)
    machine.advance(2 * SECOND - 1)
    after = Reading.of(machine)
    assert (after.rows, after.per_cpu, after.intr) == (before.rows, before.per_cpu, before.intr)
    machine.advance(60 * SECOND + 1)
    rows = Reading.of(machine).rows
    assert sum(rows["39"]) - sum(before.rows["39"]) > 60 * 40 / 2
    assert sum(rows["HVS"]) - sum(before.rows["HVS"]) == pytest.approx(CPUS * 60 * 40, abs=CPUS)
    assert sum(rows["24"]) - sum(before.rows["24"]) == 30  # a heartbeat every two seconds


@pytest.mark.parametrize("line", [b"all 0\ntimer 0", b"19 1000", b"timer 7"])
def test_rates_that_are_written_in_the_quiet_time_are_not_overwritten_when_it_ends(line):
    machine = default_guest()
    assert write(machine, "/host/traffic", line) == len(line)
    written = set(text(machine, "/host/traffic").splitlines())
    machine.advance(10 * SECOND)
    shown = set(text(machine, "/host/traffic").splitlines())
    assert written <= shown
    if line.startswith(b"all"):
        assert not shown


@pytest.mark.parametrize("seconds", [1, 7.5, 600])
def test_two_readings_of_the_default_guest_differ_by_the_same_interrupts_everywhere(seconds):
    machine = default_guest()
    machine.advance(3 * SECOND)
    before = Reading.of(machine)
    machine.advance(int(seconds * SECOND))
    assert_differences_agree(machine, before, Reading.of(machine))


moves = st.tuples(st.sampled_from([19, 20, 22, 14, 7]), st.integers(0, CPUS - 1))
happenings = st.lists(
    st.one_of(
        moves.map(lambda it: ("move", *it)),
        st.tuples(st.just("interrupt"), st.sampled_from([19, 7, 14]), st.integers(1, 5000)),
        st.tuples(st.just("message"), st.just(0), st.integers(1, 50)),
        st.tuples(st.just("advance"), st.just(0), st.integers(0, 30 * SECOND)),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(happenings)
@example([("interrupt", 7, 2274)])  # with a minute's heartbeats: whole turns of the ring
def test_whatever_happens_between_two_readings_they_agree(happenings):
    machine = default_guest()
    machine.advance(3 * SECOND)
    before = Reading.of(machine)
    for what, which, number in happenings:
        match what:
            case "move":
                irq = machine.kernel.vmbus.channels[which].desc.irq
                assert write(machine, f"/proc/irq/{irq}/smp_affinity_list", b"%d" % number) == 1
            case "advance":
                machine.advance(number)
            case "message":
                assert write(machine, "/host/interrupt", b"message %d" % number) > 0
            case "interrupt":
                assert write(machine, "/host/interrupt", b"%d %d" % (which, number)) > 0
    # Time for what the interrupts cost: there is no more of it than has passed.
    machine.advance(60 * SECOND)
    assert_differences_agree(machine, before, Reading.of(machine))


def test_looking_changes_nothing():
    often, once = default_guest(), default_guest()
    for _ in range(25):
        often.advance(2 * SECOND // 5)
        Reading.of(often)
    once.advance(10 * SECOND)
    assert Reading.of(often) == Reading.of(once)


def test_a_flood_takes_all_of_a_cpus_time_and_not_more():
    """A million a second would cost seven seconds a second."""
    machine = quiet_guest()
    write(machine, "/host/traffic", b"19 1000000")
    last = Reading.of(machine)
    for _ in range(5):
        machine.advance(SECOND)
        now = Reading.of(machine)
        times = grown(now.times["cpu6"], last.times["cpu6"])
        assert sum(times) == pytest.approx(USER_HZ, abs=3)
        assert min(times) >= 0, "time runs backwards"
        last = now


# Where counters wrap -----------------------------------------------------------------------------


def test_a_row_wraps_at_32_bits_where_the_kernels_counter_does():
    """kstat_irqs is unsigned int; `interrupts` of a channel is u64, and so is the total of intr."""
    machine = quiet_guest()
    before = Reading.of(machine)
    assert write(machine, "/host/interrupt", b"19 %d" % (WRAP - 1)) > 0
    assert write(machine, "/host/interrupt", b"19 3") == 4
    after = Reading.of(machine)
    grew = WRAP + 2
    assert after.rows["39"][6] == (before.rows["39"][6] + grew) % WRAP
    assert after.per_cpu["39"] == after.rows["39"]
    assert after.intr[1 + 39] == after.rows["39"][6]
    assert after.intr[0] == before.intr[0] + grew
    assert after.channels[19] == tuple(count + grew for count in before.channels[19])
    assert after.softirqs["NET_RX"][6] == (before.softirqs["NET_RX"][6] + grew) % WRAP


def test_the_softirqs_of_proc_stat_wrap_as_those_of_proc_softirqs_do():
    """`fs/proc/stat.c`: unsigned int per_softirq_sums[], over what kstat_softirqs_cpu() gives."""
    machine = quiet_guest()
    write(machine, "/host/interrupt", b"19 %d" % (WRAP - 1))
    write(machine, "/host/interrupt", b"19 1000000")
    after = Reading.of(machine)
    assert after.softirq[1:] == [sum(row) % WRAP for row in after.softirqs.values()]
    assert after.softirq[0] == sum(map(sum, after.softirqs.values()))


@pytest.mark.timeout(30)
def test_a_row_of_the_architecture_wraps_and_takes_its_part_of_the_total_with_it():
    """arch_irq_stat_cpu() adds unsigned ints."""
    machine = quiet_guest()
    before = Reading.of(machine)
    assert write(machine, "/host/interrupt", b"message %d" % WRAP) > 0
    assert write(machine, "/host/interrupt", b"message 5") == 9
    after = Reading.of(machine)
    assert grown(after.rows["HYP"], before.rows["HYP"]) == [5, *[0] * 7]
    assert after.intr[0] - before.intr[0] == 5


def test_an_idle_guest_of_any_rate_costs_nothing_until_it_is_looked_at():
    """A year of the highest rates is one question to each source."""
    profile = profiles.load("hyperv-gen2")
    machine = Machine(profile, "manual")
    machine.advance(3 * SECOND)
    lines = b"all 1000000000 poisson\ntimer 1000000000"
    assert write(machine, "/host/traffic", lines) == len(lines)
    before = machine.host.relids.taken[19].sent
    machine.advance(366 * 24 * 3600 * SECOND)
    sent = machine.host.relids.taken[19].sent - before
    assert sent == pytest.approx(366 * 24 * 3600 * 1e9, rel=1e-6)

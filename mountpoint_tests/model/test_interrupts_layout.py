"""/proc/interrupts to the byte: the cover letter's table, and the rows of the real kernel."""

from __future__ import annotations

import re

import pytest

from fakeproc import profiles
from fakeproc.files.proc.interrupts_layout import label_width
from fakeproc.machine import Machine

from .captures import of_kind, text_of
from .guests import captured_guest, captured_toml, edited, interrupt_rows, text, write

# The cover letter of the series, which shows CPUs 0, 1, 6 and 7 of eight.
LETTER_CPUS = (0, 1, 6, 7)
LETTER = """
  8: 0 0 0 0 IO-APIC 8-edge rtc0
  9: 2 0 0 0 IO-APIC 9-fasteoi acpi
 24: 16841 0 0 0 VMBus 7 heartbeat
 25: 1 0 0 0 VMBus 9 shutdown
 26: 6752 0 0 0 VMBus 10 timesync
 27: 1 0 0 0 VMBus 11 vss
 28: 22095 0 0 0 VMBus 14 pri@storvsc1
 29: 0 85 0 0 VMBus 15 pri@storvsc0
 30: 3 0 0 0 VMBus 1 balloon
 31: 106 0 0 0 VMBus 3 mouse
 32: 73 0 0 0 VMBus 4 keyboard
 33: 6 0 0 0 VMBus 5 framebuffer
 34: 0 0 0 0 VMBus 13 netvsc
 35: 1 0 0 0 VMBus 8 kvp
 36: 0 0 0 0 VMBus 16 netvsc
 37: 0 0 0 0 VMBus 17 netvsc
 38: 0 0 0 0 VMBus 18 netvsc
 39: 0 0 2375 0 VMBus 19 netvsc
 40: 0 0 0 1178 VMBus 20 netvsc
 41: 1003 0 0 0 VMBus 21 netvsc
 42: 0 4337 0 0 VMBus 22 netvsc
 43: 0 0 0 0 VMBus 23 sub@storvsc1
 44: 0 0 0 0 VMBus 24 sub@storvsc0
NMI: 0 0 0 0 Non-maskable interrupts
LOC: 0 0 0 0 Local timer interrupts
SPU: 0 0 0 0 Spurious interrupts
PMI: 0 0 0 0 Performance monitoring interrupts
IWI: 1 0 0 2 IRQ work interrupts
RTR: 0 0 0 0 APIC ICR read retries
RES: 411 233 349 318 Rescheduling interrupts
CAL: 135236 29211 99526 36424 Function call interrupts
TLB: 0 0 0 0 TLB shootdowns
TRM: 0 0 0 0 Thermal event interrupts
THR: 0 0 0 0 Threshold APIC interrupts
DFR: 0 0 0 0 Deferred Error APIC interrupts
MCE: 0 0 0 0 Machine check exceptions
MCP: 109 109 109 109 Machine check polls
HYP: 71 0 0 0 Hypervisor callback interrupts
HRE: 0 0 0 0 Hyper-V reenlightenment interrupts
HVS: 183391 109695 181539 339239 Hyper-V stimer0 interrupts
ERR: 0
MIS: 0
PIN: 0 0 0 0 Posted-interrupt notification event
NPI: 0 0 0 0 Nested posted-interrupt event
PIW: 0 0 0 0 Posted-interrupt wakeup event
"""


def lines_by_label(table: str) -> dict[str, str]:
    """The rows, each as it stands, by label."""
    return {line.split(":", 1)[0].strip(): line for line in table.splitlines()[1:]}


def let_it_have_counted(machine: Machine, table: str) -> None:
    """Give the counters of a guest the values of another's table."""
    kernel = machine.kernel
    by_irq = {desc.irq: desc for desc in kernel.irqs.descs.values()}
    for label, row in interrupt_rows(table).items():
        counts = dict(enumerate(row.counts))
        if not label.isdigit():
            kernel.accounting.restore_arch(label, counts)
        elif int(label) in by_irq:
            kernel.irqs.restore(by_irq[int(label)], counts)


# The cover letter's table --------------------------------------------------------------------


def test_the_cover_letters_table_token_by_token(untouched):
    shown = []
    for line in text(untouched, "/proc/interrupts").splitlines()[1:]:
        label, *words = line.split()
        if len(words) > 1:
            words = [*(words[cpu] for cpu in LETTER_CPUS), *words[8:]]
        shown.append([label, *words])
    assert shown == [line.split() for line in LETTER.strip().splitlines()]


def test_the_counts_stand_still_until_the_clock_moves(untouched):
    assert text(untouched, "/proc/interrupts") == text(untouched, "/proc/interrupts")


# Byte by byte --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("irq", "line"),
    [
        (24, " 24:      16841          0     VMBus   7  heartbeat"),
        (8, "  8:          0          0   IO-APIC   8-edge      rtc0"),
        (9, "  9:          2          0   IO-APIC   9-fasteoi   acpi"),
    ],
)
def test_a_row_has_the_bytes_that_6_10_prints_on_two_cpus(irq, line):
    machine = captured_guest("small-2cpu")
    let_it_have_counted(machine, f"   CPU0       CPU1       \n{line}\n")
    table = text(machine, "/proc/interrupts")
    assert table.startswith("           CPU0       CPU1       \n")
    assert lines_by_label(table)[str(irq)] == line


# Rows of the capture that this guest does not have: a PIC's timer and serial ports.
NOT_OURS = {"0", "3", "4"}


@pytest.mark.parametrize(
    ("capture", "tag", "offline", "rows"),
    [
        ("boot-8cpu", "boot", (), 23 + 22),
        ("wtoff-8cpu", "6-7-offline", (6, 7), 23 + 22),
        ("small-8cpu-2numa", "boot", (), 23 + 22),
        # There netvsc has six sub-channels more, which move storvsc's to other IRQs.
        ("small-2cpu", "boot", (), 15 + 22),
    ],
)
def test_the_rows_of_the_real_kernel_byte_by_byte(capture, tag, offline, rows):
    recorded = text_of(capture, "interrupts", tag)
    machine = captured_guest(capture)
    if offline:
        for irq in (39, 40):  # the channels that are on CPUs 6 and 7 leave them
            assert write(machine, f"/proc/irq/{irq}/smp_affinity", b"4") == 1
        for cpu in offline:
            assert write(machine, f"/sys/devices/system/cpu/cpu{cpu}/online", b"0") == 1
    let_it_have_counted(machine, recorded)
    ours = text(machine, "/proc/interrupts")

    assert ours.splitlines()[0] == recorded.splitlines()[0]
    expected = lines_by_label(recorded)
    for label in NOT_OURS:
        del expected[label]
    compared = {
        label: line for label, line in lines_by_label(ours).items() if not _moved(capture, label)
    }
    assert compared == {label: expected[label] for label in compared}
    assert len(compared) == rows
    assert ours.endswith("\n")


def _moved(capture: str, label: str) -> bool:
    return capture == "small-2cpu" and label.isdigit() and int(label) >= 37


def test_rows_stand_in_the_order_of_the_real_kernel():
    recorded = [
        label
        for label in lines_by_label(text_of("boot-8cpu", "interrupts", "boot"))
        if label not in NOT_OURS
    ]
    ours = text(captured_guest("boot-8cpu"), "/proc/interrupts")
    assert list(lines_by_label(ours)) == recorded


def test_the_columns_of_offline_cpus_vanish_and_return_with_their_counts(captured):
    let_it_have_counted(captured, text_of("boot-8cpu", "interrupts", "boot"))
    before = text(captured, "/proc/interrupts")
    assert write(captured, "/proc/irq/38/smp_affinity", b"1") == 1  # it was on CPU 5
    online = "/sys/devices/system/cpu/cpu5/online"
    assert write(captured, online, b"0") == 1
    without = text(captured, "/proc/interrupts")
    assert without.splitlines()[0].split() == [f"CPU{cpu}" for cpu in (0, 1, 2, 3, 4, 6, 7)]
    assert len(interrupt_rows(without)["LOC"].counts) == 7
    assert write(captured, online, b"1") == 1
    after = text(captured, "/proc/interrupts")
    rows, rows_before = lines_by_label(after), lines_by_label(before)
    assert rows.pop("HYP") != rows_before.pop("HYP")  # the host has answered the move
    assert rows == rows_before


# Widths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nr_irqs", "width"), [(1, 3), (999, 3), (1000, 4), (9999, 4), (10000, 5), (10**11, 10)]
)
def test_labels_are_as_wide_as_the_number_of_irqs(nr_irqs, width):
    assert label_width(nr_irqs, 3) == width


@pytest.mark.parametrize(("nr_irqs", "more"), [(488, ""), (1000, " "), (10000, "  ")])
def test_label_and_hwirq_grow_by_a_column_each(captured, nr_irqs, more):
    let_it_have_counted(captured, text_of("boot-8cpu", "interrupts", "boot"))
    narrow = text(captured, "/proc/interrupts").splitlines()
    captured.kernel.irqs.nr_irqs = nr_irqs
    wide = text(captured, "/proc/interrupts").splitlines()
    expected = [more + line for line in narrow]
    for at, line in enumerate(expected):
        row = re.fullmatch(r"(\s*\d+: .*?)(VMBus|IO-APIC)( .*)", line)
        if row:
            expected[at] = f"{row[1]}{row[2]}{more}{row[3]}"
    assert wide == expected


@pytest.mark.parametrize(("cpus", "nr_irqs", "width"), [(2, 424, 3), (73, 992, 3), (74, 1000, 4)])
def test_prec_becomes_4_with_74_cpus_of_a_generation_2_guest(cpus, nr_irqs, width):
    toml = edited(captured_toml("small-2cpu"), possible=str(cpus), threads_per_core="1")
    machine = Machine(profiles.parse(toml, "wide.toml", "wide"), "manual")
    (intr,) = (line for line in text(machine, "/proc/stat").splitlines() if line[:5] == "intr ")
    assert len(intr.split()) == 2 + nr_irqs
    header = text(machine, "/proc/interrupts").splitlines()[0]
    assert header == " " * (width + 8) + "".join(f"CPU{cpu:<8d}" for cpu in range(cpus))


def test_a_counter_of_ten_digits_keeps_its_column_and_the_next_one_wraps(captured):
    kernel = captured.kernel
    desc = kernel.irqs.descs[24]
    kernel.irqs.restore(desc, {0: 0xFFFF_FFFF})
    assert lines_by_label(text(captured, "/proc/interrupts"))["24"].startswith(" 24: 4294967295  ")
    kernel.irqs.count(desc, 0)
    assert interrupt_rows(text(captured, "/proc/interrupts"))["24"].counts[0] == 0


# /proc/softirqs, in the same columns ---------------------------------------------------------


def test_softirqs_have_the_layout_of_the_real_kernel(captured):
    (recorded,) = of_kind("boot-8cpu", "softirqs")
    numbers = re.compile(r"\d+(?= |$)", re.MULTILINE)

    def layout(table: str) -> list[list[object]]:
        """Of each line its beginning, and where its numbers end."""
        return [
            [line.split(":")[0], [found.end() for found in numbers.finditer(line)]]
            for line in table.splitlines()
        ]

    assert layout(text(captured, "/proc/softirqs")) == layout(recorded["text"])

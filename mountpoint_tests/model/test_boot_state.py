"""The guest at rest: which IRQ each channel has, on which CPU, by which name."""

from __future__ import annotations

from itertools import chain

import pytest

from .captures import of_kind, text_of
from .differences import unexplained
from .guests import FCOPY, captured_guest, interrupt_rows, text
from .replay import replayed

pytestmark = pytest.mark.every_kernel

# Captures that say how every channel was before anything was written.
BOOTS = ("boot-8cpu", "default-8cpu", "small-2cpu", "small-8cpu-2numa", "lowver-8cpu", "isol-8cpu")
CHANNELS = 21


@pytest.mark.differs("6.1", FCOPY, capture="default-8cpu")
@pytest.mark.parametrize("capture", BOOTS)
def test_every_channel_boots_as_recorded(capture):
    answers = [each for row, each in replayed(capture) if row.get("state") == "boot"]
    assert len(answers) == CHANNELS
    differing = unexplained(chain(*answers))
    assert not differing, "\n".join(differing)


@pytest.mark.parametrize("capture", [boot for boot in BOOTS if boot != "small-2cpu"])
def test_affinity_hint_and_target_are_one_and_the_same_cpu_at_rest(capture):
    for row in of_kind(capture, "state")[:CHANNELS]:
        reads = row.reads
        hint = reads.pop("affinity_hint")
        assert reads["smp_affinity"] == reads["effective_affinity"] == hint
        assert reads["smp_affinity_list"] == reads["effective_affinity_list"] == reads["cpu"]


def test_irq_numbers_relids_and_names_are_those_of_the_real_guest():
    recorded = interrupt_rows(text_of("boot-8cpu", "interrupts", "boot"))
    ours = interrupt_rows(text(captured_guest("boot-8cpu"), "/proc/interrupts"))
    vmbus = {irq: row for irq, row in recorded.items() if row.chip == "VMBus"}
    assert [int(irq) for irq in vmbus] == list(range(24, 45))
    assert {irq: row for irq, row in ours.items() if row.chip == "VMBus"} == vmbus


def test_every_vmbus_irq_says_in_sysfs_what_its_row_says():
    machine = captured_guest("boot-8cpu")
    for irq, row in interrupt_rows(text(machine, "/proc/interrupts")).items():
        if row.chip != "VMBus":
            continue
        directory = f"/sys/kernel/irq/{irq}"
        assert text(machine, f"{directory}/hwirq") == f"{row.hwirq}\n"
        assert text(machine, f"{directory}/actions") == f"{row.name}\n"
        assert text(machine, f"{directory}/chip_name") == "VMBus\n"


@pytest.mark.differs("7.2", "it offers the host protocol 6.0 first")
def test_control_messages_of_the_boot_have_counted_on_hyp():
    """1 version, 15 offers, 1 end of offers, 9 sub-channels, 21 GPADLs and 21 opens."""
    recorded = interrupt_rows(text_of("boot-8cpu", "interrupts", "boot"))["HYP"]
    ours = interrupt_rows(text(captured_guest("boot-8cpu"), "/proc/interrupts"))["HYP"]
    assert ours == recorded
    assert recorded.counts == [68, 0, 0, 0, 0, 0, 0, 0]

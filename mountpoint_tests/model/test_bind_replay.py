"""The recorded unbinds and binds (bind-8cpu) step by step.

As posted, the series refuses to bind again; what it would have been is tested here, too.
"""

from __future__ import annotations

from collections import Counter

import pytest

from fakeproc.timeline import SECOND

from .captures import Row, rows
from .guests import ROW_STAYS, captured_guest, channel_path, interrupt_rows, text, write
from .test_fire_replay import Rig, replay

pytestmark = pytest.mark.every_kernel

CAPTURE = "bind-8cpu"

# Driver, device, the number of its primary's IRQ, and the relids of its channels.
DEVICES = {
    "hv_utils": ("fd149e91-82e0-4a7d-afa6-2a4166cbd7c0", 24, (7,)),
    "hv_netvsc": ("0022486b-1fa4-0022-486b-1fa40022486b", 34, (13, *range(16, 23))),
    "hv_storvsc": ("f8b3781b-1e82-4818-a1c3-63d806ec15bb", 28, (14, 23)),
}


def part(driver: str) -> tuple[Row, ...]:
    """The rows that are about one driver; each part begins with a guest just booted."""
    found = []
    about = ""
    for row in rows(CAPTURE):
        if row.kind == "section" and "unbind/bind relid" in row["section"]:
            about = row["section"].split("driver ")[1].split()[0]
        if about == driver:
            found.append(row)
    return tuple(found)


def test_the_parts_are_all_there_is() -> None:
    kinds = Counter(row.kind for driver in DEVICES for row in part(driver))
    assert sum(kinds.values()) == len(rows(CAPTURE)) - 1  # the first says which kernel it is
    assert (kinds["bindop"], kinds["node"], kinds["interrupts"]) == (21, 162, 12)


@pytest.mark.differs("6.1", ROW_STAYS)
@pytest.mark.parametrize("driver", DEVICES)
def test_every_recorded_unbind_does_what_it_did(driver) -> None:
    _, _, relids = DEVICES[driver]
    kinds, unexplained, needed = replay(Rig(part(driver), relids))
    assert not unexplained, "\n".join(unexplained)
    assert (kinds["bindop"], kinds["write"], kinds["state"], kinds["interrupts"]) == (7, 3, 4, 4)
    assert needed.keys() == {
        "an IRQ is freed when its channel is closed",
        "who was unbound can be bound again",
        "drivers signal the host",
    }


@pytest.mark.differs("6.1", ROW_STAYS)
@pytest.mark.parametrize("driver", DEVICES)
def test_who_was_unbound_is_bound_again(driver) -> None:
    """What the posted series refuses; on the kernel without it, all this was recorded too."""
    name, irq, (relid, *subchannels) = DEVICES[driver]
    machine = captured_guest(CAPTURE)
    channel = channel_path(machine, relid)
    assert write(machine, f"/proc/irq/{irq}/smp_affinity_list", b"3\n") == 2
    machine.advance(SECOND)
    machine.host.signal(machine.host.relids.taken[relid], 5)
    before = interrupt_rows(text(machine, "/proc/interrupts"))
    for _ in range(2):
        assert write(machine, f"/sys/bus/vmbus/drivers/{driver}/unbind", name.encode()) == 36
        machine.advance(SECOND)
        rows_now = interrupt_rows(text(machine, "/proc/interrupts"))
        gone = {
            label for label, row in before.items() if row.hwirq in map(str, (relid, *subchannels))
        }
        assert before.keys() - rows_now.keys() == gone
        assert write(machine, f"/sys/bus/vmbus/drivers/{driver}/bind", name.encode()) == 36
        machine.advance(SECOND)
        after = interrupt_rows(text(machine, "/proc/interrupts"))
        assert after.keys() == before.keys()
        assert after[str(irq)] == before[str(irq)], "counts and CPU survive"
    assert text(machine, f"{channel}/cpu") == "3\n"
    assert text(machine, f"{channel}/../../state") == "3\n"
    assert text(machine, f"/proc/irq/{irq}/smp_affinity") == "08\n"
    assert text(machine, f"/proc/irq/{irq}/affinity_hint") == "08\n"  # where it was opened
    machine.host.signal(machine.host.relids.taken[relid], 2)
    assert interrupt_rows(text(machine, "/proc/interrupts"))[str(irq)].counts[3] == 7
    assert text(machine, f"{channel}/interrupts") == "7\n"

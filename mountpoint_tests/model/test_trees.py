"""Directories as the real kernel showed them: names, types, modes, sizes, links, texts."""

from __future__ import annotations

from itertools import chain

import pytest

from .captures import of_kind
from .differences import VMBUS, unexplained
from .guests import node_at
from .replay import replayed

# How many nodes of each capture are compared.
NODES = {
    "boot-8cpu": 1118,
    "closed-8cpu": 110,
    "default-8cpu": 43,
    "small-2cpu": 182,
    "small-8cpu-2numa": 197,
    "fdops-8cpu": 73,
}

# IRQs of this guest; of the others below 16 that a PIC has, it has none.
OURS = {8, 9, *range(24, 45)}


@pytest.mark.parametrize("series", ["as meant", "as posted"])
@pytest.mark.parametrize("capture", NODES)
def test_every_node_is_as_recorded(capture, series):
    answers = [each for row, each in replayed(capture, series) if row.kind == "node"]
    assert len(answers) == NODES[capture]
    differing = unexplained(chain(*answers), series)
    assert not differing, "\n".join(differing)


def test_procfs_lists_names_by_length_and_then_by_letter(captured):
    readdirs = {row["readdir"]: row["names"] for row in of_kind("boot-8cpu", "readdir")}
    irqs = node_at(captured, "/proc/irq")
    recorded = [name for name in readdirs["/proc/irq"] if not name.isdigit() or int(name) in OURS]
    assert [".", "..", *(name for name, _ in irqs.children())] == recorded
    one = node_at(captured, "/proc/irq/24")
    assert [".", "..", *(name for name, _ in one.children())] == readdirs["/proc/irq/24"]


def test_a_whole_directory_of_each_kind_of_device_was_compared():
    recorded = {row["node"] for row in of_kind("boot-8cpu", "node") if row["type"] == "d"}
    devices = {path for path in recorded if path.count("/") == VMBUS.count("/") + 1}
    kinds = {
        row["text"] for row in of_kind("boot-8cpu", "node") if row["node"].endswith("/class_id")
    }
    assert len(devices) == 12
    assert len(kinds) == 11  # two of the twelve are SCSI controllers

"""Every VMBus interrupt to every CPU, by each of the three paths, through real system calls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakeproc import Guest

CPUS = range(8)


def text(path: Path) -> str:
    return path.read_text().removesuffix("\n")


def channels(guest: Guest) -> list[tuple[int, int, Path]]:
    """IRQ, relid and device directory of every channel."""
    state = json.loads((guest.host / "state.json").read_text())
    devices = guest.sys / "bus/vmbus/devices"
    return [
        (channel["irq"], channel["relid"], devices / name)
        for name, device in state["vmbus"]["devices"].items()
        for channel in device["channels"]
    ]


def written(how: str, cpu: int, proc: Path, channel: Path) -> None:
    if how == "smp_affinity":
        (proc / "smp_affinity").write_text(f"{1 << cpu:x}\n")
    elif how == "smp_affinity_list":
        (proc / "smp_affinity_list").write_text(f"{cpu}\n")
    else:
        (channel / "cpu").write_text(f"{cpu}\n")


@pytest.mark.parametrize("how", ["smp_affinity", "smp_affinity_list", "cpu"])
def test_a_move_by_one_path_is_seen_by_all(fresh_guest: Guest, how: str) -> None:
    assert len(channels(fresh_guest)) == 21
    for irq, relid, device in channels(fresh_guest):
        proc = fresh_guest.proc / "irq" / str(irq)
        channel = device / "channels" / str(relid)
        for cpu in CPUS:
            written(how, cpu, proc, channel)
            where = f"IRQ {irq}, relid {relid}, CPU {cpu}"
            assert text(proc / "smp_affinity") == f"{1 << cpu:02x}", where
            assert text(proc / "smp_affinity_list") == str(cpu), where
            assert text(proc / "effective_affinity") == f"{1 << cpu:02x}", where
            assert text(proc / "effective_affinity_list") == str(cpu), where
            assert text(channel / "cpu") == str(cpu), where
            mapping = dict(line.split(":") for line in text(device / "channel_vp_mapping").split())
            assert mapping[str(relid)] == str(cpu), where

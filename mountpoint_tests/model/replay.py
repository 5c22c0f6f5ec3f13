"""A capture replayed against the model: the same events, in order, and every answer compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from errno import errorcode
from functools import cache
from typing import Protocol
from uuid import UUID

from fakeproc.files.tree import Attribute, Directory, Node, Symlink
from fakeproc.host.devices import HostChannel, HostDevice
from fakeproc.machine import Machine
from fakeproc.protocol.classes import CLASS_GUIDS
from fakeproc.protocol.messages import Monitor
from fakeproc.timeline import SECOND
from fakeproc.vfs.fstypes import SYSFS

from .captures import IRQ_FILES, READS, Row, of_kind, rows
from .differences import Mismatch
from .guests import captured_guest, channel_path, node_at, once_a_version, read, write

# Rows that begin on the CPU that they name, however the row before has ended. The captures
# reset the channel before each of them; the reset itself is not recorded.
RESET = {
    "wt-8cpu": ("mask", "list", "cpu", "ro", "noop", "fail"),
    "wtoff-8cpu": ("mask", "list", "cpu"),
    "isol-8cpu": ("mask", "cpu"),
}

# What else the captures did without recording it, by the row that it comes before: their
# sections' titles say so, or what the files read next.
UNRECORDED: dict[tuple[str, int], tuple[tuple[str, bytes], ...]] = {
    # The rotation begins on CPU 0.
    ("wt-8cpu", 292): (("/proc/irq/39/smp_affinity", b"1\n"),),
    # Channels leave the CPUs that are taken offline next.
    ("wtoff-8cpu", 3): (("/proc/irq/39/smp_affinity", b"1\n"),),
    ("wtoff-8cpu", 4): (("/proc/irq/40/smp_affinity", b"1\n"),),
    # The channel is on CPU 2 when it is closed.
    ("closed-8cpu", 4): (("/proc/irq/25/smp_affinity", b"4\n"),),
    ("closed-8cpu", 90): (("/proc/irq/34/smp_affinity", b"2\n"),),
    ("closed-8cpu", 91): (("/proc/irq/34/smp_affinity", b"4\n"),),
    # Sections about default_smp_affinity, which only say what it is.
    ("default-8cpu", 25): (("/proc/irq/default_smp_affinity", b"f0\n"),),
    ("default-8cpu", 92): (("/proc/irq/default_smp_affinity", b"1\n"),),
    ("default-8cpu", 96): (
        ("/proc/irq/default_smp_affinity", b"ff\n"),
        ("/proc/irq/39/smp_affinity", b"1\n"),
    ),
    # The last of the operations on open files.
    ("fdops-8cpu", 554): (("/proc/irq/39/smp_affinity", b"10\n"),),
}

INSTANCES = {
    "fcopy": UUID("eb765408-105f-49b6-b4aa-c123b64d17d4"),
    "kvp": UUID("242ff919-07db-4180-9c2e-b86cb68c8c55"),
    "netvsc": UUID("0022486b-2222-0022-486b-222200224862"),  # its second adapter
    "unknown": UUID("deadbeef-0000-0001-0102-030405060708"),
}
UNKNOWN_CLASS = UUID("deadbeef-0000-0000-0000-000000000000")


# What happens to the guest -------------------------------------------------------------------


def offer(machine: Machine, kind: str, relid: int, monitor: int | None = None) -> None:
    """The host offers a device, and its driver is done with it.

    The captures' drivers open a channel at once. uio_hv_generic, which has fcopy, waits
    until somebody opens its device.
    """
    device = HostDevice(CLASS_GUIDS.get(kind, UNKNOWN_CLASS), INSTANCES[kind])
    slot = Monitor(monitor, 0) if monitor else None
    device.channels = [HostChannel(device, 0, relid, slot)]
    machine.host.add(device)
    machine.advance(SECOND)
    if kind == "fcopy":
        assert open_channel(machine, relid) is None


def rescind(machine: Machine, relid: int) -> None:
    """The host takes a device away, and the guest is done with it."""
    machine.host.rescind(machine.host.relids.taken[relid])
    machine.advance(SECOND)


def close(machine: Machine, relid: int) -> None:
    """A driver closes a channel and its sub-channels, which the host takes back."""
    device = machine.kernel.vmbus.channels[relid].device
    machine.timeline.finish(machine.kernel.vmbus.ops.disconnect(device))
    machine.advance(SECOND)


def open_channel(machine: Machine, relid: int) -> str | None:
    """A driver opens a channel that is not open; the errno, if it may not."""
    channel = machine.kernel.vmbus.channels[relid]
    try:
        machine.timeline.finish(machine.kernel.vmbus.ops.open(channel, 16384))
    except OSError as error:
        return errorcode[error.errno or 0]
    return None


def _host(machine: Machine, command: str) -> str | None:
    """A command that the captures gave to their host; the errno, if it failed."""
    verb, *words = command.split()
    match verb:
        case "close":
            close(machine, int(words[0]))
        case "open":
            return open_channel(machine, int(words[0]))
        case "rescind":
            rescind(machine, int(words[0]))
        case "offer" | "offeri":  # KIND RELID, then INDEX [MONITOR], or which instance
            offer(machine, words[0], int(words[1]), int(words[3]) if words[3:] else None)
        case _:
            raise ValueError(command)
    return None


# What it answers -----------------------------------------------------------------------------


class Files(Protocol):
    """The files of a guest, asked of the model, or through a mount."""

    def read(self, path: str) -> bytes | str:
        """What a file reads, or the name of the errno."""

    def write(self, path: str, data: bytes) -> int | str:
        """What open(2) and one write(2) give, or the name of the errno."""

    def channel(self, relid: int) -> str | None:
        """The directory of a channel, if there is one."""


@dataclass(frozen=True)
class ModelFiles:
    """The files of a guest that is not mounted."""

    machine: Machine

    def read(self, path: str) -> bytes | str:
        return read(self.machine, path)

    def write(self, path: str, data: bytes) -> int | str:
        return write(self.machine, path, data)

    def channel(self, relid: int) -> str | None:
        there = relid in self.machine.kernel.vmbus.channels
        return channel_path(self.machine, relid) if there else None


@once_a_version
def replayed(
    capture: str, series: str = "as meant"
) -> tuple[tuple[Row, tuple[Mismatch, ...]], ...]:
    """Every row of a capture, with what is answered differently."""
    machine = captured_guest(capture, series)
    return tuple((row, tuple(_replay(machine, row))) for row in rows(capture))


def _replay(machine: Machine, row: Row) -> Iterator[Mismatch]:
    files = ModelFiles(machine)
    yield from ask(files, row)
    if row.kind == "node":
        yield from _node(machine, row)
    elif row.kind == "host":
        yield from _compare(row, "errno", row.get("errno"), _host(machine, row["host"]))


def ask(files: Files, row: Row) -> Iterator[Mismatch]:
    """A row that reads and writes files, and first whatever was not recorded before it."""
    for path, data in UNRECORDED.get((row.capture, row.number), ()):
        assert files.write(path, data) == len(data), (row, path)
    match row.kind:
        case "write":
            _bring_to_start(files, row)
            cpu = files.read(f"{files.channel(row['relid'])}/cpu")
            yield from _compare(row, "the CPU before it", f"{row['before']}\n", cpu)
            yield from _compare(row, "write(2)", row.answer, files.write(row["write"], row.input))
            yield from _reads(files, row)
        case "state":
            yield from _reads(files, row)
        case "file":
            yield from _compare(row, "text", row["text"], files.read(row["file"]))
        case "online":
            yield from _online(files, row)


def _compare(row: Row, field: str, recorded: object, ours: object) -> Iterator[Mismatch]:
    if isinstance(ours, bytes):
        ours = ours.decode("latin-1")
    if recorded != ours:
        yield Mismatch(row, field, recorded, ours)


def _compare_read(row: Row, field: str, recorded: str, ours: bytes | str) -> Iterator[Mismatch]:
    """What `reads` says of a file, where an errno has a mark before it."""
    yield from _compare(row, field, recorded, f"!{ours}" if isinstance(ours, str) else ours)


def _reads(files: Files, row: Row) -> Iterator[Mismatch]:
    """What the files of the row's channel read."""
    paths = {name: f"/proc/irq/{row['irq']}/{name}" for name in IRQ_FILES}
    paths["cpu"] = f"{files.channel(row['relid'])}/cpu"
    for name in READS:
        yield from _compare_read(row, name, row.reads[name], files.read(paths[name]))


def _bring_to_start(files: Files, row: Row) -> None:
    """Move the channel of a row to the CPU that it was on, where a reset came before it.

    It comes from another CPU and is sent to that one alone, so that it is the last CPU
    picked, too.
    """
    before, family = row["before"], row["tag"].split("-")[0]
    if family not in RESET.get(row.capture, ()):
        return
    for cpu in (0 if before else 1, before):
        mask = f"{1 << cpu:x}\n".encode()
        assert files.write(f"/proc/irq/{row['irq']}/smp_affinity", mask) == len(mask), row


def _online(files: Files, row: Row) -> Iterator[Mismatch]:
    """A CPU is taken offline, or brought back."""
    cpus = "/sys/devices/system/cpu"
    paths = (f"{cpus}/cpu{row['online']}/online", f"{cpus}/online", f"{cpus}/offline")
    yield from _compare(row, "write(2)", row.answer, files.write(paths[0], row.input))
    for path, recorded in zip(paths, row["reads"], strict=True):
        yield from _compare_read(row, path, recorded, files.read(path))


# Trees ---------------------------------------------------------------------------------------


@cache
def _recorded_children(capture: str) -> dict[str, set[str]]:
    """The names in each directory of a capture whose contents were recorded."""
    children: dict[str, set[str]] = defaultdict(set)
    for row in of_kind(capture, "node"):
        directory, _, name = row["node"].rpartition("/")
        children[directory].add(name)
    return children


def _node(machine: Machine, row: Row) -> Iterator[Mismatch]:
    """Type, mode, size, link count, names, target, text: whatever the recorded node has of them."""
    path = row["node"]
    node = node_at(machine, path, follow=False)
    yield from _compare(row, "type", row.get("type"), _type_of(node))
    if node is None or row.get("type") != _type_of(node):
        return
    yield from _compare(row, "mode", row["mode"], f"{node.mode:04o}")
    if isinstance(node, Directory):
        yield from _directory(row, node)
    elif isinstance(node, Symlink):
        yield from _compare(row, "target", row["target"], node.target)
    else:
        if path.startswith("/sys"):  # /proc's sizes are the mount's business
            yield from _compare(row, "size", row["size"], _size(node))
        recorded = row.get("open_errno") or row.get("read_errno") or row.get("text")
        yield from _compare(row, "text", recorded, read(machine, path))


def _size(attribute: Attribute) -> int:
    return SYSFS.block_size if attribute.size is None else attribute.size


def _type_of(node: Node | None) -> str | None:
    match node:
        case None:
            return None
        case Directory():
            return "d"
        case Symlink():
            return "l"
    return "f"


def _directory(row: Row, directory: Directory) -> Iterator[Mismatch]:
    """Names, where they were recorded, and the link count but for directories of other names."""
    nlink = directory.nlink
    recorded = _recorded_children(row.capture).get(row["node"])
    if recorded is not None:
        ours = dict(directory.children())
        for name in sorted(ours.keys() - recorded):
            yield Mismatch(row, name, None, "in the directory")
        nlink -= sum(issubclass(ours[name], Directory) for name in ours.keys() - recorded)
        nlink += sum(_is_directory(row, name) for name in recorded - ours.keys())
    yield from _compare(row, "nlink", row["nlink"], nlink)


def _is_directory(row: Row, name: str) -> bool:
    path = f"{row['node']}/{name}"
    return any(
        node["node"] == path and node.get("type") == "d" for node in of_kind(row.capture, "node")
    )

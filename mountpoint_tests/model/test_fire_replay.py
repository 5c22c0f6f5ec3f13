"""The recorded interrupts (fire-8cpu) step by step: which counters they move, and which not.

`Rig` replays the three captures in which things happen: this one, bind-8cpu, resc-8cpu.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from errno import errorcode
from typing import Any
from uuid import UUID

import pytest

from fakeproc.host.devices import HostChannel, HostDevice, device_of_profile
from fakeproc.protocol.classes import CLASS_GUIDS
from fakeproc.timeline import MILLISECOND, SECOND
from fakeproc.vfs.open_files import OpenFile
from fakeproc.vfs.operations import Operations

from .captures import Row, rows
from .differences import KNOWN, Difference, Mismatch, known, nodes
from .guests import ROW_STAYS, captured_guest, files, interrupt_rows, node_at, read, text, write
from .replay import _replay as answers_of_files
from .replay import rescind

pytestmark = pytest.mark.every_kernel

CAPTURE = "fire-8cpu"

# What was offered that the guest did not boot with: class and instance, by relid.
NEW_DEVICES = {
    31: (CLASS_GUIDS["fcopy"], "c4e5e7d1-d748-4afc-979d-683167910a55"),
    32: (CLASS_GUIDS["ide"], "00000000-0000-8899-0000-000000000000"),
    33: (CLASS_GUIDS["fc"], "11111111-0000-8899-0000-000000000001"),
    34: (CLASS_GUIDS["netdirect"], "22222222-0000-8899-0000-000000000002"),
    35: (CLASS_GUIDS["vpci"], "44c4f61d-4444-4400-9d52-802e27ede19f"),
    36: (UUID("00000400-facb-11e6-bd58-64006a7986d3"), "abcdef01-0000-0001-0102-030405060709"),
    37: (UUID("deadbeef-1234-5678-0102-030405060708"), "deadbeef-0000-0001-0102-030405060708"),
    38: (CLASS_GUIDS["rdv"], "33333333-0000-8899-0000-000000000003"),
    100: (CLASS_GUIDS["scsi"], "f8b3781a-1e82-4818-a1c3-63d806ec4f09"),
    101: (UUID("00000400-facb-11e6-bd58-64006a7986d3"), "abcdef01-0000-0001-0102-030405065d03"),
    102: (UUID("00000400-facb-11e6-bd58-64006a7986d3"), "abcdef01-0000-0001-0102-030405065d04"),
    2047: (CLASS_GUIDS["netvsc"], "0022486b-1fa4-0022-486b-1fa400221207"),
}

# What the captures did without recording it, by the row that it comes before: channels leave
# the CPU that is taken offline next (their hosts' states say where they went).
UNRECORDED = {("fire-8cpu", "online", 6, "0\n"): (("24", b"1\n"), ("39", b"1\n"))}

# What of the log was recorded.
# The drivers of the recordings opened their channels and did nothing else: what a real one
# registers below its device (a SCSI host, a network interface) was not there to be announced.
RECORDED_SUBSYSTEMS = {"vmbus", "channels", "cpu", "machinecheck"}

RECORDED_LOG = (
    "Flags mismatch",
    "request_irq failed",
    "probe failed for",
    "Unknown GUID",
    "smpboot",
)


# Where fakeproc means to differ in these three captures, and nowhere else ------------------------


def _irq_is_freed_on_close(it: Mismatch) -> bool:
    """Relid 9 is closed at the end of fire-8cpu; in bind-8cpu, who is unbound is closed."""
    row = it.row
    if row.capture == "fire-8cpu":
        return (
            (it.field == "IRQ 25" and it.ours is None)
            or (row.get("state") == "closed" and it.field == "affinity_hint")
            or nodes("/proc/irq/25/(shutdown type|affinity_hint text)",
                     "/sys/kernel/irq/25/(actions|per_cpu_count) text")(it)
        )  # fmt: skip
    if row.capture == "bind-8cpu":
        unbound = (row.get("state") or row.get("interrupts") or row.get("tag") or "").endswith(
            ("unbound", "unbound-same", "unbound-other")
        )
        return (
            (unbound and it.field == "affinity_hint" and it.ours == "00\n")
            or (unbound and it.field in {"IRQ 24", "IRQ 28", "IRQ 34"} and it.ours is None)
            or nodes(r"/proc/irq/\d+/(heartbeat|netvsc|pri@storvsc1) type",
                     r"/proc/irq/\d+/affinity_hint text", r"/sys/kernel/irq/\d+/actions text")(it)
        )  # fmt: skip
    return False


def _binding_again_works(it: Mismatch) -> bool:
    row = it.row
    tag = row.get("tag") or row.get("state") or row.get("interrupts")
    return row.capture == "bind-8cpu" and tag in {"bind", "bound", "unbind2", "bind2", "bound2",
                                                  "bind-already"}  # fmt: skip


def _cpu_store_returns_the_count(it: Mismatch) -> bool:
    return it.row.kind == "fd" and it.field == "write(2)" and (it.recorded, it.ours) == (0, 2)


def _drivers_signal_the_host(it: Mismatch) -> bool:
    path = it.row.get("file") or it.row.get("node") or ""
    return it.field == "text" and path.endswith("/events")


def _name_of_a_pci_bus(it: Mismatch) -> bool:
    return it.field == "IRQ 49" or nodes("/proc/irq/49( vpci:4444|/vpci type)",
                                         "/sys/kernel/irq/49/actions text")(it)  # fmt: skip


def _uio_opens_when_it_is_opened(it: Mismatch) -> bool:
    if it.row.kind == "interrupts":
        return it.field == "IRQ 45" or (it.row["interrupts"], it.field) == ("hotadd", "HYP")
    device = ".*/c4e5e7d1-d748-4afc-979d-683167910a55"
    return nodes("/proc/irq/45(/.*)? type", "/sys/kernel/irq/45/actions text",
                 f"{device}/channels/31 ring", f"{device}/channels/31/(in_mask|out_mask|read_avail|"
                 "write_avail) text", f"{device}/((in|out)_.*|state) text",
                 f"{device} uio")(it)  # fmt: skip


def _number_of_a_scsi_host(it: Mismatch) -> bool:
    return nodes(r".*/(00000000|11111111)-0000-8899-[^ /]* host[23]")(it)


OURS = (
    # The series as posted
    Difference(
        "an IRQ is freed when its channel is closed",
        "As posted, action, directory, hint and row stay after vmbus_close(), and an interrupt"
        " for the closed channel still counts. See differences.py.",
        _irq_is_freed_on_close,
    ),
    Difference(
        "who was unbound can be bound again",
        "As posted, request_irq() finds the old action and gives EBUSY, so every probe after the"
        " first fails, and what is recorded from there on is a device without a driver.",
        _binding_again_works,
    ),
    Difference(
        "a store to `cpu` returns the count",
        "As posted it returns 0. See differences.py.",
        _cpu_store_returns_the_count,
    ),
    # Artefacts of the captures' host and drivers, which are no real ones
    Difference(
        "drivers signal the host",
        "The captures' drivers read nothing and answer nothing, so that `events` stays 0.",
        _drivers_signal_the_host,
    ),
    Difference(
        "a vPCI bus names its interrupt after its domain",
        "Patch 4: vpci:%04x. The capture's driver keeps the default name, and has no PCI function.",
        _name_of_a_pci_bus,
    ),
    Difference(
        "uio_hv_generic opens a channel when /dev/uio<n> is opened",
        "The capture's driver of that name opens it when it is bound, as all of its drivers do.",
        _uio_opens_when_it_is_opened,
    ),
    Difference(
        "storvsc is a SCSI host",
        "The capture's driver is none.",
        _number_of_a_scsi_host,
    ),
)
# No difference in any answer: a second offer of the kvp device while the first is there (the
# kernel takes it for a resume from hibernation, and warns) is replayed as a message that says
# nothing; pwrite(2) to procfs (ESPIPE) is not replayed, as FUSE cannot tell it from write(2).


def difference(mismatch: Mismatch) -> Difference | None:
    """The difference that a mismatch is a case of."""
    return known(mismatch) or next((each for each in OURS if each.excuses(mismatch)), None)


# The rig -----------------------------------------------------------------------------------------


@dataclass
class Held:
    """A file that is open, by the rules of the mount."""

    operations: Operations
    file: OpenFile

    def read(self) -> int | str:
        try:
            return len(self.operations.read(self.file, 4096, 0))
        except OSError as error:
            return errorcode[error.errno]

    def write(self, data: bytes) -> int | str:
        try:
            return self.operations.write(self.file, data)
        except OSError as error:
            return errorcode[error.errno]


class Rig:
    """Does what the rows of a capture say, and compares every answer.

    With `relids`, tables are compared as far as they are about these.
    """

    def __init__(self, these: tuple[Row, ...], relids: tuple[int, ...] = ()) -> None:
        self.machine = captured_guest(these[0].capture)
        self.machine.advance(SECOND)
        # The capture's vPCI bus is empty.
        self.machine.kernel.pci.plug = lambda *_: iter(())
        self._rows = these
        self._relids = relids
        self._held: dict[str, Held] = {}
        self._hyp_before: tuple[int, int] | None = None
        self._new_ids = iter(("hv_utils", "hv_storvsc"))
        self._drain()

    def __iter__(self) -> Iterator[tuple[Row, list[Mismatch]]]:
        for row in self._rows:
            yield row, list(self.replay(row))

    def replay(self, row: Row) -> Iterator[Mismatch]:
        steps: dict[str, Callable[[Row], Iterable[Mismatch]]] = {
            "interrupts": self._table,
            "stat": self._stat,
            "host": self._host,
            "bindop": self._bind,
            "newid": self._new_id,
            "uevents": self._uevents,
            "readdir": self._names,
            "fds": self._open,
            "fd": self._fd,
            "online": self._online,
        }
        files(self.machine).boundary.stores += 1  # nothing that was seen before is still true
        if row.kind in steps:
            yield from steps[row.kind](row)
        else:
            yield from answers_of_files(self.machine, row)
            self.machine.advance(4 * MILLISECOND)  # what was sent has arrived

    # What is done to the guest

    def _host(self, row: Row) -> Iterator[Mismatch]:
        verb, *words = row["host"].split()
        guest, kernel = self.machine.host.guest, self.machine.kernel
        match verb, [int(word) for word in words if word.isdigit()]:
            case "fire", [relid, number]:
                self.machine.host.signal(self.machine.host.relids.taken[relid], number)
            case "fire", [relid, number, cpu]:
                guest.interrupt(cpu, {relid: number})
            case "ipi", [cpu]:
                guest.interrupt(cpu, {})
            case "setbit", [relid, cpu]:
                kernel.vmbus.synic.set_flags(cpu, {relid})
            case "msg", [number]:
                self.machine.host.send_noop_messages(number)
            case "close", [relid]:
                device = kernel.vmbus.channels[relid].device
                self.machine.timeline.finish(kernel.vmbus.ops.disconnect(device))
            case "rescind", [relid]:
                rescind(self.machine, relid)
            case (("offer" | "offeri"), [relid, *_]):
                self._offer(words[0], relid)
            case _:
                raise ValueError(row["host"])
        yield from ()

    def _offer(self, kind: str, relid: int) -> None:
        host = self.machine.host
        if kind == "kvp":  # again, while it is there
            host.send_noop_messages(1)
        elif relid in NEW_DEVICES:
            class_id, instance = NEW_DEVICES[relid]
            device = HostDevice(
                class_id, UUID(instance), is_hvsock=kind == "hvsock", from_host=True
            )
            device.channels = [HostChannel(device, 0, relid)]
            host.add(device)
        else:  # one that it booted with
            profile = self.machine.profile.vmbus.devices
            wanted = next(d for d in profile if d.class_id == CLASS_GUIDS[kind])
            device = device_of_profile(wanted, 0)
            device.channels[0].preferred = relid
            host.add(device)
        self.machine.advance(SECOND)

    def _bind(self, row: Row) -> Iterator[Mismatch]:
        self._drain()
        ours = write(self.machine, row["bindop"], row.input)
        self.machine.advance(SECOND)  # sub-channels may go, or come, a little later
        yield from self._compare(row, "write(2)", row.answer, ours)
        yield from self._said(row, row["uevents"], row["log"])

    def _new_id(self, row: Row) -> Iterator[Mismatch]:
        """Of the second one it was not recorded which driver it was given to."""
        path = f"/sys/bus/vmbus/drivers/{next(self._new_ids)}/new_id"
        class_id, _ = NEW_DEVICES[37]
        ours = write(self.machine, path, str(class_id).encode())
        yield from self._compare(row, "write(2)", row.answer, ours)

    def _online(self, row: Row) -> Iterator[Mismatch]:
        before = (row.capture, "online", row["online"], row["input"])
        for irq, data in UNRECORDED.get(before, ()):
            assert write(self.machine, f"/proc/irq/{irq}/smp_affinity_list", data) == len(data)
            self.machine.advance(SECOND)
        self._drain()
        yield from answers_of_files(self.machine, row)
        yield from self._said(row, row["uevents"], row["log"])

    # What the guest says

    def _table(self, row: Row) -> Iterator[Mismatch]:
        """The rows of the VMBus's IRQs; of HYP what it has grown by since the table before."""
        whole = text(self.machine, "/proc/interrupts")
        cpus = [int(name[3:]) for name in whole.splitlines()[0].split()]
        yield from self._compare(row, "CPUs", row.get("cpus") or list(range(8)), cpus)
        table = interrupt_rows(whole)
        ours = {
            label: [int(it.hwirq), it.name, _by_cpu(cpus, it.counts)]
            for label, it in table.items()
            if it.chip == "VMBus"
        }
        for irq in sorted(ours.keys() | row["rows"].keys()):
            relid, *_ = ours.get(irq) or row["rows"][irq]
            if not self._relids or relid in self._relids:
                yield from self._compare(row, f"IRQ {irq}", row["rows"].get(irq), ours.get(irq))
        now = (sum(row["HYP"].values()), sum(table["HYP"].counts))
        if self._hyp_before is not None:
            recorded, own = self._hyp_before
            yield from self._compare(row, "HYP", now[0] - recorded, now[1] - own)
        self._hyp_before = now
        yield from self._compare(row, "HYP elsewhere", 0, sum(table["HYP"].counts[1:]))

    def _stat(self, row: Row) -> Iterator[Mismatch]:
        (intr,) = (
            line for line in text(self.machine, "/proc/stat").splitlines() if "intr " in line
        )
        counts = [int(word) for word in intr.split()[2 + row["from"] :]]
        recorded = row["counts"]
        yield from self._compare(row, "counts", recorded, counts[: len(recorded)])

    def _uevents(self, row: Row) -> Iterator[Mismatch]:
        yield from self._said(row, row["events"], row["log"])

    def _said(self, row: Row, events: list[Any], log: list[str]) -> Iterator[Mismatch]:
        """Uevents and log since the last time."""
        said, logged = self._drain()
        yield from self._compare(row, "uevents", events, said)
        yield from self._compare(row, "log", log, logged)

    def _drain(self) -> tuple[list[Any], list[str]]:
        kernel = self.machine.kernel
        events, lines = list(kernel.uevents.events), list(kernel.log.records)
        kernel.uevents.events.clear()
        kernel.log.records.clear()
        said = []
        for event in events:
            if event.subsystem not in RECORDED_SUBSYSTEMS:
                continue
            more = dict(event.environment)
            for key in ("ACTION", "DEVPATH", "SUBSYSTEM", "SEQNUM"):
                del more[key]
            kept = [more] if more and event.subsystem != "cpu" else []
            said.append([event.action, event.devpath, event.subsystem, *kept])
        logged = [line.text for line in lines if any(word in line.text for word in RECORDED_LOG)]
        return said, logged

    def _names(self, row: Row) -> Iterator[Mismatch]:
        """Of IRQs those from 24 on, of devices all."""
        names = [name for name, _ in node_at(self.machine, row["readdir"]).children()]
        if "irq" in row["readdir"]:
            ours = sorted((n for n in names if n.isdigit() and int(n) >= 24), key=int)
        else:
            ours = sorted(names)
        yield from self._compare(row, "names", row["names"], ours)

    # Files that are held open

    def _open(self, row: Row) -> Iterator[Mismatch]:
        """The files that the rows after this one ask, up to the next that are opened."""
        self._held.clear()
        later = self._rows[self._rows.index(row) + 1 :]
        end = next((at for at, it in enumerate(later) if it.kind == "fds"), len(later))
        for it in later[:end]:
            if it.kind != "fd" or "read" not in it:
                continue
            flags = os.O_RDWR if "write" in it else os.O_RDONLY
            self._held[it["fd"]] = Held(*files(self.machine).open(it["fd"], flags))
        yield from ()

    def _fd(self, row: Row) -> Iterator[Mismatch]:
        path = row["fd"]
        gone = "ENOENT" if node_at(self.machine, path) is None else "0"
        yield from self._compare(row, "access(2)", row.get("access") or row["stat"], gone)
        if path in self._held:
            yield from self._compare(row, "read(2)", row["read"], self._held[path].read())
            if row.get("write") not in {None, "ESPIPE"}:
                ours = self._held[path].write(b"5\n")
                yield from self._compare(row, "write(2)", row["write"], ours)

    @staticmethod
    def _compare(row: Row, field: str, recorded: object, ours: object) -> Iterator[Mismatch]:
        if recorded != ours:
            yield Mismatch(row, field, recorded, ours)


def _by_cpu(cpus: list[int], counts: list[int]) -> dict[str, int]:
    return {str(cpu): count for cpu, count in zip(cpus, counts, strict=True) if count}


# The tests ---------------------------------------------------------------------------------------


def replay(rig: Rig) -> tuple[Counter[str], list[str], Counter[str]]:
    """How many rows of each kind there are, mismatches without a reason, and reasons needed."""
    kinds: Counter[str] = Counter()
    unexplained, needed = [], Counter()
    for row, mismatches in rig:
        kinds[row.kind] += 1
        for mismatch in mismatches:
            reason = difference(mismatch)
            if reason is None:
                unexplained.append(str(mismatch))
            elif reason not in KNOWN:
                needed[reason.name] += 1
    return kinds, unexplained, needed


@pytest.mark.differs("6.1", ROW_STAYS)
def test_every_recorded_interrupt_counts_where_it_counted() -> None:
    kinds, unexplained, needed = replay(Rig(rows(CAPTURE)))
    assert not unexplained, "\n".join(unexplained)
    steps = {
        kind: kinds[kind] for kind in ("host", "interrupts", "stat", "node", "online", "write")
    }
    assert steps == {
        "host": 32, "interrupts": 14, "stat": 2, "node": 57, "online": 2, "write": 1,
    }  # fmt: skip
    assert needed.keys() == {
        "an IRQ is freed when its channel is closed",
        "drivers signal the host",
    }


def test_a_closed_channel_has_no_row_and_counts_nothing() -> None:
    """Where the posted series differs: see OURS."""
    machine = captured_guest(CAPTURE)
    device = machine.kernel.vmbus.channels[9].device
    machine.timeline.finish(machine.kernel.vmbus.ops.disconnect(device))
    before = text(machine, "/proc/stat").split("intr ")[1].split("\n")[0]
    machine.host.signal(machine.host.relids.taken[9], 4)
    assert "25" not in interrupt_rows(text(machine, "/proc/interrupts"))
    assert text(machine, "/proc/stat").split("intr ")[1].split("\n")[0] == before
    assert read(machine, "/sys/kernel/irq/25/per_cpu_count") == b"0,0,0,0,0,0,0,0\n"

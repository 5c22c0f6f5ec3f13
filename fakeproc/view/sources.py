"""Where snapshots come from: a mounted guest, or the computer itself."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress

from fakeproc.access_record import Access, AccessRecord
from fakeproc.api.files import Files
from fakeproc.api.state import State
from fakeproc.cpu_lists import numbers_of
from fakeproc.interrupts_table import Table
from fakeproc.view.snapshot import Cpu, Interrupt, Snapshot

__all__ = ["ComputerSource", "GuestSource", "Source"]

_LOG_LINES = 200
_CPUS = "/sys/devices/system/cpu"
_NODES = "/sys/devices/system/node"


class Source(ABC):
    """What is looked at.  `writable` says whether anything can be done to it."""

    writable = False

    def __init__(self, files: Files) -> None:
        self.files = files
        self._places: dict[int, tuple[int, int]] = {}

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """How it is now.  Raises OSError where it has gone."""

    def _cpus(self, present: tuple[int, ...], online: frozenset[int]) -> tuple[Cpu, ...]:
        """The CPUs with their places, which are read while a CPU is online, and kept."""
        unknown = [cpu for cpu in present if cpu in online and cpu not in self._places]
        if unknown:
            nodes = dict(self._nodes())
            for cpu in unknown:
                self._places[cpu] = (nodes.get(cpu, 0), self._package(cpu))
        return tuple(
            Cpu(cpu, *self._places.get(cpu, (0, 0)), online=cpu in online) for cpu in present
        )

    def _nodes(self) -> Iterator[tuple[int, int]]:
        """Each CPU and its node."""
        for name in self.files.list(_NODES) if self.files.exists(_NODES) else ():
            if re.fullmatch(r"node\d+", name):
                for cpu in self._listed(f"{_NODES}/{name}/cpulist"):
                    yield cpu, int(name.removeprefix("node"))

    def _package(self, cpu: int) -> int:
        try:
            return int(self.files.read(f"{_CPUS}/cpu{cpu}/topology/physical_package_id"))
        except (OSError, ValueError):  # no topology is shown: a machine of one package
            return 0

    def _listed(self, path: str) -> tuple[int, ...]:
        """The CPUs of a list file; none where it is not there."""
        try:
            text = self.files.read(path)
        except OSError:
            return ()
        return tuple(numbers_of(text.strip("\n\0 ")))  # old kernels end it with a NUL


class GuestSource(Source):
    """A guest of fakeproc, by its host's console."""

    writable = True

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        with suppress(OSError):  # a guest of somebody else still shows the rest
            files.write("/host/accesses", "on\n")

    def snapshot(self) -> Snapshot:
        """How the guest is now."""
        state = State.parse(self.files.read("/host/state.json"))
        accesses = AccessRecord.parse(self.files.read("/host/accesses")).accesses
        writes = [_written(it) for it in accesses if it.operation == "write"]
        log = self.files.read("/host/log").splitlines()
        return Snapshot(
            title=f"{state.profile}, Linux {state.kernel_release}",
            time_s=state.time_s,
            cpus=self._cpus(state.present, frozenset(state.online)),
            interrupts=tuple(_of_guest(state)),
            log=tuple(log[-_LOG_LINES:]),
            writes=tuple(writes[-_LOG_LINES:]),
            clock=self.files.read("/host/clock").strip(),
            groups={name: f"{device.type} {name}" for name, device in state.devices.items()},
        )


def _written(access: Access) -> str:
    """Who wrote what where, and what came of it where it was refused."""
    data = access.data.decode(errors="replace").strip()
    refused = f"  {access.error}" if access.error else ""
    return f"{access.time_s:.3f} {access.command}[{access.pid}] {data} > {access.path}{refused}"


def _of_guest(state: State) -> Iterator[Interrupt]:
    """Channels by device, then the other interrupts by chip, then the architecture's rows."""
    channels = set()
    for name, device in state.devices.items():
        for channel in device.channels:
            irq = None if channel.irq is None else state.irqs.get(channel.irq)
            if irq is None:
                counts = {channel.target_cpu: channel.interrupts} if channel.interrupts else {}
            else:
                channels.add(channel.irq)
                counts = irq.counts
            yield Interrupt(
                label=str(channel.relid if channel.irq is None else channel.irq),
                name=irq.actions[0] if irq and irq.actions else f"relid {channel.relid}",
                group=name,
                counts=counts,
                irq=channel.irq,
                cpus=(channel.target_cpu,),
                relid=channel.relid,
                device=name,
            )
    by_chip = sorted(state.irqs.items(), key=lambda item: (item[1].chip, item[0]))
    for number, irq in by_chip:
        if number not in channels and (irq.actions or irq.counts):
            name = ", ".join(irq.actions)
            yield Interrupt(str(number), name, irq.chip, irq.counts, number, irq.effective_affinity)
    for label, counts in state.arch.items():
        yield Interrupt(label, "", "architecture", counts)


class ComputerSource(Source):
    """Any Linux by its /proc and /sys; nothing is written."""

    def snapshot(self) -> Snapshot:
        """How it is now."""
        table = Table.parse(self.files.read("/proc/interrupts"))
        present = self._listed(f"{_CPUS}/present") or table.cpus
        release = self.files.read("/proc/sys/kernel/osrelease").strip()
        rows = [
            Interrupt(
                label=row.label,
                name=", ".join(row.actions) or row.text,
                group="architecture" if row.irq is None else re.sub(r"-[\da-f:.]+$", "", row.chip),
                counts={cpu: count for cpu, count in table.by_cpu(row).items() if count},
                irq=row.irq,
            )
            for row in table.rows
        ]
        return Snapshot(
            title=f"this computer, Linux {release}",
            time_s=time.monotonic(),
            cpus=self._cpus(present, frozenset(table.cpus)),
            interrupts=tuple(sorted(rows, key=lambda row: row.group == "architecture")),
        )

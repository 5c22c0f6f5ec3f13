"""What must hold of a machine after every request, whatever it was.

The model is compared with itself, and the files with the model: each line names
a fact that more than one place tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

from model.guests import interrupt_rows

from fakeproc.files.host.state import state
from fakeproc.files.text.bitmap import format_list
from fakeproc.files.tree import Directory, Symlink
from fakeproc.guest.cpu_time import CpuTimes
from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.hv.channel import Channel, ChannelState
from fakeproc.guest.irq.core import U32, IrqDesc
from fakeproc.host.devices import HostChannelState
from fakeproc.protocol.messages import ModifyChannelResponse

if TYPE_CHECKING:
    from fakeproc.machine import Machine
    from fakeproc.vfs.namespace import Namespace

__all__ = ["Invariants"]

CPUS = "/sys/devices/system/cpu"
BUS = "/sys/bus/vmbus/devices"
TIMES = tuple(field.name for field in fields(CpuTimes))
SMALL = 8  # CPUs: tables are looked at after every fourth step; of larger machines, less often
SAMPLE = 2  # interrupts, channels and directories that are looked at after each step


class Invariants:
    """Checks one machine; an AssertionError says what does not hold.

    `faulted`: the host has been told to go wrong, and guest and host may differ.
    """

    def __init__(self, machine: Machine, files: Namespace, random: Random) -> None:
        self.faulted = False
        self._machine = machine
        self._kernel = machine.kernel
        self._vmbus = machine.kernel.vmbus
        self._files = files
        self._random = random
        self._moment: object = None  # of the last check
        self._freed = 0  # counted by interrupts that are gone
        self._counted: dict[object, int] = {}
        self._flows: dict[int, tuple[Channel, object, int, int]] = {}
        gone = self._kernel.irqs.gone

        def count_gone(desc: IrqDesc) -> None:
            gone(desc)
            self._freed += desc.total

        self._kernel.irqs.gone = count_gone

    def check(self, step: int, *, all_of_them: bool = False) -> None:
        """After a step: everything of the model, and the files of some of it, or of all.

        Where nothing has happened since the last time, there is nothing to check.
        """
        self._machine.catch_up()  # or the first file that is read would
        moment = self._files.boundary.moment, self._kernel.timeline.now
        if moment != self._moment or all_of_them:
            with self._unrecorded():
                self._check(step, all_of_them)
            self._moment = self._files.boundary.moment, self._kernel.timeline.now

    @contextmanager
    def _unrecorded(self) -> Iterator[None]:
        """What is read here is no access of the guest's programs."""
        accesses = self._machine.accesses
        before, accesses.on = accesses.on, False
        try:
            yield
        finally:
            accesses.on = before

    def _check(self, step: int, all_of_them: bool) -> None:
        tables = all_of_them or step % (4 if self._kernel.cpus.nr_cpu_ids <= SMALL else 64) == 0
        self._cpus_are_there()
        self._channels_are_where_they_belong()
        self._interrupts_are_conserved()
        self._counters_grow()
        if tables:
            self._tables_agree()
        for desc in self._some(self._kernel.irqs.descs.values(), all_of_them):
            self._files_of_an_irq_agree(desc)
        for channel in self._some(self._vmbus.channels.values(), all_of_them):
            self._files_of_a_channel_agree(channel)
        if tables:
            self._directories_agree()
        for _ in range(40 if all_of_them else SAMPLE):
            self._a_directory_holds_what_it_lists()

    def at_rest(self) -> None:
        """Once nothing is on its way: the host has heard of everything."""
        self.check(0, all_of_them=True)
        orphans = [c.relid for c in self._vmbus.channels.values() if c.device.dead]
        assert orphans == [], f"channels of devices that are gone: {orphans}"
        if self.faulted:
            return
        for connection in self._vmbus.connections:
            if connection.has(ModifyChannelResponse):
                assert connection.modify_completed == connection.modify_sent
        for channel in self._vmbus.channels.values():
            if channel.state is ChannelState.OPENED:
                host = self._machine.host.relids.taken[channel.relid]
                assert host.target_vp == channel.target_cpu, f"relid {channel.relid}"

    def _some(self, them: object, all_of_them: bool) -> list:
        found = list(them)
        if all_of_them or len(found) <= SAMPLE:
            return found
        return self._random.sample(found, SAMPLE)

    def _text(self, path: str) -> str:
        return self._files.read(path).decode()

    # -- The model -------------------------------------------------------------------

    def _cpus_are_there(self) -> None:
        cpus = self._kernel.cpus
        assert cpus.online
        assert cpus.online & ~cpus.present == cpus.present & ~cpus.possible == 0

    def _channels_are_where_they_belong(self) -> None:
        """A channel has a device, a relid, an interrupt with the series, and a running CPU."""
        channels, online = self._vmbus.channels, self._kernel.cpus.online
        lost = [c.relid for c in channels.values() if not online >> c.target_cpu & 1]
        assert lost == [], f"channels on a CPU that is off: relids {lost}"
        assert all(relid == channel.relid for relid, channel in channels.items())
        strays = [r for r, c in channels.items() if c not in c.device.channels]
        assert strays == [], f"channels that their device does not have: {strays}"
        of_devices = [c for device in self._vmbus.devices.values() for c in device.channels]
        unmapped = [c.relid for c in of_devices if channels.get(c.relid) is not c]
        assert unmapped == [], f"channels of devices that are not mapped: {unmapped}"
        descs = self._kernel.irqs.descs
        mapped = {d.hwirq: d for d in descs.values() if isinstance(d.chip_data, Channel)}
        applied = self._kernel.personality.series.applied
        assert mapped == ({relid: c.desc for relid, c in channels.items()} if applied else {})
        assert all(irq == desc.irq for irq, desc in descs.items())
        if not self.faulted:
            taken = self._machine.host.relids.taken
            assert mapped.keys() <= taken.keys()
            off = [c.relid for c in taken.values() if c.open and not online >> c.target_vp & 1]
            assert off == [], f"the host interrupts a CPU that is off for relids {off}"

    def _interrupts_are_conserved(self) -> None:
        """What is counted in all is what every interrupt, also one that is gone, has counted."""
        irqs = self._kernel.irqs
        alive = 0
        for desc in irqs.descs.values():
            assert desc.total == sum(desc.counts.values()) & U32, f"IRQ {desc.irq}"
            alive += desc.counted_in_all
        assert (sum(irqs.irqs_sum.values()) - alive - self._freed) & U32 == 0
        flows = {}
        for relid, channel in self._vmbus.channels.items():
            host = self._machine.host.relids.taken.get(relid)
            if host is None or host.state is not HostChannelState.OPEN or channel.rescinded:
                continue
            # Between two looks at one opening of a channel, nothing is lost.
            flow = channel, channel.outbound, host.sent, channel.interrupts
            before = self._flows.get(relid)
            if channel.state is ChannelState.OPENED and channel.device.driver is not None:
                flows[relid] = flow
                same = before and before[0] is channel and before[1] is channel.outbound
                if before and same and not self.faulted:
                    assert flow[2] - before[2] == flow[3] - before[3], f"relid {relid}"
        self._flows = flows

    def _counters_grow(self) -> None:
        """No counter goes back."""
        kernel = self._kernel
        now: dict[object, int] = {
            ("irqs_sum", cpu): count for cpu, count in kernel.irqs.irqs_sum.items()
        }
        for row, counts in kernel.accounting.arch.items():
            now |= {(row, cpu): count for cpu, count in counts.items()}
        for cpu in islice(cpus_in(kernel.cpus.possible), SMALL * 2):
            times = kernel.accounting.times(cpu)
            now |= {("times", cpu, name): getattr(times, name) for name in TIMES}
        now["time"] = kernel.timeline.now
        fallen = [key for key, count in self._counted.items() if now.get(key, 0) < count]
        assert fallen == [], f"counters that went back: {fallen[:5]}"
        self._counted = now

    # -- The files -------------------------------------------------------------------

    def _tables_agree(self) -> None:
        """/proc/interrupts, /proc/stat and the files of CPUs say what the model says."""
        kernel = self._kernel
        online = list(cpus_in(kernel.cpus.online))
        table = self._text("/proc/interrupts")
        assert table.splitlines()[0].split() == [f"CPU{cpu}" for cpu in online]
        rows = {label: row for label, row in interrupt_rows(table).items() if label.isdigit()}
        wanted = {str(desc.irq) for desc in kernel.irqs.descs.values() if self._has_row(desc)}
        assert rows.keys() == wanted, f"rows: {sorted(rows.keys() ^ wanted)}"
        for label, row in rows.items():
            desc = kernel.irqs.descs[int(label)]
            assert row.counts == [desc.counts.get(cpu, 0) for cpu in online], f"IRQ {label}"
        lines = self._text("/proc/stat").splitlines()
        names = [line.split(" ", 1)[0] for line in lines if re.match(r"cpu\d", line)]
        assert names == [f"cpu{cpu}" for cpu in online]
        (intr,) = (line.split() for line in lines if line.startswith("intr "))
        totals = {irq: int(n) for irq, n in enumerate(intr[2:]) if n != "0"}
        assert totals == {d.irq: d.total for d in kernel.irqs.descs.values() if d.total}
        told = {
            irq: each["effective_affinity"] for irq, each in state(self._machine)["irqs"].items()
        }
        assert told == {str(d.irq): list(cpus_in(d.effective)) for d in kernel.irqs.descs.values()}
        assert self._text(f"{CPUS}/online") == f"{format_list(kernel.cpus.online)}\n"

    def _has_row(self, desc: IrqDesc) -> bool:
        if desc.hidden:
            return False
        if desc.actions or self._kernel.personality.version.row_needs_action:
            return bool(desc.actions)
        return any(desc.counts.get(cpu) for cpu in cpus_in(self._kernel.cpus.online))

    def _directories_agree(self) -> None:
        """What is listed is what there is."""
        descs = self._kernel.irqs.descs
        listed = {name for name in self._files.list("/proc/irq") if name.isdigit()}
        assert listed == {str(desc.irq) for desc in descs.values() if desc.in_proc}
        assert set(self._files.list("/sys/kernel/irq")) == {str(irq) for irq in descs}
        assert set(self._files.list(BUS)) == set(self._vmbus.devices)

    def _files_of_an_irq_agree(self, desc: IrqDesc) -> None:
        here, width = f"/proc/irq/{desc.irq}", self._kernel.cpus.nr_cpu_ids
        per_cpu = self._text(f"/sys/kernel/irq/{desc.irq}/per_cpu_count").split(",")
        assert list(map(int, per_cpu)) == [desc.counts.get(cpu, 0) for cpu in range(width)]
        for name, mask in (("effective_affinity", desc.effective), ("affinity", None)):
            if not desc.in_proc:
                continue
            file = name if mask is not None else f"smp_{name}"
            as_mask = int(self._text(f"{here}/{file}").replace(",", ""), 16)
            assert self._text(f"{here}/{file}_list") == f"{format_list(as_mask)}\n", desc.irq
            assert mask in {None, as_mask}, f"IRQ {desc.irq}: {file}"

    def _files_of_a_channel_agree(self, channel: Channel) -> None:
        device, cpu = channel.device, channel.target_cpu
        if self._vmbus.devices.get(device.name) is not device:
            return  # on its way in or out
        mapping = self._text(f"{BUS}/{device.name}/channel_vp_mapping").split()
        assert sorted(mapping) == sorted(f"{c.relid}:{c.target_cpu}" for c in device.channels)
        if channel.kobject is not None and "channels" in device.children:
            shown = self._text(f"{BUS}/{device.name}/channels/{channel.kobject.name}/cpu")
            assert shown == f"{cpu}\n", f"relid {channel.relid}"
        if channel.desc is not None:
            assert channel.desc.effective == 1 << cpu, f"relid {channel.relid}"
            if channel.state is ChannelState.OPENED:
                assert channel.desc.affinity >> cpu & 1, f"relid {channel.relid}"

    def _a_directory_holds_what_it_lists(self) -> None:
        """On a walk down the tree: every name is there and of its kind, every link leads on."""
        node, path = self._files.node("/"), ""
        while isinstance(node, Directory):
            children = dict(node.children())
            assert set(self._files.list(path or "/")) == set(children), path
            for name, kind in self._some(children.items(), all_of_them=False):
                child = node.lookup(name)
                assert isinstance(child, kind), f"{path}/{name} is listed as {kind.__name__}"
                if isinstance(child, Symlink):
                    self._files.node(f"{path}/{name}")
            below = [name for name, kind in children.items() if issubclass(kind, Directory)]
            if not below:
                return
            name = self._random.choice(below)
            node, path = node.lookup(name), f"{path}/{name}"

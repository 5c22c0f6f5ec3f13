"""The VMBus driver: interrupts and messages of the host, and the life of every device.

Mirrors `drivers/hv/vmbus_drv.c` and the offers of `channel_mgmt.c`.  With the
series applied every channel's relid is mapped to a Linux IRQ when it is
offered, and the IRQ is requested when the channel is opened.

`Vmbus` wires the parts of this room together; none of them knows it.
"""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING

from fakeproc.guest.hv.bus_type import HvBus
from fakeproc.guest.hv.channel import Channel, ChannelState, Driver, VmbusDevice
from fakeproc.guest.hv.channel_ops import ChannelOps
from fakeproc.guest.hv.channel_table import ChannelTable
from fakeproc.guest.hv.connection import Connection
from fakeproc.guest.hv.device_types import HV_UNKNOWN, UNSUPPORTED
from fakeproc.guest.hv.drivers.built_in import built_in_drivers, device_type
from fakeproc.guest.hv.drivers.hv_sock import HvSock
from fakeproc.guest.hv.irqchip import MessageChip, PlaceholderChip, VMBusChip
from fakeproc.guest.hv.modify import ModifyChannels
from fakeproc.guest.hv.offline import Offline
from fakeproc.guest.hv.placement import Placement
from fakeproc.guest.hv.retarget import Direct, Retargeting, ThroughIrq
from fakeproc.guest.hv.suspend import Suspend
from fakeproc.guest.hv.synic import Synic
from fakeproc.guest.irq.core import NO_NAME
from fakeproc.guest.irq.domain import IrqDomain
from fakeproc.guest.log import KERN_ERR
from fakeproc.protocol.classes import HV_SOCK
from fakeproc.protocol.messages import (
    AllOffersDelivered,
    GpadlCreated,
    GpadlTorndown,
    HostMessage,
    HostPort,
    ModifyChannelResponse,
    OfferChannel,
    OpenChannelResult,
    RescindChannelOffer,
    TlConnectResult,
    UnloadResponse,
    VersionResponse,
)
from fakeproc.series import Patch
from fakeproc.timeline import MICROSECOND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fakeproc.guest.accounting import Accounting
    from fakeproc.guest.architecture import Architecture
    from fakeproc.guest.base.core import Devices
    from fakeproc.guest.base.device import Kobject
    from fakeproc.guest.base.uevents import Uevents
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.hv.device_types import DeviceType
    from fakeproc.guest.irq.core import IrqCore
    from fakeproc.guest.log import KernelLog
    from fakeproc.guest.net import Net
    from fakeproc.guest.pci.functions import Pci
    from fakeproc.guest.scsi import Scsi
    from fakeproc.guest.uio import Uio
    from fakeproc.personality import Personality
    from fakeproc.profiles.schema import VMBus
    from fakeproc.timeline import Sleeper, Timeline

__all__ = ["PACKET_BYTES", "Vmbus"]

PACKET_BYTES = 64  # bytes that a packet takes in a ring, on the average


class Vmbus:
    """The guest's end of the VMBus."""

    def __init__(
        self,
        timeline: Timeline,
        cpus: Cpus,
        irqs: IrqCore,
        pci: Pci,
        accounting: Accounting,
        log: KernelLog,
        host: HostPort,
        personality: Personality,
        architecture: Architecture,
        uevents: Uevents,
        devices: Devices,
        scsi: Scsi,
        net: Net,
        user_space: Uio,
        parent: Kobject,
        bus: VMBus,
    ) -> None:
        series, version = personality.series, personality.version
        patches = series.patches
        channels: list[dict[int, Channel]] = [{} for _ in range(bus.connections)]
        # By relid; where two connections have the same, that of the first.
        self.channels: Mapping[int, Channel] = (
            channels[0] if bus.connections == 1 else ChainMap(*channels)
        )
        self.series = series
        self.connections = [
            Connection(host, log, version.vmbus_versions, number)
            for number in range(bus.connections)
        ]
        self.synic = Synic(cpus.online)
        self.placement = Placement(
            cpus,
            self.synic,
            self._mapped,
            {
                (device.instance, channel.relid): channel.target_cpu
                for device in bus.devices
                for channel in device.channels
                if channel.target_cpu is not None
            },
        )
        self.modify = ModifyChannels(
            self.placement, log, reports_refusals=Patch.WAIT_FOR_MODIFY in patches
        )
        self.chip: VMBusChip | PlaceholderChip = (
            VMBusChip(cpus, self.synic, self.modify, avoids_leaving=Patch.SYNIC_ONLINE in patches)
            if Patch.SET_AFFINITY in patches
            else PlaceholderChip(log)
        )
        self.retargeting: Retargeting = (
            ThroughIrq(cpus, irqs, store_returns_count=series.store_returns_count)
            if Patch.SET_AFFINITY in patches
            else Direct(cpus, self.modify, parses_first=version.parses_before_version)
        )
        self.offline = Offline(
            cpus,
            self.synic,
            self.connections,
            self.retargeting,
            self._mapped,
            log,
            waits_for_acks=Patch.WAIT_FOR_MODIFY in patches,
            rebinds=personality.rebinds_when_offlining,
        )
        self.table = ChannelTable(
            channels,
            self.placement,
            irqs,
            self._domains(irqs, architecture, bus) if Patch.MAP_RELIDS in patches else (),
            uevents,
            log,
            guards_group=Patch.GUARD_SYSFS_GROUP in patches,
        )
        self.ops = ChannelOps(self.connections, self.table, irqs, log, series)
        self.bus = HvBus(devices, self.ops, log)
        self.sockets = HvSock(self.ops)
        built_in = built_in_drivers(self.ops, cpus, pci, scsi, net, user_space, personality)
        self._drivers = [*built_in, self.sockets]
        self.suspend = Suspend(
            cpus, self.connections, self.table, self.ops, self.devices, self._rescinded, log
        )
        self._handles_irqs = Patch.REQUEST_IRQS in patches
        self._isolated = bus.confidential
        self._irqs = irqs
        self._architecture = architecture
        self._timeline = timeline
        self._accounting = accounting
        self._log = log
        self._model = devices
        self._parent = parent  # what the devices lie in
        # In ns, by instance: who loses the race at boot.
        self._probe_delays = {d.instance: d.probe_delay_us * MICROSECOND for d in bus.devices}

    def _mapped(self) -> list[Channel]:
        """Every channel whose relid is mapped; the table is made after those who ask."""
        return self.table.mapped()

    def _domains(
        self, irqs: IrqCore, architecture: Architecture, bus: VMBus
    ) -> Sequence[IrqDomain]:
        """Patch 7: "hv-vmbus"; of each connection, where they have domains of their own."""

        def domain() -> IrqDomain:
            return IrqDomain(
                irqs, self.chip, lambda hwirq: architecture.irq_floor(hwirq, irqs.nr_irqs)
            )

        if bus.domains == "global":
            return [domain()] * bus.connections
        return [domain() for _ in range(bus.connections)]

    @property
    def connection(self) -> Connection:
        """The first connection."""
        return self.connections[0]

    @property
    def devices(self) -> dict[str, VmbusDevice]:
        """By instance GUID, in the order of the offers."""
        return self.bus.devices

    def connect(self) -> Sleeper[None]:
        """`vmbus_bus_init`: find a version, register the drivers, take the offers."""
        if self.series.messages_have_irq:
            self._request_message_irq()
        yield from self.connection.negotiate()
        for driver in self._drivers:
            if driver.since > self.connection.version:
                continue
            self._log.say(f"hv_vmbus: registering driver {driver.name}")
            yield from self._model.add_driver(self.bus, driver)
        yield from self.connection.request_offers()
        for connection in self.connections[1:]:
            yield from connection.negotiate((self.connection.version,))
            yield from connection.request_offers()

    def _request_message_irq(self) -> None:
        """As reviewed: an interrupt for the control messages.

        It was never posted: that it lies in the channels' domain, with the
        relid that no channel has, and what it is called, is this project's guess.
        """
        floor = self._architecture.irq_floor(0, self._irqs.nr_irqs)
        desc = self._irqs.create(MessageChip(), 0, floor=floor)
        desc.settable = False
        self._irqs.request(desc, "vmbus")
        self._architecture.use_message_irq(desc)

    # Interrupts and messages (vmbus_drv.c)

    def handle_events(self, cpu: int, relids: dict[int, int], connection: int = 0) -> int:
        """`vmbus_chan_sched`: event flags found on `cpu`, and how often each was set.

        Returns how often a driver's callback ran.

        A relid that is not mapped, or whose channel was rescinded, counts
        nowhere (patch 9), nor does an interrupt without an action
        (`handle_simple_irq`).
        """
        ran = 0
        for relid, number in relids.items():
            channel, desc = self.table.find(relid, connection)
            if channel is None or channel.rescinded:
                continue
            if desc is None or not self._handles_irqs:
                ran += self.callback(channel, cpu, number)
            elif isinstance(desc.dev_id, Channel) and desc.actions:
                self._irqs.count(desc, cpu, number)
                ran += self.callback(desc.dev_id, cpu, number)
        return ran

    def callback(self, channel: Channel, cpu: int, number: int) -> int:
        """`onchannel_callback`: read what the host wrote, answer, signal the host.

        Returns how often: 0, where the driver has closed the channel.
        """
        driver = channel.device.driver
        if channel.outbound is None or channel.inbound is None or driver is None:
            return 0
        channel.handled += number
        channel.handled_elsewhere += number * (cpu != channel.target_cpu)
        channel.inbound.bytes_through += number * PACKET_BYTES
        channel.outbound.bytes_through += number * PACKET_BYTES
        self._accounting.raise_softirq(driver.softirq, cpu, number)
        return number

    def handle_message(self, message: HostMessage, connection: int = 0) -> None:
        """`vmbus_onmessage`: the table of handlers for what the host says."""
        on = self.connections[connection]
        match message:
            case OfferChannel():
                self._offered(message, on)
            case RescindChannelOffer(relid):
                self._rescinded(relid, on)
            case VersionResponse() | AllOffersDelivered() | UnloadResponse():
                on.arrived(0, message)
            case GpadlCreated(relid) | OpenChannelResult(relid):
                on.arrived(relid, message)
            case GpadlTorndown(gpadl):
                on.arrived(gpadl, message)
            case ModifyChannelResponse():
                self.modify.answered(message, on)
            case TlConnectResult():
                pass  # channel_message_table has no handler for it

    # Offers (channel_mgmt.c)

    def _offered(self, offer: OfferChannel, on: Connection) -> None:
        """`vmbus_onoffer` and `vmbus_process_offer`."""
        if Patch.DROP_UNSUPPORTED in self.series.patches and offer.class_id in UNSUPPORTED:
            return
        if self.suspend.takes(offer):
            return
        kind = device_type(offer.class_id)
        if not self._is_valid(offer, kind):
            return
        if kind is HV_UNKNOWN and not (offer.is_hvsock or offer.class_id in UNSUPPORTED):
            self._log.say(f"hv_vmbus: Unknown GUID: {offer.class_id}")
        name = str(offer.instance_id)
        device = self.devices.get(name) if offer.subchannel_index else self._new(kind, offer)
        if device is None:
            return  # a sub-channel of a device that is gone
        channel = Channel(offer, device, self._irq_name(offer, kind), on)
        if not self.table.add(channel):
            return
        if channel.is_primary:
            self._timeline.start(self._register(device))
        elif device.driver is not None:
            self._add_subchannel(device.driver, channel)

    def _is_valid(self, offer: OfferChannel, kind: DeviceType) -> bool:
        """`vmbus_is_valid_offer`: which devices a confidential guest takes."""
        if self._isolated and not (kind.isolated or offer.is_hvsock):
            self._log.say(
                f"hv_vmbus: Invalid offer {offer.relid} from the host supporting isolation",
                KERN_ERR,
            )
            return False
        return True

    def _irq_name(self, offer: OfferChannel, kind: DeviceType) -> str:
        """Patch 3: what the channel's interrupt is called until its driver knows better."""
        if Patch.NAME_IRQS not in self.series.patches:
            return NO_NAME
        return HV_SOCK if offer.is_hvsock else kind.irq_name

    def _add_subchannel(self, driver: Driver, channel: Channel) -> None:
        """`vmbus_add_channel_work`: one whose directory cannot be made is given back."""
        try:
            self.table.add_kobject(channel)
        except OSError as error:
            self._log.say(f"sysfs: {error.strerror}", KERN_ERR)
            self.table.remove(channel)
        else:
            self._timeline.start(driver.subchannel_offered(channel))

    def _new(self, kind: DeviceType, offer: OfferChannel) -> VmbusDevice:
        """`vmbus_device_create`."""
        return VmbusDevice(kind, offer, self._parent, self.bus)

    def _register(self, device: VmbusDevice) -> Sleeper[None]:
        """`vmbus_device_register`: the device, its driver, and only then channels/."""
        primary = device.primary  # which may go while the driver probes
        self._model.add(device)
        if self.bus.autoprobe:
            yield self._probe_delays.get(device.offer.instance_id, 0)
            yield from self._model.driver_core.attach(device)
        if not primary.rescinded:
            self.table.add_kobject(primary)

    def _rescinded(self, relid: int, on: Connection) -> None:
        """`vmbus_onoffer_rescind`; an offer that was dropped (patch 1) is not missed."""
        channel, _ = self.table.find(relid, on.number)
        if channel is None:
            return
        channel.due(channel)
        channel.rescinded = True
        on.rescinded(relid)
        if channel.is_primary:
            channel.device.dead = True
            self._timeline.start(self._unregister(channel.device))
        elif channel.state is ChannelState.OPEN and channel in channel.device.channels:
            self.table.remove(channel)  # unless the code that waited for an answer has done so
        # else a driver has it open still, and removes it once that is closed

    def _unregister(self, device: VmbusDevice) -> Sleeper[None]:
        """`vmbus_device_unregister`: the driver goes, then the device, then its channel.

        channels/ goes first of all, so that udev hears of the channels that
        go from now on without a path to the device.
        """
        kset = device.channels_kset
        if kset.name in device.children:
            kset.unlink()
        kset.container = None
        yield from self._model.remove(device)
        self.table.remove(device.primary)

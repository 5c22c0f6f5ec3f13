"""The VMBus driver: the connection to the host, and the life of every channel.

Mirrors `drivers/hv/connection.c`, `channel.c`, `channel_mgmt.c` and the
interrupt handler of `vmbus_drv.c`, with the series applied: every channel's
relid is mapped to a Linux IRQ when it is offered, and the IRQ is requested
when the channel is opened.
"""

from __future__ import annotations

import contextlib
import itertools
from errno import EAGAIN, EINVAL, EIO
from typing import TYPE_CHECKING

from fakeproc.guest.base.driver_core import DriverCore
from fakeproc.guest.base.ida import Ida
from fakeproc.guest.hv.channel import PAGE_SIZE, Channel, ChannelState, Ring, VmbusDevice
from fakeproc.guest.hv.connection import Connection
from fakeproc.guest.hv.device_types import HV_UNKNOWN, UNSUPPORTED, device_type
from fakeproc.guest.hv.drivers import Driver, built_in_drivers
from fakeproc.guest.hv.irqchip import VMBusChip
from fakeproc.guest.hv.placement import Placement
from fakeproc.guest.hv.retarget import Direct, Retargeting, ThroughIrq
from fakeproc.guest.hv.suspend import Suspend
from fakeproc.guest.hv.synic import Synic
from fakeproc.guest.log import KERN_ERR
from fakeproc.guest.pci.functions import Pci
from fakeproc.protocol.messages import (
    AllOffersDelivered,
    CloseChannel,
    GpadlCreated,
    GpadlHeader,
    GpadlTeardown,
    GpadlTorndown,
    HostMessage,
    HostPort,
    ModifyChannel,
    ModifyChannelResponse,
    OfferChannel,
    OpenChannel,
    OpenChannelResult,
    RelidReleased,
    RescindChannelOffer,
    SubchannelRequest,
    UnloadResponse,
    VersionResponse,
)
from fakeproc.timeline import MILLISECOND, Completion, Sleeper, Timeline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from fakeproc.guest.accounting import Accounting
    from fakeproc.guest.architecture import Architecture
    from fakeproc.guest.base.uevents import Uevents
    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.irq.core import IrqCore, IrqDesc
    from fakeproc.guest.log import KernelLog
    from fakeproc.guest.personality import Personality

__all__ = ["Vmbus"]

PACKET_BYTES = 64  # what a packet takes in a ring, on the average


def _default_rss(cpus: Cpus) -> int:
    """max(16, `netif_get_num_default_rss_queues`), which is half the cores."""
    return max(16, -(-cpus.online.bit_count() // (2 * cpus.profile.threads_per_core)))


class Vmbus:
    """The guest's end of the VMBus."""

    def __init__(
        self,
        timeline: Timeline,
        cpus: Cpus,
        irqs: IrqCore,
        accounting: Accounting,
        log: KernelLog,
        host: HostPort,
        personality: Personality,
        architecture: Architecture,
        uevents: Uevents,
        parent: str,
        probe_delays: Mapping[UUID, int],
    ) -> None:
        self.cpus = cpus
        self.irqs = irqs
        self.architecture = architecture
        self.series = personality.series
        version = personality.version
        self.connection = Connection(host, log, version.vmbus_versions)
        self.retargeting: Retargeting = (
            ThroughIrq(self)
            if self.series.applied
            else Direct(self, parses_first=version.parses_before_version)
        )
        self.devices: dict[str, VmbusDevice] = {}  # by instance GUID, in order of offer
        self.channels: dict[int, Channel] = {}  # by relid
        self.driver_core = DriverCore(
            timeline,
            log,
            self,
            self.devices,
            built_in_drivers(
                version.netvsc_channels or _default_rss(cpus), fcopy=version.fcopy_driver
            ),
        )
        self.synic = Synic(
            self, log, rebinds=not self.series.applied and version.rebinds_when_offlining
        )
        self.suspend = Suspend(self, log)
        self.scsi_hosts = Ida()
        self.pci_domains = Ida()
        self.pci_domain_upwards = version.pci_domain_upwards
        self.pci = Pci(cpus, irqs, architecture, version.pci_msi_chip)
        self.modifychannels_sent = 0
        self.modifychannels_completed = 0
        self.chip = VMBusChip(cpus, self.channels.get, self._retarget)
        self.placement = Placement(cpus, lambda: self.chip.synic_online, self.channels.values)
        self._timeline = timeline
        self._accounting = accounting
        self._log = log
        self._uevents = uevents
        self._parent = parent  # below /sys/devices
        self._probe_delays = probe_delays  # ns, by instance: who loses the race at boot
        self._gpadl = itertools.count(0xE1E10)

    def connect(self) -> Sleeper[None]:
        """`vmbus_bus_init`: find a version, register the drivers, take the offers."""
        yield from self.connection.negotiate()
        for name in self.driver_core.drivers:
            self._log.say(f"hv_vmbus: registering driver {name}")
        yield from self.connection.request_offers()

    # Interrupts and messages (vmbus_drv.c)

    def handle_events(self, cpu: int, relids: dict[int, int]) -> None:
        """`vmbus_chan_sched`: event flags found on `cpu`, and how often each was set.

        A relid that is not mapped, or whose channel was rescinded, counts
        nowhere (patch 9), nor does an interrupt without an action
        (`handle_simple_irq`).
        """
        for relid, number in relids.items():
            channel = self.channels.get(relid)
            if channel is None or channel.rescinded:
                continue
            if channel.desc is None:
                self.callback(channel, cpu, number)
            elif channel.desc.actions:
                self.irqs.count(channel.desc, cpu, number)
                self.callback(channel, cpu, number)

    def callback(self, channel: Channel, cpu: int, number: int) -> None:
        """`onchannel_callback`: read what the host wrote, answer, signal the host.

        Nothing, where the driver has closed the channel.
        """
        driver = channel.device.driver
        if channel.outbound is None or channel.inbound is None or driver is None:
            return
        channel.interrupts += number
        channel.events += number
        channel.inbound.bytes_through += number * PACKET_BYTES
        channel.outbound.bytes_through += number * PACKET_BYTES
        self._accounting.raise_softirq(driver.softirq, cpu, number)

    def handle_message(self, message: HostMessage) -> None:
        """`vmbus_onmessage`: the table of handlers for what the host says."""
        match message:
            case OfferChannel():
                self._offered(message)
            case RescindChannelOffer(relid):
                self._rescinded(relid)
            case VersionResponse() | AllOffersDelivered() | UnloadResponse():
                self.connection.arrived(0, message)
            case GpadlCreated(relid) | OpenChannelResult(relid):
                self.connection.arrived(relid, message)
            case GpadlTorndown(gpadl):
                self.connection.arrived(gpadl, message)
            case ModifyChannelResponse(relid, status):
                self.modifychannels_completed += 1
                self.connection.arrived(relid, message)
                if status and self.series.applied:
                    self._log.say(
                        f"hv_vmbus: Error status {status:x} in MODIFYCHANNEL response"
                        f" for relid {relid}",
                        KERN_ERR,
                    )

    # Offers (channel_mgmt.c)

    def _offered(self, offer: OfferChannel) -> None:
        """`vmbus_onoffer` and `vmbus_process_offer`."""
        if self.series.applied and offer.class_id in UNSUPPORTED:
            return
        if self.suspend.takes(offer):
            return
        kind = device_type(offer.class_id)
        if kind is HV_UNKNOWN and not (offer.is_hvsock or offer.class_id in UNSUPPORTED):
            self._log.say(f"hv_vmbus: Unknown GUID: {offer.class_id}")
        name = str(offer.instance_id)
        device = self.devices.get(name) if offer.subchannel_index else VmbusDevice(kind, offer)
        if device is None:
            return  # a sub-channel of a device that is gone
        channel = Channel(offer, device, "hv_sock" if offer.is_hvsock else kind.irq_name)
        self.map(channel)
        channel.target_cpu = self.placement.choose(channel)
        device.channels.append(channel)
        if channel.is_primary:
            self._timeline.start(self._register(device))
        elif device.driver is not None:
            self._add_channel_kobj(channel)
            self._timeline.start(device.driver.subchannel_offered(self, channel))

    def map(self, channel: Channel) -> None:
        """`vmbus_channel_map_relid`, since patch 8 to a Linux IRQ."""
        if self.series.applied:
            floor = self.architecture.irq_floor(channel.relid, self.irqs.nr_irqs)
            channel.desc = self.irqs.create(self.chip, channel.relid, floor=floor)
        self.channels[channel.relid] = channel

    def unmap(self, channel: Channel) -> None:
        """`vmbus_channel_unmap_relid`; as posted, the action goes only here."""
        if channel.desc is not None:
            self.irqs.release(channel.desc)
            self.irqs.free(channel.desc)
            channel.desc = None
        del self.channels[channel.relid]

    def _register(self, device: VmbusDevice) -> Sleeper[None]:
        """`vmbus_device_register`: the device, its driver, and only then channels/."""
        primary = device.primary  # which may go while the driver probes
        self.devices[device.name] = device
        self.uevent(device, "add", MODALIAS=device.modalias)
        if self.driver_core.autoprobe:
            yield self._probe_delays.get(device.offer.instance_id, 0)
            yield from self.driver_core.attach(device)
        if not primary.rescinded:
            self._add_channel_kobj(primary)

    def uevent(self, device: VmbusDevice, action: str, **more: str) -> None:
        """Tell udev of a device."""
        self._uevents.emit(action, self._devpath(device), "vmbus", **more)

    def _devpath(self, device: VmbusDevice) -> str:
        return f"/devices/{self._parent}/{device.name}"

    def _add_channel_kobj(self, channel: Channel) -> None:
        """`vmbus_add_channel_kobj`: channels/<relid>."""
        channel.sysfs_name = channel.relid
        devpath = f"{self._devpath(channel.device)}/channels/{channel.relid}"
        self._uevents.emit("add", devpath, "channels")

    def probe(self, driver: Driver, device: VmbusDevice) -> Sleeper[None]:
        """`vmbus_probe`: let a driver open a device; raises OSError."""
        yield from driver.probe(self, device)

    def remove(self, driver: Driver, device: VmbusDevice) -> Sleeper[None]:
        """`vmbus_remove`: let a driver close a device."""
        yield from driver.remove(self, device)

    def ask_for_subchannels(self, device: VmbusDevice, count: int) -> None:
        """Ask the device, in its own protocol, for as many sub-channels as it has."""
        count = min(count, device.offer.subchannels_available)
        if count > 0:
            self.connection.host.send_packet(SubchannelRequest(device.primary.relid, count))

    def _rescinded(self, relid: int) -> None:
        """`vmbus_onoffer_rescind`; an offer that was dropped (patch 1) is not missed."""
        channel = self.channels.get(relid)
        if channel is None:
            return
        channel.rescinded = True
        if channel.is_primary:
            self._timeline.start(self._unregister(channel.device))
        elif channel.state is ChannelState.OPEN:
            self._remove_channel(channel)
        # else a driver has it open still, and removes it once that is closed

    def _unregister(self, device: VmbusDevice) -> Sleeper[None]:
        """`vmbus_device_unregister`: the driver goes, then the device, then its channel.

        channels/ goes first of all, so that udev hears of the channels that
        go from now on without a path to the device.
        """
        device.has_channels_directory = False
        yield from self.driver_core.detach(device)
        del self.devices[device.name]
        self.uevent(device, "remove", MODALIAS=device.modalias)
        self._remove_channel(device.primary)

    def _remove_channel(self, channel: Channel) -> None:
        """`hv_process_channel_removal`: unmap the relid and give it back to the host.

        That the host cannot be told is nothing that stops it.
        """
        device = channel.device
        device.channels.remove(channel)
        if channel.sysfs_name is not None:
            parent = self._devpath(device) if device.has_channels_directory else ""
            self._uevents.emit("remove", f"{parent}/channels/{channel.sysfs_name}", "channels")
        self.unmap(channel)
        self.placement.removed(channel)
        with contextlib.suppress(OSError):
            self.connection.post(RelidReleased(channel.relid))

    def disconnect(self, device: VmbusDevice) -> Sleeper[None]:
        """`vmbus_disconnect_ring`: close the sub-channels, then the primary channel.

        A sub-channel that was rescinded before goes at once; the others go as
        soon as the host, which sees the primary closed, rescinds them.
        """
        for channel in device.channels[1:]:
            yield from self.close(channel)
            if channel.rescinded and channel in device.channels:
                self._remove_channel(channel)
        yield from self.close(device.primary)

    @staticmethod
    def subchannels_gone(device: VmbusDevice) -> Sleeper[None]:
        """Give the host a moment to rescind what a closed device has of sub-channels."""
        for _ in range(10):
            if len(device.channels) == 1:
                return
            yield MILLISECOND

    # Channels (channel.c)

    def open(self, channel: Channel, ring_size: int) -> Sleeper[None]:
        """`vmbus_open` with rings of `ring_size` bytes each way.

        Raises OSError: EINVAL when the channel is not in state OPEN, EBUSY
        when its IRQ is taken, EAGAIN when the host says no, or what posting a
        message gives.  The channel is then as it was.
        """
        if channel.state is not ChannelState.OPEN:
            raise OSError(EINVAL, f"channel {channel.relid} is in state {channel.state:d}")
        channel.state = ChannelState.OPENING
        channel.opening = Completion()
        try:
            yield from self._open(channel, ring_size)
        except OSError:
            channel.state = ChannelState.OPEN
            channel.outbound = channel.inbound = None
            raise
        finally:
            channel.opening.complete(None)

    def _open(self, channel: Channel, ring_size: int) -> Sleeper[None]:
        channel.outbound, channel.inbound = Ring(ring_size), Ring(ring_size)
        channel.gpadl = next(self._gpadl)
        self.connection.post(GpadlHeader(channel.relid, channel.gpadl, 2 * ring_size // PAGE_SIZE))
        yield self.connection.answer(GpadlCreated, channel.relid)
        if channel.desc is not None:
            self._request_irq(channel, channel.desc)
            self.irqs.set_affinity_and_hint(channel.desc, 1 << channel.target_cpu)
        try:
            self.connection.post(OpenChannel(channel.relid, channel.gpadl, channel.target_cpu))
            result = yield self.connection.answer(OpenChannelResult, channel.relid)
            if isinstance(result, OpenChannelResult) and result.status:
                raise OSError(EAGAIN, f"the host did not open channel {channel.relid}")
        except OSError:
            if channel.desc is not None:
                self.irqs.release(channel.desc)
            raise
        channel.state = ChannelState.OPENED

    def _request_irq(self, channel: Channel, desc: IrqDesc) -> None:
        try:
            self.irqs.request(desc, channel.irq_name)
        except OSError as error:
            self._log.say(
                f"hv_vmbus: request_irq failed with -{error.errno} for relid {channel.relid}"
                f" irq {desc.irq}",
                KERN_ERR,
            )
            raise

    def close(self, channel: Channel) -> Sleeper[None]:
        """`vmbus_close`: the mapping of the relid stays, the IRQ is freed where that is meant.

        An open that is under way is let finish first.  Nothing refuses: what
        cannot be said to the host is said in the log.
        """
        if channel.opening is not None:
            yield channel.opening
        if channel.state is not ChannelState.OPENED:
            return
        channel.state = ChannelState.OPEN
        try:
            self.connection.post(CloseChannel(channel.relid))
        except OSError as error:
            self._close_failed("close post msg", error)
        else:
            yield from self._teardown_gpadl(channel)
        channel.outbound = channel.inbound = None
        if channel.desc is not None and self.series.frees_on_close:
            self.irqs.release(channel.desc)

    def _teardown_gpadl(self, channel: Channel) -> Sleeper[None]:
        """`vmbus_teardown_gpadl`: of a rescinded channel the host knows nothing any more."""
        if channel.rescinded:
            return
        try:
            self.connection.post(GpadlTeardown(channel.relid, channel.gpadl))
        except OSError as error:
            self._close_failed("teardown gpadl", error)
        else:
            yield self.connection.answer(GpadlTorndown, channel.gpadl)

    def _close_failed(self, what: str, error: OSError) -> None:
        errno = -(error.errno or 0)
        self._log.say(f"hv_vmbus: Close failed: {what} return is {errno}", KERN_ERR)

    # Another CPU for a channel (channel.c)

    def _retarget(self, channel: Channel, cpu: int) -> None:
        """`vmbus_send_modifychannel` of the series: tell the host, and believe it done.

        Raises OSError EINVAL on a protocol below 4.1, or what posting gives.
        """
        if not self.connection.can_retarget:
            raise OSError(EINVAL, "the host's VMBus protocol has no ModifyChannel message")
        self.connection.post(ModifyChannel(channel.relid, cpu))
        self.modifychannels_sent += 1
        self._targets(channel, cpu)

    def modify_and_wait(self, channel: Channel, cpu: int) -> Sleeper[None]:
        """`vmbus_send_modifychannel` without the series: wait for the host to say yes.

        Raises OSError EIO when it says no, or cannot be told.
        """
        answer = self.connection.answer(ModifyChannelResponse, channel.relid)
        try:
            self.connection.post(ModifyChannel(channel.relid, cpu))
        except OSError as error:
            raise OSError(EIO, error.strerror) from error
        self.modifychannels_sent += 1
        if self.connection.acknowledges:
            response = yield answer
            if isinstance(response, ModifyChannelResponse) and response.status:
                raise OSError(EIO, f"the host refused to re-target channel {channel.relid}")
        self._targets(channel, cpu)

    def _targets(self, channel: Channel, cpu: int) -> None:
        old, channel.target_cpu = channel.target_cpu, cpu
        self.placement.moved(channel, old)

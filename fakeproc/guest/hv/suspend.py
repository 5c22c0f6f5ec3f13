"""Hibernation, as the VMBus sees it: `vmbus_suspend`, `vmbus_bus_suspend` and the way back.

Devices stay, and so do their primary channels; what named them to the host
does not.  Sub-channels go, relids are unmapped, and with them their IRQs.  The
host that the guest wakes up on offers everything anew: a device is known by
its instance GUID, its relid may be another, and its IRQ comes out of the order
of the offers.  channels/<relid> keeps the name that it was made with.
"""

from __future__ import annotations

from dataclasses import replace
from errno import EOPNOTSUPP
from typing import TYPE_CHECKING

from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.log import KERN_ERR
from fakeproc.protocol.messages import Unload, UnloadResponse
from fakeproc.timeline import MILLISECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.hv.channel import VmbusDevice
    from fakeproc.guest.hv.channel_ops import ChannelOps
    from fakeproc.guest.hv.channel_table import ChannelTable
    from fakeproc.guest.hv.connection import Connection
    from fakeproc.guest.log import KernelLog
    from fakeproc.protocol.messages import OfferChannel
    from fakeproc.timeline import Sleeper

__all__ = ["INVALID_RELID", "Suspend"]

INVALID_RELID = -1  # U32_MAX in the kernel, which `id` prints with %d
FREEZE = 100 * MILLISECOND  # freezing tasks, and letting the workqueues run dry


def nobody_goes() -> Sleeper[None]:
    """A machine of one CPU."""
    yield from ()


class Suspend:
    """Takes the bus down, and brings it back; `rescind` forgets the channel of a relid."""

    def __init__(
        self,
        cpus: Cpus,
        connections: Sequence[Connection],
        table: ChannelTable,
        ops: ChannelOps,
        devices: Mapping[str, VmbusDevice],
        rescind: Callable[[int, Connection], None],
        log: KernelLog,
    ) -> None:
        self.resumed = 0  # how often
        self.is_disconnected = False  # `conn_state`: the bus is suspended
        self._cpus = cpus
        self._connections = connections
        self._table = table
        self._ops = ops
        self._devices = devices
        self._rescind = rescind
        self._log = log
        # `pm_sleep_disable_secondary_cpus` and back: the kernel's, which comes later.
        self.freeze_cpus: Callable[[], Sleeper[None]] = nobody_goes
        self.thaw_cpus: Callable[[], Sleeper[None]] = nobody_goes

    def hibernate(self) -> Sleeper[None]:
        """Write an image, be switched off, and wake up from it.

        Raises OSError, with everything as it was: EOPNOTSUPP where a device's
        driver cannot suspend it, or what posting the Unload message gives.
        """
        self._log.say("PM: hibernation: hibernation entry")
        try:
            yield from self._snapshot()
        finally:
            self._log.say("PM: hibernation: hibernation exit")

    def _snapshot(self) -> Sleeper[None]:
        """`hibernation_snapshot`, and what its image does when it wakes up."""
        yield FREEZE
        suspended: list[VmbusDevice] = []
        try:
            for device in reversed(list(self._devices.values())):
                yield from self._suspend_device(device)
                suspended.append(device)
        except OSError:
            yield from self._resume_devices(suspended)
            raise
        try:
            yield from self._suspend_bus()
        except OSError:
            yield from self._resume_devices(list(self._devices.values())[::-1])
            raise
        self._log.say("ACPI: PM: Preparing to enter system sleep state S4")
        yield from self._create_image()
        self._log.say("ACPI: PM: Waking up from system sleep state S4")
        yield from self._resume_bus()
        yield from self._resume_devices(list(self._devices.values())[::-1])

    def _create_image(self) -> Sleeper[None]:
        """`create_image`: on one CPU, whose timer rests, too."""
        yield from self.freeze_cpus()
        host = self._connections[0].host
        for cpu in cpus_in(self._cpus.online):
            host.stop_timer(cpu)
        self._log.say("PM: hibernation: Creating image:")
        self.resumed += 1
        for cpu in cpus_in(self._cpus.online):
            host.start_timer(cpu)
        yield from self.thaw_cpus()

    def _suspend_device(self, device: VmbusDevice) -> Sleeper[None]:
        """`vmbus_suspend`."""
        driver = device.driver
        if driver is None:
            return
        if not driver.suspends:
            self._log.say(
                f"{driver.name} {device.name}: PM: failed to freeze noirq: error -{EOPNOTSUPP}",
                KERN_ERR,
            )
            raise OSError(EOPNOTSUPP, f"{driver.name}, which has {device.name}, cannot suspend it")
        yield from driver.suspend(device)
        yield from self._ops.subchannels_gone(device)

    def _resume_devices(self, suspended: list[VmbusDevice]) -> Sleeper[None]:
        """`vmbus_resume`, in the order of the devices; an error is said, and stops nobody."""
        for device in reversed(suspended):
            if device.driver is None:
                continue
            try:
                yield from device.driver.resume(device)
            except OSError as error:
                self._log.say(
                    f"{device.driver.name} {device.name}: PM: failed to restore noirq:"
                    f" error -{error.errno}",
                    KERN_ERR,
                )

    def _suspend_bus(self) -> Sleeper[None]:
        """`vmbus_bus_suspend`."""
        for channel in [c for c in self._table.mapped() if c.offer.is_hvsock]:
            self._rescind(channel.relid, channel.connection)  # vmbus_force_channel_rescinded
        yield FREEZE
        for connection in self._connections:
            yield from self._unload(connection)
        self.is_disconnected = True
        for channel in self._table.mapped():
            self._table.unmap(channel)
            channel.offer = replace(channel.offer, relid=INVALID_RELID)

    @staticmethod
    def _unload(connection: Connection) -> Sleeper[None]:
        """`vmbus_initiate_unload`.

        The kernel unmaps the relids first, does not look at whether the
        message could be posted, and would wait for ever for the answer.  Here
        it comes first, and a refusal leaves everything as it was.
        """
        if connection.has(Unload):
            with connection.awaiting(UnloadResponse) as unloaded:
                connection.post(Unload())
                yield unloaded

    def _resume_bus(self) -> Sleeper[None]:
        """`vmbus_bus_resume`: the protocol that was agreed on, and all the offers."""
        self.is_disconnected = False
        for connection in self._connections:
            yield from connection.negotiate((connection.version,))
            yield from connection.request_offers()

    def takes(self, offer: OfferChannel) -> bool:
        """`vmbus_onoffer`: whether an offer is that of a device which has lost its relid.

        Its relid is mapped again; it interrupts the CPU that it did before.
        """
        device = self._devices.get(str(offer.instance_id))
        if offer.subchannel_index or device is None or device.primary.relid != INVALID_RELID:
            return False
        device.primary.offer = device.offer = offer
        self._table.map(device.primary)
        return True

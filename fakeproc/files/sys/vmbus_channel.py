"""channels/<relid>/: `drivers/hv/vmbus_drv.c: vmbus_chan_attrs`."""

from __future__ import annotations

from errno import EINVAL, EIO
from typing import TYPE_CHECKING

from fakeproc.files.kernels.versions import shown
from fakeproc.files.subjects import DeviceChannel
from fakeproc.files.sys.device import shows
from fakeproc.files.text.kstrtox import scan_unsigned
from fakeproc.files.tree import Attributes, Directory
from fakeproc.guest.hv.channel import ChannelKobject
from fakeproc.guest.hv.drivers.uio import UioDevice
from fakeproc.guest.kernel import Kernel

if TYPE_CHECKING:
    from fakeproc.guest.hv.ring import Ring
    from fakeproc.timeline import Sleeper

__all__ = ["ring_of"]

CHANNEL = Attributes[DeviceChannel]()

RING_SIZE = 4 << 20  # uio_hv_generic.c: ring_buffer_bin_attr, two rings of 2 MiB, before v6.16


def ring_of(ring: Ring | None) -> Ring:
    """A ring buffer that is allocated; raises OSError EINVAL where it is not."""
    if ring is None:
        raise OSError(EINVAL, "the channel is not opened, so it has no ring buffer")
    return ring


def _has_monitor(it: DeviceChannel) -> bool:
    """`vmbus_chan_attr_is_visible`: the monitor files exist where a slot does."""
    return it.channel.offer.monitor is not None


@CHANNEL.show
def out_mask_show(it: DeviceChannel) -> str:
    """The interrupt mask of the ring to the host: it wants every interrupt."""
    ring_of(it.channel.outbound)
    return "0\n"


@CHANNEL.show
def in_mask_show(it: DeviceChannel) -> str:
    """The interrupt mask of the ring from the host: the guest wants every interrupt."""
    ring_of(it.channel.inbound)
    return "0\n"


@CHANNEL.show
def read_avail_show(it: DeviceChannel) -> str:
    """Bytes that the host has written and the guest not read: the guest reads at once."""
    ring_of(it.channel.inbound)
    return "0\n"


@CHANNEL.show
def write_avail_show(it: DeviceChannel) -> str:
    """Bytes that the guest may write to the host."""
    return f"{ring_of(it.channel.outbound).data_size}\n"


@CHANNEL.show
def cpu_show(it: DeviceChannel) -> str:
    """The CPU that the channel interrupts (`target_cpu_show`)."""
    return f"{it.channel.target_cpu}\n"


@CHANNEL.store
def cpu_store(it: DeviceChannel, data: bytes) -> Sleeper[int | None]:
    """Interrupt another CPU (`target_cpu_store`).

    Returns 0 where patch 10 is applied as it was posted, which lets write(2)
    return 0 and `echo` try for ever.

    Raises what `Retargeting.store` raises.
    """
    vmbus = it.kernel.vmbus
    yield from vmbus.retargeting.store(it.channel, lambda: scan_unsigned(data))
    return None if vmbus.retargeting.store_returns_count else 0


@CHANNEL.show(visible=_has_monitor)
def pending_show(_it: DeviceChannel) -> str:
    """Whether the guest's bit in the monitor page is set: the host is quick."""
    return "0\n"


@CHANNEL.show(visible=_has_monitor)
def latency_show(it: DeviceChannel) -> str:
    """How often the host looks at that bit, in units of 100 ns."""
    monitor = it.channel.offer.monitor
    return f"{monitor.latency if monitor else 0}\n"


@CHANNEL.show
def interrupts_show(it: DeviceChannel) -> str:
    """Interrupts that the channel's callback has handled."""
    return f"{it.channel.interrupts}\n"


@CHANNEL.show
def events_show(it: DeviceChannel) -> str:
    """Signals that the guest has sent to the host."""
    return f"{it.channel.events}\n"


@CHANNEL.show
def intr_in_full_show(_it: DeviceChannel) -> str:
    """Signals because the ring from the host was full: the guest reads in time."""
    return "0\n"


@CHANNEL.show
def intr_out_empty_show(_it: DeviceChannel) -> str:
    """Signals because the ring to the host became non-empty after a pause."""
    return "0\n"


@CHANNEL.show
def out_full_first_show(_it: DeviceChannel) -> str:
    """How often a writer first found the ring to the host full."""
    return "0\n"


@CHANNEL.show
def out_full_total_show(_it: DeviceChannel) -> str:
    """How often a writer found the ring to the host full."""
    return "0\n"


@CHANNEL.show
def subchannel_id_show(it: DeviceChannel) -> str:
    """The number within the device; 0 for the primary channel."""
    return f"{it.channel.offer.subchannel_index}\n"


@CHANNEL.show(visible=_has_monitor)
def monitor_id_show(it: DeviceChannel) -> str:
    """The channel's slot in the monitor pages."""
    monitor = it.channel.offer.monitor
    return f"{monitor.id if monitor else 0}\n"


def _shows_ring(it: DeviceChannel) -> bool:
    return isinstance(it.channel.device.drvdata, UioDevice)


def _ring_size(it: DeviceChannel) -> int:
    """Both rings: what most take, or where it is an attribute like others what these do."""
    driver = it.channel.device.driver
    if driver is None or not shown(it.kernel).ring_is_attribute:
        return RING_SIZE
    return 2 * driver.ring_size_of(it.channel.device)


@CHANNEL.show(mode=0o600, size=_ring_size, visible=_shows_ring)
def ring_show(_it: DeviceChannel) -> str:
    """The rings, for mmap(2) alone: OSError EIO."""
    raise OSError(EIO, "the rings can only be mapped")


@CHANNEL.store
def ring_store(_it: DeviceChannel, _data: bytes) -> None:
    """The rings, for mmap(2) alone: OSError EIO."""
    raise OSError(EIO, "the rings can only be mapped")


@shows(ChannelKobject)
def channel_files(kernel: Kernel, kobject: ChannelKobject) -> Directory:
    """The directory of one channel."""
    return Directory((CHANNEL.on(DeviceChannel(kernel, kobject.channel), kobject),))

"""The synthetic interrupt controllers of the CPUs: `drivers/hv/hv.c`, patches 11 and 12.

A CPU goes offline only when no channel interrupts it and no interrupt can
still come.  The CPU is first taken out of the synics that are online, so that
no affinity is set to it from then on; then nothing may target it; then the
host must have acted on every ModifyChannel that was sent; then no event flag
may be left behind.
"""

from __future__ import annotations

from collections import defaultdict
from errno import EBUSY
from typing import TYPE_CHECKING

from fakeproc.guest.log import KERN_ERR
from fakeproc.guest.vmbus.placement import VMBUS_CONNECT_CPU
from fakeproc.timeline import MILLISECOND

if TYPE_CHECKING:
    from fakeproc.guest.log import KernelLog
    from fakeproc.guest.vmbus.bus import Vmbus
    from fakeproc.guest.vmbus.channel import Channel
    from fakeproc.timeline import Sleeper

__all__ = ["Synic"]

ACK_POLLS = 5  # MAX_RETRY of hv_synic_wait_for_modifychannel
ACK_POLL = 5 * MILLISECOND  # usleep_range(5000, 10000)
ACK_PAUSE = 20 * MILLISECOND  # usleep_range(20000, 25000), where there is no ack
EVENT_LOOKS = 4  # a first look and HV_MAX_RETRY more
EVENT_PAUSE = 10 * MILLISECOND  # usleep_range(10000, 20000)


class Synic:
    """The event flags of every CPU, and the way offline."""

    def __init__(self, bus: Vmbus, log: KernelLog) -> None:
        self._bus = bus
        self._log = log
        # Flags that the host has set and that no interrupt has come for yet, by CPU.
        self._flags: defaultdict[int, set[int]] = defaultdict(set)
        # Flags that nobody consumes: a fault of the host's.
        self._stuck: defaultdict[int, set[int]] = defaultdict(set)

    # Event flags

    def set_flags(self, cpu: int, relids: set[int]) -> None:
        """Flags that are set on a CPU that does not look; twice set is set once."""
        self._flags[cpu] |= relids

    def take_flags(self, cpu: int) -> set[int]:
        """The flags found by an interrupt; they are clear then."""
        return self._flags.pop(cpu, set())

    def jam(self, cpu: int, relid: int) -> None:
        """Set a flag that is never consumed."""
        self._stuck[cpu].add(relid)

    def free_jams(self) -> None:
        """Let every jammed flag go."""
        self._stuck.clear()

    def _pending(self, cpu: int) -> bool:
        """`hv_synic_event_pending`."""
        return bool(self._flags.get(cpu) or self._stuck.get(cpu))

    # Offline and online

    def cleanup(self, cpu: int) -> Sleeper[None]:
        """`hv_synic_cleanup`, what CPU hotplug asks before a CPU goes.

        Raises OSError EBUSY for the CPU that the connection uses, for one that
        a channel interrupts, opened or not, and for one with an event pending.
        """
        if cpu == VMBUS_CONNECT_CPU:
            raise OSError(EBUSY, f"CPU {cpu} receives the VMBus's control messages")
        chip = self._bus.chip
        chip.synic_online &= ~(1 << cpu)
        try:
            holders = [c for c in self._bus.channels.values() if c.target_cpu == cpu]
            if holders:
                raise OSError(EBUSY, _who_holds(cpu, holders, chip.synic_online))
            if self._bus.connection.can_retarget:
                yield from self._wait_for_modifychannel(cpu)
                yield from self._wait_for_events(cpu)
        except OSError:
            chip.synic_online |= 1 << cpu
            raise

    def _wait_for_modifychannel(self, cpu: int) -> Sleeper[None]:
        """Patch 11: let every re-targeting that was sent be acted on, or give up waiting."""
        bus = self._bus
        if not bus.connection.acknowledges:
            yield ACK_PAUSE
            return
        sent = bus.modifychannels_sent
        for _ in range(ACK_POLLS):
            if bus.modifychannels_completed >= sent:
                return
            yield ACK_POLL
        if bus.modifychannels_completed < sent:
            self._log.say(
                f"hv_vmbus: Timed out waiting for MODIFYCHANNEL. CPU {cpu}"
                f" sent {sent} completed {bus.modifychannels_completed}",
                KERN_ERR,
            )

    def _wait_for_events(self, cpu: int) -> Sleeper[None]:
        for look in range(EVENT_LOOKS):
            if not self._pending(cpu):
                return
            if look < EVENT_LOOKS - 1:
                yield EVENT_PAUSE
        self._log.say(f"hv_vmbus: Events pending when trying to offline CPU {cpu}", KERN_ERR)
        raise OSError(EBUSY, f"event flags are pending on CPU {cpu}")

    def init(self, cpu: int) -> None:
        """`hv_synic_init`: a CPU has come online."""
        self._bus.chip.synic_online |= 1 << cpu


def _who_holds(cpu: int, holders: list[Channel], elsewhere: int) -> str:
    """Which channels keep a CPU online, and the command that would move them."""
    other = (elsewhere & -elsewhere).bit_length() - 1
    who = ", ".join(
        f"relid {channel.relid} ({channel.irq_name or 'no name'}"
        f"{f', IRQ {channel.desc.irq}' if channel.desc else ''})"
        for channel in holders
    )
    irqs = " ".join(str(channel.desc.irq) for channel in holders if channel.desc)
    return (
        f"CPU {cpu} is interrupted by {who}; to move them:"
        f" for n in {irqs}; do echo {other} > /proc/irq/$n/smp_affinity_list; done"
    )

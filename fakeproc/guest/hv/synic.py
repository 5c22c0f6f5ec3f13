"""The synthetic interrupt controllers of the CPUs: `drivers/hv/hv.c`, patches 11 and 12.

A CPU goes offline only when no channel interrupts it and no interrupt can
still come.  The CPU is first taken out of the synics that are online, so that
no affinity is set to it from then on; then nothing may target it; then the
host must have acted on every ModifyChannel that was sent; then no event flag
may be left behind.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from errno import EBUSY
from random import Random
from typing import TYPE_CHECKING

from fakeproc.guest.cpus import cpus_in, first_cpu
from fakeproc.guest.hv.channel import ChannelState
from fakeproc.guest.hv.placement import VMBUS_CONNECT_CPU
from fakeproc.guest.log import KERN_ERR
from fakeproc.timeline import MILLISECOND

if TYPE_CHECKING:
    from fakeproc.guest.hv.channel import Channel
    from fakeproc.guest.hv.vmbus import Vmbus
    from fakeproc.guest.log import KernelLog
    from fakeproc.timeline import Sleeper

__all__ = ["Synic"]

# A sleep of usleep_range() lasts as long as it may on a CPU that has nothing else to wake
# up for (`hrtimer_set_expires_range`: the timer is programmed for the end of the range).
ACK_POLLS = 5  # MAX_RETRY of hv_synic_wait_for_modifychannel
ACK_POLL = 10 * MILLISECOND  # usleep_range(5000, 10000)
ACK_PAUSE = 25 * MILLISECOND  # usleep_range(20000, 25000), where there is no ack
EVENT_LOOKS = 4  # a first look and HV_MAX_RETRY more
EVENT_PAUSE = 20 * MILLISECOND  # usleep_range(10000, 20000)


class Synic:
    """The event flags of every CPU, and the way offline."""

    def __init__(self, bus: Vmbus, log: KernelLog, *, rebinds: bool) -> None:
        self._bus = bus
        self._log = log
        self._rebinds = rebinds
        self._random = Random("hv_synic_cleanup")  # noqa: S311 - get_random_u32_below
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
        if self._rebinds:
            yield from self._rebind(cpu)
        chip = self._bus.chip
        chip.synic_online &= ~(1 << cpu)
        try:
            holders = self._holders(cpu)
            if holders:
                raise OSError(EBUSY, self._who_holds(cpu, holders))
            if self._bus.connection.can_retarget:
                if self._bus.series.applied:
                    yield from self._wait_for_modifychannel(cpu)
                yield from self._wait_for_events(cpu)
        except OSError:
            chip.synic_online |= 1 << cpu
            raise

    def _holders(self, cpu: int) -> list[Channel]:
        return [c for c in self._bus.channels.values() if c.target_cpu == cpu]

    def _rebind(self, cpu: int) -> Sleeper[None]:
        """Since v6.15, without the series: move every channel elsewhere first.

        To a CPU drawn at random, or the next that will have it, or else CPU 0.
        Raises OSError EIO where not even that will, as for a channel that is
        not opened.  Where the host does not acknowledge, nothing is moved.
        """
        if not self._bus.connection.acknowledges:
            return
        others = list(cpus_in(self._bus.cpus.online & ~(1 << cpu)))
        for channel in self._holders(cpu):
            start = self._random.randrange(len(others))
            for other in (*others[start:], *others[:start]):
                with contextlib.suppress(OSError):
                    yield from self._bus.retargeting.set_cpu(channel, other)
                    break
            else:
                yield from self._bus.retargeting.set_cpu(channel, VMBUS_CONNECT_CPU)

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

    def _who_holds(self, cpu: int, holders: list[Channel]) -> str:
        """Which channels of which devices keep a CPU online, and the command that moves them."""
        who = ", ".join(map(_described, holders))
        opened = [c for c in holders if c.state is ChannelState.OPENED]
        chip, cpus = self._bus.chip, self._bus.cpus
        other = first_cpu(chip.synic_online & cpus.housekeeping_managed_irq)
        sentences = [f"CPU {cpu} is interrupted by {who}"]
        if not self._bus.connection.can_retarget:
            sentences.append("the host's VMBus protocol cannot move channels")
        elif opened and other is not None:
            what = "it" if len(holders) == 1 else "those that are open"
            what = "them" if 1 < len(holders) == len(opened) else what
            sentences.append(f"to move {what}: {_move(opened, other)}")
        if len(opened) < len(holders):
            sentences.append("a channel that no driver has open cannot be moved")
        return "; ".join(sentences)


def _described(channel: Channel) -> str:
    irq = f", IRQ {channel.desc.irq}" if channel.desc else ""
    closed = "" if channel.state is ChannelState.OPENED else ", not open"
    name = channel.irq_name or "no name"
    return f"relid {channel.relid} ({name}{irq}{closed}) of {channel.device.name}"


def _move(channels: list[Channel], cpu: int) -> str:
    """The command that moves channels to a CPU: by their IRQs, where they have one."""
    irqs = [str(channel.desc.irq) for channel in channels if channel.desc]
    if len(irqs) == 1:
        return f"echo {cpu} > /proc/irq/{irqs[0]}/smp_affinity_list"
    if irqs:
        numbers = " ".join(irqs)
        return f"for n in {numbers}; do echo {cpu} > /proc/irq/$n/smp_affinity_list; done"
    return "; ".join(
        f"echo {cpu} > /sys/bus/vmbus/devices/{channel.device.name}/channels/{channel.relid}/cpu"
        for channel in channels
    )

"""What CPU hotplug asks of the VMBus: `drivers/hv/hv.c`, patches 11 and 12 of the series.

A CPU goes offline only when no channel interrupts it and no interrupt can
still come.  The CPU first leaves the SynICs that are online, so that nothing
sends a channel there from then on; then no channel may target it; then the
host must have acted on every ModifyChannel that was sent; then no event flag
may be left behind.  A refusal at any step puts the CPU back.
"""

from __future__ import annotations

from errno import EBUSY
from random import Random
from typing import TYPE_CHECKING

from fakeproc.guest.cpus import cpus_in, first_cpu
from fakeproc.guest.hv.placement import VMBUS_CONNECT_CPU
from fakeproc.guest.log import KERN_ERR
from fakeproc.protocol.messages import ModifyChannel, ModifyChannelResponse
from fakeproc.timeline import MILLISECOND, HungTaskError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fakeproc.guest.cpus import Cpus
    from fakeproc.guest.hv.channel import Channel
    from fakeproc.guest.hv.connection import Connection
    from fakeproc.guest.hv.retarget import Retargeting
    from fakeproc.guest.hv.synic import Synic
    from fakeproc.guest.log import KernelLog
    from fakeproc.timeline import Sleeper

__all__ = ["CpuBusyError", "Offline"]

# A sleep of usleep_range() lasts as long as it may on a CPU that has nothing else to wake
# up for (`hrtimer_set_expires_range`: the timer is programmed for the end of the range).
ACK_POLLS = 5  # MAX_RETRY of hv_synic_wait_for_modifychannel
ACK_POLL = 10 * MILLISECOND  # usleep_range(5000, 10000)
ACK_PAUSE = 25 * MILLISECOND  # usleep_range(20000, 25000), where there is no ack
EVENT_LOOKS = 4  # a first look and HV_MAX_RETRY more
EVENT_PAUSE = 20 * MILLISECOND  # usleep_range(10000, 20000)


class CpuBusyError(OSError):
    """EBUSY: channels interrupt a CPU that is to go offline.

    `holders` are these channels; `can_retarget` says whether the host can move
    channels at all, `elsewhere` is a CPU that they could move to, if any.
    """

    def __init__(
        self, cpu: int, holders: list[Channel], elsewhere: int | None, *, can_retarget: bool
    ) -> None:
        super().__init__(EBUSY, f"{len(holders)} channels interrupt CPU {cpu}")
        self.cpu = cpu
        self.holders = holders
        self.elsewhere = elsewhere
        self.can_retarget = can_retarget


class Offline:
    """Lets a CPU go offline, or refuses; switches its SynIC on when it is back.

    `waits_for_acks` is patch 11; `rebinds` is what stock kernels do since
    v6.15: they first move every channel elsewhere.
    """

    def __init__(
        self,
        cpus: Cpus,
        synic: Synic,
        connections: Sequence[Connection],
        retargeting: Retargeting,
        channels: Callable[[], Iterable[Channel]],
        log: KernelLog,
        *,
        waits_for_acks: bool,
        rebinds: bool,
    ) -> None:
        self._cpus = cpus
        self._synic = synic
        self._connections = connections
        self._retargeting = retargeting
        self._channels = channels
        self._log = log
        self._waits_for_acks = waits_for_acks
        self._rebinds = rebinds
        self._random = Random("hv_synic_cleanup")  # noqa: S311 - get_random_u32_below
        self.is_disconnected: Callable[[], bool] = lambda: False  # the bus is suspended

    def cleanup(self, cpu: int) -> Sleeper[None]:
        """`hv_synic_cleanup`, which CPU hotplug calls before a CPU goes.

        Raises OSError EBUSY for the CPU that the connection uses and for one
        with an event pending, CpuBusyError for one that a channel interrupts,
        opened or not.  The CPU's SynIC is then online as before.
        """
        if self.is_disconnected():
            self._synic.online &= ~(1 << cpu)  # always_cleanup
            return
        if cpu == VMBUS_CONNECT_CPU:
            raise OSError(EBUSY, f"CPU {cpu} receives the VMBus's control messages")
        if self._rebinds:
            yield from self._rebind(cpu)
        self._synic.online &= ~(1 << cpu)
        try:
            for connection in self._connections:
                with (yield from connection.channel_mutex.acquire()):
                    self._check_holders(cpu)
            for connection in self._connections:
                if connection.has(ModifyChannel):
                    if self._waits_for_acks:
                        yield from self._wait_for_modifychannel(cpu, connection)
                    yield from self._wait_for_events(cpu, connection)
        except BaseException:
            self._synic.online |= 1 << cpu
            raise

    def init(self, cpu: int) -> None:
        """`hv_synic_init`: a CPU has come online."""
        self._synic.online |= 1 << cpu

    def _holders(self, cpu: int) -> list[Channel]:
        return [c for c in self._channels() if c.target_cpu == cpu]

    def _check_holders(self, cpu: int) -> None:
        holders = self._holders(cpu)
        if holders:
            elsewhere = first_cpu(self._synic.online & self._cpus.housekeeping_managed_irq)
            can_retarget = all(holder.connection.has(ModifyChannel) for holder in holders)
            raise CpuBusyError(cpu, holders, elsewhere, can_retarget=can_retarget)

    def _rebind(self, cpu: int) -> Sleeper[None]:
        """Since v6.15: move every channel elsewhere first.

        To a CPU drawn at random, or the next that will have it, or else CPU 0.
        Raises OSError EIO where not even that will, as for a channel that is
        not opened.  Where the host does not acknowledge, nothing is moved.
        """
        if not all(c.has(ModifyChannelResponse) for c in self._connections):
            return
        others = list(cpus_in(self._cpus.online & ~(1 << cpu)))
        for channel in self._holders(cpu):
            if channel not in self._channels():
                continue  # it has gone while another one was moved
            with (yield from channel.connection.channel_mutex.acquire()):
                yield from self._move_away(channel, others)

    def _move_away(self, channel: Channel, others: list[int]) -> Sleeper[None]:
        start = self._random.randrange(len(others))
        for other in (*others[start:], *others[:start]):
            try:
                yield from self._retargeting.set_cpu(channel, other)
            except HungTaskError:
                raise
            except OSError:
                continue
            return
        yield from self._retargeting.set_cpu(channel, VMBUS_CONNECT_CPU)

    def _wait_for_modifychannel(self, cpu: int, connection: Connection) -> Sleeper[None]:
        """Patch 11: wait until the host has acted on what was sent, or give up waiting."""
        if not connection.has(ModifyChannelResponse):
            yield ACK_PAUSE
            return
        sent = connection.modify_sent
        for _ in range(ACK_POLLS):
            if connection.modify_completed >= sent:
                return
            yield ACK_POLL
        if connection.modify_completed < sent:
            self._log.say(
                f"hv_vmbus: Timed out waiting for MODIFYCHANNEL. CPU {cpu}"
                f" sent {sent} completed {connection.modify_completed}",
                KERN_ERR,
            )

    def _pending(self, cpu: int, connection: Connection) -> set[int]:
        """`hv_synic_event_pending`: the relids whose flags are set."""
        number, host = connection.number, connection.host
        if self._synic.flags(cpu, number):
            host.settle()  # an interrupt may have consumed them meanwhile
        return self._synic.flags(cpu, number) | host.stuck_event_flags(cpu, number)

    def _wait_for_events(self, cpu: int, connection: Connection) -> Sleeper[None]:
        for look in range(EVENT_LOOKS):
            if not self._pending(cpu, connection):
                return
            if look < EVENT_LOOKS - 1:
                yield EVENT_PAUSE
        if self._waits_for_acks:  # patch 11 brings the message too
            self._log.say(f"hv_vmbus: Events pending when trying to offline CPU {cpu}", KERN_ERR)
        pending = self._pending_of(cpu, connection)
        raise OSError(EBUSY, f"event flags are pending on CPU {cpu}: {pending}")

    def _pending_of(self, cpu: int, connection: Connection) -> str:
        """The channels whose event flags are set on a CPU."""
        relids = self._pending(cpu, connection)
        names = {c.relid: c.irq_name for c in self._channels() if c.connection is connection}
        return ", ".join(f"relid {n} ({names.get(n) or 'no name'})" for n in sorted(relids))

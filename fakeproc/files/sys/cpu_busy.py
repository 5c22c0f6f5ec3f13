"""Why a CPU cannot go offline, and the command that moves what keeps it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from fakeproc.guest.hv.channel import Channel, ChannelState
from fakeproc.guest.hv.offline import CpuBusyError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["holders_explained"]


@contextmanager
def holders_explained() -> Iterator[None]:
    """Name the channels of a CpuBusyError; the errno stays, EBUSY."""
    try:
        yield
    except CpuBusyError as error:
        raise OSError(error.errno, _explanation(error)) from error


def _explanation(busy: CpuBusyError) -> str:
    """Which channels of which devices keep a CPU online, and the command that moves them."""
    holders = busy.holders
    opened = [c for c in holders if c.state is ChannelState.OPENED]
    sentences = [f"CPU {busy.cpu} is interrupted by {', '.join(map(_described, holders))}"]
    if not busy.can_retarget:
        sentences.append("the host's VMBus protocol cannot move channels")
    elif opened and busy.elsewhere is not None:
        what = "it" if len(holders) == 1 else "those that are open"
        what = "them" if 1 < len(holders) == len(opened) else what
        sentences.append(f"to move {what}: {_move(opened, busy.elsewhere)}")
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

"""Interrupts that reach nobody: a channel interrupts a processor that is switched off.

Watched where something changes (a channel opens, moves or goes, a processor
comes or goes), never where interrupts are counted: looking changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.host.devices import HostChannel

__all__ = ["LostInterrupts"]


class LostInterrupts:
    """Which open channels interrupt a processor that is off, and since how many interrupts.

    `report` is called with the relid, its connection, the processor and the
    number that were lost: None when it begins, the number when it is over.
    """

    def __init__(self) -> None:
        self.report: Callable[[int, int, int, int | None], None] = lambda *_: None
        self._since: dict[HostChannel, tuple[int, int, int]] = {}  # relid, processor, sent

    def look(self, channel: HostChannel, *, off: bool) -> None:
        """Look at a channel after a change; `off` says whether its processor is off."""
        now = channel.open and off
        before = self._since.get(channel)
        if before is not None and not (now and before[1] == channel.target_vp):
            relid, vp, sent = self._since.pop(channel)
            self.report(relid, channel.device.connection, vp, max(0, channel.sent - sent))
            before = None
        if now and before is None:
            self._since[channel] = channel.relid, channel.target_vp, channel.sent
            self.report(channel.relid, channel.device.connection, channel.target_vp, None)

"""The synthetic interrupt controllers of the CPUs (SynIC): their state, and nothing else."""

from __future__ import annotations

from collections import defaultdict

__all__ = ["Synic"]


class Synic:
    """Which CPUs' SynIC is switched on, and the event flags that nobody has consumed.

    `online` is `hv_context`'s mask of patch 12: a CPU leaves it before it goes
    offline, so that no channel is sent there from then on.
    """

    def __init__(self, online: int) -> None:
        self.online = online
        # Flags that the host has set and for which no interrupt has come yet, by CPU and
        # connection: each connection has an interrupt source of its own, with a page of flags.
        self._flags: defaultdict[tuple[int, int], set[int]] = defaultdict(set)

    def set_flags(self, cpu: int, relids: set[int], connection: int = 0) -> None:
        """Set flags on a CPU that does not look; a flag set twice is set once."""
        self._flags[cpu, connection] |= relids

    def take_flags(self, cpu: int, connection: int) -> set[int]:
        """The flags that an interrupt finds; they are clear afterwards."""
        return self._flags.pop((cpu, connection), set())

    @property
    def has_flags(self) -> bool:
        """Whether a flag is set on any CPU."""
        return bool(self._flags)

    def flags(self, cpu: int, connection: int) -> set[int]:
        """The flags that are set on a CPU, left set."""
        return self._flags.get((cpu, connection), set())

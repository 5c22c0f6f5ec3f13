"""A machine: a guest, its host, and the time they share."""

from __future__ import annotations

import errno
import logging
import time
from typing import TYPE_CHECKING

from fakeproc.access_record import AccessRecord
from fakeproc.guest.kernel import Kernel
from fakeproc.guest.log import KERN_ERR, KERN_NOTICE
from fakeproc.host.hypervisor import Host
from fakeproc.host.inventory import Inventory
from fakeproc.timeline import SECOND, Clock, Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.defaults import ClockKind, SizesKind
    from fakeproc.profiles.schema import Profile

__all__ = ["Machine"]

logger = logging.getLogger(__name__)

DAY_OF_THE_SERIES = 1_717_390_800  # 3 June 2024, 05:00 UTC: when a manual clock's guests boot


class Machine:
    """A booted guest on its host, ready to be looked at.

    With the manual clock time stands still, and two machines of one profile
    that are asked the same things answer the same bytes.  `sizes` is what st_size
    says of the files of /proc: "length", their text's, or "kernel", 0.
    """

    def __init__(
        self, profile: Profile, clock: ClockKind = "real", sizes: SizesKind = "length"
    ) -> None:
        self.profile = profile
        self.sizes = sizes
        self.accesses = AccessRecord()
        # Where the guest is mounted: lets the daemon answer the system calls of a process
        # (its number), by what it has open (names and descriptors).  Raises OSError.
        self.admit: Callable[[int, dict[str, int]], None] | None = None
        self.timeline = Timeline(Clock(manual=clock == "manual"))
        self.timeline.on_failure = self.note_failure
        self._failures: set[tuple[type[Exception], str]] = set()  # that the log has already
        self.host = Host(self.timeline, profile)
        booted = int(time.time()) - profile.uptime_s if clock == "real" else DAY_OF_THE_SERIES
        self.kernel = Kernel(self.timeline, profile, self.host, booted)
        self.host.connect(self.kernel)
        self.host.lost.report = self.note_lost
        self.inventory = Inventory(self.host, profile.seed)
        self.kernel.boot()
        self.timeline.settle()
        self.timeline.clock.forward_to(profile.uptime_s * SECOND)
        self.timeline.catch_up()
        self.kernel.restore_counts()
        self.host.begin_traffic(round(profile.quiet_s * SECOND))

    @property
    def wall_time(self) -> int:
        """Nanoseconds since 1970 by the guest's clock."""
        return self.kernel.boot_time * SECOND + self.timeline.now

    def catch_up(self) -> None:
        """Run the machine up to now; to be called before it is looked at or touched."""
        self.timeline.catch_up()
        self.host.settle()

    def advance(self, step: int) -> None:
        """Let `step` nanoseconds pass at once."""
        self.timeline.clock.forward_to(self.timeline.now + step)
        self.catch_up()

    def note_lost(self, relid: int, cpu: int, count: int | None) -> None:
        """Say in the guest's log that a channel's interrupts reach nobody, or did not (`count`)."""
        channel = self.kernel.vmbus.channels.get(relid)
        name = f"relid {relid} ({channel.irq_name})" if channel else f"relid {relid}"
        self.kernel.log.say(
            f"fakeproc: {name} interrupts CPU {cpu}, which is offline: its interrupts are lost"
            if count is None
            else f"fakeproc: {count} interrupts of {name} to CPU {cpu} were lost",
            KERN_NOTICE,
        )

    def note_failure(self, error: Exception) -> None:
        """Report an event that failed by a mistake of ours: once for each place in the code."""
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        place = f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}" if last else ""
        if (type(error), place) in self._failures:
            return
        self._failures.add((type(error), place))
        logger.error("an event failed at %d ns", self.timeline.now, exc_info=error)
        self.kernel.log.say(
            f"fakeproc: internal error (please report): {type(error).__name__}: {error}", KERN_ERR
        )

    def note_refusal(self, path: str, data: bytes, error: OSError) -> None:
        """Say in the guest's log why a write was refused."""
        written = data[:40].decode(errors="backslashreplace").encode("unicode_escape").decode()
        more = "…" if len(data) > 40 else ""
        self._note(f"write of '{written}{more}' to {path} refused: {error.strerror}", error)

    def note_refused_open(self, path: str, why: str, error: OSError) -> None:
        """Say in the guest's log why a file could not be opened for writing."""
        self._note(f"open of {path} for writing refused: {why}", error)

    def _note(self, what: str, error: OSError) -> None:
        name = errno.errorcode.get(error.errno or 0, str(error.errno))
        self.kernel.log.say(f"fakeproc: {what} ({name})", KERN_NOTICE)

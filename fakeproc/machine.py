"""A machine: a guest, its host, and the time they share."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from fakeproc.access_record import AccessRecord
from fakeproc.agenda import Agenda, Planned
from fakeproc.errno_names import errno_name
from fakeproc.guest.kernel import Kernel
from fakeproc.guest.log import KERN_ERR, KERN_NOTICE
from fakeproc.host.hypervisor import Host
from fakeproc.host.inventory import Inventory
from fakeproc.journal import AT, Journal
from fakeproc.path_faults import PathFaults
from fakeproc.timeline import SECOND, Clock, HungTaskError, Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.defaults import ClockKind, SizesKind
    from fakeproc.path_faults import PathFault
    from fakeproc.profiles.schema import Profile
    from fakeproc.timeline import Sleeper

__all__ = ["FilesPort", "Machine"]

logger = logging.getLogger(__name__)

DAY_OF_THE_SERIES = 1_717_390_800  # 3 June 2024, 05:00 UTC: when a manual clock's guests boot


class FilesPort(Protocol):
    """How a machine reaches its own files, to make a request that was planned."""

    def writing(self, path: str, data: bytes, *, kept: bool = False) -> Sleeper[int]:
        """Hand over data as root, in one call: how much is taken.  Raises its OSError.

        `kept`, the journal has an entry of it.
        """

    def read(self, path: str) -> bytes:
        """The whole text, as root reads it.  Raises OSError."""

    def resolve(self, path: str) -> list[str]:
        """The names down to where a path leads, without links.  Raises OSError."""


class Machine:
    """A booted guest on its host, ready to be looked at.

    With the manual clock time stands still, and two machines of one profile
    that are asked the same things answer the same bytes.  `sizes` is what st_size
    says of the files of /proc: "length", their text's, or "kernel", 0.
    `boot_time` (seconds since 1970) and `source`, the clock, are given to play a
    journal again.
    """

    def __init__(
        self,
        profile: Profile,
        clock: ClockKind = "real",
        sizes: SizesKind = "length",
        *,
        boot_time: int | None = None,
        source: Clock | None = None,
    ) -> None:
        self.profile = profile
        self.sizes = sizes
        self.accesses = AccessRecord()
        # Where the guest is mounted: lets the daemon answer the system calls of a process
        # (its number), by what it has open (names and descriptors).  Raises OSError.
        self.admit: Callable[[int, dict[str, int]], None] | None = None
        self.timeline = Timeline(source or Clock(manual=clock == "manual"))
        self.timeline.on_failure = self.note_failure
        self._failures: set[tuple[type[Exception], str]] = set()  # that the log has already
        self.host = Host(self.timeline, profile)
        if boot_time is None:
            boot_time = (
                int(time.time()) - profile.uptime_s if clock == "real" else DAY_OF_THE_SERIES
            )
        self._catching_up = False
        # Each is called before the machine is looked at, to do what was asked of it elsewhere.
        self.outside: list[Callable[[], None]] = []
        self.journal = Journal()
        self.started_with = clock
        self.agenda = Agenda(self.timeline, self._make_request)
        self.path_faults = PathFaults()
        self.others_release = False  # whether somebody else can let a request go on that hangs
        self.files: FilesPort | None = None  # set by what serves the files
        self.kernel = Kernel(self.timeline, profile, self.host, boot_time)
        self.host.connect(self.kernel)
        self.host.sources.lost.report = self.note_lost
        self.inventory = Inventory(self.host, profile.seed)
        self.kernel.boot()
        self.timeline.settle()
        self.timeline.finish(self.kernel.take_offline())
        self.timeline.settle()
        self.timeline.clock.forward_to(profile.uptime_s * SECOND)
        # To the same instant every time, wherever a real clock is by now.
        self.timeline.run_to(profile.uptime_s * SECOND)
        self.kernel.restore_counts()
        self.host.plan.begin(round(profile.quiet_s * SECOND))

    @property
    def wall_time(self) -> int:
        """Nanoseconds since 1970 by the guest's clock."""
        return self.kernel.boot_time * SECOND + self.timeline.now

    def catch_up(self) -> None:
        """Run the machine up to now; to be called before it is looked at or touched.

        What an event asks for in the middle of that finds the machine at the
        event's own moment.
        """
        if not self._catching_up:
            if not self.timeline.pass_quietly():
                self._run()
            if self.outside:
                self._look_outside()

    def advance(self, step: int) -> None:
        """Let `step` nanoseconds pass at once."""
        self.timeline.clock.forward_to(self.timeline.now + step)
        self._run()

    def _look_outside(self) -> None:
        self._catching_up = True
        try:
            for look in self.outside:
                look()
        finally:
            self._catching_up = False

    def _run(self) -> None:
        before, self._catching_up = self._catching_up, True
        try:
            self.timeline.catch_up()
        finally:
            self._catching_up = before

    def advance_to_next(self) -> bool:
        """Advance to the next event, and run it; False where no event waits."""
        due = self.timeline.next_due
        if due is None:
            return False
        self.advance(due - self.timeline.now)
        return True

    def make_request(self, path: str, data: bytes) -> None:
        """Write to a file at once, and let time pass as far as that takes.

        For what is asked of the machine by other means than its files: the journal has it.
        Raises the OSError of the write.
        """
        if self.files is not None:
            self.timeline.finish(self.files.writing(path, data, kept=True))

    def _make_request(self, planned: Planned) -> None:
        """Make a request of the agenda, as a process of its own would."""
        if self.files is not None:
            self.timeline.call(self._requested(planned, self.files))

    def _requested(self, planned: Planned, files: FilesPort) -> Sleeper[None]:
        """A request of the agenda; the journal and the guest's log tell its errno."""
        now, path, data = self.timeline.now, planned.path, planned.data
        with (
            suppress(OSError),
            self.journal.entry(now, AT, planned.operation, path, data) as entry,
        ):
            made = planned, entry
            self.agenda.done.append(made)
            if planned.operation == "read":
                entry.data = files.read(path)
                entry.result = len(entry.data)
                self.agenda.done.has_changed(made)
            else:
                entry.result = yield from files.writing(path, data)

    def fail(self, fault: PathFault) -> Sleeper[None]:
        """Have a fault happen to the request that this is the kernel code of: its time, its errno.

        Where nobody else can release a request that hangs, it ends like any other task
        that is blocked for two minutes.
        """
        fault.begin()
        if fault.late:
            yield fault.late
        released = self.path_faults.hang() if fault.hangs else None
        while released is not None and not released.done:
            try:
                yield released
            except HungTaskError:
                if not self.others_release:
                    raise
        fault.check()

    def note_lost(self, relid: int, connection: int, cpu: int, count: int | None) -> None:
        """Say in the guest's log that a channel's interrupts reach nobody, or did not (`count`)."""
        channel, _ = self.kernel.vmbus.table.find(relid, connection)
        name = f"relid {relid} ({channel.irq_name})" if channel else f"relid {relid}"
        self.kernel.log.say(
            f"fakeproc: interrupts of {name} are lost: CPU {cpu} is offline"
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
        name = errno_name(error.errno)
        self.kernel.log.say(f"fakeproc: {what} ({name})", KERN_NOTICE)

"""Machine time: one clock, one queue of events, and kernel code that sleeps.

Everything that takes time on a real machine (a message on its way, an
acknowledgement, a wait in the CPU hotplug path) is an event on the machine's
one timeline.  Time is an integer, nanoseconds since the machine was switched
on, and never runs backwards.

Nothing here blocks.  Kernel code that would sleep is a generator that yields
what it waits for: a number of nanoseconds, or a `Completion`.  Each step of it
runs at its own moment, as an event, whoever lets the time pass.

Rules for code that sleeps: what it holds across a `yield` may have gone when
it goes on, so it looks again; what it takes (a lock, a place among those who
wait for an answer) it takes by a context manager, as anything may be raised
at a `yield`.

An event that fails hurts nobody else: it is reported (`on_failure`), and the
machine goes on.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Generator
from errno import ETIMEDOUT
from typing import Generic, TypeAlias, TypeVar

__all__ = [
    "MICROSECOND",
    "MILLISECOND",
    "SECOND",
    "Clock",
    "Completion",
    "HungTaskError",
    "Sleeper",
    "Timeline",
]

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000

HUNG_TASK_TIMEOUT = 120 * SECOND  # sysctl kernel.hung_task_timeout_secs

FEW = 64  # events that may be in the queue though they were cancelled

T = TypeVar("T")


class Clock:
    """Where machine time comes from: a real clock, fast or slow, or one moved by hand.

    `monotonic` is the computer's own clock, in nanoseconds.
    """

    def __init__(
        self, *, manual: bool = False, monotonic: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._monotonic = monotonic
        self._base = 0  # machine time when the computer's clock showed `_started`
        self._started = monotonic()
        self._manual = manual
        self._rate = 1.0
        self.held = False  # manual, and a write that sleeps waits until others move the time

    @property
    def manual(self) -> bool:
        """Whether it moves only when it is moved."""
        return self._manual

    @manual.setter
    def manual(self, manual: bool) -> None:
        self._rebase(self.now())
        self._manual, self.held = manual, False

    @property
    def rate(self) -> float:
        """Machine seconds that pass in a second, while it is not manual."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        if not rate > 0:
            raise ValueError("time cannot stand still at a rate, nor go backwards")
        self._rebase(self.now())
        self._rate = rate

    def now(self) -> int:
        """Nanoseconds since the machine was switched on."""
        if self._manual:
            return self._base
        return self._base + int((self._monotonic() - self._started) * self._rate)

    def forward_to(self, instant: int) -> None:
        """Let `instant` be now, unless it is past: time never runs backwards."""
        self._rebase(max(self.now(), instant))

    def follow(self, monotonic: Callable[[], int]) -> None:
        """Go on from now by another of the computer's clocks."""
        now = self.now()
        self._monotonic = monotonic
        self._rebase(now)

    def _rebase(self, now: int) -> None:
        self._base, self._started = now, self._monotonic()


class Completion(Generic[T]):
    """Something that kernel code waits for (`kernel/sched/completion.c`)."""

    def __init__(self) -> None:
        self.done = False
        self._value: T | None = None
        self.error: Exception | None = None  # what it failed with
        # Where it is code that runs: what that waits for; None while it sleeps for a time.
        self.awaits: Completion[object] | None = None
        self._waiters: list[Callable[[], None]] = []

    def complete(self, value: T) -> None:
        """Let the waiters go on with `value`; only the first call counts."""
        self._settle(value, None)

    def fail(self, error: Exception) -> None:
        """Let the waiters go on with an exception."""
        self._settle(None, error)

    def _settle(self, value: T | None, error: Exception | None) -> None:
        if self.done:
            return
        self.done, self._value, self.error = True, value, error
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter()

    def then(self, waiter: Callable[[], None]) -> None:
        """Call `waiter` as soon as this is complete."""
        if self.done:
            waiter()
        else:
            self._waiters.append(waiter)

    def result(self) -> T:
        """What it completed with; raises what it failed with."""
        if self.error is not None:
            raise self.error
        return self._value  # type: ignore[return-value]


# Kernel code that may sleep: yields nanoseconds or a Completion, returns T.
Sleeper: TypeAlias = Generator[int | Completion[object], object, T]


class HungTaskError(OSError):
    """ETIMEDOUT: kernel code waited for something that did not happen in two minutes.

    A real task would wait for ever.  Code that tries something else after an
    error hands this one on.
    """

    def __init__(self) -> None:
        super().__init__(ETIMEDOUT, "a real kernel would wait for ever here")


class _Task(Generic[T]):
    """Kernel code on its way from one sleep to the next; `finished` when it returns.

    One that is `watched` is hung when it is blocked for two minutes.
    """

    def __init__(self, timeline: Timeline, sleeper: Sleeper[T], *, watched: bool) -> None:
        self.finished: Completion[T] = Completion()
        self._timeline = timeline
        self._sleeper = sleeper
        self._watched = watched
        self._watchdog: int | None = None
        self._waits = 0  # so far: a wake-up for an earlier wait is too late

    def run(self) -> None:
        """Run to the first sleep."""
        self._go_on(lambda: next(self._sleeper))

    def interrupt(self, error: Exception) -> None:
        """End the wait with an error."""
        self._go_on(lambda: self._sleeper.throw(error))

    def _wake(self, wait: int, awaited: Completion[object] | None) -> None:
        if wait != self._waits:
            return
        if awaited is None:
            self.run()
            return
        try:
            value = awaited.result()
        except Exception as error:  # noqa: BLE001 - whatever it is, the code that waits gets it
            self.interrupt(error)
        else:
            self._go_on(lambda: self._sleeper.send(value))

    def _go_on(self, step: Callable[[], int | Completion[object]]) -> None:
        self._waits += 1
        self.finished.awaits = None
        if self._watchdog is not None:
            self._timeline.cancel(self._watchdog)
            self._watchdog = None
        try:
            awaited = step()
        except StopIteration as stop:
            self.finished.complete(stop.value)
        except Exception as error:  # noqa: BLE001 - `finish` or `start` decides what it means
            self.finished.fail(error)
        else:
            self._sleep(awaited, self._waits)

    def _sleep(self, awaited: int | Completion[object], wait: int) -> None:
        if isinstance(awaited, int):
            self._timeline.after(awaited, lambda: self._wake(wait, None))
        else:
            self.finished.awaits = awaited
            if self._watched and not awaited.done:
                limit = self._timeline.now + HUNG_TASK_TIMEOUT
                self._watchdog = self._timeline.request_at(limit, self._hung)
            awaited.then(lambda: self._wake(wait, awaited))

    def _hung(self) -> None:
        self._watchdog = None
        self._timeline.on_hung()
        self.interrupt(HungTaskError())


def _raise(error: Exception) -> None:
    raise error


class Timeline:
    """The machine's queue of events; `now` is how far the machine has run.

    `on_failure` learns of an event, or of code that `start` runs, that failed
    by a mistake of ours; `on_hung` of a task that is blocked for two minutes.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.now = clock.now()
        self.steps = 0  # events so far: what was seen before another one may have changed
        self.on_failure: Callable[[Exception], None] = _raise
        self.on_hung: Callable[[], None] = lambda: None
        # When, an event before a request, in the order of planning, what.
        self._queue: list[tuple[int, bool, int, Callable[[], None]]] = []
        self._ticket = itertools.count()
        self._cancelled: set[int] = set()  # those in the queue that are not to be done

    def after(self, delay: int, action: Callable[[], None]) -> int:
        """Do `action` in `delay` nanoseconds; events of one instant keep their order.

        Returns a number by which `cancel` knows it.
        """
        return self._plan(self.now + delay, False, action)

    def request_at(self, instant: int, action: Callable[[], None]) -> int:
        """Do `action` at an instant, after all events of that instant.

        So a request that was planned finds what one finds that comes at that
        instant from outside: a machine that has run up to it.
        """
        return self._plan(max(instant, self.now), True, action)

    def _plan(self, due: int, is_request: bool, action: Callable[[], None]) -> int:
        number = next(self._ticket)
        heapq.heappush(self._queue, (due, is_request, number, action))
        return number

    def cancel(self, number: int) -> None:
        """Do not do what `after` or `request_at` planned, and what has not been done yet."""
        self._cancelled.add(number)
        if len(self._cancelled) > max(FEW, len(self._queue) // 2):
            # What was planned for years ahead would stay in the queue for as long.
            self._queue = [it for it in self._queue if it[2] not in self._cancelled]
            heapq.heapify(self._queue)
            self._cancelled.clear()
        self._drop_cancelled()

    def _drop_cancelled(self) -> None:
        """Have the first of the queue be one that will be done."""
        while self._queue and self._queue[0][2] in self._cancelled:
            self._cancelled.remove(heapq.heappop(self._queue)[2])

    @property
    def next_due(self) -> int | None:
        """When the next event is due, in nanoseconds; None where none waits."""
        return self._queue[0][0] if self._queue else None

    def pass_quietly(self) -> bool:
        """Run the machine up to what the clock shows, if no event is due until then.

        So it is before nearly every request, and costs little.
        """
        instant = self.clock.now()
        if self._queue and self._queue[0][0] <= instant:
            return False
        self.now = max(self.now, instant)
        return True

    def catch_up(self) -> None:
        """Run the machine up to what the clock shows."""
        self.run_to(self.clock.now())

    def run_to(self, instant: int) -> None:
        """Run the machine up to an instant."""
        while self._queue and self._queue[0][0] <= instant:
            self.step()
        self.now = max(self.now, instant)

    def step(self) -> None:
        """Run the next event, at its moment.  There must be one."""
        due, _, _, action = heapq.heappop(self._queue)
        if self._cancelled:
            self._drop_cancelled()
        self.steps += 1
        self.now = max(self.now, due)
        try:
            action()
        except Exception as error:  # noqa: BLE001 - reported, and the others go on
            self.on_failure(error)

    def start(self, sleeper: Sleeper[T]) -> Completion[T]:
        """Run kernel code in the background (a work queue); the result completes when it returns.

        An OSError there is for the code itself to log; nobody else learns of it.
        """
        finished = self._run(sleeper, watched=False)
        finished.then(lambda: self._report(finished))
        return finished

    def _run(self, sleeper: Sleeper[T], *, watched: bool) -> Completion[T]:
        task = _Task(self, sleeper, watched=watched)
        task.run()
        return task.finished

    def _report(self, finished: Completion[T]) -> None:
        if finished.error is not None and not isinstance(finished.error, OSError):
            self.on_failure(finished.error)

    def call(self, sleeper: Sleeper[T]) -> Completion[T]:
        """Run kernel code that a process has called; the result is for that process.

        Code that is blocked for two minutes gets a HungTaskError.
        """
        return self._run(sleeper, watched=True)

    def run_until(self, awaited: Completion[T]) -> T:
        """Run, moving the machine's time, until something completes, and return its result.

        Raises what it failed with.
        """
        while not awaited.done:
            self.step()
        self.clock.forward_to(self.now)
        return awaited.result()

    def finish(self, sleeper: Sleeper[T]) -> T:
        """Call kernel code and move the machine's time as far as it sleeps: see `call`."""
        return self.run_until(self.call(sleeper))

    def settle(self) -> None:
        """Run until no event is left, moving the machine's time: a machine that boots."""
        while self._queue:
            self.step()
        self.clock.forward_to(self.now)

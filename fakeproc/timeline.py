"""Machine time: one clock, one queue of events, and kernel code that sleeps.

Everything that takes time on a real machine (a message on its way, an
acknowledgement, a wait in the CPU hotplug path) is an event on the machine's
one timeline.  Time is an integer, nanoseconds since the machine was switched
on, and never runs backwards.

The daemon never blocks.  Kernel code that would sleep is a generator that
yields what it waits for: a number of nanoseconds, or a `Completion`.  Who has
to wait for it to finish (a write(2) that returns when the work is done) moves
the machine's time to the events it waits for: see `Timeline.finish`.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Generator
from typing import Generic, TypeAlias, TypeVar

__all__ = [
    "MICROSECOND",
    "MILLISECOND",
    "SECOND",
    "Clock",
    "Completion",
    "Mutex",
    "Sleeper",
    "Timeline",
]

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000

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

    @property
    def manual(self) -> bool:
        """Whether it moves only when told."""
        return self._manual

    @manual.setter
    def manual(self, manual: bool) -> None:
        self._rebase(self.now())
        self._manual = manual

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

    def _rebase(self, now: int) -> None:
        self._base, self._started = now, self._monotonic()


class Completion(Generic[T]):
    """Something that kernel code waits for (`kernel/sched/completion.c`)."""

    def __init__(self) -> None:
        self.done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._waiters: list[Callable[[], None]] = []

    def complete(self, value: T) -> None:
        """Let the waiters go on with `value`; only the first call counts."""
        self._settle(value, None)

    def fail(self, error: BaseException) -> None:
        """Let the waiters go on with an exception."""
        self._settle(None, error)

    def _settle(self, value: T | None, error: BaseException | None) -> None:
        if self.done:
            return
        self.done, self._value, self._error = True, value, error
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
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]


# Kernel code that may sleep: yields nanoseconds or a Completion, returns T.
Sleeper: TypeAlias = Generator[int | Completion[object], object, T]


class Mutex:
    """A lock that kernel code sleeps on (`kernel/locking/mutex.c`); first come, first served."""

    def __init__(self) -> None:
        self._waiting: list[Completion[object]] = []
        self._held = False

    def acquire(self) -> Sleeper[None]:
        """Sleep until nobody else has it."""
        if self._held:
            turn: Completion[object] = Completion()
            self._waiting.append(turn)
            yield turn
        self._held = True

    def release(self) -> None:
        """Let the next one have it."""
        if self._waiting:
            self._waiting.pop(0).complete(None)
        else:
            self._held = False


class Timeline:
    """The machine's queue of events; `now` is how far the machine has run."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.now = clock.now()
        self.steps = 0  # events so far: what was seen before another one may have changed
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._ticket = itertools.count()

    def after(self, delay: int, action: Callable[[], None]) -> None:
        """Do `action` in `delay` nanoseconds; events of one instant keep their order."""
        heapq.heappush(self._queue, (self.now + delay, next(self._ticket), action))

    def catch_up(self) -> None:
        """Run the machine up to what the clock shows."""
        self._run_to(self.clock.now())

    def _run_to(self, instant: int) -> None:
        while self._queue and self._queue[0][0] <= instant:
            self._step()
        self.now = max(self.now, instant)

    def _step(self) -> None:
        due, _, action = heapq.heappop(self._queue)
        self.steps += 1
        self.now = max(self.now, due)
        action()

    def start(self, sleeper: Sleeper[T]) -> Completion[T]:
        """Run kernel code that may sleep; the result completes when it returns."""
        finished: Completion[T] = Completion()

        def resume(wake: Completion[object] | None = None) -> None:
            try:
                if wake is None:
                    awaited = next(sleeper)
                else:
                    try:
                        value = wake.result()
                    except OSError as error:
                        awaited = sleeper.throw(error)
                    else:
                        awaited = sleeper.send(value)
            except StopIteration as stop:
                finished.complete(stop.value)
                return
            except OSError as error:
                finished.fail(error)
                return
            if isinstance(awaited, int):
                self.after(awaited, resume)
            else:
                awaited.then(lambda: resume(awaited))

        resume()
        return finished

    def finish(self, sleeper: Sleeper[T]) -> T:
        """Run kernel code to its end, moving the machine's time as far as it sleeps.

        Raises what it raises.  RuntimeError when it waits for something that
        nothing on the timeline will ever bring about.
        """
        finished = self.start(sleeper)
        while not finished.done:
            if not self._queue:
                raise RuntimeError("kernel code waits for an event that nobody will send")
            self._step()
        self.clock.forward_to(self.now)
        return finished.result()

    def settle(self) -> None:
        """Run until no event is left, moving the machine's time: a machine that boots."""
        while self._queue:
            self._step()
        self.clock.forward_to(self.now)

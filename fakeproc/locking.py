"""Locks that kernel code sleeps on: `kernel/locking`.

Invariant: whoever takes one has it released by a context manager, and leaves its queue
whatever is raised while it waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Self

from fakeproc.timeline import Completion

if TYPE_CHECKING:
    from types import TracebackType

    from fakeproc.timeline import Sleeper

__all__ = ["Mutex", "RwSemaphore"]


class Mutex:
    """A lock that kernel code sleeps on (`kernel/locking/mutex.c`); first come, first served.

    `with (yield from mutex.acquire()):` holds it for a block.
    """

    def __init__(self) -> None:
        self._waiting: list[Completion[object]] = []
        self._held = False

    def try_acquire(self) -> Mutex | None:
        """Take it if nobody has it; the result releases it as a context manager."""
        if self._held:
            return None
        self._held = True
        return self

    def acquire(self) -> Sleeper[Mutex]:
        """Sleep until nobody else has it; the result releases it as a context manager."""
        if self._held:
            turn: Completion[object] = Completion()
            self._waiting.append(turn)
            try:
                yield turn
            except BaseException:
                self._give_up(turn)
                raise
        self._held = True
        return self

    def _give_up(self, turn: Completion[object]) -> None:
        """Leave the queue, or hand on a turn that has come."""
        if turn in self._waiting:
            self._waiting.remove(turn)
        else:
            self.release()

    def release(self) -> None:
        """Pass it to the next in the queue."""
        if self._waiting:
            self._waiting.pop(0).complete(None)
        else:
            self._held = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class RwSemaphore:
    """A lock with many readers or one writer (`kernel/locking/percpu-rwsem.c`).

    First come, first served: a reader that comes after a writer waits for it.
    """

    def __init__(self) -> None:
        self._readers = 0
        self._gate = Mutex()  # the writer has it, and who is the next to come in
        self._empty: Completion[object] | None = None  # awaited by the writer at the gate

    def read(self) -> Sleeper[AbstractContextManager[None]]:
        """Sleep while a writer has it or waits; the result releases it as a context manager."""
        with (yield from self._gate.acquire()):
            self._readers += 1
        return self._reading()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._readers -= 1
            if not self._readers and self._empty is not None:
                self._empty.complete(None)

    def write(self) -> Sleeper[Mutex]:
        """Sleep while anybody has it; the result releases it as a context manager."""
        gate = yield from self._gate.acquire()
        if self._readers:
            self._empty = Completion()
            try:
                yield self._empty
            except BaseException:
                gate.release()
                raise
            finally:
                self._empty = None
        return gate

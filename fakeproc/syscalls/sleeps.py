"""Calls that wait for machine time, or for something else before that time comes."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from fakeproc.syscalls import memory
from fakeproc.syscalls.tasks import waiting_signals

if TYPE_CHECKING:
    from fakeproc.syscalls.listener import Call

__all__ = ["Sleep", "Sleeps", "any_ready"]


@dataclass(eq=False)
class Sleep:
    """A call that returns at `deadline` (ns of machine time), by what `expire` returns or raises.

    It goes on before that when a descriptor is ready (`descriptors`: ours, and what of
    poll(2) is waited for), when a word of memory is no longer what it was (`word`: its
    address and value), or when one of the `signals` has come.
    """

    call: Call
    deadline: int
    expire: Callable[[], int]
    descriptors: dict[int, int] = field(default_factory=dict)
    word: tuple[int, bytes] | None = None
    signals: int = 0
    answered: bool = False

    def is_over(self) -> bool:
        """Answer the call if what it waits for has come; whether it waits no longer."""
        if not self.call.is_waiting():  # killed, or interrupted by a signal
            return True
        self.answered = self._is_answered()
        return self.answered

    def _is_answered(self) -> bool:
        if self.signals and waiting_signals(self.call.tid) & self.signals:
            self.call.proceed()
            return True
        if self.descriptors and any_ready(self.descriptors):
            self.call.proceed()
            return True
        if self.word is not None:
            address, value = self.word
            try:
                changed = memory.read(self.call.tid, address, len(value)) != value
            except OSError as error:
                self.call.refuse(error.errno)
                return True
            if changed:
                self.call.answer(0)
            return changed
        return False

    def wake(self) -> None:
        """Its time has come."""
        self.answered = True
        try:
            self.call.answer(self.expire())
        except OSError as error:
            self.call.refuse(error.errno)

    def close(self) -> None:
        """Give back the descriptors."""
        for descriptor in self.descriptors:
            os.close(descriptor)


def any_ready(descriptors: dict[int, int]) -> bool:
    """Whether one of these descriptors is ready for the events of poll(2) beside it."""
    poll = select.poll()
    for descriptor, events in descriptors.items():
        poll.register(descriptor, events)
    return bool(poll.poll(0))


class Sleeps:
    """All that wait, the first to be woken first."""

    def __init__(self) -> None:
        self._sleeps: list[tuple[int, int, Sleep]] = []
        self._interrupted: dict[int, Sleep] = {}  # by thread
        self._ticket = count()

    def add(self, sleep: Sleep) -> None:
        """Let a call wait."""
        self._sleeps.append((sleep.deadline, next(self._ticket), sleep))
        self._sleeps.sort(key=lambda entry: entry[:2])

    def interrupted(self, call: Call) -> Sleep | None:
        """The sleep that this very call was in when a signal came: the kernel makes it again."""
        self.look()
        before = self._interrupted.pop(call.tid, None)
        if before is None or (before.call.number, before.call.arguments) != (
            call.number,
            call.arguments,
        ):
            return None
        return before

    def look(self) -> bool:
        """Let go what waits no longer; whether somebody was answered."""
        over = [entry for entry in self._sleeps if entry[2].is_over()]
        self._drop(over)
        for *_, sleep in over:
            if not sleep.answered:
                self._interrupted[sleep.call.tid] = sleep
        return bool(over)

    def forget_interrupted(self, now: int) -> None:
        """Forget who was interrupted in a sleep that would be over: it does not come again."""
        for tid, sleep in list(self._interrupted.items()):
            if sleep.deadline <= now:
                del self._interrupted[tid]

    def wake(self, now: int) -> bool:
        """Wake the first one, if its time has come."""
        if not self._sleeps or self._sleeps[0][0] > now:
            return False
        first = self._sleeps[0]
        first[2].wake()
        self._drop([first])
        return True

    def _drop(self, entries: list[tuple[int, int, Sleep]]) -> None:
        for entry in entries:
            entry[2].close()
            self._sleeps.remove(entry)

    @property
    def next_deadline(self) -> int | None:
        """When the first one is to be woken."""
        return self._sleeps[0][0] if self._sleeps else None

    @property
    def wait_for_more(self) -> bool:
        """Whether one waits for something besides time."""
        return any(sleep.descriptors or sleep.word or sleep.signals for _, _, sleep in self._sleeps)

"""The thread of the daemon that answers the system calls of the runs on its guest."""

from __future__ import annotations

import errno
import logging
import os
import select
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from fakeproc.syscalls.abi import native
from fakeproc.syscalls.affinity import Affinities
from fakeproc.syscalls.ethtool import Ethtool
from fakeproc.syscalls.guest_time import GuestTime
from fakeproc.syscalls.identity import Identity
from fakeproc.syscalls.interfaces import Interfaces, interfaces_of
from fakeproc.syscalls.listener import Listener
from fakeproc.syscalls.memory import descriptor_of
from fakeproc.syscalls.rest import Processes
from fakeproc.syscalls.tasks import task
from fakeproc.syscalls.uevents import UeventSocket
from fakeproc.syscalls.verdict import Handler, Verdict

if TYPE_CHECKING:
    from fakeproc.syscalls.listener import Call
    from fakeproc.syscalls.verdict import Model

__all__ = ["Service"]

_EXECUTION = {abi.numbers["execve"]} if (abi := native()) is not None else set()

logger = logging.getLogger(__name__)


@dataclass
class _Run:
    """What the daemon has of a run.

    `on_guest_time` is set as soon as it executes its first program by a call that comes here.
    """

    listener: Listener
    processes: Processes
    uevents: UeventSocket | None = None
    interfaces: Interfaces | None = None
    on_guest_time: bool = False


class Service:
    """Answers the calls of every run on a machine.

    `model` gives the machine to one at a time; `file_systems` are its mounts, as
    `Identity` wants them; `is_serving` says whether one of them has a request to answer.
    """

    def __init__(
        self,
        model: Model,
        file_systems: Callable[[], Mapping[int, int]],
        is_serving: Callable[[], bool],
    ) -> None:
        self._model = model
        self._file_systems = file_systems
        self._is_serving = is_serving
        self._new: SimpleQueue[_Run] = SimpleQueue()
        self._wake_up: int | None = None
        self._epoll = select.epoll()
        self._runs: dict[int, _Run] = {}  # by the descriptor of the listener
        self._changing: set[int] = set()  # descriptors of `Interfaces`

    def admit(self, pid: int, descriptors: Mapping[str, int]) -> None:
        """Serve a run: what its first process has open under these numbers.

        To be called with the lock held.  Raises OSError: EPERM where that process
        is not ours to look into, ESRCH where it has ended.
        """
        if "listener" not in descriptors:  # it wants to know before it installs a filter
            Path(f"/proc/{pid}/mem").open("rb").close()
            return
        first = task(pid)
        if first is None:
            raise OSError(errno.ESRCH, os.strerror(errno.ESRCH))
        taken = {name: descriptor_of(pid, number) for name, number in descriptors.items()}
        run = _Run(Listener(taken["listener"]), Processes(first.parent, pid))
        if "uevents" in taken:
            run.uevents = UeventSocket(taken["uevents"])
            with self._model() as machine:
                machine.kernel.uevents.hearers.append(run.uevents.send)
        if "route" in taken:
            with self._model() as machine:
                run.interfaces = interfaces_of(machine, taken["route"], taken["links"])
        wake_up = self._started()
        self._new.put(run)
        os.eventfd_write(wake_up, 1)

    def keeps_time(self) -> bool:
        """Whether programs live by the guest's time: it passes when all of them sleep."""
        return any(run.on_guest_time for run in [*self._runs.values()])

    def look(self) -> None:
        """Look whether time is to pass: a request has gone to sleep."""
        if self._wake_up is not None:
            os.eventfd_write(self._wake_up, 1)

    def _started(self) -> int:
        """What wakes the thread, which runs from the first time on."""
        if self._wake_up is None:
            self._wake_up = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._epoll.register(self._wake_up, select.EPOLLIN)
            threading.Thread(
                target=self._serve, args=(self._wake_up,), name="system calls", daemon=True
            ).start()
        return self._wake_up

    def _serve(self, wake_up: int) -> None:
        abi = native()
        assert abi is not None  # noqa: S101 - there is a filter
        time = GuestTime(self._model, self._is_asked)
        by_name = (
            Affinities(self._model).handlers()
            | Identity(self._model, self._file_systems).handlers()
            | Ethtool(self._model).handlers()
            | time.handlers()
        )
        handlers = {number: by_name.get(name) for name, number in abi.numbers.items()}
        pause: float | None = None
        while True:
            called = waits = False
            for descriptor, events in self._epoll.poll(pause):
                if descriptor == wake_up:
                    self._take_new(wake_up)
                elif descriptor in self._changing:
                    with self._model():  # which looks outside
                        pass
                elif descriptor not in self._runs:  # of a run that has ended meanwhile
                    continue
                elif events & select.EPOLLIN:
                    called = True
                    waits |= self._receive(self._runs[descriptor], handlers)
                else:  # the last of the run has ended
                    self._forget(self._runs.pop(descriptor))
            pause = None
            if self.keeps_time():
                processes = [run.processes for run in self._runs.values()]
                pause = time.go_on(processes, called=called, waits=waits)

    def _is_asked(self) -> bool:
        """Whether a call, or a request for a file, waits for its answer."""
        return bool(self._epoll.poll(0)) or self._is_serving()

    def _take_new(self, wake_up: int) -> None:
        os.eventfd_read(wake_up)
        while not self._new.empty():
            run = self._new.get()
            self._runs[run.listener.fileno()] = run
            self._epoll.register(run.listener, select.EPOLLIN)
            if run.interfaces is not None:
                self._changing.add(run.interfaces.fileno())
                self._epoll.register(run.interfaces, select.EPOLLIN)

    def _forget(self, run: _Run) -> None:
        run.listener.close()
        if run.uevents is not None:
            with self._model() as machine:
                machine.kernel.uevents.hearers.remove(run.uevents.send)
            run.uevents.close()
        if run.interfaces is not None:
            self._changing.remove(run.interfaces.fileno())
            with self._model():
                run.interfaces.end()

    def _receive(self, run: _Run, handlers: Mapping[int, Handler | None]) -> bool:
        """Answer a call, if it is not to wait; whether it is."""
        call = run.listener.receive()
        if call is None:
            return False
        handler = handlers[call.number]
        assert handler is not None  # noqa: S101 - the filter names no other
        run.on_guest_time = run.on_guest_time or call.number in _EXECUTION
        try:
            result = _answer(handler, call)
        except OSError as error:
            call.refuse(error.errno)
        else:
            if result is Verdict.PROCEED:
                call.proceed()
            elif not isinstance(result, Verdict):
                call.answer(result)
            else:
                return True
        return False


def _answer(handler: Handler, call: Call) -> int | Verdict:
    try:
        return handler(call)
    except OSError:
        raise
    except Exception as error:
        logger.exception("system call %d%r failed", call.number, call.arguments)
        raise OSError(errno.EIO, "a mistake in fakeproc; its log says which") from error

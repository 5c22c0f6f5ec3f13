"""The thread of the daemon that answers the system calls of the runs on its guest."""

from __future__ import annotations

import errno
import logging
import os
import select
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from fakeproc.syscalls.abi import native
from fakeproc.syscalls.affinity import Affinities
from fakeproc.syscalls.identity import Identity
from fakeproc.syscalls.listener import Listener
from fakeproc.syscalls.memory import descriptor_of
from fakeproc.syscalls.uevents import UeventSocket
from fakeproc.syscalls.verdict import Handler, Verdict

if TYPE_CHECKING:
    from fakeproc.machine import Machine
    from fakeproc.syscalls.listener import Call

__all__ = ["Service"]

logger = logging.getLogger(__name__)


@dataclass
class _Run:
    """What the daemon has of a run."""

    listener: Listener
    uevents: UeventSocket | None = None


class Service:
    """Answers the calls of every run on a machine.

    `lock` lets one at a time at the machine; `file_systems` are its mounts, as
    `Identity` wants them.
    """

    def __init__(
        self,
        machine: Machine,
        lock: AbstractContextManager[object],
        file_systems: Callable[[], Mapping[int, int]],
    ) -> None:
        self._machine = machine
        self._lock = lock
        self._file_systems = file_systems
        self._new: SimpleQueue[dict[str, int]] = SimpleQueue()
        self._wake_up: int | None = None
        self._epoll = select.epoll()
        self._runs: dict[int, _Run] = {}  # by the descriptor of the listener
        self._names: dict[int, str] = {}
        self._handlers: dict[str, Handler] = {}

    def admit(self, pid: int, descriptors: Mapping[str, int]) -> None:
        """Serve a run: what its first process has open under these numbers.

        To be called with the lock held.  Raises OSError: EPERM where that process
        is not ours to look into.
        """
        if "listener" not in descriptors:  # it wants to know before it installs a filter
            Path(f"/proc/{pid}/mem").open("rb").close()
            return
        taken = {name: descriptor_of(pid, number) for name, number in descriptors.items()}
        self._start()
        self._new.put(taken)
        assert self._wake_up is not None  # noqa: S101 - by _start
        os.eventfd_write(self._wake_up, 1)

    def _start(self) -> None:
        if self._wake_up is not None:
            return
        self._wake_up = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wake_up, select.EPOLLIN)
        threading.Thread(target=self._serve, name="system calls", daemon=True).start()

    @contextmanager
    def _model(self) -> Iterator[Machine]:
        with self._lock:
            self._machine.catch_up()
            yield self._machine

    def _serve(self) -> None:
        abi = native()
        assert abi is not None  # noqa: S101 - there is a filter
        self._names = abi.names
        affinities = Affinities(self._model)
        identity = Identity(self._model, self._file_systems)
        self._handlers = {
            "sched_getaffinity": affinities.getaffinity,
            "sched_setaffinity": affinities.setaffinity,
            "getcpu": affinities.getcpu,
            "uname": identity.uname,
            "sysinfo": identity.sysinfo,
            "statfs": identity.statfs,
            "fstatfs": identity.fstatfs,
        }
        while True:
            for descriptor, events in self._epoll.poll():
                if descriptor == self._wake_up:
                    self._take_new()
                elif events & select.EPOLLIN:
                    self._receive(self._runs[descriptor].listener)
                else:  # the last of the run has ended
                    self._forget(self._runs.pop(descriptor))

    def _take_new(self) -> None:
        assert self._wake_up is not None  # noqa: S101 - by _start
        os.eventfd_read(self._wake_up)
        while not self._new.empty():
            taken = self._new.get()
            run = _Run(Listener(taken["listener"]))
            if "uevents" in taken:
                run.uevents = UeventSocket(taken["uevents"])
                with self._model() as machine:
                    machine.kernel.uevents.hearers.append(run.uevents.send)
            self._runs[run.listener.fileno()] = run
            self._epoll.register(run.listener, select.EPOLLIN)

    def _forget(self, run: _Run) -> None:
        run.listener.close()
        if run.uevents is not None:
            with self._model() as machine:
                machine.kernel.uevents.hearers.remove(run.uevents.send)
            run.uevents.close()

    def _receive(self, listener: Listener) -> None:
        call = listener.receive()
        if call is None:
            return
        try:
            result = self._answer(call)
        except OSError as error:
            listener.refuse(call, error.errno or errno.EIO)
        else:
            if result is Verdict.PROCEED:
                listener.proceed(call)
            elif not isinstance(result, Verdict):
                listener.answer(call, result)

    def _answer(self, call: Call) -> int | Verdict:
        handler = self._handlers[self._names[call.number]]
        try:
            return handler(call)
        except OSError:
            raise
        except Exception as error:
            logger.exception("%s%r failed", self._names[call.number], call.arguments)
            raise OSError(errno.EIO, "a mistake in fakeproc; its log says which") from error

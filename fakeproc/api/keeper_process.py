"""The keeper: a process that starts the daemons of another's guests, and ends them.

It forks the daemons, so that what takes long to import is imported once.  It
has a session of its own, so that what ends a whole process group (Ctrl-C,
`kill -9 -PGID`) leaves it time to unmount.  It ends, with all its guests, when
no process holds the other end of its socket any more, however that came about.
The daemons in turn end when it does.

The requests are lines of JSON, and so are the answers.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from fakeproc.machine import Machine
from fakeproc.mount import libfuse, mountpoints, registry
from fakeproc.mount.mountinfo import UnmountError
from fakeproc.mount.mountpoints import MountError
from fakeproc.mount.processes import Process, adopt_orphans, end
from fakeproc.mount.start import DaemonDiedError, adopted_by, start
from fakeproc.profiles import Profile

__all__ = ["main"]

_LAST_WORDS = 20  # lines of a daemon's log


class _Kept(NamedTuple):
    """A mounted guest."""

    daemon: Process
    log: Path


class _Keeper:
    """The guests, by the directory that they are mounted in."""

    def __init__(self) -> None:
        self._guests: dict[Path, _Kept] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out a request and return the answer."""
        if request["do"] == "mount":
            profile = Profile.model_validate_json(request["profile"])
            machine = partial(Machine, profile, request["clock"], request["sizes"])
            return self._mount(machine, request["allow_other"])
        return self._end(Path(request["root"]))

    def _mount(self, machine: Callable[[], Machine], allow_other: bool) -> dict[str, Any]:
        root = Path(os.path.realpath(tempfile.mkdtemp(prefix="fakeproc-")))
        try:
            root.chmod(0o755)  # who may not look is refused by the files' own modes
            mountpoints.check(root, allow_other)
            log = registry.log_of(root)
        except (MountError, OSError) as error:
            root.rmdir()
            return {"cannot": str(error)}
        keeper = os.getpid()
        try:
            start(
                machine,
                root,
                allow_other,
                lambda: adopted_by(keeper),
                temporary=True,
            )
        except DaemonDiedError:
            return {"died": self._buried(root, log)}
        except (MountError, OSError) as error:
            self._clear(root)
            return {"cannot": str(error)}
        entry = registry.entry_of(root)
        if entry is None:  # it has ended just after it was ready
            return {"died": self._buried(root, log)}
        self._guests[root] = _Kept(entry.process, log)
        return {"root": str(root), "log": str(log), "pid": entry.process.pid}

    def _end(self, root: Path) -> dict[str, Any]:
        guest = self._guests.pop(root)
        if not guest.daemon.is_alive() or not mountpoints.is_mounted(root):
            end(guest.daemon)  # it may be about to
            return {"died": self._buried(root, guest.log)}
        by_itself = end(guest.daemon)
        self._clear(root)
        return {"ended": by_itself}

    def _buried(self, root: Path, log: Path) -> str:
        """The last words of a daemon that has died; nothing of its mount is left."""
        words = _last_words(log)
        self._clear(root)
        return words

    def end_all(self) -> None:
        """Leave nothing behind."""
        for guest in self._guests.values():
            with suppress(ProcessLookupError):
                os.kill(guest.daemon.pid, signal.SIGTERM)
        for root, guest in self._guests.items():
            end(guest.daemon)
            self._clear(root)

    def _clear(self, root: Path) -> None:
        with suppress(OSError, UnmountError):
            mountpoints.clear(root)
            root.rmdir()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _last_words(log: Path) -> str:
    with suppress(OSError):
        return "\n".join(log.read_text().splitlines()[-_LAST_WORDS:])
    return ""


def main() -> None:
    """Serve the socket whose descriptor is the first argument, until the other end is closed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.chdir("/")
    adopt_orphans()
    with suppress(libfuse.BindingError):
        libfuse.load()  # what its daemons will need is loaded once
    keeper = _Keeper()
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        lines = connection.makefile()
        try:
            for line in lines:
                connection.sendall(json.dumps(keeper.answer(json.loads(line))).encode() + b"\n")
        except ConnectionError:
            pass  # nobody waits for the answer any more
        finally:
            keeper.end_all()


if __name__ == "__main__":
    main()

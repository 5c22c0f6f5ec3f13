"""The warden itself: a process that starts the daemons of another's guests, and ends them.

It is forked from by whoever wants a guest soon, as everything that takes long
to import is here already.  It has a session of its own, so that what ends a
whole process group (Ctrl-C, `kill -9 -PGID`) leaves it time to unmount; and it
ends, with all its guests, when nobody holds the other end of its socket any
more, however that came about.  The daemons in turn end when it does.

The requests are lines of JSON, and so are the answers.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from fakeproc.machine import Machine
from fakeproc.mount import libfuse, mountpoints, registry
from fakeproc.mount.daemon import serve
from fakeproc.mount.mountinfo import UnmountError
from fakeproc.mount.mountpoints import MountError
from fakeproc.mount.processes import Process, Report, detached, end
from fakeproc.profiles import Profile
from fakeproc.run.namespace import adopt_orphans, die_with_parent

__all__ = ["main"]

# A daemon that is busy with a long request is waited for.
_PATIENCE = 5.0

_LAST_WORDS = 20  # lines of a daemon's log


class _Ward(NamedTuple):
    """A mounted guest."""

    daemon: Process
    log: Path


class _Warden:
    """The guests, by the directory that they are mounted in."""

    def __init__(self) -> None:
        self._wards: dict[Path, _Ward] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked."""
        if request["do"] == "mount":
            profile = Profile.model_validate_json(request["profile"])
            return self._mount(profile, request["clock"], request["allow_other"])
        return self._end(Path(request["root"]))

    def _mount(self, profile: Profile, clock: Any, allow_other: bool) -> dict[str, Any]:
        root = Path(os.path.realpath(tempfile.mkdtemp(prefix="fakeproc-")))
        try:
            root.chmod(0o755)  # who may not look is refused by the files' own modes
            mountpoints.check(root, allow_other)
            log = registry.log_of(root)
        except (MountError, OSError) as error:
            root.rmdir()
            return {"cannot": str(error)}
        warden = os.getpid()

        def daemon(report: Report) -> None:
            layout = "%(asctime)s %(levelname)s %(name)s: %(message)s"
            logging.basicConfig(level=logging.INFO, format=layout)
            # The process in between, which made the session, is about to end.
            while os.getppid() == os.getsid(0):
                time.sleep(0.0005)
            die_with_parent(signal.SIGTERM)
            if os.getppid() != warden:
                return
            try:
                serve(Machine(profile, clock), root, allow_other, report.ready)
            except MountError as error:
                report.failed(str(error))

        failure = detached(daemon, log)
        entry = registry.entry_of(root)
        if failure is None and entry is not None:
            self._wards[root] = _Ward(entry.process, log)
            return {"root": str(root), "log": str(log), "pid": entry.process.pid}
        words = _last_words(log)
        self._clear(root)
        if failure:
            said = [line for line in words.splitlines() if line.startswith("fuse")]
            return {"cannot": ": ".join((failure, *said[-1:]))}
        return {"died": words}

    def _end(self, root: Path) -> dict[str, Any]:
        ward = self._wards.pop(root)
        if not ward.daemon.is_alive():
            words = _last_words(ward.log)
            self._clear(root)
            return {"died": words}
        by_itself = end(ward.daemon, _PATIENCE)
        self._clear(root)
        return {"ended": by_itself}

    def end_all(self) -> None:
        """Leave nothing behind."""
        for ward in self._wards.values():
            with suppress(ProcessLookupError):
                os.kill(ward.daemon.pid, signal.SIGTERM)
        for root, ward in self._wards.items():
            end(ward.daemon, _PATIENCE)
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
    warden = _Warden()
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        lines = connection.makefile()
        try:
            for line in lines:
                connection.sendall(json.dumps(warden.answer(json.loads(line))).encode() + b"\n")
        except ConnectionError:
            pass  # nobody waits for the answer any more
        finally:
            warden.end_all()


if __name__ == "__main__":
    main()

"""The keeper, seen from the process whose guests it keeps: see `keeper_process`."""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Lock
from typing import Any

from fakeproc.api.errors import FakeprocError

__all__ = ["Keeper", "python", "running_keeper"]

_PACKAGES = Path(__file__).resolve().parents[2]

# A machine of 2048 CPUs takes seconds, on a busy computer some more.
_PATIENCE = 120.0


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs `main()` of a module of ours, with this very Python.

    It finds fakeproc where this process has found it, and nothing in the
    working directory.
    """
    code = f"import sys; sys.path.append({str(_PACKAGES)!r}); from {module} import main; main()"
    return [sys.executable, "-P", "-c", code, *arguments]


class Keeper:
    """A running keeper, and the way to ask it."""

    def __init__(self) -> None:
        self._of = os.getpid()
        self._lock = Lock()
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as it lives
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(_PATIENCE)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                python("fakeproc.api.keeper_process", str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._words,
                start_new_session=True,
            )
        self._answers = self._socket.makefile()

    @property
    def is_usable(self) -> bool:
        """True if it runs and was started by this process (not inherited over a fork)."""
        return self._of == os.getpid() and self._process.poll() is None

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return the answer.  Raises FakeprocError where none comes."""
        try:
            with self._lock:
                self._socket.sendall(json.dumps(request).encode() + b"\n")
                line = self._answers.readline()
        except OSError as error:
            raise self._mistake(str(error)) from error
        if not line:
            raise self._mistake("it has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _mistake(self, what: str) -> FakeprocError:
        self._words.seek(0)
        words = self._words.read().decode(errors="replace")
        return FakeprocError(f"the process that keeps the guests does not answer: {what}\n{words}")

    def close(self) -> None:
        """End it, and with it all guests; returns when nothing is mounted any more."""
        self._answers.close()
        self._socket.close()
        self._words.close()
        if self._of == os.getpid():
            self._process.wait()


class _Current:
    """The keeper of this process, if it has one."""

    keeper: Keeper | None = None
    lock = Lock()


def running_keeper() -> Keeper:
    """The keeper of this process, started if need be."""
    with _Current.lock:
        if _Current.keeper is None or not _Current.keeper.is_usable:
            _close()
            _Current.keeper = Keeper()
        return _Current.keeper


@atexit.register
def _close() -> None:
    if _Current.keeper is not None:
        _Current.keeper.close()
        _Current.keeper = None

"""The warden, seen from the process whose guests it keeps: see `warden_process`."""

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

__all__ = ["Warden", "python", "warden"]

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


class Warden:
    """A running warden, and the way to ask it."""

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
        """Whether it runs, and is this process's own and not that of one that has forked."""
        return self._of == os.getpid() and self._process.poll() is None

    def ask(self, **request: Any) -> dict[str, Any]:
        """Have something done.  Raises FakeprocError if it cannot answer."""
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
    """The warden of this process, if it has one."""

    warden: Warden | None = None
    lock = Lock()


def warden() -> Warden:
    """The warden of this process, started if need be."""
    with _Current.lock:
        if _Current.warden is None or not _Current.warden.is_usable:
            _close()
            _Current.warden = Warden()
        return _Current.warden


@atexit.register
def _close() -> None:
    if _Current.warden is not None:
        _Current.warden.close()
        _Current.warden = None

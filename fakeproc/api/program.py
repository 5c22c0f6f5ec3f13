"""A program that goes on: started on a guest, listened to, and ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from typing import IO, TYPE_CHECKING, Any, Self

from fakeproc.api.errors import FakeprocError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

__all__ = ["Program"]

_INTERVAL = 0.01  # seconds between two looks at the output
_LAST_WORDS = 2000  # characters of the output in a message


class Program:
    """A program that runs on a guest for as long as a `with` statement lasts.

        with guest.running(["irqbalance", "--debug", "-t", "10"]) as balancer:
            balancer.wait_for("Package 0")
        assert balancer.returncode == 0, balancer.output

    `Guest.running` makes it.  All times are seconds of this computer's clock.
    """

    def __init__(
        self,
        args: Sequence[str],
        command: Sequence[str],
        never_began: Callable[[], None],
        options: dict[str, Any],
    ) -> None:
        """`never_began` raises CannotRunError where no program can be run at all."""
        self.args = args
        self._command = command
        self._never_began = never_began
        self._options = options
        self._written: IO[bytes] | None = None  # where it writes to, while it may
        self._output = b""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if self._process is not None:
            raise FakeprocError(f"{self.args[0]} was started already: call running() again")
        options = {"stdin": subprocess.DEVNULL, **self._options}
        self._written = tempfile.TemporaryFile()
        self._process = subprocess.Popen(  # noqa: S603
            self._command, stdout=self._written, stderr=subprocess.STDOUT, **options
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self._output = self._read()
        if self._written is not None:
            self._written.close()
            self._written = None
        if error is None and self.returncode == 1:
            self._never_began()

    def __repr__(self) -> str:
        status = "running" if self.returncode is None else f"ended with {self.returncode}"
        return f"<fakeproc.Program {self.args[0]}, {status}>"

    @property
    def output(self) -> str:
        """What it has written so far, to its standard output and standard error."""
        return self._read().decode(errors="replace")

    def _read(self) -> bytes:
        if self._written is None:
            return self._output
        descriptor = self._written.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)

    @property
    def returncode(self) -> int | None:
        """Its exit status, or -N if signal N has ended it; None while it runs."""
        return self._now.poll()

    def send_signal(self, signum: signal.Signals | int) -> None:
        """Send it a signal, unless it has ended."""
        self._now.send_signal(signum)

    def stop(self, timeout: float = 10) -> int:
        """End it, by SIGTERM and after `timeout` seconds by SIGKILL: how it has ended."""
        self.send_signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            self._now.kill()
            return self.wait()

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends by itself: how.  Raises subprocess.TimeoutExpired."""
        return self._now.wait(timeout)

    def wait_for(self, pattern: str, timeout: float = 10) -> re.Match[str]:
        """Wait until its output matches a regular expression, and return the match.

        Raises TimeoutError after `timeout` seconds, and FakeprocError where it ends without.
        """
        deadline = time.monotonic() + timeout
        while True:
            ended = self.returncode is not None  # before its output is read for the last time
            found = re.search(pattern, self.output)
            if found:
                return found
            if ended:
                if self.returncode == 1:
                    self._never_began()
                raise FakeprocError(self._without(pattern, f"has ended ({self.returncode})"))
            if time.monotonic() > deadline:
                raise TimeoutError(self._without(pattern, f"runs for more than {timeout} s"))
            time.sleep(_INTERVAL)

    def _without(self, pattern: str, what: str) -> str:
        last = self.output[-_LAST_WORDS:]
        return f"{self.args[0]} {what} and has not written {pattern!r}; its last words:\n{last}"

    @property
    def _now(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise FakeprocError(f"{self.args[0]} was not started: use it in a 'with' statement")
        return self._process

"""Commands of fakeproc without the start of a Python.

Starting Python and importing is nine tenths of what a short command costs, and the tests give
thousands of them.  So a parent that has imported everything forks for each (warm_parent.py).
What runs is `fakeproc/__main__.py`, with words, environment, working directory and streams of its
own, in a process of its own.  A test whose subject is the process itself (its signals, its limits,
what it inherits, what it imports) starts a Python.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

__all__ = ["WarmOf", "WarmParent", "warm_parent"]

PROGRAM = Path(__file__).with_name("warm_parent.py")


class WarmParent:
    """Runs commands of fakeproc; `warm_parent` makes one."""

    def __init__(self, address: bytes) -> None:
        self._address = address

    def run(
        self,
        words: Sequence[object],
        environment: Mapping[str, str],
        *,
        stdin: int = 0,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """A command, ended, and all that it and what it has started have said.

        Raises subprocess.TimeoutExpired, where it has been killed.
        """
        deadline = time.monotonic() + timeout
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
            asking.connect(self._address)
            out, err = self._started(asking, words, environment, stdin)
            said = {asking.fileno(): b"", out: b"", err: b""}
            try:
                with selectors.DefaultSelector() as selector:
                    for source in said:
                        selector.register(source, selectors.EVENT_READ)
                    while selector.get_map():
                        ready = selector.select(max(deadline - time.monotonic(), 0))
                        if not ready:
                            os.kill(int(said[asking.fileno()].split()[0]), signal.SIGKILL)
                            raise subprocess.TimeoutExpired(list(map(str, words)), timeout)
                        for key, _ in ready:
                            read = os.read(key.fd, 1 << 16)
                            said[key.fd] += read
                            if not read:
                                selector.unregister(key.fd)
            finally:
                os.close(out)
                os.close(err)
            _, status = said[asking.fileno()].split()
        return subprocess.CompletedProcess(
            list(map(str, words)), int(status), said[out].decode(), said[err].decode()
        )

    @staticmethod
    def _started(
        asking: socket.socket, words: Sequence[object], environment: Mapping[str, str], stdin: int
    ) -> tuple[int, int]:
        """Ask for a command; returns the pipes that its standard output and error go to."""
        request = {"words": list(map(str, words)), "environment": dict(environment)}
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        here = os.open(".", os.O_PATH)
        given = (stdin, out_end, err_end, here)
        socket.send_fds(asking, [json.dumps(request).encode()], given)
        for descriptor in given[1:]:
            os.close(descriptor)
        return out, err


WarmOf: TypeAlias = Callable[[str], WarmParent]  # of "root" or an ordinary "user"


@contextmanager
def warm_parent(environment: Mapping[str, str], prefix: Sequence[str] = ()) -> Iterator[WarmParent]:
    """A warm parent, started with an environment and behind the words of a prefix."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind("")  # to an address that the kernel chooses
        listening.listen()
        with subprocess.Popen(
            [*prefix, sys.executable, PROGRAM, "fakeproc", str(listening.fileno())],
            # Room for the environments of the commands, in what /proc/PID/environ shows.
            env={**environment, "ROOM": " " * 4096},
            stdin=subprocess.PIPE,
            pass_fds=[listening.fileno()],
        ):
            yield WarmParent(listening.getsockname())

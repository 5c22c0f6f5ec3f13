"""A process that has imported all of fakeproc, and forks to be its command: see warm.py.

    python warm_parent.py fakeproc LISTENING-SOCKET

It ends when its standard input does.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import socket
import sys
import traceback
from contextlib import suppress
from pathlib import Path

import fakeproc

# What they import is large, and no command that is started warm needs it.
COLD = ("fakeproc.__main__", "fakeproc.lab", "fakeproc.view", "fakeproc.pytest_plugin")
LARGEST_REQUEST = 1 << 20


def import_all() -> None:
    """Import the modules of fakeproc, also those that a command imports only when it runs."""
    packages = pkgutil.walk_packages(fakeproc.__path__, "fakeproc.", onerror=lambda _name: None)
    for module in packages:
        if not module.name.startswith(COLD):
            importlib.import_module(module.name)
    importlib.import_module("importlib.resources.readers")  # of the built-in profiles


def become_the_command(request: dict[str, object], descriptors: list[int]) -> None:
    """Be `python -m fakeproc` with these words, environment, streams, directory; never return."""
    status: object = 1
    try:
        open_streams(descriptors[:3])
        os.fchdir(descriptors[3])
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.environ.clear()  # also libc's, which points into what is written now
        show_environment(request["environment"])
        os.environ.update(request["environment"])
        sys.argv = ["fakeproc", *request["words"]]
        runpy.run_module("fakeproc", run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code
    except BaseException:  # noqa: BLE001 - as Python does at its end
        traceback.print_exc()
    atexit._run_exitfuncs()  # noqa: SLF001 - of Python's end, which does more than this
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        status = 120
    # Taking apart what is the parent's would take longer than most commands.
    os._exit(status if isinstance(status, int) else int(status is not None))


def open_streams(descriptors: list[int]) -> None:
    """Have these be standard input, output and error, as Python opens them at its start."""
    encoding, errors = sys.stdout.encoding, sys.stdout.errors
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    sys.stdin = os.fdopen(0, encoding=encoding, errors=errors, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding=encoding, errors=errors, closefd=False)
    sys.stderr = os.fdopen(
        2, "w", buffering=1, encoding=encoding, errors="backslashreplace", closefd=False
    )


def show_environment(environment: dict[str, str]) -> None:
    """Have /proc/PID/environ show this environment, by which tests find what is left behind.

    Raises ValueError where it is longer than what the process was started with.
    """
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = map(int, fields[47:49])  # proc(5): env_start, env_end
    shown = "".join(f"{name}={value}\0" for name, value in environment.items())
    if len(os.fsencode(shown)) > end - start:
        raise ValueError(f"an environment of {len(shown)} characters has no room")
    ctypes.memmove(start, os.fsencode(shown).ljust(end - start, b"\0"), end - start)


def serve(listening: socket.socket) -> None:
    """Fork for each connection; say at once which process it is, and in the end how it ended."""
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ)
    selector.register(0, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj == 0:  # whoever asked for commands is gone
                return
            if key.fileobj is listening:
                asking, _ = listening.accept()
                text, descriptors, _, _ = socket.recv_fds(asking, LARGEST_REQUEST, 4)
                child = os.fork()
                if child == 0:
                    become_the_command(json.loads(text), descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)
                asking.sendall(f"{child}\n".encode())
                selector.register(os.pidfd_open(child), selectors.EVENT_READ, (child, asking))
            else:
                child, asking = key.data
                selector.unregister(key.fileobj)
                os.close(key.fd)
                _, status = os.waitpid(child, 0)
                with asking, suppress(BrokenPipeError):
                    asking.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    import_all()
    # Forked processes share what is never written to: keep the collector off it.
    gc.collect()
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[2])))

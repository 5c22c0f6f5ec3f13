"""`fakeproc list`."""

# ruff: noqa: PLC0415

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from fakeproc.cli.options import Failure, example, print_table, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fakeproc.mount.registry import Entry

__all__ = ["list_mounts"]


@click.command("list", epilog=example("fakeproc list"))
def list_mounts() -> None:
    """List the mounts of this user.

    Says for each its mountpoint, profile, process, memory, age and log.  Those
    of a daemon that has died are listed until they are unmounted.
    """
    from fakeproc.mount import registry

    try:
        rows = [_row(entry) for entry in registry.entries()]
    except OSError as error:
        raise Failure(sentence(error)) from error
    print_table(("mountpoint", "profile", "pid", "memory", "age", "log"), rows)


def _row(entry: Entry) -> Sequence[str]:
    import psutil

    memory = age = "dead"
    if entry.is_alive():
        with suppress(psutil.NoSuchProcess):  # it ends just now
            process = psutil.Process(entry.process.pid)
            age = _duration(time.time() - process.create_time())
            memory = f"{process.memory_info().rss / 2**20:.0f} MiB"
    columns = (entry.mountpoint, entry.profile, entry.process.pid, memory, age, entry.log)
    return [str(column) for column in columns]


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"

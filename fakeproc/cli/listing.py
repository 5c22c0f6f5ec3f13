"""`fakeproc list`."""

# ruff: noqa: PLC0415

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, NamedTuple

import click

from fakeproc.cli.options import Failure, example, json_option, print_table, sentence
from fakeproc.shell_words import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fakeproc.mount.registry import Entry

__all__ = ["list_mounts"]


class _Mount(NamedTuple):
    """A mount as --json prints it; bytes and seconds, None where the daemon is dead."""

    mountpoint: str
    profile: str
    pid: int
    memory_bytes: int | None
    age_s: float | None
    log: str


@click.command("list", epilog=example("fakeproc list", "fakeproc list --json"))
@json_option
def list_mounts(as_json: bool) -> None:
    """List the mounts of this user.

    Says for each its mountpoint, profile, process, memory, age and log.  Those
    of a daemon that has died are listed until they are unmounted.
    """
    from fakeproc.mount import registry

    try:
        found = list(registry.entries())
    except OSError as error:
        raise Failure(sentence(error)) from error
    mounts = [_described(entry) for entry in found if isinstance(entry, registry.Entry)]
    if as_json:
        click.echo(json.dumps([mount._asdict() for mount in mounts], indent=2))
    else:
        columns = ("mountpoint", "profile", "pid", "memory", "age", "log")
        print_table(columns, [_row(mount) for mount in mounts])
    damaged = [error for error in found if isinstance(error, registry.DamagedEntryError)]
    if damaged:
        raise Failure("; ".join(map(str, damaged)))


def _described(entry: Entry) -> _Mount:
    import psutil

    memory = age = None
    if entry.is_alive():
        try:
            process = psutil.Process(entry.process.pid)
            memory = process.memory_info().rss
            age = max(time.time() - process.create_time(), 0.0)
        except psutil.NoSuchProcess:  # it ends just now
            memory = age = None
    mountpoint, log = str(entry.mountpoint), str(entry.log)
    return _Mount(mountpoint, entry.profile, entry.process.pid, memory, age, log)


def _row(mount: _Mount) -> Sequence[str]:
    memory = "dead" if mount.memory_bytes is None else f"{mount.memory_bytes / 2**20:.0f} MiB"
    age = "dead" if mount.age_s is None else _duration(mount.age_s)
    mountpoint, log = shown(mount.mountpoint), shown(mount.log)
    return (mountpoint, mount.profile, str(mount.pid), memory, age, log)


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"

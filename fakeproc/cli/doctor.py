"""`fakeproc doctor`."""

# ruff: noqa: PLC0415 - `fakeproc --help` imports nothing that only a trial needs

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import click

from fakeproc.cli.options import Failure, example, json_option, print_table, sentence

if TYPE_CHECKING:
    from fakeproc.api.guest import Guest

__all__ = ["doctor"]

# The parts of a run that a system can forbid, each tried alone.
_PARTS = {
    "system calls": ("--syscalls", "guest", "--time", "host", "--net", "host"),
    "time": ("--syscalls", "host", "--time", "guest", "--net", "host"),
    "uevents": ("--syscalls", "host", "--time", "host", "--net", "guest"),
}


@dataclass(frozen=True)
class _Finding:
    """Whether something works here, and what is missing for it and what to type where not."""

    what: str
    works: bool
    detail: str


class _DoesNotWorkError(Exception):
    """It does not work here; the message is a sentence that says what to do."""


@click.command(epilog=example("fakeproc doctor", "fakeproc doctor --json"))
@json_option
def doctor(as_json: bool) -> None:
    """Try what fakeproc needs on this computer: what works, what is missing, what to type.

    Mounts a guest in a temporary directory, runs a program on it, and leaves
    nothing behind.  Exit status: 1 where something does not work.
    """
    findings = list(_findings())
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        rows = [(it.what, "works" if it.works else "fails", it.detail) for it in findings]
        print_table(("what", "here", "detail"), rows)
    failing = [finding.what for finding in findings if not finding.works]
    if failing:
        raise Failure(f"does not work here: {', '.join(failing)}")


def _findings() -> Iterator[_Finding]:
    library = _tried("FUSE", _library)
    yield library
    if not library.works:
        return
    from fakeproc.api.errors import CannotMountError
    from fakeproc.api.guest import Guest

    try:
        with Guest() as guest:
            yield _Finding("mount", True, "proc, sys and host of a guest")
            run = _tried("run", partial(_run, guest))
            yield run
            for part, options in _PARTS.items() if run.works else ():
                yield _tried(f"run: {part}", partial(_run, guest, *options))
    except CannotMountError as error:
        yield _Finding("mount", False, str(error))


def _tried(what: str, trial: Callable[[], str]) -> _Finding:
    try:
        return _Finding(what, True, trial())
    except (_DoesNotWorkError, OSError) as error:
        return _Finding(what, False, sentence(error))


def _library() -> str:
    from fakeproc.mount import libfuse, mountpoints

    try:
        mountpoints.check_machine(allow_other=False)
    except mountpoints.MountError as error:
        raise _DoesNotWorkError(str(error)) from error
    binding = libfuse.load()
    return f"{libfuse.package(binding)} on libfuse {libfuse.major(binding)}"


def _run(guest: Guest, *options: str) -> str:
    """Run a program on the guest, with parts of the guest's or without."""
    from fakeproc.api.keeper import python

    without = ("--syscalls", "host", "--time", "host", "--net", "host")
    done = subprocess.run(  # noqa: S603
        python(
            "fakeproc.cli.main",
            "run",
            "--mount",
            str(guest.root),
            "--strict",
            *(options or without),
            "--",
            "cat",
            "/proc/irq/39/smp_affinity_list",
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or done.stdout != guest.read("/proc/irq/39/smp_affinity_list"):
        said = done.stderr.strip().removeprefix("fakeproc: ")
        raise _DoesNotWorkError(said or f"the program ended with {done.returncode}")
    return "the guest's" if options else "a program at the real paths"

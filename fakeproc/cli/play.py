"""`fakeproc play`: a scenario, on a guest of its own or on one that is mounted."""

# ruff: noqa: PLC0415 - `fakeproc --help` imports nothing that only a scenario needs

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from fakeproc.cli.options import (
    BadInput,
    Failure,
    MachineOptions,
    complete_directory,
    complete_words,
    example,
    given_options,
    machine_options,
    print_table,
    sentence,
)
from fakeproc.shell_words import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakeproc.play.moments import Moment
    from fakeproc.play.schema import Scenario
    from fakeproc.play.target import MountedTarget, Target
    from fakeproc.profiles.schema import Profile

__all__ = ["play"]

_POLL_S = 0.01  # until a program has begun


def _scenario_words() -> Mapping[str, str]:
    from fakeproc.play.load import load, names

    return {name: load(name).description for name in names()}


@click.command(
    epilog=example(
        "fakeproc play",
        "fakeproc play storm",
        "fakeproc play --profile azure-d64 flapping-cpu",
        "fakeproc play --mount /tmp/guest mine.toml",
        "fakeproc play hot-added-nic -- irqbalance --foreground -t 1",
    )
)
@machine_options
@click.option(
    "--mount",
    "mountpoint",
    metavar="MOUNTPOINT",
    help="Play it on the guest that is mounted there.",
    shell_complete=complete_directory,
)
@click.argument("scenario", required=False, shell_complete=complete_words(_scenario_words, "file"))
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def play(
    scenario: str | None,
    command: tuple[str, ...],
    mountpoint: str | None,
    **options: Unpack[MachineOptions],
) -> None:
    """Play SCENARIO, a TOML file or the name of one that comes with fakeproc.

    Makes its writes at their moments and checks what it expects.  The guest is
    one in this process unless --mount names another.  Without SCENARIO: list
    those that come with fakeproc.

    With COMMAND the guest is mounted, and that program runs on it, as by
    'fakeproc run', from before the first step to after the last.

    Exit status: 1 where an expectation failed, with the step and what came,
    or where COMMAND failed before it was ended.
    """
    if scenario is None:
        print_table(("name", "description"), [*_scenario_words().items()])
        return
    from fakeproc.play.load import ScenarioError, load
    from fakeproc.play.names import PlayError
    from fakeproc.play.player import Player, StepFailed, missing_needs

    given = given_options(options)
    if mountpoint is not None and given:
        raise click.UsageError(f"with --mount the guest is there: {given[0]} is for one of its own")
    try:
        loaded = load(scenario)
        with ExitStack() as ends:
            if mountpoint is not None:
                target: Target = _mounted(mountpoint)
            elif command:
                target = ends.enter_context(_guest_of_its_own(loaded, options))
            else:
                target = _in_process(loaded, options)
            why = missing_needs(loaded, target)
            if why is not None:
                raise Failure(f"{scenario} makes no sense here: {why}")
            if command:
                ends.enter_context(_running(command, target))
            steps = Player(loaded, target, on_step=_progress).play()
    except ScenarioError as error:
        raise BadInput(str(error)) from error
    except (StepFailed, PlayError) as error:
        raise Failure(f"{scenario}: {error}") from error
    except OSError as error:
        raise Failure(sentence(error)) from error
    click.echo(f"played {scenario}: {steps} steps, all as expected")


def _mounted(mountpoint: str) -> MountedTarget:
    from fakeproc.mount import mountpoints
    from fakeproc.play.target import MountedTarget
    from fakeproc.run.mounted_guest import GuestError, MountedGuest

    try:
        return MountedTarget(MountedGuest(mountpoints.resolved(mountpoint)).mountpoint)
    except (GuestError, mountpoints.MountError) as error:
        raise Failure(str(error)) from error


@contextmanager
def _guest_of_its_own(scenario: Scenario, options: MachineOptions) -> Iterator[MountedTarget]:
    """A guest that is mounted for as long as the scenario lasts."""
    from fakeproc.api.errors import FakeprocError
    from fakeproc.api.guest import Guest
    from fakeproc.play.target import MountedTarget
    from fakeproc.profiles.select import checked_clock, checked_sizes

    profile = _profile(scenario, options)
    clock = checked_clock(options["clock"] or "real")
    sizes = checked_sizes(options["sizes"] or "length")
    try:
        with Guest(profile, clock=clock, sizes=sizes) as guest:
            yield MountedTarget(guest.root)
    except FakeprocError as error:
        raise Failure(str(error)) from error


@contextmanager
def _running(command: tuple[str, ...], target: Target) -> Iterator[None]:
    """Run a program on a mounted guest while the block runs, and end it then."""
    from fakeproc.play.target import MountedTarget

    assert isinstance(target, MountedTarget)  # noqa: S101 - with a program it is
    if not target.read("/host/clock").startswith("real"):
        raise Failure(
            "with a program the guest's clock must be real: a manual one goes on by itself "
            "whenever the program sleeps"
        )
    run = [sys.executable, "-m", "fakeproc", "run", "--mount", str(target.root), "--"]
    with tempfile.TemporaryDirectory(prefix="fakeproc-play-") as directory:
        begun = Path(directory) / "begun"
        words = [*run, "sh", "-c", ': > "$0"; exec "$@"', str(begun), *command]
        with subprocess.Popen(words) as process:  # noqa: S603
            try:
                while not begun.exists() and process.poll() is None:
                    time.sleep(_POLL_S)
                yield
                early = process.poll()
            finally:
                process.terminate()
    if early:
        raise Failure(f"{shown(command[0])} ended with status {early} before the scenario did")


def _profile(scenario: Scenario, options: MachineOptions) -> Profile:
    from fakeproc.profiles.errors import ProfileError
    from fakeproc.profiles.select import DEFAULT_PROFILE, chosen

    try:
        return chosen(
            options["profile"] or scenario.profile or DEFAULT_PROFILE,
            options["kernel"] or scenario.kernel,
            options["cpus"] or scenario.cpus,
            options["seed"] if options["seed"] is not None else scenario.seed,
            options["without_patches"],
        )
    except ProfileError as error:
        raise BadInput(str(error)) from error


def _in_process(scenario: Scenario, options: MachineOptions) -> Target:
    from fakeproc.machine import Machine
    from fakeproc.play.in_process import InProcessTarget
    from fakeproc.profiles.select import checked_clock, checked_sizes
    from fakeproc.vfs.namespace import Namespace

    profile = _profile(scenario, options)
    clock = checked_clock(options["clock"] or scenario.clock)
    sizes = checked_sizes(options["sizes"] or "length")
    return InProcessTarget(Namespace(Machine(profile, clock, sizes)))


def _progress(done: int, steps: int, moment: Moment) -> None:
    """Where the scenario is, on a terminal: on one line, which the next step overwrites."""
    if sys.stderr.isatty():
        step = f"{moment.step.kind}, at {moment.instant / 1e9:g} s"
        click.echo(f"\r\x1b[Kstep {done + 1} of {steps}: {step}", err=True, nl=False)
        if done + 1 == steps:
            click.echo("\r\x1b[K", err=True, nl=False)

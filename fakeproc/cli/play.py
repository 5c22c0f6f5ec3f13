"""`fakeproc play`: a scenario, on a guest of its own or on one that is mounted."""

# ruff: noqa: PLC0415 - `fakeproc --help` imports nothing that only a scenario needs

from __future__ import annotations

import sys
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

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakeproc.play.moments import Moment
    from fakeproc.play.schema import Scenario
    from fakeproc.play.target import Target

__all__ = ["play"]


def _scenario_words() -> Mapping[str, str]:
    from fakeproc.play.load import load, names

    return {name: load(name).description for name in names()}


@click.command(
    epilog=example(
        "fakeproc play",
        "fakeproc play storm",
        "fakeproc play --profile azure-d64 flapping-cpu",
        "fakeproc play --mount /tmp/guest mine.toml",
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
def play(scenario: str | None, mountpoint: str | None, **options: Unpack[MachineOptions]) -> None:
    """Play SCENARIO, a TOML file or the name of one that comes with fakeproc.

    Makes its writes at their moments and checks what it expects.  The guest is
    one in this process unless --mount names another.  Without SCENARIO: list
    those that come with fakeproc.

    Exit status: 1 where an expectation failed, with the step and what came.
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
        target = _target(loaded, mountpoint, options)
        why = missing_needs(loaded, target)
        if why is not None:
            raise Failure(f"{scenario} makes no sense here: {why}")
        steps = Player(loaded, target, on_step=_progress).play()
    except ScenarioError as error:
        raise BadInput(str(error)) from error
    except (StepFailed, PlayError) as error:
        raise Failure(f"{scenario}: {error}") from error
    except OSError as error:
        raise Failure(sentence(error)) from error
    click.echo(f"played {scenario}: {steps} steps, all as expected")


def _target(scenario: Scenario, mountpoint: str | None, options: MachineOptions) -> Target:
    from fakeproc.play.in_process import InProcessTarget
    from fakeproc.play.target import MountedTarget

    if mountpoint is not None:
        from fakeproc.mount import mountpoints
        from fakeproc.run.mounted_guest import GuestError, MountedGuest

        try:
            return MountedTarget(MountedGuest(mountpoints.resolved(mountpoint)).mountpoint)
        except (GuestError, mountpoints.MountError) as error:
            raise Failure(str(error)) from error
    from fakeproc.machine import Machine
    from fakeproc.profiles.errors import ProfileError
    from fakeproc.profiles.select import DEFAULT_PROFILE, checked_clock, checked_sizes, chosen
    from fakeproc.vfs.namespace import Namespace

    try:
        profile = chosen(
            options["profile"] or scenario.profile or DEFAULT_PROFILE,
            options["kernel"] or scenario.kernel,
            options["cpus"] or scenario.cpus,
            options["seed"] if options["seed"] is not None else scenario.seed,
            options["without_patches"],
        )
    except ProfileError as error:
        raise BadInput(str(error)) from error
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

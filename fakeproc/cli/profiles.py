"""`fakeproc profiles`."""

# ruff: noqa: PLC0415

from __future__ import annotations

import click

from fakeproc.cli.options import (
    BadInput,
    complete_words,
    example,
    json_option,
    print_rows,
    profile_words,
)
from fakeproc.defaults import DEFAULT_PROFILE

__all__ = ["profiles"]


@click.group(
    invoke_without_command=True,
    epilog=example(
        "fakeproc profiles",
        f"fakeproc profiles show {DEFAULT_PROFILE} > mine.toml",
        "fakeproc mount --profile mine.toml /tmp/guest",
    ),
)
@json_option
@click.pass_context
def profiles(context: click.Context, as_json: bool) -> None:
    """List the built-in profiles."""
    if context.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError("--json is for the list, without a subcommand")
        return
    from fakeproc.profiles import description, names

    rows = [(name, description(name)) for name in names()]
    print_rows(("name", "description"), rows, as_json)


@profiles.command(epilog=example(f"fakeproc profiles show {DEFAULT_PROFILE} > mine.toml"))
@click.argument("name", shell_complete=complete_words(profile_words))
def show(name: str) -> None:
    """Print the TOML of the profile NAME, to start your own from."""
    from fakeproc.profiles import ProfileError, source

    try:
        click.echo(source(name), nl=False)
    except ProfileError as error:
        raise BadInput(str(error)) from error

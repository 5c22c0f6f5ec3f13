"""`fakeproc completion`: the script by which a shell completes the command line."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from fakeproc.cli.options import example

__all__ = ["completion"]


@click.command(
    epilog=example(
        "fakeproc completion bash > ~/.local/share/bash-completion/completions/fakeproc",
        "fakeproc completion zsh > ~/.zfunc/_fakeproc",
        "fakeproc completion fish > ~/.config/fish/completions/fakeproc.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script by which SHELL completes this command.

    It belongs where the shell looks for such scripts: for zsh, a directory that
    is in fpath before compinit runs.
    """
    complete = get_completion_class(shell)
    if complete is None:
        raise click.UsageError(f"this version of click has no completion for {shell}")
    command = click.get_current_context().find_root().command
    click.echo(complete(command, {}, "fakeproc", "_FAKEPROC_COMPLETE").source())

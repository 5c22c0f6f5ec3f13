"""Completion of the command line in a shell: `fakeproc completion bash|zsh|fish`."""

# ruff: noqa: PLC0415 - what only a shell asks for is not to slow down a mount

from __future__ import annotations

from collections.abc import Callable, Mapping

import click
from click.shell_completion import CompletionItem, get_completion_class
from click.types import StringParamType

__all__ = ["completion", "teach"]


class _Word(StringParamType):
    """Any word, of which some are known; where none fits, a path is offered."""

    def __init__(self, known: Callable[[], Mapping[str, str]], path: str = "") -> None:
        self._known = known
        self._path = path  # "dir", "file", or nothing

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The known words that begin like this, each with what it means."""
        del ctx, param
        words = self._known().items()
        found = [CompletionItem(w, help=said) for w, said in words if w.startswith(incomplete)]
        if found or not self._path:
            return found
        return [CompletionItem(incomplete, type=self._path)]


def _profiles() -> Mapping[str, str]:
    from fakeproc.profiles import description, names

    return {name: description(name) for name in names()}


def _kernels() -> Mapping[str, str]:
    from fakeproc.profiles.kernels import KERNELS

    return {name: f"{version}, series {series}" for name, (version, series) in KERNELS.items()}


# By the name of the parameter, whichever command has it.
_TYPES = {
    "profile": _Word(_profiles, "file"),
    "name": _Word(_profiles),
    "kernel": _Word(_kernels),
    "mountpoint": _Word(dict, "dir"),
}


def teach(group: click.Group) -> None:
    """Let the parameters of all commands complete."""
    for command in group.commands.values():
        if isinstance(command, click.Group):
            teach(command)
        for parameter in command.params:
            parameter.type = _TYPES.get(parameter.name or "", parameter.type)


@click.command(
    epilog="""\b
Example:
  fakeproc completion bash > ~/.local/share/bash-completion/completions/fakeproc
  fakeproc completion zsh > ~/.zfunc/_fakeproc
  fakeproc completion fish > ~/.config/fish/completions/fakeproc.fish
"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script by which SHELL completes this command.

    It belongs where the shell looks for such scripts: for zsh, a directory that
    is in fpath before compinit runs.
    """
    complete = get_completion_class(shell)
    if complete is None:
        raise click.UsageError(f"this version of click knows nothing of {shell}")
    command = click.get_current_context().find_root().command
    click.echo(complete(command, {}, "fakeproc", "_FAKEPROC_COMPLETE").source())

"""`fakeproc export`."""

# ruff: noqa: PLC0415 - `fakeproc --help` is not to wait for what only an export needs

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fakeproc.cli.options import (
    BadInput,
    Failure,
    complete_words,
    example,
    profile_words,
    report,
    sentence,
)
from fakeproc.shell_words import shown

if TYPE_CHECKING:
    from fakeproc.api.export import ExportForm
    from fakeproc.recordings.record import Root

__all__ = ["export"]


@click.command(
    epilog=example(
        "fakeproc export /tmp/guest -o now.toml",
        "fakeproc export hyperv-2socket -o dump && lscpu --sysroot dump",
        "HWLOC_FSROOT=dump HWLOC_COMPONENTS=linux,stop lstopo-no-graphics",
    )
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="What to write; it must not exist yet.  The name says the form: .toml is a profile, .tar,"
    " .tar.gz, .tar.bz2, .tar.xz and .tgz an archive, any other a directory.",
)
@click.option(
    "--as",
    "form",
    type=click.Choice(["archive", "directory", "profile"]),
    help="The form, where the name is not to say it.",
)
@click.argument("which", metavar="MOUNTPOINT|PROFILE", shell_complete=complete_words(profile_words))
def export(which: str, output: Path, form: ExportForm | None) -> None:
    """Hand a guest on, as it is now.

    The guest is one that is mounted on MOUNTPOINT, or PROFILE as it boots: a built-in one, a TOML
    file or an archive.

    A profile boots into the state of this moment: CPUs, devices, targets, counts, rates. An
    archive or a directory has /proc and /sys as files, and the profile beside them: 'fakeproc
    import' reads both, 'lscpu --sysroot' and lstopo (HWLOC_FSROOT) read the directory.
    """
    from fakeproc.api.export import export as write
    from fakeproc.api.export import form_of

    root, profile = _guest(which)
    form = form or form_of(output)
    try:
        write(root, profile, output, form)
    except OSError as error:
        raise Failure(sentence(error)) from error
    report(f"wrote {shown(output)}, {'an' if form == 'archive' else 'a'} {form}")


def _guest(which: str) -> tuple[Root, str]:
    """Where its files are, and the profile of its state.  Raises BadInput, Failure."""
    from fakeproc.api.export import NamespaceRoot
    from fakeproc.machine import Machine
    from fakeproc.profiles import ProfileError
    from fakeproc.profiles.select import chosen
    from fakeproc.recordings.record import Root
    from fakeproc.vfs.namespace import Namespace

    now = Path(which) / "host/now.toml"
    if now.is_file():
        try:
            return Root(which), now.read_text()
        except OSError as error:
            raise Failure(sentence(error)) from error
    try:
        files = Namespace(Machine(chosen(which, None, None), "manual"))
    except ProfileError as error:
        raise BadInput(str(error)) from error
    return NamespaceRoot(files), files.read("/host/now.toml").decode()

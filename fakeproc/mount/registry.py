"""The mounts of this user: what `fakeproc list` shows and `fakeproc umount` ends.

One JSON file per mount, in a directory of the user's own.  The entry of a
daemon that was killed stays until the mount is cleared.  A file that is no
entry hides no other: `list` names it, and the mount table says what is mounted.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from fakeproc.mount.processes import Process
from fakeproc.shell_words import command_word

__all__ = [
    "DamagedEntryError",
    "Entry",
    "discard_log",
    "entries",
    "entry_of",
    "forget",
    "log_of",
    "record",
    "run_directory",
]


class DamagedEntryError(Exception):
    """A file among the entries that is none; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A mount: where, what, and the daemon that serves it.

    `temporary`: fakeproc made the mountpoint itself, and removes it with the mount.
    """

    mountpoint: Path
    profile: str
    process: Process
    log: Path
    temporary: bool = False

    def is_alive(self) -> bool:
        """Whether its daemon runs."""
        return self.process.is_alive()


def run_directory() -> Path:
    """The directory of this user's entries and logs, made if need be.

    Raises OSError, PermissionError where another user owns it or may write into it.
    """
    directory = _run_directory()
    # An entry says which process to signal: nobody else must be able to write one.
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise _unusable(directory, "is not a directory") from error
    for status in (directory.lstat(), directory.stat()):
        if status.st_uid != os.geteuid():
            raise _unusable(directory, "belongs to another user")
        if stat.S_ISDIR(status.st_mode) and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            mode = stat.S_IMODE(status.st_mode)
            raise _unusable(
                directory,
                f"has mode {mode:04o}, so that other users may write into it",
                f"make it yours with: chmod 700 {command_word(directory)}",
            )
    return directory


def _unusable(
    directory: Path,
    why: str,
    remedy: str = "remove it, or set XDG_RUNTIME_DIR to a directory of your own",
) -> PermissionError:
    return PermissionError(errno.EACCES, f"this {why}; {remedy}", str(directory))


def _run_directory() -> Path:
    # Root by sudo may have inherited the XDG_RUNTIME_DIR of a user.
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and Path(given).is_dir() and Path(given).stat().st_uid == os.geteuid():
        return Path(given) / "fakeproc"
    if os.geteuid() == 0:
        return Path("/run/fakeproc")
    return Path(f"/tmp/fakeproc-{os.geteuid()}")  # noqa: S108 - checked by run_directory


def _file_of(mountpoint: Path, suffix: str) -> Path:
    digest = hashlib.sha256(os.fsencode(mountpoint)).hexdigest()[:12]
    return run_directory() / f"{digest}{suffix}"


def log_of(mountpoint: Path) -> Path:
    """Where the daemon of a mount logs."""
    return _file_of(mountpoint, ".log")


def record(entry: Entry) -> None:
    """Write an entry, all of it at once.  Raises OSError, with nothing written."""
    file = _file_of(entry.mountpoint, ".json")
    unfinished = file.with_suffix(".new")
    try:
        unfinished.write_text(json.dumps(asdict(entry), default=str, indent=2) + "\n")
        unfinished.replace(file)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(file)) from error


def entries() -> Iterator[Entry | DamagedEntryError]:
    """All entries of this user, those of dead daemons included, and what is no entry."""
    for file in sorted(run_directory().glob("*.json")):
        try:
            yield _read(file)
        except FileNotFoundError:  # it was unmounted just now
            continue
        except DamagedEntryError as error:
            yield error


def entry_of(mountpoint: Path) -> Entry | None:
    """The entry of one mount; None where it has none that can be read."""
    try:
        return _read(_file_of(mountpoint, ".json"))
    except (FileNotFoundError, DamagedEntryError):
        return None


def _read(file: Path) -> Entry:
    """An entry.  Raises FileNotFoundError and DamagedEntryError."""
    try:
        fields = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(file) from error
    match fields:
        case {
            "mountpoint": str() as mountpoint,
            "profile": str() as profile,
            "process": [int() as pid, int() as started],
            "log": str() as log,
            **others,
        } if pid > 0:
            return Entry(
                Path(mountpoint),
                profile,
                Process(pid, started),
                Path(log),
                others.get("temporary") is True,
            )
    raise _damaged(file)


def _damaged(file: Path) -> DamagedEntryError:
    return DamagedEntryError(
        f"{file} is no entry of a mount: remove it with: rm -r {command_word(file)}"
    )


def forget(mountpoint: Path) -> None:
    """Remove the entry of a mount that has ended."""
    _file_of(mountpoint, ".json").unlink(missing_ok=True)


def discard_log(mountpoint: Path) -> None:
    """Remove the log of a mount that has ended well."""
    log_of(mountpoint).unlink(missing_ok=True)

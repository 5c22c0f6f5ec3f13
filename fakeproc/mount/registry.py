"""The mounts of this user: what `fakeproc list` shows and `fakeproc umount` ends.

One JSON file per mount, in a directory of the user's own.  The entry of a
daemon that was killed stays until the mount is cleared.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from fakeproc.mount.processes import Process

__all__ = [
    "Entry",
    "discard_log",
    "entries",
    "entry_of",
    "forget",
    "log_of",
    "record",
    "run_directory",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """A mount: where, what, and the daemon that serves it."""

    mountpoint: Path
    profile: str
    process: Process
    log: Path

    def is_alive(self) -> bool:
        """Whether its daemon runs."""
        return self.process.is_alive()


def run_directory() -> Path:
    """The directory of this user's entries and logs, made if need be.

    Raises OSError; PermissionError if somebody else has made it.
    """
    directory = _run_directory()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_uid != os.geteuid():
        raise PermissionError(f"{directory} belongs to somebody else")
    return directory


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
    """Write an entry, all of it at once."""
    file = _file_of(entry.mountpoint, ".json")
    unfinished = file.with_suffix(".new")
    unfinished.write_text(json.dumps(asdict(entry), default=str, indent=2) + "\n")
    unfinished.replace(file)


def entries() -> Iterator[Entry]:
    """All entries of this user, those of dead daemons included."""
    for file in sorted(run_directory().glob("*.json")):
        entry = _read(file)
        if entry is not None:
            yield entry


def entry_of(mountpoint: Path) -> Entry | None:
    """The entry of one mount."""
    return _read(_file_of(mountpoint, ".json"))


def _read(file: Path) -> Entry | None:
    try:
        fields = json.loads(file.read_text())
    except FileNotFoundError:  # it was unmounted just now
        return None
    return Entry(
        Path(fields["mountpoint"]),
        fields["profile"],
        Process(*fields["process"]),
        Path(fields["log"]),
    )


def forget(mountpoint: Path) -> None:
    """Remove the entry of a mount that has ended."""
    _file_of(mountpoint, ".json").unlink(missing_ok=True)


def discard_log(mountpoint: Path) -> None:
    """Remove the log of a mount that has ended well."""
    log_of(mountpoint).unlink(missing_ok=True)

"""A recorded /proc and /sys in memory: texts and links by path, never touched again."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field

__all__ = ["EXPORTED", "MAX_FILE", "MAX_FILES", "MAX_TOTAL", "Recording", "RecordingError"]

EXPORTED = "profile.toml"  # beside proc and sys, the profile of a guest of ours
MAX_FILE = 64 << 20  # bytes of one file: /proc/interrupts of 2,048 CPUs takes 46 MB
MAX_TOTAL = 512 << 20  # bytes of all files
MAX_FILES = 500_000  # files, links and directories
_MAX_PATH = 1024  # characters
_MAX_DEPTH = 48  # directories above a file
_MAX_LINKS = 40  # followed for one path, as the kernel's own limit


class RecordingError(ValueError):
    """A source that cannot be read; the text is one sentence that names file and member."""


@dataclass
class Recording:
    """Files and links by path, such as "proc/cpuinfo".  `origin` is what errors call the source."""

    origin: str
    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    _children: dict[str, set[str]] = field(default_factory=dict)
    _total: int = 0
    _entries: int = 0

    def add_file(self, path: str, data: bytes) -> None:
        """Add a file.  Raises RecordingError where a limit is passed."""
        self._total += len(data)
        if len(data) > MAX_FILE or self._total > MAX_TOTAL:
            raise RecordingError(
                f"{self.origin}: {path[:80]}: more than {MAX_FILE >> 20} MiB in one file "
                f"or {MAX_TOTAL >> 20} MiB in all"
            )
        self._enter(path)
        self.files[path] = data

    def add_link(self, path: str, target: str) -> None:
        """Add a symbolic link.  Raises RecordingError where it leads out of the recording."""
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if target.startswith("/") or inside == ".." or inside.startswith("../"):
            raise RecordingError(
                f"{self.origin}: {path[:80]}: a link that leads out, to {target[:80]}"
            )
        self._enter(path)
        self.links[path] = target

    def add_directory(self, path: str) -> None:
        """Add a directory, which may stay empty."""
        self._enter(path)
        self._children.setdefault(path, set())

    def _enter(self, path: str) -> None:
        self._entries += 1
        parts = path.split("/")
        if len(path) > _MAX_PATH or len(parts) > _MAX_DEPTH or self._entries > MAX_FILES:
            raise RecordingError(
                f"{self.origin}: {path[:80]}…: a path of more than {_MAX_PATH} characters or "
                f"{_MAX_DEPTH} directories, or more than {MAX_FILES} entries"
            )
        if ".." in parts or "" in parts or "\0" in path:
            raise RecordingError(f"{self.origin}: {path[:80]!r}: no path inside a recording")
        while path:
            path, _, name = path.rpartition("/")
            names = self._children.setdefault(path, set())
            if name in names:
                return
            names.add(name)

    @property
    def directories(self) -> list[str]:
        """The paths of all directories, the root apart."""
        return [path for path in self._children if path]

    def wrong(self, path: str, why: str) -> RecordingError:
        """The error for a file that cannot be read."""
        return RecordingError(f"{self.origin}: {path}: {why[:200]}")

    # -- Looking ---------------------------------------------------------------------

    def resolved(self, path: str) -> str:
        """The path that it is without links; links that go round end where they are."""
        followed, done = 0, ""
        parts = path.split("/")[::-1]
        while parts:
            part = parts.pop()
            if part == "..":
                done = done.rpartition("/")[0]
                continue
            done = f"{done}/{part}" if done else part
            target = self.links.get(done)
            if target is not None and followed < _MAX_LINKS:
                followed += 1
                done = done.rpartition("/")[0]
                parts.extend(reversed(target.split("/")))
        return done

    def data(self, path: str) -> bytes | None:
        """The bytes of a file, links followed; None where it is not recorded."""
        return self.files.get(path) if path in self.files else self.files.get(self.resolved(path))

    def text(self, path: str) -> str | None:
        """A file as text; old kernels leave NULs behind the text of some."""
        data = self.data(path)
        return None if data is None else data.decode("utf-8", "replace").replace("\0", "")

    def line(self, path: str) -> str | None:
        """A file of one line, without blanks around it; None where it is absent or empty."""
        return (self.text(path) or "").strip() or None

    def number(self, path: str) -> int | None:
        """A file of one whole number; None where it is not one."""
        line = self.line(path) or ""
        digits = line.removeprefix("-")
        return int(line) if digits.isdecimal() and len(digits) < 20 else None

    def names(self, path: str) -> list[str]:
        """The entries of a directory, sorted."""
        return sorted(self._children.get(self.resolved(path) if path else "", ()))

    def is_directory(self, path: str) -> bool:
        """Whether a directory is recorded there, itself or by a link."""
        return self.resolved(path) in self._children

    def numbered(self, path: str, prefix: str) -> list[int]:
        """The n of the entries <prefix>n of a directory, ascending."""
        digits = (name[len(prefix) :] for name in self.names(path) if name.startswith(prefix))
        return sorted(int(word) for word in digits if word.isdecimal() and len(word) < 8)

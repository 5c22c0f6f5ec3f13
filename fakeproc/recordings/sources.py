"""What people have of a machine, read as one recording.

An archive or a directory with proc/ and sys/ somewhere in it (our own, a sos
report, hwloc-gather-topology's, lscpu's), or a text that was pasted.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from fakeproc.recordings.archives import BROKEN, is_compressed, opened, read_archive
from fakeproc.recordings.lscpu import LSCPU, fill_in_lscpu
from fakeproc.recordings.tree import MAX_FILE, Recording, RecordingError

__all__ = ["is_recording", "read_sources"]

# Where a machine's files begin: behind these, whatever stands before is the archive's own.
_ROOT = re.compile(r"(?:(?P<top>.*?)/)??(?:proc|sys)(?:/|$)")
# What `fakeproc record` and `fakeproc export` put beside proc and sys, and what of a sos report
# tells the kernel, as it has no /proc/version.
_OURS = re.compile(r"(?:[^/]+/)?(?:manifest\.json|profile\.toml)")
_BESIDE = re.compile(_OURS.pattern + r"|(?:[^/]+/)?sos_commands/kernel/uname_-a")
_PROCESS = re.compile(r"(?:^|/)proc/(?:\d+|self|thread-self)(?:/|$)")

# How a text is known, and what it is then.
_TEXTS = (
    (re.compile(r"\s*CPU\d+(?:\s|$)"), "proc/interrupts"),
    (re.compile(r"processor\s*:"), "proc/cpuinfo"),
    (re.compile(r"MemTotal:"), "proc/meminfo"),
    (re.compile(r"Linux version "), "proc/version"),
    (re.compile(r"cpu  \d"), "proc/stat"),
    (re.compile(r"Architecture:\s+\S|\s*\{"), LSCPU),
)
_GREPPED = re.compile(r"/?(proc/irq/\d+/(?:smp_affinity(?:_list)?|effective_affinity(?:_list)?))"
                      r":\s*([0-9a-fA-F,-]*)\s*")  # fmt: skip


def is_recording(path: Path) -> bool:
    """Whether it is a directory or an archive, and no text.  Raises OSError."""
    if path.is_dir():
        return True
    with path.open("rb") as file:
        beginning = file.read(512)
    return is_compressed(beginning) or beginning[257:262] == b"ustar"


def read_sources(paths: list[Path]) -> Recording:
    """All sources as one recording.

    Raises RecordingError: one sentence that names the source, and the member or line.
    """
    whole = Recording(", ".join(map(str, paths)))
    for path in paths:
        try:
            found = _read(path)
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror or error}") from error
        for name, data in found.files.items():
            if whole.files.get(name, data) != data:
                raise RecordingError(f"{path}: {name}: another source has another {name}")
            whole.add_file(name, data)
        for name, target in found.links.items():
            whole.add_link(name, target)
        for name in found.directories:
            whole.add_directory(name)
    fill_in_lscpu(whole)
    return whole


def _read(path: Path) -> Recording:
    if path.is_dir():
        return _below_root(_read_directory(path))
    if not path.exists():
        raise RecordingError(f"{path}: no such file or directory")
    if not stat.S_ISREG(path.stat().st_mode):
        raise RecordingError(f"{path}: neither a directory nor a file")
    with path.open("rb") as file:
        beginning = file.read(512)
    if is_compressed(beginning):
        try:
            with opened(path) as unpacked:
                beginning = unpacked.read(512)
        except BROKEN as error:
            raise RecordingError(f"{path}: damaged: {error}") from error
    if beginning[257:262] == b"ustar" or path.name.partition(".tar")[1]:
        return _below_root(read_archive(path, _is_of_a_machine))
    return _read_text(path)


def _is_of_a_machine(path: str) -> bool:
    if _BESIDE.fullmatch(path):
        return True
    return _ROOT.match(path) is not None and _PROCESS.search(path) is None


def _below_root(found: Recording) -> Recording:
    """The recording from the directory on that has proc/ and sys/."""
    tops: dict[str, int] = {}
    for name in found.files:
        match = _ROOT.match(name)
        if match is not None:
            top = match["top"] or ""
            tops[top] = tops.get(top, 0) + 1
    if not tops:
        raise RecordingError(f"{found.origin}: no file below a directory proc or sys")
    if len(tops) > 1:
        some = ", ".join(sorted(tops)[:3])
        raise RecordingError(f"{found.origin}: several machines ({some}): import one of them")
    prefix = next(iter(tops)) + "/" if next(iter(tops)) else ""
    whole = Recording(found.origin)
    is_ours = f"{prefix}manifest.json" in found.files
    for name, data in found.files.items():
        if name.startswith(prefix) and (is_ours or not _OURS.fullmatch(name)):
            whole.add_file(name.removeprefix(prefix), data)
    for name, target in found.links.items():
        if name.startswith(prefix):
            whole.add_link(name.removeprefix(prefix), target)
    for name in found.directories:
        if name.startswith(prefix) and name != prefix:
            whole.add_directory(name.removeprefix(prefix))
    return whole


def _read_directory(top: Path) -> Recording:
    if (top / "proc/self").is_symlink() and (top / "proc/self/exe").exists():
        raise RecordingError(f"{top}: a running system: take 'fakeproc record' of it")
    found = Recording(str(top))
    for directory, names, files in os.walk(top):
        here = os.path.relpath(directory, top)
        below = "" if here == "." else f"{here}/"
        names[:] = [name for name in names if not (Path(directory) / name).is_symlink()]
        for entry in os.scandir(directory):
            path = f"{below}{entry.name}"
            if not _is_of_a_machine(path):
                continue
            if entry.is_symlink():
                found.add_link(path, str(Path(entry.path).readlink()))
            elif entry.is_dir():
                found.add_directory(path)
            elif not entry.is_file():
                raise RecordingError(f"{found.origin}: {path[:80]}: a device, socket or pipe")
        for name in files:
            if _is_of_a_machine(f"{below}{name}"):
                _add_from_disk(found, Path(directory) / name, f"{below}{name}")
    return found


def _add_from_disk(found: Recording, file: Path, path: str) -> None:
    if file.is_symlink():
        return
    try:
        with file.open("rb") as opened_file:
            found.add_file(path, opened_file.read(MAX_FILE + 1))
    except PermissionError:
        return  # an unpacked dump keeps the modes of /sys; the reader misses it where it counts


def _read_text(path: Path) -> Recording:
    """A pasted text, known by its beginning."""
    with opened(path) as file:
        data = file.read(MAX_FILE + 1)
    text = data.decode("utf-8", "replace")
    found = Recording(str(path))
    if b"\0" in data[:4096]:
        raise RecordingError(f"{path}: neither an archive nor a text")
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        match = _GREPPED.fullmatch(line)
        if match is not None:
            return _grepped(found, lines)
        for beginning, name in _TEXTS:
            if beginning.match(line):
                rest = "\n".join(lines[number - 1 :]) + "\n"
                found.add_file(name, rest.encode())
                return found
        raise RecordingError(
            f"{path}, line {number}: neither /proc/interrupts, /proc/cpuinfo, /proc/meminfo, "
            "/proc/version, /proc/stat, lscpu's text or JSON, nor 'grep . /proc/irq/*/smp_affinity'"
        )
    raise RecordingError(f"{path}: an empty file")


def _grepped(found: Recording, lines: list[str]) -> Recording:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            match = _GREPPED.fullmatch(line)
            if match is None:
                raise RecordingError(f"{found.origin}, line {number}: no file of /proc/irq")
            found.add_file(match[1], f"{match[2]}\n".encode())
    return found

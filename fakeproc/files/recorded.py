"""A tree with the files that were recorded on a real machine and are not emulated (`recorded`).

The recording is pruned once, when the machine has booted.  What the model has then is the model's
for good: a topology that goes with its CPU does not come back as it was recorded.  What is left is
shown as it was recorded, and is never written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fakeproc.files.tree import Attribute, Directory, ProcDirectory, Symlink
from fakeproc.pages import PAGE_SIZE
from fakeproc.recordings.sources import read_sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fakeproc.files.tree import Kind, Node
    from fakeproc.recordings.tree import Recording

__all__ = ["MAX_RECORDED", "MAX_RECORDED_FILE", "MAX_RECORDED_TOTAL", "with_recorded"]

MAX_RECORDED_FILE = 1 << 20  # bytes of a file that is shown; longer ones are not
MAX_RECORDED_TOTAL = 64 << 20  # bytes of all of them; what comes later is not shown
MAX_RECORDED = 200_000  # files and links

_NAME = re.compile(r"[ -.0-~]{1,255}")  # of a file, as kernels name them

# The model's even where it has nothing: what a guest of another shape has no use for, what goes
# away with a CPU, and what belongs to the processes that look.
_MODELS_OWN = [
    pattern.split("/")
    for pattern in (
        "proc/irq",
        "proc/self",
        "proc/thread-self",
        "proc/[0-9]*",
        "proc/sys",
        "sys/kernel/irq",
        "sys/kernel/debug",
        "sys/kernel/security",
        "sys/kernel/tracing",
        "sys/fs",
        "sys/bus/vmbus",
        "sys/bus/cpu",
        "sys/bus/node",
        "sys/module/hv_vmbus",
        "sys/devices/system/cpu/cpufreq",
        "sys/devices/system/cpu/cpu[0-9]*/cache",
        "sys/devices/system/cpu/cpu[0-9]*/cpufreq",
        "sys/devices/system/cpu/cpu[0-9]*/cpuidle",
        "sys/devices/system/cpu/cpu[0-9]*/microcode",
        "sys/devices/system/cpu/cpu[0-9]*/node[0-9]*",
        "sys/devices/system/cpu/cpu[0-9]*/thermal_throttle",
        "sys/devices/system/cpu/cpu[0-9]*/topology",
    )
]
# Names of the bus's parent, as ACPI has it, and of what is called after the bus.
_VMBUS = re.compile(r"(?:VMBUS:|MSFT1000:|vmbus)", re.IGNORECASE)
_CPU_OR_NODE = re.compile(r"sys/devices/system/(?:cpu/cpu|node/node)\d+")
_OF_A_NODE = re.compile(r"memory_side_cache|access\d+")  # and no other entry of node<n>


@dataclass(slots=True)
class _Recorded:
    """What is left of a recorded directory; `is_merged`: the model had it, too, at boot."""

    is_merged: bool
    entries: dict[str, _Entry] = field(default_factory=dict)


_Entry: TypeAlias = "_Recorded | Attribute | Symlink"


def with_recorded(
    roots: Mapping[str, Directory], sources: Sequence[str], lacks: Iterable[str]
) -> dict[str, Directory]:
    """The trees proc and sys of a model, each with what `sources` have beyond it.

    `sources` are paths of archives or directories, `lacks` the patterns of `kernel.lacks`.
    Raises RecordingError.
    """
    if not sources:
        return dict(roots)
    recording = read_sources([Path(source) for source in sources])
    pruning = _Pruning(recording, [*_MODELS_OWN, *(pattern.split("/") for pattern in lacks)])
    found = {}
    for top, root in roots.items():
        left = pruning.directory(top, root)
        found[top] = _merged(root, left) if left.entries else root
    return found


class _Pruning:
    """One pass over a recording, which ends where the bounds are reached."""

    def __init__(self, recording: Recording, models_own: list[list[str]]) -> None:
        self._recording = recording
        self._models_own = models_own
        self._bytes = self._number = 0

    def directory(self, path: str, model: Directory | None) -> _Recorded:
        """What is left of the recorded directory at `path`, which is `model`'s, too, or not."""
        left = _Recorded(model is not None)
        for name in self._recording.names(path):
            below = f"{path}/{name}"
            if self._is_models_own(below):
                continue
            of_model = model.lookup(name) if model is not None else None
            entry = self._entry(below, of_model)
            if entry is not None:
                left.entries[name] = entry
        return left

    def _is_models_own(self, path: str) -> bool:
        *above, name = names = path.split("/")
        if not _NAME.fullmatch(name) or name in {".", ".."} or _VMBUS.match(name):
            return True
        if _CPU_OR_NODE.fullmatch("/".join(above)) and "node" in above:
            return not _OF_A_NODE.fullmatch(name)
        return any(
            len(pattern) == len(names) and all(map(fnmatchcase, names, pattern))
            for pattern in self._models_own
        )

    def _entry(self, path: str, of_model: Node | None) -> _Entry | None:
        recording = self._recording
        if of_model is not None and not isinstance(of_model, Directory):
            return None
        if path in recording.files or path in recording.links:
            return None if of_model is not None else self._leaf(path)
        if of_model is None and _CPU_OR_NODE.fullmatch(path):
            return None
        left = self.directory(path, of_model)
        # Of an empty directory nothing is to be shown but that it is there.
        return left if left.entries or of_model is None else None

    def _leaf(self, path: str) -> _Entry | None:
        data = self._recording.files.get(path)
        size = len(data) if data is not None else 0
        if (
            size > MAX_RECORDED_FILE
            or self._bytes + size > MAX_RECORDED_TOTAL
            or self._number >= MAX_RECORDED
        ):
            return None
        if data is None:
            target = self._recording.links[path]
            entry: _Entry | None = Symlink(target) if self._is_harmless(path, target) else None
        else:
            entry = _file(data, path)
        if entry is not None:
            self._bytes, self._number = self._bytes + size, self._number + 1
        return entry

    def _is_harmless(self, path: str, target: str) -> bool:
        """Whether a link stays below proc or sys, and leads to nothing that is the model's own.

        As kernfs makes them: up first, then down.  Then it does not matter what lies between.
        """
        here, there = path.split("/")[:-1], target.rstrip("/").split("/")
        ups = 0
        while ups < len(there) and there[ups] == "..":
            ups += 1
        if ups >= len(here) or not all(map(_NAME.fullmatch, there)):
            return False
        if ".." in there[ups:] or "." in there:
            return False
        names = [*here[: len(here) - ups], *there[ups:]]
        return not any(
            self._is_models_own("/".join(names[:depth])) for depth in range(2, len(names) + 1)
        )


def _file(data: bytes, path: str) -> Attribute:
    is_text = b"\0" not in data and len(data) <= PAGE_SIZE  # what sysfs says every text is long
    size = None if is_text or path.startswith("proc/") else len(data)
    return Attribute(0o444, data, lambda: data, None, size)


def _merged(model: Directory, left: _Recorded) -> Directory:
    return (_MergedProc if isinstance(model, ProcDirectory) else _Merged)(model, left)


def _node(entry: _Entry, beside: Directory) -> Node:
    """The node of what the model has nothing of, in a directory of the kind of `beside`."""
    if not isinstance(entry, _Recorded):
        return entry
    is_proc = isinstance(beside, ProcDirectory)
    empty = ProcDirectory(owner=id(entry)) if is_proc else Directory(owner=id(entry))
    return _merged(empty, entry)


def _kind(entry: _Entry) -> Kind:
    return Directory if isinstance(entry, _Recorded) else type(entry)


class _Merged(Directory):
    """A directory of the model, or an empty one, with what was recorded beside it."""

    def __init__(self, model: Directory, left: _Recorded) -> None:
        Directory.__init__(self, mode=model.mode, owner=model.owner)
        self._model = model
        self._left = left

    def lookup(self, name: str) -> Node | None:
        """The entry of that name, or None."""
        node = self._model.lookup(name)
        entry = self._left.entries.get(name)
        if entry is None:
            return node
        if node is not None:
            is_merged = isinstance(node, Directory) and isinstance(entry, _Recorded)
            return _merged(node, entry) if is_merged else node  # type: ignore[arg-type]
        # What the model had at boot goes with it.
        is_gone = isinstance(entry, _Recorded) and entry.is_merged
        return None if is_gone else _node(entry, self)

    def children(self) -> list[tuple[str, Kind]]:
        """Name and kind of every entry: the model's, then what was recorded."""
        return self._model.children() + self._more()

    def _more(self) -> list[tuple[str, Kind]]:
        return [
            (name, _kind(entry))
            for name, entry in self._left.entries.items()
            if not (isinstance(entry, _Recorded) and entry.is_merged)
            and self._model.lookup(name) is None
        ]

    @property
    def nlink(self) -> int:
        """The model's, and one for each directory that was recorded."""
        return self._model.nlink + sum(kind is Directory for _, kind in self._more())


class _MergedProc(_Merged, ProcDirectory):
    """The same in procfs, which sorts."""

    def children(self) -> list[tuple[str, Kind]]:
        """Name and kind of every entry, in readdir order."""
        return sorted(super().children(), key=lambda child: (len(child[0]), child[0]))

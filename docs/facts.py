"""What the manual says of the code, asked of the code: files, keys, commands, the interface.

`reference.py` makes pages of it for the site, `manpages.py` the two man pages.
What the code does not know of a file is in `files.toml`.
"""

from __future__ import annotations

import inspect
import io
import json
import re
import tokenize
import tomllib
import types
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fakeproc import profiles
from fakeproc.cli import main as cli
from fakeproc.files.roots import host_root, proc_root, sys_root
from fakeproc.files.tree import Attribute, Directory, Symlink
from fakeproc.machine import Machine
from fakeproc.profiles import cpu_sets, schema
from fakeproc.profiles.kernels import KERNELS, with_kernel
from fakeproc.protocol.classes import CLASS_GUIDS
from fakeproc.vfs.namespace import Namespace

__all__ = [
    "DEVICE",
    "File",
    "Key",
    "commands",
    "comments",
    "files",
    "first_line",
    "options",
    "tables",
]

DEVICE = "sys/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00/<guid>"
HAND_WRITTEN = Path(__file__).with_name("files.toml")


def first_line(thing: object) -> str:
    """The first paragraph of a docstring, in one line."""
    words = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return words.replace("OSError ", "")  # the errno says it


def comments(cls: type, *, on_lines_above: bool = True) -> dict[str, str]:
    """For each field of a class the comment on its line, or on the lines right above it."""
    found: dict[str, str] = {}
    above: list[str] = []
    name = ""
    depth = 0
    for token in tokenize.generate_tokens(io.StringIO(inspect.getsource(cls)).readline):
        depth += (
            (token.string in "([{") - (token.string in ")]}") if token.type == tokenize.OP else 0
        )
        text = token.string.lstrip("# ")
        if token.type == tokenize.COMMENT and token.line.strip().startswith("#"):
            above.append(text)
        elif token.type == tokenize.COMMENT and name:
            found[name] = text
        elif token.type == tokenize.NAME and not token.line[: token.start[1]].strip():
            name = token.string if depth == 0 and token.start[1] == 4 else name
            if above and on_lines_above and name == token.string:
                found[name] = " ".join(above)
        elif token.type == tokenize.NEWLINE:
            above = []
    return found


# -- The tree ---------------------------------------------------------------------


@dataclass
class File:
    """One file of the tree, or all that differ only in a number or a name."""

    path: str
    modes: set[int] = field(default_factory=set)
    reads: str = ""
    writes: str = ""
    kernels: set[str] = field(default_factory=set)
    differs: str = ""
    written_by: str = ""

    @property
    def since(self) -> str:
        """On which kernels it is."""
        every = set(KERNELS)
        if not self.kernels:
            return "other machines"
        if self.kernels == every:
            return "all"
        if self.kernels == {name for name in every if KERNELS[name][1] != "absent"}:
            return "with the series"
        versions = sorted({KERNELS[name][0] for name in every}, key=_as_numbers)
        for first in versions[1:]:
            later = {n for n in every if _as_numbers(KERNELS[n][0]) >= _as_numbers(first)}
            if self.kernels == later:
                return f"from {first} on"
            if self.kernels == every - later:
                return f"before {first}"
        return ", ".join(name for name in KERNELS if name in self.kernels)


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PLACEHOLDERS = (
    (rf"(?<=/){GUID}(?=/|$)", "<guid>"),
    (r"(?<=/)pci[0-9a-f]{4}:[0-9a-f]{2}(?=/|$)", "pci<bus>"),
    (r"(?<=/)[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f](?=/|$)", "<function>"),
    (r"(?<=/)[0-9a-f]{4}:[0-9a-f]{2}(?=/|$)", "<bus>"),
    (r"(?<=/irq/)\d+(?=/|$)", "<n>"),
    (r"(?<=/msi_irqs/)\d+(?=/|$)", "<n>"),
    (r"(?<=/channels/)\d+(?=/|$)", "<relid>"),
    (r"(?<=/)(cpu|machinecheck|node|host|index)\d+(?=/|$)", r"\1<n>"),
    (r"(?<=/bus/vmbus/drivers/)[^/]+", "<driver>"),
    (r"(?<=/hugepages-)\d+(?=kB)", "<size>"),
    (r"(?<=/queues/)(rx|tx)-\d+(?=/|$)", r"\1-<n>"),
    (r"(?<=/)target\d+:0:0(?=/|$)", "target<n>"),
    (r"(?<=/)\d+:0:0:\d+(?=/|$)", "<unit>"),
    (r"(?<=/block/)sd[a-z]+(?=/|$)", "sd<x>"),
    (r"(?<=/)(uio|map)\d+(?=/|$)", r"\1<n>"),
    (r"^.*/net/[^/]+(?=/)", "<any interface>"),
    (r"^.*(?=/power/)", "<any device>"),
)


def placeholders(path: str) -> str:
    """The path, with a name in brackets for what is one of many."""
    for pattern, name in PLACEHOLDERS:
        path = re.sub(pattern, name, path)
    return path


def _machine(profile: str, kernel: str | None) -> Machine:
    """A guest with one device of every class, so that every file is there."""
    loaded = profiles.load(profile)
    machine = Machine(loaded if kernel is None else with_kernel(loaded, kernel), "manual")
    files = Namespace(machine)
    for name in CLASS_GUIDS:
        more = {"vpci": [("pci=nic",), ("pci=nvme",)], "scsi": [("disks=1",)]}
        options = more.get(name, [()])
        for option in options:
            files.write("/host/offer", " ".join((name, *option)).encode())
    machine.advance(10**9)
    return machine


def _walk(directory: Directory, path: str) -> Iterator[tuple[str, Attribute]]:
    for name, _ in list(directory.children()):
        node = directory.lookup(name)
        if isinstance(node, Directory):
            yield from _walk(node, f"{path}/{name}")
        elif node is not None and not isinstance(node, Symlink):
            yield f"{path}/{name}", node


def _docstring(function: object, name: str) -> str:
    """That of the `show` or `store` which `Attributes` has wrapped."""
    if not inspect.isfunction(function):
        return ""
    return first_line(inspect.getclosurevars(function).nonlocals.get(name))


def _add(found: dict[str, File], machine: Machine, kernel: str | None) -> None:
    for name, root in (("proc", proc_root), ("sys", sys_root), ("host", host_root)):
        for path, node in _walk(root(machine), name):
            file = found.setdefault(placeholders(path), File(placeholders(path)))
            file.modes.add(node.mode)
            file.reads = file.reads or _docstring(node.show, "show")
            file.writes = file.writes or _docstring(node.store, "store")
            if kernel:
                file.kernels.add(kernel)


@cache
def files() -> dict[str, File]:
    """Every file of the tree by its path, in the order in which it is read."""
    found: dict[str, File] = {}
    for kernel in KERNELS:
        _add(found, _machine("hyperv-gen2", kernel), kernel)
    for profile in ("hyperv-gen1", "hyperv-arm64"):
        others: dict[str, File] = {}
        _add(others, _machine(profile, None), None)
        for path, file in others.items():
            if "/VMBUS:" not in path and "/device:" not in path:
                found.setdefault(path, file)
    for pattern, notes in hand_written().items():
        for path, file in found.items():
            if fnmatchcase(path, pattern):
                found[path] = replace(file, **notes)
    return found


@cache
def hand_written() -> dict[str, dict[str, Any]]:
    """What files.toml says of files, by pattern; a later line counts more."""
    return tomllib.loads(HAND_WRITTEN.read_text())


# -- Profiles ---------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """A key of a profile."""

    name: str
    type: str
    default: str
    meaning: str


TABLES: dict[str, type[BaseModel]] = {
    "(top level)": schema.Profile,
    "kernel": schema.Kernel,
    "cpus": schema.Cpus,
    "cpus.isolated": schema.Isolation,
    "cpus.caches": schema.Cache,
    "cpus.groups": schema.CpuGroup,
    "gic": schema.Gic,
    "dmi": schema.Dmi,
    "memory": schema.Memory,
    "nodes": schema.Node,
    "vmbus": schema.VMBus,
    "vmbus.devices": schema.Device,
    "vmbus.devices.subchannels": schema.Subchannel,
    "vmbus.devices.monitor": schema.MonitorSlot,
    "irqs": schema.OtherIrq,
    "arch_rows": schema.ArchitectureRow,
}


def tables() -> Iterator[tuple[str, str, list[Key]]]:
    """Every table of a profile: its name, what it is, its keys."""
    for name, model in TABLES.items():
        said: dict[str, str] = {}
        for cls in reversed(model.__mro__):
            if cls.__module__.startswith("fakeproc.profiles."):
                said |= comments(cls)
        keys = [
            Key(info.alias or key, _type(info), _default(info), said.get(key, ""))
            for key, info in model.model_fields.items()
            if (model, key) != (schema.Profile, "name")
        ]
        yield name, first_line(model), keys


def _type(info: FieldInfo) -> str:
    low = high = ""
    for rule in info.metadata:
        for key, sign in (("ge", "from {}"), ("gt", "more than {}"), ("le", "to {}")):
            value = getattr(rule, key, None)
            if value is not None:
                low, high = (low, sign) if key == "le" else (sign, high)
                low = low.format(value) if key != "le" else low
                high = high.format(f"{value:g}" if value > 9999 else value)
        below = getattr(rule, "lt", None)
        if below is not None:
            high = f"to {below - 1}"
    return " ".join(filter(None, (_words(info.annotation), low, high)))


SETS = {cpu_sets.Cpu: "set of CPUs", cpu_sets.NodeNumber: "set of nodes"}
PLAIN = {int: "integer", float: "number", str: "string", bool: "boolean", UUID: "GUID"}


def _words(annotation: Any) -> str:
    """A type, for one who writes TOML."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    words = PLAIN.get(annotation, "table")
    if origin is Literal:
        words = " or ".join(f'"{value}"' for value in arguments)
    elif origin is Annotated:
        words = _words(arguments[0])
    elif origin in {Union, types.UnionType}:
        words = " or ".join(_words(one) for one in arguments if one is not types.NoneType)
    elif origin is dict:
        if arguments[-1] is str or getattr(arguments[-1], "__origin__", None) is str:
            words = "table of strings"
        else:
            words = "table of counts" if arguments[0] is str else "list or table of numbers"
    elif origin is frozenset:
        words = SETS.get(arguments[0], "list of integers")
    elif origin is tuple:
        words = _words(arguments[0])
        words = f"list of {words.replace('set ', 'sets ', 1) if 'set ' in words else words + 's'}"
    return words


def _default(info: FieldInfo) -> str:
    value = info.default
    if info.is_required():
        return "must be given"
    if isinstance(value, BaseModel):
        return ""
    if isinstance(value, frozenset | dict | tuple | None) and not value:
        return "none"
    if isinstance(value, tuple):
        return str(list(value))
    return json.dumps(value)


# -- The command line ---------------------------------------------------------------


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command, by how it is typed."""

    def below(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield name, command
        if isinstance(command, click.Group):
            for word in sorted(command.commands):
                yield from below(f"{name} {word}", command.commands[word])

    yield from below("fakeproc", cli.command)


def usage(name: str, command: click.Command) -> str:
    """How it is called."""
    return " ".join((name, *command.collect_usage_pieces(click.Context(command))))


def options(command: click.Command) -> Iterator[tuple[str, str]]:
    """Each option, with what it takes, and what it does."""
    context = click.Context(command)
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record and isinstance(parameter, click.Option):
            yield record[0].replace("|", " | ") if "[" in record[0] else record[0], record[1]


def paragraphs(command: click.Command) -> list[str]:
    """What a command says of itself."""
    return [" ".join(part.split()) for part in inspect.cleandoc(command.help or "").split("\n\n")]


def examples(command: click.Command) -> list[str]:
    """The lines of its example."""
    lines = (command.epilog or "").splitlines()
    return [line.strip() for line in lines if line.startswith("  ")]

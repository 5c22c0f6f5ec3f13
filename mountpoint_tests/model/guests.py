"""Guests to ask without a mount: their profiles, and how to read and write their files."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache, wraps
from typing import NamedTuple, ParamSpec, TypeVar

from fakeproc import profiles
from fakeproc.files.tree import Attribute, Node
from fakeproc.machine import Machine
from fakeproc.profiles.schema import Profile
from fakeproc.vfs.namespace import Namespace

P = ParamSpec("P")
R = TypeVar("R")


# Files ---------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def files(machine: Machine) -> Namespace:
    """The files of a guest, by the rules of the file systems, as root finds them."""
    return Namespace(machine)


def node_at(machine: Machine, path: str, follow: bool = True) -> Node | None:
    """The node at an absolute path; symbolic links on the way are followed, the last if asked."""
    try:
        return files(machine).node(path, follow_last=follow)
    except FileNotFoundError:
        return None


def sys_node(machine: Machine, path: str) -> Node | None:
    """The node at a path below /sys; a link is itself."""
    return node_at(machine, f"/sys{path}", follow=False)


def read(machine: Machine, path: str) -> bytes | str:
    """What a program reads, or the name of the errno."""
    try:
        return files(machine).read(path)
    except OSError as error:
        return errno.errorcode[error.errno]


def text(machine: Machine, path: str) -> str:
    """What a file reads, as text; an AssertionError if it cannot be read."""
    read_back = read(machine, path)
    assert isinstance(read_back, bytes), f"{path}: {read_back}"
    return read_back.decode()


def write(machine: Machine, path: str, data: bytes) -> int | str:
    """What write(2) of these bytes gives, or the name of the errno, that of open(2) included."""
    try:
        return files(machine).write(path, data)
    except OSError as error:
        return errno.errorcode[error.errno]


def stored(machine: Machine, node: Attribute, data: bytes) -> int | None:
    """What the store of a node returns, after as much machine time as it takes."""
    taken = node.store(data)
    return machine.timeline.finish(taken) if isinstance(taken, Generator) else taken


def channel_path(machine: Machine, relid: int) -> str:
    """The directory of a channel, as one finds it by the bus."""
    device = machine.kernel.vmbus.channels[relid].device.name
    return f"/sys/bus/vmbus/devices/{device}/channels/{relid}"


# Rows of /proc/interrupts --------------------------------------------------------------------


class InterruptRow(NamedTuple):
    """A row of /proc/interrupts in its parts."""

    counts: list[int]
    chip: str
    hwirq: str
    name: str


def interrupt_rows(table: str) -> dict[str, InterruptRow]:
    """The rows by label; architecture rows have their text for a name and no chip."""
    header, *lines = table.splitlines()
    cpus = len(header.split())
    found = {}
    for line in lines:
        label, rest = line.split(":", 1)
        words = rest.split()
        counts = [int(word) for word in words[:cpus] if word.isdigit()]
        chip = hwirq = ""
        words = words[len(counts) :]
        if label.strip().isdigit():
            chip, hwirq, *words = words
        found[label.strip()] = InterruptRow(counts, chip, hwirq, " ".join(words))
    return found


# Profiles ------------------------------------------------------------------------------------


def edited(toml: str, **values: str) -> str:
    """TOML with the values of keys replaced; each key must be there exactly once."""
    for key, value in values.items():
        toml, times = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", toml)
        assert times == 1, f"{key} is there {times} times"
    return toml


# How the captured guests differ from the default one, which has the same devices, instances,
# relids and order of offers: no monitor pages, nothing counted, and no
# traffic.
_LEFT_OUT = "monitor|counts|rate|traffic|timer_rate|quiet_s"


@cache
def captured_toml(capture: str) -> str:
    """The TOML of the guest of a capture."""
    toml, _, _ = profiles.source("hyperv-gen2").partition("[arch]")
    toml = re.sub(rf"(?m)^({_LEFT_OUT}) = .*\n", "", toml)
    toml = re.sub(rf", ({_LEFT_OUT}) = (\{{[^}}]*\}}|[^,}}]*)", "", toml)
    match capture:
        case "small-2cpu":  # CPU 2, where IRQ 8 is in the others, is not there
            toml = edited(toml, possible="2").replace("effective = 2", "effective = 0")
        case "small-8cpu-2numa":
            toml = edited(toml, nodes="2")
        case "lowver-8cpu":
            toml = edited(toml, protocol='"4.0"')
        case "isol-8cpu":  # isolcpus=managed_irq,domain,2-3
            isolated = "isolated = { managed_irq = [2, 3], domain = [2, 3] }"
            toml = toml.replace("[cpus]\n", f"[cpus]\n{isolated}\n", 1)
    return toml


def captured_profile(capture: str, series: str = "as meant") -> Profile:
    """The profile of the guest of a capture."""
    toml = edited(captured_toml(capture), series=f'"{series}"')
    return profiles.parse(toml, f"{capture}.toml", capture)


def captured_guest(capture: str, series: str = "as meant") -> Machine:
    """The guest of a capture, booted; its time stands still."""
    return _booted(captured_profile(capture, series))


def default_guest() -> Machine:
    """The guest of the cover letter, booted; its time stands still."""
    return _booted(profiles.load("hyperv-gen2"))


# Other kernels -------------------------------------------------------------------------------

# Why a version answers otherwise than the recorded kernel.
ROW_STAYS = "an interrupt that is freed keeps its row where it has counted (before v6.11)"
FCOPY = "hv_utils has fcopy, which the recorded kernel leaves to uio_hv_generic (v6.10)"

_version: list[str | None] = [None]  # of the guests that are made, the current one last


@contextmanager
def on_version(version: str | None) -> Iterator[None]:
    """Give every guest that is made meanwhile this version of Linux; None is its profile's own."""
    _version.append(version)
    try:
        yield
    finally:
        _version.pop()


def _booted(profile: Profile) -> Machine:
    version = _version[-1]
    if version is not None:
        kernel = profile.kernel.model_copy(update={"version": version})
        profile = profile.model_copy(update={"kernel": kernel})
    return Machine(profile, "manual")


def once_a_version(function: Callable[P, R]) -> Callable[P, R]:
    """Remember what a function returns, for each version of the guests that it makes."""

    @cache
    def of_version(_version: str | None, *arguments: P.args, **keywords: P.kwargs) -> R:
        return function(*arguments, **keywords)

    @wraps(function)
    def remembering(*arguments: P.args, **keywords: P.kwargs) -> R:
        return of_version(_version[-1], *arguments, **keywords)

    return remembering

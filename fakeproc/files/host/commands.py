"""The host console's writable files: one command a line, all of them or none.

Every line is read and checked before the first is carried out.  What is wrong
with which line travels with the errno, into the guest's log.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from errno import EAGAIN, EINVAL, ENODEV, EOPNOTSUPP, EPERM
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

from fakeproc.files.host.moments import moment_of
from fakeproc.guest.hv.drivers.netvsc import Netvsc
from fakeproc.guest.irq.faults import AFFINITY_ERRNOS
from fakeproc.guest.pci.functions import MODELS
from fakeproc.host.devices import MAX_RELID
from fakeproc.host.faults import Fault
from fakeproc.machine import Machine
from fakeproc.protocol.classes import CLASS_GUIDS
from fakeproc.timeline import SECOND

if TYPE_CHECKING:
    from fakeproc.host.devices import HostChannel

__all__ = [
    "accesses_command",
    "clock_command",
    "ethtool_command",
    "fault_command",
    "interrupt_command",
    "latency_command",
    "offer_command",
    "power_command",
    "programs_command",
    "rescind_command",
    "run",
    "traffic_command",
]

Action: TypeAlias = Callable[[], object]
Command: TypeAlias = Callable[[Machine, list[str]], Action]

MAX_COUNT = 1 << 32
MAX_RATE = 1e9  # a second
MAX_CLOCK_RATE = 1e6
MAX_SECONDS = 1e9
PID_MAX_LIMIT = 1 << 22  # include/linux/threads.h
MAX_DESCRIPTOR = 1 << 22
PROGRAM_DESCRIPTORS = ("listener", "uevents")
LONGEST_NUMBER = 20  # digits
LONGEST_QUOTE = 60  # characters
OFFER_OPTIONS = ("guid", "relid", "subchannels", "pci")


def run(machine: Machine, data: bytes, command: Command) -> None:
    """Carry out the commands of one write; OSError EINVAL where a line is wrong."""
    machine.inventory.begin()
    actions: list[Action] = []
    for number, line in enumerate(data.decode(errors="replace").splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        try:
            actions.append(command(machine, words))
        except ValueError as error:
            machine.inventory.rollback()
            shown = _shortened(line.strip())
            raise OSError(EINVAL, f"line {number}, '{shown}': {error}") from error
    if not actions:
        raise OSError(EINVAL, "there is no command in it")
    for action in actions:
        action()


# What the words mean.  Each raises ValueError with what is wrong.


def _shortened(text: str) -> str:
    """As much of what was written as a sentence can carry."""
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"


def _quoted(word: str) -> str:
    return repr(_shortened(word))


def _whole(word: str, what: str, low: int, high: int) -> int:
    short = len(word) <= LONGEST_NUMBER
    if not (short and word.isascii() and word.isdigit()) or not low <= int(word) <= high:
        raise ValueError(f"{what} is a whole number from {low} to {high}, not {_quoted(word)}")
    return int(word)


def _number(word: str, what: str, most: float) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not 0 <= number <= most:
        raise ValueError(f"{what} is a number from 0 to {most:g}, not {_quoted(word)}")
    return number


def _one_of(word: str, words: tuple[str, ...]) -> str:
    if word not in words:
        raise ValueError(f"{_quoted(word)} is none of: {', '.join(words)}")
    return word


def _irq(word: str) -> int:
    return _whole(word.removeprefix("irq"), "an IRQ", 0, 1 << 20)


def _channel(machine: Machine, word: str) -> HostChannel:
    relid = _whole(word, "a relid", 1, MAX_RELID)
    channel = machine.host.relids.taken.get(relid)
    if channel is None:
        raise ValueError(f"no channel has relid {relid}")
    return channel


def _count(words: list[str]) -> int:
    return _whole(words[0], "a count", 1, MAX_COUNT) if words else 1


def _at_most(words: list[str], number: int) -> None:
    if len(words) > number:
        raise ValueError(f"there is a word too many: {_quoted(words[number])}")


def interrupt_command(machine: Machine, words: list[str]) -> Action:
    """`RELID [COUNT]` or `message [COUNT]`."""
    _at_most(words, 2)
    count = _count(words[1:])
    host = machine.host
    if words[0] == "message":
        return lambda: host.send_noop_messages(count)
    channel = _channel(machine, words[0])
    return lambda: host.signal(channel, count)


def traffic_command(machine: Machine, words: list[str]) -> Action:
    """`RELID|CLASS|all|irq<N>|timer RATE [steady|poisson]`."""
    _at_most(words, 3)
    if len(words) < 2:
        raise ValueError("there is no rate")
    who, rate = words[0], _number(words[1], "a rate", MAX_RATE)
    kind = words[2] if len(words) > 2 else "steady"
    _one_of(kind, ("steady", "poisson"))
    host = machine.host
    if who == "timer":
        if kind != "steady":
            raise ValueError("timers are steady")
        return lambda: host.sources.set_timers(rate)
    if who.startswith("irq"):
        irq = _irq(who)
        desc = machine.kernel.irqs.descs.get(irq)
        if desc is None or desc.chip is machine.kernel.vmbus.chip:
            raise ValueError(f"there is no IRQ {irq} that is not a channel's")
        return lambda: host.sources.set_irq(irq, rate, kind)
    if who == "all" and not rate:
        return host.stop_traffic
    channels = _channels(machine, who)

    def set_all() -> None:
        for channel in channels:
            host.set_traffic(channel, rate, kind)

    return set_all


def _channels(machine: Machine, who: str) -> list[HostChannel]:
    """The channels that a line of `traffic` speaks of."""
    taken = machine.host.relids.taken
    if who == "all":
        return list(taken.values())
    if who in CLASS_GUIDS:
        guid = CLASS_GUIDS[who]
        return [channel for channel in taken.values() if channel.device.class_id == guid]
    if not who.isdigit():
        classes = ", ".join(CLASS_GUIDS)
        raise ValueError(
            f"{_quoted(who)} is neither a relid nor one of: all, timer, irq<N>, {classes}"
        )
    return [_channel(machine, who)]


def offer_command(machine: Machine, words: list[str]) -> Action:
    """`CLASS [guid=G] [relid=N] [subchannels=N] [pci=nic|nvme]`."""
    options = {}
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if not equals or key not in OFFER_OPTIONS or key in options:
            known = ", ".join(f"{option}=" for option in OFFER_OPTIONS)
            raise ValueError(f"{_quoted(word)} is none of {known}, or is there twice")
        options[key] = value
    inventory = machine.inventory
    guid = options.get("guid")
    relid = options.get("relid")
    device = inventory.plan(
        words[0],
        None if guid is None else _guid(guid),
        None if relid is None else _whole(relid, "a relid", 1, MAX_RELID),
        _whole(options.get("subchannels", "0"), "a number of sub-channels", 0, MAX_RELID - 1),
        _one_of(options.get("pci", "nic"), tuple(MODELS)),
    )
    return lambda: inventory.offer(device)


def _guid(word: str) -> UUID:
    try:
        return UUID(word)
    except ValueError:
        raise ValueError(f"{_quoted(word)} is no GUID") from None


def rescind_command(machine: Machine, words: list[str]) -> Action:
    """`GUID` or `RELID`."""
    _at_most(words, 1)
    host = machine.host
    if words[0].isdigit():
        channel = _channel(machine, words[0])
    else:
        guid = _guid(words[0])
        devices = [d for d in host.devices if d.instance == guid and d.primary.relid]
        if not devices:
            raise ValueError(f"there is no device {guid}")
        channel = devices[0].primary
    if channel.leaving:
        raise ValueError(f"relid {channel.relid} is going already")
    return lambda: host.rescind(channel)


def clock_command(machine: Machine, words: list[str]) -> Action:
    """`manual`, `real`, `rate X`, `advance SECONDS|to MOMENT|next|idle`."""
    clock = machine.timeline.clock

    def set_manual(manual: bool) -> None:
        clock.manual = manual

    def set_rate(rate: float) -> None:
        clock.rate = rate

    match words:
        case ["manual" | "real" as mode]:
            return lambda: set_manual(mode == "manual")
        case ["rate", rate]:
            number = _number(rate, "a rate", MAX_CLOCK_RATE)
            if not number:
                raise ValueError("a rate of 0 would stop time; say manual")
            return lambda: set_rate(number)
        case ["advance", "next"]:
            return lambda: _advance_to_next(machine)
        case ["advance", "idle"]:
            return machine.timeline.settle
        case ["advance", "to", moment]:
            instant = moment_of(machine, moment)
            return lambda: machine.advance(max(instant - machine.timeline.now, 0))
        case ["advance", seconds]:
            step = round(_number(seconds, "a number of seconds", MAX_SECONDS) * SECOND)
            return lambda: machine.advance(step)
    raise ValueError(
        "expected manual, real, rate X or advance SECONDS, advance to MOMENT, next or idle"
    )


def _advance_to_next(machine: Machine) -> None:
    if not machine.advance_to_next():
        raise OSError(EAGAIN, "no event waits")


def ethtool_command(machine: Machine, words: list[str]) -> Action:
    """`GUID|RELID combined N`: what `ethtool -L` does to a network adapter."""
    if len(words) != 3 or words[1] != "combined":
        raise ValueError("it is not of the form: GUID|RELID combined N")
    kernel = machine.kernel
    number = _whole(words[2], "a number of channels", 1, 64)
    if words[0].isdigit():
        name = str(_channel(machine, words[0]).device.instance)
    else:
        name = str(_guid(words[0]))
    device = kernel.vmbus.devices.get(name)
    if device is None or not isinstance(device.driver, Netvsc):
        raise ValueError(f"{words[0]} is no network adapter with a driver")
    most = 1 + device.offer.subchannels_available
    if number > most:
        raise ValueError(f"the adapter has no more than {most} channels")

    def set_channels() -> None:
        # A command on a line before may have taken its time, and the adapter gone.
        adapter = kernel.vmbus.devices.get(name)
        if adapter is None or not isinstance(adapter.driver, Netvsc):
            raise OSError(ENODEV, f"{name} is no network adapter any more")
        machine.timeline.finish(adapter.driver.set_channels(adapter, number))

    return set_channels


def power_command(machine: Machine, words: list[str]) -> Action:
    """`hibernate`: be switched off, and resume."""
    if words != ["hibernate"]:
        raise ValueError("it is not: hibernate")

    def hibernate() -> None:
        if not machine.profile.vmbus.hibernation:
            raise OSError(EPERM, "the host does not let the guest hibernate")
        machine.timeline.finish(machine.kernel.vmbus.suspend.hibernate())

    return hibernate


def accesses_command(machine: Machine, words: list[str]) -> Action:
    """`on`, `off` or `clear`: the record of accesses."""
    record = machine.accesses

    def switch(on: bool) -> None:
        record.on = on

    match words:
        case ["on" | "off" as state]:
            return lambda: switch(state == "on")
        case ["clear"]:
            return record.clear
    raise ValueError("it is none of: on, off, clear")


def latency_command(machine: Machine, words: list[str]) -> Action:
    """`ack SECONDS`."""
    if len(words) != 2 or words[0] != "ack":
        raise ValueError("it is not of the form: ack SECONDS")
    latency = round(_number(words[1], "a latency", MAX_SECONDS) * SECOND)

    def set_latency() -> None:
        machine.host.latency.ack = latency

    return set_latency


def fault_command(machine: Machine, words: list[str]) -> Action:
    """`clear`, `pending RELID`, `affinity ERRNO [irq<N>] [COUNT]`, or a fault and how often."""
    host = machine.host
    match words:
        case ["clear"]:
            return lambda: _clear_faults(machine)
        case ["affinity", errno_name, *more]:
            return _affinity_fault(machine, errno_name, more)
        case ["pending", relid]:
            channel = _channel(machine, relid)
            return lambda: host.jam(channel)
    for fault in Fault:
        name = fault.value.split()
        if words[: len(name)] == name:
            rest = words[len(name) :]
            _at_most(rest, 1)
            times = _count(rest)
            return lambda: host.faults.arm(fault, times)
    known = ", ".join(fault.value for fault in Fault)
    raise ValueError(
        f"it is none of: {known}, pending RELID, affinity ERRNO [irq<N>] [COUNT], clear"
    )


def _clear_faults(machine: Machine) -> None:
    machine.host.faults.clear()
    machine.kernel.irqs.affinity_faults.clear()


def _affinity_fault(machine: Machine, name: str, words: list[str]) -> Action:
    errno = AFFINITY_ERRNOS[_one_of(name, tuple(AFFINITY_ERRNOS))]
    irq = None
    if words and words[0].startswith("irq"):
        irq = _irq(words[0])
        if irq not in machine.kernel.irqs.descs:
            raise ValueError(f"the guest has no IRQ {irq}")
        words = words[1:]
    _at_most(words, 1)
    times = _count(words)
    return lambda: machine.kernel.irqs.affinity_faults.arm(errno, irq, times)


def programs_command(machine: Machine, words: list[str]) -> Action:
    """`PID [listener=FD [uevents=FD]]`: what a process has open, for the daemon to take."""
    pid = _whole(words[0], "a process", 1, PID_MAX_LIMIT)
    descriptors = {}
    for word in words[1:]:
        name, _, number = word.partition("=")
        _one_of(name, PROGRAM_DESCRIPTORS)
        descriptors[name] = _whole(number, "a descriptor", 0, MAX_DESCRIPTOR)

    def admit() -> None:
        if machine.admit is None:
            raise OSError(EOPNOTSUPP, "no daemon serves this guest, and no program runs on it")
        machine.admit(pid, descriptors)

    return admit

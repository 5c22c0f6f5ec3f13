"""The host console's writable files: one command a line, all of them or none.

Every line is read and checked before the first is carried out.  What is wrong
with which line travels with the errno, into the guest's log.
"""

from __future__ import annotations

from collections.abc import Generator
from errno import EAGAIN, EINVAL, EOPNOTSUPP, EPERM
from typing import TYPE_CHECKING

from fakeproc.cpu_lists import numbers_of
from fakeproc.files.host.moments import moment_of
from fakeproc.files.host.words import (
    Action,
    Command,
    at_most,
    channel_with,
    count_of,
    decimal,
    irq_number,
    is_relid,
    one_of,
    quoted,
    shortened,
    whole,
)
from fakeproc.machine import Machine
from fakeproc.protocol.classes import CLASS_GUIDS, HV_SOCK
from fakeproc.timeline import SECOND

if TYPE_CHECKING:
    from fakeproc.host.devices import HostChannel
    from fakeproc.timeline import Sleeper

__all__ = [
    "accesses_command",
    "clock_command",
    "cpu_command",
    "interrupt_command",
    "latency_command",
    "power_command",
    "programs_command",
    "run",
    "traffic_command",
]

MAX_RATE = 1e9  # a second
MAX_CLOCK_RATE = 1e6
MAX_SECONDS = 1e9
PID_MAX_LIMIT = 1 << 22  # include/linux/threads.h
MAX_DESCRIPTOR = 1 << 22
PROGRAM_DESCRIPTORS = ("listener", "uevents", "route", "links")


def run(machine: Machine, data: bytes, command: Command) -> Sleeper[None]:
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
            shown = shortened(line.strip())
            raise OSError(EINVAL, f"line {number}, '{shown}': {error}") from error
    if not actions:
        raise OSError(EINVAL, "there is no command in it")
    return _carried_out(actions)


def _carried_out(actions: list[Action]) -> Sleeper[None]:
    for action in actions:
        done = action()
        if isinstance(done, Generator):  # it takes machine time
            yield from done


def interrupt_command(machine: Machine, words: list[str]) -> Action:
    """`RELID [COUNT]` or `message [COUNT]`."""
    at_most(words, 2)
    count = count_of(words[1:])
    host = machine.host
    if words[0] == "message":
        return lambda: host.send_noop_messages(count)
    channel = channel_with(machine, words[0])
    return lambda: host.signal(channel, count)


def traffic_command(machine: Machine, words: list[str]) -> Action:
    """`RELID|CLASS|hv_sock|all|irq<N>|timer RATE [steady|poisson]`."""
    at_most(words, 3)
    if len(words) < 2:
        raise ValueError("there is no rate")
    who, rate = words[0], decimal(words[1], "a rate", MAX_RATE)
    kind = words[2] if len(words) > 2 else "steady"
    one_of(kind, ("steady", "poisson"))
    host = machine.host
    if who == "timer":
        if kind != "steady":
            raise ValueError("timers are steady")
        return lambda: host.sources.set_timers(rate)
    if who.startswith("irq"):
        irq = irq_number(who)
        desc = machine.kernel.irqs.descs.get(irq)
        if desc is None or desc.chip is machine.kernel.vmbus.chip:
            raise ValueError(f"there is no IRQ {irq} that is not a channel's")
        if not desc.effective:
            raise ValueError(f"IRQ {irq} is steered to no CPU: every CPU has its own")
        return lambda: host.sources.set_irq(irq, rate, kind)
    if who == "all" and not rate:
        return host.plan.stop
    channels = _channels(machine, who)

    def set_all() -> None:
        for channel in channels:
            host.sources.set_channel(channel, rate, kind)

    return set_all


def _channels(machine: Machine, who: str) -> list[HostChannel]:
    """The channels that a line of `traffic` speaks of."""
    channels = machine.host.channels()
    if who == "all":
        return list(channels)
    if who == HV_SOCK:
        return [channel for channel in channels if channel.device.is_hvsock]
    if who in CLASS_GUIDS:
        guid = CLASS_GUIDS[who]
        return [channel for channel in channels if channel.device.class_id == guid]
    if not is_relid(who):
        known = ", ".join(("all", "timer", "irq<N>", HV_SOCK, *CLASS_GUIDS))
        raise ValueError(f"{quoted(who)} is neither a relid nor one of: {known}")
    return [channel_with(machine, who)]


def clock_command(machine: Machine, words: list[str]) -> Action:
    """`manual`, `hold`, `real`, `rate X`, `advance SECONDS|to MOMENT|next|idle`."""
    clock = machine.timeline.clock

    def set_mode(mode: str) -> None:
        clock.manual = mode != "real"
        clock.held = mode == "hold"

    def set_rate(rate: float) -> None:
        clock.rate = rate

    match words:
        case ["manual" | "hold" | "real" as mode]:
            return lambda: set_mode(mode)
        case ["rate", rate]:
            number = decimal(rate, "a rate", MAX_CLOCK_RATE)
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
            step = round(decimal(seconds, "a number of seconds", MAX_SECONDS) * SECOND)
            return lambda: machine.advance(step)
    raise ValueError(
        "expected manual, hold, real, rate X or advance SECONDS, advance to MOMENT, next or idle"
    )


def _advance_to_next(machine: Machine) -> None:
    if not machine.advance_to_next():
        raise OSError(EAGAIN, "no event waits")


def cpu_command(machine: Machine, words: list[str]) -> Action:
    """`add LIST` or `remove LIST`: what the firmware does to processors."""
    if len(words) != 2:
        raise ValueError("it is not of the form: add LIST or remove LIST")
    what, kernel = one_of(words[0], ("add", "remove")), machine.kernel
    try:
        cpus = numbers_of(words[1])
    except ValueError as error:
        raise ValueError(f"{quoted(words[1])} {error}") from None
    impossible = [cpu for cpu in cpus if not kernel.cpus.possible >> cpu & 1]
    if impossible:
        raise ValueError(f"CPU {impossible[0]} is not possible")

    plug = kernel.cpu_plug.add if what == "add" else kernel.cpu_plug.remove
    return lambda: plug(cpus)


def power_command(machine: Machine, words: list[str]) -> Action:
    """`hibernate`: be switched off, and resume."""
    if words != ["hibernate"]:
        raise ValueError("the only command here is hibernate")

    def hibernate() -> Sleeper[None]:
        if not machine.profile.vmbus.hibernation:
            raise OSError(EPERM, "the host does not let the guest hibernate")
        yield from machine.kernel.vmbus.suspend.hibernate()

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
    latency = round(decimal(words[1], "a latency", MAX_SECONDS) * SECOND)

    def set_latency() -> None:
        machine.host.latency.ack = latency

    return set_latency


def programs_command(machine: Machine, words: list[str]) -> Action:
    """`PID [listener=FD [NAME=FD ...]]`: what a process has open, for the daemon to take."""
    pid = whole(words[0], "a process", 1, PID_MAX_LIMIT)
    descriptors = {}
    for word in words[1:]:
        name, _, number = word.partition("=")
        one_of(name, PROGRAM_DESCRIPTORS)
        descriptors[name] = whole(number, "a descriptor", 0, MAX_DESCRIPTOR)

    def admit() -> None:
        if machine.admit is None:
            raise OSError(EOPNOTSUPP, "no daemon serves this guest, and no program runs on it")
        machine.admit(pid, descriptors)

    return admit

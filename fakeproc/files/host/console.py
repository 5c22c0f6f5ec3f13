"""The host's side of the tree: host/, which no real guest has."""

from __future__ import annotations

import json

from fakeproc import profiles
from fakeproc.files.host.adapters import ethtool_command, ethtool_text
from fakeproc.files.host.commands import (
    accesses_command,
    clock_command,
    cpu_command,
    interrupt_command,
    latency_command,
    power_command,
    programs_command,
    run,
    traffic_command,
)
from fakeproc.files.host.faults import fault_command, faults_text
from fakeproc.files.host.moments import agenda_text, at_command, journal_command, saved
from fakeproc.files.host.now import profile_now
from fakeproc.files.host.offers import offer_command, rescind_command
from fakeproc.files.host.state import state
from fakeproc.files.host.words import spelt
from fakeproc.files.text.bitmap import format_list
from fakeproc.files.tree import Attributes
from fakeproc.machine import Machine
from fakeproc.timeline import SECOND, Sleeper

__all__ = ["CONSOLE"]

CONSOLE = Attributes[Machine]()


@CONSOLE.show
def log_show(machine: Machine) -> str:
    """The guest kernel's log, as dmesg prints it."""
    return "".join(f"{record}\n" for record in machine.kernel.log.records)


@CONSOLE.store
def interrupt_store(machine: Machine, data: bytes) -> Sleeper[None]:
    """`RELID [COUNT]`: the host signals a channel; `message [COUNT]`: it says nothing."""
    return run(machine, data, interrupt_command)


@CONSOLE.show
def traffic_show(machine: Machine) -> str:
    """A line `WHO RATE steady|poisson` for each source: relids, other IRQs, timers."""
    host = machine.host
    lines = [
        f"{spelt(machine, channel.relid, channel.device.connection)} {channel.traffic.rate:g}"
        f" {channel.traffic.kind}\n"
        for channel in sorted(host.channels(), key=lambda c: (c.device.connection, c.relid))
        if channel.traffic is not None and channel.traffic.rate
    ]
    sources = host.sources
    lines += [
        f"irq{irq} {line.rate:g} {line.kind}\n" for irq, line in sources.lines.items() if line.rate
    ]
    if sources.timer_rate:
        lines.append(f"timer {sources.timer_rate:g} steady\n")
    return "".join(lines)


@CONSOLE.store
def traffic_store(machine: Machine, data: bytes) -> Sleeper[None]:
    """`RELID|CLASS|hv_sock|all|irq<N>|timer RATE [steady|poisson]`; a rate of 0 stops."""
    return run(machine, data, traffic_command)


@CONSOLE.store
def offer_store(machine: Machine, data: bytes) -> Sleeper[None]:
    """`CLASS [KEY=VALUE]...`: new devices; `hv_sock [KEY=VALUE]...`: connections by socket."""
    return run(machine, data, offer_command)


@CONSOLE.store
def rescind_store(machine: Machine, data: bytes) -> Sleeper[None]:
    """`GUID` or `RELID`: a device or a sub-channel goes; `hv_sock [COUNT]`: connections."""
    return run(machine, data, rescind_command)


@CONSOLE.show
def ethtool_show(machine: Machine) -> str:
    """A line `GUID combined N of MAX name INTERFACE` for each network adapter."""
    return ethtool_text(machine)


@CONSOLE.store
def ethtool_store(machine: Machine, data: bytes) -> Sleeper[None]:
    """`GUID|RELID combined N`: close all channels, and open N; `GUID|RELID name NAME`: rename."""
    return run(machine, data, ethtool_command)


@CONSOLE.show
def power_show(machine: Machine) -> str:
    """`running`, and how often it has resumed from hibernation."""
    return f"running, resumed {machine.kernel.vmbus.suspend.resumed} times\n"


@CONSOLE.show
def cpu_show(machine: Machine) -> str:
    """A line `present LIST of LIST`: the CPUs that are there, of those that may be."""
    cpus = machine.kernel.cpus
    return f"present {format_list(cpus.present)} of {format_list(cpus.possible)}\n"


@CONSOLE.store
def cpu_store(machine: Machine, data: bytes) -> Sleeper[None]:
    """`add LIST|remove LIST`: plug processors in and out; OSError EBUSY for one that cannot."""
    return run(machine, data, cpu_command)


@CONSOLE.store
def power_store(machine: Machine, data: bytes) -> Sleeper[None]:
    """`hibernate`; OSError EPERM where the host does not let it, EOPNOTSUPP for a driver."""
    return run(machine, data, power_command)


@CONSOLE.show
def clock_show(machine: Machine) -> str:
    """`real`, `manual` or `held`, the seconds, and the rate where it is not 1."""
    clock = machine.timeline.clock
    rate = "" if clock.rate == 1 else f" rate {clock.rate:g}"
    mode = "held" if clock.held else "manual" if clock.manual else "real"
    return f"{mode} {machine.timeline.now / SECOND:.6f}{rate}\n"


@CONSOLE.store
def clock_store(machine: Machine, data: bytes) -> Sleeper[None]:
    """`manual`, `hold`, `real`, `rate X`, `advance SECONDS|to MOMENT|next|idle`."""
    return run(machine, data, clock_command)


@CONSOLE.show
def latency_show(machine: Machine) -> str:
    """How long the host takes to act on a ModifyChannel and to acknowledge it."""
    return f"ack {machine.host.latency.ack / SECOND:g}\n"


@CONSOLE.store
def latency_store(machine: Machine, data: bytes) -> Sleeper[None]:
    """`ack SECONDS`."""
    return run(machine, data, latency_command)


@CONSOLE.show
def fault_show(machine: Machine) -> str:
    """The faults that wait to happen."""
    return faults_text(machine)


@CONSOLE.store
def fault_store(machine: Machine, data: bytes) -> Sleeper[None]:
    """What is to go wrong, and how often; `clear`: nothing more."""
    return run(machine, data, fault_command)


@CONSOLE.show
def uevents_show(machine: Machine) -> str:
    """Uevents so far, as `udevadm monitor --kernel --property` prints them."""
    return "".join(
        f"KERNEL[{event.instant / SECOND:.6f}] {event.action:<8s} {event.devpath}"
        f" ({event.subsystem})\n"
        # The one value that ends in a newline is the modalias of a CPU.
        + "".join(f"{key}={value.removesuffix(chr(10))}\n" for key, value in event.environment)
        + "\n"
        for event in machine.kernel.uevents.events
    )


@CONSOLE.store
def programs_store(machine: Machine, data: bytes) -> Sleeper[None]:
    """`PID [listener=FD [NAME=FD ...]]`: what `fakeproc run` hands over."""
    return run(machine, data, programs_command)


@CONSOLE.show
def accesses_show(machine: Machine) -> str:
    """Accesses to proc/ and sys/: time, pid, command, operation, path, result and data, by tabs."""
    return str(machine.accesses)


@CONSOLE.store
def accesses_store(machine: Machine, data: bytes) -> Sleeper[None]:
    """`on`, `off`, `clear`: the record of accesses."""
    return run(machine, data, accesses_command)


@CONSOLE.show
def at_show(machine: Machine) -> str:
    """Requests that wait for their moment: number, moment, path and data."""
    return agenda_text(machine)


@CONSOLE.store
def at_store(machine: Machine, data: bytes) -> Sleeper[None]:
    """`MOMENT PATH DATA`, `MOMENT read PATH`, `cancel NUMBER`, `clear`; `+` counts from now."""
    return run(machine, data, at_command)


@CONSOLE.show
def journal_show(machine: Machine) -> str:
    """Every write to proc/, sys/ and host/ with its moment; `fakeproc replay` plays it."""
    return str(saved(machine))


@CONSOLE.store
def journal_store(machine: Machine, data: bytes) -> Sleeper[None]:
    """`on`, `off`, `clear`."""
    return run(machine, data, journal_command)


@CONSOLE.show(name="profile.toml")
def profile_show(machine: Machine) -> str:
    """The complete profile as mounted."""
    return profiles.dump(machine.profile)


@CONSOLE.show(name="now.toml")
def now_show(machine: Machine) -> str:
    """The profile of the guest as it is now, without defaults; `fakeproc export` keeps it."""
    return profiles.dump(profile_now(machine), defaults=False)


@CONSOLE.show(name="state.json")
def state_show(machine: Machine) -> str:
    """The whole state of guest and host; the schema is in `files/host/state.py`."""
    return json.dumps(state(machine), indent=1) + "\n"

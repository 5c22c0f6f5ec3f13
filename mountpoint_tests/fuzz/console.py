"""Random lines for the host's console: right ones, nearly right ones, and garbage."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from fakeproc.host.faults import Fault
from fakeproc.protocol.classes import CLASS_GUIDS

if TYPE_CHECKING:
    from fakeproc.machine import Machine

__all__ = ["FILES", "console_line", "spoiled", "times_of_passing"]

CLASSES = tuple(CLASS_GUIDS)
OFFERS = ("netvsc subchannels=3", "scsi subchannels=2", "vpci", "vpci pci=nvme", "hv_sock", "kvp")
RATES = ("0", "1", "50", "1000", "1e9", ".5")
SECONDS = ("0", "0.00005", "0.0003", "0.001", "0.05", "0.6", "5", "30", "next", "idle")
FILES = (
    *("interrupt", "traffic", "offer", "rescind", "ethtool", "power", "clock", "latency"),
    *("fault", "accesses", "at", "journal"),
)
# What breaks parsers: signs, digits of other scripts, NUL, no UTF-8, too long, too large.
TOKENS = (
    *("-1", "+1", "1e400", "nan", "inf", "0x10", "1_0", "²", "٣", "\x00", "\udcff", "all", "*"),
    *("9" * 5000, "18446744073709551616", "a" * 200_000, "=", "guid=", "relid=x", "'", "%s", "\r"),
    *("subchannels=2046", "subchannels=-1", "irq", "irq-1", "irq99999999999", "read", "\u2028"),
)


def times_of_passing(random: Random) -> str:
    """What moves a manual clock."""
    return f"advance {random.choice(SECONDS)}"


def console_line(random: Random, machine: Machine, file: str, planned: str) -> str:
    """A line that this file takes, on some machine; `planned` is PATH DATA for host/at."""
    relids = list(machine.host.relids.taken) or [1]
    devices = list(machine.kernel.vmbus.devices) or ["0"]
    relid, device = random.choice(relids), random.choice(devices)
    irq = random.choice([*machine.kernel.irqs.descs] or [0])
    rate, kind = random.choice(RATES), random.choice(("steady", "poisson"))
    fault = random.choice([fault.value for fault in Fault])
    lines = {
        "interrupt": (f"{relid}", f"{relid} {random.randint(1, 5000)}", "message 3"),
        "traffic": (
            *(f"{relid} {rate} {kind}", f"{random.choice(CLASSES)} {rate}", f"all {rate} {kind}"),
            *(f"irq{irq} {rate} {kind}", f"timer {rate}"),
        ),
        "offer": (*OFFERS, random.choice(CLASSES), f"scsi relid={random.randint(1, 2047)}"),
        "rescind": (f"{relid}", device, f"{random.randint(1, 60)}"),
        "ethtool": (f"{device} combined {random.randint(1, 9)}", f"{relid} combined 2"),
        "power": ("hibernate",),
        "clock": (times_of_passing(random), times_of_passing(random), "rate 2.5", "manual", "real"),
        "latency": (f"ack {random.choice(('0', '0.0003', '0.004', '0.02', '0.045', '130'))}",),
        "fault": (
            *("clear", "clear", f"{fault} {random.randint(1, 3)}", fault, f"pending {relid}"),
            *(f"affinity enospc irq{irq} 2", "affinity ebusy"),
        ),
        "accesses": ("on", "off", "clear"),
        "at": (f"+{random.choice(('0', '0.001', '0.05', '3'))} {planned}", "clear", "cancel 1"),
        "journal": ("on", "on", "on", "on", "off", "clear"),
    }
    return random.choice(lines[file])


def spoiled(random: Random, line: str) -> bytes:
    """The line with something wrong in it; now and then it is still right."""
    words = line.split(" ")
    at = random.randrange(len(words))
    match random.randrange(9):
        case 0:
            words[at] = random.choice(TOKENS)
        case 1:
            words.insert(at, random.choice(TOKENS))
        case 2:
            del words[at]
        case 3:
            words.append(words[at])
        case 4:
            words[at] = words[at][::-1]
        case 5:
            words = [*words, "\n", *words]
        case 6:
            words[at] = words[at].upper()
        case 7:
            words[at] += random.choice(TOKENS)
        case _:
            return random.randbytes(random.randrange(1, 40))
    return " ".join(words).encode(errors="surrogateescape")

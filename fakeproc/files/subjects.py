"""What a show or store function is given: something of a guest, and that guest.

The kernel's own functions reach the rest of the kernel through globals; here
there may be several kernels in one process.
"""

from __future__ import annotations

from typing import NamedTuple

from fakeproc.files.text.bitmap import format_list, format_mask
from fakeproc.guest.hv.channel import Channel, VmbusDevice
from fakeproc.guest.irq.core import IrqDesc
from fakeproc.guest.kernel import Kernel

__all__ = ["Cpu", "Device", "DeviceChannel", "Irq", "Node", "list_line", "mask_line"]


class Irq(NamedTuple):
    """An interrupt."""

    kernel: Kernel
    desc: IrqDesc


class Device(NamedTuple):
    """A VMBus device."""

    kernel: Kernel
    device: VmbusDevice


class DeviceChannel(NamedTuple):
    """A channel of a VMBus device."""

    kernel: Kernel
    channel: Channel


class Cpu(NamedTuple):
    """A processor, by its number."""

    kernel: Kernel
    cpu: int


class Node(NamedTuple):
    """A NUMA node, by its number."""

    kernel: Kernel
    node: int


def mask_line(kernel: Kernel, cpus: int) -> str:
    """A set of CPUs as a line of hexadecimal, as wide as nr_cpu_ids (`%*pb`)."""
    return format_mask(cpus, kernel.cpus.nr_cpu_ids) + "\n"


def list_line(cpus: int) -> str:
    """A set of CPUs as a line of numbers and ranges (`%*pbl`)."""
    return format_list(cpus) + "\n"

"""PCI functions behind hv_pci: `drivers/pci/pci-sysfs.c`, as far as tools read it.

irqbalance takes from here what kind of device an interrupt belongs to.
"""

from __future__ import annotations

from typing import NamedTuple

from fakeproc.files.subjects import list_line, mask_line
from fakeproc.files.sys.device import shows
from fakeproc.files.tree import Attributes, Directory, constant
from fakeproc.guest.kernel import Kernel
from fakeproc.guest.pci.functions import PciFunction

__all__: list[str] = []


class Function(NamedTuple):
    """A PCI function, and its kernel."""

    kernel: Kernel
    function: PciFunction

    @property
    def local_cpus(self) -> int:
        """The online CPUs of the function's node: hv_pci puts it into the first."""
        return self.kernel.cpus.node_mask(self.kernel.cpus.nodes[0]) & self.kernel.cpus.online


FUNCTION = Attributes[Function]()


@FUNCTION.show
def vendor_show(it: Function) -> str:
    """Who makes it."""
    return f"0x{it.function.model.vendor:04x}\n"


@FUNCTION.show
def device_show(it: Function) -> str:
    """Which of the maker's devices it is."""
    return f"0x{it.function.model.device:04x}\n"


@FUNCTION.show
def subsystem_vendor_show(it: Function) -> str:
    """Who sells it."""
    return f"0x{it.function.model.vendor:04x}\n"


@FUNCTION.show
def subsystem_device_show(_it: Function) -> str:
    """Which of the seller's devices it is."""
    return "0x0000\n"


@FUNCTION.show
def revision_show(_it: Function) -> str:
    """The revision in config space."""
    return "0x00\n"


@FUNCTION.show(name="class")
def class_show(it: Function) -> str:
    """The class code: base class, sub-class, interface."""
    return f"0x{it.function.model.class_code:06x}\n"


@FUNCTION.show
def irq_show(_it: Function) -> str:
    """The legacy interrupt line: none."""
    return "0\n"


@FUNCTION.show
def numa_node_show(_it: Function) -> str:
    """The node it is near to."""
    return "0\n"


@FUNCTION.show
def local_cpus_show(it: Function) -> str:
    """The CPUs of that node."""
    return mask_line(it.kernel, it.local_cpus)


@FUNCTION.show
def local_cpulist_show(it: Function) -> str:
    """The same as a list."""
    return list_line(it.local_cpus)


@FUNCTION.show
def enable_show(_it: Function) -> str:
    """How many have enabled it."""
    return "1\n"


@FUNCTION.show
def modalias_show(it: Function) -> str:
    """What udev finds the driver by."""
    return f"{it.function.modalias}\n"


@shows(PciFunction)
def pci_function_files(kernel: Kernel, function: PciFunction) -> Directory:
    """/sys/devices/…/pci<domain>:00/<address>."""

    def vectors() -> Directory | None:
        numbers = {str(desc.irq): constant("msix\n") for desc in function.descs}
        return Directory(entries=numbers, owner=function) if numbers else None

    return Directory((FUNCTION.on(Function(kernel, function), function),), {"msi_irqs": vectors})

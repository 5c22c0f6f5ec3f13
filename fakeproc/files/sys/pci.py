"""PCI functions behind hv_pci: `drivers/pci/pci-sysfs.c`, as far as tools read it.

irqbalance takes from here what kind of device an interrupt belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fakeproc.files.subjects import device_path, list_line, mask_line
from fakeproc.files.sys.power import device_power_directory
from fakeproc.files.tree import Attributes, Directory, Listing, Symlink, constant
from fakeproc.guest.hv.drivers.hv_pci import pci_function
from fakeproc.guest.kernel import Kernel
from fakeproc.guest.pci.functions import MODELS, PciFunction

if TYPE_CHECKING:
    from fakeproc.guest.hv.channel import VmbusDevice

__all__ = ["bus_pci_directory", "pci_bus_directory"]


class Function(NamedTuple):
    """A PCI function, and its kernel."""

    kernel: Kernel
    function: PciFunction

    @property
    def local_cpus(self) -> int:
        """The online CPUs of the function's node: hv_pci puts it into the first."""
        return self.kernel.cpus.node_mask(0) & self.kernel.cpus.online


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
    return f"{_modalias(it.function)}\n"


def _modalias(function: PciFunction) -> str:
    model = function.model
    base, sub, interface = model.class_code.to_bytes(3, "big")
    return (
        f"pci:v{model.vendor:08X}d{model.device:08X}sv{model.vendor:08X}sd00000000"
        f"bc{base:02X}sc{sub:02X}i{interface:02X}"
    )


def pci_bus_directory(kernel: Kernel, device: VmbusDevice) -> Listing:
    """pci<domain>:00/ below the VMBus device, while there is a function."""

    def name() -> tuple[str, ...]:
        function = pci_function(device)
        return (f"pci{function.domain:04x}:00",) if function else ()

    def make(wanted: str) -> Directory | None:
        function = pci_function(device)
        if function is None or wanted not in name():
            return None
        return Directory(
            entries={
                function.address: _function_directory(kernel, device, function),
                "power": device_power_directory(),
                "uevent": constant(""),
            },
            owner=function,
        )

    return Listing(Directory, name, make)


def _function_directory(kernel: Kernel, device: VmbusDevice, function: PciFunction) -> Directory:
    up = "../" * (device_path(kernel, device).count("/") + 3)
    vectors = {desc.irq: desc for desc in function.descs}
    return Directory(
        (FUNCTION.on(Function(kernel, function), function),),
        {
            "driver": Symlink(f"{up}bus/pci/drivers/{function.model.driver}"),
            "msi_irqs": Directory(
                entries={str(irq): constant("msix\n") for irq in vectors}, owner=function
            ),
            "power": device_power_directory(),
            "subsystem": Symlink(f"{up}bus/pci"),
            "uevent": constant(
                f"DRIVER={function.model.driver}\nPCI_CLASS={function.model.class_code:X}\n"
                f"PCI_ID={function.model.vendor:04X}:{function.model.device:04X}\n"
                f"PCI_SUBSYS_ID={function.model.vendor:04X}:0000\n"
                f"PCI_SLOT_NAME={function.address}\nMODALIAS={_modalias(function)}\n",
                0o644,
            ),
        },
        owner=function,
    )


def bus_pci_directory(kernel: Kernel) -> Directory:
    """/sys/bus/pci."""
    drivers = {
        model.driver: Directory(listings=(_links(kernel, "../../../../", model.driver),))
        for model in MODELS.values()
    }
    return Directory(
        entries={
            "devices": Directory(listings=(_links(kernel, "../../../"),)),
            "drivers": Directory(entries=drivers),
            "drivers_autoprobe": constant("1\n", 0o644),
        }
    )


def _links(kernel: Kernel, up: str, driver: str | None = None) -> Listing:
    """Links to the functions: all of them, or those of one driver."""

    def links() -> dict[str, str]:
        return {
            function.address: f"{up}{device_path(kernel, device)}"
            f"/pci{function.domain:04x}:00/{function.address}"
            for device in kernel.vmbus.devices.values()
            if (function := pci_function(device)) and driver in {None, function.model.driver}
        }

    def make(name: str) -> Symlink | None:
        target = links().get(name)
        return Symlink(target) if target else None

    return Listing(Symlink, links, make)

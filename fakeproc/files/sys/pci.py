"""PCI functions behind hv_pci, and their buses: `drivers/pci/pci-sysfs.c`.

irqbalance takes from here what kind of device an interrupt belongs to; lspci
reads `config` and `resource`.
"""

from __future__ import annotations

from errno import EINVAL, EIO
from typing import TYPE_CHECKING, NamedTuple

from fakeproc.files.subjects import list_line, mask_line
from fakeproc.files.sys.device import shows
from fakeproc.files.text.kstrtox import parse_int
from fakeproc.files.tree import Attribute, Attributes, Directory, constant
from fakeproc.guest.base.driver_core import override_name
from fakeproc.guest.kernel import Kernel
from fakeproc.guest.pci.config_space import CONFIG_BYTES
from fakeproc.guest.pci.functions import PciBus, PciBusDevice, PciFunction

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeproc.files.tree import Node
    from fakeproc.timeline import Sleeper

__all__: list[str] = []

PCI_STD_HEADER_SIZEOF = 64  # bytes of config space that everybody may read
RESOURCES = 13  # 6 BARs, the ROM, and 6 BARs of virtual functions (CONFIG_PCI_IOV)
IORESOURCE_MEM, IORESOURCE_PREFETCH = 0x200, 0x2000
IORESOURCE_SIZEALIGN, IORESOURCE_MEM_64 = 0x40000, 0x100000


class Function(NamedTuple):
    """A PCI function, and its kernel."""

    kernel: Kernel
    function: PciFunction

    @property
    def local_cpus(self) -> int:
        """The online CPUs of the function's node."""
        return near(self.kernel)


def near(kernel: Kernel) -> int:
    """The online CPUs of the node of every function and its bus: hv_pci takes the first."""
    return kernel.cpus.node_mask(kernel.cpus.nodes[0]) & kernel.cpus.online


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
def enable_show(it: Function) -> str:
    """How many have enabled it."""
    return f"{it.function.enable_count}\n"


@FUNCTION.store
def enable_store(it: Function, data: bytes) -> None:
    """Enable it or not; OSError EINVAL for no number, EBUSY where it has a driver, EIO."""
    it.function.set_enabled(enabled=_flag(data))


def _flag(data: bytes) -> bool:
    """A number that means yes or no; OSError EINVAL or ERANGE for none."""
    number = parse_int(data)
    if number < 0:
        raise OSError(EINVAL, "a number below 0")
    return number > 0


@FUNCTION.show
def resource_show(it: Function) -> str:
    """Start, end and flags of each of its resources: BAR 0, and none else."""
    bar = it.function.bar
    flags = IORESOURCE_MEM | IORESOURCE_MEM_64 | IORESOURCE_SIZEALIGN | bar.type_bits
    flags |= IORESOURCE_PREFETCH if bar.prefetchable else 0
    first = f"0x{bar.start:016x} 0x{bar.start + bar.size - 1:016x} 0x{flags:016x}\n"
    none = f"0x{0:016x} 0x{0:016x} 0x{0:016x}\n"
    return first + none * (RESOURCES - 1)


@FUNCTION.show
def power_state_show(it: Function) -> str:
    """D0 while it is enabled; a function without power management has no other."""
    return f"{'D0' if it.function.enable_count else 'unknown'}\n"


@FUNCTION.show
def dma_mask_bits_show(it: Function) -> str:
    """The bits of the addresses that it can reach."""
    return f"{it.function.dma_mask_bits}\n"


@FUNCTION.show
def consistent_dma_mask_bits_show(it: Function) -> str:
    """The same for memory that both sides see alike."""
    return f"{it.function.dma_mask_bits}\n"


@FUNCTION.show
def broken_parity_status_show(it: Function) -> str:
    """Whether its parity is known to be wrong."""
    return f"{it.function.broken_parity_status:d}\n"


@FUNCTION.store
def broken_parity_status_store(it: Function, data: bytes) -> None:
    """Say so; OSError EINVAL for no number."""
    it.function.broken_parity_status = _flag(data)


@FUNCTION.show
def msi_bus_show(it: Function) -> str:
    """Whether drivers may use message-signalled interrupts of it."""
    return f"{it.function.msi_allowed:d}\n"


@FUNCTION.store
def msi_bus_store(it: Function, data: bytes) -> None:
    """Allow it to later drivers or not; OSError EINVAL for no number."""
    it.function.msi_allowed = _flag(data)
    word = "allowed" if it.function.msi_allowed else "disallowed"
    it.kernel.log.say(f"pci {it.function.address}: MSI/MSI-X {word} for future drivers")


@FUNCTION.show
def d3cold_allowed_show(_it: Function) -> str:
    """Whether its power may be cut: it has no power management to say so."""
    return "0\n"


@FUNCTION.show
def ari_enabled_show(_it: Function) -> str:
    """Whether its bus tells more than 8 functions apart."""
    return "0\n"


@FUNCTION.show
def driver_override_show(it: Function) -> str:
    """The only driver that may bind, or (null)."""
    return f"{it.function.driver_override or '(null)'}\n"


@FUNCTION.store
def driver_override_store(it: Function, data: bytes) -> None:
    """`driver_set_override`; OSError EINVAL for a name of a page or more."""
    it.function.driver_override = override_name(data)


@FUNCTION.store
def remove_store(it: Function, data: bytes) -> Sleeper[None]:
    """Take the function away; OSError EINVAL for no number."""
    if _flag(data):
        yield from it.kernel.pci.remove(it.function)


@FUNCTION.store
def rescan_store(it: Function, data: bytes) -> Sleeper[None]:
    """Look for functions on its bus; OSError EINVAL for no number."""
    if _flag(data):
        yield from it.kernel.pci.rescan(it.function.bridge)


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

    config = function.config
    entries: dict[str, Node | Callable[[], Node | None]] = {
        "config": Attribute(
            0o644,
            function,
            config.read,
            size=CONFIG_BYTES,
            public=PCI_STD_HEADER_SIZEOF,
        ),
        "msi_irqs": vectors,
        "resource0": _memory(function),
    }
    if function.bar.prefetchable:
        entries["resource0_wc"] = _memory(function)
    return Directory((FUNCTION.on(Function(kernel, function), function),), entries)


def _memory(function: PciFunction) -> Attribute:
    """`pci_create_attr`: memory of the function, which is to be mapped and not to be read."""

    def show() -> bytes:
        raise OSError(EIO, "memory of a function can only be mapped")

    return Attribute(0o600, function, show, lambda _data: int(bool(show())), function.bar.size)


class BusDevice(NamedTuple):
    """The device of a bus, and its kernel."""

    kernel: Kernel
    device: PciBusDevice


ROOT_BUS = Attributes[BusDevice]()
ALL = Attributes[Kernel]()


@ROOT_BUS.show
def cpuaffinity_show(it: BusDevice) -> str:
    """The online CPUs that are near to the bus."""
    return mask_line(it.kernel, near(it.kernel))


@ROOT_BUS.show
def cpulistaffinity_show(it: BusDevice) -> str:
    """The same as a list."""
    return list_line(near(it.kernel))


@ROOT_BUS.store(name="rescan")
def bus_rescan_store(it: BusDevice, data: bytes) -> Sleeper[None]:
    """Look for functions on the bus; OSError EINVAL for no number."""
    if _flag(data):
        yield from it.kernel.pci.rescan(it.device.bridge)


@ALL.store(name="rescan")
def all_rescan_store(kernel: Kernel, data: bytes) -> Sleeper[None]:
    """Look for functions on every bus; OSError EINVAL for no number."""
    if _flag(data):
        yield from kernel.pci.rescan()


@shows(PciBusDevice)
def pci_bus_device_files(kernel: Kernel, device: PciBusDevice) -> Directory:
    """/sys/devices/…/pci<domain>:00/pci_bus/<domain>:00."""
    return Directory((ROOT_BUS.on(BusDevice(kernel, device), device),))


@shows(PciBus)
def bus_pci_files(kernel: Kernel, bus: PciBus) -> Directory:
    """What /sys/bus/pci has beside what every bus has."""
    return Directory((ALL.on(kernel, bus),))

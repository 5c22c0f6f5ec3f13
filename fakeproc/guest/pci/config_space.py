"""What a PCI function says of itself in config space.

A header of type 0, a PCI Express endpoint (`include/uapi/linux/pci_regs.h`),
and MSI-X, whose table lies in the second half of BAR 0.  Functions that a host
passes through have no link of their own: the link registers read 0.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakeproc.guest.pci.models import PciModel

__all__ = ["CONFIG_BYTES", "MSIX_MAX", "Bar", "ConfigSpace", "bar_bytes"]

CONFIG_BYTES = 4096  # PCI_CFG_SPACE_EXP_SIZE
MSIX_MAX = 2048  # entries: the table's size has 11 bits

COMMAND, CLASS, BAR_0, SUBSYSTEM, CAPABILITIES = 0x04, 0x08, 0x10, 0x2C, 0x34
EXPRESS, MSIX = 0x40, 0x80  # where the capabilities are
MSIX_CONTROL = MSIX + 2
MEMORY, MASTER = 1 << 1, 1 << 2  # of the command register
MSIX_ENABLE = 1 << 15
STATUS_CAPABILITIES = 0x0010


@dataclass(frozen=True, slots=True)
class Bar:
    """BAR 0: 64 bits wide, `size` bytes at `start`."""

    start: int
    size: int
    prefetchable: bool

    @property
    def type_bits(self) -> int:
        """What the low four bits of the register say."""
        return 0xC if self.prefetchable else 0x4


def bar_bytes(least: int, vectors: int) -> int:
    """How large a BAR is that has at least so many bytes, half of them for `vectors` of MSI-X."""
    wanted = 2 * (vectors * 16 + -(-vectors // 64) * 8)
    return max(least, 1 << (wanted - 1).bit_length())


class ConfigSpace:
    """The 4,096 bytes of one function; `vectors` (1 to 2,048) is the size of its MSI-X table."""

    def __init__(self, model: PciModel, bar: Bar, vectors: int) -> None:
        self._bytes = bytearray(CONFIG_BYTES)
        self._put(0, "<HHHH", model.vendor, model.device, 0, STATUS_CAPABILITIES)
        self._put(CLASS, "<I", model.class_code << 8)
        self._put(BAR_0, "<Q", bar.start | bar.type_bits)
        self._put(SUBSYSTEM, "<HH", model.vendor, 0)
        self._put(CAPABILITIES, "B", EXPRESS)
        # Version 2, an endpoint; payloads of 256 bytes, errors by role; relaxed ordering,
        # no snooping, reads of 512 bytes.
        self._put(EXPRESS, "<BBHIH", 0x10, MSIX, 0x0002, 0x8001, 0x2810)
        half = bar.size // 2
        self._put(MSIX, "<BBHII", 0x11, 0, vectors - 1, half, half + vectors * 16)

    def read(self) -> bytes:
        """All of it."""
        return bytes(self._bytes)

    def enable(self, *, enabled: bool) -> None:
        """`pci_enable_device_mem`: decode memory; `do_pci_disable_device`: be no bus master."""
        self._set(COMMAND, MEMORY if enabled else MASTER, on=enabled)

    def drive(self, *, driven: bool) -> None:
        """What a driver does that probes (`pci_set_master`, `pci_alloc_irq_vectors`) or goes."""
        self._set(COMMAND, MASTER, on=driven)
        self._set(MSIX_CONTROL, MSIX_ENABLE, on=driven)

    def _set(self, at: int, bits: int, *, on: bool) -> None:
        (old,) = struct.unpack_from("<H", self._bytes, at)
        struct.pack_into("<H", self._bytes, at, old | bits if on else old & ~bits)

    def _put(self, at: int, layout: str, *values: int) -> None:
        struct.pack_into(layout, self._bytes, at, *values)

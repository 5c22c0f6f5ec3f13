"""Which kind of PCI function lies behind a vpci device, by the names of its interrupts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakeproc.recordings.findings import Findings

__all__ = ["functions_of"]

# By kind: the function's own interrupt, and those of its queues, as its driver names them.
_VECTORS = {
    "nic": (r"mlx5_async0@pci:{domain:04x}:00:02\.0", r"mlx5_comp\d+@pci:{domain:04x}:00:02\.0"),
    "mana": (r"mana_hwc@pci:{domain:04x}:00:00\.0", r"mana_q\d+@pci:{domain:04x}:00:00\.0"),
    "nvme": (r"nvme\d+q0", r"nvme\d+q\d+"),
}
_DOMAIN_SHIFT = 27  # `pci_msi_domain_calc_hwirq`: the domain of a function in its hwirq
_INDEX = 0x7FF  # and the index of the interrupt
# Each function has a domain of its own since v6.17, which the chip is called after.
_OWN_CHIP = re.compile(r"HV-PCI-MSIX?-([0-9a-f]{4,5}):")


def functions_of(
    irqs: list[dict[str, Any]], vpci: dict[str, dict[str, Any]], findings: Findings
) -> set[int]:
    """The numbers of interrupts that functions make; each device is told its kind (`pci`).

    A function of no kind that is known has none: its interrupts are then described one by one.
    """
    found: set[int] = set()
    for instance, device in vpci.items():
        domain = int(instance.split("-")[1], 16)
        mine = [irq for irq in irqs if _domain(irq) == domain]
        kind = _kind(mine, domain)
        device["pci"] = kind or "none"
        if kind is not None:
            found |= {irq["irq"] for irq in mine}
        elif mine:
            findings.assumed.append(
                f"that the function of PCI domain {domain:04x} has {len(mine)} interrupts, "
                "and no device"
            )
    return found


def _domain(irq: dict[str, Any]) -> int | None:
    own = _OWN_CHIP.match(irq["chip"])
    if own is not None:
        return int(own[1], 16)
    if "hwirq" in irq and irq["chip"].startswith("Hyper-V PCIe MSI"):
        return int(irq["hwirq"]) >> _DOMAIN_SHIFT
    return None


def _kind(irqs: list[dict[str, Any]], domain: int) -> str | None:
    """The kind whose interrupts these are, from the first to the last."""
    ordered = sorted(irqs, key=lambda irq: irq["hwirq"] & _INDEX)
    if not irqs or [irq["hwirq"] & _INDEX for irq in ordered] != [*range(len(irqs))]:
        return None
    names = [irq.get("actions") or [""] for irq in ordered]
    for kind, patterns in _VECTORS.items():
        own, queue = (re.compile(pattern.format(domain=domain)) for pattern in patterns)
        if own.fullmatch(names[0][0]) and all(queue.fullmatch(name[0]) for name in names[1:]):
            return kind
    return None

"""The kinds of PCI functions that a host passes through, as data."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MODELS", "PciModel"]


@dataclass(frozen=True, slots=True)
class PciModel:
    """A kind of function: what config space says, and what its driver does."""

    name: str
    vendor: int
    device: int
    class_code: int
    slot: int
    driver: str
    own_vector: str  # name of the vector for the function itself
    queue_vector: str  # and of those for its queues
    managed: bool  # whether the queues' affinity belongs to the kernel
    bar_bytes: int = 1 << 20  # of BAR 0, at least: a power of two
    prefetchable: bool = True  # whether reading BAR 0 has no side effects
    most_queues: int = 1 << 11  # that its driver uses, at most
    network: bool = False  # whether its driver makes an interface


MODELS = {
    model.name: model
    for model in (
        PciModel(
            "nic", 0x15B3, 0x101A, 0x020000, 2, "mlx5_core",
            "mlx5_async0@pci:{address}", "mlx5_comp{queue}@pci:{address}", managed=False,
            network=True,
        ),
        PciModel(
            "mana", 0x1414, 0x00BA, 0x020000, 0, "mana",
            "mana_hwc@pci:{address}", "mana_q{queue}@pci:{address}", managed=False,
            most_queues=64, network=True,  # MANA_MAX_NUM_QUEUES
        ),
        PciModel(
            "nvme", 0x1414, 0xB111, 0x010802, 0, "nvme",
            "nvme{unit}q0", "nvme{unit}q{number}", managed=True,
            bar_bytes=32 << 10, prefetchable=False,
        ),
    )
}  # fmt: skip

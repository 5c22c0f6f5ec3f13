"""Frequencies of processors: `drivers/cpufreq/cpufreq.c`, each CPU with a policy of its own."""

from __future__ import annotations

from dataclasses import dataclass
from errno import EBUSY
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakeproc.guest.cpus import Cpus

__all__ = ["GOVERNOR", "CpuFreq", "Policy"]

GOVERNOR = "performance"


@dataclass(eq=False)
class Policy:
    """`struct cpufreq_policy`: what the hardware can do, and what was asked for; all in kHz."""

    cpu: int
    hardware_min: int
    hardware_max: int
    base: int | None
    current: int
    least: int
    most: int

    def limit(self, least: int, most: int) -> None:
        """`cpufreq_set_policy`: limits that the hardware cannot do are cut to what it can."""
        self.most = min(max(most, self.hardware_min), self.hardware_max)
        self.least = min(max(least, self.hardware_min), self.most)


class CpuFreq:
    """The policies; none where the profile gives no frequencies."""

    def __init__(self, cpus: Cpus) -> None:
        self._cpus = cpus
        self._policies: dict[int, Policy] = {}
        for cpu in cpus.profile.possible_cpus:
            model = cpus.model_of(cpu)
            most = model.max_khz or model.base_khz or model.min_khz
            if most is not None:
                least = model.min_khz or most
                now = min(max(model.khz, least), most)
                self._policies[cpu] = Policy(cpu, least, most, model.base_khz, now, least, most)

    def policy(self, cpu: int) -> Policy | None:
        """The policy of a CPU that is present."""
        return self._policies.get(cpu) if self._cpus.present >> cpu & 1 else None

    def active(self, cpu: int) -> Policy:
        """The same; OSError EBUSY while the CPU does not run (`policy_is_inactive`)."""
        policy = self.policy(cpu)
        if policy is None or not self._cpus.is_online(cpu):
            raise OSError(EBUSY, f"CPU {cpu} does not run")
        return policy

    @property
    def numbers(self) -> list[int]:
        """Whose policies there are."""
        return [cpu for cpu in sorted(self._policies) if self.policy(cpu) is not None]

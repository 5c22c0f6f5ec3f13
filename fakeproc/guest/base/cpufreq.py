"""Frequencies of processors: `drivers/cpufreq/cpufreq.c`."""

from __future__ import annotations

from dataclasses import dataclass
from errno import EBUSY
from typing import TYPE_CHECKING

from fakeproc.guest.cpus import cpu_mask

if TYPE_CHECKING:
    from fakeproc.guest.cpus import Cpus

__all__ = ["GOVERNOR", "CpuFreq", "Policy"]

GOVERNOR = "performance"


@dataclass(eq=False)
class Policy:
    """`struct cpufreq_policy`: what the hardware can do, and what was asked for; all in kHz.

    `related` are the possible CPUs that change their frequency together.
    """

    number: int
    related: int
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

    @property
    def now(self) -> int:
        """The frequency that they run at.

        Where nobody asks for less than all, the hardware may have chosen one outside.
        """
        if (self.least, self.most) == (self.hardware_min, self.hardware_max):
            return self.current
        return min(max(self.current, self.least), self.most)


class CpuFreq:
    """The policies; none where the profile gives no frequencies.

    `boost` is `cpufreq_driver->boost_enabled`, None where the driver has no such switch.
    """

    def __init__(self, cpus: Cpus) -> None:
        self._cpus = cpus
        self._policies: dict[int, Policy] = {}
        self.boost = cpus.profile.boost
        shared: dict[int, list[int]] = {}
        for cpu in sorted(cpus.profile.possible_cpus):
            number = cpus.place_of(cpu).policy
            shared.setdefault(cpu if number is None else number, []).append(cpu)
        for related in shared.values():
            policy = self._policy_of(related)
            if policy is not None:
                self._policies |= dict.fromkeys(related, policy)

    def _policy_of(self, related: list[int]) -> Policy | None:
        model = self._cpus.model_of(related[0])
        most = model.max_khz or model.base_khz or model.min_khz
        if most is None:
            return None
        least = model.min_khz or most
        now = min(max(model.khz, least), most) if model.current_khz is None else model.current_khz
        return Policy(
            related[0], cpu_mask(related), least, most, model.base_khz, now, least, most
        )  # fmt: skip

    def policy(self, cpu: int) -> Policy | None:
        """The policy of a CPU that is present."""
        return self._policies.get(cpu) if self._cpus.present >> cpu & 1 else None

    def numbered(self, number: int) -> Policy | None:
        """The policy of a number, that of its lowest CPU."""
        policy = self._policies.get(number)
        if policy is None or policy.number != number or not policy.related & self._cpus.present:
            return None
        return policy

    def active(self, policy: Policy) -> Policy:
        """The same; OSError EBUSY while none of its CPUs runs (`policy_is_inactive`)."""
        if not policy.related & self._cpus.online:
            raise OSError(EBUSY, f"no CPU of policy{policy.number} runs")
        return policy

    @property
    def numbers(self) -> list[int]:
        """Which policies there are."""
        return [number for number in sorted(self._policies) if self.numbered(number) is not None]

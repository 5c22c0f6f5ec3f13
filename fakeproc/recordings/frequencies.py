"""The frequencies of a recording's CPUs: cpufreq."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakeproc.recordings.tree import Recording

__all__ = ["frequencies_of"]

CPU = "sys/devices/system/cpu"
_FILES = {
    "min_khz": "cpuinfo_min_freq",
    "max_khz": "cpuinfo_max_freq",
    "base_khz": "base_frequency",
    "current_khz": "scaling_cur_freq",
}
_LONGEST_DRIVER = 32  # characters


def frequencies_of(
    recording: Recording, present: list[int]
) -> tuple[dict[str, Any], dict[str, dict[int, int]]]:
    """Keys of [cpus], and keys of [[cpus.groups]] by CPU; all in kHz."""
    of_each: dict[str, dict[int, int]] = {}
    for key, file in _FILES.items():
        numbers = {cpu: recording.number(f"{CPU}/cpu{cpu}/cpufreq/{file}") for cpu in present}
        of_each[key] = {cpu: khz for cpu, khz in numbers.items() if khz and khz < 1 << 32}
    policies = {cpu: lowest for cpu in present if (lowest := _policy(recording, cpu)) is not None}
    if any(cpu != lowest for cpu, lowest in policies.items()):
        of_each["policy"] = {cpu: cpu for cpu in present} | policies
    found: dict[str, Any] = {}
    boost = recording.number(f"{CPU}/cpufreq/boost")
    if boost is not None:
        found["boost"] = bool(boost)
    drivers = (recording.line(f"{CPU}/cpu{cpu}/cpufreq/scaling_driver") for cpu in present)
    driver = next(filter(None, drivers), "")
    if driver.isascii() and driver.isprintable() and 0 < len(driver) <= _LONGEST_DRIVER:
        found["scaling_driver"] = driver
    return found, {key: numbers for key, numbers in of_each.items() if numbers}


def _policy(recording: Recording, cpu: int) -> int | None:
    """The lowest of the CPUs that change their frequency together.

    Old kernels list as related also CPUs that the hardware coordinates, each of which has a
    policy of its own, which affects no other.
    """
    for file in ("affected_cpus", "related_cpus"):
        words = (recording.line(f"{CPU}/cpu{cpu}/cpufreq/{file}") or "").split()
        numbers = [int(word) for word in words if word.isdecimal() and len(word) < 8]
        if cpu in numbers:
            return min(numbers)
    return None

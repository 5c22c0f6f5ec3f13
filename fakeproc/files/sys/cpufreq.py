"""/sys/devices/system/cpu/cpufreq: `drivers/cpufreq/cpufreq.c`, where the profile gives limits."""

from __future__ import annotations

from errno import EINVAL
from typing import TYPE_CHECKING

from fakeproc.files.subjects import Cpu
from fakeproc.files.text.kstrtox import parse_int, word
from fakeproc.files.tree import Attributes, Directory, numbered
from fakeproc.guest.base.cpufreq import GOVERNOR

if TYPE_CHECKING:
    from fakeproc.guest.base.cpufreq import Policy
    from fakeproc.guest.kernel import Kernel

__all__ = ["cpufreq_directory"]

POLICY = Attributes[Cpu]()


def _policy(it: Cpu) -> Policy:
    return it.kernel.cpufreq.active(it.cpu)


@POLICY.show
def affected_cpus_show(it: Cpu) -> str:
    """The CPUs of the policy that run."""
    return f"{_policy(it).cpu}\n"


@POLICY.show
def related_cpus_show(it: Cpu) -> str:
    """The CPUs of the policy."""
    return f"{_policy(it).cpu}\n"


def _has_base(it: Cpu) -> bool:
    policy = it.kernel.cpufreq.policy(it.cpu)
    return policy is not None and policy.base is not None


@POLICY.show(visible=_has_base)
def base_frequency_show(it: Cpu) -> str:
    """The frequency that it always reaches, in kHz."""
    return f"{_policy(it).base}\n"


@POLICY.show
def cpuinfo_max_freq_show(it: Cpu) -> str:
    """The highest frequency of the hardware, in kHz."""
    return f"{_policy(it).hardware_max}\n"


@POLICY.show
def cpuinfo_min_freq_show(it: Cpu) -> str:
    """The lowest frequency of the hardware, in kHz."""
    return f"{_policy(it).hardware_min}\n"


@POLICY.show
def cpuinfo_transition_latency_show(it: Cpu) -> str:
    """How long a change takes, in ns: the hardware does it by itself."""
    _policy(it)
    return "0\n"


@POLICY.show
def scaling_available_governors_show(it: Cpu) -> str:
    """The one that there is."""
    _policy(it)
    return f"{GOVERNOR} \n"


@POLICY.show
def scaling_cur_freq_show(it: Cpu) -> str:
    """The frequency that it runs at, in kHz."""
    policy = _policy(it)
    return f"{min(max(policy.current, policy.least), policy.most)}\n"


@POLICY.show
def scaling_driver_show(it: Cpu) -> str:
    """The driver's name."""
    _policy(it)
    return f"{it.kernel.profile.cpus.scaling_driver}\n"


@POLICY.show
def scaling_governor_show(it: Cpu) -> str:
    """Who chooses the frequency."""
    _policy(it)
    return f"{GOVERNOR}\n"


@POLICY.store
def scaling_governor_store(it: Cpu, data: bytes) -> None:
    """Another governor; OSError EINVAL where there is none of that name."""
    _policy(it)
    if word(data) != GOVERNOR:
        raise OSError(EINVAL, f"the only governor is {GOVERNOR}")


@POLICY.show
def scaling_max_freq_show(it: Cpu) -> str:
    """The highest frequency that is allowed, in kHz."""
    return f"{_policy(it).most}\n"


@POLICY.store
def scaling_max_freq_store(it: Cpu, data: bytes) -> None:
    """Allow no higher one; OSError EINVAL for no number."""
    policy, most = _policy(it), _khz(data)
    policy.limit(policy.least, most)


@POLICY.show
def scaling_min_freq_show(it: Cpu) -> str:
    """The lowest frequency that is allowed, in kHz."""
    return f"{_policy(it).least}\n"


@POLICY.store
def scaling_min_freq_store(it: Cpu, data: bytes) -> None:
    """Allow no lower one; OSError EINVAL for no number."""
    policy, least = _policy(it), _khz(data)
    policy.limit(least, policy.most)


def _khz(data: bytes) -> int:
    number = parse_int(data)
    if number < 0:
        raise OSError(EINVAL, "not a frequency in kHz")
    return number


def cpufreq_directory(kernel: Kernel) -> Directory:
    """A directory policy<n> for each CPU."""

    def make(cpu: int) -> Directory | None:
        policy = kernel.cpufreq.policy(cpu)
        return None if policy is None else Directory((POLICY.on(Cpu(kernel, cpu), policy),))

    return Directory(listings=(numbered(lambda: kernel.cpufreq.numbers, make, "policy"),))

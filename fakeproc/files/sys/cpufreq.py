"""/sys/devices/system/cpu/cpufreq: `drivers/cpufreq/cpufreq.c`, where the profile gives limits."""

from __future__ import annotations

from errno import EINVAL
from typing import NamedTuple

from fakeproc.files.text.kstrtox import parse_bool, parse_int, word
from fakeproc.files.tree import Attributes, Directory, numbered
from fakeproc.guest.base.cpufreq import GOVERNOR, Policy
from fakeproc.guest.cpus import cpus_in
from fakeproc.guest.kernel import Kernel

__all__ = ["cpufreq_directory"]


class PolicyOf(NamedTuple):
    """A policy, and its kernel."""

    kernel: Kernel
    policy: Policy


ROOT = Attributes[Kernel]()
POLICY = Attributes[PolicyOf]()


@ROOT.show(visible=lambda kernel: kernel.cpufreq.boost is not None)
def boost_show(kernel: Kernel) -> str:
    """Whether the processors may run faster than their highest frequency for a while."""
    return f"{kernel.cpufreq.boost:d}\n"


@ROOT.store
def boost_store(kernel: Kernel, data: bytes) -> None:
    """Let them or not; OSError EINVAL for neither."""
    kernel.cpufreq.boost = parse_bool(data, enable_words=False)


def _policy(it: PolicyOf) -> Policy:
    return it.kernel.cpufreq.active(it.policy)


def _cpus(cpus: int) -> str:
    """`cpufreq_show_cpus`."""
    return " ".join(map(str, cpus_in(cpus))) + "\n"


@POLICY.show
def affected_cpus_show(it: PolicyOf) -> str:
    """The CPUs of the policy that run."""
    return _cpus(_policy(it).related & it.kernel.cpus.online)


@POLICY.show
def related_cpus_show(it: PolicyOf) -> str:
    """The CPUs of the policy."""
    return _cpus(_policy(it).related & it.kernel.cpus.present)


def _has_base(it: PolicyOf) -> bool:
    return it.policy.base is not None


@POLICY.show(visible=_has_base)
def base_frequency_show(it: PolicyOf) -> str:
    """The frequency that it always reaches, in kHz."""
    return f"{_policy(it).base}\n"


@POLICY.show
def cpuinfo_max_freq_show(it: PolicyOf) -> str:
    """The highest frequency of the hardware, in kHz."""
    return f"{_policy(it).hardware_max}\n"


@POLICY.show
def cpuinfo_min_freq_show(it: PolicyOf) -> str:
    """The lowest frequency of the hardware, in kHz."""
    return f"{_policy(it).hardware_min}\n"


@POLICY.show
def cpuinfo_transition_latency_show(it: PolicyOf) -> str:
    """How long a change takes, in ns: the hardware does it by itself."""
    _policy(it)
    return "0\n"


@POLICY.show
def scaling_available_governors_show(it: PolicyOf) -> str:
    """The one that there is."""
    _policy(it)
    return f"{GOVERNOR} \n"


@POLICY.show
def scaling_cur_freq_show(it: PolicyOf) -> str:
    """The frequency that it runs at, in kHz."""
    return f"{_policy(it).now}\n"


@POLICY.show
def scaling_driver_show(it: PolicyOf) -> str:
    """The driver's name."""
    _policy(it)
    return f"{it.kernel.profile.cpus.scaling_driver}\n"


@POLICY.show
def scaling_governor_show(it: PolicyOf) -> str:
    """Who chooses the frequency."""
    _policy(it)
    return f"{GOVERNOR}\n"


@POLICY.store
def scaling_governor_store(it: PolicyOf, data: bytes) -> None:
    """Another governor; OSError EINVAL where there is none of that name."""
    _policy(it)
    if word(data) != GOVERNOR:
        raise OSError(EINVAL, f"the only governor is {GOVERNOR}")


@POLICY.show
def scaling_max_freq_show(it: PolicyOf) -> str:
    """The highest frequency that is allowed, in kHz."""
    return f"{_policy(it).most}\n"


@POLICY.store
def scaling_max_freq_store(it: PolicyOf, data: bytes) -> None:
    """Allow no higher one; OSError EINVAL for no number."""
    policy, most = _policy(it), _khz(data)
    policy.limit(policy.least, most)


@POLICY.show
def scaling_min_freq_show(it: PolicyOf) -> str:
    """The lowest frequency that is allowed, in kHz."""
    return f"{_policy(it).least}\n"


@POLICY.store
def scaling_min_freq_store(it: PolicyOf, data: bytes) -> None:
    """Allow no lower one; OSError EINVAL for no number."""
    policy, least = _policy(it), _khz(data)
    policy.limit(least, policy.most)


def _khz(data: bytes) -> int:
    number = parse_int(data)
    if number < 0:
        raise OSError(EINVAL, "not a frequency in kHz")
    return number


def cpufreq_directory(kernel: Kernel) -> Directory:
    """A directory policy<n> for the CPUs that change their frequency together."""

    def make(number: int) -> Directory | None:
        policy = kernel.cpufreq.numbered(number)
        if policy is None:
            return None
        return Directory((POLICY.on(PolicyOf(kernel, policy), policy),))

    return Directory(
        (ROOT.on(kernel),), listings=(numbered(lambda: kernel.cpufreq.numbers, make, "policy"),)
    )

"""Short names for kernels: a version, and what was done with the series."""

from __future__ import annotations

from fakeproc.profiles.schema import Kernel, Profile

__all__ = ["KERNELS", "with_kernel"]

KERNELS = {
    "rfc": ("6.10", "as meant"),
    "rfc-as-posted": ("6.10", "as posted"),
    "rfc-7.2": ("7.2", "as meant"),
    "6.1": ("6.1", "absent"),
    "6.12": ("6.12", "absent"),
    "6.18": ("6.18", "absent"),
    "7.2": ("7.2", "absent"),
}


def with_kernel(profile: Profile, name: str) -> Profile:
    """The same machine with another kernel; KeyError for a name that is not known."""
    version, series = KERNELS[name]
    kernel = Kernel.model_validate(
        {"version": version, "series": series, "cmdline": profile.kernel.cmdline}
    )
    return profile.model_copy(update={"kernel": kernel})

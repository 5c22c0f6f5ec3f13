"""Short names for kernels: a version, and what was done with the series."""

from __future__ import annotations

from fakeproc.profiles import ProfileError
from fakeproc.profiles.schema import Profile

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
    """The same machine with another kernel; ProfileError for a name that is not known."""
    if name not in KERNELS:
        raise ProfileError(f"no kernel is called {name!r}; there are: {', '.join(KERNELS)}")
    version, series = KERNELS[name]
    old = profile.kernel
    if (old.version, old.series) == (version, series):
        return profile
    new = old.model_copy(update={"version": version, "series": series, "release": ""})
    cmdline = old.cmdline.replace(old.uname_release, new.uname_release)
    return profile.model_copy(update={"kernel": new.model_copy(update={"cmdline": cmdline})})

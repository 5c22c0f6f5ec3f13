"""Short names for kernels: a version, and what was done with the series."""

from __future__ import annotations

from fakeproc.personality import SERIES_VERSION, VERSIONS
from fakeproc.profiles import ProfileError
from fakeproc.profiles.schema import Profile

__all__ = ["KERNELS", "with_kernel"]

# The kernel of the series' day is there for the series: without it, it shows what 6.12 shows.
KERNELS = {
    "rfc": (SERIES_VERSION, "as meant"),
    "rfc-as-posted": (SERIES_VERSION, "as posted"),
    "rfc-7.2": ("7.2", "as meant"),
    **{version: (version, "absent") for version in VERSIONS if version != SERIES_VERSION},
}


def with_kernel(profile: Profile, name: object) -> Profile:
    """The same machine with another kernel; ProfileError for a name that is not known."""
    if not isinstance(name, str) or name not in KERNELS:  # a list is no key of a table
        raise ProfileError(f"no kernel is called {name!r}; there are: {', '.join(KERNELS)}")
    version, series = KERNELS[name]
    old = profile.kernel
    if (old.version, old.series) == (version, series):
        return profile
    new = old.model_copy(update={"version": version, "series": series, "release": ""})
    cmdline = old.cmdline.replace(old.uname_release, new.uname_release)
    return profile.model_copy(update={"kernel": new.model_copy(update={"cmdline": cmdline})})

"""Short names for kernels: a version, and what was done with the series."""

from __future__ import annotations

from collections.abc import Collection

from fakeproc.personality import SERIES_VERSION, VERSIONS
from fakeproc.profiles import ProfileError
from fakeproc.profiles.schema import Profile
from fakeproc.series import ALL_PATCHES, Patch, without

__all__ = ["KERNELS", "with_kernel", "without_patches"]

# The kernel of the series' day is there for the series: without it, it shows what 6.12 shows.
KERNELS = {
    "rfc": (SERIES_VERSION, "as meant"),
    "rfc-as-posted": (SERIES_VERSION, "as posted"),
    "rfc-as-reviewed": (SERIES_VERSION, "as reviewed"),
    "rfc-6.18": ("6.18", "as meant"),
    "rfc-7.2": ("7.2", "as meant"),
    **{version: (version, "absent") for version in VERSIONS if version != SERIES_VERSION},
}


def without_patches(profile: Profile, numbers: Collection[int]) -> Profile:
    """The same machine without some patches of the series, and without what needs these.

    Raises ProfileError for a number that no patch has, and where the series is absent.
    """
    for number in numbers:
        if isinstance(number, bool) or number not in ALL_PATCHES:
            raise ProfileError(f"a patch is a number from 1 to {len(ALL_PATCHES)}, not {number!r}")
    kernel = profile.kernel
    if kernel.series == "absent":
        raise ProfileError(f"Linux {kernel.version} without the series has no patch to leave out")
    applied = ALL_PATCHES if kernel.patches is None else kernel.patches
    kept = without(applied, numbers)
    if kernel.series == "as reviewed" and Patch.REQUEST_IRQS not in kept:
        raise ProfileError("as reviewed, control messages are handled as patch 9 has it")
    return profile.model_copy(update={"kernel": kernel.model_copy(update={"patches": kept})})


def with_kernel(profile: Profile, name: object) -> Profile:
    """The same machine with another kernel; ProfileError for a name that is not known."""
    if not isinstance(name, str) or name not in KERNELS:  # a list is no key of a table
        raise ProfileError(f"no kernel is called {name!r}; there are: {', '.join(KERNELS)}")
    version, series = KERNELS[name]
    old = profile.kernel
    if (old.version, old.series) == (version, series):
        return profile
    changed = {"version": version, "series": series, "release": "", "patches": None}
    new = old.model_copy(update=changed | {"offlining": None})
    cmdline = old.cmdline.replace(old.uname_release, new.uname_release)
    return profile.model_copy(update={"kernel": new.model_copy(update={"cmdline": cmdline})})

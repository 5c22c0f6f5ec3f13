"""Which machine is meant: a profile, and what is to be different about it."""

from __future__ import annotations

from os import PathLike, fspath
from typing import Literal, TypeAlias

from fakeproc.profiles import Profile, load
from fakeproc.profiles.kernels import with_kernel
from fakeproc.profiles.sizes import with_cpus

__all__ = ["DEFAULT_PROFILE", "ClockKind", "ProfileChoice", "chosen"]

DEFAULT_PROFILE = "hyperv-gen2"

ClockKind: TypeAlias = Literal["manual", "real"]
ProfileChoice: TypeAlias = "str | PathLike[str] | Profile"


def chosen(profile: ProfileChoice, kernel: str | None, cpus: int | None) -> Profile:
    """The profile that is meant.  Raises ProfileError."""
    found = profile if isinstance(profile, Profile) else load(fspath(profile))
    if kernel is not None:
        found = with_kernel(found, kernel)
    return found if cpus is None else with_cpus(found, cpus)

"""Which machine is meant: a profile, and what is to be different about it.

The command line, `Guest` and `Machine`, and the pytest marker all choose here.
"""

from __future__ import annotations

from collections.abc import Collection
from os import PathLike, fspath
from typing import TypeAlias, get_args

from fakeproc.defaults import DEFAULT_PROFILE, MAX_CPUS, MAX_SEED, ClockKind, SizesKind
from fakeproc.profiles import Profile, ProfileError, load
from fakeproc.profiles.kernels import with_kernel
from fakeproc.profiles.kernels import without_patches as leave_out
from fakeproc.profiles.sizes import with_cpus

__all__ = [
    "DEFAULT_PROFILE",
    "ClockKind",
    "ProfileChoice",
    "SizesKind",
    "checked_clock",
    "checked_sizes",
    "chosen",
]

ProfileChoice: TypeAlias = "str | PathLike[str] | Profile"


def chosen(
    profile: ProfileChoice,
    kernel: str | None,
    cpus: int | None,
    seed: int | None = None,
    without_patches: Collection[int] = (),
) -> Profile:
    """The profile that is meant.

    Raises ProfileError, whose sentence names the right choices.
    """
    if not isinstance(profile, Profile | str | PathLike):
        raise ProfileError(
            "a profile is the name of a built-in one, the path of a file or a fakeproc.Profile, "
            f"not {profile!r}"
        )
    found = profile if isinstance(profile, Profile) else load(fspath(profile))
    if kernel is not None:
        found = with_kernel(found, kernel)
    if without_patches:
        found = leave_out(found, without_patches)
    if cpus is not None:
        found = with_cpus(found, _whole("cpus", cpus, 1, MAX_CPUS))
    if seed is not None:
        found = found.model_copy(update={"seed": _whole("seed", seed, 0, MAX_SEED)})
    return found


def checked_clock(clock: object) -> ClockKind:
    """A clock that exists.  Raises ProfileError."""
    if clock == "manual":
        return "manual"
    if clock == "real":
        return "real"
    raise ProfileError(f"clock is {' or '.join(map(repr, get_args(ClockKind)))}, not {clock!r}")


def checked_sizes(sizes: object) -> SizesKind:
    """A way to report lengths that exists.  Raises ProfileError."""
    if sizes == "length":
        return "length"
    if sizes == "kernel":
        return "kernel"
    raise ProfileError(f"sizes is {' or '.join(map(repr, get_args(SizesKind)))}, not {sizes!r}")


def _whole(name: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ProfileError(f"{name} is a whole number from {least} to {most}, not {value!r}")
    return value

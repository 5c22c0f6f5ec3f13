"""/proc/sys: the settings that say what kernel this is (`kernel/utsname_sysctl.c`)."""

from __future__ import annotations

from fakeproc.files.tree import Attributes, ProcDirectory
from fakeproc.guest.kernel import Kernel

__all__ = ["sys_directory"]

UTS = Attributes[Kernel]()


@UTS.show
def ostype_show(_kernel: Kernel) -> str:
    """The name of the system, as `uname -s`."""
    return "Linux\n"


@UTS.show
def osrelease_show(kernel: Kernel) -> str:
    """The kernel's release, as `uname -r`."""
    return f"{kernel.profile.kernel.uname_release}\n"


@UTS.show
def version_show(kernel: Kernel) -> str:
    """The kernel's build, as `uname -v`."""
    return f"{kernel.profile.kernel.build}\n"


def sys_directory(kernel: Kernel) -> ProcDirectory:
    """/proc/sys; inside a run the other settings there are the computer's."""
    return ProcDirectory(entries={"kernel": ProcDirectory((UTS.on(kernel),))})

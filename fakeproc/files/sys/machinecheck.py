"""/sys/devices/system/machinecheck/machinecheckN: `arch/x86/kernel/cpu/mce/core.c`.

The files of the banks are not shown: how many a guest has depends on its host.
"""

from __future__ import annotations

from errno import EINVAL
from typing import TYPE_CHECKING

from fakeproc.files.sys.device import shows
from fakeproc.files.text.kstrtox import parse_bool, parse_int
from fakeproc.files.tree import Attributes, Directory
from fakeproc.guest.kernel import Kernel
from fakeproc.guest.machinecheck import FLAGS, SETTINGS, MachinecheckDevice

if TYPE_CHECKING:
    from collections.abc import Callable

__all__: list[str] = []

MCE = Attributes[MachinecheckDevice]()


def _declare(name: str, parse: Callable[[bytes], int]) -> None:
    @MCE.show(name=name)
    def show(device: MachinecheckDevice) -> str:
        return f"{device.settings[name]:d}\n"

    @MCE.store(name=name)
    def store(device: MachinecheckDevice, data: bytes) -> None:
        device.settings[name] = parse(data)


def _number(data: bytes) -> int:
    """`device_store_int`; OSError EINVAL for what is no number of 32 bits."""
    try:
        return parse_int(data)
    except OSError as error:
        raise OSError(EINVAL, error.strerror) from error


for _name in SETTINGS:
    _declare(_name, parse_bool if _name in FLAGS else _number)


@shows(MachinecheckDevice)
def machinecheck_files(_kernel: Kernel, device: MachinecheckDevice) -> Directory:
    """How machine checks are looked for: the same settings for every CPU."""
    return Directory((MCE.on(device),))

"""/sys/devices/virtual/dmi/id: `drivers/firmware/dmi-id.c`."""

from __future__ import annotations

from fakeproc.files.sys.device import shows
from fakeproc.files.tree import Attributes, Directory, constant
from fakeproc.guest.dmi import DmiDevice
from fakeproc.guest.kernel import Kernel

__all__: list[str] = []

DMI = Attributes[DmiDevice]()


@DMI.show
def modalias_show(device: DmiDevice) -> str:
    """What udev finds drivers by."""
    return f"{device.modalias}\n"


@shows(DmiDevice)
def dmi_files(_kernel: Kernel, device: DmiDevice) -> Directory:
    """The fields of the firmware's tables; what tells machines apart is for root alone."""
    return Directory(
        (DMI.on(device),),
        {
            **{name: constant(f"{text}\n") for name, text in device.public.items()},
            **{name: constant(f"{text}\n", 0o400) for name, text in device.secret.items()},
        },
    )

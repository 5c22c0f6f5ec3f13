"""Writes that the real code was asked, asked through real system calls on a mounted guest."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from model.captures import rows
from model.differences import Mismatch, unexplained
from model.guests import captured_profile
from model.recorded_files import CAPTURES
from model.replay import ask

from fakeproc import Guest

# A write(2) of 0 bytes ends in the kernel's FUSE, which returns 0 and tells nobody. procfs
# hands it to the file, which has an errno for it; sysfs does as FUSE does.
ZERO_BYTES = "write(2) of 0 bytes returns 0"

# To an ordinary user, who may open for writing what may be written, and nothing else.
READ_ONLY = "open(2) of a file that is not to be written: EACCES, where root gets EIO at write(2)"


@dataclass
class MountedFiles:
    """The files of a mounted guest, by the system calls that one would use."""

    root: str
    channels: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        devices = f"{self.root}/sys/bus/vmbus/devices"
        for device in os.listdir(devices):
            for relid in os.listdir(f"{devices}/{device}/channels"):
                self.channels[int(relid)] = f"/sys/bus/vmbus/devices/{device}/channels/{relid}"

    def channel(self, relid: int) -> str | None:
        return self.channels.get(relid)

    def read(self, path: str) -> bytes | str:
        try:
            fd = os.open(f"{self.root}{path}", os.O_RDONLY)
            try:
                return os.read(fd, 1 << 16)
            finally:
                os.close(fd)
        except OSError as error:
            return errno.errorcode[error.errno]

    def write(self, path: str, data: bytes) -> int | str:
        try:
            fd = os.open(f"{self.root}{path}", os.O_WRONLY)
            try:
                return os.write(fd, data)
            finally:
                os.close(fd)
        except OSError as error:
            return errno.errorcode[error.errno]


def is_undelivered(it: Mismatch) -> bool:
    return it.row.kind == "write" and it.field == "write(2)" and not it.row.input and it.ours == 0


def is_for_root(it: Mismatch) -> bool:
    return os.geteuid() != 0 and (it.field, it.recorded, it.ours) == ("write(2)", "EIO", "EACCES")


EXCUSES: dict[str, Callable[[Mismatch], bool]] = {
    ZERO_BYTES: is_undelivered,
    READ_ONLY: is_for_root,
}


@pytest.mark.usefixtures("_fuse")
@pytest.mark.parametrize("capture", CAPTURES)
def test_every_write_is_answered_and_read_back_as_recorded(capture):
    chosen, writes = CAPTURES[capture]
    asked = [row for row in rows(capture) if chosen(row)]
    with Guest(captured_profile(capture), clock="real") as guest:
        files = MountedFiles(str(guest.root))
        mismatches = [mismatch for row in asked for mismatch in ask(files, row)]
    differing = unexplained(
        [each for each in mismatches if not any(excuse(each) for excuse in EXCUSES.values())]
    )
    assert not differing, "\n".join(differing)
    assert sum(row.kind == "write" for row in asked) == writes


def test_a_write_of_0_bytes_is_excused_only_where_nothing_is_written():
    zero = [row for row in rows("wt-8cpu") if row.kind == "write" and not row.input]
    assert {row.answer for row in zero} == {"EINVAL", 0}
    for row in zero:
        assert is_undelivered(Mismatch(row, "write(2)", row.answer, 0))
        assert not is_undelivered(Mismatch(row, "write(2)", row.answer, 1))
        assert not is_undelivered(Mismatch(row, "smp_affinity", "01\n", 0))

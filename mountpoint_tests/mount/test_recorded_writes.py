"""Writes that the real code was asked, asked through real system calls on a mounted guest."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from model.captures import Row, rows
from model.differences import Mismatch, unexplained
from model.guests import captured_toml
from model.replay import ask

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


def every_tenth_beyond(number: int) -> Callable[[Row], bool]:
    return lambda row: row.number < number or row.number % 10 == 0


def all_of_it(_row: Row) -> bool:
    return True


def of_open_channels(row: Row) -> bool:
    return row.kind == "write" or "b6650ff7" not in str(row.get("file"))


# Which rows of each capture, and how many writes these are. The whole table of relid 19 and
# the round of picks are the first 353 rows of `wt-8cpu`; of those of relids 7 and 14, each of
# which begins with a reset, every tenth.
CAPTURES = {
    "wt-8cpu": (every_tenth_beyond(354), 406),
    "wtoff-8cpu": (all_of_it, 46),
    "small-2cpu": (all_of_it, 6),
    "small-8cpu-2numa": (all_of_it, 6),
    "lowver-8cpu": (all_of_it, 36),
    "isol-8cpu": (all_of_it, 14),
    "fdops-8cpu": (of_open_channels, 11),
}


@pytest.mark.parametrize("capture", CAPTURES)
def test_every_write_is_answered_and_read_back_as_recorded(capture, mount_guest, tmp_path):
    profile = tmp_path / f"{capture}.toml"
    profile.write_text(captured_toml(capture))
    files = MountedFiles(str(mount_guest("--profile", profile).root))
    chosen, writes = CAPTURES[capture]
    asked = [row for row in rows(capture) if chosen(row)]
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

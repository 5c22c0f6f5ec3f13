"""The table of writes that the real code was asked, asked of a `Machine`: no excuse is needed."""

from __future__ import annotations

import errno
from dataclasses import dataclass

import pytest
from model.captures import rows
from model.differences import unexplained
from model.guests import captured_profile
from model.recorded_files import CAPTURES
from model.replay import ask

import fakeproc


@dataclass
class RecordedFiles:
    """The files of a machine, as the table asks for them."""

    machine: fakeproc.Machine

    def channel(self, relid: int) -> str | None:
        for name, device in self.machine.state().devices.items():
            if any(channel.relid == relid for channel in device.channels):
                return f"/sys/bus/vmbus/devices/{name}/channels/{relid}"
        return None

    def read(self, path: str) -> bytes | str:
        try:
            return self.machine.read(_absolute(path)).encode()
        except OSError as error:
            return errno.errorcode[error.errno]

    def write(self, path: str, data: bytes) -> int | str:
        try:
            return self.machine.write(_absolute(path), data)
        except OSError as error:
            return errno.errorcode[error.errno]


def _absolute(path: str) -> str:
    """The path, also of a file of a channel that is not there, which nothing leads to."""
    return path if path.startswith("/") else f"/sys/{path}"


@pytest.mark.parametrize("capture", CAPTURES)
def test_every_write_is_answered_and_read_back_as_recorded(capture) -> None:
    chosen, writes = CAPTURES[capture]
    asked = [row for row in rows(capture) if chosen(row)]
    files = RecordedFiles(fakeproc.Machine(captured_profile(capture), clock="real"))
    differing = unexplained([mismatch for row in asked for mismatch in ask(files, row)])
    assert not differing, "\n".join(differing)
    assert sum(row.kind == "write" for row in asked) == writes

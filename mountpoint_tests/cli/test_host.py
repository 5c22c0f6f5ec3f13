"""`fakeproc host`: the console of a host from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import CommandLine

from fakeproc import Guest


def test_a_command_is_carried_out(guest: Guest, cli: CommandLine) -> None:
    before = guest.read("/host/latency")
    assert cli("host", guest.root, "latency", "ack", "0.5").returncode == 0
    assert cli("host", guest.root, "latency").stdout == "ack 0.5\n"
    cli("host", guest.root, "latency", *before.split())
    assert guest.read("/host/latency") == before


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("trafic",), 2, "host/ has no file 'trafic'; it has: accesses, at, clock, "),
        (("traffic", "netvcs", "5"), 2, "line 1, 'netvcs 5': 'netvcs' is neither a relid nor "),
        (("interrupt",), 2, "host/interrupt has nothing to read: give it a command"),
        (("interrupt", "999"), 2, "line 1, '999': no channel has relid 999"),
        (("log", "x"), 2, "host/log takes no writes: it is there to be read"),
        (("../proc/stat",), 2, "host/ has no file '../proc/stat'; it has: "),
    ],
)
def test_what_is_refused_is_one_sentence(
    guest: Guest, cli: CommandLine, words: tuple[str, ...], status: int, said: str
) -> None:
    done = cli("host", guest.root, *words)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(f"fakeproc: {said}")
    assert done.stderr.count("\n") == 1


def test_a_directory_that_is_no_mount(cli: CommandLine, tmp_path: Path) -> None:
    done = cli("host", tmp_path, "log")
    assert done.returncode == 1
    assert done.stderr == f"fakeproc: {tmp_path} is not a fakeproc mount (see 'fakeproc list')\n"

"""The files of a guest, mounted and in this process: one table, and the same answers."""

from __future__ import annotations

import errno
import os
import re

import pytest

AFFINITY = "/proc/irq/39/smp_affinity"
LIST = "/proc/irq/39/smp_affinity_list"
NETVSC = "/sys/bus/vmbus/devices/0022486b-1fa4-0022-486b-1fa40022486b"
CPU = f"{NETVSC}/channels/19/cpu"


def answer(call, *arguments):
    """What a call returns, or the name of the errno that it raises."""
    try:
        return call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


READS = [
    (AFFINITY, "40\n"),
    (LIST, "6\n"),
    (CPU, "6\n"),
    ("/proc/../proc/irq/./39//smp_affinity", "40\n"),
    (f"{NETVSC}/driver/../../devices/../../../devices/system/cpu/online", "0-7\n"),
    ("/sys/bus/vmbus/drivers/hv_netvsc/bind", "EACCES"),
    ("/host/interrupt", "EIO"),
    ("/host/clock", "manual 33760.000000\n"),
    ("/proc/irq", "EISDIR"),
    ("/sys", "EISDIR"),
    ("/proc/irq/39/nope", "ENOENT"),
    ("/proc/nope/nope", "ENOENT"),
    ("/nope", "ENOENT"),
    (f"{AFFINITY}/", "ENOTDIR"),
    (f"{AFFINITY}/x", "ENOTDIR"),
    (f"{AFFINITY}/..", "ENOTDIR"),
]

WRITES = [
    (AFFINITY, b"08\n", 3),
    (AFFINITY, b"8", 1),
    (AFFINITY, b"xyz\n", "EINVAL"),
    (AFFINITY, b"00\n", "EINVAL"),
    (AFFINITY, b"1,000000000\n", "EOVERFLOW"),
    (LIST, b"4-5\n", 4),
    (LIST, b"99\n", "ERANGE"),
    (CPU, b"2\n", 2),
    (CPU, b"99\n", "EINVAL"),
    (CPU, b"2\n" + bytes(10_000), 4096),
    (CPU, b"", 0),
    ("/proc/interrupts", b"1\n", "EIO"),
    ("/sys/devices/system/cpu/online", b"1\n", "EACCES"),
    ("/sys/bus/vmbus/drivers/hv_netvsc/bind", b"nobody\n", "ENODEV"),
    ("/host/interrupt", b"19 5\n", 5),
    ("/host/interrupt", b"999\n", "EINVAL"),
    ("/proc/irq/39", b"1\n", "EISDIR"),
    ("/proc/irq/39/nope", b"1\n", "ENOENT"),
    ("/nope", b"1\n", "ENOENT"),
]


def _of_the_caller(files, expected):
    """Procfs lets root open what its mode forbids, and fails the call; others do not get as far."""
    return "EACCES" if expected == "EIO" and not files.by_root else expected


@pytest.mark.parametrize(("path", "expected"), READS)
def test_read(files, path, expected) -> None:
    assert answer(files.read, path) == _of_the_caller(files, expected)


@pytest.mark.parametrize(
    ("path", "data", "expected"), WRITES, ids=[f"{p} {d[:12]!r}" for p, d, _ in WRITES]
)
def test_write(files, path, data, expected) -> None:
    before = files.console.state()
    assert answer(files.write, path, data) == _of_the_caller(files, expected)
    if isinstance(expected, str):
        assert files.console.state() == before


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{NETVSC}/nope", "ENOENT"),
        (AFFINITY, "ENOTDIR"),
        (f"{NETVSC}/channels", ["13", "16", "17", "18", "20", "21", "22", "19"]),
    ],
)
def test_list(files, path, expected) -> None:
    found = answer(files.list, path)
    assert sorted(found) == sorted(expected) if isinstance(expected, list) else found == expected


@pytest.mark.parametrize(
    ("path", "expected"), [(AFFINITY, "EINVAL"), ("/", "EINVAL"), ("/sys/nope", "ENOENT")]
)
def test_no_link(files, path, expected) -> None:
    assert answer(files.readlink, path) == expected


def test_a_link(files) -> None:
    target = files.readlink(NETVSC)
    assert re.fullmatch(r"(\.\./)+devices/.*/0022486b-1fa4-0022-486b-1fa40022486b", target)
    assert files.list(NETVSC) == files.list(f"/sys/bus/vmbus/devices/{target}")


def test_the_top(files) -> None:
    assert sorted(files.list("/")) == ["host", "proc", "sys"]


def test_a_move_is_seen_everywhere(files) -> None:
    files.write(LIST, b"3\n")
    assert (files.read(AFFINITY), files.read(CPU)) == ("08\n", "3\n")


def tree(files, top: str) -> dict[str, object]:
    """Every path below a directory: names, text, or where a link leads."""
    found: dict[str, object] = {}
    waiting = [top]
    while waiting:
        path = waiting.pop()
        link = answer(files.readlink, path)
        if link != "EINVAL":
            found[path] = link
            continue
        names = answer(files.list, path)
        if isinstance(names, list):
            found[path] = names
            waiting += [f"{path}/{name}" for name in names]
        else:
            found[path] = answer(files.read, path)
    return found


@pytest.mark.parametrize("top", ["/proc", "/sys/bus", "/sys/devices", "/sys/kernel", "/host"])
def test_every_path_answers_the_same_in_both(both, top) -> None:
    mounted, machine = (tree(files, top) for files in both)
    assert mounted.keys() == machine.keys()
    wanted = {path: _of_the_caller(both[0], found) for path, found in machine.items()}
    different = {path for path in mounted if mounted[path] != wanted[path]}
    assert different <= {"/host/accesses"}  # each records its own


def test_an_error_names_the_path_and_says_why(fakeproc_machine) -> None:
    with pytest.raises(PermissionError, match=r"not even by root: '/proc/../sys/.*/online'"):
        fakeproc_machine.write("/proc/../sys/devices/system/cpu/online", "1")
    with pytest.raises(FileNotFoundError, match=re.escape(os.strerror(errno.ENOENT))):
        fakeproc_machine.read("/proc/nope")

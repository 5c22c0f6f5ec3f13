"""The record of accesses: who did what, where, and with what result."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakeproc
from fakeproc.access_record import Access, AccessRecord

NETVSC = "/sys/bus/vmbus/devices/0022486b-1fa4-0022-486b-1fa40022486b"


def test_it_is_off_until_it_is_wanted() -> None:
    machine = fakeproc.Machine()
    machine.read("/proc/stat")
    assert machine.read("/host/accesses") == ""
    with pytest.raises(fakeproc.FakeprocError, match=r"call record\(\) before"):
        machine.accesses()


def test_who_wrote_irq_39_what_and_with_what_result(fakeproc_guest) -> None:
    guest = fakeproc_guest
    guest.record()
    affinity = guest.proc / "irq/39/smp_affinity"
    tee = subprocess.Popen(["tee", affinity], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    tee.communicate(b"08\n")
    subprocess.run(["dd", f"of={affinity}", "status=none"], input=b"zz\n", check=False)
    subprocess.run(["cat", affinity], stdout=subprocess.DEVNULL, check=True)
    writes = guest.accesses().writes("/proc/irq/39")
    assert [(w.pid == tee.pid, w.command, w.data, w.result, w.error) for w in writes] == [
        (True, "tee", b"08\n", 3, None),
        (False, "dd", b"zz\n", 0, "EINVAL"),
    ]
    assert {w.path for w in writes} == {"/proc/irq/39/smp_affinity"}
    assert [a.error for a in guest.accesses().refused()] == ["EINVAL"]


def test_a_write_is_found_by_any_of_its_names(fakeproc_guest) -> None:
    guest = fakeproc_guest
    cpu = guest.channel(19) / "cpu"
    cpu.write_text("3\n")
    for name in (cpu, guest.channel(19), f"{NETVSC}/channels/19", cpu.resolve()):
        assert [write.data for write in guest.accesses().writes(name)] == [b"3\n"]


def test_which_paths_a_tool_looked_for_in_vain(fakeproc_guest) -> None:
    guest = fakeproc_guest
    script = f"cat {guest.sys}/nope {guest.proc}/irq/99/x {guest.sys}/nope {guest.proc}/stat"
    subprocess.run(["sh", "-c", f"{script} >/dev/null 2>&1"], check=False)
    guest.root.joinpath("sys/mine").exists()
    assert guest.accesses().by("cat").missing() == ["/sys/nope", "/proc/irq/99"]
    assert "/sys/mine" in guest.accesses().missing()


def test_which_of_the_tree_it_never_touched(fakeproc_guest) -> None:
    guest = fakeproc_guest
    subprocess.run(["cat", guest.proc / "irq/39/node"], stdout=subprocess.DEVNULL, check=True)
    (guest.proc / "irq/39/netvsc").is_dir()
    untouched = guest.untouched("/proc/irq/39", "cat")
    assert "/proc/irq/39/node" not in untouched
    assert "/proc/irq/39/smp_affinity" in untouched
    assert not [path for path in untouched if not path.startswith("/proc/irq/39/")]
    # Looking through the tree has not been recorded, and recording goes on.
    assert len(guest.accesses()) < 20
    (guest.proc / "irq/39/spurious").read_text()
    assert guest.accesses()[-1].path == "/proc/irq/39/spurious"


def test_a_program_in_a_window_is_recorded(fakeproc_guest) -> None:
    fakeproc_guest.run(["tee", "/proc/irq/39/smp_affinity"], input=b"04\n", check=True)
    (write,) = fakeproc_guest.accesses().writes("/proc/irq/39")
    assert (write.command, write.data) == ("tee", b"04\n")


def test_the_record_by_hand(fresh_guest) -> None:
    accesses = fresh_guest.host / "accesses"
    accesses.write_text("clear\n")
    accesses.write_text("off\n")
    (fresh_guest.proc / "stat").read_text()
    assert accesses.read_text() == ""
    accesses.write_text("on\n")
    os.listdir(fresh_guest.proc / "irq")
    line = accesses.read_text()
    assert line == f"33760.000000\t{os.getpid()}\t{line.split()[2]}\tlist\t/proc/irq\t0\n"
    with pytest.raises(OSError, match="Invalid argument"):
        accesses.write_text("maybe\n")


def test_a_machine_records_as_a_mount_does(console, files) -> None:
    console.record()
    files.write("/proc/irq/39/smp_affinity", b"08\n")
    with pytest.raises(PermissionError):
        files.write("/sys/devices/system/cpu/online", b"1")
    with pytest.raises(FileNotFoundError):
        files.read("/sys/nope/nope")
    files.list("/sys/bus")
    assert [
        (a.operation, a.path, a.result, a.error, a.data, a.pid) for a in console.accesses()
    ] == [
        ("open", "/proc/irq/39/smp_affinity", 0, None, b"w", os.getpid()),
        ("write", "/proc/irq/39/smp_affinity", 3, None, b"08\n", os.getpid()),
        ("open", "/sys/devices/system/cpu/online", 0, "EACCES", b"w", os.getpid()),
        ("missing", "/sys/nope", 0, "ENOENT", b"", os.getpid()),
        ("list", "/sys/bus", 0, None, b"", os.getpid()),
    ]


def test_what_has_fallen_out_is_counted() -> None:
    record = AccessRecord()
    for number in range(100_005):
        record.note(Access(0.0, number, "cat", "open", "/proc/stat"))
    assert (record.lost, len(record.accesses)) == (5, 100_000)
    assert str(record).startswith("# the oldest have been forgotten, so many: 5\n")
    assert AccessRecord.parse("# the oldest have been forgotten, so many: 5\n").lost == 5


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(TEXT, TEXT, st.binary())
def test_a_line_says_all_of_it(command, path, data) -> None:
    access = Access(1.5, 7, command, "write", path, 3, None, data)
    line = str(access)
    assert line.isascii()
    assert "\n" not in line
    assert Access.parse(line) == access

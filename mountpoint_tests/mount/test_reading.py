"""Reading, the way that tools read: every one of them gets the right bytes."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fakeproc import Guest
from fakeproc.mount.gone_names import BATCH

INTERRUPTS = "proc/interrupts"
AFFINITY = "proc/irq/39/smp_affinity"
MASKS = ("01", "c0", "0f", "80", "ff")

PIECES = (1, 7, 1024, 4096, 65536, 1 << 20)


def program(*names: str) -> str:
    """A program that the test is about: install it, rather than not test it."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    assert found, f"the program {' or '.join(names)} is missing: install it to run this test"
    return found


def output(*command: object) -> bytes:
    return subprocess.run(list(map(str, command)), check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def still(_fuse):
    """A guest whose time stands still, so that two reads can be compared."""
    with Guest() as guest:
        yield guest


def in_pieces(path: Path, size: int) -> list[bytes]:
    with path.open("rb", buffering=0) as file:
        return list(iter(lambda: file.read(size), b""))


@pytest.mark.parametrize("name", [INTERRUPTS, AFFINITY, "proc/stat", "host/state.json"])
def test_pieces_of_any_size(still, name) -> None:
    path = still.root / name
    whole = path.read_bytes()
    assert whole.endswith(b"\n")
    for size in PIECES:
        assert b"".join(in_pieces(path, size)) == whole, size
        assert all(len(piece) <= size for piece in in_pieces(path, size))


@pytest.mark.parametrize("name", [INTERRUPTS, "proc/cpuinfo"])
def test_one_large_read_gets_whole_records_of_a_page(still, name) -> None:
    """As of any seq_file: who reads once into a large buffer loses the rest."""
    pieces = in_pieces(still.root / name, 1 << 20)
    assert len(pieces) > 1
    assert all(len(piece) < 4096 and piece.endswith(b"\n") for piece in pieces)
    assert b"".join(pieces) == b"".join(in_pieces(still.root / name, 100))


@pytest.mark.parametrize("name", ["proc/stat", "proc/softirqs", "proc/meminfo", "host/log"])
def test_a_file_of_one_record_comes_whole(still, name) -> None:
    assert len(in_pieces(still.root / name, 1 << 20)) == 1


def test_a_mask_of_sysfs_that_is_read_in_pieces(still) -> None:
    """The binary files of CPU masks lose the last byte of a read that is not the last."""
    topology = still.sys / "devices/system/cpu/cpu0/topology"
    for path in (topology / "package_cpus", still.sys / "devices/system/node/node0/cpumap"):
        assert in_pieces(path, 4096) == [b"ff\n"]
        assert in_pieces(path, 3) == [b"ff", b"\n"]
        assert in_pieces(path, 1) == []
        with path.open("rb", buffering=0) as file:
            assert os.pread(file.fileno(), 100, 1) == b"f\n"
            assert os.pread(file.fileno(), 100, 3) == b""
            with pytest.raises(PermissionError):
                os.pread(file.fileno(), 100, 4)


def test_pieces_from_any_position(still) -> None:
    whole = (still.root / INTERRUPTS).read_bytes()
    with (still.root / INTERRUPTS).open("rb", buffering=0) as file:
        for position in (len(whole) - 1, 100, 0, 4096, len(whole), len(whole) + 1, 1):
            assert os.pread(file.fileno(), 50, position) == whole[position : position + 50]


READERS: dict[str, Callable[[Path], bytes]] = {
    "cat": lambda path: output(program("cat"), path),
    "busybox cat": lambda path: output(program("busybox"), "cat", path),  # sendfile(2)
    "bash read": lambda path: output(
        program("bash"), "-c", f'mapfile < {path}; printf %s "${{MAPFILE[@]}}"'
    ),
    "bash $(<)": lambda path: output(program("bash"), "-c", f'echo "$(< {path})"'),
    "dd bs=1": lambda path: output(program("dd"), f"if={path}", "bs=1", "status=none"),
    "dd bs=1M": lambda path: output(program("dd"), f"if={path}", "bs=1M", "status=none"),
    "head -c": lambda path: output(program("head"), "-c", 1 << 20, path),
    "tail -c": lambda path: output(program("tail"), "-c", 1 << 20, path),
    "tail -n": lambda path: output(program("tail"), "-n", "+1", path),
    "sed": lambda path: output(program("sed"), "", path),
    "awk": lambda path: output(program("awk"), "{ print }", path),
    "grep": lambda path: output(program("grep"), "", path),
    "sort": lambda path: output(program("sort"), "-s", "-k99", path),
    "python": lambda path: path.read_bytes(),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", [INTERRUPTS, AFFINITY])
def test_readers(still, reader, name) -> None:
    path = still.root / name
    assert READERS[reader](path) == path.read_bytes()


@pytest.mark.parametrize("reader", ["cat", "busybox cat", "tail -c", "python"])
@pytest.mark.parametrize("where", ["proc", "sys"])
def test_a_text_that_grows_and_shrinks(still, reader, where) -> None:
    """The length that the kernel last heard of is never what cuts a text."""
    lists = still.root / "proc/irq/39/smp_affinity_list"
    masks = still.root / AFFINITY
    device = still.channel(16).parent.parent
    reads = device / "channel_vp_mapping" if where == "sys" else lists
    seen = set()
    for written in ("0", "1,3,5,7", "2", "0-6", "7", "1-2,4-6"):
        lists.write_text(written)
        assert masks.read_bytes() == masks.read_bytes()
        text = READERS[reader](reads)
        assert text == in_one_read(reads)
        seen.add(len(text))
        if where == "proc":
            assert text.decode().strip() == written
    assert len(seen) > 1 or where == "sys"


def in_one_read(path: Path) -> bytes:
    with path.open("rb", buffering=0) as file:
        return file.read(1 << 16)


def test_a_longer_text_on_sysfs_by_sendfile(still) -> None:
    """`busybox cat` of an attribute that had been shorter when it was read so before."""
    attribute = still.sys / "devices/system/cpu/online"
    control = still.sys / "devices/system/cpu/cpu3/online"
    busybox = program("busybox")
    assert output(busybox, "cat", attribute) == b"0-7\n"
    # Move what is bound to CPU 3 away first, or it may not go offline.
    for irq in (still.proc / "irq").iterdir():
        effective = irq / "effective_affinity_list"
        if effective.is_file() and effective.read_text() == "3\n":
            (irq / "smp_affinity_list").write_text("0")
    control.write_text("0")
    assert output(busybox, "cat", attribute) == b"0-2,4-7\n"
    control.write_text("1")
    assert output(busybox, "cat", attribute) == b"0-7\n"


def by_sendfile(path: str | Path, scratch: Path) -> bytes:
    with open(path, "rb", buffering=0) as source, scratch.open("wb") as target:
        while os.sendfile(target.fileno(), source.fileno(), None, 1 << 16):
            pass
    return scratch.read_bytes()


@pytest.mark.parametrize("where", ["proc", "sys"])
def test_a_longer_text_by_sendfile_after_a_shorter_write(still, where, tmp_path) -> None:
    """O_TRUNC and a write of one byte leave the kernel with a length of 1."""
    path = still.root / AFFINITY if where == "proc" else still.channel(16) / "cpu"
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(descriptor, b"4")
    finally:
        os.close(descriptor)
    assert by_sendfile(path, tmp_path / "copy") == in_one_read(path)


@pytest.mark.parametrize("where", ["proc", "sys"])
def test_a_longer_text_by_sendfile_where_no_name_is_looked_up(still, where, tmp_path) -> None:
    """By a name in /proc/self/fd, as by a file that is bound over another."""
    lists = still.root / "proc/irq/39/smp_affinity_list"
    path = lists if where == "proc" else still.sys / "devices/system/cpu/cpu0/uevent"
    lists.write_text("2")
    handle = os.open(path, os.O_PATH)
    try:
        name = f"/proc/self/fd/{handle}"
        assert by_sendfile(name, tmp_path / "copy") == in_one_read(path)
        lists.write_text("1-2,4-6")
        for _ in range(3):
            assert by_sendfile(name, tmp_path / "copy") == in_one_read(path)
        os.truncate(lists, 0)
        assert by_sendfile(name, tmp_path / "copy") == in_one_read(path)
    finally:
        os.close(handle)


@pytest.mark.parametrize("count", [1, 2, 10, 100])
def test_tail_of_so_many_bytes(still, count) -> None:
    path = still.root / INTERRUPTS
    assert output(program("tail"), "-c", count, path) == path.read_bytes()[-count:]


def test_length_is_exact_on_proc(still) -> None:
    for name in (INTERRUPTS, AFFINITY, "proc/cpuinfo", "host/log"):
        path = still.root / name
        assert path.stat().st_size == len(path.read_bytes())
        with path.open("rb") as file:
            assert os.fstat(file.fileno()).st_size == len(file.read())
    lists = still.root / "proc/irq/39/smp_affinity_list"
    for text in ("0\n", "0-1,3-7\n", "2\n"):
        lists.write_text(text)
        assert lists.stat().st_size == len(text)


def test_length_is_a_page_on_sys(still) -> None:
    attribute = still.channel(16) / "cpu"
    assert attribute.stat().st_size == 4096
    attribute.write_text("3\n")
    attribute.read_bytes()
    output(program("busybox"), "cat", attribute)
    assert attribute.stat().st_size == 4096


def test_copies(still, tmp_path) -> None:
    for name in (INTERRUPTS, "proc/irq/39"):
        subprocess.run([program("cp"), "-r", still.root / name, tmp_path], check=True)
    shutil.copyfile(still.root / INTERRUPTS, tmp_path / "copied")
    whole = (still.root / INTERRUPTS).read_bytes()
    assert (tmp_path / "interrupts").read_bytes() == whole
    assert (tmp_path / "copied").read_bytes() == whole
    for copy in (path for path in (tmp_path / "39").iterdir() if path.is_file()):
        assert copy.read_bytes() == (still.proc / "irq/39" / copy.name).read_bytes()


def test_tar(still, tmp_path) -> None:
    """But for files that come in pieces: tar takes a read that is short for the end."""
    archive = tmp_path / "guest.tar"
    subprocess.run([program("tar"), "-cf", archive, "-C", still.root, "proc/irq"], check=True)
    with tarfile.open(archive) as members:
        for name in ("proc/irq/39/spurious", AFFINITY):
            member = members.extractfile(name)
            assert member is not None
            assert member.read() == (still.root / name).read_bytes()


def test_find_sees_types_without_asking_for_each(still) -> None:
    """irqbalance overlooks a NUMA node whose type readdir does not tell."""
    entries = {entry.name: entry for entry in os.scandir(still.sys / "devices/system/node")}
    assert entries["node0"].is_dir(follow_symlinks=False)
    links = list(os.scandir(still.sys / "bus/vmbus/devices"))
    assert links
    assert all(entry.is_symlink() for entry in links)
    found = output(program("find"), still.root, "-type", "d", "-name", "channels").splitlines()
    assert len(found) == len(links)


def test_find_and_stat_agree(still) -> None:
    """Everything that is listed is there, and of the type that is listed."""
    for directory, directories, files in os.walk(still.root):
        for name in directories + files:
            path = Path(directory) / name
            assert path.is_symlink() or path.is_dir() == (name in directories), path
    # Links to what the guest does not show may lead nowhere, as on a real one.


def test_number_of_links_of_a_directory(still) -> None:
    for directory in (still.proc / "irq", still.sys / "bus", still.channel(16)):
        below = sum(entry.is_dir(follow_symlinks=False) for entry in os.scandir(directory))
        assert directory.stat().st_nlink == 2 + below


def test_grep_through_everything(still) -> None:
    done = subprocess.run(
        [program("grep"), "-r", "netvsc", still.proc], capture_output=True, text=True, check=True
    )
    assert "interrupts:" in done.stdout
    assert done.stderr == ""


# -- One moment -----------------------------------------------------------------------


def test_a_reader_sees_one_moment(still) -> None:
    path = still.root / AFFINITY
    path.write_text("01")
    with path.open("rb", buffering=0) as file:
        assert file.read(1) == b"0"
        path.write_text("80")
        assert file.read(10) == b"1\n"
        assert file.read(10) == b""
        file.seek(0)
        assert file.read(10) == b"80\n"


def test_pread_from_the_start_is_a_new_moment(still) -> None:
    path = still.root / AFFINITY
    path.write_text("01")
    with path.open("rb", buffering=0) as file:
        assert os.pread(file.fileno(), 10, 0) == b"01\n"
        path.write_text("80")
        assert os.pread(file.fileno(), 10, 0) == b"80\n"


def test_a_read_from_elsewhere_is_a_new_moment(still) -> None:
    """Who goes on from where it was sees the rest of what it began."""
    path = still.root / AFFINITY
    path.write_text("01")
    with path.open("rb", buffering=0) as file:
        assert os.pread(file.fileno(), 1, 0) == b"0"
        path.write_text("80")
        assert os.pread(file.fileno(), 1, 1) == b"1"
        assert os.pread(file.fileno(), 10, 1) == b"0\n"


def test_a_kept_descriptor_sees_every_change(still) -> None:
    path = still.root / AFFINITY
    with path.open("rb", buffering=0) as file:
        for mask in MASKS * 3:
            path.write_text(mask)
            file.seek(0)
            assert file.read() == f"{mask}\n".encode()


def test_two_readers_are_independent(still) -> None:
    path = still.root / AFFINITY
    path.write_text("01")
    with path.open("rb", buffering=0) as one:
        assert one.read(1) == b"0"
        path.write_text("80")
        with path.open("rb", buffering=0) as other:
            assert other.read() == b"80\n"
            assert one.read() == b"1\n"


def test_written_and_read_by_one_descriptor(still) -> None:
    path = still.root / AFFINITY
    descriptor = os.open(path, os.O_RDWR)
    try:
        assert os.write(descriptor, b"04\n") == 3
        assert os.pread(descriptor, 10, 0) == b"04\n"
        assert os.write(descriptor, b"08\n") == 3
        os.lseek(descriptor, 0, os.SEEK_SET)
        assert os.read(descriptor, 10) == b"08\n"
    finally:
        os.close(descriptor)


def test_a_write_does_not_move_what_is_read_next(still) -> None:
    path = still.root / AFFINITY
    descriptor = os.open(path, os.O_RDWR)
    try:
        assert os.write(descriptor, b"08\n") == 3
        assert os.read(descriptor, 99) == b"08\n"
        assert os.read(descriptor, 99) == b""
        assert os.write(descriptor, b"4\n") == 2  # at the end, where it was read to
        assert os.read(descriptor, 99) == b""
        assert os.pread(descriptor, 99, 0) == b"04\n"
        os.lseek(descriptor, 1, os.SEEK_SET)
        assert os.write(descriptor, b"10\n") == 3
        assert os.read(descriptor, 1) == b"0"
        assert os.read(descriptor, 99) == b"\n"
    finally:
        os.close(descriptor)
    script = f'exec 3<> {path}; echo 8 >&3; read -r it <&3; echo "$it"'
    assert output(program("bash"), "-c", script) == b"08\n"


def test_a_write_moves_what_is_read_next_on_sysfs(still) -> None:
    descriptor = os.open(still.channel(16) / "cpu", os.O_RDWR)
    try:
        assert os.write(descriptor, b"5") == 1
        assert os.read(descriptor, 99) == b"\n"
    finally:
        os.close(descriptor)


@pytest.mark.fakeproc(clock="real")
def test_a_running_guest_is_read_without_tears(guest) -> None:
    """Interrupts arrive while a reader of small pieces is at work: every row stays whole."""
    for size in (7, 1024):
        text = b"".join(in_pieces(guest.root / INTERRUPTS, size)).decode()
        head, *rows = text.splitlines()
        columns = len(head.split())
        for row in rows:
            counts = re.match(r" *\w+:((?: +\d+)*)", row)
            assert counts, row
            assert len(counts[1].split()) in (1, columns, columns + 1), row


@pytest.mark.fakeproc(clock=["manual", "real"])
def test_an_open_file_of_a_device_that_is_taken_away(fakeproc_guest) -> None:
    guest = fakeproc_guest
    clock = (guest.host / "clock").read_text().split()[0]
    on_proc = (guest.root / AFFINITY).open("r+b", buffering=0)
    on_sys = (guest.channel(19) / "cpu").open("r+b", buffering=0)
    primary = next(guest.channel(19).parent.iterdir()).parent.parent / "id"
    (guest.host / "rescind").write_text(primary.read_text())
    deadline = time.monotonic() + 10
    while (guest.root / AFFINITY).exists() and time.monotonic() < deadline:
        (guest.host / "clock").write_text("advance 1") if clock == "manual" else time.sleep(0.01)
    for file, gone in ((on_proc, errno.EIO), (on_sys, errno.ENODEV)):
        for operation in (lambda file=file: file.read(1), lambda file=file: file.write(b"1")):
            with pytest.raises(OSError, match=os.strerror(gone)):
                operation()
        file.close()


@pytest.mark.fakeproc(clock="manual")
@pytest.mark.parametrize("again", [False, True], ids=["gone", "replaced"])
def test_an_open_directory_of_a_device_that_is_taken_away(fakeproc_guest, again) -> None:
    """It is empty, also when another device has come by its name."""
    guest = fakeproc_guest
    directories = (guest.channel(7).resolve(), guest.proc / "irq/24")
    opened = [os.scandir(directory) for directory in directories]
    instance = guest.channel(7).resolve().parent.parent.name
    (guest.host / "rescind").write_text("7")
    guest.advance(1)
    if again:
        (guest.host / "offer").write_text(f"heartbeat guid={instance} relid=7")
        guest.advance(1)
    assert [directory.exists() for directory in directories] == [again, again]
    assert [list(entries) for entries in opened] == [[], []]
    assert all(os.listdir(directory) for directory in directories if again)


@pytest.mark.fakeproc(clock="manual")
def test_the_kernel_forgets_the_names_of_devices_that_have_gone(fakeproc_guest) -> None:
    """It kept them, and libfuse 200 bytes for each, until the memory was short."""
    guest, bus = fakeproc_guest, fakeproc_guest.sys / "bus/vmbus/devices"
    before = {*os.listdir(bus)}
    (guest.host / "offer").write_text("netvsc subchannels=3")
    guest.advance(1)
    (name,) = {*os.listdir(bus)} - before
    opened = [os.open(bus / name, os.O_PATH | flags) for flags in (0, os.O_NOFOLLOW)]
    (guest.host / "rescind").write_text(name)
    for _ in range(BATCH):  # a batch of them is told the kernel
        (guest.host / "offer").write_text("hv_sock")
        guest.advance(1)
        (guest.host / "rescind").write_text("hv_sock")
        guest.advance(1)
    deadline = time.monotonic() + 60
    while not all(_is_forgotten(descriptor) for descriptor in opened):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    for descriptor in opened:
        os.close(descriptor)
    assert {*os.listdir(bus)} == before


def _is_forgotten(descriptor: int) -> bool:
    return os.readlink(f"/proc/self/fd/{descriptor}").endswith(" (deleted)")


# -- Writing ----------------------------------------------------------------------------


WRITERS: dict[str, str] = {
    "echo >": "echo {text} > {path}",
    "echo >>": "echo {text} >> {path}",
    "echo -n": "echo -n {text} > {path}",
    "printf": "printf %s {text} > {path}",
    "tee": "echo {text} | tee {path} > /dev/null",
    "tee -a": "echo {text} | tee -a {path} > /dev/null",
    "dd": "echo {text} | dd of={path} status=none",
    "dd notrunc": "echo {text} | dd of={path} conv=notrunc bs=100 status=none",
    "cp": "echo {text} > {scratch}; cp {scratch} {path}",
    "busybox": "busybox echo {text} | busybox tee {path} > /dev/null",
    "<>": "echo {text} 1<> {path}",
}


@pytest.mark.parametrize("writer", WRITERS)
def test_writers(still, writer, tmp_path) -> None:
    path = still.root / AFFINITY
    for text in ("02", "40"):
        command = WRITERS[writer].format(text=text, path=path, scratch=tmp_path / "scratch")
        subprocess.run([program("bash"), "-ec", command], check=True)
        assert path.read_text() == f"{text}\n"


def test_each_write_is_a_command(still) -> None:
    path = still.root / AFFINITY
    descriptor = os.open(path, os.O_WRONLY)
    try:
        assert os.write(descriptor, b"1\n") == 2
        assert os.write(descriptor, b"2\n") == 2  # not appended to the first
        assert path.read_text() == "02\n"
        with pytest.raises(OSError, match="Invalid argument"):
            os.write(descriptor, b"zz")
        assert path.read_text() == "02\n"
    finally:
        os.close(descriptor)


def test_truncation_changes_nothing(still) -> None:
    path = still.root / AFFINITY
    before = path.read_text()
    with path.open("w"):
        pass
    os.truncate(path, 0)
    os.truncate(path, 100)
    assert path.read_text() == before


def test_a_long_write_is_one_command(still) -> None:
    """20 KB is refused for its length, not taken in pages of which the last may be right."""
    path = still.root / AFFINITY
    path.write_text("01")
    descriptor = os.open(path, os.O_WRONLY)
    try:
        with pytest.raises(OSError, match=r"Value too large|Invalid argument"):
            os.write(descriptor, b"0" * 20_000 + b"2")
    finally:
        os.close(descriptor)
    assert path.read_text() == "01\n"


def test_sysfs_takes_a_page_of_a_long_write(still) -> None:
    attribute = still.channel(16) / "cpu"
    descriptor = os.open(attribute, os.O_WRONLY)
    try:
        assert os.write(descriptor, b"3\n" + b" " * 10_000) == 4096
    finally:
        os.close(descriptor)
    assert attribute.read_text() == "3\n"


def test_sysfs_gathers_a_vector(still) -> None:
    attribute = still.channel(16) / "cpu"
    descriptor = os.open(attribute, os.O_WRONLY)
    try:
        assert os.writev(descriptor, [b"1", b"\n"]) == 2
    finally:
        os.close(descriptor)
    assert attribute.read_text() == "1\n"


def test_a_refusal_is_explained_in_the_log_of_the_guest(still) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        (still.root / AFFINITY).write_text("zz")
    last = (still.host / "log").read_text().splitlines()[-1]
    assert "/proc/irq/39/smp_affinity" in last
    assert "zz" in last
    assert "EINVAL" in last


# -- A wide machine -----------------------------------------------------------------------


@pytest.mark.fakeproc(cpus=2048)
def test_a_wide_machine(fakeproc_guest) -> None:
    """2,048 processors: lines of 20 KB, and a text of megabytes, by every reader."""
    wide = fakeproc_guest
    path = wide.root / INTERRUPTS
    whole = path.read_bytes()
    assert len(whole) == path.stat().st_size > 20_000 * 30
    assert whole.split(b"\n", 1)[0].split()[-1] == b"CPU2047"
    for reader in ("cat", "busybox cat", "tail -c", "dd bs=1M"):
        assert READERS[reader](path).endswith(whole[-(1 << 20) :]), reader
    assert b"".join(in_pieces(path, 4096)) == whole
    mask = (wide.root / AFFINITY).read_text().strip()
    assert len(mask) == 2048 // 4 + 2048 // 32 - 1
    (wide.root / AFFINITY).write_text(mask)
    assert (wide.root / AFFINITY).read_text().strip() == mask

"""The operations without a mount: what cannot be seen, or not be timed, through the kernel."""

from __future__ import annotations

import errno
import os
import stat
import threading
from contextlib import nullcontext
from dataclasses import dataclass, field

import pytest

from fakeproc.access_record import AccessRecord
from fakeproc.files.tree import Attribute, Attributes, Directory, ProcDirectory, Symlink
from fakeproc.journal import Journal
from fakeproc.mount import kernel_sizes
from fakeproc.mount.requests import Requests
from fakeproc.path_faults import PathFaults
from fakeproc.timeline import Clock, Timeline
from fakeproc.vfs import cache
from fakeproc.vfs.fstypes import HOST, PROCFS, SYSFS
from fakeproc.vfs.open_files import OpenFile
from fakeproc.vfs.operations import UTIME_NOW, UTIME_OMIT, Operations
from fakeproc.vfs.permissions import Root
from fakeproc.vfs.request import Boundary
from fakeproc.vfs.sysfs import SysfsOperations


@dataclass(eq=False)
class Knob:
    """A device with one value."""

    value: str = "1\n"
    shown: int = 0


KNOB = Attributes[Knob]()


@KNOB.show
def value_show(knob: Knob) -> str:
    knob.shown += 1
    return knob.value


@KNOB.store
def value_store(knob: Knob, data: bytes) -> int | None:
    match data:
        case b"refuse":
            raise OSError(errno.EBUSY, "it is busy")
        case b"no errno":
            raise OSError("somebody forgot the errno")
        case b"mistake":
            raise ZeroDivisionError
        case b"exit":
            raise SystemExit(1)
        case b"nothing":
            return 0
    knob.value = data.decode()
    return None


@KNOB.show(mode=0o444)
def broken_show(knob: Knob) -> str:
    raise OSError(errno.EINVAL, "no such ring")


@KNOB.store
def trigger_store(knob: Knob, data: bytes) -> None:
    knob.value = data.decode()


@dataclass
class Machine:
    """As much of a machine as the mount knows."""

    knob: Knob | None = field(default_factory=Knob)
    timeline: Timeline = field(default_factory=lambda: Timeline(Clock(manual=True)))
    accesses: AccessRecord = field(default_factory=AccessRecord)
    journal: Journal = field(default_factory=Journal)
    path_faults: PathFaults = field(default_factory=PathFaults)
    asked: int = 0
    refusals: list[tuple[str, bytes, int | None]] = field(default_factory=list)

    @property
    def wall_time(self) -> int:
        return 1_000_000 + self.timeline.now

    def catch_up(self) -> None:
        self.asked += 1

    def replace(self, knob: Knob | None) -> None:
        """An event: the device goes, and perhaps another comes."""
        self.knob = knob
        self.timeline.steps += 1

    def note_refusal(self, path: str, data: bytes, error: OSError) -> None:
        self.refusals.append((path, data, error.errno))


@dataclass
class FileInfo:
    """What libfuse hands over with an open file."""

    flags: int = os.O_RDONLY
    fh: int = 0
    direct_io: int = 0
    lock_owner: int = 1


class Mounted:
    """Two file systems of one machine, the requests of a kernel for them, and a shorthand."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.ready: list[str] = []

        def knob() -> Directory | None:
            found = self.machine.knob
            return None if found is None else Directory((KNOB.on(found),))

        proc = ProcDirectory(entries={"knob": knob, "link": Symlink("knob")})
        sys = Directory(entries={"knob": knob, "link": Symlink("knob")})
        boundary = Boundary(self.machine)
        self.boundary = boundary
        root = Root()
        self.proc = Operations(PROCFS, proc, boundary, lambda: root)
        self.sys = SysfsOperations(sys, boundary, lambda: root)
        self.proc_requests = Requests(self.proc, "/nowhere", lambda: self.ready.append("proc"))
        self.sys_requests = Requests(self.sys, "/nowhere", lambda: self.ready.append("sys"))

    def open(self, operations: Operations, name: str, flags: int = os.O_RDONLY) -> OpenFile:
        return operations.open(f"/knob/{name}", flags)


@pytest.fixture
def mounted() -> Mounted:
    return Mounted()


def error_of(operation, *arguments) -> int | None:
    """The errno by which an operation is refused."""
    try:
        operation(*arguments)
    except OSError as error:
        return error.errno
    return None


# -- The boundary -----------------------------------------------------------------------


def test_ready_when_the_kernel_asks(mounted) -> None:
    mounted.proc_requests.init("/")
    mounted.sys_requests.init("/")
    assert mounted.ready == ["proc", "sys"]


def test_there_is_no_flush(mounted) -> None:
    """It would be one more round trip at every close."""
    assert not hasattr(mounted.proc_requests, "flush")
    assert not hasattr(mounted.sys_requests, "flush")


def test_procfs_has_no_xattrs_to_get(mounted) -> None:
    """Told once that there are none, the kernel answers EOPNOTSUPP by itself."""
    assert not hasattr(mounted.proc_requests, "getxattr")
    assert hasattr(mounted.sys_requests, "getxattr")


def test_every_request_finds_the_machine_run_up_to_now(mounted) -> None:
    mounted.proc.getattr("/knob/value")
    info = mounted.open(mounted.proc, "value")
    mounted.proc.read(info, 10, 0)
    mounted.proc.opendir("/")
    assert mounted.machine.asked == 4


@pytest.mark.parametrize("data", [b"no errno", b"mistake", b"exit"])
def test_a_mistake_is_eio_and_is_logged(mounted, caplog, data) -> None:
    info = mounted.open(mounted.proc, "value", os.O_WRONLY)
    assert error_of(mounted.proc.write, info, data) == errno.EIO
    assert "Traceback" in caplog.text
    assert mounted.machine.refusals == []
    another = threading.Thread(target=mounted.sys.getattr, args=("/knob",))
    another.start()
    another.join(10)
    assert not another.is_alive()


def test_one_request_at_a_time(mounted) -> None:
    with mounted.boundary.lock:
        thread = threading.Thread(target=mounted.sys.getattr, args=("/knob",))
        thread.start()
        thread.join(0.05)
        assert thread.is_alive()
    thread.join(10)
    assert not thread.is_alive()


# -- Texts --------------------------------------------------------------------------------


def test_a_text_is_rendered_once_for_its_length_and_its_reader(mounted) -> None:
    assert mounted.proc.getattr("/knob/value")["st_size"] == 2
    info = mounted.open(mounted.proc, "value")
    mounted.proc.getattr("/knob/value", info)
    assert mounted.proc.read(info, 1, 0) == b"1"
    assert mounted.proc.read(info, 9, 1) == b"\n"
    assert mounted.machine.knob.shown == 1


def test_a_glimpse_does_not_outlive_a_write(mounted) -> None:
    mounted.proc.getattr("/knob/value")
    mounted.machine.knob.value = "other\n"
    writer = mounted.open(mounted.sys, "trigger", os.O_WRONLY)  # by another file system
    mounted.sys.write(writer, b"22\n")
    info = mounted.open(mounted.proc, "value")
    assert mounted.proc.read(info, 9, 0) == b"22\n"


def test_a_glimpse_does_not_outlive_an_event(mounted) -> None:
    mounted.proc.getattr("/knob/value")
    mounted.machine.replace(Knob("22\n"))
    info = mounted.open(mounted.proc, "value")
    assert mounted.proc.read(info, 9, 0) == b"22\n"


def test_a_glimpse_does_not_outlive_its_time(mounted) -> None:
    """By the machine's own clock: no other time shows in what is read."""
    mounted.proc.getattr("/knob/value")
    mounted.machine.knob.value = "22\n"
    mounted.machine.timeline.now += cache.LIFETIME
    assert mounted.proc.getattr("/knob/value")["st_size"] == 2
    mounted.machine.timeline.now += 1
    info = mounted.open(mounted.proc, "value")
    assert mounted.proc.read(info, 9, 0) == b"22\n"


def test_the_oldest_glimpse_makes_room(mounted) -> None:
    """Where time stands still nothing grows old."""
    kept = cache.Cache(mounted.boundary, 2)
    for name in "abc":
        kept.keep(name, name)
    assert [kept.look(name) for name in "abc"] == [None, "b", "c"]


def test_a_read_from_the_start_or_elsewhere_renders_anew(mounted) -> None:
    info = mounted.open(mounted.proc, "value")
    assert mounted.proc.read(info, 9, 0) == b"1\n"
    mounted.machine.knob.value = "22\n"
    assert mounted.proc.read(info, 9, 2) == b""
    assert mounted.proc.read(info, 1, 0) == b"2"
    mounted.machine.knob.value = "333\n"
    assert mounted.proc.read(info, 9, 1) == b"2\n"
    assert mounted.proc.read(info, 9, 1) == b"33\n"


def test_what_cannot_be_read_has_no_length(mounted) -> None:
    assert mounted.proc.getattr("/knob/broken")["st_size"] == 0
    info = mounted.open(mounted.proc, "broken")
    assert error_of(mounted.proc.read, info, 9, 0) == errno.EINVAL


def test_the_kernel_asks_for_every_read(mounted) -> None:
    """Whatever length it believes in: `direct_io`."""
    info = FileInfo()
    assert mounted.proc_requests.open("/knob/value", info) == 0
    assert info.direct_io == 1
    assert mounted.proc_requests.read("/knob/value", 9, 0, info) == b"1\n"


def test_open_files_have_numbers_of_their_own(mounted) -> None:
    one, other = FileInfo(), FileInfo(os.O_RDWR)
    for info in (one, other):
        mounted.proc_requests.open("/knob/value", info)
    mounted.proc_requests.read("/knob/value", 1, 0, one)
    assert mounted.proc_requests.write("/knob/value", b"22\n", 0, other) == 3
    assert mounted.proc_requests.read("/knob/value", 9, 1, one) == b"\n"
    assert mounted.proc_requests.read("/knob/value", 9, 0, other) == b"22\n"
    mounted.proc_requests.release("/knob/value", one)
    assert mounted.proc_requests.read("/knob/value", 9, 0, other) == b"22\n"


def test_the_kernel_looks_again_after_a_short_page(mounted) -> None:
    """sendfile(2) on sysfs: ESTALE makes the kernel look up the path, and open again."""
    info, path = FileInfo(), "/knob/value"
    mounted.sys_requests.open(path, info)
    info.lock_owner = 0  # a page, not a read(2)
    mounted.sys_requests.read(path, 4096, 0, info)
    assert error_of(mounted.sys_requests.open, path, FileInfo()) == errno.ESTALE
    mounted.sys_requests.getattr(path)
    assert mounted.sys_requests.open(path, FileInfo()) == 0


@pytest.mark.parametrize(
    ("before", "now", "looks_again"),
    [("1\n", "1\n", False), ("1\n", "22\n", True), ("22\n", "1\n", False)],
)
def test_the_kernel_looks_again_when_a_text_has_grown(mounted, before, now, looks_again) -> None:
    mounted.machine.replace(Knob(before))
    mounted.proc_requests.getattr("/knob/value")
    mounted.machine.replace(Knob(now))
    answer = error_of(mounted.proc_requests.open, "/knob/value", FileInfo())
    assert answer == (errno.ESTALE if looks_again else None)
    assert error_of(mounted.proc_requests.open, "/knob/value", FileInfo(os.O_WRONLY)) is None
    assert mounted.proc_requests.getattr("/knob/value")["st_size"] == len(now)
    assert error_of(mounted.proc_requests.open, "/knob/value", FileInfo()) is None


def test_a_text_that_grows_at_every_look_is_opened_all_the_same(mounted, monkeypatch) -> None:
    """It was ESTALE for the process: the kernel looks again once, and no more."""
    monkeypatch.setattr(kernel_sizes, "others_served", nullcontext)  # there is no libfuse here
    path = "/knob/value"
    mounted.machine.replace(Knob("1"))
    mounted.proc_requests.getattr(path)
    answers = []
    for text in ("22", "333", "4444"):
        mounted.machine.replace(Knob(text))
        answers.append(error_of(mounted.proc_requests.open, path, FileInfo()))
        if answers[-1] is None:
            break
        mounted.proc_requests.getattr(path)
        mounted.machine.replace(Knob(f"{text}5"))
    assert answers == [errno.ESTALE, None]


def test_the_kernel_looks_again_after_it_truncated_and_wrote_less(mounted) -> None:
    path = "/knob/value"
    mounted.sys_requests.getattr(path)
    info = FileInfo(os.O_WRONLY | os.O_TRUNC)
    mounted.sys_requests.open(path, info)
    mounted.sys_requests.write(path, b"3", 0, info)
    assert error_of(mounted.sys_requests.open, path, FileInfo()) == errno.ESTALE


# -- Writes -----------------------------------------------------------------------------


def test_the_offset_of_a_write_means_nothing(mounted) -> None:
    info = mounted.open(mounted.proc, "value", os.O_WRONLY)
    assert mounted.proc.write(info, b"3\n") == 2
    assert mounted.machine.knob.value == "3\n"


def test_a_refusal_is_noted(mounted) -> None:
    for operations, path in ((mounted.proc, "/proc"), (mounted.sys, "/sys")):
        info = mounted.open(operations, "value", os.O_WRONLY)
        assert error_of(operations.write, info, b"refuse") == errno.EBUSY
        refusal = (f"{path}/knob/value", b"refuse", errno.EBUSY)
        assert mounted.machine.refusals.pop() == refusal


def test_a_store_may_say_how_much_it_took(mounted) -> None:
    info = mounted.open(mounted.proc, "value", os.O_WRONLY)
    assert mounted.proc.write(info, b"nothing") == 0


def test_procfs_opens_what_it_will_not_write(mounted) -> None:
    info = mounted.open(mounted.proc, "broken", os.O_WRONLY)
    assert error_of(mounted.proc.write, info, b"1") == errno.EIO


def test_a_write_to_sysfs_is_a_page_at_most(mounted) -> None:
    info = mounted.open(mounted.sys, "value", os.O_WRONLY)
    assert mounted.sys.write(info, b"1" * 5000) == 4096
    assert mounted.machine.knob.value == "1" * 4096


# -- Devices that go ------------------------------------------------------------------------


@pytest.mark.parametrize("fstype", [PROCFS, SYSFS], ids=lambda fstype: fstype.name)
@pytest.mark.parametrize("successor", [None, Knob()], ids=["gone", "replaced"])
def test_an_open_file_of_a_device_that_has_gone(mounted, fstype, successor) -> None:
    operations = mounted.proc if fstype is PROCFS else mounted.sys
    reader = mounted.open(operations, "value")
    writer = mounted.open(operations, "value", os.O_WRONLY)
    operations.read(reader, 1, 0)
    mounted.machine.replace(successor)
    assert error_of(operations.read, reader, 1, 1) == fstype.gone
    assert error_of(operations.read, reader, 1, 0) == fstype.gone
    assert error_of(operations.write, writer, b"1") == fstype.gone
    assert operations.getattr("/knob/value", reader)["st_mode"] & 0o777 == 0o644  # fstat works
    if successor is None:
        assert error_of(operations.getattr, "/knob/value") == errno.ENOENT
        assert error_of(operations.open, "/knob/value", os.O_RDONLY) == errno.ENOENT


def test_errors_of_what_has_gone() -> None:
    assert SYSFS.gone == errno.ENODEV
    assert PROCFS.gone == HOST.gone == errno.EIO


# -- Attributes ------------------------------------------------------------------------------


def test_attributes(mounted) -> None:
    directory = mounted.proc.getattr("/")
    assert stat.S_ISDIR(directory["st_mode"])
    assert (directory["st_nlink"], directory["st_size"]) == (3, 0)
    assert directory["st_blksize"] == 1024
    value = mounted.sys.getattr("/knob/value")
    assert stat.filemode(value["st_mode"]) == "-rw-r--r--"
    assert (value["st_size"], value["st_blksize"]) == (4096, 4096)
    link = mounted.sys.getattr("/link")
    assert stat.filemode(link["st_mode"]) == "lrwxrwxrwx"
    assert mounted.sys.readlink("/link") == "knob"
    assert (value["st_uid"], value["st_gid"]) == (os.geteuid(), os.getegid())


def test_a_size_that_the_attribute_gives_itself(mounted) -> None:
    attribute = Attribute(0o444, "x", lambda: b"x", None, 28672)
    assert mounted.sys.attributes("/x", attribute)["st_size"] == 28672


def test_types_in_readdir(mounted) -> None:
    entries = dict(mounted.sys.readdir(mounted.sys.opendir("/")))
    assert entries == {
        ".": stat.S_IFDIR,
        "..": stat.S_IFDIR,
        "knob": stat.S_IFDIR,
        "link": stat.S_IFLNK,
    }


def test_changes_stay_until_the_device_goes(mounted) -> None:
    path = "/knob/value"
    mounted.sys.chmod(path, 0o100600)
    mounted.sys.chown(path, 1, -1)
    mounted.sys.chown(path, -1, 2)
    mounted.sys.setxattr(path, "trusted.x", b"1", 0)
    attributes = mounted.sys.getattr(path)
    assert (attributes["st_mode"], attributes["st_uid"], attributes["st_gid"]) == (0o100600, 1, 2)
    mounted.machine.replace(Knob())
    attributes = mounted.sys.getattr(path)
    assert (attributes["st_mode"], attributes["st_uid"]) == (0o100644, os.geteuid())
    assert mounted.sys.listxattr(path) == ()


def test_times(mounted) -> None:
    path = "/knob/value"
    before = mounted.proc.getattr(path)
    mounted.proc.utimens(path, (5, UTIME_OMIT))
    after = mounted.proc.getattr(path)
    assert after["st_atime"] == 5
    assert after["st_mtime"] == before["st_mtime"]
    mounted.proc.utimens(path, (UTIME_NOW, UTIME_NOW))
    now = mounted.machine.wall_time
    assert mounted.proc.getattr(path)["st_atime"] == now
    mounted.machine.timeline.now += 7
    mounted.proc.chmod(path, 0o600)
    assert mounted.proc.getattr(path)["st_ctime"] == now + 7


def test_times_are_those_of_the_guest(mounted) -> None:
    before = mounted.sys.getattr("/knob/value")
    mounted.machine.timeline.now += 9
    assert before["st_mtime"] == 1_000_000
    assert mounted.sys.getattr("/knob/value") == before


def test_xattrs(mounted) -> None:
    path = "/knob/value"
    assert error_of(mounted.sys.getxattr, path, "trusted.x") == errno.ENODATA
    assert (
        error_of(mounted.sys.setxattr, path, "trusted.x", b"1", os.XATTR_REPLACE) == errno.ENODATA
    )
    mounted.sys.setxattr(path, "trusted.x", b"1", os.XATTR_CREATE)
    assert error_of(mounted.sys.setxattr, path, "trusted.x", b"2", os.XATTR_CREATE) == errno.EEXIST
    assert mounted.sys.getxattr(path, "trusted.x") == b"1"
    mounted.sys.removexattr(path, "trusted.x")
    assert error_of(mounted.sys.removexattr, path, "trusted.x") == errno.ENODATA
    assert error_of(mounted.sys.setxattr, path, "user.x", b"1", 0) == errno.EOPNOTSUPP
    assert error_of(mounted.sys.getxattr, path, "bogus") == errno.EOPNOTSUPP

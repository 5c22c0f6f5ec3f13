"""System calls on open files and on directories, as the real procfs and sysfs answered them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import select
import termios
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from model.captures import Row, rows
from model.guests import captured_toml

from fakeproc import Guest

SECTIONS = {
    "smp_affinity": "fd ops /proc/irq/39/smp_affinity",
    "smp_affinity_list": "fd ops /proc/irq/39/smp_affinity_list",
    "effective_affinity": "fd ops /proc/irq/39/effective_affinity",
    "cpu": "fd ops /sys/bus/vmbus/devices/0022486b-1fa4-0022-486b-1fa40022486b/channels/19/cpu",
    "sysfs interrupts": (
        "fd ops /sys/bus/vmbus/devices/0022486b-1fa4-0022-486b-1fa40022486b/channels/19/interrupts"
    ),
    "/proc/interrupts": "fd ops /proc/interrupts",
    "default_smp_affinity": "fd ops /proc/irq/default_smp_affinity",
}
PROC = {
    "smp_affinity", "smp_affinity_list", "effective_affinity", "/proc/interrupts",
    "default_smp_affinity",
}  # fmt: skip
READ_ONLY_PROC = {"effective_affinity", "/proc/interrupts"}
WRITABLE_PROC = PROC - READ_ONLY_PROC
OPERATIONS = 76  # on each of them

# What the recording wrote: two values, and one in two parts.
WRITTEN = {
    "smp_affinity": (b"8\n", b"10\n", (b"2", b"0\n")),
    "smp_affinity_list": (b"3\n", b"4\n", (b"6-", b"7\n")),
    "cpu": (b"3\n", b"4\n", (b"0", b"5\n")),
    "default_smp_affinity": (b"ff\n", b"7f\n", (b"1", b"f\n")),
}
FOR_THE_OTHERS = WRITTEN["smp_affinity"]


# What is different, and why ------------------------------------------------------------------


@dataclass(frozen=True)
class Different:
    """How an operation ends on a mount, for each file where that is not as recorded."""

    operation: str
    reason: str
    ours: dict[str, dict[str, object]]


def each(files: set[str], **ours: object) -> dict[str, dict[str, object]]:
    """The same outcome for several files."""
    return dict.fromkeys(files, ours)


def returns(**numbers: int) -> dict[str, dict[str, object]]:
    """A number for each file."""
    return {file: {"ret": number} for file, number in numbers.items()}


COUNT = "The store to `cpu` returns the count, which patch 10 of the series forgot."
SEEKABLE = (
    "seq_files know no pwrite(2) and no end to seek from. FUSE knows files that cannot be sought"
    " in at all, and regular ones; these are regular, as readers seek back to 0."
)
JOINED = "procfs takes the parts of a writev(2) one by one; FUSE, like sysfs, hands over one write."
ZERO_BYTES = "A write(2) of 0 bytes ends in the kernel's FUSE."
LENGTH = "A length of 0 would cut sendfile(2) short, so st_size is the length of the text."
MAPPING = "FUSE refuses to map a file that is read directly in its own words."
ALLOCATION = "Without fallocate(2) glibc writes zeros: this is the errno of that write, if any."
POINTER = "FUSE looks at the bytes before the file system can say that it takes none."
MAGIC = "Every FUSE file system has the same magic number."
LINES = "This guest's table has other rows, and fewer."
TABLE = 5246  # its bytes

DIFFERENT = (
    Different("write a", COUNT, returns(cpu=2)),
    Different("write b", COUNT, returns(cpu=2)),
    Different("write b (second write, pos != 0)", COUNT, returns(cpu=2)),
    Different("write at 5000", COUNT, returns(cpu=2)),
    Different("write part 1 alone", COUNT, returns(cpu=1)),
    Different("write part 2 alone", COUNT, returns(cpu=2)),
    Different("writev of 2 parts", COUNT, returns(cpu=3)),
    Different("writev of 2 parts", JOINED, returns(smp_affinity=3, smp_affinity_list=4)),
    Different(
        "pread 0 after writev",
        JOINED,
        {
            "smp_affinity": {"ret": 3, "text": "20\n"},
            "smp_affinity_list": {"ret": 4, "text": "6-7\n"},
            "default_smp_affinity": {"ret": 3, "text": "1f\n"},
        },
    ),
    *(
        Different(operation, reason, outcome)
        for operation in ("pwrite off 0", "pwrite off 1")
        for reason, outcome in (
            (COUNT, returns(cpu=2)),
            (SEEKABLE, returns(smp_affinity=3, smp_affinity_list=2, default_smp_affinity=3)),
            (SEEKABLE, each(READ_ONLY_PROC, errno="EIO")),
        )
    ),
    Different(
        "lseek END",
        SEEKABLE,
        {
            **returns(smp_affinity=3, smp_affinity_list=2, default_smp_affinity=3),
            **returns(effective_affinity=3),
            "/proc/interrupts": {"ret": TABLE},
        },
    ),
    Different("write 0 bytes", ZERO_BYTES, each(PROC, ret=0)),
    Different("write NULL ptr", POINTER, each(READ_ONLY_PROC, errno="EFAULT")),
    Different(
        "fallocate",
        ALLOCATION,
        {
            **each(WRITABLE_PROC, ret=errno.EINVAL),
            "effective_affinity": {"ret": errno.EIO},
            "/proc/interrupts": {"ret": 0},  # there is text enough
        },
    ),
    Different("mmap", MAPPING, each(PROC, errno="ENODEV")),
    Different(
        "stat after chmod/chown",
        LENGTH,
        {
            **each({"smp_affinity", "effective_affinity", "default_smp_affinity"}, size=3),
            "smp_affinity_list": {"size": 2},
            "/proc/interrupts": {"size": TABLE},
        },
    ),
    Different("statfs", MAGIC, each(set(SECTIONS), type="65735546")),
    Different("read at 5000", LINES, {"/proc/interrupts": {"ret": TABLE - 5000}}),
)


# The operations ------------------------------------------------------------------------------


libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_ssize_t
libc.mmap.argtypes = [
    ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
]  # fmt: skip


class StatFs(ctypes.Structure):
    """`struct statfs`, as far as it is looked at."""

    _fields_ = (
        ("f_type", ctypes.c_long),
        ("f_bsize", ctypes.c_long),
        ("rest", ctypes.c_char * 256),
    )


def called(result: int) -> int:
    """The result of a C function; OSError where it is -1."""
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


@contextlib.contextmanager
def as_user(uid: int) -> Iterator[None]:
    """Be somebody else, in effect."""
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


NOT_OPEN = 1 << 19  # a descriptor, to Python as well, and nobody's


@dataclass
class Desk:
    """A file that is being worked on, and the descriptor that the operations share."""

    path: Path
    name: str
    scratch: Path
    proc: Path
    fd: int = NOT_OPEN
    opened: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.a, self.b, self.parts = WRITTEN.get(self.name, FOR_THE_OTHERS)

    def open(self, flags: int) -> int:
        """Open it; the recorded number is the recorder's own, ours is 7 too."""
        self.fd = NOT_OPEN
        self.fd = os.open(self.path, flags, 0o644)
        self.opened.append(self.fd)
        return 7

    def by_another(self, data: bytes) -> None:
        """A change by another descriptor, which is not recorded; who may not, does not."""
        if self.name in WRITTEN:
            self.path.write_bytes(data)

    def close_all(self) -> None:
        """Close what the operations have left open: all but the first, which one of them closes."""
        for fd in self.opened:
            with contextlib.suppress(OSError):
                os.close(fd)


def read(size: int) -> Callable[[Desk], bytes]:
    return lambda desk: os.read(desk.fd, size)


def pread(offset: int) -> Callable[[Desk], bytes]:
    return lambda desk: os.pread(desk.fd, 256, offset)


def lseek(offset: int, whence: int = os.SEEK_SET) -> Callable[[Desk], int]:
    return lambda desk: os.lseek(desk.fd, offset, whence)


def opens(flags: int) -> Callable[[Desk], int]:
    return lambda desk: desk.open(flags)


def done(function: Callable[[Desk], object]) -> Callable[[Desk], int]:
    """0, as the system call returns where Python returns None."""

    def returning_0(desk: Desk) -> int:
        function(desk)
        return 0

    return returning_0


def rest_after_a_change(desk: Desk) -> bytes:
    desk.by_another(desk.a)
    return os.read(desk.fd, 256)


def pread_after_another_change(desk: Desk) -> bytes:
    desk.by_another(desk.b)
    return os.pread(desk.fd, 256, 0)


def bad_write(desk: Desk) -> int:
    return called(libc.write(desk.fd, None, 2))


def bad_read(desk: Desk) -> int:
    return called(libc.read(desk.fd, None, 256))


def maps(desk: Desk) -> int:
    return called(libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_SHARED, desk.fd, 0))


def fallocate(desk: Desk) -> int:
    """posix_fallocate(3), which returns its errno."""
    try:
        os.posix_fallocate(desk.fd, 0, 10)
    except OSError as error:
        return error.errno
    return 0


def poll(desk: Desk) -> dict[str, object]:
    if desk.fd == NOT_OPEN:
        return {"ret": 0, "revents": 0}  # poll(2) of descriptor -1
    poller = select.poll()
    poller.register(desk.fd, select.POLLIN | select.POLLOUT | select.POLLPRI)
    ready = poller.poll(0)
    return {"ret": len(ready), "revents": ready[0][1] if ready else 0}


def readable(desk: Desk) -> int:
    fcntl.ioctl(desk.fd, termios.FIONREAD, b"\0\0\0\0")
    return 0


def access(mode: int) -> Callable[[Desk], int]:
    def asked(desk: Desk) -> int:
        return called(libc.access(os.fsencode(desk.path), mode))

    return asked


def stat(desk: Desk) -> dict[str, object]:
    found = os.stat(desk.path)
    return {
        "mode": f"{found.st_mode:o}",
        "uid": found.st_uid,
        "gid": found.st_gid,
        "size": found.st_size,
        "blksize": found.st_blksize,
        "blocks": found.st_blocks,
        "nlink": found.st_nlink,
    }


def statfs(desk: Desk) -> dict[str, object]:
    found = StatFs()
    called(libc.statfs(os.fsencode(desk.path), ctypes.byref(found)))
    return {"type": f"{found.f_type:x}", "bsize": found.f_bsize}


def opens_as_user(flags: int) -> Callable[[Desk], int]:
    """By a descriptor of the directory: the way to it is not the question."""

    def asked(desk: Desk) -> int:
        directory = os.open(desk.path.parent, os.O_RDONLY)
        try:
            with as_user(1000):
                os.close(os.open(desk.path.name, flags, dir_fd=directory))
        finally:
            os.close(directory)
        return 7

    return asked


def mode_of(desk: Desk) -> int:
    return 0o644 if desk.name in WRITTEN else 0o444


CALLS: dict[str, Callable[[Desk], object]] = {
    "open O_RDWR": opens(os.O_RDWR),
    "read 256": read(256),
    "read again": read(256),
    "write a": lambda desk: os.write(desk.fd, desk.a),
    "read after write (no seek)": read(256),
    "lseek 0": lseek(0),
    "read after lseek 0": read(256),
    "write b (second write, pos != 0)": lambda desk: os.write(desk.fd, desk.b),
    "pread 0": pread(0),
    "pread 1": pread(1),
    "pread 100": pread(100),
    "pwrite off 0": lambda desk: os.pwrite(desk.fd, desk.b, 0),
    "pwrite off 1": lambda desk: os.pwrite(desk.fd, desk.b, 1),
    "lseek END": lseek(0, os.SEEK_END),
    "lseek 1": lseek(1),
    "read at 1": read(256),
    "lseek CUR": lseek(0, os.SEEK_CUR),
    "lseek -1": lseek(-1),
    "lseek 5000": lseek(5000),
    "read at 5000": read(256),
    "write at 5000": lambda desk: os.write(desk.fd, desk.a),
    "write 0 bytes": lambda desk: os.write(desk.fd, b""),
    "write NULL ptr": bad_write,
    "read 0 bytes": lambda desk: len(os.read(desk.fd, 0)),
    "read bad ptr": bad_read,
    "writev of 2 parts": lambda desk: os.writev(desk.fd, desk.parts),
    "pread 0 after writev": pread(0),
    "write part 1 alone": lambda desk: os.write(desk.fd, desk.parts[0]),
    "write part 2 alone": lambda desk: os.write(desk.fd, desk.parts[1]),
    "ftruncate 0": done(lambda desk: os.ftruncate(desk.fd, 0)),
    "ftruncate 100": done(lambda desk: os.ftruncate(desk.fd, 100)),
    "fallocate": fallocate,
    "fsync": done(lambda desk: os.fsync(desk.fd)),
    "mmap": maps,
    "ioctl FIONREAD": readable,
    "ioctl 0x1234": lambda desk: fcntl.ioctl(desk.fd, 0x1234),
    "poll": poll,
    "close": done(lambda desk: os.close(desk.fd)),
    "open O_RDONLY": opens(os.O_RDONLY),
    "write on O_RDONLY": lambda desk: os.write(desk.fd, desk.a),
    "read 1 byte": read(1),
    "rest after a change by another fd": rest_after_a_change,
    "reread": read(256),
    "pread 0 after another change": pread_after_another_change,
    "open O_WRONLY": opens(os.O_WRONLY),
    "read on O_WRONLY": read(256),
    "open O_APPEND": opens(os.O_WRONLY | os.O_APPEND),
    "write b": lambda desk: os.write(desk.fd, desk.b),
    "open O_CREAT": opens(os.O_RDWR | os.O_CREAT),
    "open O_CREAT|O_EXCL": opens(os.O_RDWR | os.O_CREAT | os.O_EXCL),
    "open O_DIRECTORY": opens(os.O_RDONLY | os.O_DIRECTORY),
    "open O_DIRECT": opens(os.O_RDWR | os.O_DIRECT),
    "truncate(path,0)": done(lambda desk: os.truncate(desk.path, 0)),
    "truncate(path,10)": done(lambda desk: os.truncate(desk.path, 10)),
    "access R_OK": access(os.R_OK),
    "access W_OK": access(os.W_OK),
    "access X_OK": access(os.X_OK),
    "unlink": lambda desk: os.unlink(desk.path),
    "rename": lambda desk: os.rename(desk.path, desk.proc / "irq/renamed"),
    "link": lambda desk: os.link(desk.path, desk.scratch / "linked"),
    "chmod 0600": done(lambda desk: os.chmod(desk.path, 0o600)),
    "chown 1000": done(lambda desk: os.chown(desk.path, 1000, 1000)),
    "stat after chmod/chown": stat,
    "chmod back": done(lambda desk: os.chmod(desk.path, mode_of(desk))),
    "chown back": done(lambda desk: os.chown(desk.path, 0, 0)),
    "utimes": done(lambda desk: os.utime(desk.path)),
    "setxattr user.x": lambda desk: os.setxattr(desk.path, "user.x", b"1"),
    "getxattr": lambda desk: os.getxattr(desk.path, "user.x"),
    "statfs": statfs,
    "uid1000 open O_RDONLY": opens_as_user(os.O_RDONLY),
    "uid1000 open O_WRONLY": opens_as_user(os.O_WRONLY),
    "uid1000 open O_RDWR": opens_as_user(os.O_RDWR),
}


# Where two names are one number, the one that was recorded.
ERRNO_NAMES = {errno.EOPNOTSUPP: "EOPNOTSUPP"}


def outcome(desk: Desk, call: Callable[[Desk], object]) -> dict[str, object]:
    """What an operation gives, in the recording's words."""
    try:
        result = call(desk)
    except OSError as error:
        return {"errno": ERRNO_NAMES.get(error.errno, errno.errorcode[error.errno])}
    if isinstance(result, bytes):
        return {"ret": len(result), "text": result.decode()}
    return result if isinstance(result, dict) else {"ret": result}


def operations(section: str) -> list[Row]:
    """The operations of a section, in order."""
    found, current = [], ""
    for row in rows("fdops-8cpu"):
        current = row.get("section") or current
        if row.kind == "op" and current == section:
            found.append(row)
    return found


def as_here(row: Row, name: str) -> dict[str, Any]:
    """What an operation must give here: what was recorded, but for what is different."""
    expected = {key: value for key, value in row.fields.items() if key != "op"}
    for different in DIFFERENT:
        if different.operation == row["op"] and name in different.ours:
            ours = different.ours[name]
            for key in {"ret", "errno", "text"} if ours.keys() & {"ret", "errno"} else ():
                expected.pop(key, None)
            expected |= ours
    if name == "/proc/interrupts":
        expected.pop("text", None)  # other rows, but as many bytes
    return expected


@pytest.fixture(scope="module")
def capture_profile(tmp_path_factory):
    path = tmp_path_factory.mktemp("profile") / "fdops-8cpu.toml"
    path.write_text(captured_toml("fdops-8cpu"))
    return path


@pytest.fixture
def captured_guest(_fuse, capture_profile):
    """The guest of the capture, open to other users."""
    if os.geteuid() != 0:
        pytest.skip("the recording was made by root, who may become others")
    with Guest(capture_profile, clock="real", allow_other=True) as guest:
        yield guest


def test_every_operation_on_open_files_is_answered_as_recorded(captured_guest, tmp_path):
    differing, asked = [], Counter()
    for name, section in SECTIONS.items():
        path = Path(f"{captured_guest.root}{section.removeprefix('fd ops ')}")
        desk = Desk(path, name, tmp_path, captured_guest.proc)
        for row in operations(section):
            ours, expected = outcome(desk, CALLS[row["op"]]), as_here(row, name)
            if name == "/proc/interrupts":
                ours.pop("text", None)
            if ours != expected:
                differing.append(f"{row} on {name}: {ours}, expected {expected}")
            asked[name] += 1
        desk.close_all()
    assert not differing, "\n".join(differing)
    assert asked == dict.fromkeys(SECTIONS, OPERATIONS)


def test_a_difference_is_listed_only_where_there_is_one():
    recorded = {
        (row["op"], name): row for name, section in SECTIONS.items() for row in operations(section)
    }
    for different in DIFFERENT:
        for name, ours in different.ours.items():
            row = recorded[different.operation, name]
            assert ours.items() - row.fields.items(), (different, name)


DIRECTORY_CALLS: dict[str, Callable[[Path, Path], object]] = {
    "mkdir in irq dir": lambda irq, _: os.mkdir(irq / "new"),
    "creat in irq dir": lambda irq, _: os.open(irq / "new", os.O_CREAT | os.O_WRONLY),
    "rmdir irq dir": lambda irq, _: os.rmdir(irq),
    "symlink in irq dir": lambda irq, _: os.symlink("x", irq / "new"),
    "mkdir /proc/irq/99": lambda irq, _: os.mkdir(irq.parent / "99"),
    "opendir /proc/irq/39/netvsc O_RDONLY": lambda irq, _: os.scandir(irq / "netvsc").close(),
    "open nonexist": lambda irq, _: os.open(irq / "nonexist", os.O_RDONLY),
    "open name as file W": lambda irq, _: os.open(irq / "netvsc", os.O_WRONLY),
    "mkdir in chan dir": lambda _, channel: os.mkdir(channel / "new"),
    "creat in chan dir": lambda _, channel: os.open(channel / "new", os.O_CREAT | os.O_WRONLY),
    "rmdir chan dir": lambda _, channel: os.rmdir(channel),
}


@pytest.mark.parametrize("operation", DIRECTORY_CALLS)
def test_every_operation_on_directories_is_answered_as_recorded(operation, guest):
    (row,) = (row for row in operations("directory ops") if row["op"] == operation)
    answer = "0"
    try:
        DIRECTORY_CALLS[operation](guest.proc / "irq/39", guest.channel(19))
    except OSError as error:
        answer = errno.errorcode[error.errno]
    assert answer == (row.get("errno") or "0")


def test_no_operation_is_left_out():
    assert [row["op"] for row in operations("directory ops")] == list(DIRECTORY_CALLS)
    assert len([row for row in rows("fdops-8cpu") if row.kind == "op"]) == (
        len(SECTIONS) * OPERATIONS + len(DIRECTORY_CALLS)
    )

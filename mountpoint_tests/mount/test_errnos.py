"""What every operation gives, by real system calls, against what the real kernel gave.

The tables are those of Linux 6.1 on x86, as recorded there.  What FUSE cannot give is in one
place, `DIFFERENT`.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import select
import stat
import struct
import tempfile
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fakeproc import Guest

LIBC = ctypes.CDLL(None, use_errno=True)
FIGETBSZ = 2
SEEK_DATA, SEEK_HOLE = 3, 4
O_TMPFILE = 0o20000000 | os.O_DIRECTORY

# -- The files, and who asks ----------------------------------------------------

RELID = 19  # of IRQ 39

FILES = ("proc rw", "proc ro", "proc dir", "sys rw", "sys ro", "sys wo", "sys dir")


@pytest.fixture(scope="module")
def root(_as_root, _fuse):
    """A guest that every user may look at."""
    ELSEWHERE.touch()
    with Guest(allow_other=True) as guest:
        yield guest.root
    ELSEWHERE.unlink()


@pytest.fixture(scope="module")
def files(root) -> dict[str, Path]:
    """A file of each kind, by a path from the mountpoint."""
    channel = next((root / "sys/devices").rglob(f"channels/{RELID}")).relative_to(root)
    irq = Path("proc/irq/39")
    return {
        "proc rw": irq / "smp_affinity",
        "proc ro": irq / "effective_affinity",
        "proc dir": irq,
        "sys rw": channel / "cpu",
        "sys ro": channel / "interrupts",
        "sys wo": Path("sys/bus/vmbus/drivers/hv_utils/bind"),
        "sys dir": channel,
    }


def result(operation: Callable[[Path], object], path: Path) -> str:
    """What an operation gives: a value, or the name of an errno."""
    try:
        value = operation(path)
    except OSError as error:
        return errno.errorcode[error.errno].replace("ENOTSUP", "EOPNOTSUPP")
    return "ok" if value is None else str(value)


def called(function: str, *arguments: object) -> int:
    """A function of the C library that the standard library lacks or bends."""
    value = getattr(LIBC, function)(*arguments)
    if value == -1:
        raise OSError(ctypes.get_errno(), function)
    return value


def opened(flags: int) -> Callable[[Path], None]:
    def operation(path: Path) -> None:
        os.close(os.open(path, flags))

    return operation


@contextmanager
def descriptor(path: Path, flags: int) -> Iterator[int]:
    number = os.open(path, flags)
    try:
        yield number
    finally:
        os.close(number)


def on(flags: int, operation: Callable[[int], object]) -> Callable[[Path], object]:
    """An operation on an open file."""

    def opening(path: Path) -> object:
        with descriptor(path, flags) as number:
            return operation(number)

    return opening


def reading(operation: Callable[[int], object]) -> Callable[[Path], object]:
    return on(os.O_RDONLY, operation)


def writing(operation: Callable[[int], object]) -> Callable[[Path], object]:
    return on(os.O_WRONLY, operation)


def accessible(mode: int) -> Callable[[Path], object]:
    return lambda path: called("access", os.fsencode(path), mode) or None


def sought(number: int, whence: int) -> str:
    position = os.lseek(number, 0, whence)
    directory = stat.S_ISDIR(os.fstat(number).st_mode)
    return "text" if not directory and position == length(number) else str(position)


def length(number: int) -> int:
    return len(os.pread(number, 1 << 16, 0))


# A file on another file system.
ELSEWHERE = Path(tempfile.gettempdir()) / f"fakeproc-errnos-{os.getpid()}"


def changed_mode(path: Path) -> str:
    before = path.stat().st_mode
    path.chmod(0o600)
    after = path.stat().st_mode
    path.chmod(stat.S_IMODE(before))
    return f"{stat.S_IMODE(after):04o}"


def changed_owner(path: Path) -> str:
    os.chown(path, 1, 1)
    after = path.stat()
    os.chown(path, os.geteuid(), os.getegid())
    return f"{after.st_uid}:{after.st_gid}/{stat.S_IMODE(after.st_mode):04o}"


def changed_times(path: Path) -> str:
    os.utime(path, ns=(1_000_000_000_000_000_005, 1_100_000_000_000_000_007))
    after = path.stat()
    os.utime(path)
    times = (after.st_atime_ns, after.st_mtime_ns)
    return "set" if times == (1_000_000_000_000_000_005, 1_100_000_000_000_000_007) else str(times)


def size_after_truncate(path: Path) -> str:
    os.truncate(path, 100)
    size = path.stat().st_size
    return "4096" if size == 4096 else "text"


def xattr_after_set(path: Path) -> str:
    os.setxattr(path, "trusted.x", b"1")
    value = os.getxattr(path, "trusted.x")
    names = os.listxattr(path)
    os.removexattr(path, "trusted.x")
    return f"{value.decode()},{','.join(names)}"


def polled(number: int) -> str:
    poller = select.poll()
    poller.register(number)
    events = poller.poll(0)[0][1]
    names = {"IN": select.POLLIN, "PRI": select.POLLPRI, "OUT": select.POLLOUT}
    return "|".join(name for name, bit in (names | {"ERR": select.POLLERR}).items() if events & bit)


def sent(number: int) -> str:
    with descriptor(ELSEWHERE, os.O_WRONLY | os.O_TRUNC) as target:
        return "text" if os.sendfile(target, number, None, 4096) == length(number) else "short"


def spliced(number: int) -> str:
    reader, writer = os.pipe()
    try:
        return "text" if os.splice(number, writer, 4096) == length(number) else "short"
    finally:
        os.close(reader)
        os.close(writer)


def mapped(number: int, flags: int) -> str:
    with mmap.mmap(number, length(number), flags, mmap.PROT_READ) as memory:
        return "text" if memory[:] == os.pread(number, 1 << 16, 0) else "something else"


def asked(request: int) -> Callable[[int], object]:
    def operation(number: int) -> int:
        return int(struct.unpack("i", fcntl.ioctl(number, request, struct.pack("i", 0)))[0])

    return operation


def watched(path: Path) -> None:
    number = called("inotify_init")
    try:
        called("inotify_add_watch", number, os.fsencode(path), 0xFFF)
    finally:
        os.close(number)


def with_handle(path: Path) -> None:
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 8 + 128)
    mount = ctypes.c_int()
    called("name_to_handle_at", -100, os.fsencode(path), handle, ctypes.byref(mount), 0)


def renamed_over(path: Path) -> None:
    sibling = next(other for other in sorted(path.parent.iterdir()) if other.is_file())
    os.rename(path, sibling if sibling != path else path.parent / "affinity_hint")


def linked_into(path: Path) -> None:
    os.link(ELSEWHERE, path / "child")


CHILD = "no-such-child"

OPERATIONS: dict[str, Callable[[Path], object]] = {
    "open O_RDONLY": opened(os.O_RDONLY),
    "open O_WRONLY": opened(os.O_WRONLY),
    "open O_RDWR": opened(os.O_RDWR),
    "open O_RDONLY|O_TRUNC": opened(os.O_RDONLY | os.O_TRUNC),
    "open O_WRONLY|O_TRUNC": opened(os.O_WRONLY | os.O_TRUNC),
    "open O_RDWR|O_TRUNC": opened(os.O_RDWR | os.O_TRUNC),
    "open O_WRONLY|O_APPEND": opened(os.O_WRONLY | os.O_APPEND),
    "open O_RDONLY|O_CREAT": opened(os.O_RDONLY | os.O_CREAT),
    "open O_WRONLY|O_CREAT": opened(os.O_WRONLY | os.O_CREAT),
    "open O_WRONLY|O_CREAT|O_TRUNC": opened(os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    "open O_RDONLY|O_CREAT|O_EXCL": opened(os.O_RDONLY | os.O_CREAT | os.O_EXCL),
    "open O_RDONLY|O_DIRECTORY": opened(os.O_RDONLY | os.O_DIRECTORY),
    "open O_RDONLY|O_NOFOLLOW": opened(os.O_RDONLY | os.O_NOFOLLOW),
    "open O_RDONLY|O_NONBLOCK": opened(os.O_RDONLY | os.O_NONBLOCK),
    "open O_RDONLY|O_SYNC": opened(os.O_RDONLY | os.O_SYNC),
    "open O_RDONLY|O_NOATIME": opened(os.O_RDONLY | os.O_NOATIME),
    "open O_RDONLY|O_DIRECT": opened(os.O_RDONLY | os.O_DIRECT),
    "open O_PATH": opened(os.O_PATH),
    "open O_RDWR|O_TMPFILE": opened(os.O_RDWR | O_TMPFILE),
    "open 3": opened(3),
    "access F_OK": accessible(os.F_OK),
    "access R_OK": accessible(os.R_OK),
    "access W_OK": accessible(os.W_OK),
    "access X_OK": accessible(os.X_OK),
    "access R_OK|W_OK": accessible(os.R_OK | os.W_OK),
    "open O_CREAT child": lambda path: opened(os.O_WRONLY | os.O_CREAT)(path / CHILD),
    "mkdir child": lambda path: (path / CHILD).mkdir(),
    "symlink child": lambda path: (path / CHILD).symlink_to("x"),
    "mknod child": lambda path: os.mknod(path / CHILD),
    "mkfifo child": lambda path: os.mkfifo(path / CHILD),
    "link another-fs/f into": linked_into,
    "unlink missing child": lambda path: (path / CHILD).unlink(),
    "rmdir missing child": lambda path: (path / CHILD).rmdir(),
    "open missing child": lambda path: opened(os.O_RDONLY)(path / CHILD),
    "truncate missing child": lambda path: os.truncate(path / CHILD, 0),
    "chmod missing child": lambda path: (path / CHILD).chmod(0o600),
    "open 256-char child": lambda path: opened(os.O_RDONLY)(path / ("x" * 256)),
    "open child not UTF-8": lambda path: opened(os.O_RDONLY)(path / os.fsdecode(b"\xff\xfe")),
    "unlink": lambda path: path.unlink(),
    "rmdir": lambda path: path.rmdir(),
    "rename to sibling": lambda path: path.rename(path.with_name("no-such-sibling")),
    "rename over sibling": renamed_over,
    "rename to itself": lambda path: os.rename(path, path),
    "rename to another-fs/x": lambda path: path.rename(ELSEWHERE),
    "rename another-fs/f onto it": ELSEWHERE.rename,
    "link to sibling": lambda path: os.link(path, path.with_name("no-such-sibling")),
    "link to another-fs/x": lambda path: os.link(path, ELSEWHERE.with_suffix(".x")),
    "mkdir over it": lambda path: path.mkdir(),
    "symlink over it": lambda path: path.symlink_to("x"),
    "mknod over it": os.mknod,
    "open path/": lambda path: os.close(os.open(f"{path}/", os.O_RDONLY)),
    "open path/child": lambda path: opened(os.O_RDONLY)(path / CHILD),
    "readlink": lambda path: path.readlink(),
    "chdir": lambda path: _back(os.chdir, path),
    "chmod same": lambda path: path.chmod(stat.S_IMODE(path.stat().st_mode)),
    "chmod 0600": changed_mode,
    "chown": lambda path: os.chown(path, 1, 1),
    "chown 1:1": changed_owner,
    "utimensat": changed_times,
    "utimensat now": os.utime,
    "getxattr user.x": lambda path: os.getxattr(path, "user.x"),
    "getxattr trusted.x": lambda path: os.getxattr(path, "trusted.x"),
    "getxattr system.posix_acl_access": lambda path: os.getxattr(path, "system.posix_acl_access"),
    "getxattr bogus": lambda path: os.getxattr(path, "bogus"),
    "setxattr user.x": lambda path: os.setxattr(path, "user.x", b"1"),
    "setxattr trusted.x": xattr_after_set,
    "removexattr user.x": lambda path: os.removexattr(path, "user.x"),
    "listxattr": lambda path: len(os.listxattr(path)),
    "truncate 0": lambda path: os.truncate(path, 0),
    "size after truncate": size_after_truncate,
    "name_to_handle_at": with_handle,
    "inotify_add_watch": watched,
    "statfs": lambda path: _statfs(os.statvfs(path)),
    "st_blksize": lambda path: path.stat().st_blksize,
    "execve": lambda path: os.execv(path, ["x"]),
    "r: poll": reading(polled),
    "r: lseek END": reading(lambda number: sought(number, os.SEEK_END)),
    "r: lseek SET beyond": reading(lambda number: os.lseek(number, 100_000, os.SEEK_SET)),
    "r: lseek SET -1": reading(lambda number: os.lseek(number, -1, os.SEEK_SET)),
    "r: lseek DATA": reading(lambda number: os.lseek(number, 0, SEEK_DATA)),
    "r: lseek HOLE": reading(lambda number: sought(number, SEEK_HOLE)),
    "r: read(0)": reading(lambda number: os.read(number, 0)),
    "r: read(NULL)": reading(lambda number: called("read", number, None, 10)),
    "r: read of a directory": reading(lambda number: os.read(number, 10)),
    "r: write": reading(lambda number: os.write(number, b"1")),
    "r: pread at the end": reading(lambda number: os.pread(number, 10, length(number))),
    "r: pread past the end": reading(lambda number: os.pread(number, 10, 1 << 40)),
    "r: pread -1": reading(lambda number: os.pread(number, 10, -1)),
    "r: readv": reading(lambda number: os.readv(number, [bytearray(1), bytearray(50)]) > 1),
    "r: mmap private": reading(lambda number: mapped(number, mmap.MAP_PRIVATE)),
    "r: mmap shared": reading(lambda number: mapped(number, mmap.MAP_SHARED)),
    "r: sendfile": reading(sent),
    "r: splice": reading(spliced),
    "r: copy_file_range": reading(
        lambda number: on(os.O_WRONLY, lambda to: os.copy_file_range(number, to, 10))(ELSEWHERE)
    ),
    "r: fsync": reading(os.fsync),
    "r: fdatasync": reading(os.fdatasync),
    "r: ftruncate": reading(lambda number: os.ftruncate(number, 0)),
    "r: ioctl TCGETS": reading(asked(termios.TCGETS)),
    "r: ioctl FIGETBSZ": reading(asked(FIGETBSZ)),
    "r: flock": reading(lambda number: fcntl.flock(number, fcntl.LOCK_EX)),
    "r: F_SETFL O_DIRECT": reading(
        lambda number: fcntl.fcntl(number, fcntl.F_SETFL, os.O_DIRECT) or None
    ),
    "r: unlink": lambda path: reading(lambda _: path.unlink())(path),
    "r: epoll_ctl": reading(lambda number: select.epoll().register(number)),
    "w: read": writing(lambda number: os.read(number, 10)),
    "w: write of 0 bytes": writing(lambda number: os.write(number, b"")),
    "w: write(NULL)": writing(lambda number: called("write", number, None, 1)),
    "w: pwrite -1": writing(lambda number: os.pwrite(number, b"1", -1)),
    "w: pwrite of nonsense": writing(lambda number: os.pwrite(number, b"zz", 1)),
    "w: write of nonsense": writing(lambda number: os.write(number, b"zz")),
    "w: lseek SET 5": writing(lambda number: os.lseek(number, 5, os.SEEK_SET)),
    "w: ftruncate": writing(lambda number: os.ftruncate(number, 100)),
    "w: fallocate": writing(
        lambda number: called("fallocate", number, 0, ctypes.c_long(0), ctypes.c_long(10))
    ),
    "w: fsync": writing(os.fsync),
}


def _back(operation: Callable[[Path], None], path: Path) -> None:
    before = Path.cwd()
    operation(path)
    os.chdir(before)


def _statfs(answer: os.statvfs_result) -> str:
    counts = answer.f_blocks + answer.f_bfree + answer.f_bavail + answer.f_files + answer.f_ffree
    return f"{answer.f_bsize},{answer.f_namemax},{counts}"


# -- Who asks ---------------------------------------------------------------------

USER = 65534


def stay_root() -> None:
    """All capabilities."""


def become_user() -> None:
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)


def drop_capabilities() -> None:
    version = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
    called("capset", struct.pack("Ii", version, 0), struct.pack("IIIIII", *[0] * 6))


CALLERS: dict[str, Callable[[], None]] = {
    "root": stay_root,
    "user": become_user,
    "root without capabilities": drop_capabilities,
}


def results_of(
    caller: str, operation: Callable[[Path], object], root: Path, files: dict[str, Path]
) -> dict[str, str]:
    """What an operation gives to a caller, on each of the files.

    In a child, which may lose its privileges, and starts from the mountpoint,
    because the directories above it are closed to other users.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(root)
            CALLERS[caller]()
            answers = {kind: result(operation, path) for kind, path in files.items()}
        except Exception as error:  # noqa: BLE001 - a child must not go on as pytest
            answers = {kind: repr(error) for kind in files}
        os.write(writer, json.dumps(answers).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answers = json.load(pipe)
    os.waitpid(child, 0)
    return answers


# -- What is expected -----------------------------------------------------------------


def expectations() -> dict[tuple[str, str], dict[str, str]]:
    """errnos.txt: by caller and operation, what the real kernel gave for each kind of file."""
    expected = {}
    caller = ""
    for line in (Path(__file__).parent / "errnos.txt").read_text().splitlines():
        if line.startswith("["):
            caller = line.strip("[]")
        elif line and not line.startswith("#"):
            cells = dict(zip(FILES, line[35:].split(), strict=True))
            expected[caller, line[:35].strip()] = {k: v for k, v in cells.items() if v != "-"}
    return expected


EXPECTED = expectations()

PROC_FILES = ("proc rw", "proc ro")
PROC = (*PROC_FILES, "proc dir")
SYS_FILES = ("sys rw", "sys ro", "sys wo")
SYS = (*SYS_FILES, "sys dir")
DIRECTORIES = ("proc dir", "sys dir")

# What FUSE cannot give: who asks for what, on which files, what happens instead, and why.
EVERYBODY = tuple(CALLERS)
DIFFERENT: list[tuple[tuple[str, ...], str, tuple[str, ...], str, str]] = [
    (EVERYBODY, operation, kinds, instead, why)
    for operation, kinds, instead, why in (
        # Decided by the virtual file system before FUSE is asked.
        ("link another-fs/f into", ("proc dir",), "EXDEV", "the name is looked up without error"),
        ("link to sibling", ("proc dir",), "EPERM", "no link to a directory, of whatever name"),
        # Decided by the FUSE client in the kernel, by the length that it was told.
        ("r: lseek END", PROC_FILES, "text", "the length is exact, where procfs says 0"),
        ("r: lseek HOLE", PROC_FILES, "text", "as above"),
        ("r: lseek DATA", PROC_FILES, "0", "as above"),
        (
            "r: sendfile",
            ("proc rw",),
            "text",
            "any file can be spliced, not only without seq_write",
        ),
        ("r: splice", ("proc rw",), "text", "as above"),
        # Decided by the FUSE client in the kernel, which does not ask.
        ("r: mmap private", (*PROC_FILES, *SYS_FILES), "text", "a private map reads pages"),
        ("r: mmap shared", PROC_FILES, "ENODEV", "no shared map of a file with direct_io"),
        ("w: write of 0 bytes", PROC_FILES, "0", "nothing is sent"),
        ("w: write(NULL)", ("proc ro",), "EFAULT", "the bytes are fetched first"),
        ("w: pwrite of nonsense", ("proc rw",), "EINVAL", "a write: lseek could only go as well"),
        ("w: pwrite of nonsense", ("proc ro",), "EIO", "as above"),
        ("r: F_SETFL O_DIRECT", (*PROC_FILES, *SYS_FILES), "ok", "not asked"),
        ("r: ioctl FIGETBSZ", PROC_FILES, "4096", "the block size of the mount, not the file's"),
        ("name_to_handle_at", (*PROC, *SYS), "ok", "FUSE has file handles"),
        ("getxattr system.posix_acl_access", PROC, "ENODATA", "so it says without attributes"),
        # Not offered by fusepy.
        ("r: poll", SYS_FILES, "IN|OUT", "nobody can be notified"),
    )
] + [
    # Permissions are ours to check (no `default_permissions`), and we are asked last.
    (("user",), "open O_RDONLY|O_NOATIME", ("sys wo",), "EPERM", "not the owner: asked first"),
    (("user",), "open O_RDWR|O_TMPFILE", DIRECTORIES, "EOPNOTSUPP", "there is none: asked first"),
    (
        ("root without capabilities",),
        "open O_RDWR|O_TMPFILE",
        ("proc dir",),
        "EOPNOTSUPP",
        "as above",
    ),
    (("user",), "unlink", DIRECTORIES, "EISDIR", "no unlink of directories: asked first"),
]


@pytest.mark.parametrize(("caller", "operation"), EXPECTED)
def test_operation(caller, operation, root, files) -> None:
    expected = dict(EXPECTED[caller, operation])
    for callers, name, kinds, instead, _why in DIFFERENT:
        if caller in callers and name == operation:
            expected |= {kind: instead for kind in kinds if kind in expected}
    asked = {kind: files[kind] for kind in expected}
    assert results_of(caller, OPERATIONS[operation], root, asked) == expected


def test_every_difference_is_one() -> None:
    """What is listed as impossible is asked for, and is not what the real kernel does."""
    for callers, operation, kinds, instead, _why in DIFFERENT:
        real = [EXPECTED.get((caller, operation), {}) for caller in callers]
        given = {expected.get(kind) for expected in real for kind in kinds}
        assert given - {None}, operation
        assert instead not in given, operation

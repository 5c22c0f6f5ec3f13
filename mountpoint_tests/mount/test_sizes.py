"""What stat(2) says of a file's length, and what programs make of it."""

import os
import subprocess
import tarfile

import pytest

import fakeproc
from fakeproc import Guest

INTERRUPTS = "proc/interrupts"
FILES = (INTERRUPTS, "proc/stat", "proc/irq/39/smp_affinity")


@pytest.fixture(scope="module")
def as_in_the_kernel(_fuse):
    """A guest whose /proc reports sizes as procfs does."""
    with Guest(sizes="kernel") as guest:
        yield guest


@pytest.mark.parametrize("name", FILES)
def test_procfs_says_0(as_in_the_kernel, name):
    path = as_in_the_kernel.root / name
    assert path.stat().st_size == 0
    assert path.read_text()
    with path.open("rb") as file:
        assert os.fstat(file.fileno()).st_size == 0
        assert os.lseek(file.fileno(), 0, os.SEEK_END) == 0


def test_the_others_say_what_they_do_anyway(as_in_the_kernel):
    guest = as_in_the_kernel
    assert (guest.channel(19) / "cpu").stat().st_size == 4096
    clock = guest.host / "clock"
    assert clock.stat().st_size == len(clock.read_bytes())


def test_a_reader_that_goes_by_the_size_gets_nothing(as_in_the_kernel):
    """The commonest bug of readers of /proc."""
    path = as_in_the_kernel.root / INTERRUPTS
    with path.open("rb", buffering=0) as file:
        assert file.read(os.fstat(file.fileno()).st_size) == b""


def test_sendfile_copies_nothing(as_in_the_kernel, tmp_path):
    path = as_in_the_kernel.root / INTERRUPTS
    with path.open("rb") as source, (tmp_path / "copy").open("wb") as target:
        assert os.sendfile(target.fileno(), source.fileno(), 0, 4096) == 0


def test_tar_has_empty_members_as_of_a_real_proc(as_in_the_kernel, tmp_path):
    archive = tmp_path / "proc.tar"
    subprocess.run(["tar", "-cf", archive, "-C", as_in_the_kernel.root, "proc"], check=True)
    with tarfile.open(archive) as members:
        assert {member.size for member in members if member.isfile()} == {0}


@pytest.mark.parametrize(
    "reader", [["cat"], ["grep", ""], ["head", "-n", "1000"], ["tail", "-n+1"]]
)
def test_readers_get_it_all(as_in_the_kernel, reader):
    path = as_in_the_kernel.root / INTERRUPTS
    assert subprocess.check_output([*reader, path]) == path.read_bytes()


def test_write_and_read_by_one_descriptor(as_in_the_kernel):
    path = as_in_the_kernel.root / FILES[2]
    with path.open("r+b", buffering=0) as file:
        assert file.write(b"10\n") == 3
        assert os.pread(file.fileno(), 99, 0) == b"10\n"
        assert os.fstat(file.fileno()).st_size == 0


@pytest.mark.fakeproc(sizes=["length", "kernel"])
def test_the_marker(fakeproc_guest, request):
    size = (fakeproc_guest.root / INTERRUPTS).stat().st_size
    assert (size == 0) == ("kernel" in request.node.name)


@pytest.mark.fakeproc(sizes="kernel")
def test_the_marker_on_a_machine_without_a_mount(fakeproc_machine):
    assert fakeproc_machine.read("/proc/interrupts")


def test_a_size_that_cannot_be():
    with pytest.raises(fakeproc.ProfileError, match="sizes is 'length' or 'kernel', not 'none'"):
        Guest(sizes="none")


def test_the_command_line(cli, tmp_path):
    with cli.mounted(tmp_path / "m", "--sizes", "kernel") as guest:
        assert (guest.root / INTERRUPTS).stat().st_size == 0
    done = cli("run", "--sizes", "kernel", "--", "stat", "-c", "%s", "/proc/interrupts")
    assert (done.returncode, done.stdout) == (0, "0\n")
    assert cli("mount", "--sizes", "none", tmp_path / "m").returncode == 2


def test_the_root_of_sysfs_is_for_nobody_to_write(as_in_the_kernel):
    assert as_in_the_kernel.sys.stat().st_mode & 0o7777 == 0o555

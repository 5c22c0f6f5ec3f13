"""Directories as files are looked up in them: what it costs does not grow with the machine."""

import pytest

from fakeproc.files.tree import Directory, Listing, ProcDirectory, Symlink, numbered
from fakeproc.machine import Machine
from fakeproc.profiles import load
from fakeproc.vfs.namespace import Namespace


class Numbers(dict):
    """Numbers that are counted and looked up, and never listed."""

    def __iter__(self):
        raise AssertionError("all of them were listed")


def test_one_of_many_is_found_and_they_are_counted_without_a_list():
    numbers = Numbers.fromkeys(range(2048))
    listing = numbered(lambda: numbers, lambda n: Directory() if n in numbers else None, "cpu")
    directory = Directory(listings=(listing,))
    assert isinstance(directory.lookup("cpu2047"), Directory)
    assert directory.lookup("cpu2048") is None
    assert directory.nlink == 2050


@pytest.mark.parametrize(
    "name", ["cpu", "cpu01", "cpu-1", "cpu+1", "cpu 1", "cpux", "1", "cpu\u0661"]
)
def test_a_number_is_written_as_the_kernel_prints_it(name):
    directory = Directory(listings=(numbered(lambda: (1,), lambda _: Directory(), "cpu"),))
    assert directory.lookup(name) is None


@pytest.mark.parametrize(("counts_files", "nlink"), [(False, 4), (True, 6)])
def test_links_of_a_directory_of_procfs(counts_files, nlink):
    directory = ProcDirectory(
        entries={"a": Directory(), "b": Symlink("a"), "c": lambda: None},
        listings=(
            Listing(Directory, lambda: ["d"], lambda _: Directory()),
            Listing(Symlink, lambda: ["e"], lambda _: Symlink("d")),
        ),
        nlink_counts_files=counts_files,
    )
    assert directory.nlink == nlink


@pytest.mark.parametrize("profile", ["hyperv-gen1", "hyperv-gen2", "hyperv-arm64", "azure-d64"])
def test_the_links_that_are_counted_are_those_that_are_listed(profile):
    files = Namespace(Machine(load(profile), "manual"))
    waiting, seen = ["/sys", "/host"], 0
    while waiting:
        path = waiting.pop()
        directory = files.node(path)
        below = [name for name, kind in directory.children() if issubclass(kind, Directory)]
        assert directory.nlink == 2 + len(below), path
        waiting += [f"{path}/{name}" for name in below]
        seen += 1
    assert seen > 100

"""One guest in two guises: mounted, and in this process, by the same words."""

from __future__ import annotations

import os

import pytest

from fakeproc import Guest, Machine


class Files:
    """The files of a guest as a table-driven test reads and writes them."""

    by_root = True  # whether who asks may do what no mode allows

    def __init__(self, console: Guest | Machine) -> None:
        self.console = console

    def read(self, path: str) -> str:
        raise NotImplementedError

    def write(self, path: str, data: bytes) -> int:
        raise NotImplementedError

    def list(self, path: str) -> list[str]:
        raise NotImplementedError

    def readlink(self, path: str) -> str:
        raise NotImplementedError


class MountedFiles(Files):
    """By system calls."""

    by_root = os.geteuid() == 0

    def _at(self, path: str) -> str:
        return f"{self.console.root}{path}"

    def read(self, path: str) -> str:
        with open(self._at(path), encoding="utf-8") as file:
            return file.read()

    def write(self, path: str, data: bytes) -> int:
        descriptor = os.open(self._at(path), os.O_WRONLY | os.O_TRUNC)
        try:
            return os.write(descriptor, data)
        finally:
            os.close(descriptor)

    def list(self, path: str) -> list[str]:
        return os.listdir(self._at(path))

    def readlink(self, path: str) -> str:
        return os.readlink(self._at(path))


class MachineFiles(Files):
    """By the methods of `Machine`."""

    def read(self, path: str) -> str:
        return self.console.read(path)

    def write(self, path: str, data: bytes) -> int:
        return self.console.write(path, data)

    def list(self, path: str) -> list[str]:
        return self.console.list(path)

    def readlink(self, path: str) -> str:
        return self.console.readlink(path)


@pytest.fixture(params=["mount", "machine"])
def files(request: pytest.FixtureRequest) -> Files:
    """A guest's files, in both guises."""
    if request.param == "mount":
        return MountedFiles(request.getfixturevalue("fakeproc_guest"))
    return MachineFiles(request.getfixturevalue("fakeproc_machine"))


@pytest.fixture
def console(files: Files) -> Guest | Machine:
    """A guest's console, in both guises."""
    return files.console


@pytest.fixture
def both(fakeproc_guest: Guest, fakeproc_machine: Machine) -> tuple[Files, Files]:
    """The same guest in both guises at once, to compare."""
    return MountedFiles(fakeproc_guest), MachineFiles(fakeproc_machine)

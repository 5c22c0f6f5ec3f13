"""The FUSE library of this machine: fusepy on libfuse 2, or mfusepy on libfuse 3.

This is the only module that imports either.  Both offer the same calls, apart
from what is evened out here, and neither has types.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ctypes.util import find_library
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from fakeproc.shell_words import shown
from fakeproc.vfs.permissions import Caller

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["BindingError", "FileInfo", "Options", "caller", "load", "major", "mount", "package"]

Options = Mapping[str, str | int | bool]

# Only libfuse 2 has to be asked: without `big_writes` a write arrives in pages,
# and each page would be a command of its own; with it, in pieces of 32 pages,
# so that a write of up to 124 KiB is one command wherever its buffer begins.
# (libfuse 3 takes up to 1 MiB.)  With `atomic_o_trunc`, O_TRUNC
# comes along with the open instead of as one more request.
_OPTIONS_OF_LIBFUSE_2: Options = {"big_writes": True, "atomic_o_trunc": True}

# Pass the removal of an open file on as it comes; libfuse would try to rename it
# first, and report how that failed.
_OPTIONS: Options = {"hard_remove": True}

# Bytes as characters, one to one: a name that is not UTF-8 is a name that does
# not exist, where fusepy's own decoding would make it EINVAL.
_ENCODING = "latin-1"


# The names of fusepy's one module: PyPI's, and Debian's, where python3-fuse has the other.
_FUSEPY = ("fuse", "fusepy")


class BindingError(Exception):
    """No usable FUSE library; the message says what to install."""


class FileInfo(Protocol):
    """What the kernel says about an open file: `struct fuse_file_info`."""

    flags: int
    fh: int
    direct_io: int
    lock_owner: int


@cache
def load() -> ModuleType:
    """The binding to use: fusepy on libfuse 2, and mfusepy where only libfuse 3 is installed.

    Where both are, FAKEPROC_LIBFUSE=3 in the environment takes libfuse 3.
    Raises BindingError.
    """
    wanted = os.environ.get("FAKEPROC_LIBFUSE", "")
    if wanted not in ("", "2", "3"):
        raise BindingError(f"FAKEPROC_LIBFUSE is 2 or 3, not {shown(wanted)}")
    reasons = []
    for name in ("mfusepy",) if wanted == "3" else (*_FUSEPY, "mfusepy"):
        try:
            module = _imported(name)
        except (ImportError, OSError, AttributeError) as error:
            # The package is not there, or its libfuse, or that is too old for it.
            reasons.append(f"{name}: {error}")
            continue
        unusable = _unusable(module)
        if unusable is None:
            return module
        reasons.append(f"{name}: {unusable}")
    raise BindingError(f"no FUSE library can be used: {_remedy()} ({'; '.join(reasons)})")


def _imported(name: str) -> ModuleType:
    if name in _FUSEPY:
        return import_module(name)
    with _libfuse_3_preferred():
        return import_module(name)


@contextmanager
def _libfuse_3_preferred() -> Iterator[None]:
    """Have mfusepy take libfuse 3 where it is there; it would look for libfuse 2 first."""
    if "FUSE_LIBRARY_NAME" in os.environ or find_library("fuse3") is None:
        yield
        return
    os.environ["FUSE_LIBRARY_NAME"] = "fuse3"
    try:
        yield
    finally:
        del os.environ["FUSE_LIBRARY_NAME"]


def _remedy() -> str:
    """What to install, for the libfuse that is there, or that can be had."""
    if find_library("fuse") is not None:
        return "install the Python package fusepy, for the libfuse 2 that is here"
    if find_library("fuse3") is not None:
        return "install the Python package mfusepy, for the libfuse 3 that is here"
    return "install the system package fuse3, and the Python package mfusepy"


def _unusable(module: ModuleType) -> str | None:
    if not hasattr(module, "FUSE"):
        return "this is the package fuse-python, which hides fusepy"
    if module.__name__ in _FUSEPY and major(module) != 2:
        return "it is loaded on another libfuse than version 2"
    return None


def package(module: ModuleType) -> str:
    """The package that a binding is of: fusepy or mfusepy."""
    return "fusepy" if module.__name__ in _FUSEPY else module.__name__


def major(module: ModuleType) -> int:
    """The version of libfuse that a binding calls: 2 or 3."""
    version: int = module._libfuse.fuse_version()  # noqa: SLF001 - fusepy says it nowhere else
    return version // 10 if version < 100 else version // 100


def mount(operations: object, mountpoint: str, options: Options) -> None:
    """Mount and serve `operations`, one request after the other, until unmounted.

    Raises RuntimeError where libfuse cannot mount; it has then said why on
    standard error.
    """
    module = load()
    on_libfuse_2 = major(module) == 2
    module.FUSE(
        _Called(operations) if module.__name__ in _FUSEPY else operations,
        os.fsencode(mountpoint).decode(_ENCODING),
        foreground=True,
        nothreads=True,
        raw_fi=True,
        encoding=_ENCODING,
        **_OPTIONS,
        **(_OPTIONS_OF_LIBFUSE_2 if on_libfuse_2 else {}),
        **options,
    )


def caller() -> Caller:
    """Who made the request that this thread is serving."""
    return Caller(*load().fuse_get_context())


class _Called:
    """Operations as fusepy wants them: called with the name of the operation.

    mfusepy uses the methods, and warns about an object that can be called.
    """

    def __init__(self, operations: object) -> None:
        self._operations = operations

    def __call__(self, name: str, *arguments: Any) -> Any:
        return getattr(self._operations, name)(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._operations, name)

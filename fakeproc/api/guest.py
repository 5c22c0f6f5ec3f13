"""A guest that is mounted: its files are files, for any program."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from fakeproc.api.console import Console
from fakeproc.api.errors import (
    CannotMountError,
    CannotRunError,
    FakeprocError,
    GuestDiedError,
    RefusedError,
)
from fakeproc.api.files import DirectoryFiles, Names
from fakeproc.api.files import Path as GuestPath
from fakeproc.api.keeper import Keeper, python, running_keeper
from fakeproc.api.program import Program
from fakeproc.api.refusals import reason
from fakeproc.play.target import MountedTarget, Target
from fakeproc.profiles.select import (
    DEFAULT_PROFILE,
    ClockKind,
    ProfileChoice,
    SizesKind,
    checked_clock,
    checked_sizes,
    chosen,
)
from fakeproc.recordings.record import Root
from fakeproc.run.search_path import search_path

__all__ = ["Guest"]

# What a file of a mount answers whose daemon is no more.
_DEAD = (errno.ENOTCONN, errno.ECONNABORTED)


class _Mounted(NamedTuple):
    """Where it is mounted, and by whom."""

    root: Path
    log: Path
    pid: int
    keeper: Keeper


class Guest(Console):
    """A guest that is mounted for as long as a `with` statement lasts.

        with fakeproc.Guest("hyperv-2socket", cpus=40) as guest:
            guest.run(["tee", "/proc/irq/39/smp_affinity_list"], input=b"3", check=True)
            assert guest.state().irqs[39].affinity == (3,)

    It is served by a process of its own, which ends with this one, however
    that ends.  `profile` is the name of one that is built in, the path of a
    file, or a `fakeproc.Profile`; `kernel`, `cpus` and `seed` are what is to
    be different about it, `without_patches` the patches of the series to leave
    out.  With `sizes="kernel"` the files of /proc report a size of 0, as procfs
    does, and not the length of their text.  With `allow_other`, other users may
    look, as far as the modes of the files let them.
    """

    def __init__(
        self,
        profile: ProfileChoice = DEFAULT_PROFILE,
        *,
        kernel: str | None = None,
        cpus: int | None = None,
        clock: ClockKind = "manual",
        seed: int | None = None,
        without_patches: Collection[int] = (),
        sizes: SizesKind = "length",
        allow_other: bool = False,
    ) -> None:
        self._profile = chosen(profile, kernel, cpus, seed, without_patches)
        self._clock = checked_clock(clock)
        self._sizes = checked_sizes(sizes)
        self._allow_other = allow_other
        self._mounted: _Mounted | None = None
        self._can_run = False

    # -- Life ------------------------------------------------------------------------

    def open(self) -> Self:
        """Mount it, where there is no `with`.  Raises CannotMountError, GuestDiedError."""
        if self._mounted is not None:
            raise FakeprocError("this guest is mounted already: make another Guest")
        keeper = running_keeper()
        answer = keeper.ask(
            do="mount",
            profile=self._profile.model_dump_json(by_alias=True),
            clock=self._clock,
            sizes=self._sizes,
            allow_other=self._allow_other,
        )
        if "cannot" in answer:
            raise CannotMountError(answer["cannot"])
        if "died" in answer:
            raise _died(answer["died"])
        self._mounted = _Mounted(
            Path(answer["root"]), Path(answer["log"]), int(answer["pid"]), keeper
        )
        return self

    def close(self) -> None:
        """Unmount it.  Raises GuestDiedError if it had died before."""
        if self._mounted is None:
            return
        root, keeper = self._mounted.root, self._mounted.keeper
        self._mounted = None
        if not keeper.is_usable:
            raise _died("the process that keeps the guests was killed")
        answer = keeper.ask(do="end", root=str(root))
        if "died" in answer:
            raise _died(answer["died"])

    @property
    def is_open(self) -> bool:
        """Whether it is mounted."""
        return self._mounted is not None

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            with suppress(FakeprocError):  # what went wrong first is what counts
                self.close()

    def __repr__(self) -> str:
        where = "not mounted" if self._mounted is None else f"on {self._mounted.root}"
        return f"<fakeproc.Guest {self._profile.name}, {where}>"

    # -- Files -----------------------------------------------------------------------

    @property
    def root(self) -> Path:
        """The directory that has proc, sys and host in it."""
        return self._now.root

    @property
    def proc(self) -> Path:
        """The guest's /proc."""
        return self.root / "proc"

    @property
    def sys(self) -> Path:
        """The guest's /sys."""
        return self.root / "sys"

    @property
    def host(self) -> Path:
        """The console of the guest's host."""
        return self.root / "host"

    def read(self, path: GuestPath) -> str:
        """What a program gets that opens this file and reads to the end."""
        return self._files.read(path)

    def write(self, path: GuestPath, data: str | bytes) -> int:
        """Write, and return how many bytes of the data were taken.

        One call is one write, as one `echo` is.
        """
        return self._files.write(path, data)

    def list(self, path: GuestPath) -> Names:
        """The names in a directory, in the order in which readdir(3) has them."""
        return self._files.list(path)

    def readlink(self, path: GuestPath) -> str:
        """Where a symbolic link leads."""
        return self._files.readlink(path)

    def exists(self, path: GuestPath) -> bool:
        """Whether a path leads to a file or a directory."""
        return self._files.exists(path)

    @property
    def _files(self) -> DirectoryFiles:
        return DirectoryFiles(self.root)

    def channel(self, relid: int) -> Path:
        """The directory of a channel.  Raises LookupError."""
        for name, device in self.state().devices.items():
            if any(channel.relid == relid for channel in device.channels):
                return self.sys / f"bus/vmbus/devices/{name}/channels/{relid}"
        raise LookupError(f"no channel has relid {relid}")

    @property
    def pid(self) -> int:
        """The process that serves it."""
        return self._now.pid

    def daemon_log(self) -> str:
        """What the process that serves it has logged; a mistake of fakeproc's is in it."""
        return self._now.log.read_text()

    @property
    def _now(self) -> _Mounted:
        if self._mounted is None:
            raise FakeprocError("this guest is not mounted: use it in a 'with' statement")
        return self._mounted

    # -- Programs --------------------------------------------------------------------

    def run(
        self, args: Sequence[str | os.PathLike[str]] | str, **options: Any
    ) -> subprocess.CompletedProcess[Any]:
        """`subprocess.run` of a program that finds the guest at /proc and /sys.

        Takes what that takes, and returns and raises what that does, besides
        CannotRunError where this system has no way to do it.  Nothing that the
        program has started outlives it.
        """
        if options.pop("shell", False):
            words = ["/bin/sh", "-c", os.fspath(args) if isinstance(args, str) else str(args[0])]
        else:
            words = [args] if isinstance(args, str) else [os.fspath(word) for word in args]
        _check_program(words[0], options)
        check = options.pop("check", False)
        try:
            done = subprocess.run(self._command(words), check=False, **options)  # noqa: S603
        except subprocess.TimeoutExpired as expired:
            expired.cmd = args
            raise
        if done.returncode == 1:
            self._check_that_programs_run()
        done.args = args
        if check:
            done.check_returncode()
        return done

    def running(
        self,
        args: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> Program:
        """A program that goes on, such as a daemon, for a `with` statement to start and to end.

        It is started as by `run`, and ended by SIGTERM.  `env` and `cwd` are as
        `subprocess.run` has them, which also says what is raised for a program
        that is not there.
        """
        words = [os.fspath(word) for word in args]
        options = {"env": env, "cwd": cwd}
        _check_program(words[0], options)
        return Program(words, self._command(words), self._check_that_programs_run, options)

    def _command(self, words: Sequence[str]) -> Sequence[str]:
        return python("fakeproc.cli.main", "run", "--mount", str(self.root), "--", *words)

    def _check_that_programs_run(self) -> None:
        """Tell a program that has failed from one that was never started."""
        if self._can_run:
            return
        done = subprocess.run(  # noqa: S603
            self._command(["true"]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CannotRunError(done.stderr.strip().removeprefix("fakeproc: "))
        self._can_run = True

    # -- The console -------------------------------------------------------------------

    def _tell(self, file: str, command: str) -> None:
        try:
            descriptor = os.open(self.host / file, os.O_WRONLY | os.O_TRUNC)
            try:
                os.write(descriptor, command.encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._explained(file, command, error) from error

    def _ask(self, file: str) -> str:
        try:
            return (self.host / file).read_text()
        except OSError as error:
            raise self._explained(file, "", error) from error

    def _explained(self, file: str, command: str, error: OSError) -> FakeprocError:
        log = ""
        with suppress(OSError):
            log = self._now.log.read_text()
        if error.errno in _DEAD or not self.host.is_dir():
            return _died("\n".join(log.splitlines()[-20:]))
        if error.errno == errno.EIO:
            return FakeprocError(f"a mistake in fakeproc, on host/{file} {command!r}:\n{log}")
        return RefusedError(reason(self.log(), f"/host/{file}") or str(error))

    def _target(self) -> Target:
        return MountedTarget(self.root)

    def _root(self) -> Root:
        return Root(str(self.root))

    # -- Paths of the guest --------------------------------------------------------------

    def _resolve(self, path: GuestPath) -> str:
        root = str(self.root)
        text = os.fspath(path)
        if not text.startswith(f"{root}/"):
            text = root + text
        return os.path.realpath(text).removeprefix(root) or "/"

    def _walk(self) -> Iterator[str]:
        for top in (self.proc, self.sys):
            for directory, _, files in os.walk(top):
                below = directory.removeprefix(str(self.root))
                for name in files:
                    if not os.path.islink(f"{directory}/{name}"):  # noqa: PTH114
                        yield f"{below}/{name}"


def _check_program(program: str, options: dict[str, Any]) -> None:
    """Raise what `subprocess.run` would, where there is no such program."""
    path = search_path((options.get("env") or os.environ).get("PATH"))
    where = os.path.join(options.get("cwd") or "", program) if "/" in program else program  # noqa: PTH118
    if shutil.which(where, path=path) is None:
        there = "/" in program and os.path.exists(where)  # noqa: PTH110
        code = errno.EACCES if there else errno.ENOENT
        raise OSError(code, os.strerror(code), program)


def _died(words: str) -> GuestDiedError:
    return GuestDiedError(f"the process that served the guest has ended; its last words:\n{words}")

"""`fakeproc run`, as root and as an ordinary user, and what it leaves behind."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conftest import REPOSITORY, mounts_below
from ordinary_user import USER, as_ordinary_user
from programs import program
from warm import WarmParent

# Carriage returns, and what moves the cursor and changes colours.
CONTROLS = re.compile(r"\r|\x1b\[[0-9;?]*[a-zA-Z]|\x1b\([AB]")

FAKEPROC = (sys.executable, "-m", "fakeproc")
DEVNULL = os.open(os.devnull, os.O_RDONLY)


@dataclass(frozen=True)
class Runs:
    """The command, for one user, with a registry of its own; `warm` is this user's."""

    directory: Path
    prefix: tuple[str, ...] = ()
    warm: WarmParent | None = None

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "XDG_RUNTIME_DIR": str(self.directory),
            "PYTHONPATH": str(REPOSITORY),
            "LC_ALL": "C.UTF-8",
        }

    def start(
        self, *words: object, options: Sequence[object] = (), **more: object
    ) -> subprocess.Popen[str]:
        """`fakeproc run [OPTIONS] -- WORDS`, running."""
        command = [*self.prefix, *FAKEPROC, "run", *map(str, options), "--", *map(str, words)]
        arguments = {
            "env": self.environment,
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }
        return subprocess.Popen(command, **{**arguments, **more})

    def __call__(
        self,
        *words: object,
        options: Sequence[object] = (),
        given: str | None = None,
        **more: object,
    ) -> subprocess.CompletedProcess[str]:
        """The same, ended; started warm, unless something is special about its start."""
        if self.warm is not None and given is None and not more:
            command = ["run", *options, "--", *words]
            done = self.warm.run(command, self.environment, stdin=DEVNULL)
            assert "Traceback" not in done.stdout + done.stderr
            return done
        if given is not None:
            more["stdin"] = subprocess.PIPE
        process = self.start(*words, options=options, **more)
        try:
            out, err = process.communicate(given, timeout=60)
        finally:
            process.kill()  # only if it hangs
        assert "Traceback" not in out + (err or "")
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def shell(self, script: str, options: Sequence[object] = ()) -> str:
        """What a script prints that must not fail."""
        done = self("sh", "-euc", script, options=options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def started(
        self, script: str, options: Sequence[object] = (), **more: object
    ) -> Iterator[subprocess.Popen[str]]:
        """A script that prints `ready` when it is, and in the end is killed."""
        process = self.start("sh", "-euc", script, options=options, **more)
        try:
            line = process.stdout.readline()
            assert line == "ready\n", line + process.stderr.read()
            yield process
        finally:
            process.kill()
            process.communicate(timeout=60)

    @contextmanager
    def terminal(self, *words: object, **environment: str) -> Iterator[Terminal]:
        """A program on a terminal of its own, in which it can say `$RUN -- …`."""
        ours, theirs = pty.openpty()
        run = self.directory / "run"
        run.write_text(f'#!/bin/sh\nexec {shlex.join([*self.prefix, *FAKEPROC, "run"])} "$@"\n')
        run.chmod(0o755)
        process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *map(str, words)],
            env=self.environment | {"TERM": "dumb", "RUN": str(run), **environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        try:
            yield Terminal(ours, process)
        finally:
            process.kill()
            process.wait()
            os.close(ours)

    def left_behind(self) -> list[str]:
        """Directories, mounts and processes that are still there."""
        mine = self.directory / "fakeproc"
        names = [str(path) for path in mine.glob("*")] if mine.exists() else []
        return [*names, *mounts_below(self.directory), *processes_of(self.directory)]

    def leaves_nothing(self) -> bool:
        """Whether nothing is left, or soon will be."""
        assert eventually(lambda: not self.left_behind()), self.left_behind()
        return True


class Terminal:
    """Somebody at a terminal: types, and reads what appears."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self.process = process
        self.read = ""

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def expect(self, pattern: str, seconds: float = 20) -> str:
        """Read until this appears, and return what it was."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.read)):
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} does not appear in {self.read[-500:]!r}"
            if select.select([self._descriptor], [], [], left)[0]:
                try:
                    self.read += CONTROLS.sub("", os.read(self._descriptor, 4096).decode())
                except OSError:  # EIO: the last one has closed it
                    raise AssertionError(
                        f"{pattern!r} does not appear in {self.read[-500:]!r}"
                    ) from None
        self.read = self.read[found.end() :]
        return found[0]


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def processes_of(directory: Path) -> list[str]:
    """What runs with this directory in its environment, apart from this process."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            words = (process / "cmdline").read_bytes()
        except OSError:  # it has ended, or is not ours
            continue
        if os.fsencode(directory) in environment and int(process.name) != os.getpid():
            found.append(f"{process.name}: {words.decode(errors='replace')}")
    return found


@contextmanager
def runs_of(user: str, warm: WarmParent | None = None) -> Iterator[Runs]:
    """The command for `root`, or for an ordinary `user`; neither leaves anything behind."""
    # Not in pytest's directory, which is for its own user only.
    directory = Path(tempfile.mkdtemp(prefix="fakeproc-runs-", dir="/tmp"))
    prefix: tuple[str, ...] = ()
    if user == "user" and os.geteuid() == 0:
        os.chown(directory, USER, USER)
        prefix = as_ordinary_user()
    runs = Runs(directory, prefix, warm)
    try:
        yield runs
        assert runs.leaves_nothing()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def built(tmp_path: Path, name: str, text: str, *command: str) -> Path:
    """A program, where everybody may execute it."""
    program(command[0])
    source = tmp_path / name
    source.write_text(text)
    binary = source.with_suffix("")
    environment = os.environ | {"GOCACHE": f"{tmp_path}/cache", "GO111MODULE": "off"}
    subprocess.run([*command, "-o", binary, source], check=True, env=environment)
    return binary

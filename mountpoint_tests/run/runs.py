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
from programs import program

USER = 65534

# Carriage returns, and what moves the cursor and changes colours.
CONTROLS = re.compile(r"\r|\x1b\[[0-9;?]*[a-zA-Z]|\x1b\([AB]")
BYTECODE = tempfile.TemporaryDirectory(prefix="fakeproc-bytecode-", dir="/tmp")
Path(BYTECODE.name).chmod(0o755)

FAKEPROC = (sys.executable, "-m", "fakeproc")

# Root's way to be an ordinary user, in mounts of one's own: with a device of the
# given mode, and let in where root keeps Python, or this repository, to itself.
BECOME_A_USER = """\
mode=$1 hidden=$2 needed=$3; shift 3
node=$(mktemp -u /tmp/fuse.XXXXXX)
mknod -m "$mode" "$node" c 10 229
mount --bind "$node" /dev/fuse
rm "$node"
if [ "$hidden" ]; then
    aside=$(mktemp -d /tmp/aside.XXXXXX)
    mount --bind "$needed" "$aside"
    mount -t tmpfs -o mode=755 tmpfs "$hidden"
    mkdir -p "$needed"
    mount --move "$aside" "$needed"
    rmdir "$aside"
fi
exec "$@"
"""


@dataclass(frozen=True)
class Runs:
    """The command, for one user, with a registry of its own."""

    directory: Path
    prefix: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        environment = os.environ | {
            "XDG_RUNTIME_DIR": str(self.directory),
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONPYCACHEPREFIX": BYTECODE.name,
            "LC_ALL": "C.UTF-8",
        }
        # Hundreds of starts are not to compile everything again.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        return environment

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
        """The same, ended."""
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
def runs_of(user: str) -> Iterator[Runs]:
    """The command for `root`, or for an ordinary `user`; neither leaves anything behind."""
    # Not in pytest's directory, which is for its own user only.
    directory = Path(tempfile.mkdtemp(prefix="fakeproc-runs-", dir="/tmp"))
    prefix: tuple[str, ...] = ()
    if user == "user" and os.geteuid() == 0:
        os.chown(directory, USER, USER)
        prefix = as_ordinary_user()
    runs = Runs(directory, prefix)
    try:
        yield runs
        assert runs.leaves_nothing()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def as_ordinary_user(device: int = 0o666) -> tuple[str, ...]:
    """The prefix that makes root's command an ordinary user's."""
    python = os.path.realpath(sys.base_prefix)
    become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    script = ["sh", "-euc", BECOME_A_USER, "sh", f"{device:o}", hidden_above(python), python]
    return ("unshare", "--mount", *script, *become)


def hidden_above(path: str) -> str:
    """The directory on the way to this one that is for its owner only; or nothing."""
    above = [path, *map(str, Path(path).parents)]
    return next((name for name in reversed(above) if not os.stat(name).st_mode & 0o001), "")


def built(tmp_path: Path, name: str, text: str, *command: str) -> Path:
    """A program, where everybody may execute it."""
    program(command[0])
    source = tmp_path / name
    source.write_text(text)
    binary = source.with_suffix("")
    environment = os.environ | {"GOCACHE": f"{tmp_path}/cache", "GO111MODULE": "off"}
    subprocess.run([*command, "-o", binary, source], check=True, env=environment)
    return binary

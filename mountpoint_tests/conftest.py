"""Guests to test against: the plugin's, and those that the command line mounts."""

from __future__ import annotations

import gc
import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest
from ordinary_user import as_ordinary_user
from warm import WarmOf, WarmParent, warm_parent

import fakeproc
from fakeproc.mount import mountpoints

pytest_plugins = ["pytester"]

# A project of its own, whose tests fail; `plugin/test_example_project.py` runs them.
collect_ignore = ["example_project"]

# A background job of a plain shell, and nohup, ignore these. What a test starts must not, as a
# program cannot trap what it inherits as ignored; a handler, unlike SIG_IGN, ends with exec.
for signum in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(signum) is signal.SIG_IGN:
        signal.signal(signum, lambda _signum, _frame: None)

# The tests start Python a thousand times.  Where nothing may be written beside the sources, each
# start compiled all of them anew: a third of what `fakeproc run` costs.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

REPOSITORY = Path(__file__).resolve().parent.parent


def load_page_maker(name: str) -> ModuleType:
    """A module of docs/, which is no package: the others there find it under this name."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "docs" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# Waits until whoever holds its standard input has ended, however, and unmounts what is left.
SWEEPER = """
import sys
sys.stdin.read()
from fakeproc.mount import umount, registry
for entry in list(registry.entries()):
    umount.end_mount(entry.mountpoint)
"""


@dataclass(frozen=True)
class CommandLine:
    """`fakeproc`, with a registry of its own."""

    run_directory: Path
    warm: WarmParent | None = None

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "XDG_RUNTIME_DIR": str(self.run_directory),
            "PYTHONPATH": str(REPOSITORY),
        }

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """The command, running."""
        return subprocess.Popen(
            [sys.executable, "-m", "fakeproc", *map(str, arguments)],
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """The command, ended, started warm if there is a parent; no traceback is accepted."""
        if self.warm is not None:
            done = self.warm.run(arguments, self.environment)
            assert "Traceback" not in done.stdout + done.stderr
            return done
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()  # only if it hangs
        assert "Traceback" not in out + err
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @contextmanager
    def mounted(self, root: Path, *options: object) -> Iterator[CliGuest]:
        """A guest mounted on a new directory, and in the end unmounted and gone."""
        root.mkdir()
        done = self("mount", *options, root)
        assert done.returncode == 0, done.stderr
        guest = CliGuest(root, self)
        pid = guest.pid
        try:
            yield guest
            guest.end(pid)
        finally:
            tear_down(root, pid)


@dataclass(frozen=True)
class CliGuest:
    """A guest that `fakeproc mount` has mounted."""

    root: Path
    cli: CommandLine

    @property
    def proc(self) -> Path:
        return self.root / "proc"

    @property
    def sys(self) -> Path:
        return self.root / "sys"

    @property
    def host(self) -> Path:
        return self.root / "host"

    def channel(self, relid: int) -> Path:
        """The directory of a channel, whichever its device is."""
        devices = (self.sys / "bus/vmbus/devices").iterdir()
        found = [device / "channels" / str(relid) for device in devices]
        return next(directory.resolve() for directory in found if directory.is_dir())

    @property
    def _listed(self) -> list[str]:
        lines = self.cli("list").stdout.splitlines()
        return next(line.split("\t") for line in lines if line.startswith(f"{self.root}\t"))

    @property
    def pid(self) -> int:
        return int(self._listed[2])

    @property
    def log(self) -> str:
        return Path(self._listed[5]).read_text()

    @property
    def is_mounted(self) -> bool:
        return bool(mounts_below(self.root))

    def end(self, pid: int) -> None:
        """Unmount, unless the test has, and see that all went well."""
        if not self.is_mounted:
            return
        assert Path(f"/proc/{pid}").exists(), "the daemon has died; its log is in the run directory"
        log = self.log
        assert not re.search(r"Traceback| (WARNING|ERROR|CRITICAL) ", log), log
        done = self.cli("umount", self.root)
        assert done.returncode == 0, done.stderr
        assert list(self.root.iterdir()) == []


def mounts_below(directory: Path) -> list[str]:
    """The mountpoints in a directory, those of dead daemons included."""
    # Bytes: a stranger's mount may have any name.
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    points = [os.fsdecode(line.split(b" ")[4]) for line in lines]
    return [point for point in points if point.startswith(f"{directory}/")]


def pytest_configure(config: pytest.Config) -> None:
    """Where nothing can be mounted, most of these tests would say nothing: fail."""
    config.option.fakeproc_required = True


def pytest_collection_finish() -> None:
    """Thousands of tests are no garbage: spare the collector looking through them each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def _fuse() -> None:
    """Where nothing can be mounted, say why instead of skipping."""
    try:
        mountpoints.check_machine(allow_other=False)
    except mountpoints.MountError as error:
        pytest.fail(str(error))


@pytest.fixture(scope="session")
def _as_root() -> None:
    """For tests that become other users, or hide parts of the machine."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user: run the tests as root as well")


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmParent]:
    """What starts commands of fakeproc without a new Python."""
    with warm_parent(os.environ | {"PYTHONPATH": str(REPOSITORY)}) as parent:
        yield parent


@pytest.fixture(scope="session")
def warm_of(warm: WarmParent) -> Iterator[WarmOf]:
    """The same for `root`, and for an ordinary `user`."""
    with ExitStack() as parents:
        # The user's only where one is asked for.
        @cache
        def of(user: str) -> WarmParent:
            if user == "root" or os.geteuid() != 0:
                return warm
            environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
            return parents.enter_context(warm_parent(environment, as_ordinary_user()))

        yield of


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory, warm: WarmParent) -> Iterator[CommandLine]:
    """The command line, with a registry that no other test sees."""
    cli = CommandLine(tmp_path_factory.mktemp("run"), warm)
    # What `fakeproc mount` mounts outlives who has asked for it, also a pytest that is killed.
    with subprocess.Popen(
        [sys.executable, "-c", SWEEPER],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=cli.environment,
        start_new_session=True,
    ):
        yield cli


@pytest.fixture(scope="session")
def guest(fakeproc_session_guest: fakeproc.Guest) -> fakeproc.Guest:
    """The default guest, for tests that leave it as they found it."""
    return fakeproc_session_guest


@pytest.fixture
def fresh_guest(fakeproc_guest: fakeproc.Guest) -> fakeproc.Guest:
    """The default guest, to do with as one likes."""
    return fakeproc_guest


@pytest.fixture
def mount_guest(_fuse: None, cli: CommandLine, tmp_path: Path) -> Iterator[Callable[..., CliGuest]]:
    """Mount guests by the command line, with its options: `mount_guest("--clock", "manual")`."""
    numbers = count()
    with ExitStack() as mounts:
        yield lambda *options: mounts.enter_context(
            cli.mounted(tmp_path / f"guest{next(numbers)}", *options)
        )


def tear_down(root: Path, pid: int) -> None:
    """Leave nothing behind, whatever has gone wrong."""
    for mountpoint in mounts_below(root):
        command = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-uz"]
        subprocess.run([*command, mountpoint], check=True)
    command_line = Path(f"/proc/{pid}/cmdline")
    if command_line.exists() and b"fakeproc" in command_line.read_bytes():
        os.kill(pid, signal.SIGKILL)

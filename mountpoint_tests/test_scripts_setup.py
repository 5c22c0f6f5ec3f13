"""scripts/setup on machines made up of a few stand-in programs: what it asks of apt-get and pip."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(
    not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="without /dev/fuse set-up stops at once"
)

# What the script takes for granted.
PLAIN = (
    *("bash", "cat", "cp", "dirname", "env", "flock", "grep", "id"),
    *("mkdir", "mktemp", "mv", "rm", "sha256sum", "sh", "tail"),
)

# What the tests run on a mounted guest.
TOOLS = (
    *("busybox", "irqbalance", "lscpu", "lsirq", "mpstat", "top", "htop", "dstat", "tuna"),
    *("numactl", "lstopo-no-graphics", "lsscsi", "udevadm", "driverctl", "stress-ng"),
    *(
        "prometheus-node-exporter",
        "netdata",
        "ethtool",
        "ip",
        "modprobe",
        "dmidecode",
        "lspci",
        "lshw",
        "hwinfo",
    ),
    *("groff", "zsh", "fish", "gcc", "go", "strace", "chromedriver", "sos"),
)

PYTHON = """\
case "$1 $2" in
"-c "*) echo {bin}/python3; cat {state}/python ;;
"-m venv") mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; echo venv >>{state}/calls ;;
"-m pip") [ "$3" = --version ] || echo "pip ${{*##*--editable }}" >>{state}/calls ;;
esac
"""
APT_CACHE = """\
[ ! -e {state}/no-lists ] && grep -qx "$2" {state}/offered && echo "  Candidate: 1.0"
"""
APT_GET = """\
case "$*" in
*update) echo update >>{state}/calls; rm -f {state}/no-lists ;;
*install*)
    echo "install ${{*##*recommends }}" >>{state}/calls
    for package in ${{*##*recommends }}; do
        case $package in
        libfuse2*) echo "libfuse.so.2 (libc6,x86-64)" >>{state}/libraries ;;
        fuse3)
            echo "libfuse3.so.3 (libc6,x86-64)" >>{state}/libraries
            cp {bin}/sudo {bin}/fusermount
            cp {bin}/sudo {bin}/fusermount3 ;;
        esac
    done ;;
esac
"""
SUDO = """\
[ "$1" != -n ] || shift
[ "$1" = true ] || exec "$@"
"""


@dataclass
class Machine:
    """A checkout, a PATH, and the state of the stand-ins: files that they read and write."""

    bin: Path
    state: Path
    checkout: Path

    def program(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text("#!/bin/sh\n" + body.format(bin=self.bin, state=self.state))
        path.chmod(0o755)

    def setup(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.checkout / "scripts/setup", *arguments],
            env={"PATH": str(self.bin), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def calls(self) -> list[str]:
        """What has been asked of apt-get and Python since the last time."""
        path = self.state / "calls"
        lines = path.read_text().splitlines()
        path.write_text("")
        return lines


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with nothing of ours on it, whose distribution offers everything."""
    made = Machine(tmp_path / "bin", tmp_path / "state", tmp_path / "checkout")
    for directory in (made.bin, made.state, made.checkout / "scripts"):
        directory.mkdir(parents=True)
    for name in PLAIN:
        real = shutil.which(name)
        assert real, name
        (made.bin / name).symlink_to(real)
    for name in ("setup.cfg", "pyproject.toml", "scripts/setup"):
        shutil.copy(CHECKOUT / name, made.checkout / name)
    (made.state / "calls").write_text("")
    (made.state / "libraries").write_text("")
    (made.state / "offered").write_text("fuse3\nlibfuse2\npython3-venv\n")
    (made.state / "python").write_text("Python 3.11.2 of /usr\n")
    for name, body in (
        ("python3", PYTHON),
        ("apt-cache", APT_CACHE),
        ("apt-get", APT_GET),
        ("sudo", SUDO),
        ("ldconfig", "cat {state}/libraries\n"),
    ):
        made.program(name, body)
    return made


def test_a_fresh_machine_gets_what_it_lacks_and_hears_why(machine: Machine) -> None:
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    assert machine.calls() == ["install fuse3 libfuse2", "venv", f"pip {machine.checkout}"]
    assert "installing fuse3            lets an ordinary user mount and unmount" in done.stdout
    assert "installing libfuse2         fusepy answers the kernel through it" in done.stdout
    assert done.stdout.endswith("ready: .venv with Python 3.11.2 of /usr\n")


def test_a_second_run_installs_nothing(machine: Machine) -> None:
    machine.setup()
    machine.calls()
    done = machine.setup()
    assert done.returncode == 0
    assert machine.calls() == []
    assert done.stdout == "setup: ready: .venv with Python 3.11.2 of /usr\n"


def test_the_list_of_packages_is_fetched_only_where_it_is_missing(machine: Machine) -> None:
    (machine.state / "no-lists").touch()
    assert machine.setup().returncode == 0
    assert machine.calls()[:2] == ["update", "install fuse3 libfuse2"]


def test_a_name_that_a_later_release_gave_the_library_is_taken_first(machine: Machine) -> None:
    (machine.state / "offered").write_text("fuse3\nlibfuse2t64\nlibfuse2\n")
    assert machine.setup().returncode == 0
    assert machine.calls()[0] == "install fuse3 libfuse2t64"


def test_libfuse3_serves_where_the_distribution_has_dropped_libfuse2(machine: Machine) -> None:
    (machine.state / "offered").write_text("fuse3\n")
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    assert machine.calls() == ["update", "install fuse3", "venv", f"pip {machine.checkout}"]
    assert machine.setup().returncode == 0
    assert machine.calls() == []


def test_libfuse3_serves_where_it_alone_is_installed(machine: Machine) -> None:
    (machine.state / "libraries").write_text("libfuse3.so.3 (libc6,x86-64)\n")
    for name in ("fusermount", "fusermount3"):
        shutil.copy(machine.bin / "sudo", machine.bin / name)
    assert machine.setup().returncode == 0
    assert machine.calls() == ["venv", f"pip {machine.checkout}"]


@pytest.mark.parametrize("purpose", ["demo", "test"])
def test_where_nothing_can_be_installed_the_packages_are_named(
    machine: Machine, purpose: str
) -> None:
    (machine.bin / "apt-get").unlink()
    (machine.bin / "python3").unlink()
    done = machine.setup("--for", purpose, PYTHON=str(machine.bin / "bash"))
    assert (done.returncode, "PYTHON=" in done.stderr) == (1, True)

    machine.program("python3", "exit 1\n")
    done = machine.setup("--for", purpose)
    assert done.returncode == 1
    assert "can install only with apt-get, which is not here" in done.stderr
    assert ("busybox" in done.stderr) == (purpose == "test")
    assert "apt-get install fuse3 libfuse2" in done.stderr
    assert machine.calls() == []
    assert not (machine.checkout / ".venv").exists()


def test_a_tool_that_the_distribution_lacks_is_named_and_the_rest_installed(
    machine: Machine,
) -> None:
    for name in TOOLS:
        if name not in {"htop", "busybox"}:
            machine.program(name, "")
    with (machine.state / "offered").open("a") as file:
        file.write("busybox\n")
    done = machine.setup("--for", "test")
    # busybox stays missing, as the stand-in for apt-get only notes what it is to install.
    assert done.returncode == 1
    assert "htop" not in done.stderr
    assert "no htop: the tests that run htop are skipped\n" in done.stdout
    assert machine.calls() == ["update", "install fuse3 libfuse2 busybox"]

    machine.program("busybox", "")
    assert machine.setup("--for", "test").returncode == 0
    assert (machine.checkout / ".venv/fakeproc-lacks").read_text() == "htop\n"
    machine.calls()
    done = machine.setup("--for", "test")
    assert "the tests that run htop are skipped" in done.stdout  # said every time
    assert machine.calls() == []  # and the list of packages not fetched again


@pytest.mark.skipif(os.geteuid() == 0, reason="root needs no sudo")
def test_a_user_without_sudo_is_told_so(machine: Machine) -> None:
    (machine.bin / "sudo").unlink()
    done = machine.setup()
    assert done.returncode == 1
    assert "installing them takes root, or a user with sudo" in done.stderr
    assert machine.calls() == []


def test_changed_metadata_is_installed_again(machine: Machine) -> None:
    machine.setup()
    machine.calls()
    with (machine.checkout / "setup.cfg").open("a") as file:
        file.write("# changed\n")
    assert machine.setup().returncode == 0
    assert machine.calls() == [f"pip {machine.checkout}"]


def test_an_environment_of_another_python_or_place_is_made_anew(machine: Machine) -> None:
    machine.setup()
    machine.calls()
    (machine.state / "python").write_text("Python 3.13.5 of /usr\n")
    assert "as the one that is here does not work, or is for another" in machine.setup().stdout
    assert machine.calls() == ["venv", f"pip {machine.checkout}"]

    machine.checkout = machine.checkout.rename(machine.checkout.with_name("moved"))
    assert machine.setup().returncode == 0
    assert machine.calls() == ["venv", f"pip {machine.checkout}"]


def test_what_the_tests_need_stays_when_the_demo_comes_after_them(machine: Machine) -> None:
    for name in TOOLS:
        machine.program(name, "")
    assert machine.setup("--for", "test").returncode == 0
    assert machine.calls()[-1] == f"pip {machine.checkout}[test]"
    assert machine.setup("--for", "demo").returncode == 0
    assert machine.calls() == []
    with (machine.checkout / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert machine.setup("--for", "demo").returncode == 0
    assert machine.calls() == [f"pip {machine.checkout}[test]"]


@pytest.mark.parametrize("arguments", [["--for"], ["--for", "lunch"], ["demo"]])
def test_wrong_usage(machine: Machine, arguments: list[str]) -> None:
    done = machine.setup(*arguments)
    assert (done.returncode, done.stderr) == (2, "usage: scripts/setup [--for demo|test]\n")

"""Mounting, unmounting, and everything that can be wrong with either."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from ctypes.util import find_library
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import REPOSITORY, mounts_below, tear_down

from fakeproc.cli.main import command
from fakeproc.mount import umount

FILE = "proc/irq/39/smp_affinity"
DEAD = "not connected|connection abort"  # ENOTCONN; ECONNABORTED for what was under way


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


def is_running(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def refused(done: subprocess.CompletedProcess[str], sentence: str, status: int = 1) -> bool:
    """Whether a command ended with this one sentence."""
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert re.fullmatch(f"fakeproc: {sentence}\n", done.stderr), done.stderr
    return True


def kill(guest) -> int:
    """Kill the daemon, so that a dead mount is left behind."""
    pid = guest.pid
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not is_running(pid))
    with pytest.raises(OSError, match=DEAD):
        (guest.root / FILE).read_text()
    return pid


def is_as_it_was(root: Path) -> bool:
    return list(root.iterdir()) == [] and mounts_below(root) == []


# -- The way it is meant ---------------------------------------------------------


def test_mount_returns_when_the_tree_can_be_read(cli, tmp_path) -> None:
    done = cli("mount", tmp_path)
    try:
        assert done.returncode == 0
        assert done.stdout == (
            f"mounted hyperv-gen2 on {tmp_path}; try: cat {tmp_path}/proc/interrupts; "
            f"end with: fakeproc umount {tmp_path}\n"
        )
        assert (tmp_path / "proc/interrupts").read_text().lstrip().startswith("CPU0")
    finally:
        done = cli("umount", tmp_path)
    assert (done.returncode, done.stdout) == (0, f"unmounted {tmp_path}\n")
    assert is_as_it_was(tmp_path)


def test_three_file_systems(fresh_guest) -> None:
    assert sorted(path.name for path in fresh_guest.root.iterdir()) == ["host", "proc", "sys"]
    assert len({path.stat().st_dev for path in fresh_guest.root.iterdir()}) == 3
    assert len(mounts_below(fresh_guest.root)) == 3


def test_daemon_is_detached(fresh_guest) -> None:
    pid = fresh_guest.pid
    assert os.getsid(pid) != os.getsid(0)
    assert os.getpgid(pid) != os.getpgid(0)
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    descriptors = {Path(f"/proc/{pid}/fd/{number}").readlink() for number in (0, 1, 2)}
    assert Path("/dev/null") in descriptors
    assert len(descriptors) == 2  # the log, twice


def test_daemon_keeps_nothing_of_the_shell_open(cli, tmp_path) -> None:
    """A lock held by the shell would otherwise be held as long as the mount lives."""
    lock = tmp_path / "lock"
    command = [sys.executable, "-m", "fakeproc", "mount", str(tmp_path / "m")]
    (tmp_path / "m").mkdir()
    script = f"exec 9>{lock}; flock 9; {shlex.join(command)}"
    subprocess.run(["sh", "-c", script], env=cli.environment, check=True, timeout=60)
    try:
        subprocess.run(["flock", "--nonblock", lock, "true"], check=True)
    finally:
        assert cli("umount", tmp_path / "m").returncode == 0


def test_list(fresh_guest) -> None:
    head, *rows = fresh_guest.cli("list").stdout.splitlines()
    assert head == "mountpoint\tprofile\tpid\tmemory\tage\tlog"
    mountpoint, profile, pid, memory, age, log = next(
        row.split("\t") for row in rows if row.startswith(f"{fresh_guest.root}\t")
    )
    assert (mountpoint, profile) == (str(fresh_guest.root), "hyperv-gen2")
    assert is_running(int(pid))
    assert re.fullmatch(r"\d+ MiB", memory)
    assert re.fullmatch(r"\d+ s", age)
    assert "mounted hyperv-gen2" in Path(log).read_text()


def test_relative_mountpoint(cli, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m").mkdir()
    assert cli("mount", "m").returncode == 0
    assert cli("umount", "./m/").returncode == 0
    assert is_as_it_was(tmp_path / "m")


def test_mountpoint_with_blanks_and_letters_of_all_sorts(cli, tmp_path) -> None:
    root = tmp_path / "ein Gäst 客"
    root.mkdir()
    assert cli("mount", root).returncode == 0
    try:
        assert "CPU0" in (root / "proc/interrupts").read_text()
        assert f"\n{root}\t" in cli("list").stdout
    finally:
        assert cli("umount", root).returncode == 0
    assert is_as_it_was(root)


def test_two_guests_are_two_machines(mount_guest) -> None:
    one, other = mount_guest(), mount_guest()
    before = (other.root / FILE).read_text()
    (one.root / FILE).write_text("1" if before.strip() != "01" else "2")
    assert (one.root / FILE).read_text() != before
    assert (other.root / FILE).read_text() == before


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_unmounts(fresh_guest, signum) -> None:
    pid = fresh_guest.pid
    os.kill(pid, signum)
    assert eventually(lambda: not is_running(pid))
    assert is_as_it_was(fresh_guest.root)
    assert str(fresh_guest.root) not in fresh_guest.cli("list").stdout


def test_foreground_stays_until_a_signal(cli, tmp_path) -> None:
    process = cli.start("mount", "--foreground", tmp_path)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("mounted hyperv-gen2")
        assert "CPU0" in (tmp_path / "proc/interrupts").read_text()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    finally:
        tear_down(tmp_path, process.pid)
    assert process.returncode == 0
    assert "INFO fakeproc.mount.daemon: mounted" in err
    assert "Traceback" not in err
    assert is_as_it_was(tmp_path)


@pytest.mark.usefixtures("_as_root")
def test_daemon_ends_when_everything_is_unmounted_by_hand(fresh_guest) -> None:
    pid = fresh_guest.pid
    for mountpoint in mounts_below(fresh_guest.root):
        assert is_running(pid)
        subprocess.run(["umount", mountpoint], check=True)
    assert eventually(lambda: not is_running(pid))
    assert is_as_it_was(fresh_guest.root)


def let_the_kernel_know_that_there_is_no_flush(guest) -> None:
    """It asks at a file system's first close; asked when the daemon is gone, close(2) fails."""
    assert (guest.root / FILE).read_text()


def test_umount_while_a_file_is_held_open(fresh_guest) -> None:
    pid = fresh_guest.pid
    let_the_kernel_know_that_there_is_no_flush(fresh_guest)
    with (fresh_guest.root / FILE).open() as held:
        done = fresh_guest.cli("umount", fresh_guest.root)
        assert done.returncode == 0
        assert "lazily: files in it were held open" in done.stdout
        assert not is_running(pid)
        assert is_as_it_was(fresh_guest.root)
        with pytest.raises(OSError, match=DEAD):
            held.read()


def test_signal_while_a_directory_is_held(fresh_guest) -> None:
    pid = fresh_guest.pid
    held = os.open(fresh_guest.sys, os.O_RDONLY)
    os.kill(pid, signal.SIGTERM)
    assert eventually(lambda: not is_running(pid))
    assert is_as_it_was(fresh_guest.root)
    os.close(held)


# -- Killed daemons -----------------------------------------------------------------


def test_mount_again_after_kill(fresh_guest) -> None:
    kill(fresh_guest)
    done = fresh_guest.cli("mount", fresh_guest.root)
    assert done.returncode == 0
    assert f"cleared what a killed daemon had left on {fresh_guest.root}\n" in done.stdout
    assert len(mounts_below(fresh_guest.root)) == 3
    assert (fresh_guest.root / FILE).read_text()
    assert fresh_guest.cli("umount", fresh_guest.root).returncode == 0


def test_umount_after_kill(fresh_guest) -> None:
    pid = kill(fresh_guest)
    assert f"{fresh_guest.root}\thyperv-gen2\t{pid}\tdead\tdead" in fresh_guest.cli("list").stdout
    done = fresh_guest.cli("umount", fresh_guest.root)
    assert done.returncode == 0
    assert done.stdout == f"unmounted {fresh_guest.root}; its daemon (process {pid}) had died\n"
    assert is_as_it_was(fresh_guest.root)
    assert str(fresh_guest.root) not in fresh_guest.cli("list").stdout


def test_umount_after_kill_while_a_file_is_held_open(fresh_guest) -> None:
    let_the_kernel_know_that_there_is_no_flush(fresh_guest)
    with (fresh_guest.root / FILE).open():
        kill(fresh_guest)
        assert fresh_guest.cli("umount", fresh_guest.root).returncode == 0
        assert is_as_it_was(fresh_guest.root)


def test_mount_over_empty_directories_that_a_crash_of_the_machine_left(cli, tmp_path) -> None:
    for name in ("proc", "sys", "host"):
        (tmp_path / name).mkdir()
    assert cli("mount", tmp_path).returncode == 0
    assert cli("umount", tmp_path).returncode == 0
    assert is_as_it_was(tmp_path)


def test_umount_without_an_entry(fresh_guest) -> None:
    """The entry may be lost, with the directory of a user's session, say."""
    pid = fresh_guest.pid
    other = type(fresh_guest.cli)(fresh_guest.root.parent)
    done = other("umount", fresh_guest.root)
    assert (done.returncode, done.stdout) == (0, f"unmounted {fresh_guest.root}\n")
    assert eventually(lambda: not is_running(pid))
    assert is_as_it_was(fresh_guest.root)


def test_umount_after_kill_without_an_entry(fresh_guest) -> None:
    other = type(fresh_guest.cli)(fresh_guest.root.parent)
    pid = kill(fresh_guest)
    assert other("umount", fresh_guest.root).returncode == 0
    assert is_as_it_was(fresh_guest.root)
    assert fresh_guest.cli("umount", fresh_guest.root).stdout.endswith(f"{pid}) had died\n")


def test_umount_of_a_daemon_that_hangs(fresh_guest, monkeypatch) -> None:
    pid = fresh_guest.pid
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(fresh_guest.cli.run_directory))
    # The command, but for how long it waits.
    monkeypatch.setattr(umount, "end_mount", partial(umount.end_mount, patience=0.05))
    done = CliRunner().invoke(command, ["umount", str(fresh_guest.root)])
    assert done.exit_code == 0, done.output
    assert f"its daemon (process {pid}) did not end by itself and was killed" in done.output
    assert not is_running(pid)
    assert is_as_it_was(fresh_guest.root)


# -- What is refused, each with its own sentence ---------------------------------------


def test_mountpoint_does_not_exist(cli, tmp_path) -> None:
    root = tmp_path / "m"
    assert refused(cli("mount", root), f"{root} does not exist; make it with: mkdir {root}")


def test_mountpoint_is_a_file(cli, tmp_path) -> None:
    root = tmp_path / "m"
    root.touch()
    assert refused(cli("mount", root), f"{root} is not a directory")


def test_mountpoint_is_not_empty(cli, tmp_path) -> None:
    (tmp_path / "a file").touch()
    assert refused(cli("mount", tmp_path), f"{tmp_path} is not empty: it has 'a file'")
    (tmp_path / "b").touch()
    assert refused(cli("mount", tmp_path), f"{tmp_path} is not empty: it has 'a file' and 1 more")


def test_directories_that_are_not_empty_are_not_touched(cli, tmp_path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/mine").write_text("precious")
    assert refused(cli("mount", tmp_path), f"{tmp_path} is not empty: it has proc")
    assert (tmp_path / "proc/mine").read_text() == "precious"


def test_mountpoint_is_one_of_ours(fresh_guest) -> None:
    root, pid = fresh_guest.root, fresh_guest.pid
    sentence = (
        f"{root} is mounted already: hyperv-gen2, by process {pid}; "
        f"end it with: fakeproc umount {root}"
    )
    assert refused(fresh_guest.cli("mount", root), sentence)
    assert is_running(pid)


def test_two_mounts_at_once(cli, tmp_path) -> None:
    both = [cli.start("mount", tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=30)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], said
    assert any("at work" in error or "mounted" in error for error in said)
    assert len(mounts_below(tmp_path)) == 3
    assert (tmp_path / FILE).read_text()
    assert cli("umount", tmp_path).returncode == 0
    assert is_as_it_was(tmp_path)


def test_mountpoint_is_of_another_registry(fresh_guest) -> None:
    other = type(fresh_guest.cli)(fresh_guest.root.parent)
    root = fresh_guest.root
    sentence = f"{root} is in use: a fuse.fakeproc is mounted on {root}/proc"
    assert refused(other("mount", root), sentence)


@pytest.mark.usefixtures("_as_root")
def test_something_else_is_mounted_there(cli, tmp_path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "fakeproc-test", tmp_path], check=True)
    try:
        sentence = f"{tmp_path} is in use: a tmpfs is mounted there"
        assert refused(cli("mount", tmp_path), sentence)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_umount_of_what_is_not_mounted(cli, tmp_path) -> None:
    sentence = rf"{tmp_path} is not a fakeproc mount \(see 'fakeproc list'\)"
    assert refused(cli("umount", tmp_path), sentence)
    assert refused(cli("umount", "/"), "/ is not a fakeproc mount .*")


def test_umount_of_a_part(fresh_guest) -> None:
    sentence = (
        f"{fresh_guest.proc} is a part of the mount on {fresh_guest.root}; "
        f"end it with: fakeproc umount {fresh_guest.root}"
    )
    assert refused(fresh_guest.cli("umount", fresh_guest.proc), sentence)


def test_unknown_profile(cli, tmp_path) -> None:
    done = cli("mount", "--profile", "vax", tmp_path)
    assert refused(done, ".*'vax'.*hyperv-gen2.*", status=2)


def test_wrong_profile(cli, tmp_path) -> None:
    (tmp_path / "m").mkdir()
    profile = tmp_path / "mine.toml"
    lines = cli("profiles", "show", "hyperv-gen2").stdout.splitlines()
    profile.write_text("\n".join(['no_such_key = "x"', *lines]))
    done = cli("mount", "--profile", profile, tmp_path / "m")
    assert refused(done, f"{profile}, line 1: no_such_key: no such key", status=2)
    assert is_as_it_was(tmp_path / "m")


def test_profile_of_ones_own(cli, tmp_path) -> None:
    (tmp_path / "m").mkdir()
    profile = tmp_path / "mine.toml"
    profile.write_text(cli("profiles", "show", "hyperv-gen2").stdout)
    assert cli("mount", "--profile", profile, tmp_path / "m").returncode == 0
    try:
        assert f"{tmp_path}/m\tmine\t" in cli("list").stdout
    finally:
        assert cli("umount", tmp_path / "m").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["mount"],
        ["mount", "--no-such-option", "/m"],
        ["mount", "--clock", "sundial", "/m"],
        ["mount", "/a", "/b"],
        ["umount"],
        ["profiles", "show"],
        ["profiles", "show", "vax"],
        ["no-such-command"],
    ],
    ids=shlex.join,
)
def test_wrong_usage_is_status_2(cli, arguments) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [[], ["mount"], ["umount"], ["list"], ["profiles"], ["profiles", "show"]],
    ids=shlex.join,
)
def test_every_help_has_an_example(cli, arguments) -> None:
    done = cli(*arguments, "--help")
    assert done.returncode == 0
    assert re.search(r"Example:\n +(fakeproc|mkdir)", done.stdout)


def test_version(cli) -> None:
    assert re.fullmatch(r"fakeproc \d+\.\d+\.\d+\n", cli("--version").stdout)


def test_profiles(cli) -> None:
    head, *rows = cli("profiles").stdout.splitlines()
    assert head == "name\tdescription"
    assert any(row.startswith("hyperv-gen2\t") for row in rows)


def test_a_mistake_of_ours_is_a_sentence(cli, tmp_path) -> None:
    """No traceback for the user, but one in a file that is named."""
    environment = cli.environment | {"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}
    (tmp_path / "psutil.py").write_text("raise RuntimeError('broken')")
    (tmp_path / "m").mkdir()
    assert cli("mount", tmp_path / "m").returncode == 0
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fakeproc", "list"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        assert cli("umount", tmp_path / "m").returncode == 0
    assert done.returncode == 1
    sentence = r"fakeproc: internal error \(please report\): RuntimeError\('broken'\); see (.+)\n"
    found = re.fullmatch(sentence, done.stderr)
    assert found
    assert "Traceback" in Path(found[1]).read_text()


# -- A machine that lacks something ---------------------------------------------------


def in_a_namespace(environment: dict[str, str], *script: str) -> subprocess.CompletedProcess[str]:
    """Run a script where mounts are its own, so that it may hide parts of the machine."""
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "bash", "-c", "\n".join(script)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


FAKEPROC = shlex.join([sys.executable, "-m", "fakeproc"])


@pytest.mark.usefixtures("_as_root")
def test_no_fuse_device(cli, tmp_path) -> None:
    hidden = in_a_namespace(
        cli.environment, "mount -t tmpfs none /dev", f"{FAKEPROC} mount {tmp_path}"
    )
    assert refused(hidden, "this machine has no /dev/fuse: load it with 'modprobe fuse', or .*")


def test_no_libfuse(cli, tmp_path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("fuse", "fusepy", "mfusepy"):
        (blocked / f"{name}.py").write_text("raise OSError('Unable to find libfuse')")
    (tmp_path / "m").mkdir()
    environment = cli.environment | {
        "PYTHONPATH": f"{blocked}:{REPOSITORY}",
        "FAKEPROC_LIBFUSE": "",
    }
    done = subprocess.run(
        [sys.executable, "-m", "fakeproc", "mount", str(tmp_path / "m")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused(done, "no FUSE library can be used: .*fusepy.*")


def test_the_other_package_called_fuse(cli, tmp_path) -> None:
    """fuse-python and fusepy both install a module `fuse`."""
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "fuse.py").write_text("class Fuse: pass")
    (blocked / "mfusepy.py").write_text("raise ImportError('No module named mfusepy')")
    (tmp_path / "m").mkdir()
    environment = cli.environment | {
        "PYTHONPATH": f"{blocked}:{REPOSITORY}",
        "FAKEPROC_LIBFUSE": "",
    }
    done = subprocess.run(
        [sys.executable, "-m", "fakeproc", "mount", str(tmp_path / "m")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused(done, ".*fuse: this is the package fuse-python, which hides fusepy.*")


def test_fusepy_under_the_name_that_debian_gives_it(cli, tmp_path) -> None:
    """Its module is `fusepy` there, as `fuse` is fuse-python's."""
    binding = find_spec("fuse")
    if binding is None or binding.origin is None or find_library("fuse") is None:
        pytest.skip("fusepy or libfuse 2 is not installed")
    packages, mountpoint = tmp_path / "packages", tmp_path / "m"
    packages.mkdir()
    mountpoint.mkdir()
    (packages / "fuse.py").write_text("class Fuse: pass")
    (packages / "mfusepy.py").write_text("raise ImportError('No module named mfusepy')")
    (packages / "fusepy.py").write_text(Path(binding.origin).read_text())
    environment = cli.environment | {"PYTHONPATH": f"{packages}:{REPOSITORY}"}
    environment.pop("FAKEPROC_LIBFUSE", None)
    command = [sys.executable, "-m", "fakeproc", "mount", str(mountpoint)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (mountpoint / "proc/irq/39/smp_affinity_list").read_text() == "6\n"
    assert cli("umount", mountpoint).returncode == 0


@pytest.mark.usefixtures("_as_root")
def test_mount_refused_by_the_kernel(cli, tmp_path) -> None:
    """As in a container: /dev/fuse is there, the right to mount is not."""
    command = [sys.executable, "-m", "fakeproc", "mount", str(tmp_path)]
    done = subprocess.run(
        ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", *command],
        env=cli.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    sentence = (
        f"libfuse could not mount {tmp_path}/(proc|sys|host) .*: fuse.*Operation not permitted"
    )
    assert refused(done, sentence)
    assert is_as_it_was(tmp_path)


# -- Ordinary users -----------------------------------------------------------------------

USER = 65534
AS_USER = f"setpriv --reuid {USER} --regid {USER} --clear-groups"


def opened_to_others() -> Iterator[str]:
    """Commands that let everybody get at the interpreter and the code, wherever root has them."""
    wanted = sorted({Path(sys.base_prefix), Path(sys.prefix), REPOSITORY})
    for number, directory in enumerate(wanted):
        yield f"mkdir -p /dev/shm/kept{number}; mount --bind {directory} /dev/shm/kept{number}"
    closed = {
        parent
        for directory in wanted
        for parent in directory.parents
        if not parent.stat().st_mode & stat.S_IXOTH
    }
    for directory in sorted(closed):
        if not closed.intersection(directory.parents):
            yield f"mount -t tmpfs -o mode=755 none {directory}"
    for number, directory in enumerate(wanted):
        if closed.intersection(directory.parents):
            yield f"mkdir -p {directory}; mount --bind /dev/shm/kept{number} {directory}"


# As every distribution has it; a sandbox may not.
OPEN_DEVICE = """
    mknod -m 666 /dev/fakeproc-test c 10 229
    mount --bind /dev/fakeproc-test /dev/fuse
    rm /dev/fakeproc-test
"""
CLOSED_DEVICE = OPEN_DEVICE.replace("666", "600")


@pytest.fixture
def fresh_guest(mount_guest):
    """A guest that the command line has mounted, which is what these tests are about."""
    return mount_guest()


@pytest.fixture
def home(_as_root) -> Iterator[Path]:
    """A directory of the user's, with an empty one to mount on."""
    home = Path(tempfile.mkdtemp(prefix="fakeproc-user-"))
    for directory in (home, home / "m", home / "run"):
        directory.mkdir(mode=0o700, exist_ok=True)
        os.chown(directory, USER, USER)
    yield home
    shutil.rmtree(home)


@pytest.fixture
def user(_as_root, cli, home) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script as root, in which $USER_DOES and $FAKEPROC are the user's."""
    environment = cli.environment | {
        "XDG_RUNTIME_DIR": f"{home}/run",
        "USER_DOES": AS_USER,
        "FAKEPROC": f"{AS_USER} {FAKEPROC}",
        "M": f"{home}/m",
    }
    private = "mount -t tmpfs none /dev/shm"
    return lambda *script: in_a_namespace(environment, private, *opened_to_others(), *script)


def test_user_mounts_reads_and_writes(user, home) -> None:
    done = user(
        OPEN_DEVICE,
        "set -e",
        "$FAKEPROC mount $M > /dev/null",
        "$USER_DOES sh -c 'echo 80 > $M/proc/irq/39/smp_affinity'",
        "$USER_DOES cat $M/proc/irq/39/smp_affinity",
        "$USER_DOES stat -c '%u %a' $M/proc/irq/39/smp_affinity",
        "$USER_DOES sh -c 'echo 3 > $(echo $M/sys/bus/vmbus/devices/*/channels/19/cpu)'",
        "$USER_DOES cat $M/proc/irq/39/effective_affinity_list",
        "$USER_DOES sh -c 'echo 1 > $M/proc/irq/39/effective_affinity' 2>&1 | grep -o denied",
        "$FAKEPROC list | cut -f 1,2",
        "$FAKEPROC umount $M",
        "ls -A $M",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "80",
        f"{USER} 644",
        "3",
        "denied",
        "mountpoint\tprofile",
        f"{home}/m\thyperv-gen2",
        f"unmounted {home}/m",
    ]


def test_user_keeps_others_out_root_included(user) -> None:
    done = user(
        OPEN_DEVICE,
        "$FAKEPROC mount $M > /dev/null",
        "cat $M/proc/version",
        "$FAKEPROC umount $M > /dev/null",
    )
    assert done.stderr.endswith("/m/proc/version: Permission denied\n")


def test_user_umounts_what_is_held_open(user, home) -> None:
    done = user(
        OPEN_DEVICE,
        "$FAKEPROC mount $M > /dev/null",
        "$USER_DOES sh -c 'exec sleep 60 < $M/proc/version' &",
        "until readlink /proc/$!/fd/0 | grep -q /proc/version; do sleep 0.01; done",
        "$FAKEPROC umount $M",
        "kill $!",
        "ls -A $M",
    )
    assert done.stdout.startswith(f"unmounted {home}/m lazily"), done.stderr
    assert done.stdout.count("\n") == 1


def test_user_may_not_umount_what_another_mounted(user, cli, home) -> None:
    done = user(
        OPEN_DEVICE,
        f"chmod 755 {home}",
        f"{FAKEPROC} mount $M > /dev/null",
        "$FAKEPROC umount $M",
        f"XDG_RUNTIME_DIR= {FAKEPROC} umount $M > /dev/null",
    )
    assert refused(done, f"{home}/m is mounted by another user", status=0)


def test_user_mounts_again_after_kill(user, home) -> None:
    done = user(
        OPEN_DEVICE,
        "$FAKEPROC mount $M > /dev/null",
        "kill -9 $($FAKEPROC list | tail -n 1 | cut -f 3)",
        "sleep 0.2",
        "$FAKEPROC mount $M && $FAKEPROC umount $M",
    )
    assert done.returncode == 0, done.stderr
    cleared, mounted, unmounted = done.stdout.splitlines()
    assert cleared == f"cleared what a killed daemon had left on {home}/m"
    assert mounted.startswith("mounted hyperv-gen2 on ")
    assert unmounted == f"unmounted {home}/m"


def test_user_may_not_use_the_device(user) -> None:
    done = user(CLOSED_DEVICE, "$FAKEPROC mount $M")
    assert refused(done, "you may not use /dev/fuse: its mode must be 0666 for ordinary users .*")


def test_user_without_fusermount(user) -> None:
    done = user(
        OPEN_DEVICE, f"PATH=/nowhere {shutil.which('setpriv')} ${{FAKEPROC#setpriv}} mount $M"
    )
    assert refused(done, "fusermount3, by which ordinary users mount, is missing: install .*fuse3")


def test_user_is_not_given_a_mount_that_cannot_be_unmounted(user, home) -> None:
    """As in a bare chroot: fusermount3 looks into /etc/mtab to unmount, not to mount."""
    without_mount_table = (
        "cp -a /etc /dev/shm/etc; rm /dev/shm/etc/mtab; mount --bind /dev/shm/etc /etc"
    )
    done = user(OPEN_DEVICE, without_mount_table, "$FAKEPROC mount $M; grep -c $M /proc/mounts")
    assert done.stdout == "0\n"
    sentence = (
        "/etc/mtab is missing, without which fusermount3 mounts and cannot unmount; as root, make "
        r"it with: (ln -s \.\./proc/self/mounts /etc/mtab)\n"
    )
    remedy = re.fullmatch(f"fakeproc: {sentence}", done.stderr)
    assert remedy, done.stderr
    done = user(
        OPEN_DEVICE,
        without_mount_table,
        remedy[1],
        "$FAKEPROC mount $M > /dev/null && $FAKEPROC umount $M",
    )
    assert (done.stdout, done.stderr) == (f"unmounted {home}/m\n", "")
    # One's own user namespace takes no fusermount3.
    done = user(OPEN_DEVICE, without_mount_table, "$FAKEPROC run -- cat /proc/irq/39/smp_affinity")
    assert (done.stdout, done.stderr) == ("40\n", "")


def test_user_may_not_allow_others(user) -> None:
    done = user(
        OPEN_DEVICE, "mount --bind /dev/null /etc/fuse.conf", "$FAKEPROC mount --allow-other $M"
    )
    assert refused(done, "--allow-other is for root, unless root writes .*'user_allow_other'.*")


def test_user_may_allow_others_when_root_lets_them(user, tmp_path) -> None:
    (tmp_path / "fuse.conf").write_text("user_allow_other\n")
    done = user(
        OPEN_DEVICE,
        f"mount --bind {tmp_path}/fuse.conf /etc/fuse.conf",
        "set -e",
        "$FAKEPROC mount --allow-other $M > /dev/null",
        # Root reads, and writes by its capabilities, on either file system.
        "echo 80 > $M/proc/irq/39/smp_affinity",
        "echo 2 > $(echo $M/sys/bus/vmbus/devices/*/channels/19/cpu)",
        "cat $M/proc/irq/39/effective_affinity_list",
        "$FAKEPROC umount $M > /dev/null",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2\n"


def test_user_may_not_write_there(user, home) -> None:
    done = user(OPEN_DEVICE, "chown 0 $M", "chmod 755 $M", "$FAKEPROC mount $M")
    assert refused(done, f"you may not make directories in {home}/m")


def test_user_in_a_user_namespace(user) -> None:
    """Root of a namespace of one's own needs no fusermount."""
    done = user(
        OPEN_DEVICE,
        "set -e",
        "$USER_DOES unshare --user --map-root-user --mount bash -ec '"
        f"{FAKEPROC} mount $M > /dev/null;"
        "echo 80 > $M/proc/irq/39/smp_affinity; cat $M/proc/irq/39/smp_affinity;"
        "stat -c %u $M/proc/irq/39/smp_affinity;"
        f"{FAKEPROC} umount $M > /dev/null'",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "80\n0\n"


# -- The other library --------------------------------------------------------------------


ON_LIBFUSE_3 = {"FAKEPROC_LIBFUSE": "3"}


def test_libfuse_3(cli, tmp_path) -> None:
    """Where libfuse 2 is not there, or not wanted: mfusepy on libfuse 3."""
    (tmp_path / "m").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "fakeproc", "mount", str(tmp_path / "m")],
        env=cli.environment | ON_LIBFUSE_3,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    try:
        affinity = tmp_path / "m" / FILE
        affinity.write_text("80\n")
        assert affinity.read_text() == "80\n"
        assert affinity.stat().st_size == 3
        descriptor = os.open(affinity, os.O_WRONLY)
        with pytest.raises(OSError, match=r"Invalid argument|too large"):
            os.write(descriptor, b"0" * 20_000 + b"2")
        os.close(descriptor)
        assert affinity.read_text() == "80\n"
        lists = affinity.with_name("smp_affinity_list")
        handle = os.open(lists, os.O_PATH)
        for name in (lists, f"/proc/self/fd/{handle}"):  # the second without a look-up
            affinity.write_text("80\n")
            assert lists.stat().st_size == 2
            affinity.write_text("76\n")
            with open(name, "rb") as grown, (tmp_path / "copy").open("wb") as copy:
                assert os.sendfile(copy.fileno(), grown.fileno(), 0, 4096) == len("1-2,4-6\n")
        os.close(handle)
        assert (
            "Traceback" not in Path(cli("list").stdout.splitlines()[-1].split("\t")[5]).read_text()
        )
    finally:
        assert cli("umount", tmp_path / "m").returncode == 0


def test_libfuse_3_is_taken_where_it_alone_is_there(cli, tmp_path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "fuse.py").write_text("raise OSError('Unable to find libfuse')")
    environment = cli.environment | {"PYTHONPATH": f"{blocked}:{REPOSITORY}"}
    code = "from fakeproc.mount import libfuse; print(libfuse.load().__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "mfusepy\n"


@pytest.mark.usefixtures("_as_root")
def test_libfuse_3_is_taken_where_libfuse_2_cannot_be_loaded(cli, tmp_path) -> None:
    (tmp_path / "nothing").touch()
    done = in_a_namespace(
        cli.environment,
        "for library in $(ldconfig -p | sed -n 's/.*libfuse.so.2.*=> //p'); do",
        f"    mount --bind {tmp_path}/nothing $library",
        "done",
        f"{sys.executable} -c 'from fakeproc.mount import libfuse as l; print(l.major(l.load()))'",
    )
    assert (done.stdout, done.stderr) == ("3\n", "")


def test_a_version_of_libfuse_that_is_none_is_a_sentence(cli, tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fakeproc", "mount", str(tmp_path)],
        env=cli.environment | {"FAKEPROC_LIBFUSE": "4"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused(done, "FAKEPROC_LIBFUSE is 2 or 3, not 4")


def test_mounts_of_a_user_on_libfuse_3_do_not_mix_their_sockets_up(user) -> None:
    """libfuse 3 hands fusermount3 its socket by the environment: of 105 mounts, 3 failed."""
    done = user(
        OPEN_DEVICE,
        "export FAKEPROC_LIBFUSE=3",
        "$USER_DOES mkdir $M/1 $M/2 $M/3",
        "for round in 1 2 3 4 5; do",
        "    for n in 1 2 3; do $FAKEPROC mount $M/$n > /dev/null & done",
        "    wait",
        "    for n in 1 2 3; do grep -c $M/$n/ /proc/self/mountinfo; done",
        "    $FAKEPROC umount --all > /dev/null",
        "done",
    )
    assert (done.stdout.split(), done.stderr) == (["3"] * 15, "")

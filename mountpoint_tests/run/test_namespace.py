"""What is the guest's inside, what is the host's, and that the host's stays untouched."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from ordinary_user import as_ordinary_user

from fakeproc.run import namespace
from fakeproc.run.namespace import why_refused

from .runs import FAKEPROC, Runs


def host_affinities() -> dict[str, str]:
    return {
        str(file): file.read_text()
        for file in (
            Path("/proc/irq/default_smp_affinity"),
            *Path("/proc/irq").glob("*/smp_affinity"),
        )
    }


# -- The guest's -----------------------------------------------------------------------


def test_every_file_of_the_guests_proc_is_at_its_place(any_run) -> None:
    out = any_run.shell(
        "cd $FAKEPROC/proc; for file in $(ls -p | grep -v /); do"
        " if [ -e /proc/$file ]; then cmp $file /proc/$file; echo $file; fi; done",
        ["--clock", "manual"],
    )
    assert {"interrupts", "stat", "softirqs", "cpuinfo", "version", "uptime"} <= set(out.split())
    assert any_run.shell("ls /proc/irq").split()[-2:] == ["9", "default_smp_affinity"]


def test_sys_is_the_guests(any_run) -> None:
    out = any_run.shell("ls /sys/bus/vmbus/devices | wc -l; ls /sys/bus/vmbus/drivers; mount")
    assert re.match(r"1[0-9]\n(?s:.*)hv_netvsc\n", out)
    assert " /sys " in out


def test_the_pci_devices_of_the_host_are_not_to_be_seen(any_run) -> None:
    if not Path("/proc/bus/pci").exists():
        pytest.skip("this host has no PCI")
    assert any_run.shell("ls /proc/bus/pci; ls /sys/bus/pci/devices") == ""


@pytest.mark.parametrize("there", [True, False])
def test_irqbalance_has_a_directory_of_its_own_for_its_socket(user_run, there) -> None:
    # In a user namespace of the test's, where /run may be the test's as well.
    script = f"""
        mount -t tmpfs none /run
        touch /run/file && mkdir /run/directory && ln -s file /run/link
        touch /run/directory/within
        {"mkdir /run/irqbalance && touch /run/irqbalance/real" if there else ""}
        {shlex.join(FAKEPROC)} run -- sh -euc '
            ls -A /run/irqbalance
            touch /run/irqbalance/mine /run/mine
            ls -d /run/file /run/directory/within; readlink /run/link'
        ls /run
    """
    done = subprocess.run(
        [*user_run.prefix, "unshare", "--map-root-user", "--mount", "sh", "-euc", script],
        env=user_run.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    left = "directory\nfile\nirqbalance\nlink\n" if there else "directory\nfile\nlink\n"
    assert done.stdout == f"/run/directory/within\n/run/file\nfile\n{left}"


def test_run_has_no_marks_of_a_container(user_run) -> None:
    marks = "/run/.containerenv /run/systemd/container /run/host/container-manager"
    script = f"""
        mount -t tmpfs none /run
        mkdir /run/systemd /run/host
        for mark in {marks} /run/systemd/other; do echo docker > $mark; done
        {shlex.join(FAKEPROC)} run -- sh -euc 'cat {marks} /run/systemd/other 2>/dev/null || true'
        cat {marks}
    """
    done = subprocess.run(
        [*user_run.prefix, "unshare", "--map-root-user", "--mount", "sh", "-euc", script],
        env=user_run.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "docker\n" * 4), done.stderr


# -- The host's ------------------------------------------------------------------------


def test_processes_are_the_real_ones(any_run) -> None:
    out = any_run.shell("cat /proc/$$/comm; readlink /proc/self/cwd; ls /proc/1/comm")
    assert out == f"sh\n{Path.cwd()}\n/proc/1/comm\n"


def test_what_shells_do_with_descriptors_works(run) -> None:
    done = run("bash", "-c", "cat <(echo substituted); echo piped | cat /dev/stdin")
    assert done.stdout == "substituted\npiped\n"


@pytest.mark.parametrize("subtree", ["fs/cgroup", "kernel/mm", "kernel/security"])
def test_real_subtrees_are_bound_back(any_run, subtree) -> None:
    real = Path("/sys", subtree)
    if not real.is_dir():
        pytest.skip(f"this host has no {real}")
    assert any_run.shell(f"ls -A {real}").split() == sorted(os.listdir(real))


# -- Untouched --------------------------------------------------------------------------


def test_writes_change_nothing_of_the_host(any_run) -> None:
    before = host_affinities()
    any_run.shell(
        "for f in /proc/irq/default_smp_affinity /proc/irq/*/smp_affinity; do echo 1 > $f; done;"
        "cat /proc/irq/*/smp_affinity | sort | uniq -c"
    )
    assert host_affinities() == before


# Prints what can be written and is not the guest's, apart from the files of processes.
WRITABLE = """
import os
guest = {os.stat(f"{os.environ['FAKEPROC']}/{name}").st_dev for name in ("proc", "sys")}
for top in ("/proc", "/sys"):
    for directory, below, files in os.walk(top):
        if directory == "/proc":
            below[:] = [name for name in below if not name.isdigit()]
        for path in (f"{directory}/{name}" for name in files):
            try:
                if os.lstat(path).st_dev not in guest and os.access(path, os.W_OK):
                    print(path)
            except OSError:
                pass
"""


def writable(runs: Runs, *options: str) -> list[str]:
    done = runs(sys.executable, "-c", WRITABLE, options=options)
    assert (done.returncode, done.stderr) == (0, "")
    return [path for path in done.stdout.splitlines() if not os.path.islink(path)]


def test_nothing_of_the_host_can_be_written(any_run) -> None:
    """A daemon that tunes the guest would tune the host as well: 1,617 files, as root."""
    assert writable(any_run) == []


@pytest.mark.usefixtures("_as_root")
def test_the_host_can_be_written_where_that_is_wanted(run) -> None:
    found = writable(run, "--host-writable")
    assert "/proc/sys/vm/swappiness" in found


def test_a_sysctl_says_that_it_is_read_only_and_keeps_its_value(any_run) -> None:
    before = Path("/proc/sys/vm/swappiness").read_text()
    out = any_run.shell("{ echo 1 > /proc/sys/vm/swappiness; } 2>&1 || true")
    assert re.search("Read-only file system|Permission denied", out)
    assert Path("/proc/sys/vm/swappiness").read_text() == before


def test_what_is_read_only_stays_so_in_a_run_within_a_run(any_run) -> None:
    out = any_run.shell(
        f"{shlex.join(FAKEPROC)} run -- sh -c '! echo 1 > /proc/sys/vm/swappiness' 2>&1"
    )
    assert re.search("Read-only file system|Permission denied", out)


def test_a_kernel_that_cannot_protect_is_named_with_the_option(monkeypatch) -> None:
    monkeypatch.setattr(namespace, "_SYS_MOUNT_SETATTR", 100_000)  # a call that no kernel has
    with pytest.raises(namespace.NamespaceError, match=r"older than 5\.12 .* --host-writable"):
        namespace.make_read_only(Path("/proc/sys"))


def test_an_ordinary_user_is_root_over_nothing_of_the_host(user_run) -> None:
    before = host_affinities()
    out = user_run.shell("""\
        id -u
        umount /proc/irq  # what is mounted inside, one may unmount inside
        for file in /proc/irq/default_smp_affinity /proc/irq/*/smp_affinity /etc/passwd; do
            if echo 1 2>/dev/null > $file; then echo "written: $file"; fi
        done
        ! mknod /tmp/null c 1 3 2>/dev/null
        ! mount -t proc none /mnt 2>/dev/null
        ! chown 1 $FAKEPROC/.. 2>/dev/null
        """)
    assert out == "0\n"
    assert host_affinities() == before


# -- Where the system forbids it -----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "refusing", "allowing"),
    [
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("user.max_user_namespaces", "0", "10000"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ],
)
def test_the_setting_that_forbids_it_is_named(tmp_path, name, refusing, allowing) -> None:
    file = tmp_path / name.replace(".", "/")
    file.parent.mkdir()
    file.write_text(f"{refusing}\n")
    sentence = why_refused(PermissionError(1, "Operation not permitted"), 1000, tmp_path)
    assert sentence == (
        f"this system forbids ordinary users to make namespaces by {name}={refusing}: "
        f"'sysctl {name}={allowing}' as root allows it, or use sudo"
    )
    file.write_text(f"{allowing}\n")
    assert name not in why_refused(PermissionError(1, "no"), 1000, tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot(2) is for root")
def test_in_a_chroot_whose_directory_is_no_mount_point(run: Runs, tmp_path: Path) -> None:
    """There "/" cannot be made private before it is a mount: what a debootstrap leaves."""
    command = [*FAKEPROC, "run", "--net", "host", "--", "cat", "/proc/irq/39/smp_affinity_list"]
    script = f"""
        for path in /*; do
            if [ -L "$path" ]; then cp -P "$path" {tmp_path}
            elif [ -d "$path" ]; then mkdir {tmp_path}$path && mount --rbind "$path" {tmp_path}$path
            fi
        done
        exec chroot {tmp_path} {shlex.join(command)}
    """
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "bash", "-c", script],
        env=run.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "6\n", "")


# Forbids it to a user namespace of its own, whose setting ends with it, and in
# which it is an ordinary user as soon as it executes something.
FORBIDDING = """\
import ctypes, os, sys
from pathlib import Path
uid, gid = os.geteuid(), os.getegid()
if ctypes.CDLL(None).unshare(0x10000000) < 0:
    sys.exit("unshare")
Path("/proc/self/setgroups").write_text("deny")
Path("/proc/self/uid_map").write_text(f"1000 {uid} 1")
Path("/proc/self/gid_map").write_text(f"1000 {gid} 1")
Path("/proc/sys/user/max_user_namespaces").write_text("0")
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_without_user_namespaces_it_is_a_sentence(run) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORBIDDING, *FAKEPROC, "run", "--", "true"],
        env=run.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "fakeproc: this system forbids ordinary users to make namespaces by "
        "user.max_user_namespaces=0: 'sysctl user.max_user_namespaces=10000' as root allows it, "
        "or use sudo\n"
    )


@pytest.mark.usefixtures("_as_root")
def test_a_device_that_is_not_for_everybody_is_a_sentence(user_run) -> None:
    done = Runs(user_run.directory, as_ordinary_user(device=0o600))("true")
    assert done.returncode == 1
    assert done.stderr == (
        "fakeproc: you may not use /dev/fuse: its mode must be 0666 for ordinary users "
        "('chmod 666 /dev/fuse' as root), or run as root\n"
    )


@pytest.mark.usefixtures("_as_root")
def test_root_without_the_right_to_mount_is_a_sentence(run) -> None:
    done = subprocess.run(
        ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", *FAKEPROC, "run", "true"],
        env=run.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "this root has no CAP_SYS_ADMIN; start the container with" in done.stderr

"""What is the guest's inside, what is the host's, and that the host's stays untouched."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from fakeproc.run.namespace import why_refused

from .runs import FAKEPROC, USER, Runs, as_ordinary_user, eventually


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
        "cd $FAKEPROC/proc; for f in *; do if [ -f /proc/$f ]; then cmp $f /proc/$f; echo $f; fi; done",
        ["--clock", "manual"],
    )
    assert {"interrupts", "stat", "softirqs", "cpuinfo", "version", "uptime"} <= set(out.split())
    assert any_run.shell("ls /proc/irq").split()[-2:] == ["9", "default_smp_affinity"]


def test_sys_is_the_guests(any_run) -> None:
    out = any_run.shell("ls /sys/bus/vmbus/devices | wc -l; ls /sys/bus/vmbus/drivers; mount")
    assert re.match(r"1[0-9]\n(?s:.*)hv_netvsc\n", out)
    # kselftest looks for sysfs at the first line that says so.
    assert next(line for line in out.splitlines() if " /sys " in line)


def test_the_pci_devices_of_the_host_are_not_to_be_seen(any_run) -> None:
    if not Path("/proc/bus/pci").exists():
        pytest.skip("this host has no PCI")
    assert any_run.shell("ls /proc/bus/pci; ls /sys/bus/pci/devices") == ""


def test_irqbalance_gets_a_directory_for_its_socket_where_the_host_has_one(run) -> None:
    with_directory = "mount -t tmpfs none /run && mkdir /run/irqbalance && touch /run/irqbalance/x"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", f'{with_directory}; exec "$@"', "sh", *FAKEPROC, "run",
         "--", "sh", "-euc", "ls -A /run/irqbalance; touch /run/irqbalance/mine"],
        env=run.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


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


def test_an_ordinary_user_who_may_not_open_the_device_has_fusermount(user_run) -> None:
    if os.geteuid() != 0:
        pytest.skip("it takes root to close the device")
    runs = Runs(user_run.directory, as_ordinary_user(device=0o600))
    out = runs.shell("id -u; echo 08 > /proc/irq/39/smp_affinity; cat /proc/irq/39/*list")
    assert out == "0\n3\n3\n"
    assert runs.left_behind() == []


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


def test_without_user_namespaces_it_is_a_sentence(user_run) -> None:
    if os.geteuid() != 0:
        pytest.skip("it takes root to forbid user namespaces to oneself")
    # The setting is one of the namespace: this one is root's, and ends with the test.
    process = subprocess.Popen(
        ["unshare", "--user", "--mount", "sh", "-euc",
         "read mapped; echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"", "sh",
         "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
         *FAKEPROC, "run", "--", "true"],
        env=user_run.environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for name in ("uid_map", "gid_map"):
        map_file = Path(f"/proc/{process.pid}/{name}")
        assert eventually(lambda: _is_in_its_namespace(process.pid))
        map_file.write_text("0 0 65535")
    _, err = process.communicate("mapped\n", timeout=60)
    done = subprocess.CompletedProcess(process.args, process.returncode, "", err)
    assert done.returncode == 1
    assert re.fullmatch(
        "fakeproc: this system forbids ordinary users to make namespaces by "
        "user.max_user_namespaces=0: 'sysctl .*' as root allows it, or use sudo\n",
        done.stderr,
    ), done.stderr


def _is_in_its_namespace(pid: int) -> bool:
    return os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user")


def test_root_without_the_right_to_mount_is_a_sentence(run) -> None:
    if os.geteuid() != 0:
        pytest.skip("the tests are not run as root")
    done = subprocess.run(
        ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", *FAKEPROC, "run", "true"],
        env=run.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "this root has no CAP_SYS_ADMIN; start the container with" in done.stderr

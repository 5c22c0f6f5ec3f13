"""A guest is handed on as it is now, and shows the same where it is taken up."""

from __future__ import annotations

import subprocess
import sys

import pytest
from programs import SEARCH, program

import fakeproc
from fakeproc import profiles
from recordings.machines import whole_tree

FORMS = ("guest.toml", "guest.tar.gz", "guest")


# The largest machine has half a million files: of it, those that tell of interrupts and devices.
WHOLE = [name for name in profiles.names() if name != "hyperv-max"]


@pytest.mark.parametrize("name", WHOLE)
def test_a_built_in_profile_comes_back_with_the_same_tree_and_bytes(tmp_path, name):
    machine = fakeproc.Machine(name)
    form = FORMS[WHOLE.index(name) % len(FORMS)]  # each takes a part of them
    machine.export(tmp_path / form)
    assert whole_tree(fakeproc.Machine(tmp_path / form)) == whole_tree(machine)


def test_the_largest_profile_comes_back(tmp_path):
    machine = fakeproc.Machine("hyperv-max")
    machine.export(tmp_path / "max.toml")
    again = fakeproc.Machine(tmp_path / "max.toml")
    for path in ("/proc/interrupts", "/proc/stat", "/proc/cpuinfo", "/host/traffic"):
        assert again.read(path) == machine.read(path)
    names = machine.list("/sys/bus/vmbus/devices")
    assert again.list("/sys/bus/vmbus/devices") == names
    for name in names:
        path = f"/sys/bus/vmbus/devices/{name}/channel_vp_mapping"
        assert again.read(path) == machine.read(path)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_machine(tmp_path, form):
    machine = fakeproc.Machine("hyperv-confidential")
    machine.export(tmp_path / form)
    assert whole_tree(fakeproc.Machine(tmp_path / form)) == whole_tree(machine)


NETVSC = "0022486b-1fa4-0022-486b-1fa40022486b"
SHUTDOWN = "b6650ff7-33bc-4840-8048-e0676786f393"
CHANGES = {
    "a channel is moved": [("/proc/irq/39/smp_affinity_list", "3")],
    "an interrupt is moved": [("/proc/irq/8/smp_affinity_list", "1-2")],
    "a CPU is offline": [
        (f"/proc/irq/{irq}/smp_affinity_list", "0") for irq in (34, 36, 37, 38, 39, 40, 43, 44)
    ] + [(f"/sys/devices/system/cpu/cpu{cpu}/online", "0") for cpu in (6, 7)],
    "second threads are off": [
        (f"/proc/irq/{irq}/smp_affinity_list", "0") for irq in range(28, 45)
    ] + [("/sys/devices/system/cpu/smt/control", "off")],
    "a device has come": [("/host/offer", "netvsc"), ("/host/offer", "vpci pci=nvme")],
    "traffic has changed": [("/host/traffic", "16 200 poisson"), ("/host/traffic", "timer 100")],
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_the_state_of_now_is_exported(tmp_path, change):
    machine = fakeproc.Machine()
    machine.advance(5)
    for path, text in CHANGES[change]:
        machine.write(path, text)
        machine.advance(1)
    machine.export(tmp_path / "now.toml")
    again = fakeproc.Machine(tmp_path / "now.toml")
    left, right = whole_tree(machine), whole_tree(again)
    for tree in (left, right):  # what CPUs were busy with is no part of a profile
        for path in ("/proc/stat", "/proc/uptime", "/proc/softirqs"):
            del tree[path]
    assert right == left
    assert again.read("/host/traffic") == machine.read("/host/traffic")
    for each in (machine, again):
        each.advance(10)
    total = sum(row.total for row in machine.interrupts().irqs.values())
    assert sum(row.total for row in again.interrupts().irqs.values()) == pytest.approx(
        total, rel=0.05
    )


def test_a_rescinded_device_is_not_exported(tmp_path):
    machine = fakeproc.Machine()
    machine.rescind(SHUTDOWN)
    machine.advance(1)
    before = machine.interrupts().irqs[26]
    machine.export(tmp_path / "now.toml")
    again = fakeproc.Machine(tmp_path / "now.toml")
    assert SHUTDOWN not in again.list("/sys/bus/vmbus/devices")
    assert again.interrupts().irqs[26] == before  # and nobody moves up
    assert 25 not in again.interrupts().irqs


def test_plugged_cpus_keep_their_places(tmp_path):
    machine = fakeproc.Machine("hyperv-2socket")
    machine.write("/host/cpu", "remove 15")
    machine.advance(1)
    machine.export(tmp_path / "now.toml")
    again = fakeproc.Machine(tmp_path / "now.toml")
    for path in ("present", "possible", "online", "cpu14/topology/thread_siblings_list"):
        whole = f"/sys/devices/system/cpu/{path}"
        assert again.read(whole) == machine.read(whole)
    assert again.read("/sys/devices/system/node/node1/cpulist") == "8-14\n"


def test_counts_without_the_series_are_kept(tmp_path):
    machine = fakeproc.Machine("hyperv-gen2", kernel="6.12")
    machine.advance(20)
    machine.export(tmp_path / "now.toml")
    again = fakeproc.Machine(tmp_path / "now.toml")
    assert again.read("/proc/interrupts") == machine.read("/proc/interrupts")
    path = f"/sys/bus/vmbus/devices/{NETVSC}/channels/19/interrupts"
    assert again.read(path) == machine.read(path) != "0\n"


def command(*words):
    return subprocess.run(
        [sys.executable, "-m", "fakeproc", *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_writes_what_the_name_says(tmp_path):
    done = command("export", "hyperv-confidential", "-o", tmp_path / "guest.toml")
    assert (done.returncode, done.stdout) == (0, f"wrote {tmp_path}/guest.toml, a profile\n")
    assert fakeproc.Machine(tmp_path / "guest.toml").list("/proc") != []
    done = command("export", tmp_path / "guest.toml", "-o", tmp_path / "guest.toml")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"fakeproc: {tmp_path}/guest.toml: File exists\n"
    done = command("export", "nobody", "-o", tmp_path / "x")
    assert done.returncode == 2
    assert done.stderr.startswith("fakeproc: no profile is called 'nobody'")
    assert not (tmp_path / "x").exists()


def test_a_mounted_guest_is_exported_as_a_directory_that_lscpu_and_lstopo_read(tmp_path):
    dump = tmp_path / "dump"
    with fakeproc.Guest("hyperv-2socket") as guest:
        guest.write("/sys/devices/system/cpu/cpu15/online", "0")
        done = command("export", guest.root, "-o", dump)
        assert done.stdout == f"wrote {dump}, a directory\n", done.stderr
        for ask in (lscpu, lscpu_table, lstopo):
            assert ask(dump) == ask(guest.root)
    assert "On-line CPU(s) list:                     0-14" in lscpu(dump)
    assert lstopo(dump).count('type="PU"') == 15


def printed(*words, **environment):
    return subprocess.run(
        words, env={"PATH": SEARCH, **environment}, capture_output=True, text=True, check=True
    ).stdout


def lscpu(root):
    return printed(program("lscpu"), "--sysroot", root)


def lscpu_table(root):
    return printed(program("lscpu"), "-e", "-J", "--sysroot", root)


def lstopo(root):
    xml = printed(
        program("lstopo-no-graphics"), "--of", "xml", "-",
        HWLOC_FSROOT=str(root), HWLOC_COMPONENTS="linux,stop",
    )  # fmt: skip
    return "\n".join(line for line in xml.splitlines() if "ProcessName" not in line)


@pytest.mark.parametrize("form", FORMS[1:])
def test_what_is_no_profile_of_ours_is_refused_in_one_sentence(tmp_path, form):
    fakeproc.Machine("hyperv-confidential").export(tmp_path / "guest")
    (tmp_path / "guest/profile.toml").write_text("description = 3\n")
    with pytest.raises(profiles.ProfileError) as refused:
        profiles.load(str(tmp_path / "guest"))
    assert f"{tmp_path}/guest: profile.toml" in str(refused.value)
    assert "\n" not in str(refused.value)

"""A guest of Hyper-V is recorded, and its devices live where the recording is imported."""

from __future__ import annotations

import re
import shutil

import pytest

import fakeproc
from fakeproc import profiles
from fakeproc.profiles import imported
from recordings.machines import whole_tree

NETVSC = "/sys/bus/vmbus/devices/0022486b-1fa4-0022-486b-1fa40022486b"

# What no import reads: the tables of the firmware, whose texts /sys/class/dmi/id has.
TABLES = r"/sys/firmware/dmi/tables/DMI"
UNTOLD = {
    # Its BIOS leaves out fields.
    "hyperv-gen1": r"|/sys/devices/virtual/dmi/id(/\w+)?|/sys/firmware/dmi/tables/\w+",
    # Whether timers expire as messages; the guest has just booted and counts nothing of them.
    "hyperv-old-host": r"|/proc/(stat|softirqs|schedstat)",
    # Which devices a paravisor offers, and so how much was said at boot.
    "hyperv-confidential": r"|/proc/(stat|schedstat)",
}


def recorded(machine, top):
    """What `fakeproc record` takes of a guest: /proc and /sys, and no profile."""
    machine.export(top)
    (top / "profile.toml").unlink()
    return top


@pytest.mark.parametrize("name", [name for name in profiles.names() if name != "hyperv-max"])
def test_a_recorded_guest_is_imported_with_the_same_tree_and_bytes(tmp_path, name):
    machine = fakeproc.Machine(name)
    profile, _, findings = imported([recorded(machine, tmp_path / "guest")])
    before, after = whole_tree(machine), whole_tree(fakeproc.Machine(profile))
    assert before.keys() - after.keys() == set()
    untold = re.compile(TABLES + UNTOLD.get(name, ""))
    different = {path for path in after if after[path] != before.get(path)}
    assert {path for path in different if not untold.fullmatch(path)} == set()
    assert "assumed: VMBus protocol 5.3" in findings.lines()


def test_the_devices_of_an_import_live(tmp_path):
    machine = fakeproc.Machine(recorded(fakeproc.Machine(), tmp_path / "guest"))
    machine.write("/proc/irq/39/smp_affinity_list", "3")
    machine.advance(1)
    assert "19:3\n" in machine.read(f"{NETVSC}/channel_vp_mapping")
    machine.interrupt(19, 7)
    assert machine.interrupts().by_cpu(machine.interrupts().irqs[39])[3] == 7
    machine.rescind("0022486b-1fa4-0022-486b-1fa40022486b")
    machine.advance(1)
    assert not machine.exists(NETVSC)
    assert 39 not in machine.interrupts().irqs
    machine.offer("netvsc")
    machine.advance(1)
    assert machine.interrupts().irqs[34].actions == ("netvsc",)


@pytest.mark.parametrize("kernel", ["6.12", "rfc-as-reviewed", "rfc-7.2"])
def test_counts_come_back_on_every_kernel(tmp_path, kernel):
    machine = fakeproc.Machine(kernel=kernel)
    machine.advance(20)
    again = fakeproc.Machine(recorded(machine, tmp_path / "guest"))
    assert again.read("/proc/interrupts") == machine.read("/proc/interrupts")
    for path in ("interrupts", "cpu", "subchannel_id", "monitor_id"):
        path = f"{NETVSC}/channels/19/{path}"  # noqa: PLW2901
        assert again.read(path) == machine.read(path)


def test_cpus_that_are_offline_take_no_channel_away(tmp_path):
    machine = fakeproc.Machine("azure-d64")
    for irq in (int(irq) for irq in machine.list("/proc/irq") if irq.isdigit()):
        if machine.read(f"/proc/irq/{irq}/effective_affinity_list") == "63\n" and irq < 107:
            machine.write(f"/proc/irq/{irq}/smp_affinity_list", "0-62")
            machine.interrupt("message")
    machine.set_online(63, False)
    machine.advance(1)
    again = fakeproc.Machine(recorded(machine, tmp_path / "guest"))
    assert again.read("/sys/devices/system/cpu/online") == "0-62\n"
    assert again.read("/proc/interrupts") == machine.read("/proc/interrupts")


def test_a_function_that_is_no_kind_of_ours_has_its_interrupts_alone(tmp_path):
    top = recorded(fakeproc.Machine("azure-d64"), tmp_path / "guest")
    table = top / "proc/interrupts"
    text = table.read_text().replace("nvme0q", "mydisk-")
    table.write_text(text)
    profile, _, findings = imported([top])
    assert (
        "assumed: that the function of PCI domain 0007 has 65 interrupts, and no device"
        in findings.lines()
    )
    machine = fakeproc.Machine(profile)
    assert machine.read("/proc/interrupts") == text
    assert not machine.exists("/sys/bus/pci/devices/0007:00:00.0")
    assert machine.exists("/sys/bus/pci/devices/c05b:00:02.0")
    machine.write("/proc/irq/109/smp_affinity_list", "9")


def test_what_scsi_hosts_are_called_decides_who_was_probed_late(tmp_path):
    machine = fakeproc.Machine(recorded(fakeproc.Machine(), tmp_path / "guest"))
    scsi = "/sys/bus/vmbus/devices/f8b3781%s-1e82-4818-a1c3-63d806ec15bb"
    assert "host1" in machine.list(scsi % "b")
    assert "host0" in machine.list(scsi % "a")


def test_a_bus_without_devices_is_missing(tmp_path):
    top = recorded(fakeproc.Machine("hyperv-confidential"), tmp_path / "guest")
    shutil.rmtree(top / "sys/bus/vmbus/devices")
    profile, _, findings = imported([top])
    assert "missing: the devices of the VMBus" in findings.lines()
    assert not profile.hyperv
    table = (top / "proc/interrupts").read_text()
    assert fakeproc.Machine(profile).read("/proc/interrupts") == table

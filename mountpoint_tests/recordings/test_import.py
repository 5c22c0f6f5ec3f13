"""What people have of a machine becomes a machine that shows it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import fakeproc
from fakeproc.profiles import ProfileError, imported
from recordings.machines import CPU, FILES, TABLE, as_archive, as_directory

# Of old kernels (3.13 still): chip and flow are one word, counted rows may lack an action.
OLD = """\
           CPU0       CPU1       
  0:        101          0   IO-APIC-edge      timer
  3:          0          1   IO-APIC-edge    
 16:          0          0   IO-APIC-fasteoi   uhci_hcd:usb5, ahci
 64: 2844203322          0  xen-percpu-virq      timer0
 65:          7          0   xen-dyn-event     eth0
 66:          1          2  xen-pirq-ioapic-level  uhci_hcd:usb1
506:          0  505130682   PCI-MSI-edge      eth1
NMI:          0          0   Non-maskable interrupts
LOC:  676686527  584998246   Local timer interrupts
SPU:          0          0   Spurious interrupts
ERR:          0
"""  # noqa: W291 - as the kernel prints it


def test_a_table_of_an_old_kernel_is_shown_again_byte_by_byte(tmp_path):
    pasted = tmp_path / "interrupts.txt"
    pasted.write_text(OLD)
    machine = fakeproc.Machine(imported([pasted])[0])
    assert machine.read("/proc/interrupts") == OLD
    machine.write("/proc/irq/506/smp_affinity_list", "0")
    assert machine.read("/proc/irq/506/smp_affinity") == "1\n"


def test_a_row_of_one_word_is_an_action_without_a_chip(tmp_path):
    pasted = tmp_path / "interrupts.txt"
    pasted.write_text("           CPU0\n  1:          0   4020KEY\nErr:          0\n")
    [irq] = imported([pasted])[0].irqs
    assert (irq.chip, irq.actions) == ("-", ("4020KEY",))


def test_a_pasted_table_is_shown_again_byte_by_byte(tmp_path):
    pasted = tmp_path / "interrupts.txt"
    pasted.write_text(TABLE)
    profile, _, findings = imported([pasted])
    assert fakeproc.Machine(profile).read("/proc/interrupts") == TABLE
    assert "missing: /proc/cpuinfo" in findings.lines()
    assert "assumed: Linux 6.12" in findings.lines()


@pytest.mark.parametrize("kind", ["directory", "tar", "gz", "bz2", "xz"])
def test_every_kind_of_source_gives_the_same_machine(tmp_path, kind):
    if kind == "directory":
        source = as_directory(FILES, tmp_path / "dump")
    else:
        source = as_archive(FILES, tmp_path / f"dump.tar.{kind}".replace(".tar.tar", ".tar"))
    machine = fakeproc.Machine(source)
    shown = {
        name: machine.read(f"/{name}").replace("\0", "") for name in FILES if "node2" not in name
    }
    node = "sys/devices/system/node/node2"
    assert shown == {
        name: text.replace("24/smp_affinity\n", "")
        for name, text in FILES.items()
        if "node2" not in name
    }
    assert machine.read(f"/{node}/cpulist") == "0-1\n"
    assert "MemTotal:        2097151 kB" in machine.read(f"/{node}/meminfo")


def test_the_imported_machine_lives(tmp_path):
    machine = fakeproc.Machine(as_directory(FILES, tmp_path))
    machine.write("/proc/irq/24/smp_affinity_list", "0")
    machine.write(f"/{CPU}/cpu1/online", "0")
    assert machine.read(f"/{CPU}/online") == "0\n"
    assert machine.read("/proc/interrupts").splitlines()[0].split() == ["CPU0"]
    machine.write(f"/{CPU}/cpu1/online", "1")
    assert machine.read(f"/{CPU}/online") == "0-1\n"


def test_several_texts_are_one_machine(tmp_path):
    (tmp_path / "a").write_text(TABLE)
    (tmp_path / "b").write_text("/proc/irq/24/smp_affinity:2\n/proc/irq/24/effective_affinity:2\n")
    (tmp_path / "c").write_text("MemTotal:       4000000 kB\n")
    machine = fakeproc.Machine(imported([tmp_path / name for name in "abc"])[0])
    assert machine.read("/proc/irq/24/smp_affinity_list") == "1\n"
    assert "4000000 kB" in machine.read("/proc/meminfo").splitlines()[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "an empty file"),
        ("root:x:0:0\n", "line 1: neither /proc/interrupts"),
        ("   CPU0\nno colon here\n", "proc/interrupts: line 2: no label before a colon"),
        ("processor\t: 0\ncpu\t\t: POWER9\n", "a machine of POWER"),
        ("processor : 0\nvendor_id : IBM/S390\n", "a machine of s390x"),
    ],
)
def test_what_cannot_be_read_is_refused_by_file_and_line(tmp_path, text, why):
    source = tmp_path / "pasted.txt"
    source.write_text(text)
    with pytest.raises(ProfileError) as refused:
        imported([source])
    assert why in str(refused.value)
    assert str(source) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_command_writes_a_profile_that_mounts(tmp_path):
    source, profile = tmp_path / "interrupts.txt", tmp_path / "reported.toml"
    source.write_text(TABLE)
    done = subprocess.run(
        [sys.executable, "-m", "fakeproc", "import", source, "-o", profile],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "found: /proc/interrupts of 2 CPUs: 3 interrupts and 3 rows" in done.stderr
    assert done.stdout == ""
    assert fakeproc.Machine(profile).read("/proc/interrupts") == TABLE


def test_the_command_refuses_in_one_sentence(tmp_path):
    source = tmp_path / "notes.txt"
    source.write_text("hello\n")
    done = subprocess.run(
        [sys.executable, "-m", "fakeproc", "import", source], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"fakeproc: {source}, line 1: ")
    assert done.stderr.count("\n") == 1

"""A machine is recorded, without what identifies it, and imported again."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tarfile

import pytest
from programs import SEARCH, program

import fakeproc
from fakeproc.recordings import record
from fakeproc.recordings.record import Names
from recordings.machines import FILES, TABLE, as_directory

PRIVATE = {
    "proc/sys/kernel/hostname": "web1.example.org\n",
    "proc/cmdline": "root=UUID=6f1c2b1e-0c3b-4f6e-9a35-3b8a1d2f4c55 ip=10.1.2.3 host=web1\n",
    "sys/devices/virtual/dmi/id/product_serial": "VMware-56 4d\n",
    "sys/devices/pci0000:00/net/eth0/address": "52:54:00:12:34:56\n",
    "sys/devices/pci0000:00/net/eth0/uevent": "MAC=52:54:00:12:34:56\n",
}


def recorded(root, tmp_path, *more):
    archive = tmp_path / "machine.tar.gz"
    assert record.main(["-o", str(archive), "--root", str(root), *more]) == 0
    return archive


def texts(archive):
    with tarfile.open(archive) as tar:
        return {
            info.name.partition("/")[2]: tar.extractfile(info).read().decode()
            for info in tar
            if info.isreg()
        }


def test_what_identifies_a_machine_is_replaced_by_the_same_everywhere(tmp_path):
    root = as_directory(FILES | PRIVATE, tmp_path / "root")
    found = texts(recorded(root, tmp_path))
    assert found["proc/sys/kernel/hostname"] == "host-2\n"
    assert found["proc/cmdline"] == (
        "root=UUID=00000000-0000-4000-8000-000000000001 ip=192.0.2.1 host=host-1\n"
    )
    assert found["sys/devices/virtual/dmi/id/product_serial"] == "serial-1\n"
    address = found["sys/devices/pci0000:00/net/eth0/address"]
    assert address == "02:00:00:00:00:01\n"
    assert found["sys/devices/pci0000:00/net/eth0/uevent"] == f"MAC={address}"
    assert found["proc/interrupts"] == TABLE
    manifest = json.loads(found["manifest.json"])
    assert manifest["replaced"] == {"host": 2, "ip": 1, "mac": 1, "serial": 1, "uuid": 1}


def test_names_are_kept_where_they_are_asked_for(tmp_path):
    root = as_directory(FILES | PRIVATE, tmp_path / "root")
    found = texts(recorded(root, tmp_path, "--keep-names"))
    assert {name: found[name] for name in PRIVATE} == PRIVATE


def test_the_guid_of_a_class_stays():
    names = Names("web1", ["f8615163-df3e-46c5-913f-f2d2f965ed0e"])
    text = "vmbus:F8615163-DF3E-46C5-913F-F2D2F965ED0E"
    assert names.replaced("modalias", text) == text


def test_a_recording_is_imported_to_what_it_was_taken_from(tmp_path):
    root = as_directory(FILES, tmp_path / "root")
    machine, original = fakeproc.Machine(recorded(root, tmp_path)), fakeproc.Machine(root)
    for path in ("/proc/interrupts", "/proc/cpuinfo", "/proc/irq/24/smp_affinity"):
        assert machine.read(path) == original.read(path)


def test_this_machine_is_recorded_and_imported(tmp_path):
    machine = fakeproc.Machine(recorded("/", tmp_path))
    online = "/sys/devices/system/cpu/online"
    with open(online) as file:
        assert machine.read(online) == file.read()
    for name in ("core_id", "physical_package_id", "thread_siblings_list"):
        path = f"/sys/devices/system/cpu/cpu0/topology/{name}"
        if os.path.exists(path):
            with open(path) as file:
                assert machine.read(path) == file.read()


@pytest.mark.parametrize("words", [("lscpu",), ("lscpu", "-e"), ("lscpu", "-J")])
def test_lscpu_of_this_machine_agrees_with_lscpu_on_the_import(own_machine, words):
    tool, *options = words
    command = [program(tool), *options, "--sysroot"]
    mine, imported = (printed(*command, root) for root in ("/", own_machine))
    assert without(_LIVE, imported) == without(_LIVE, mine)


def test_lstopo_of_this_machine_agrees_with_lstopo_on_the_import(own_machine):
    command = [program("lstopo-no-graphics"), "--of", "console", "--no-io", "--whole-system"]
    mine, imported = (
        printed(*command, HWLOC_FSROOT=str(root), HWLOC_COMPONENTS="linux,stop")
        for root in ("/", own_machine)
    )
    assert imported == mine


# What this machine is asked by other means than its files, or what does not stand still.
_LIVE = re.compile(r"\s*\"?(?:field\": \")?(?:Virtualization|Hypervisor|CPU\(s\) scaling MHz|BIOS)")


def without(pattern, text):
    return [line for line in text.splitlines() if not pattern.match(line)]


def printed(*words, **environment):
    return subprocess.run(
        words, env={"PATH": SEARCH, "LC_ALL": "C", **environment}, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip


@pytest.fixture(scope="module")
def own_machine(tmp_path_factory):
    """A directory with what the machine shows that the recording of this one is imported to."""
    top = tmp_path_factory.mktemp("own")
    fakeproc.Machine(recorded("/", top)).export(top / "dump")
    return top / "dump"


def test_the_script_is_one_file_of_python_3_6(tmp_path):
    printed = subprocess.run(
        [sys.executable, "-m", "fakeproc", "record", "--script"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    tree = ast.parse(printed, feature_version=(3, 6))
    imported = {
        name.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported <= sys.stdlib_module_names
    root = as_directory(FILES, tmp_path / "root")
    command = [sys.executable, "-I", "-", "-o", "x.tar.gz", "--root", str(root)]
    subprocess.run(command, input=printed, text=True, check=True, cwd=tmp_path)
    assert texts(tmp_path / "x.tar.gz")["proc/interrupts"] == TABLE


def test_an_archive_that_is_there_is_not_overwritten(tmp_path, capsys):
    archive = tmp_path / "machine.tar.gz"
    archive.write_text("mine")
    assert record.main(["-o", str(archive), "--root", str(tmp_path)]) == 1
    assert archive.read_text() == "mine"
    assert capsys.readouterr().err == f"record: {archive}: File exists\n"


def test_a_directory_without_proc_leaves_no_archive(tmp_path, capsys):
    archive = tmp_path / "machine.tar.gz"
    assert record.main(["-o", str(archive), "--root", str(tmp_path)]) == 1
    assert not archive.exists()
    assert "no proc and sys to be read" in capsys.readouterr().err

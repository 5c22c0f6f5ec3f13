"""A sos report that was taken in a guest imports to the machine that it was taken from."""

from __future__ import annotations

import re

import pytest
from programs import program

import fakeproc
from recordings.machines import whole_tree

# The plugins that take /proc/irq, the VMBus, and the topology.
PLUGINS = "hardware,hyperv,kernel,numa,processor"
SAME = re.compile(
    r"/proc/(interrupts|irq\b.*|cpuinfo|version)|/sys/bus/vmbus\b.*|/sys/devices/LNXSYSTM:00\b.*"
    r"|/sys/devices/system/cpu\b.*|/sys/devices/system/node/node\d+/(cpu.*|distance)"
)


@pytest.mark.usefixtures("_as_root", "_fuse")  # sos takes a report as root alone
@pytest.mark.timeout(1200)  # sos copies each file by itself, in a run
@pytest.mark.parametrize("name", ["hyperv-gen2", "azure-d64"])
def test_a_sos_report_of_a_guest_is_the_machine_that_it_was_taken_from(tmp_path, name):
    reports = tmp_path / "reports"
    reports.mkdir()
    (tmp_path / "sos.conf").touch()
    with fakeproc.Guest(name, cpus=8) as guest:  # of 64 it takes eight times as long
        before = {path: text for path, text in whole_tree(guest).items() if SAME.fullmatch(path)}
        guest.run(
            [program("sos"), "report", "--batch", "--only-plugins", PLUGINS, "--tmp-dir", reports,
             "--compression-type", "gzip", "--config-file", tmp_path / "sos.conf"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    (report,) = reports.glob("sosreport-*.tar.gz")
    after = whole_tree(fakeproc.Machine(report))
    assert {path: after.get(path) for path in before} == before
    assert len(before) > 1000

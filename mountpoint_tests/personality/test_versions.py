"""A version of Linux is a row in each of two tables, and no more."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields

from conftest import CommandLine

from fakeproc.files.kernels.versions import SHOWN, Shown
from fakeproc.personality import VERSIONS, Version

ADDED = """
from dataclasses import replace
from fakeproc import personality
from fakeproc.files.kernels import versions

personality.VERSIONS["6.6"] = replace(personality.V6_1, cpu0_hotplug=False)
versions.SHOWN["6.6"] = replace(versions.V6_1, cpu_files=frozenset({"crash_hotplug"}))

from fakeproc.cli.main import main
main()
"""


def test_both_tables_have_the_same_versions() -> None:
    assert VERSIONS.keys() == SHOWN.keys()


def test_every_field_of_the_tables_differs_somewhere() -> None:
    for table, of in ((VERSIONS, Version), (SHOWN, Shown)):
        for field in fields(of):
            values = [getattr(row, field.name) for row in table.values()]
            assert any(value != values[0] for value in values), field.name


def test_a_version_is_added_by_a_row_in_each_and_mounted_by_name(
    cli: CommandLine, tmp_path
) -> None:
    place = tmp_path / "guest"
    place.mkdir()

    def fakeproc(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", ADDED, *words],
            check=False,
            env=cli.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert "6.6\t6.6\tabsent" in fakeproc("kernels").stdout.splitlines()
    done = fakeproc("mount", "--kernel", "6.6", "--clock", "manual", str(place))
    assert done.returncode == 0, done.stderr
    try:
        assert (place / "proc/version").read_text().startswith("Linux version 6.6.0 ")
        assert (place / "sys/devices/system/cpu/crash_hotplug").read_text() == "0\n"
        assert not (place / "sys/devices/system/cpu/enabled").exists()
    finally:
        assert fakeproc("umount", str(place)).returncode == 0

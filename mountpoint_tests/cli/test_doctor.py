"""`fakeproc doctor`, and the tables of the command line for programs."""

from __future__ import annotations

import json

import pytest
from conftest import CommandLine

pytestmark = pytest.mark.usefixtures("_fuse")


def test_where_all_works(cli: CommandLine) -> None:
    done = cli("doctor", "--json")
    found = {finding["what"]: finding["works"] for finding in json.loads(done.stdout)}
    assert list(found) == ["FUSE", "mount", "run", "run: system calls", "run: time", "run: uevents"]
    assert done.returncode == (0 if all(found.values()) else 1)
    assert found["mount"]


def test_what_is_missing_is_named_with_what_to_do(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKEPROC_LIBFUSE", "4")
    done = cli("doctor")
    assert done.returncode == 1
    assert done.stdout.splitlines()[1:] == ["FUSE\tfails\tFAKEPROC_LIBFUSE is 2 or 3, not 4"]
    assert done.stderr == "fakeproc: does not work here: FUSE\n"


@pytest.mark.parametrize(
    ("command", "keys"),
    [("profiles", {"name", "description"}), ("kernels", {"name", "version", "series"})],
)
def test_lists_for_programs(cli: CommandLine, command: str, keys: set[str]) -> None:
    rows = json.loads(cli(command, "--json").stdout)
    assert len(rows) > 5
    assert all(set(row) == keys and all(row.values()) for row in rows)


def test_the_list_has_no_place_beside_a_subcommand(cli: CommandLine) -> None:
    done = cli("profiles", "--json", "show", "hyperv-gen2")
    assert done.returncode == 2
    assert "--json is for the list" in done.stderr

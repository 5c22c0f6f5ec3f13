"""README.md and CONTRIBUTING.md: the examples are run, the tables compared with what there is."""

from __future__ import annotations

import configparser
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import pytest
from conftest import REPOSITORY, CommandLine

from fakeproc import Guest

README = (REPOSITORY / "README.md").read_text()
CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text()


def section(heading: str) -> str:
    """What stands under a heading of the README."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.M)
    assert found, heading
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head; a cell may hold \\|."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [[cell.strip() for cell in row] for row in cells if not set(row[0]) <= set("-")][1:]


def code(text: str) -> list[str]:
    """What is in `backquotes`, blocks apart."""
    return re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.M))


# -- Examples ---------------------------------------------------------------------


@dataclass
class Step:
    """A command, and the lines that it prints; ... stands for anything."""

    command: str
    printed: str = ""


def steps() -> Iterator[Step]:
    """Every example but the transcript of the demonstration, which has a test of its own."""
    step = None
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                if step:
                    yield step
                step = Step(line.removeprefix("$ "))
            else:
                assert step, line
                step.printed += f"{line}\n"
    if step:
        yield step


def words(text: str) -> str:
    """The text with one blank wherever there are blanks, tabs or newlines."""
    return " ".join(text.split())


def matches(printed: str, expected: str) -> bool:
    parts = [re.escape(words(part)) for part in expected.split("...")]
    return re.fullmatch(r"\s?.*\s?".join(parts), words(printed)) is not None


@pytest.mark.usefixtures("_fuse")
def test_examples(cli: CommandLine, tmp_path: Path) -> None:
    """From the first to the last, in one directory, as a reader would type them."""
    programs, directory = tmp_path / "bin", tmp_path / "home"
    programs.mkdir()
    directory.mkdir()
    command = programs / "fakeproc"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fakeproc "$@"\n')
    command.chmod(0o755)
    environment = cli.environment | {"PATH": f"{programs}:{os.environ['PATH']}", "LC_ALL": "C"}
    mounted: set[Path] = set()
    here = directory
    try:
        for step in steps():
            if step.command.startswith("cd "):
                here = Path(os.path.normpath(here / step.command.removeprefix("cd ")))
                continue
            if step.command.startswith("fakeproc mount "):
                mounted.add(here / step.command.split()[-1])
            done = subprocess.run(
                ["bash", "-c", step.command],
                cwd=here,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60,
                check=False,
            )
            assert matches(done.stdout, step.printed), f"$ {step.command}\n{done.stdout}"
        assert len(mounted) > 1
        assert all(list(root.iterdir()) == [] for root in mounted)
    finally:
        for root in mounted:
            cli("umount", root)


def test_what_is_typed_in_a_shell_is_there() -> None:
    """Blocks that a test cannot run, as they run the tests."""
    lines = re.findall(r"```sh\n(.*?)```", README + CONTRIBUTING, re.DOTALL)
    commands = [line.split()[0] for block in lines for line in block.splitlines()]
    assert {"scripts/demo", "scripts/test"} <= set(commands)
    for command in commands:
        path = REPOSITORY / command
        assert command == ".venv/bin/pytest" or os.access(path, os.X_OK), command


def test_files_named_are_there() -> None:
    """In both documents, whatever looks like a path of this repository."""
    named = {name for name in code(README + CONTRIBUTING) if re.fullmatch(r"[\w./]+", name)}
    ours = {name for name in named if name.split("/")[0] in {"fakeproc", "mountpoint_tests"}}
    ours |= {name for name in named if re.fullmatch(r"[A-Z]+\.md|LICENSE|scripts/\w+", name)}
    assert len(ours) > 10
    assert [name for name in sorted(ours) if not (REPOSITORY / name).exists()] == []


@pytest.mark.parametrize("name", re.findall(r"<!-- from (\S+) -->", CONTRIBUTING))
def test_code_shown_is_code_that_is_there(name: str) -> None:
    source = (REPOSITORY / name).read_text()
    blocks = re.findall(rf"<!-- from {name} -->\n```\w+\n(.*?)```", CONTRIBUTING, re.DOTALL)
    assert blocks
    assert [block for block in blocks if block not in source] == []


# -- Tables -----------------------------------------------------------------------


def test_every_option_of_mount(cli: CommandLine) -> None:
    offered = set(re.findall(r"--[a-z-]+", cli("mount", "--help").stdout)) - {"--help"}
    listed = {code(row[0])[0].split()[0] for row in rows(section("Quick start"))}
    assert listed == offered


DEVICE = "sys/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00/<guid>"
# A class of names is written <name>; these are the ones that may stand for it.
NAMES = {"relid": "[0-9]*", "n": "[0-9]*", "guid": "*-*-*", "driver": "*", "action": "[!.]*"}


def paths_of(guest: Guest, pattern: str) -> list[Path]:
    pattern = pattern.replace("<device>", DEVICE)
    parts = re.split(r"<(\w+)>", pattern)
    parts[::2] = map(escape, parts[::2])
    parts[1::2] = (NAMES[name] for name in parts[1::2])
    return list(guest.root.glob("".join(parts)))


EMULATED = [
    (name, int(row[1], 8) if row[1] else None)
    for row in rows(section("What is emulated"))
    for name in code(row[0])
]


@pytest.mark.parametrize(("name", "mode"), EMULATED, ids=[name for name, _ in EMULATED])
def test_emulated(guest: Guest, name: str, mode: int | None) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in paths_of(guest, name)}
    if name == "proc/irq/<n>/<action>":
        files = {0o444, 0o644}
        assert modes - files == {mode}
    else:
        assert modes
        assert mode is None or modes == {mode}


def test_every_file_of_the_console(guest: Guest) -> None:
    listed = {code(row[0])[0]: row[1] for row in rows(section("The host's console"))}
    there = {path.name: f"{stat.S_IMODE(path.stat().st_mode):04o}" for path in guest.host.iterdir()}
    assert listed == there


def test_every_fault_and_option_of_an_offer(guest: Guest) -> None:
    """As the console itself lists them, when it is asked for something else."""
    written = {code(row[0])[0]: row[3] for row in rows(section("The host's console"))}
    for name in ("fault", "offer"):
        with pytest.raises(OSError, match="Invalid argument"):
            os.write(os.open(guest.host / name, os.O_WRONLY), b"scsi lunch\n")
        said = (guest.host / "log").read_text().splitlines()[-1]
        known = said.partition("is none of")[2].partition(" (EINVAL)")[0]
        found = re.findall(r"[a-z]+=?", known.partition(", or ")[0])
        assert found
        for word in found:
            assert word in written[name], said


def keys_of(value: object) -> set[str]:
    """The names of all keys, but not those that are numbers, GUIDs or rows."""
    if isinstance(value, list):
        return set().union(*map(keys_of, value))
    if not isinstance(value, dict):
        return set()
    names = {key for key in value if re.fullmatch(r"[a-z][a-z_]*", key)}
    return names.union(*map(keys_of, value.values()))


def test_every_key_of_the_state(guest: Guest) -> None:
    state = json.loads((guest.host / "state.json").read_text())
    listed = {word for name in code(section("state.json")) for word in name.split(".")}
    assert sorted(keys_of(state) - listed) == []
    invented = listed - keys_of(state) - {"*", "HYP", "HVS"}
    assert sorted(invented) == []


def test_every_dependency_has_a_reason() -> None:
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    lines = setup["options"]["install_requires"].splitlines()
    for extra in setup["options.extras_require"].values():
        lines += extra.splitlines()
    needed = {re.split("[ <>=]", line)[0] for line in lines if line}
    listed = {code(row[0])[0]: row[1] for row in rows(section("Dependencies"))}
    assert set(listed) == needed
    assert all(listed.values())


def test_no_machine_is_named() -> None:
    """No path and no host of the machine that somebody wrote it on."""
    for text in (README, CONTRIBUTING, (REPOSITORY / "CHANGELOG.md").read_text()):
        assert not re.search(r"/(home|root|work|tmp)/|localhost|\d+\.\d+\.\d+\.\d+", text)

"""README.md and CONTRIBUTING.md: the examples are run, and the links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import REPOSITORY, CommandLine, load_page_maker

README = (REPOSITORY / "README.md").read_text()
CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text()


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
    """Every command of the README."""
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
        assert mounted
        assert all(list(root.iterdir()) == [] for root in mounted)
    finally:
        for root in mounted:
            cli("umount", root)


@pytest.mark.usefixtures("_fuse")
def test_the_test_passes(pytester: pytest.Pytester) -> None:
    """The example for pytest, in a project of its own."""
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    pytester.makepyfile(example)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)


def test_it_is_one_page() -> None:
    assert len(README.splitlines()) <= 150


def test_every_link_leads_somewhere() -> None:
    """From the checkout, as a repository's page shows it; the site has links of its own."""
    links = re.findall(r"\]\(([^)#]+)", README.replace("\n", " "))
    ours = [link for link in links if not link.startswith("https://")]
    assert len(ours) > 10
    assert [link for link in ours if not (REPOSITORY / link).is_file()] == []


@pytest.mark.parametrize("name", ["picture.svg", "top.svg"])
def test_a_picture_is_what_a_guest_shows(name: str) -> None:
    maker = load_page_maker("picture")
    drawn = maker.PICTURES[name]()
    assert (maker.DIRECTORY / name).read_text() == drawn, "run: python docs/picture.py"
    assert not re.search(r"url\(.?http", drawn)


def test_what_is_typed_in_a_shell_is_there() -> None:
    """Blocks that a test cannot run, as they run the tests."""
    lines = re.findall(r"```sh\n(.*?)```", README + CONTRIBUTING, re.DOTALL)
    commands = [line.split()[0] for block in lines for line in block.splitlines()]
    assert {"scripts/demo", "scripts/test"} <= set(commands)
    elsewhere = {".venv/bin/pytest", ".", "sudo"}  # set-up makes it, or the system has it
    for command in set(commands) - elsewhere:
        assert os.access(REPOSITORY / command, os.X_OK), command


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


def test_no_machine_is_named() -> None:
    """No path and no host of the machine that somebody wrote it on."""
    for text in (README, CONTRIBUTING, (REPOSITORY / "CHANGELOG.md").read_text()):
        assert not re.search(r"/(home|root|work|tmp)/|localhost|\d+\.\d+\.\d+\.\d+", text)

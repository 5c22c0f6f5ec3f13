"""docs/: every block is run, page by page, in one directory a page, as a reader would.

- `console`: each line behind `$ ` is given to bash, and prints what stands below it;
  lines behind `> ` belong to the command above. `...` stands for anything.
- a block below `<!-- file: NAME -->` is written to that file; below `<!-- change: NAME -->`,
  it is a function that takes the place of the one of its name there.
- a block below `<!-- transcript: SCRIPT -->` is what a script prints, which has a test of its own.
- `python` without a file is run, and must end well.
- a block below `<!-- not run: WHY -->` is not; nor is `text`, which is no code.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from programs import FEW_PLUGINS

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DOCS = REPOSITORY / "docs"
PAGES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))
BLOCK = re.compile(
    r"(?:^<!-- (?P<key>file|change|not run|transcript): (?P<value>.*?) -->\n)?"
    r"^```(?P<language>.*)\n(?P<text>(?:.*\n)*?)```$",
    re.M,
)
# The scripts whose transcripts are shown, each with a test of its own that compares them.
TRANSCRIPTS = {"scripts/demo", "scripts/demo-offline-cpu", "scripts/demo-open-topics"}
# What takes something that a test has not: the reasons why a block is not run.
ELSEWHERE = {"these archives are yours", "it takes another machine", "the report is yours"}
ENGINES = ("docker ", "podman ")


@dataclass
class Step:
    """A command, and the lines that it prints."""

    command: str
    printed: list[str] = field(default_factory=list)


def matches(printed: str, expected: str) -> bool:
    """Whether it is that, but for blanks, and for what stands behind `...`."""
    parts = [re.escape(" ".join(part.split())) for part in expected.split("...")]
    return re.fullmatch(r"\s?.*\s?".join(parts), " ".join(printed.split())) is not None


def steps(text: str) -> Iterator[Step]:
    step = None
    for line in text.splitlines():
        if line.startswith("$ "):
            if step:
                yield step
            step = Step(line.removeprefix("$ "))
        elif line.startswith("> ") and step and not step.printed:
            step.command += "\n" + line.removeprefix("> ")
        else:
            assert step, line
            step.printed.append(line)
    if step:
        yield step


def changed(source: str, function: str) -> str:
    """A module in which a function is another."""
    head = function.partition("(")[0]
    old = re.search(rf"^{re.escape(head)}\(.*\n(?:(?: .*)?\n)*?(?=\n\n\S|\Z)", source, re.M)
    assert old, head
    return source.replace(old[0], function)


@dataclass
class Reader:
    """Who reads a page and types what it says."""

    here: Path
    environment: dict[str, str]
    mounted: set[Path] = field(default_factory=set)

    def run(self, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.here,
            env=self.environment,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    def type(self, step: Step) -> None:
        if step.command.startswith("cd "):
            self.here = Path(os.path.normpath(self.here / step.command.removeprefix("cd ")))
            return
        if step.command.startswith("fakeproc mount "):
            self.mounted.add(self.here / step.command.split()[-1])
        printed = self.run("bash", "-c", step.command).stdout
        assert matches(printed, "\n".join(step.printed)), f"$ {step.command}\n{printed}"

    def read(self, page: str) -> None:
        found = list(BLOCK.finditer(page))
        assert page.count("```") == 2 * len(found)
        for block in found:
            text, language = block["text"], block["language"]
            if block["key"] == "file":
                path = self.here / block["value"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                if language == "yaml":
                    yaml.safe_load(text)
            elif block["key"] == "change":
                path = self.here / block["value"]
                path.write_text(changed(path.read_text(), text))
            elif block["key"] == "transcript":
                assert block["value"] in TRANSCRIPTS
            elif block["key"] == "not run":
                assert language == "console", "only what is typed may be left out"
            elif language == "console":
                for step in steps(text):
                    self.type(step)
            elif language == "python":
                done = self.run(sys.executable, "-W", "error", "-", given=text)
                assert done.returncode == 0, done.stdout
            else:
                assert language == "text", f"nobody runs a block of {language!r}"


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    programs, home, run = tmp_path / "bin", tmp_path / "home", tmp_path / "run"
    for directory in (programs, home, run):
        directory.mkdir()
    for name, arguments in (
        ("fakeproc", "-m fakeproc"),
        ("pytest", "-m pytest -p no:cacheprovider"),
        ("python", ""),
    ):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        program.chmod(0o755)
    environment = os.environ | {
        "XDG_RUNTIME_DIR": str(run),
        "PYTHONPATH": str(REPOSITORY),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(home),
        "LC_ALL": "C",
    }
    environment |= FEW_PLUGINS
    environment.pop("PYTEST_ADDOPTS", None)
    found = Reader(home, environment)
    yield found
    for root in found.mounted:
        found.run("fakeproc", "umount", str(root))


@pytest.mark.parametrize("page", PAGES)
def test_page(reader: Reader, page: str) -> None:
    reader.read((DOCS / page).read_text())
    left = [root for root in reader.mounted if root.is_dir() and list(root.iterdir())]
    assert left == []


def test_the_tutorial_is_the_example_project() -> None:
    """Which is tested with fakeproc installed afresh, and with what the tutorial says."""
    project = REPOSITORY / "mountpoint_tests/example_project"
    page = (DOCS / "tutorial.md").read_text()
    blocks = {
        block["key"] + " " + block["value"]: block["text"]
        for block in BLOCK.finditer(page)
        if block["key"]
    }
    script = blocks["file spread_irqs.py"]
    assert script == (project / "spread_irqs.py").read_text()
    assert blocks["file test_spread_irqs.py"] == (project / "test_spread_irqs.py").read_text()
    mended = changed(script, blocks["change spread_irqs.py"])
    assert mended == (project / "spread_irqs_fixed.py").read_text()


def test_what_is_not_run_is_what_no_test_can() -> None:
    for page in PAGES:
        for block in BLOCK.finditer((DOCS / page).read_text()):
            if block["key"] == "not run" and block["value"] not in ELSEWHERE:
                for step in steps(block["text"]):
                    assert step.command.startswith(
                        (*ENGINES, "pip install ", ". ", "python3 -m venv")
                    )
                    assert not step.printed


def test_the_options_of_a_container_are_those_that_the_set_up_asks_for() -> None:
    said = (REPOSITORY / "scripts/setup").read_text()
    for option in (
        "--device /dev/fuse",
        "--cap-add SYS_ADMIN",
        "--security-opt apparmor=unconfined",
    ):
        assert option in said
        assert option in (DOCS / "how-to/container.md").read_text()


def test_no_machine_is_named() -> None:
    written = [*DOCS.rglob("*.*"), *(REPOSITORY / "man").iterdir(), REPOSITORY / "mkdocs.yml"]
    for path in written:
        if path.suffix != ".pyc":
            text = path.read_text()
            assert not re.search(r"/(home|root|work)/|localhost|\d+\.\d+\.\d+\.\d+", text), path

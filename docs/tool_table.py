"""The table of tools in explanation/what-a-program-sees.md: `python docs/tool_table.py` makes it.

Each tool of tool_table.toml runs in `fakeproc run`, and so does what reads the guest's files.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE / "explanation/what-a-program-sees.md"
HEADING = "## Tools\n"
OPTIONS = ("--profile=hyperv-2socket", "--clock=manual")

TOOL, GUEST, ABSENT = "\1", "\2", "\3"  # in what the script prints, before what they tell

# A tool that divides by the time since the boot is to find some, and one that looks twice finds
# as many interrupts as another one does.
BEGIN = """\
export LC_ALL=C
echo all 500 steady > $FAKEPROC/host/traffic
echo advance 60 > $FAKEPROC/host/clock
"""


@dataclass(frozen=True)
class Tool:
    """A table of tool_table.toml, whose head says what the keys are."""

    name: str
    package: str
    shows: str
    command: str
    guest: str = ":"
    needs: str = ""
    machine: str = ""
    lacks: str = ""


@dataclass(frozen=True)
class Answer:
    """The words that a tool says, and those of the guest's files."""

    said: list[str]
    guest: list[str]


def tools() -> list[Tool]:
    """All of them."""
    return [Tool(**keys) for keys in tomllib.loads((HERE / "tool_table.toml").read_text())["tool"]]


def script(asked: Iterable[Tool]) -> str:
    """What a shell in a run does to ask them all."""
    return BEGIN + "".join(map(_lines, asked))


def _lines(tool: Tool) -> str:
    needs = tool.needs or f"command -v {tool.name}"
    return (
        f"printf '\\001{tool.name} '\n"
        f"if {needs} >/dev/null 2>&1; then\n"
        f"({tool.command}\n) </dev/null 2>&1; printf '\\002'\n"
        f"({tool.guest}\n) </dev/null 2>&1\n"
        f"else printf '\\003'; fi\n"
    )


def answers(printed: str) -> dict[str, Answer | None]:
    """What that prints, by tool; None for one that is not installed."""
    found: dict[str, Answer | None] = {}
    for part in printed.split(TOOL)[1:]:
        name, _, rest = part.partition(" ")
        said, _, guest = rest.partition(GUEST)
        found[name] = None if rest.startswith(ABSENT) else Answer(said.split(), guest.split())
    return found


def verdict(tool: Tool, answer: Answer | None) -> str:
    """What the table says of it."""
    if answer is None:
        return "not run"
    if tool.machine:
        return f"the machine's: {tool.machine}"
    if tool.lacks:
        return f"cannot: the guest has no `{tool.lacks}`"
    return "right" if answer.said == answer.guest else "wrong"


def page(found: dict[str, Answer | None]) -> str:
    """The page with another table."""
    begin = PAGE.read_text().partition(HEADING)[0].rstrip()
    return f"{begin}\n\n{HEADING}" + INTRODUCTION + "\n".join(_table(found)) + "\n"


INTRODUCTION = """
What tools say in `fakeproc run` on a guest of the profile `hyperv-2socket`, compared with what the
guest's own files say of the same. `python docs/tool_table.py` runs them all and writes this table;
a test runs those that are installed.

"""


def _table(found: dict[str, Answer | None]) -> Iterator[str]:
    yield "| tool | version | shows | which is |"
    yield "|---|---|---|---|"
    for tool in tools():
        cells = (f"`{tool.name}`", _version(tool), tool.shows, verdict(tool, found[tool.name]))
        yield f"| {' | '.join(cells)} |"


def _version(tool: Tool) -> str:
    """Of the package, without what Debian adds."""
    if shutil.which("dpkg-query") is None:
        return ""
    command = ["dpkg-query", "--show", "--showformat=${Version}", tool.package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    number = re.match(r"(?:\d+:)?(\d+(?:\.\d+){0,2})", done.stdout)
    return number[1] if number else ""


def main() -> None:
    """Ask, and write."""
    command = [sys.executable, "-m", "fakeproc", "run", *OPTIONS, "--", "sh", "-c"]
    done = subprocess.run([*command, script(tools())], capture_output=True, text=True, check=True)
    found = answers(done.stdout)
    PAGE.write_text(page(found))
    wrong = {t.name: a for t in tools() if verdict(t, a := found[t.name]) == "wrong"}
    if wrong:
        sys.exit("\n".join(f"{name}: {answer}" for name, answer in wrong.items()))


if __name__ == "__main__":
    main()

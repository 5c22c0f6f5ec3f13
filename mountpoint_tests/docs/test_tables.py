"""Tables of the documentation that are written by hand: they say all that is, and nothing else."""

from __future__ import annotations

import configparser
import json
import re

import pytest
from conftest import REPOSITORY, load_page_maker

from fakeproc import Machine

DOCS = REPOSITORY / "docs"
load_page_maker("facts")  # which the next one imports
reference = load_page_maker("reference")


def page(name: str) -> str:
    return (DOCS / name).read_text()


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head; a cell may hold \\|."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [[cell.strip() for cell in row] for row in cells if not set(row[0]) <= set("-")][1:]


def code(text: str) -> list[str]:
    """What is in `backquotes`."""
    return re.findall(r"`([^`]+)`", text)


def keys_of(value: object) -> set[str]:
    """The names of all keys, but not those that are numbers, GUIDs or rows."""
    if isinstance(value, list):
        return set().union(*map(keys_of, value))
    if not isinstance(value, dict):
        return set()
    names = {key for key in value if re.fullmatch(r"[a-z][a-z_]*", key)}
    return names.union(*map(keys_of, value.values()))


def test_every_key_of_the_state() -> None:
    state = json.loads(Machine().read("/host/state.json"))
    listed = {word for name in code(page("reference/state.md")) for word in name.split(".")}
    assert sorted(keys_of(state) - listed) == []
    invented = listed - keys_of(state) - {"*", "HYP", "HVS", "host/state", "json"}
    assert sorted(invented) == []


@pytest.mark.parametrize("name", ["fault", "offer"])
def test_every_fault_and_class_of_an_offer(name: str) -> None:
    """As the console itself lists them, when something else is written."""
    machine = Machine()
    with pytest.raises(OSError, match="is none of") as refused:
        machine.write(f"/host/{name}", "scsi lunch\n")
    said = str(refused.value)
    known = said.partition("is none of")[2].partition(f": '/host/{name}'")[0].partition(", or ")[0]
    words = re.findall(r"[a-z]+=?", known)
    assert words
    section = re.search(
        rf"^## `{name}`\n(.*?)(?=^## )", reference.console_page(), re.DOTALL | re.MULTILINE
    )
    assert section
    assert [word for word in words if word not in section[1]] == [], said


def test_every_dependency_has_a_reason() -> None:
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    lines = setup["options"]["install_requires"].splitlines()
    for extra in setup["options.extras_require"].values():
        lines += extra.splitlines()
    needed = {re.split("[ <>=[]", line)[0] for line in lines if line and not line.startswith("#")}
    listed = {code(row[0])[0]: row[1] for row in rows(page("explanation/dependencies.md"))}
    assert set(listed) == needed
    assert all(listed.values())

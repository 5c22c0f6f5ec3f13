"""The tools of docs/tool_table.toml, in a run, say what the guest's files say."""

from __future__ import annotations

import re

import pytest
from conftest import load_page_maker

from .runs import runs_of

tools = load_page_maker("tool_table")
TOOLS = {tool.name: tool for tool in tools.tools()}


@pytest.fixture(scope="module")
def answers(_fuse: None) -> dict[str, object]:
    """What each says, asked on one guest; None of one that is not installed."""
    with runs_of("root") as runs:
        process = runs.start("sh", "-c", tools.script(TOOLS.values()), options=tools.OPTIONS)
        return tools.answers(process.communicate(timeout=500)[0])


@pytest.mark.parametrize("name", TOOLS)
def test_against(answers, name: str) -> None:
    tool, answer = TOOLS[name], answers[name]
    if answer is None:
        pytest.skip(f"{name} is not installed")
    assert answer.said != [], "it says nothing"
    if not (tool.machine or tool.lacks):
        assert answer.said == answer.guest


def test_what_is_not_the_guests() -> None:
    assert len(TOOLS) >= 45
    reasons = {tool.machine for tool in TOOLS.values() if tool.machine}
    assert reasons == {"CPUID"}
    assert [tool.name for tool in TOOLS.values() if tool.lacks] == ["lsmem"]


def test_the_page_has_them_all_and_none_was_wrong_when_it_was_made() -> None:
    table = tools.PAGE.read_text().partition(tools.HEADING)[2]
    rows = re.findall(r"(?m)^[|] `(.*)` [|] .* [|] (.*) [|] (.*) [|]$", table)
    assert [(name, shows) for name, shows, _ in rows] == [(t.name, t.shows) for t in TOOLS.values()]
    assert {verdict.partition(":")[0] for *_, verdict in rows} <= {
        "right", "the machine's", "cannot", "not run",
    }  # fmt: skip

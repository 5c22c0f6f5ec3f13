"""`play()` of a guest and of a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

import fakeproc

FAILS = 'description = "d"\n[[steps]]\nread = "proc/version"\nequals = "x"\n'


def test_a_scenario_is_played_on_a_machine_and_on_a_guest(fresh_guest: fakeproc.Guest) -> None:
    for guest in (fakeproc.Machine(), fresh_guest):
        assert guest.play("storm") == 6
        assert "100000" in guest.journal()


def test_an_expectation_that_fails_fails_the_test(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(FAILS)
    with pytest.raises(AssertionError, match=r"mine.toml: step 1 \(read proc/version\), at 0 s"):
        fakeproc.Machine().play(file)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (FAILS.replace("equals", "equal"), "mine.toml, line 4: .*equal"),
        (FAILS.replace("read", "at_all"), "mine.toml, line 3: .*at_all"),
        (FAILS.replace("[[steps]]", "[[steps]"), "mine.toml: not TOML"),
        (FAILS.replace("[[steps]]", "needs.cpus = 9\n[[steps]]"), "fewer than 9 CPUs"),
    ],
)
def test_a_scenario_that_cannot_be_played_says_file_line_and_key(tmp_path, text, why) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(fakeproc.ScenarioError, match=why):
        fakeproc.Machine().play(file)

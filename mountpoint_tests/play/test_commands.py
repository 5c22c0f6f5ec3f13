"""`fakeproc play`, `save` and `replay`, as they are typed."""

from __future__ import annotations

import pytest
from conftest import CommandLine


def test_a_scenario_by_name_on_a_machine_of_its_own(cli: CommandLine) -> None:
    done = cli("play", "--cpus", "16", "storm")
    assert (done.returncode, done.stdout) == (0, "played storm: 6 steps, all as expected\n")


def test_a_failed_expectation_is_exit_status_1_and_names_the_step(cli, tmp_path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('description = "d"\n[[steps]]\nread = "proc/version"\nequals = "x"\n')
    done = cli("play", file)
    assert done.returncode == 1
    assert done.stderr.startswith(f"fakeproc: {file}: step 1 (read proc/version), at 0 s: ")


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("play", "nothing"), 2, "fakeproc: no scenario is called 'nothing'; expected a file, or"),
        (("play", "/nonexistent/s.toml"), 2, "fakeproc: /nonexistent/s.toml: No such file"),
        (("play", "--kernel", "6.12", "busy-cpu"), 1, "fakeproc: busy-cpu makes no sense here: "),
        (("play", "--mount", "/tmp", "storm"), 1, "fakeproc: /tmp is not a fakeproc mount"),
        (("replay", "/nonexistent"), 1, "fakeproc: /nonexistent: No such file"),
        (("replay", "/etc/passwd"), 2, "fakeproc: /etc/passwd, line 1: not a journal"),
        (("save", "/tmp", "-o", "-"), 1, "fakeproc: /tmp/host/journal: No such file"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(cli, words, status, sentence) -> None:
    done = cli(*words)
    assert done.returncode == status
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1


def test_a_mounted_guest_is_played_on_saved_and_played_again(cli, fresh_guest, tmp_path) -> None:
    root = fresh_guest.root
    done = cli("play", "--mount", root, "lost-acknowledgement")
    assert done.returncode == 0, done.stderr
    file = tmp_path / "failure.journal"
    assert cli("save", root, "-o", file).returncode == 0
    done = cli("replay", file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("every result is the same\n")
    done = cli("replay", "--profile", "hyperv-gen1", file)
    assert done.returncode == 1
    assert "results differ" in done.stderr

"""`fakeproc play`, `save` and `replay`, as they are typed."""

from __future__ import annotations

import pytest
from conftest import CommandLine

import fakeproc


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
        (("diff", "/nonexistent", "/tmp"), 1, "fakeproc: /nonexistent: No such file"),
        (("diff", "/tmp", "/tmp"), 2, "fakeproc: /tmp is not a fakeproc mount"),
        (("diff", "/etc/passwd", "/tmp"), 2, "fakeproc: /etc/passwd, line 1: not a journal"),
        (("mount", "--journal", "/nonexistent", "/tmp"), 1, "fakeproc: /nonexistent: No such"),
        (("mount", "--journal", "/etc/passwd", "/tmp"), 2, "fakeproc: /etc/passwd, line 1: not"),
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


def test_a_saved_machine_goes_on_in_another_place(cli, mount_guest, tmp_path) -> None:
    first = mount_guest("--clock", "manual")
    (first.proc / "irq/39/smp_affinity_list").write_text("3\n")
    (first.host / "traffic").write_text("19 1000\n")
    (first.host / "clock").write_text("advance 2\n")
    file = tmp_path / "failure.journal"
    assert cli("save", first.root, "-o", file).returncode == 0
    second = mount_guest("--journal", file)
    done = cli("diff", first.root, second.root)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (second.host / "clock").write_text("advance 1\n")
    (second.sys / "devices/system/cpu/cpu6/online").write_text("0\n")
    done = cli("diff", first.root, second.root)
    assert done.returncode == 1
    assert "CPUs online: 0-7 -> 0-5,7" in done.stdout.splitlines()
    assert "IRQ 39 (netvsc): 1000 more interrupts: 1000 on CPU 3" in done.stdout.splitlines()
    assert cli("save", second.root, "-o", file).returncode == 0
    done = cli("replay", file)
    assert done.stdout == "played 5 requests: every result is the same\n"


def test_two_moments_of_one_journal(cli, tmp_path) -> None:
    machine = fakeproc.Machine()
    machine.write("/proc/irq/39/smp_affinity_list", "3\n")
    machine.traffic(19, 1000)
    machine.advance(2)
    file = tmp_path / "a@b"
    file.write_text(machine.journal())
    done = cli("diff", f"{file}@33760.5", f"{file}@33761")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "IRQ 39 (netvsc): 500 more interrupts: 500 on CPU 3"
    done = cli("diff", f"{file}@33760", file)
    assert "IRQ 39 (netvsc): affinity: 6 -> 3" in done.stdout.splitlines()
    for moment, why in (("1", "has the moments from 33760.0"), ("x", "'x' is not a time")):
        done = cli("diff", f"{file}@{moment}", file)
        assert (done.returncode, why in done.stderr) == (2, True)


def test_a_real_clock_goes_on_from_where_it_was(cli, mount_guest, tmp_path) -> None:
    first = mount_guest("--clock", "real")
    file = tmp_path / "real.journal"
    assert cli("save", first.root, "-o", file).returncode == 0
    saved = float(file.read_text().splitlines()[-1].removeprefix("# now "))
    second = mount_guest("--journal", file)
    mode, seconds = (second.host / "clock").read_text().split()
    assert mode == "real"
    assert saved < float(seconds)


def test_a_journal_says_which_machine_it_is(cli, tmp_path) -> None:
    done = cli("mount", "--journal", "x", "--cpus", "4", tmp_path)
    assert done.returncode == 2
    assert "with --journal the machine is the journal's: without --cpus" in done.stderr


READS = 'description = "d"\n[[steps]]\nafter = 2\nread = "proc/version"\ncontains = "Linux"\n'


def test_a_program_runs_while_a_scenario_is_played_and_is_ended_then(cli, tmp_path) -> None:
    file, log = tmp_path / "mine.toml", tmp_path / "log"
    file.write_text(READS)
    script = f"trap 'echo ended >> {log}; exit 0' TERM; cat /proc/version > {log}; sleep 60 & wait"
    done = cli("play", file, "--", "bash", "-c", script)
    assert (done.returncode, done.stdout) == (0, f"played {file}: 1 steps, all as expected\n")
    assert log.read_text().startswith("Linux version")
    assert "ended" in log.read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("false",), "false ended with status 1 before the scenario did"),
        (("no-such-program",), "no-such-program ended with status 127 before the scenario did"),
    ],
)
def test_a_program_that_fails_meanwhile_is_said(cli, tmp_path, words, sentence) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(READS)
    done = cli("play", file, "--", *words)
    assert done.returncode == 1
    assert sentence in done.stderr


def test_a_program_wants_a_real_clock(cli, tmp_path) -> None:
    done = cli("play", "--clock", "manual", "storm", "--", "true")
    assert done.returncode == 1
    assert done.stderr.startswith("fakeproc: with a program the guest's clock must be real")

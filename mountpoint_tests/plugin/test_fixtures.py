"""The fixtures and the marker, in projects of their own."""

from __future__ import annotations

import re
from pathlib import Path

from conftest import mounts_below


def test_a_guest_for_each_test(project) -> None:
    project.makepyfile("""
        ROOTS = set()

        def look(guest):
            assert (guest.proc / "irq/39/smp_affinity").read_text() == "40\\n"
            assert (guest.host / "clock").read_text() == "manual 33760.000000\\n"
            (guest.proc / "irq/39/smp_affinity").write_text("08\\n")
            ROOTS.add(guest.root)

        def test_one(fakeproc_guest): look(fakeproc_guest)
        def test_other(fakeproc_guest): look(fakeproc_guest)

        def test_machine(fakeproc_machine):
            fakeproc_machine.write("/proc/irq/39/smp_affinity", "08\\n")
            assert fakeproc_machine.read("/proc/irq/39/smp_affinity_list") == "3\\n"

        def test_all_are_gone():
            assert len(ROOTS) == 2
            assert not any(root.exists() for root in ROOTS)
    """)
    project.runpytest_subprocess().assert_outcomes(passed=4)


def test_the_marker_says_which_guest(project) -> None:
    project.makepyfile("""
        import pytest

        pytestmark = pytest.mark.fakeproc(profile="hyperv-2socket", cpus=16)

        @pytest.mark.fakeproc(kernel="6.12")
        def test_one(fakeproc_guest):
            state = fakeproc_guest.state()
            assert (state.profile, len(state.online)) == ("hyperv-2socket", 16)
            assert state.kernel_version == "6.12"

        @pytest.mark.fakeproc(kernel=["rfc", "6.18"], cpus=[8, 40])
        def test_several(fakeproc_machine):
            print("it is", fakeproc_machine.state().kernel_version, fakeproc_machine.state().online)

        @pytest.mark.parametrize("cpus", [
            pytest.param(8, marks=pytest.mark.fakeproc(cpus=8)),
            pytest.param(24, marks=pytest.mark.fakeproc(cpus=24)),
        ])
        def test_by_a_parameter(cpus, request):
            machine = request.getfixturevalue("fakeproc_machine")
            assert len(machine.state().online) == cpus

        @pytest.mark.fakeproc(clock="real")
        def test_clock(fakeproc_guest):
            assert (fakeproc_guest.host / "clock").read_text().startswith("real")
    """)
    run = project.runpytest_subprocess("-v")
    run.assert_outcomes(passed=8)
    for name in ("rfc-8", "rfc-40", "6.18-8", "6.18-40"):
        run.stdout.fnmatch_lines([f"*test_several[[]{name}] PASSED*"])
    assert re.search(r"test_one( PASSED|\[guest\])", run.stdout.str())


def test_a_typo_in_a_marker_is_a_sentence_and_fails_its_own_file_only(project) -> None:
    project.makepyfile(
        test_wrong="""
        import pytest

        @pytest.mark.fakeproc(cpu=16)
        def test_it(fakeproc_machine): pass
        """,
        test_right="""
        def test_it(fakeproc_machine): pass
        """,
    )
    run = project.runpytest_subprocess("--continue-on-collection-errors")
    run.assert_outcomes(passed=1, errors=1)
    assert "the marker fakeproc does not take cpu; it is: fakeproc(profile=" in run.stdout.str()
    assert "Traceback" not in run.stdout.str() + run.stderr.str()


def test_a_tuple_in_a_marker_is_a_list_too(project) -> None:
    project.makepyfile("""
        import pytest

        @pytest.mark.fakeproc(cpus=(8, 16))
        def test_it(fakeproc_machine): pass
    """)
    run = project.runpytest_subprocess()
    run.assert_outcomes(passed=2)


def test_a_profile_that_is_wrong_is_a_sentence(project) -> None:
    project.makepyfile("""
        import pytest

        @pytest.mark.fakeproc(profile="nope")
        def test_it(fakeproc_guest): pass
    """)
    run = project.runpytest_subprocess()
    run.assert_outcomes(errors=1)
    run.stdout.fnmatch_lines(["*ProfileError: no profile is called 'nope'*"])


def test_a_guest_for_the_session_is_left_alone(project) -> None:
    project.makepyfile("""
        import pytest

        ROOTS = []

        @pytest.fixture(scope="module")
        def table(fakeproc_session_guest):
            ROOTS.append(fakeproc_session_guest.root)
            return (fakeproc_session_guest.proc / "interrupts").read_text()

        def test_looks(table, fakeproc_session_guest): assert " netvsc" in table
        def test_looks_too(fakeproc_session_guest):
            assert fakeproc_session_guest.root == ROOTS[0]

        @pytest.fixture
        def moved(fakeproc_session_guest):
            (fakeproc_session_guest.proc / "irq/39/smp_affinity").write_text("08\\n")
            yield
            (fakeproc_session_guest.proc / "irq/39/smp_affinity").write_text("40\\n")

        def test_changes(fakeproc_session_guest):
            fakeproc_session_guest.interrupt(19)

        def test_sees_nothing_of_it(fakeproc_session_guest):
            assert fakeproc_session_guest.state().channels[19].sent == 0

        @pytest.mark.fakeproc(cpus=40)
        def test_another(fakeproc_session_guest):
            assert len(fakeproc_session_guest.state().online) == 40
    """)
    run = project.runpytest_subprocess()
    run.assert_outcomes(passed=5, errors=1)
    run.stdout.fnmatch_lines([
        "*ERROR at teardown of test_changes*",
        "*this test has changed fakeproc_session_guest*use fakeproc_guest in it*",
        "*irqs.39.counts.6: 2375 -> 2376*",
    ])  # fmt: skip


REPORTED = """
    import subprocess

    def test_it_moves(fakeproc_guest):
        affinity = fakeproc_guest.proc / "irq/39/smp_affinity"
        subprocess.run(["tee", affinity], input=b"08\\n", check=True)
        subprocess.run(["tee", affinity], input=b"oops\\n")
        subprocess.run(["cat", fakeproc_guest.sys / "nope"])
        assert affinity.read_text() == "04\\n"

    def test_machine(fakeproc_machine):
        fakeproc_machine.write("/proc/irq/39/smp_affinity", "08\\n")
        assert False

    def test_fine(fakeproc_guest):
        pass
"""

EXPECTED = [
    "*- fakeproc_guest: log of the guest since the test began -*",
    "*fakeproc: write of 'oops?n' to /proc/irq/39/smp_affinity refused: *(EINVAL)",
    "*- fakeproc_guest: accesses (time, pid, command, operation, path, result, data) -*",
    "33760.000000\t*\ttee\twrite\t/proc/irq/39/smp_affinity\t3\t08?n",
    "33760.000000\t*\ttee\twrite\t/proc/irq/39/smp_affinity\tEINVAL\toops?n",
    "33760.000000\t*\tcat\tmissing\t/sys/nope\tENOENT",
    "*- fakeproc_guest: what is different since the test began -*",
    "irqs.39.affinity: (6,) -> (3,)",
    "*- fakeproc_machine: what is different since the test began -*",
    "irqs.39.affinity: (6,) -> (3,)",
]


def test_a_failure_tells_of_the_guest(project) -> None:
    project.makepyfile(REPORTED)
    run = project.runpytest_subprocess()
    run.assert_outcomes(failed=2, passed=1)
    run.stdout.fnmatch_lines(EXPECTED)


def test_a_failure_leaves_a_journal_and_says_how_to_play_it(project, cli) -> None:
    project.makepyfile(
        """
        def test_it(fakeproc_machine):
            fakeproc_machine.write("/proc/irq/39/smp_affinity_list", "3")
            assert False
        """
    )
    for options in ((), ("-p", "no:cacheprovider")):
        run = project.runpytest_subprocess(*options)
        run.assert_outcomes(failed=1)
        lines = [line for line in run.stdout.lines if line.startswith("play it again: fakeproc ")]
        path = lines[0].split()[-1]
        assert Path(path).read_text().startswith("# fakeproc journal 1")
        done = cli("replay", path)
        assert done.stdout == "played 3 requests: every result is the same\n"


def test_a_failure_in_a_worker_tells_of_the_guest(project) -> None:
    project.makepyfile(REPORTED)
    run = project.runpytest_subprocess("-n", "1")
    run.assert_outcomes(failed=2, passed=1)
    run.stdout.fnmatch_lines(EXPECTED)


def test_any_number_of_workers(project, monkeypatch, tmp_path) -> None:
    project.makepyfile("""
        import os, pytest

        @pytest.mark.parametrize("number", range(12))
        def test_it(fakeproc_guest, fakeproc_session_guest, number):
            fakeproc_guest.interrupt(19, number + 1)
            assert fakeproc_guest.state().channels[19].sent == number + 1
            assert fakeproc_session_guest.state().channels[19].sent == 0
            assert str(fakeproc_guest.root).startswith(os.environ["TMPDIR"])
    """)
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # others may be testing beside us
    project.runpytest_subprocess("-n", "4").assert_outcomes(passed=12)
    assert mounts_below(tmp_path) == []


def test_a_daemon_that_dies_is_an_error_with_its_last_words(project) -> None:
    project.makepyfile("""
        import os, signal

        def test_it(fakeproc_guest):
            os.kill(fakeproc_guest.pid, signal.SIGKILL)
            fakeproc_guest.state()
    """)
    run = project.runpytest_subprocess()
    run.assert_outcomes(failed=1, errors=1)
    run.stdout.fnmatch_lines(["*GuestDiedError: the process that served the guest has ended*"])
    run.stdout.fnmatch_lines(["cannot be had: *"])


def test_a_mistake_of_fakeproc_is_an_error_even_if_the_test_has_not_seen_it(project) -> None:
    project.makepyfile("""
        from pathlib import Path

        def test_it(fakeproc_guest):
            log = Path(f"/proc/{fakeproc_guest.pid}/fd/2")
            with log.open("a") as file:
                file.write("2024-06-03 ERROR fakeproc.mount: something failed\\n")
    """)
    run = project.runpytest_subprocess()
    run.assert_outcomes(passed=1, errors=1)
    run.stdout.fnmatch_lines(["*fakeproc has made a mistake; its log:*"])


HIDDEN = """
    def test_it(fakeproc_guest): pass
    def test_other(fakeproc_session_guest): pass
    def test_machine(fakeproc_machine): pass
"""


def test_without_fuse_it_is_a_skip_that_says_what_is_missing(project, monkeypatch) -> None:
    for name in ("fuse", "fusepy", "mfusepy"):
        project.makefile(".py", **{name: "raise ImportError('hidden')"})
    monkeypatch.setenv("PYTHONPATH", str(project.path), prepend=":")
    project.makepyfile(HIDDEN)
    run = project.runpytest_subprocess("-rs")
    run.assert_outcomes(skipped=2, passed=1)
    sentence = (
        "fakeproc cannot mount a guest here: no FUSE library can be used: install *fuse*hidden*"
    )
    run.stdout.fnmatch_lines([f"*{sentence}"])
    run = project.runpytest_subprocess("--fakeproc-required")
    run.assert_outcomes(errors=2, passed=1)
    run.stdout.fnmatch_lines([f"*{sentence}"])


def test_a_run_without_guests_imports_nothing(project) -> None:
    project.makepyfile("""
        import sys

        def test_it():
            assert "fakeproc.api" not in sys.modules
            assert "pydantic" not in sys.modules
    """)
    project.runpytest_subprocess().assert_outcomes(passed=1)

"""`fakeproc completion`: what the three shells make of it."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent

PROFILES = {
    "azure-d64",
    "hyperv-2socket",
    "hyperv-arm64",
    "hyperv-gen1",
    "hyperv-gen2",
    "hyperv-max",
    "hyperv-confidential",
    "hyperv-old-host",
}
BASH = """\
. ./completion
COMP_WORDS=({words}) COMP_CWORD={index} COMP_LINE='{line}' COMP_POINT=${{#COMP_LINE}}
$(complete -p fakeproc | sed 's/.*-F \\([^ ]*\\) .*/\\1/') fakeproc
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
FISH = "source ./completion; complete --do-complete '{line}'"


@dataclass
class Shells:
    """Shells for which `fakeproc` is a command, in a directory with one directory in it."""

    home: Path
    environment: dict[str, str]

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stderr == ""
        return done.stdout

    def words(self, shell: str, line: str) -> set[str]:
        """What the shell would put where the line ends."""
        (self.home / "completion").write_text(self.run("fakeproc", "completion", shell))
        if shell == "zsh":
            return self._zsh_words(line)
        words = line.split(" ")
        script = BASH if shell == "bash" else FISH
        quoted = " ".join(f"'{word}'" for word in words)
        text = script.format(words=quoted, index=len(words) - 1, line=line)
        options = ["--norc"] if shell == "bash" else ["--no-config"]
        lines = self.run(shell, *options, "-c", text).splitlines()
        return {found.partition("\t")[0] for found in lines if found}

    def _zsh_words(self, line: str) -> set[str]:
        """zsh completes only where somebody types."""
        terminal, end = pty.openpty()
        start = (
            "unsetopt prompt_cr prompt_sp; PS1='<ready>'; LISTMAX=1000\n"
            "zstyle ':completion:*' list-prompt ''; zstyle ':completion:*' menu no\n"
            "autoload -Uz compinit && compinit -u -d ./dump; source ./completion; setopt no_beep\n"
        )
        (self.home / ".zshrc").write_text(start)
        with subprocess.Popen(
            ["zsh", "-i"],
            cwd=self.home,
            env=self.environment | {"ZDOTDIR": str(self.home), "TERM": "dumb", "COLUMNS": "200"},
            stdin=end,
            stdout=end,
            stderr=end,
            start_new_session=True,
        ) as process:
            os.close(end)
            try:
                _read(terminal, "<ready>")
                os.write(terminal, f"{line}\t\t".encode())
                said = _read(terminal, None)
            finally:
                process.kill()
                os.close(terminal)
        return set(re.findall(r"[\w./-]+", said)) - set(line.split())


def _read(terminal: int, until: str | None) -> str:
    """What is printed up to a word, or until nothing is for a while."""
    said = ""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and (until is None or until not in said):
        patience = 5.0 if until or not re.search(r"\n", said) else 1.5
        if not select.select([terminal], [], [], patience)[0]:
            if until is None:
                break
            continue
        try:
            said += os.read(terminal, 4096).decode(errors="replace")
        except OSError:
            break
    return said


@pytest.fixture
def shells(tmp_path: Path) -> Shells:
    programs, home = tmp_path / "bin", tmp_path / "home"
    programs.mkdir()
    (home / "somewhere").mkdir(parents=True)
    program = programs / "fakeproc"
    # As pip makes it: its name is what the shell and click know it by.
    program.write_text(f"#!{sys.executable}\nfrom fakeproc.cli.main import main\nmain()\n")
    program.chmod(0o755)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
    }
    return Shells(home, environment)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
class TestShells:
    def test_commands(self, shells: Shells, shell: str) -> None:
        found = shells.words(shell, "fakeproc ")
        assert {"mount", "umount", "list", "profiles", "run", "completion"} <= found

    def test_the_rest_of_a_word(self, shells: Shells, shell: str) -> None:
        found = shells.words(shell, "fakeproc profiles show hyperv-gen")
        assert {"hyperv-gen1", "hyperv-gen2"} <= found
        assert "hyperv-max" not in found

    @pytest.mark.parametrize("command", ["mount", "run"])
    def test_profiles(self, shells: Shells, shell: str, command: str) -> None:
        assert shells.words(shell, f"fakeproc {command} --profile ") >= PROFILES

    def test_kernels(self, shells: Shells, shell: str) -> None:
        assert {"rfc", "6.12"} <= shells.words(shell, "fakeproc mount --kernel ")


def test_a_mountpoint_is_left_to_the_shell(shells: Shells) -> None:
    environment = {"COMP_WORDS": "fakeproc umount some", "COMP_CWORD": "2"}
    shells.environment |= environment | {"_FAKEPROC_COMPLETE": "bash_complete"}
    assert shells.run("fakeproc") == "dir,some\n"


def test_another_shell_is_wrong_usage(shells: Shells) -> None:
    done = subprocess.run(
        ["fakeproc", "completion", "tcsh"],
        env=shells.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "'tcsh' is not one of" in done.stderr

"""The shell that is opened without a command, and its prompt."""

from __future__ import annotations

import os
import shutil
from pathlib import PurePath

__all__ = ["shell"]

# Reads what an interactive bash reads, and puts the guest's name before
# whatever prompt that sets.
_BASHRC = """\
exec {descriptor}<&-
for fakeproc_rc in /etc/bash.bashrc ~/.bashrc; do
    if [[ -r $fakeproc_rc ]]; then . "$fakeproc_rc"; fi
done
unset fakeproc_rc
PS1="{prompt}$PS1"
"""


def shell(environment: dict[str, str], profile: str) -> list[str]:
    """The command line of the user's shell, with a prompt that says where one is.

    To be called by the process that will execute it; `environment` is the
    shell's, and is changed.
    """
    program = environment.get("SHELL") or shutil.which("bash") or "/bin/sh"
    prompt = f"(fakeproc {profile}) "
    if PurePath(program).name != "bash":
        environment["PS1"] = prompt + environment.get("PS1", "$ ")
        return [program]
    rc = os.memfd_create("bashrc", 0)  # a file for as long as bash reads it
    os.write(rc, _BASHRC.format(descriptor=rc, prompt=prompt).encode())
    return [program, "--rcfile", f"/proc/self/fd/{rc}"]

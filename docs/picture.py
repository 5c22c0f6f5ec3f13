"""docs/picture.svg, the picture of README.md: a terminal in which a guest is mounted and used.

    python docs/picture.py

The commands are run, and what they print is what the picture shows.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

PICTURE = Path(__file__).with_name("picture.svg")
WIDTH = 92  # characters

# A comment, or a command for bash.
STEPS = (
    "fakeproc mount --clock manual guest && cd guest",
    "# IRQ 39 is a queue of the network card. It interrupts CPU 6.",
    "grep -E 'CPU0|netvsc' proc/interrupts | sed -n '1p;6,7p' | cut -c 1-4,38-93,98-",
    "# Move it to CPU 3: every other file follows, and so do the interrupts.",
    "echo 3 > proc/irq/39/smp_affinity_list",
    "cat sys/bus/vmbus/devices/*/channels/19/cpu",
    "echo advance 0.001 > host/clock && echo 19 1000 > host/interrupt",
    "grep -E '^ 39:' proc/interrupts | cut -c 1-4,38-93,98-",
    "# CPU 7 cannot go offline while a channel interrupts it. The log says which one.",
    "echo 0 > sys/devices/system/cpu/cpu7/online",
    f"tail -n 1 host/log | fold -s -w {WIDTH}",
)


def transcript() -> list[tuple[str, str]]:
    """Each step, and what it prints."""
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        (here / "guest").mkdir()
        command = here / "bin" / "fakeproc"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fakeproc "$@"\n')
        command.chmod(0o755)
        environment = os.environ | {"PATH": f"{command.parent}:{os.environ['PATH']}", "LC_ALL": "C"}
        marker = "---- next ----"
        script = "".join(f"echo '{marker}'\n{step}\n" for step in STEPS)
        try:
            done = subprocess.run(
                ["bash", "-s"],
                input=script,
                cwd=here,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60,
                check=False,
            )
        finally:
            subprocess.run([command, "umount", here / "guest"], capture_output=True, check=False)
    printed = done.stdout.split(f"{marker}\n")[1:]
    said = [re.sub(r"^bash: line \d+: ", "bash: ", text, flags=re.M) for text in printed]
    return list(zip(STEPS, said, strict=True))


def picture() -> str:
    """The transcript as an SVG that fetches nothing."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    for step, printed in transcript():
        if step.startswith("#"):
            console.print(Text(f"\n{step}", style="italic bright_black"))
        else:
            console.print(Text("$ ", style="green") + Text(step, style="bold"))
        if printed:
            console.print(Text(printed.rstrip("\n")), soft_wrap=True)
    template = re.sub(r"@font-face \{\{.*?\n    \}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    template = template.replace("Fira Code", "ui-monospace, SFMono-Regular, Menlo")
    made = console.export_svg(title="fakeproc", code_format=template, unique_id="fakeproc")
    return "".join(f"{line.rstrip()}\n" for line in made.splitlines())


if __name__ == "__main__":
    PICTURE.write_text(picture())

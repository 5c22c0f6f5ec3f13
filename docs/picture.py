"""The pictures of the documentation, each drawn from a real run: `python docs/picture.py`.

`picture.svg` is a terminal in which a guest is mounted and used: the commands are
run, and what they print is what it shows.  `top.svg` is `fakeproc top`.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

import fakeproc
from fakeproc.view.app import Top
from fakeproc.view.heat_map import HeatMap
from fakeproc.view.sources import GuestSource

DIRECTORY = Path(__file__).parent
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


def terminal() -> str:
    """The transcript as an SVG that fetches nothing."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    for step, printed in transcript():
        if step.startswith("#"):
            console.print(Text(f"\n{step}", style="italic bright_black"))
        else:
            console.print(Text("$ ", style="green") + Text(step, style="bold"))
        if printed:
            console.print(Text(printed.rstrip("\n")), soft_wrap=True)
    template = CONSOLE_SVG_FORMAT.replace("Fira Code", "ui-monospace, SFMono-Regular, Menlo")
    made = console.export_svg(title="fakeproc", code_format=template, unique_id="fakeproc")
    return _tidy(made)


def top() -> str:
    """`fakeproc top` on a guest of two packages whose network card is busy."""
    machine = fakeproc.Machine("hyperv-2socket")
    for source, rate in {"all": 5, "netvsc": 700, "scsi": 9000, "timer": 100}.items():
        machine.traffic(source, rate)
    machine.write("/proc/irq/31/smp_affinity_list", "9\n")
    view = Top(GuestSource(machine), interval_s=3600)

    async def drawn() -> str:
        async with view.run_test(size=(132, 36)) as pilot:
            await pilot.press("t", "t", "t")
            view.query_one(HeatMap).select(13, 9)
            await pilot.pause()
            return view.export_screenshot()

    return _tidy(re.sub(r"terminal-\d+-", "terminal-", asyncio.run(drawn())))


def _tidy(svg: str) -> str:
    """The same without fonts from elsewhere, and with no blanks at the ends of lines."""
    alone = re.sub(r"@font-face \{.*?\}\n", "", svg, flags=re.DOTALL)
    return "".join(f"{line.rstrip()}\n" for line in alone.splitlines())


PICTURES = {"picture.svg": terminal, "top.svg": top}


if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (DIRECTORY / name).write_text(draw())

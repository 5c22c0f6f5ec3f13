"""Random sessions on a mounted guest: several processes, a clock that is held, planned writes.

As a program it plays many of them, and says how many were the same when played again:

    python mountpoint_tests/play/sessions.py SEEDS OPERATIONS
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from threading import Thread
from time import sleep

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.test_determinism import inputs

import fakeproc
from fakeproc.journal import Saved
from fakeproc.play.replay import Played, play_again, play_on

WATCHED = (
    "/host/state.json",
    "/proc/interrupts",
    "/proc/stat",
    "/proc/softirqs",
    "/host/log",
    "/host/uevents",
)
KERNELS = ("rfc", "rfc-as-posted", "6.1", "6.12", "7.2")


class Session:
    """Writes of one seed to a guest; `steps` is how many there are, each perhaps several."""

    def __init__(self, guest: fakeproc.Guest, seed: int, steps: int) -> None:
        self._root = guest.root
        self._random = Random(seed)
        self._inputs = inputs(seed, 4 * steps)
        self.steps = steps

    def run(self) -> Iterator[int]:
        """Make the writes; yields the number of those made, after each."""
        for step in range(self.steps):
            path, data, pause = self._inputs.pop()
            kind = self._random.random()
            if kind < 0.1:
                moment = self._random.choice(("0", "0.001", "0.05", "3"))
                self._write("/host/at", f"+{moment} {path} {data.decode()}".encode())
            elif kind < 0.15:
                self._write_at_once()
            else:
                self._write(path, data)
            self._write("/host/clock", f"advance {pause / 1e9:.9f}".encode())
            yield step + 1

    def _write(self, path: str, data: bytes) -> None:
        with suppress(OSError):  # the journal has it
            descriptor = os.open(f"{self._root}{path}", os.O_WRONLY)
            try:
                os.write(descriptor, data)
            finally:
                os.close(descriptor)

    def _write_at_once(self) -> None:
        """Several write while the clock is held, so that those that sleep meet the others."""
        self._write("/host/clock", b"hold")
        writers: dict[str, Thread] = {}
        for _ in range(3):
            path, data, _pause = self._inputs.pop()
            if path in writers:  # FUSE lets one write at a time at a file
                continue
            number = self._entries()
            writers[path] = Thread(target=self._write, args=(path, data))
            writers[path].start()
            while writers[path].is_alive() and self._entries() == number:
                sleep(0.0005)
            self._write("/host/clock", f"advance {self._random.choice((0, 0.002, 0.02))}".encode())
        self._write("/host/clock", b"manual")
        for writer in writers.values():
            writer.join()

    def _entries(self) -> int:
        return (self._root / "host/journal").read_bytes().count(b"\n")


def check(seed: int, steps: int, every: int) -> str | None:
    """What differs when a session is played again, looked at and continued as it goes on."""
    with fakeproc.Guest(kernel=KERNELS[seed % len(KERNELS)], seed=seed) as guest:
        played: Played | None = None
        for step in Session(guest, seed, steps).run():
            if step % every:
                continue
            saved = Saved.parse(guest.journal())
            played = play_again(saved) if played is None else play_on(played, saved)
            if played.differences:
                return f"after {step} steps: {played.differences[0]}"
            for path in WATCHED:
                if (guest.root / path[1:]).read_bytes() != played.files.read(path):
                    return f"after {step} steps: {path}"
        whole = play_again(Saved.parse(guest.journal()))
        if whole.differences:
            return f"in one go: {whole.differences[0]}"
        texts = {path: (guest.root / path[1:]).read_bytes() for path in WATCHED}
        different = [path for path in WATCHED if texts[path] != whole.files.read(path)]
        return f"in one go: {different}" if different else None


def main(seeds: int, steps: int) -> None:
    """Play sessions, and say what is different."""
    same = 0
    for seed in range(seeds):
        different = check(seed, steps, 100)
        same += different is None
        click.echo(f"seed {seed}: {different or 'the same'}")
    click.echo(f"{same} of {seeds} sessions of {steps} steps were the same")
    sys.exit(same != seeds)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

"""Which machine is meant where nothing is said: for the command line, Python and pytest alike."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["DEFAULT_PROFILE", "MAX_CPUS", "MAX_SEED", "ClockKind", "SizesKind"]

DEFAULT_PROFILE = "hyperv-gen2"

ClockKind: TypeAlias = Literal["manual", "real"]

# What st_size says of a file of /proc: the length of its text, for sendfile(2), or the kernel's 0.
SizesKind: TypeAlias = Literal["length", "kernel"]

MAX_CPUS = 2048  # what a Hyper-V guest may have, and more than any does
MAX_SEED = (1 << 63) - 1

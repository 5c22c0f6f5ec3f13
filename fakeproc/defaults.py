"""Which machine is meant where nothing is said: for the command line, Python and pytest alike."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["DEFAULT_PROFILE", "MAX_CPUS", "MAX_SEED", "ClockKind"]

DEFAULT_PROFILE = "hyperv-gen2"

ClockKind: TypeAlias = Literal["manual", "real"]

MAX_CPUS = 2048  # what a Hyper-V guest may have, and more than any does
MAX_SEED = (1 << 63) - 1

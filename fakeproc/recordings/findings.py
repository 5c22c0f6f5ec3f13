"""What an import found, what it missed, and what it assumed for that."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Findings"]


@dataclass
class Findings:
    """One short sentence each, in the order in which they were met."""

    found: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """All of them, for a person."""
        return [
            f"{kind}: {sentence}"
            for kind, sentences in (
                ("found", self.found),
                ("missing", self.missing),
                ("assumed", self.assumed),
            )
            for sentence in sentences
        ]

"""The recordings of the real kernel in golden/rfc, row by row, as its README explains them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

CAPTURES = Path(__file__).resolve().parent.parent / "golden" / "rfc"

# The files that `reads` has, in its order; the last one is channels/<relid>/cpu.
IRQ_FILES = (
    "smp_affinity",
    "smp_affinity_list",
    "effective_affinity",
    "effective_affinity_list",
    "affinity_hint",
)
READS = (*IRQ_FILES, "cpu")


@dataclass(frozen=True)
class Row:
    """One line of a capture."""

    capture: str
    number: int
    fields: dict[str, Any]

    def __contains__(self, key: str) -> bool:
        return key in self.fields

    def __getitem__(self, key: str) -> Any:
        return self.fields[key]

    def get(self, key: str) -> Any:
        return self.fields.get(key)

    @property
    def kind(self) -> str:
        """What the line is about: its first key."""
        return next(iter(self.fields))

    @property
    def input(self) -> bytes:
        """The bytes that were written."""
        written = self["input"]
        if not isinstance(written, str):
            written = "".join(text * times for text, times in written)
        return written.encode("latin-1")

    @property
    def answer(self) -> int | str:
        """What write(2), or the open(2) before it, gave: a number, or the name of an errno."""
        return self.get("open_errno") or self.get("errno") or self["returned"]

    @property
    def reads(self) -> dict[str, str]:
        """What the files of the channel and its IRQ read after it; `!ENOENT` for no file."""
        return dict(zip(READS, self["reads"], strict=True))

    def __str__(self) -> str:
        where = f"{self.capture}, row {self.number}: {self[self.kind]}"
        if "input" not in self:
            return where
        text = repr(self.input)
        return f"{where} <- {text if len(text) < 80 else f'{text[:60]}… {len(self.input)} bytes'}"


@cache
def rows(capture: str) -> tuple[Row, ...]:
    """All rows of a capture, in the order in which things happened."""
    lines = (CAPTURES / f"{capture}.jsonl").read_text().splitlines()
    found = tuple(Row(capture, at, json.loads(line)) for at, line in enumerate(lines, 1))
    return tuple(_with_paths(found))


def _with_paths(found: tuple[Row, ...]) -> Iterator[Row]:
    """Nodes with their whole path: a `tree` row says below what."""
    tree = ""
    for row in found:
        tree = row.get("tree") or tree
        if "node" in row:
            path = tree if row["node"] == "." else f"{tree}/{row['node']}"
            yield Row(row.capture, row.number, {**row.fields, "node": path})
        else:
            yield row


def of_kind(capture: str, kind: str) -> list[Row]:
    """The rows of one kind."""
    return [row for row in rows(capture) if row.kind == kind]


def text_of(capture: str, kind: str, name: str) -> str:
    """The text of the one `file` or `interrupts` row of that name."""
    (row,) = (row for row in of_kind(capture, kind) if row[kind] == name)
    return row["text"]

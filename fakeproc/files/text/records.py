"""Where the records of a text end, of which a read(2) returns whole ones only.

Each function takes the text and the offset at which a record begins, and
returns the offset behind it.  A record is what one call of the kernel's show()
prints (`struct seq_operations`).
"""

from __future__ import annotations

__all__ = ["end_of_line", "end_of_paragraph"]


def end_of_line(text: bytes, start: int) -> int:
    """A record a line."""
    return text.find(b"\n", start) + 1 or len(text)


def end_of_paragraph(text: bytes, start: int) -> int:
    """A record a paragraph, with the empty line that ends it."""
    found = text.find(b"\n\n", start)
    return len(text) if found < 0 else found + 2

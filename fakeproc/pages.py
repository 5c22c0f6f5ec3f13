"""The size of a page of memory: 4 KiB on every architecture that is shown here."""

__all__ = ["PAGE_SIZE"]

PAGE_SIZE = 4096  # bytes

"""Numbers, booleans and words as the kernel reads them: `lib/kstrtox.c`, "%u" of `lib/vsprintf.c`.

The text is the bytes that were written, not a `str`: the kernel knows ten
digits and seven kinds of white space, Unicode knows hundreds.  A NUL ends it,
as it ends every string in C.
"""

from __future__ import annotations

import errno
import re

__all__ = ["SPACE", "decimal", "parse_bool", "parse_int", "parse_unsigned", "scan_unsigned", "word"]

# What isspace() accepts, for use within the [] of a regular expression.  The table of
# `lib/ctype.c` is that of Latin-1, which has a blank that does not break (0xa0).
SPACE = rb"\t-\r \xa0"

_UNSIGNED = re.compile(rb"[%b]*+([0-9]++)" % SPACE)
_INTEGER = re.compile(rb"([+-]?)([0-9]++)([^\0]*)")

_ANY_BASE = re.compile(rb"\+?(?:0[xX]([0-9a-fA-F]++)|0([0-7]++)|([0-9]++))\n?")

_YES = frozenset({b"1", b"y", b"t", b"on"})
_NO = frozenset({b"0", b"n", b"f", b"of"})


def decimal(digits: bytes) -> int:
    """The value of a run of decimal digits; 2**64 for all that 64 bits cannot hold.

    Mirrors `lib/kstrtox.c: _parse_integer`, which reports only that it overflowed.
    """
    significant = digits.lstrip(b"0")
    # 2**64 has 20 digits.  A megabyte of them is never converted: int() is quadratic.
    return min(int(significant or b"0"), 1 << 64) if len(significant) <= 20 else 1 << 64


def scan_unsigned(text: bytes) -> int | None:
    """The number that `text` begins with, or None.  From 0 to 2**32 - 1; the rest is ignored.

    Mirrors `lib/vsprintf.c: vsscanf` of "%u": white space is skipped, a sign is
    not a number, and what does not fit 32 bits loses its upper bits.
    """
    number = _UNSIGNED.match(text)
    if number is None:
        return None
    # 10**32 is a multiple of 2**32, so only the last 32 digits can leave a trace.
    return int(number[1][-32:]) & 0xFFFFFFFF


def parse_bool(text: bytes, *, enable_words: bool = False) -> bool:
    """True or False, whichever the first one or two characters of `text` mean.

    Mirrors `lib/kstrtox.c: kstrtobool`; everything after them is ignored.
    Raises EINVAL if they mean neither.

    Since Linux 6.16 the words "enable" and "disable" are understood too, by
    their first letter: `enable_words`.
    """
    word = text[:1].lower()
    if word == b"o":
        word = text[:2].lower()
    if word in _YES or (enable_words and word == b"e"):
        return True
    if word in _NO or (enable_words and word == b"d"):
        return False
    raise OSError(errno.EINVAL, "neither 1, y, t or on, nor 0, n, f or off")


def parse_int(text: bytes) -> int:
    """The decimal number that `text` is, sign allowed, with at most one newline after it.

    Mirrors `lib/kstrtox.c: kstrtoint` with base 10.  Raises EINVAL if `text` is
    anything else, and ERANGE if an int (32 bits) cannot hold the number.
    """
    number = _INTEGER.match(text)
    if number is None:
        raise OSError(errno.EINVAL, "not a decimal number")
    sign, digits, rest = number.groups()
    magnitude = decimal(digits)
    # The 64 bits overflow while the digits are read, the 32 bits are checked at the very end:
    # so of two numbers with rubbish behind them, only the larger one is out of range.
    if magnitude == 1 << 64:
        raise OSError(errno.ERANGE, "the number does not fit 64 bits")
    if rest not in {b"", b"\n"}:
        raise OSError(errno.EINVAL, "something follows the number")
    value = -magnitude if sign == b"-" else magnitude
    if not -(1 << 31) <= value < 1 << 31:
        raise OSError(errno.ERANGE, "the number does not fit 32 bits")
    return value


def parse_unsigned(text: bytes, bits: int = 64) -> int:
    """The number that `text` is, decimal, 0x or octal, with at most one newline after it.

    Mirrors `lib/kstrtox.c: kstrtoull` with base 0.  Raises EINVAL if `text` is
    anything else, and ERANGE if `bits` bits cannot hold the number.
    """
    number = _ANY_BASE.fullmatch(text)
    if number is None:
        raise OSError(errno.EINVAL, "not a number")
    hexadecimal, octal, digits = number.groups()
    written, base = (hexadecimal, 16) if hexadecimal else (octal, 8) if octal else (digits, 10)
    significant = written.lstrip(b"0") or b"0"
    # 22 octal digits hold 64 bits.  A megabyte of them is never converted.
    if len(significant) > 22 or int(significant, base) >> bits:
        raise OSError(errno.ERANGE, f"the number does not fit {bits} bits")
    return int(significant, base)


def word(text: bytes) -> str:
    """What `lib/string_helpers.c: sysfs_streq` compares: without the one newline at the end."""
    return text.split(b"\0", 1)[0].removesuffix(b"\n").decode(errors="surrogateescape")

"""CPU masks as text: `lib/bitmap-str.c` and the "%*pb" and "%*pbl" of `lib/vsprintf.c`.

A mask is an int whose bit n stands for CPU n.  `nbits` is its width, and is
nr_cpu_ids for every mask of CPUs: the highest possible CPU + 1, however many
of them are present or online.

There are two forms.  The mask, hexadecimal in groups of 32 bits with the
highest first ("ff,ffffffff" for 40 CPUs), and the list ("0-3,8").  The kernel
accepts far more than it prints, down to a few accidents, and so do the parsers:
they are given the bytes of one write(2).

An empty mask is a mask.  That an interrupt needs at least one CPU which is
online is for the caller to say.
"""

from __future__ import annotations

import errno
import re

from fakeproc.files.text.kstrtox import SPACE, decimal

__all__ = ["copy_from_user", "format_list", "format_mask", "parse_list", "parse_mask"]

_COPY_LIMIT = 4 << 20  # KMALLOC_MAX_SIZE with pages of 4 KiB
_UINT_MAX = 0xFFFFFFFF
_HEX_DIGITS = b"0123456789abcdefABCDEF"

_NOT_SEPARATOR = re.compile(rb"[^%b,]" % SPACE)
_HEX_GROUP = re.compile(rb"[%b]{1,8}+" % _HEX_DIGITS)

_REGION = re.compile(
    rb"""
    (?: (?i: all) | (?P<first> %(number)b) - (?P<last> %(number)b) )
    (?: : (?P<used> %(number)b) (?: / (?P<size> %(number)b) )? )?
    | (?P<only> %(number)b)
    """
    % {b"number": rb"(?: N | [0-9]++ )"},
    re.VERBOSE,
)
# A list up to its end: the newline right after a region.  After a separator or a pattern the
# kernel looks for the next region before it looks for the end, so there it is but a blank.
_LIST = re.compile(rb"(?:[^/\n]++|/(?:(?:N|[0-9]++)\n)?|(?<![^%b,])\n)*+" % SPACE)
# bytes.split() knows all of the kernel's separators but these two.
_AS_BLANKS = bytes.maketrans(b",\xa0", b"  ")


def format_mask(mask: int, nbits: int) -> str:
    """`mask` in hexadecimal, every one of the `nbits` shown: "0f,ffffffff".

    Mirrors `lib/vsprintf.c: bitmap_string`, format "%*pb".
    """
    digits = _ceil_div(nbits, 4)
    text = mask.to_bytes(_ceil_div(nbits, 8), "big").hex(",", 4)
    return text[digits % 2 :]  # two digits a byte


def format_list(mask: int) -> str:
    """`mask` as ascending numbers and ranges: "0-3,8"; "" when it is empty.

    Mirrors `lib/vsprintf.c: bitmap_list_string`, format "%*pbl".
    """
    runs = (run.span() for run in re.finditer("1+", f"{mask:b}"[::-1]))
    return ",".join(f"{at}" if end == at + 1 else f"{at}-{end - 1}" for at, end in runs)


def copy_from_user(data: bytes) -> bytes:
    """The string that the kernel sees when `data` is written: up to the first NUL.

    Mirrors `mm/util.c: memdup_user_nul`.  Raises ENOMEM where `data` and the
    NUL that the kernel appends are too large for one allocation, 4 MiB.
    """
    if len(data) >= _COPY_LIMIT:
        raise OSError(errno.ENOMEM, "4 MiB or more in one write")
    return data.split(b"\0", 1)[0]


def parse_mask(text: bytes, nbits: int) -> int:
    """The mask that `text`, all that was written, stands for.

    Mirrors `lib/bitmap-str.c: bitmap_parse_user` and `bitmap_parse`: groups of
    1 to 8 hexadecimal digits, separated by any commas and white space, up to
    the first newline.  No group is an empty mask.

    Raises EINVAL for what is not a digit; EOVERFLOW for more digits in a group,
    more groups, or higher bits than `nbits` has, even where the surplus is
    zero; ENOMEM as `copy_from_user`.
    """
    # The kernel reads from the end, where the lowest group stands, and so finds its errors in
    # that order.  Turned round, the text can be searched without copying it for every group.
    reverse = copy_from_user(text).split(b"\n", 1)[0][::-1]
    mask = shift = at = 0
    while found := _NOT_SEPARATOR.search(reverse, at):
        if shift >= nbits:
            raise OSError(errno.EOVERFLOW, f"more groups than {nbits} bits have")
        group = _HEX_GROUP.match(reverse, found.start())
        if group is None:
            raise OSError(errno.EINVAL, f"{_quote(found[0])} is not a hexadecimal digit")
        mask |= int(group[0][::-1], 16) << shift
        shift += 32
        at = group.end()
        before = reverse[at : at + 1]
        if _NOT_SEPARATOR.match(before):
            if len(group[0]) < 8:
                raise OSError(errno.EINVAL, f"{_quote(before)} is not a hexadecimal digit")
            if before in _HEX_DIGITS:
                raise OSError(errno.EOVERFLOW, "more than 8 digits in a group")
            # An accident of bitmap_get_x32_reverse(): it only wants to know that no ninth
            # digit stands here, and steps over whatever does.  "x00000001" is CPU 0.
            at += 1
    if mask >> nbits:
        raise OSError(errno.EOVERFLOW, f"bit {mask.bit_length() - 1} of a mask of {nbits} bits")
    return mask


def parse_list(text: bytes, nbits: int) -> int:
    """The mask that `text`, a list and all that was written, stands for.

    Mirrors `lib/bitmap-str.c: bitmap_parselist_user` and `bitmap_parselist`:
    regions separated by any commas and white space.  A region is a number, a
    range "a-b" or the word "all", the latter two with an optional pattern
    ":used/size", the first `used` CPUs of every `size`.  "N" is the last CPU.

    Raises EINVAL for anything else, EOVERFLOW for a number of more than 32
    bits, ERANGE for one that is not below `nbits`, ENOMEM as `copy_from_user`.
    """
    mask = 0
    # Each spelling once: a megabyte of "0,0,0," is a single region.
    for word in dict.fromkeys(_words(copy_from_user(text))):
        at = 0
        while at < len(word):
            region, at = _parse_region(word, at, nbits)
            mask |= region
    return mask


def _words(text: bytes) -> list[bytes]:
    # What stands between the separators of a list.
    head = _LIST.match(text)
    return head[0].translate(_AS_BLANKS).split() if head else []


def _parse_region(word: bytes, at: int, nbits: int) -> tuple[int, int]:
    # The mask of the region that starts at `at`, and where it ends.
    match = _REGION.match(word, at)
    if match is None:
        raise OSError(errno.EINVAL, f"{_quote(word[at:])} is not a number, a range or 'all'")
    # In the order of the text: a number too large is refused before what follows it is read.
    numbers = {
        name: _parse_number(digits, nbits)
        for name, digits in match.groupdict().items()
        if digits is not None
    }
    # A pattern ends where its last digit does, and the next region may follow at once.
    # Anything else has to be followed by a separator, which a word does not contain.
    if match.end() < len(word) and "size" not in numbers:
        raise OSError(errno.EINVAL, f"{_quote(word[match.end() :])} does not belong there")
    if "used" in numbers and "size" not in numbers:
        raise OSError(errno.EINVAL, f"{_quote(word[at:])} lacks the size of its groups")

    first = numbers.get("first", numbers.get("only", 0))
    last = numbers.get("last", numbers.get("only", nbits - 1))
    # Without a pattern the whole region is one group.  The kernel counts it in 32 bits, so
    # that CPU 4294967295 has a group of none and is invalid rather than out of range.
    used = numbers.get("used", last + 1 & _UINT_MAX)
    size = numbers.get("size", last + 1 & _UINT_MAX)
    if first > last:
        raise OSError(errno.EINVAL, f"{first}-{last} runs backwards")
    if size == 0 or used > size:
        raise OSError(errno.EINVAL, f"{used} CPUs of every {size}")
    if last >= nbits:
        raise OSError(errno.ERANGE, f"CPU {last} of {nbits}")
    return _region_mask(first, last, used, size), match.end()


def _parse_number(digits: bytes, nbits: int) -> int:
    # `bitmap_getnum`
    number = nbits - 1 if digits == b"N" else decimal(digits)
    if number > _UINT_MAX:
        raise OSError(errno.EOVERFLOW, f"{_quote(digits)} does not fit 32 bits")
    return number


def _region_mask(first: int, last: int, used: int, size: int) -> int:
    # `bitmap_set_region`: `used` bits at `first`, at `first + size` and so on, none above `last`.
    if first + size > _UINT_MAX:
        # Another accident: the sum is an unsigned int and wraps, so these groups go downwards.
        mask = 0
        for start in range(first, -1, size - (_UINT_MAX + 1)):
            mask |= _ones(min(used, last - start + 1)) << start
        return mask
    width = last - first + 1
    size = min(size, width)
    used = min(used, size)
    # ...001001001, a one for every group, times the bits of a group.
    starts = _ones(_ceil_div(width, size) * size) // _ones(size)
    return (starts * _ones(used) & _ones(width)) << first


def _ones(count: int) -> int:
    return (1 << count) - 1


def _ceil_div(number: int, divisor: int) -> int:
    return -(-number // divisor)


def _quote(text: bytes) -> str:
    # Enough of it to be recognised: it may be megabytes long.
    return ascii(text[:20].decode("latin-1"))

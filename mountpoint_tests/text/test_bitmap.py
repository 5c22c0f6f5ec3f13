"""CPU masks as text: what is printed, what is accepted, and what is refused with which errno."""

import errno
import itertools
import json
import random
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakeproc.files.text.bitmap import (
    copy_from_user,
    format_list,
    format_mask,
    parse_list,
    parse_mask,
)

WIDTHS = (1, 2, 31, 32, 33, 63, 64, 65, 416, 2048)
MIB = 1 << 20


def written(parse, text, nbits, online):
    """The mask that one write to an smp_affinity file sets, or the name of its errno.

    In the kernel's order (`kernel/irq/proc.c: write_irq_affinity`): the text
    first, then whether any of the CPUs is online.
    """
    try:
        mask = parse(text, nbits)
        if not mask & online:
            raise OSError(errno.EINVAL, "no CPU of the mask is online")
    except OSError as error:
        return errno.errorcode[error.errno]
    return mask


# What is printed ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nbits", "none", "all_cpus"),
    [
        (1, "0", "1"),
        (2, "0", "3"),
        (4, "0", "f"),
        (5, "00", "1f"),
        (8, "00", "ff"),
        (12, "000", "fff"),
        (31, "00000000", "7fffffff"),
        (32, "00000000", "ffffffff"),
        (33, "0,00000000", "1,ffffffff"),
        (40, "00,00000000", "ff,ffffffff"),
        (63, "00000000,00000000", "7fffffff,ffffffff"),
        (64, "00000000,00000000", "ffffffff,ffffffff"),
        (65, "0,00000000,00000000", "1,ffffffff,ffffffff"),
        (72, "00,00000000,00000000", "ff,ffffffff,ffffffff"),
        (240, "0000" + 7 * ",00000000", "ffff" + 7 * ",ffffffff"),
        (416, 12 * "00000000," + "00000000", 12 * "ffffffff," + "ffffffff"),
        (2048, 63 * "00000000," + "00000000", 63 * "ffffffff," + "ffffffff"),
    ],
)
def test_a_mask_shows_every_possible_cpu(nbits, none, all_cpus):
    assert format_mask(0, nbits) == none
    assert format_mask((1 << nbits) - 1, nbits) == all_cpus


@pytest.mark.parametrize(
    ("cpus", "nbits", "mask"),
    [
        ({0}, 8, "01"),
        ({1, 3}, 8, "0a"),
        ({32}, 33, "1,00000000"),
        ({31}, 33, "0,80000000"),
        ({31, 32}, 64, "00000001,80000000"),
        ({64}, 65, "1,00000000,00000000"),
        ({2047}, 2048, "80000000" + 63 * ",00000000"),
    ],
)
def test_a_mask_is_lower_case_hexadecimal_in_groups_of_eight(cpus, nbits, mask):
    assert format_mask(sum(1 << cpu for cpu in cpus), nbits) == mask


@pytest.mark.parametrize(
    ("cpus", "text"),
    [
        ([], ""),
        ([0], "0"),
        ([2047], "2047"),
        ([0, 1], "0-1"),
        ([0, 2], "0,2"),
        ([0, 1, 2, 3, 5, 7], "0-3,5,7"),
        ([31, 32], "31-32"),
        ([63, 64, 65], "63-65"),
        (range(416), "0-415"),
        (range(2048), "0-2047"),
        (range(0, 2048, 2), ",".join(str(cpu) for cpu in range(0, 2048, 2))),
    ],
)
def test_a_list_is_ascending_numbers_and_ranges(cpus, text):
    assert format_list(sum(1 << cpu for cpu in cpus)) == text


# What is accepted: round trips ----------------------------------------------------------

MASKS = st.sampled_from(WIDTHS).flatmap(
    lambda nbits: st.tuples(st.integers(0, (1 << nbits) - 1), st.just(nbits))
)
SEPARATORS = st.lists(st.text(" \t\r\v\f\xa0,", min_size=1, max_size=4), min_size=1, max_size=5)


def separated(words, separators):
    blanks = itertools.cycle(separator.encode("L1") for separator in separators)
    return next(blanks) + b"".join(word + next(blanks) for word in words)


@given(MASKS)
def test_a_printed_mask_parses_to_itself(mask_of):
    mask, nbits = mask_of
    text = format_mask(mask, nbits).encode()
    assert parse_mask(text, nbits) == mask
    assert parse_mask(text.upper() + b"\n", nbits) == mask


@given(MASKS, st.data())
def test_a_mask_may_have_any_separators(mask_of, data):
    mask, nbits = mask_of
    groups = format_mask(mask, nbits).encode().split(b",")
    text = separated(groups, data.draw(SEPARATORS))
    assert parse_mask(text, nbits) == mask


@given(MASKS)
def test_a_printed_list_parses_to_itself(mask_of):
    mask, nbits = mask_of
    text = format_list(mask).encode()
    assert parse_list(text, nbits) == mask
    assert parse_list(text + b"\n", nbits) == mask


@given(MASKS, st.data())
def test_a_list_may_have_any_separators_and_any_order(mask_of, data):
    mask, nbits = mask_of
    regions = format_list(mask).encode().split(b",")
    random.Random(data.draw(st.integers())).shuffle(regions)
    text = separated(regions, data.draw(SEPARATORS))
    assert parse_list(b"\n" + text, nbits) == mask


@given(st.data(), st.sampled_from(WIDTHS))
def test_a_pattern_takes_the_first_cpus_of_every_group(data, nbits):
    last = data.draw(st.integers(0, nbits - 1))
    first = data.draw(st.integers(0, last))
    size = data.draw(st.integers(1, nbits + 1))
    used = data.draw(st.integers(0, size))
    cpus = [cpu for cpu in range(first, last + 1) if (cpu - first) % size < used]
    text = f"{first}-{last}:{used}/{size}".encode()
    assert parse_list(text, nbits) == sum(1 << cpu for cpu in cpus)


@given(st.binary(max_size=40), st.sampled_from(WIDTHS))
def test_no_input_does_anything_but_parse_or_fail(text, nbits):
    online = (1 << nbits) - 1
    for parse, errors in (
        (parse_mask, {"EINVAL", "EOVERFLOW"}),
        (parse_list, {"EINVAL", "EOVERFLOW", "ERANGE"}),
    ):
        result = written(parse, text, nbits, online)
        assert result in errors if isinstance(result, str) else 0 < result <= online


# What is accepted and what is refused: tables -------------------------------------------

# Two CPUs, both online; observed on Linux 6.18.
MASK_TABLE = [
    (0b01, "1", "1\n", "1 ", " 1", "\t1", ",1", "1,", "1,,"),
    (0b10, "2"),
    (0b11, "3", "03", "00000003"),
    # What follows the first newline or NUL is not read.
    (0b01, "1\n2", "1\nzzz", "1\0", "1\0zzz"),
    (0b11, "3" + 5000 * "\n"),
    # No CPU.
    ("EINVAL", "", "\n", " ", ",", "0", "00000000", "\0", "\n1"),
    # A bit that no CPU has.
    ("EOVERFLOW", "4", "7", "8", "f", "A", "ff", "ffffffff"),
    # Too many groups or digits, be they zero.
    ("EOVERFLOW", "0,3", "00000000,00000003", "1,2", "0,0,3", "0000000000000003"),
    ("EOVERFLOW", "100000000", "ffffffff,ffffffff", 100 * "1", 4095 * "0"),
    # Not a digit.
    ("EINVAL", "g", "x", "0x1", "-1", "1z", "z1"),
]
LIST_TABLE = [
    (0b01, "0", "00", "0-0", "0,", ",0", ",,0,,"),
    (0b10, "1", "01", "N", "1 \n", "\n1"),
    (0b11, "0-1", "0,1", "1,0", "0 1", "0-N", "all", "ALL"),
    (0b01, "all:1/2", "0-1:1/2", "0\n1", "0\ng", "0\0g"),
    ("EINVAL", "", "\n", " ", "\0"),
    ("EINVAL", "1-0", "0-", "-1", "0;1", "g", "0x1", "none"),
    ("EINVAL", "0-1:1", "0-1:0/2", "0-1:3/2", "0-1:1/0", "0-1:1/2,g"),
    ("ERANGE", "2", "3", "0-2", "1-2"),
    # The group of a region without pattern is its last CPU + 1, in 32 bits: 0.
    ("EINVAL", "4294967295"),
    ("EOVERFLOW", "4294967296", "18446744073709551615", "18446744073709551616", 5000 * "9"),
]

# Eight CPUs, 0 to 5 online; observed on the kernel of the series, 6.10-rc2 and the patches.
MASK_TABLE_8 = [
    (0xFF, "FF", "Ff"),
    (0x04, "04", "0004"),
    (0x08, " 8", "\t8", "8 ", "8\t", "8,", ",8", "8\n\n", "8\n10\n", "8\0", "8\0zz"),
    (0xC8, "c8"),
    ("EINVAL", "", "\n", "0", "00000000", "40", "c0"),
    ("EOVERFLOW", "100", "104", "1ff", "ffffffff", "0,4", "1,00000000", "00000000,00000008"),
    ("EOVERFLOW", "000000008", "4 8", "8,,8", 4095 * "0" + "8"),
    ("EINVAL", "0x4", "0Xff", "g", "4g", "-1", "+8", "~8", "8#", "8-10", "all", "none", ",", "\0"),
]
# The same, 40 CPUs, all online.
MASK_TABLE_40 = [
    (1 << 32, "1,0"),
    (0xFFFFFFFF, "0,ffffffff", "00000000,ffffffff"),
    (1 << 32 | 2, "1,,2", "1 2"),
    ("EOVERFLOW", "0,0,4", "ffffffffff"),
]
LIST_TABLE_8 = [
    (0x08, "3", "03", ",3", "3,", " 3", "\n3\n", "3\n4\n"),
    (0x18, "3,4", "3-4", "3,,4", "3 4", "3\t4", "3, 4"),
    (0x55, "0-7:1/2"),
    (0x33, "0-7:2/4"),
    (0xB6, "1-7:2/3"),
    (0xFF, "all", "ALL", "All", "0-N"),
    ("ERANGE", "8", "0-8", "3,8", "08"),
    ("EINVAL", "", "\n", ",", "3-1", "0-7:0/2", "0-7:3/2", "0-7:1/0", "0-7:1", "0-7:1/", "3:1/2"),
    ("EINVAL", "n", "none", "-1", "+3", "a", "3a", "3-", "-3", "0x3", "3-4-5", "3;4", "3.0"),
    ("EINVAL", "3e0", "#3", "3#", "4294967295", "6", "7", "6-7", "N", "N-N"),
    ("EOVERFLOW", "4294967296", "99999999999999999999"),
]


def rows(*tables):
    for parse, nbits, online, table in tables:
        for result, *inputs in table:
            for text in inputs:
                name = f"{nbits}-{parse.__name__}-{text[:20]!r}-{len(text)}"
                yield pytest.param(parse, text.encode("L1"), nbits, online, result, id=name)


@pytest.mark.parametrize(
    ("parse", "text", "nbits", "online", "result"),
    list(
        rows(
            (parse_mask, 2, 0b11, MASK_TABLE),
            (parse_list, 2, 0b11, LIST_TABLE),
            (parse_mask, 8, 0x3F, MASK_TABLE_8),
            (parse_list, 8, 0x3F, LIST_TABLE_8),
            (parse_mask, 40, (1 << 40) - 1, MASK_TABLE_40),
        )
    ),
)
def test_the_tables(parse, text, nbits, online, result):
    assert written(parse, text, nbits, online) == result


@pytest.mark.parametrize("text", [b"", b"\n", b"\0", b" ,\t", b"\n1", b"0", b"00000000"])
def test_an_empty_mask_is_a_mask(text):
    assert parse_mask(text, 8) == 0


@pytest.mark.parametrize("text", [b"", b"\n", b"\0", b" ,\t", b"\n\n", b"0-7:0/2"])
def test_an_empty_list_is_a_mask(text):
    assert parse_list(text, 8) == 0


def test_errors_are_found_from_the_end_of_a_mask_and_the_beginning_of_a_list():
    assert written(parse_mask, b"g 1", 8, 0xFF) == "EOVERFLOW"
    assert written(parse_mask, b"000000001 g", 8, 0xFF) == "EINVAL"
    assert written(parse_list, b"8,g", 8, 0xFF) == "ERANGE"
    assert written(parse_list, b"g,8", 8, 0xFF) == "EINVAL"
    assert written(parse_list, b"4294967296-g", 8, 0xFF) == "EOVERFLOW"
    assert written(parse_list, b"0-g:4294967296/1", 8, 0xFF) == "EINVAL"
    assert written(parse_list, b"0-9:1/2g", 8, 0xFF) == "ERANGE"


@pytest.mark.parametrize(
    ("parse", "text", "sentence"),
    [
        (parse_mask, b"0x1", "'x' is not a hexadecimal digit"),
        (parse_mask, b"1,0", "more groups than 8 bits have"),
        (parse_mask, b"000000001", "more than 8 digits in a group"),
        (parse_mask, b"101", "bit 8 of a mask of 8 bits"),
        (parse_list, b"0-3,none", "'none' is not a number, a range or 'all'"),
        (parse_list, b"3-1", "3-1 runs backwards"),
        (parse_list, b"0-8", "CPU 8 of 8"),
        (parse_list, b"0-", "'-' does not belong there"),
        (parse_list, b"0-7:1", "'0-7:1' lacks the size of its groups"),
        (parse_list, b"0-7:3/2", "3 CPUs of every 2"),
        (parse_list, b"9" * MIB, "'99999999999999999999' does not fit 32 bits"),
    ],
)
def test_a_refusal_says_why(parse, text, sentence):
    with pytest.raises(OSError, match=re.escape(sentence) + "$"):
        parse(text, 8)


# isspace() of `lib/ctype.c`, and what str.isspace() would add to it.
@pytest.mark.parametrize("blank", [b"\t", b"\v", b"\f", b"\r", b" ", b"\xa0"])
def test_blanks_of_the_kernel(blank):
    assert parse_mask(blank + b"1" + blank, 8) == 0x01
    assert parse_list(blank + b"1" + blank, 8) == 0x02


@pytest.mark.parametrize("byte", [b"\x1c", b"\x1f", b"\x85", b"\xc2\xa0", "\u0661".encode()])
def test_blanks_and_digits_of_unicode_are_neither(byte):
    assert written(parse_mask, b"1" + byte, 8, 0xFF) == "EINVAL"
    assert written(parse_list, b"1" + byte, 8, 0xFF) == "EINVAL"


# Those of two CPUs were seen on 6.18 in rps_cpus of a network device, which bitmap_parse() reads
# too; those of 40 are the same code.
@pytest.mark.parametrize(
    ("text", "nbits", "result"),
    [
        (b"x00000001", 2, 0x01),
        (b"-00000003\n", 2, 0x03),
        (b"\xff00000002", 2, 0x02),
        (b",x00000001", 2, 0x01),
        (b"x0000001", 2, "EINVAL"),
        (b"0x00000001", 2, "EOVERFLOW"),
        (b"xx00000001", 2, "EOVERFLOW"),
        (b"g,00000001", 2, "EOVERFLOW"),
        (b"1x00000001", 40, 1 << 32 | 1),
        (b"xx00000001", 40, "EINVAL"),
    ],
)
def test_a_mask_swallows_one_byte_before_eight_digits(text, nbits, result):
    assert written(parse_mask, text, nbits, (1 << nbits) - 1) == result


# The first four were seen on 6.18 in the option mpol= of tmpfs, which bitmap_parselist() reads
# too, there with node 0 alone.  The last five are what 32 bits do to the same code.
@pytest.mark.parametrize(
    ("text", "result"),
    [
        (b"0-3:1/2\n7", 0x85),
        (b"0-3:1/2\ng", "EINVAL"),
        (b"0-3:1/Nall:0/1", 0x01),
        (b"0\ng", 0x01),
        (b"0\n7", 0x01),
        (b"0 \n7", 0x81),
        (b"0-3:1/27", 0x01),
        (b"0-3:1/2N", 0x85),
        (b"3-3:1/4294967295", 0x0F),
        (b"3-4:1/4294967294", 0x0A),
        (b"0-7:1/4294967295", 0x01),
        (b"0-4294967295:1/2", "ERANGE"),
        (b"0-4294967295", "EINVAL"),
    ],
)
def test_a_list_has_its_accidents(text, result):
    assert written(parse_list, text, 8, 0xFF) == result


# Long ones ------------------------------------------------------------------------------


@pytest.mark.parametrize("parse", [parse_mask, parse_list])
def test_four_mib_is_too_much_for_one_allocation(parse):
    assert written(parse, b"1\n" + b"x" * (4 * MIB - 3), 8, 0xFF) in {0x01, 0x02}
    assert written(parse, b"1\n" + b"x" * (4 * MIB - 2), 8, 0xFF) == "ENOMEM"
    assert written(parse, b"\0" * 9 * MIB, 8, 0xFF) == "ENOMEM"


def test_a_nul_ends_what_the_kernel_sees():
    assert copy_from_user(b"1\n\0two") == b"1\n"
    assert copy_from_user(b"") == b""
    assert len(copy_from_user(b"x" * (4 * MIB - 1))) == 4 * MIB - 1
    with pytest.raises(OSError, match="4 MiB") as refused:
        copy_from_user(b"x" * 4 * MIB)
    assert refused.value.errno == errno.ENOMEM


@pytest.mark.parametrize("parse", [parse_mask, parse_list])
@pytest.mark.parametrize(
    "text",
    [b"0", b"1", b" ", b"1 ", b"0,", b"\n", b"g", b"x00000001", b"00000001,", b"0-", b"/1\n"],
)
def test_a_mebibyte_takes_no_time(parse, text):
    text *= MIB // len(text)
    started = time.process_time()
    written(parse, text, 2048, 1)
    # Milliseconds, but this is no benchmark: what is quadratic would take minutes.
    assert time.process_time() - started < 2


# What real kernels did ------------------------------------------------------------------


def recorded(file_name):
    golden = Path(__file__).parents[1] / "golden" / "stock" / file_name
    table = {}
    with golden.open(encoding="ascii") as lines:
        for row in map(json.loads, lines):
            if "section" in row:
                table = row
                continue
            runs = [[row["input"], 1]] if isinstance(row["input"], str) else row["input"]
            yield {**table, **row, "input": [(text.encode("L1"), times) for text, times in runs]}


RECORDED = list(recorded("masks.jsonl"))


@pytest.mark.parametrize(
    ("kernel", "section"),
    sorted({(kernel, row["section"]) for row in RECORDED for kernel in row["kernels"]}),
)
def test_what_a_real_kernel_did(kernel, section):
    parse = parse_list if section.startswith("irq_list") else parse_mask
    differences = []
    for row in RECORDED:
        if section != row["section"] or kernel not in row["kernels"]:
            continue
        nbits, online = row["nbits"], int(row["online"], 16)
        mask = written(parse, b"".join(text * n for text, n in row["input"]), nbits, online)
        if isinstance(mask, str):
            ours = {"errno": mask}
        else:
            ours = {"mask": format_mask(mask, nbits), "list": format_list(mask)}
        theirs = {key: row[key] for key in ("errno", "mask", "list") if key in row}
        if not theirs.items() <= ours.items():
            what = f"{kernel}, {section}, {nbits} CPUs, online {row['online']}, {row['input']}"
            differences.append(f"{what}: the kernel {theirs}, we {ours}")
    assert not differences, "\n".join(differences)

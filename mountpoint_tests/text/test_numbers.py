"""Numbers and booleans as the kernel reads them."""

import errno
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakeproc.files.text.kstrtox import SPACE, decimal, parse_bool, parse_int, scan_unsigned


def result_of(parse, text, **options):
    """What `parse` makes of the text, or the name of its errno."""
    try:
        return parse(text, **options)
    except OSError as error:
        return errno.errorcode[error.errno]


def test_white_space_is_that_of_ctype():
    assert re.findall(rb"[%b]" % SPACE, bytes(range(256))) == [
        bytes([byte]) for byte in (*range(9, 14), 0x20, 0xA0)
    ]


@pytest.mark.parametrize(
    ("digits", "value"),
    [
        (b"0", 0),
        (b"00", 0),
        (b"0" * 5000 + b"7", 7),
        (b"18446744073709551615", 2**64 - 1),
        (b"18446744073709551616", 2**64),
        (b"99999999999999999999", 2**64),
        (b"9" * 5000, 2**64),
    ],
)
def test_decimal_stops_at_64_bits(digits, value):
    assert decimal(digits) == value


# channels/<relid>/cpu: sscanf(buf, "%u", ...) -------------------------------------------


@pytest.mark.parametrize(
    ("value", "inputs"),
    [
        (3, ["3", "3\n", " 3", "\t3", "\n3", "\xa03", "03", " \n\v\f\r\t3"]),
        (3, ["3abc", "3,4", "3-4", "3 4", "3.5", "3\0004"]),
        (0, ["0", "0x3", "0x2", "0b1"]),
        (10, ["010"]),
        # The value modulo 2**64, of which an unsigned int keeps the lower half.
        (3, ["4294967299", "18446744073709551619", "0000000000000000000000000000000000000003"]),
        (0, ["4294967296", "18446744073709551616", "1" + 5000 * "0"]),
        (4294967295, ["4294967295", "18446744073709551615"]),
        (None, ["", "\n", " \n", "\0", "\0003", "-1", "-0", "+3", "+1", "x", "abc", ",3", '"3"']),
        (None, ["\u0663", "\xb2", "\x853"]),
    ],
)
def test_scan_unsigned(value, inputs):
    for text in inputs:
        assert scan_unsigned(text.encode("L1" if text < "\u0100" else "utf-8")) == value, text


@given(st.integers(min_value=0), st.sampled_from([b"", b"\n", b" 9", b"x"]))
def test_scan_unsigned_keeps_32_bits(number, rest):
    assert scan_unsigned(b"%d" % number + rest) == number % 2**64 % 2**32


def test_a_page_of_digits_is_a_number():
    assert scan_unsigned(b"9" * 4096) == (10**4096 - 1) % 2**32


# cpu<n>/online: kstrtobool() ------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "inputs"),
    [
        (True, ["1", "y", "Y", "t", "T", "on", "oN", "On", "ON"]),
        (True, ["1\n", "1xyz", "yes", "true", "1 0", "10", "once", "1\0", "1\xff"]),
        (False, ["0", "n", "N", "f", "F", "off", "of", "oF", "Of", "OFF", "offline"]),
        (False, ["0\n", "01", "0x1", "no", "false", "0\0001"]),
        ("EINVAL", ["", "\n", " 1", "\t1", "\n1", "-1", "+1", "2", "9", "x", "o", "ox", "o\0n"]),
        ("EINVAL", ["\0", "\0001", '"1"', "\xff", "\xb9", "\xa01"]),
    ],
)
def test_parse_bool(value, inputs):
    for text in inputs:
        assert result_of(parse_bool, text.encode("L1")) == value, text
        assert result_of(parse_bool, text.encode("L1"), enable_words=True) == value, text


@pytest.mark.parametrize(
    ("value", "inputs"),
    [(True, ["enable", "e", "E", "else"]), (False, ["disable", "d", "D", "do"])],
)
def test_enable_and_disable_are_words_since_6_16(value, inputs):
    for text in inputs:
        assert result_of(parse_bool, text.encode()) == "EINVAL", text
        assert result_of(parse_bool, text.encode(), enable_words=True) == value, text


# cpu<n>/hotplug/target: kstrtoint() with base 10 ----------------------------------------


@pytest.mark.parametrize(
    ("value", "inputs"),
    [
        (0, ["0", "00", "+0", "-0", "0\n", "0\0", "0\n\0z", 4000 * "0"]),
        (236, ["236", "0236", "+236\n"]),
        (-1, ["-1", "-01\n"]),
        (2147483647, ["2147483647"]),
        (-2147483648, ["-2147483648"]),
        (
            "EINVAL",
            ["", "\n", "\0", "x", "+", "-", "+-1", "-+1", "--1", " 0", "0 ", "\n0", "\xa00"],
        ),
        ("EINVAL", ["0x0", "1e0", "1.0", "0\n\n", "0\n0", "0\r\n", "1,2", "\xb2"]),
        ("ERANGE", ["2147483648", "-2147483649", "4294967296", "9223372036854775808\n"]),
        ("ERANGE", ["18446744073709551615", "18446744073709551616", "-18446744073709551616"]),
        # 64 bits overflow before what follows is looked at, 32 bits after it.
        ("EINVAL", ["4294967296x", "18446744073709551615x"]),
        ("ERANGE", ["18446744073709551616x", 4096 * "9"]),
    ],
)
def test_parse_int(value, inputs):
    for text in inputs:
        assert result_of(parse_int, text.encode("L1")) == value, text[:40]


@pytest.mark.parametrize(
    ("parse", "text", "sentence"),
    [
        (parse_bool, b"2", "neither 1, y, t or on, nor 0, n, f or off"),
        (parse_int, b"x", "not a decimal number"),
        (parse_int, b"0x0", "something follows the number"),
        (parse_int, b"4294967296", "the number does not fit 32 bits"),
        (parse_int, b"18446744073709551616", "the number does not fit 64 bits"),
    ],
)
def test_a_refusal_says_why(parse, text, sentence):
    with pytest.raises(OSError, match=f"{sentence}$"):
        parse(text)


@given(st.integers(-(1 << 33), 1 << 33))
def test_parse_int_takes_what_an_int_holds(number):
    expected = number if -(1 << 31) <= number < 1 << 31 else "ERANGE"
    assert result_of(parse_int, b"%d\n" % number) == expected


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


RECORDED = list(recorded("numbers.jsonl"))


def online_store(text, kernel):
    version = tuple(int(part) for part in kernel.split()[0].split("."))
    return result_of(parse_bool, text, enable_words=version >= (6, 16))


def hotplug_store(text, accepts):
    number = result_of(parse_int, text)
    return number if isinstance(number, str) or number in accepts else "EINVAL"


@pytest.mark.parametrize(
    ("kernel", "section"),
    sorted({(kernel, row["section"]) for row in RECORDED for kernel in row["kernels"]}),
)
def test_what_a_real_kernel_did(kernel, section):
    differences = []
    for row in RECORDED:
        if section != row["section"] or kernel not in row["kernels"]:
            continue
        text = b"".join(part * times for part, times in row["input"])
        accepts = row.get("accepts")
        ours = hotplug_store(text, accepts) if accepts else online_store(text, kernel)
        theirs = row.get("errno", row.get("value"))
        if ours != theirs:
            differences.append(f"{kernel}, {section}, {row['input']}: {theirs}, we {ours}")
    assert not differences, "\n".join(differences)

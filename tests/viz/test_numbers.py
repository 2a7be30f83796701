"""Numbers are written with few digits, and never say more or less than they are."""

import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from viz.numbers import (
    bits,
    counted,
    fair_draw,
    operations,
    percent,
    percent_change,
    plural,
    signed,
    size_text,
    three_digits,
    whole_percent,
)


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (0.0, "0%"),
        (1.0, "100%"),
        (0.5, "50.0%"),
        (0.1234, "12.3%"),
        (0.09994, "9.99%"),
        (0.09999, "10.0%"),
        (0.9994, "99.9%"),
        (0.00012345, "0.0123%"),
        (0.99999, ">99.9%"),
        (3e-9, "<0.0001%"),
        (-3e-9, ">-0.0001%"),
    ],
)
def test_percent_has_three_digits_and_no_false_certainty(probability, text):
    assert percent(probability) == text


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0, "0%"), (1, "100%"), (0.001, "<1%"), (0.996, ">99%"), (0.5, "50%"), (0.99, "99%")],
)
def test_whole_percentage_has_no_false_certainty(probability, text):
    assert whole_percent(probability) == text


@pytest.mark.parametrize(
    ("number", "text"), [(1.234, "1.23"), (99.96, "100"), (999.6, "1,000"), (0.5, "0.5")]
)
def test_numbers_are_never_written_with_an_exponent(number, text):
    assert three_digits(number) == text


def test_rounding_is_written_as_such():
    assert signed(0.25) == "+0.25"
    assert signed(-12.345) == "-12.3"
    assert signed(0.0) == signed(-0.0) == "0"
    assert signed(-3e-16) == "-3e-16"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.25, "+25.0%"),
        (-0.1, "-10.0%"),
        (0, "0%"),
        (-0.0, "0%"),
        (1.5, "+150%"),
        (-1e-9, "<0.0001%"),
    ],
)
def test_a_change_has_its_sign(share, text):
    assert percent_change(share) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 bits"),
        (2, "2.00 bits"),
        (0.5, "0.500 bits"),
        (1e-7, "<0.001 bits"),
        (10, "10.0 bits"),
    ],
)
def test_bits_name_their_unit_and_are_never_an_exponent(number, text):
    assert bits(number) == text


@pytest.mark.parametrize(
    ("entropy", "text"),
    [(0, "1 token"), (1e-4, "1 token"), (1, "2.00 tokens"), (10, "1,024 tokens")],
)
def test_a_fair_draw_of_no_doubt_has_one_token(entropy, text):
    assert fair_draw(entropy) == text


@given(st.floats(-1e6, 1e6))
@example(-1e-12)
def test_nothing_is_written_as_minus_nothing(number):
    for write in (percent_change, signed, three_digits, bits):
        assert not re.fullmatch(r"-0([.]0*)?\D*", write(number))


@given(st.floats(1e-6, 1, exclude_max=True))
def test_a_share_is_off_by_no_more_than_its_third_digit(share):
    shown = percent(share)
    if shown != ">99.9%":
        assert float(shown[:-1]) / 100 == pytest.approx(share, rel=0.006)


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (1536, "1.54 kB"),
        (2e6, "2 MB"),
        (34.5e9, "34.5 GB"),
        (4e15, "4,000 TB"),
    ],
)
def test_bytes_are_counted_in_thousands(n_bytes, text):
    assert size_text(n_bytes) == text


def test_operations_have_a_unit_of_their_own_size():
    assert [operations(10**power) for power in (2, 3, 7, 11, 12)] == [
        "100 FLOP",
        "1 kFLOP",
        "10 MFLOP",
        "100 GFLOP",
        "1 TFLOP",
    ]


@pytest.mark.parametrize("n", [0, 1, 2, 1234, np.int64(1), np.int64(5)])
def test_only_one_of_something_stands_in_the_singular(n):
    assert counted(n, "token").endswith(" token") == (n == 1)
    assert plural(n, "is", "are") == ("is" if n == 1 else "are")


def test_large_counts_have_thousands_marks():
    assert counted(1_234_567, "parameter") == "1,234,567 parameters"

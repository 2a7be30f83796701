"""Numbers are written with few digits, and never say more or less than they are."""

import numpy as np
import pytest

from viz.numbers import (
    counted,
    operations,
    percent,
    plural,
    signed,
    size_text,
    three_digits,
    whole_percent,
)


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.5, "50.0 %"),
        (0.1234, "12.3 %"),
        (0.09994, "9.99 %"),
        (0.00012345, "0.0123 %"),
        (0.99999, ">99.9 %"),
        (3e-9, "3e-07 %"),
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
    assert signed(0.25) == "+0.2500"
    assert signed(0.0) == "+0.0000"
    assert signed(-3e-16) == "-3e-16"


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

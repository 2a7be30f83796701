"""A table comes back from its CSV file as it was, and no text in it is computed."""

import csv
import io

import pandas as pd
import pytest

from pages.widgets.download import csv_of

WIDE = "\N{FULLWIDTH EQUALS SIGN}"
TOKENS = [
    "·the",
    "=1+1",
    "+1",
    "-2",
    "@SUM(A1)",
    "a\rb",
    'say "x", y',
    "a\nb",
    "\tx",
    WIDE + "1",
    "",
]


def table():
    return pd.DataFrame(
        {
            "token": TOKENS,
            "logit": [-1.5] * len(TOKENS),
            "rank": pd.array([1, None] * 5 + [3], dtype="Int64"),
            "=1+1": [None, "-"] + [True] * (len(TOKENS) - 2),
        }
    )


def rows():
    return list(csv.reader(io.StringIO(csv_of(table()), newline=""), strict=True))


def test_every_line_has_every_cell():
    assert [len(row) for row in rows()] == [4] * (1 + len(TOKENS))


@pytest.mark.parametrize("column", [0, 3])
def test_no_text_begins_a_formula(column):
    cells = [row[column] for row in rows()]
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r" + WIDE)]


def test_texts_come_back_but_for_the_apostrophe():
    found = [row[0].removeprefix("'") for row in rows()[1:]]
    assert found == TOKENS


def test_numbers_stay_numbers():
    assert {row[1] for row in rows()[1:]} == {"-1.5"}
    assert [row[2] for row in rows()[1:4]] == ["1", "", "1"]


def test_the_table_itself_is_left_alone():
    frame = table()
    csv_of(frame)
    pd.testing.assert_frame_equal(frame, table())

"""What one query reads is said in words, and lines are drawn around it."""

import numpy as np
import pytest

from pages.attention.one_query import MAX_LINE_TOKENS, lines_note, lines_span, summary

LABELS = ["*a*", "b", "c", "d"]


def test_the_three_that_are_read_most_are_named_in_order():
    said = summary(LABELS, np.array([0.5, 0.125, 0.0625, 0.3125], np.float32), 3, (0, 1))
    assert said == (
        ":blue[d] (token 3) reads most from :orange[\\*a\\*] (token 0), 50.0%; then from itself, "
        "31.2%; then from :orange[b] (token 1), 12.5%."
    )


def test_what_is_not_read_at_all_is_not_named():
    said = summary(LABELS, np.array([0, 1, 0, 0], np.float32), 1, (0, 1))
    assert said == ":blue[b] (token 1) reads most from itself, 100%."
    assert "reads from nothing but the first token" in summary(
        LABELS, np.zeros(4, np.float32), 0, (0, 1)
    )


@pytest.mark.parametrize("span", [slice(0, 40), slice(10, 300), slice(0, MAX_LINE_TOKENS + 1)])
@pytest.mark.parametrize("query", [0, 20, 96, 200, 299, 400])
def test_lines_are_drawn_among_as_many_tokens_as_can_be_with_the_query_if_it_is_shown(span, query):
    drawn = lines_span(span, query)
    assert span.start <= drawn.start < drawn.stop <= span.stop
    assert drawn.stop - drawn.start == min(MAX_LINE_TOKENS, span.stop - span.start)
    if span.start <= query < span.stop:
        assert drawn.start <= query < drawn.stop


def test_the_note_tells_which_tokens_are_left_out_and_what_share_the_rest_has():
    row = np.array([0.25, 0.5, 0.25, 0], np.float32)
    assert lines_note(slice(0, 4), 2, row, 4) is None
    said = lines_note(slice(1, 3), 2, row, 4)
    assert said == "Lines are drawn among tokens 1 to 2. Of what the query reads, 75.0% lies there."
    assert lines_note(slice(1, 3), 3, row, 4) == "Lines are drawn among tokens 1 to 2."

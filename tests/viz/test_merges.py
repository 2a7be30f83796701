"""A word is cut as its merges were made, from bytes to tokens."""

import pytest

from viz import merge_ladder

ROWS = [["·", "t", "h", "e"], ["·", "t", "he"], ["·", "the"]]


def boxes(figure):
    """Each piece as (row, first column, last column, text)."""
    (bars,) = figure.data
    return [
        (row, round(base), round(base + width), text)
        for row, base, width, text in zip(bars.y, bars.base, bars.x, bars.text, strict=True)
    ]


def test_a_piece_is_as_wide_as_what_it_was_merged_from():
    found = boxes(merge_ladder(ROWS, [2, 1], [3, 8]))
    bytes_, first, second = ([box[1:] for box in found if box[0] == row] for row in range(3))
    assert bytes_ == [(0, 1, "·"), (1, 2, "t"), (2, 3, "h"), (3, 4, "e")]
    assert first == [(0, 1, "·"), (1, 2, "t"), (2, 4, "<b>he</b>")]
    assert second == [(0, 1, "·"), (1, 4, "<b>the</b>")]


def test_hover_names_the_merge_and_its_rank():
    hover = merge_ladder(ROWS, [2, 1], [3, 8]).data[0].customdata
    assert hover[6] == "merge 1 (rank 3): h + e"
    assert hover[8] == "merge 2 (rank 8): t + he"


def test_pieces_are_not_read_as_html():
    figure = merge_ladder([["<b>", "&"], ["<b>&"]], [0], [0])
    assert "<b>&lt;b&gt;&amp;</b>" in figure.data[0].text


def test_a_word_without_merges_is_one_row():
    assert boxes(merge_ladder([["x"]], [], [])) == [(0, 0, 1, "x")]


def test_rows_that_do_not_fit_the_merges_are_refused():
    with pytest.raises(ValueError, match="2 rows do not fit 2 merges"):
        merge_ladder(ROWS[:2], [2, 1], [3, 8])

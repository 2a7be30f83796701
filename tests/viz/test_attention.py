"""Attention figures draw the numbers they are given, and nothing where there is none."""

import numpy as np
import pytest

from viz import attention_heatmap, theme
from viz.attention import MAX_SIDE

PATTERN = np.array([[1, 0, 0], [0.25, 0.75, 0], [0.5, 0.2, 0.3]], np.float32)
TOKENS = ["the", "·cat", "the"]


def cells(figure):
    return np.asarray(figure.data[0].z)


def test_every_readable_cell_holds_its_weight_and_masked_cells_hold_nothing():
    np.testing.assert_array_equal(
        cells(attention_heatmap(PATTERN, TOKENS)),
        np.array([[1, np.nan, np.nan], [0.25, 0.75, np.nan], [0.5, 0.2, 0.3]], np.float32),
    )


def test_a_weight_of_zero_is_drawn_but_a_masked_key_is_not():
    window = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1]], bool)
    pattern = np.array([[1, 0, 0], [0, 1, 0], [0, 0.4, 0.6]], np.float32)
    drawn = cells(attention_heatmap(pattern, TOKENS, readable=window))
    assert drawn[1, 0] == 0
    assert np.isnan(drawn[2, 0])


def test_equal_tokens_keep_their_own_rows():
    assert list(attention_heatmap(PATTERN, TOKENS).data[0].y) == ["0: the", "1: ·cat", "2: the"]


def test_labels_count_from_the_start_of_the_whole_text():
    assert attention_heatmap(PATTERN, TOKENS, start=40).data[0].x[0] == "40: the"


@pytest.mark.parametrize(
    ("token", "label"),
    [
        ("<b>", "0: &lt;b&gt;"),
        ("&amp;", "0: &amp;amp;"),
        ("x" * 40, "0: " + "x" * 9 + "…" + "x" * 4),
    ],
)
def test_token_text_is_shown_as_it_stands(token, label):
    assert attention_heatmap(np.ones((1, 1)), [token]).data[0].y[0] == label


def test_small_weights_get_more_of_the_colour_scale_than_large_ones():
    stops = [stop for stop, _ in attention_heatmap(PATTERN, TOKENS).data[0].colorscale]
    np.testing.assert_allclose(np.sqrt(stops), np.linspace(0, 1, 10), atol=1e-12)


def test_query_and_key_are_framed_where_they_are():
    row, column = attention_heatmap(PATTERN, TOKENS, query=2, key=0).layout.shapes
    assert (row.y0, row.y1, row.line.color) == (1.5, 2.5, theme.QUERY)
    assert (column.x0, column.x1, column.line.color) == (-0.5, 0.5, theme.KEY)


def test_a_query_outside_the_drawn_part_gets_no_frame():
    assert not attention_heatmap(PATTERN, TOKENS, query=2, start=10).layout.shapes


def test_long_text_keeps_the_largest_weight_of_each_block():
    n_tokens = 2 * MAX_SIDE + 1
    pattern = np.eye(n_tokens, dtype=np.float32)
    pattern[100, 31] = 0.5
    figure = attention_heatmap(pattern, ["a"] * n_tokens, query=100)
    drawn = cells(figure)
    assert max(drawn.shape) <= MAX_SIDE
    assert drawn[100 // 3, 31 // 3] == 0.5
    assert np.isnan(drawn[0, 1])
    assert figure.data[0].y[33] == "99-101: aaa"
    assert figure.layout.shapes[0].y0 == 32.5
    assert "largest" in figure.data[0].hovertemplate


def test_a_pattern_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"\(3, 3\) do not fit 2 tokens"):
        attention_heatmap(PATTERN, TOKENS[:2])

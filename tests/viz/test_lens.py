"""Lens figures draw the numbers they are given, and survive odd ones."""

import numpy as np
import pytest

from viz import lens_table, watched_words

GUESSES = [["·a", "<b>"], ["·cat", "·cat"], ["·cat", "·mat"]]
PROBABILITIES = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
RANKS = np.array([[1000, 20], [1, 3], [1, 1]])


def table(**changes):
    arguments = {
        "points": ["embedding", "layer 0", "layer 1"],
        "tokens": ["the", "the"],
        "final": ["·cat", "·mat"],
        "final_probabilities": PROBABILITIES / 10,
        "start": 7,
    }
    return lens_table(GUESSES, PROBABILITIES, RANKS, **arguments | changes)


def test_equal_tokens_keep_a_column_each():
    heatmap = table().data[0]
    assert list(heatmap.x) == ["7: the", "8: the"]
    np.testing.assert_allclose(heatmap.z, PROBABILITIES, rtol=1e-6)


def test_cells_show_what_was_asked_for():
    assert table().data[0].text[0] == ["·a", "&lt;b&gt;"]
    assert table(show="rank").data[0].text[0] == ["1,000", "20"]
    assert "50" in table(show="probability").data[0].text[2][0]


def test_colour_of_a_rank_is_its_logarithm_and_rank_one_is_strongest():
    heatmap = table(show="rank").data[0]
    np.testing.assert_allclose(heatmap.z[0], np.log10([1000, 20]), rtol=1e-6)
    by_probability = table().data[0].colorscale
    assert heatmap.colorscale[0][1] == by_probability[-1][1]
    assert heatmap.colorscale[-1][1] == by_probability[0][1]
    positions = [position for position, _ in heatmap.colorscale]
    assert positions == sorted(positions)


def test_hover_tells_guess_and_final_token():
    hover = table().data[0].hovertext[0][0]
    for piece in ("embedding", "7: the", "·a", "·cat", "1,000"):
        assert piece in hover
    assert "<b>" not in table().data[0].hovertext[0][1]


def test_embedding_is_the_top_row_and_the_position_is_framed():
    figure = table(selected=8)
    low, high = figure.layout.yaxis.range
    assert low > high
    assert (figure.layout.shapes[0].x0, figure.layout.shapes[0].x1) == (0.5, 1.5)
    assert not table(selected=99).layout.shapes


def test_many_positions_are_drawn_without_text():
    half, ranks = np.full((1, 300), 0.5), np.ones((1, 300), int)
    labels = {"points": ["embedding"], "tokens": ["the"] * 300, "final": ["a"] * 300}
    wide = lens_table([["a"] * 300], half, ranks, final_probabilities=half, **labels)
    assert wide.data[0].texttemplate is None
    assert table().data[0].texttemplate


def test_cell_without_a_number_stays_empty():
    probabilities = PROBABILITIES.copy()
    probabilities[1, 0] = np.nan
    arguments = {"points": ["a", "b", "c"], "tokens": ["x", "y"], "final": ["p", "q"]}
    figure = lens_table(
        GUESSES, probabilities, RANKS, final_probabilities=probabilities, **arguments
    )
    assert figure.data[0].text[1][0] == ""
    assert "no number" in figure.data[0].hovertext[1][0]


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        table(tokens=["the"])


def test_lines_hold_the_words_numbers_and_differ_by_more_than_colour():
    values = np.array([[0.0, 0.1], [0.25, 0.5], [0.75, 0.25]])
    stream = {
        "points": ["embedding", "after attention 0", "after feedforward 0"],
        "parts": ["embedding", "attention", "feedforward"],
        "layers": [-1, 0, 0],
    }
    figure = watched_words(values, ["·cat", "<i>"], selected=0, **stream)
    first, second = figure.data
    np.testing.assert_array_equal(first.y, values[:, 0])
    assert first.marker.symbol == ("diamond", "circle", "square")
    assert first.line.dash != second.line.dash
    assert second.name == "&lt;i&gt;"
    assert list(figure.layout.xaxis.ticktext) == ["embed", "0"]


def test_rank_one_is_at_the_top():
    parts = ["embedding", "feedforward"]
    stream = {"points": parts, "parts": parts, "layers": [-1, 0]}
    figure = watched_words(np.array([[3000], [1]]), ["a"], measure="rank", **stream)
    bottom, top = figure.layout.yaxis.range
    assert top < 0 < np.log10(3000) < bottom

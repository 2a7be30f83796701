"""What the matrix shows, and what a click in it means, follows from positions alone."""

from dataclasses import replace

import numpy as np
import pytest

from pages.attention.matrix import Shown, mask_note, position_of, table_of
from viz.attention import MAX_SIDE, block_size


@pytest.mark.parametrize("span", [slice(0, 6), slice(3, 9), slice(5, 5 + MAX_SIDE)])
def test_a_row_of_one_token_stands_for_it(span):
    n_tokens = span.stop - span.start
    assert [position_of(row, span) for row in range(n_tokens)] == [*range(span.start, span.stop)]


@pytest.mark.parametrize("span", [slice(0, MAX_SIDE + 1), slice(7, 7 + 3 * MAX_SIDE - 2)])
def test_a_row_of_several_tokens_stands_for_its_last_one(span):
    tokens = np.arange(span.start, span.stop)
    blocks = [
        tokens[at : at + block_size(len(tokens))]
        for at in range(0, len(tokens), block_size(len(tokens)))
    ]
    assert [position_of(row, span) for row in range(len(blocks))] == [b[-1] for b in blocks]


def test_the_table_has_a_line_for_each_cell_that_may_be_read():
    weights = np.array([[1.0, 0.0], [0.25, 0.75]], np.float32)
    can_read = np.tri(2, dtype=bool)
    table = table_of(Shown(weights, can_read, "attention weight", 1.0, "a head"), ["a", " b"])
    assert [tuple(line) for line in table.itertuples(index=False)] == [
        (0, "a", 0, "a", 1.0),
        (1, " b", 0, "a", 0.25),
        (1, " b", 1, " b", 0.75),
    ]
    assert table.columns[-1] == "attention_weight"


def test_sizes_are_shared_out_among_a_row_and_weights_stay():
    sizes = np.array([[0.0, 0.0], [1.0, 3.0]], np.float32)
    shown = Shown(sizes, np.tri(2, dtype=bool), "size", 3.0, "a head")
    np.testing.assert_array_equal(shown.shares, [[0, 0], [0.25, 0.75]])
    np.testing.assert_array_equal(shown._replace(measure="share").shares, sizes)


def test_the_window_is_that_of_the_layer(hooked):
    info = replace(hooked.info, sliding_window=(None, 1024))
    assert mask_note(info, 0).endswith("what comes after it.")
    assert "its window of 1,024 tokens" in mask_note(info, 1)

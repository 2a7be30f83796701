"""Masks, losses and shared heads are drawn as they are."""

import numpy as np

from viz import (
    converted_and_trained,
    head_sharing,
    layer_losses,
    loss_changes,
    mask_cells,
    mask_picture,
)
from viz.efficient_attention import LATER, OUTSIDE, READ, TAKEN

OWN = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1]], bool)  # a window of 3
LEFT = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]], bool)  # and one of 2
TOKENS = ["the", "·cat", "the", "<b>"]


def test_each_pair_says_why_it_cannot_be_read():
    assert mask_cells(OWN, LEFT).tolist() == [
        [READ, LATER, LATER, LATER],
        [READ, READ, LATER, LATER],
        [TAKEN, READ, READ, LATER],
        [OUTSIDE, TAKEN, READ, READ],
    ]


def test_the_picture_names_the_kinds_that_occur_and_no_others():
    names = [trace.name for trace in mask_picture(mask_cells(OWN, LEFT), TOKENS).data if trace.name]
    assert names == ["may be read", "taken away by the pattern", "outside the model's own window"]
    full = np.tri(4, dtype=bool)
    names = [
        trace.name for trace in mask_picture(mask_cells(full, full), TOKENS).data if trace.name
    ]
    assert names == ["may be read"]


def test_equal_tokens_keep_their_rows_and_html_is_escaped():
    figure = mask_picture(mask_cells(OWN, LEFT), TOKENS)
    assert list(figure.data[0].y) == ["0: the", "1: ·cat", "2: the", "3: &lt;b&gt;"]


def test_a_long_text_is_drawn_in_blocks_that_keep_what_may_be_read():
    n_tokens = 600
    window = np.tri(n_tokens, dtype=bool) & ~np.tri(n_tokens, k=-5, dtype=bool)
    cells = mask_cells(np.tri(n_tokens, dtype=bool), window)
    drawn = np.asarray(mask_picture(cells, ["x"] * n_tokens).data[0].z)
    assert len(drawn) <= 192
    assert (np.diagonal(drawn) == READ).all()
    assert (drawn[-1, : len(drawn) // 2] == TAKEN).all()


def test_added_loss_is_after_minus_before_of_every_predicted_token():
    figure = loss_changes(np.array([1.0, 2.0, 0.5]), np.array([1.5, 1.0, 0.5]), TOKENS, "changed")
    assert figure.data[0].y.tolist() == [0.5, -1.0, 0.0]
    assert list(figure.data[0].x) == ["1: ·cat", "2: the", "3: &lt;b&gt;"]
    assert list(figure.data[0].customdata[0]) == ["50.0%", f"{100 * 2**-1.5:.1f}%"]


def test_losses_by_layer_are_drawn_above_the_loss_without_the_change():
    bars = layer_losses([0, 3], [2.5, 2.0], 2.0, 4.0).data[0]
    assert list(bars.x) == ["layer 0", "layer 3", "all of them"]
    assert list(bars.y) == [0.5, 0.0, 2.0]


def notes(figure):
    return [
        [tuple(note) for note in trace.customdata]
        for trace in figure.data
        if trace.customdata is not None
    ]


def test_every_query_head_is_linked_to_the_kv_head_it_reads():
    heads, kv_heads = notes(head_sharing(4, 2, 2))
    assert [note[2] for note in heads] == [f"reads KV head {i}" for i in (0, 0, 1, 1)]
    assert [note[2] for note in kv_heads] == [
        "read by query heads 0 to 1",
        "read by query heads 2 to 3",
    ]


def test_pooled_kv_heads_get_a_row_of_their_means():
    groups = notes(head_sharing(8, 4, 2))[2]
    assert [note[2] for note in groups] == [
        "the mean of KV heads 0 to 1",
        "the mean of KV heads 2 to 3",
    ]


def test_the_selected_query_head_is_followed_down_to_its_mean():
    selected = head_sharing(8, 4, 2, selected=5).data[1]
    ends = [(x, y) for x, y in zip(selected.x, selected.y, strict=True) if x is not None]
    assert ends == [(5.5, 2), (5.0, 1), (5.0, 1), (6.0, 0)]


def test_what_was_not_measured_has_no_bar():
    trained, converted = converted_and_trained(["4", "1"], [None, 2.5], [2.0, 2.2], "loss").data
    assert list(trained.y) == [2.0, 2.2]
    assert list(converted.y) == [None, 2.5]

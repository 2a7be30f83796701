"""A block's diagram wires its parts as the model does, and names their sizes."""

import pytest

from viz import block_diagram

SIZES = {"resid_pre": 10.0, "attn_out": 2.5, "mlp_out": 3.75, "resid_post": 12.0}


def words(figure):
    return " ".join(note.text for note in figure.layout.annotations)


@pytest.mark.parametrize("wiring", ["sequential", "post", "parallel"])
def test_every_wiring_names_both_parts_and_all_sizes(wiring):
    text = words(block_diagram(wiring, norm="RMSNorm", **SIZES))
    for shown in ("Attention", "Feedforward", "10", "<b>2.5</b>", "<b>3.75</b>", "12"):
        assert shown in text


def branch_points(figure):
    """Where each part reads from the stream and where it is added to it."""
    return [
        (trace.x[0], trace.x[-1])
        for trace in figure.data
        if trace.mode == "lines" and len(trace.x) > 2
    ]


def test_parallel_parts_read_and_add_at_the_same_place():
    attention, feedforward = branch_points(block_diagram("parallel", **SIZES))
    assert attention == feedforward


def test_sequential_feedforward_reads_after_attention_was_added():
    attention, feedforward = branch_points(block_diagram("sequential", **SIZES))
    assert feedforward[0] > attention[1]


def test_norm_stands_in_the_boxes_of_pre_norm_and_on_the_stream_of_post_norm():
    pre = words(block_diagram("sequential", norm="LayerNorm", norm_placement="pre", **SIZES))
    assert pre.count("LayerNorm before it") == 2
    both = block_diagram("sequential", norm="RMSNorm", norm_placement="pre and post", **SIZES)
    assert words(both).count("RMSNorm around it") == 2
    post = block_diagram("post", norm="LayerNorm", norm_placement="post", **SIZES)
    assert "before it" not in words(post)
    squares = [trace for trace in post.data if trace.marker.symbol == "square"]
    assert len(squares) == 2


def test_no_norm_is_claimed_where_none_was_found():
    assert "orm" not in words(block_diagram("sequential", norm="", **SIZES))


def test_a_block_of_unknown_wiring_has_one_box_and_claims_no_part():
    figure = block_diagram("unknown", together=4.25, **SIZES)
    assert "adds <b>4.25</b>" in words(figure)
    assert "Feedforward" not in words(figure)
    assert "2.5" not in words(figure)
    assert len(figure.layout.shapes) == 1


def test_a_part_that_a_block_lacks_is_not_drawn():
    figure = block_diagram("sequential", **SIZES | {"mlp_out": None})
    assert "Feedforward" not in words(figure)
    assert len(figure.layout.shapes) == 1

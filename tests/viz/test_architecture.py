"""A block is drawn as its parts are joined, read from below."""

import numpy as np
import pytest

from viz.architecture import (
    BlockPieces,
    Piece,
    block_structure,
    encoder_decoder,
    parameter_bars,
)

ATTENTION, FEEDFORWARD = Piece("Attention", "8 heads"), Piece("Feedforward")


def words(figure):
    return " ".join(note.text for note in figure.layout.annotations)


def boxes(figure):
    """Bottom and top of each box by its left edge, in the order drawn."""
    return [
        (min(trace.x), min(trace.y), max(trace.y))
        for trace in figure.data
        if trace.fill == "toself"
    ]


def pluses(figure):
    return next(trace for trace in figure.data if trace.text and trace.text[0] == "<b>+</b>").y


def block(wiring="sequential", norms=None, **options):
    return block_structure(BlockPieces(wiring, ATTENTION, FEEDFORWARD, norms or {}, **options))


def test_pre_norm_boxes_stand_under_their_part_and_post_norm_boxes_on_the_stream():
    pre = boxes(block(norms={"before attention": Piece("N"), "before feedforward": Piece("N")}))
    (x1, _, top), (x2, bottom, _), *_ = pre
    assert x1 == x2 > 0
    assert top < bottom
    on_sums = [f"on the sum after {part}" for part in ("attention", "feedforward")]
    post = block("post", dict.fromkeys(on_sums, Piece("N")))
    on_stream = [box for box in boxes(post) if box[0] < 0]
    assert len(on_stream) == 2
    for (_, bottom, _), plus in zip(on_stream, pluses(post), strict=True):
        assert bottom > plus


def test_norm_after_a_part_comes_before_it_is_added():
    figure = block(norms={"after attention": Piece("N"), "after feedforward": Piece("N")})
    (_, _, top), (_, bottom, norm_top), *_ = boxes(figure)
    assert top < bottom
    assert norm_top < pluses(figure)[0]


def test_sequential_parts_are_added_one_after_the_other_and_parallel_ones_once():
    assert len(pluses(block())) == 2
    figure = block("parallel", {"before both": Piece("N")})
    assert len(pluses(figure)) == 1
    shared, attention, feedforward = boxes(figure)
    assert shared[2] < attention[1]
    assert attention[0] < feedforward[0]
    assert attention[1] == feedforward[1]


def test_unknown_wiring_adds_nothing_to_the_stream():
    assert len(pluses_or_none(block("unknown"))) == 0


def pluses_or_none(figure):
    return [trace for trace in figure.data if trace.mode == "markers+text" and len(trace.x or ())]


def test_marks_carry_their_numbers_and_stand_apart():
    piece = Piece("Attention", "", (3, 4))
    figure = block_structure(
        BlockPieces("sequential", piece, FEEDFORWARD, {}, marks=(1,), enters_marks=(2,))
    )
    marks = next(trace for trace in figure.data if trace.name == "marks")
    assert sorted(marks.customdata) == [1, 2, 3, 4]
    assert len(set(zip(marks.x, marks.y, strict=True))) == 4
    place = dict(zip(marks.customdata, marks.x, strict=True))
    assert place[3] < place[4]
    assert not any(trace.name == "marks" for trace in block().data)


def test_a_block_with_one_part_draws_one():
    figure = block_structure(BlockPieces("sequential", None, FEEDFORWARD, {}))
    assert len(boxes(figure)) == 1
    assert "Attention" not in words(figure)


def test_every_line_of_a_box_makes_it_higher():
    low = boxes(block_structure(BlockPieces("sequential", Piece("A"), None, {})))[0]
    high = boxes(block_structure(BlockPieces("sequential", Piece("A", "b<br>c"), None, {})))[0]
    assert high[2] - high[1] > low[2] - low[1]


def test_the_kept_path_leaves_out_the_encoder_and_the_attention_to_it():
    figure = encoder_decoder()
    text = words(figure)
    assert "<b>Masked multi-head<br>attention</b>" in text
    assert "<b>Softmax</b>" in text
    assert "Attention to<br>the encoder" in text
    assert "<b>Attention to" not in text
    assert "<b>Input embedding" not in text
    thick = max(figure.data, key=lambda trace: trace.line.width)
    assert min(thick.x) > 5


@pytest.mark.parametrize("counts", [[10, 30, 60], [0]])
def test_parameter_bars_show_shares_of_the_total(counts):
    names = [f"part {i}" for i in range(len(counts))]
    bars = parameter_bars(names, np.array(counts), names).data[0]
    assert list(bars.x) == counts
    assert bars.text[-1].endswith("(60.0%)" if sum(counts) else "(0%)")

"""Which columns the table has, how its rows are called, and what its file holds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model_hooks.read.lens import Point, read_lens, stream_points
from pages.layers.table import WINDOW, row_labels, table_of, window
from tests.conftest import WORDS


@pytest.mark.parametrize(
    ("n_tokens", "pos"), [(1, 0), (5, 4), (12, 0), (300, 0), (300, 150), (300, 299)]
)
def test_window_holds_the_position(n_tokens, pos):
    span = window(n_tokens, pos)
    assert 0 <= span.start <= pos < span.stop <= n_tokens
    assert span.stop - span.start == min(n_tokens, WINDOW)


def test_rows_are_named_by_layer_and_by_half(hooked):
    whole = ["embedding", "layer 0", "layer 1 = output"]
    assert row_labels(stream_points(hooked, False), hooked.info) == whole
    halves = ["embedding", "0 ● attn", "0 ■ ffn", "1 ● attn", "1 ■ ffn = output"]
    assert row_labels(stream_points(hooked, True), hooked.info) == halves
    hybrid = replace(hooked.info, attention_layers=(1,))
    points = [Point(-1, "embedding"), Point(0, "attention"), Point(0, "feedforward")]
    assert row_labels(points, hybrid)[1] == "0 ● mix"


def test_download_holds_the_models_own_output(hooked, trace):
    lens = read_lens(hooked, trace, 1, 6)
    rows = ["embedding", "layer 0", "layer 1"]
    frame = table_of(lens, rows, trace.tokens, dict(enumerate(WORDS)))
    assert len(frame) == 3 * 5
    with torch.inference_mode():
        logits = hooked.model(torch.tensor(trace.token_ids[None])).logits[0]
    expected = torch.softmax(logits, -1).numpy()
    last = frame[frame.point == "layer 1"]
    assert last.pos.tolist() == [1, 2, 3, 4, 5]
    assert last.token.tolist() == ["cat", "sat", "on", "the", "mat"]
    assert last.guess.tolist() == [WORDS[i] for i in expected.argmax(-1)[1:]]
    assert last.guess.tolist() == last.final_token.tolist()
    np.testing.assert_allclose(last.guess_probability, expected.max(-1)[1:], atol=1e-4)
    assert (last.final_rank == 1).all()

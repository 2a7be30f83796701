"""What several passes recorded of a text becomes one trace, or a sentence why it does not."""

import numpy as np
import pytest
import torch

from model_hooks import LayerError
from model_hooks.run.attention import ReturnedWeights
from model_hooks.run.capture import LayerRecord
from model_hooks.run.segment import Segment
from model_hooks.run.trace import build_trace, last_attention

N_POS, D_MODEL = 4, 3


@pytest.fixture
def states():
    """What four positions hold before, in the middle of and after a block."""
    torch.manual_seed(0)
    return {name: torch.randn(N_POS, D_MODEL) for name in ("resid_pre", "resid_mid", "resid_post")}


@pytest.fixture
def weights():
    """Of two heads."""
    torch.manual_seed(1)
    return torch.rand(1, 2, N_POS, N_POS).tril()


def joined(*records):
    """The trace of one layer that was recorded in these pieces."""
    segments, at = [], 0
    for record in records:
        n_rows = len(record.resid_pre)
        segments.append(Segment(tuple(range(at, at + n_rows)), (record,)))
        at += n_rows
    tokens = tuple("abcdefgh"[:at])
    return build_trace(segments, tokens, np.zeros(5, np.float32)), segments


def piece(states, rows, **changes):
    return LayerRecord(0, **{**{name: state[rows] for name, state in states.items()}, **changes})


def test_a_layer_that_did_not_end_is_one_sentence(states):
    with pytest.raises(LayerError, match="Layer 0 did not run to its end"):
        joined(piece(states, slice(None), resid_post=None))


def test_what_a_part_adds_is_the_difference_of_what_lies_around_it(states):
    layer = joined(piece(states, slice(None)))[0].layers[0]
    pre, mid, post = (state.numpy() for state in states.values())
    np.testing.assert_allclose(layer.attn_out, mid - pre)
    np.testing.assert_allclose(layer.mlp_out, post - mid)
    np.testing.assert_array_equal(layer.resid_mid, mid)


def test_without_a_state_in_the_middle_parts_are_told_by_what_attention_adds(states):
    pre, added, post = (states[name] for name in ("resid_pre", "resid_mid", "resid_post"))
    layer = joined(LayerRecord(0, pre, attn_out=added, resid_post=post))[0].layers[0]
    np.testing.assert_allclose(layer.resid_mid, pre + added)
    np.testing.assert_allclose(layer.mlp_out, post - (pre + added), atol=1e-6)
    alone = joined(LayerRecord(0, pre, resid_post=post))[0].layers[0]
    assert not alone.attn_out.any()
    np.testing.assert_allclose(alone.mlp_out, post - pre)


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_pieces_are_joined_position_by_position(states, weights, cut):
    calls = ReturnedWeights(weights[:, :, :cut, :cut]), ReturnedWeights(weights[:, :, cut:])
    pieces = [
        piece(states, rows, calls=[call])
        for rows, call in zip((slice(cut), slice(cut, None)), calls, strict=True)
    ]
    trace, segments = joined(*pieces)
    layer = trace.layers[0]
    assert trace.token_ids.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(layer.resid_post, states["resid_post"])
    np.testing.assert_array_equal(layer.attention, weights[0])
    np.testing.assert_array_equal(layer.readable, np.tri(N_POS, dtype=bool))
    np.testing.assert_array_equal(last_attention(segments, 0), weights[0, :, -1])
    for start, stop in ((0, 1), (cut - 1, cut + 1), (cut, 4), (0, 4)):
        fresh = joined(*pieces)[0].layers[0]
        np.testing.assert_array_equal(fresh.rows(start, stop), weights[0, :, start:stop])


def test_the_keys_of_a_window_are_the_last_ones(states, weights):
    """A sliding-window cache hands over no others."""
    trace, _ = joined(
        piece(states, slice(2), calls=[ReturnedWeights(weights[:, :, :2, :2])]),
        piece(states, slice(2, None), calls=[ReturnedWeights(weights[:, :, 2:, 1:])]),
    )
    layer = trace.layers[0]
    expected = weights[0].clone()
    expected[:, 2:, 0] = 0
    np.testing.assert_array_equal(layer.attention, expected)
    np.testing.assert_array_equal(layer.readable, (expected > 0).any(0))


def test_a_cut_piece_is_the_beginning_and_a_piece_that_saw_earlier_keys_cannot_be_cut(
    states, weights
):
    whole = Segment((5, 6, 7, 8), (piece(states, slice(None), calls=[ReturnedWeights(weights)]),))
    shorter = whole.shortened(3)
    assert shorter.token_ids == (5, 6, 7)
    layer = build_trace([shorter], ("a", "b", "c"), np.zeros(5, np.float32)).layers[0]
    np.testing.assert_array_equal(layer.resid_pre, states["resid_pre"][:3])
    np.testing.assert_array_equal(layer.resid_mid, states["resid_mid"][:3])
    np.testing.assert_array_equal(layer.attention, weights[0, :, :3, :3])
    later = piece(states, slice(2, None), calls=[ReturnedWeights(weights[:, :, 2:])])
    assert Segment((7, 8), (later,)).shortened(1) is None


def test_the_bytes_of_a_piece_are_those_of_its_tensors_each_counted_once(states, weights):
    record = piece(states, slice(None), calls=[ReturnedWeights(weights)])
    held = 3 * N_POS * D_MODEL * 4 + 2 * N_POS * N_POS * 4
    assert Segment((1, 2, 3, 4), (record,)).nbytes == held
    again = LayerRecord(1, record.resid_post, resid_post=record.resid_post)
    assert Segment((1, 2, 3, 4), (record, again)).nbytes == held

"""What one query reads is its row of the weights, and tiles of all heads hide no strong weight."""

import numpy as np
import pytest

from model_hooks import LayerError, load_model
from model_hooks.read import heads


def test_weights_of_a_query_are_its_row_up_to_itself(trace):
    for pos in (0, 3, len(trace) - 1):
        row = heads.weights_of_query(trace, 1, pos)
        np.testing.assert_allclose(row, trace.attention(1)[:, pos, : pos + 1], atol=1e-6)
        np.testing.assert_allclose(row.sum(-1), 1, atol=1e-5)


def test_a_layer_that_is_not_there_is_refused(trace):
    with pytest.raises(LayerError):
        heads.weights_of_query(trace, 99, 0)


def test_the_sharpest_look_is_the_largest_weight_of_all_heads(trace):
    for pos in (2, len(trace) - 1):
        weights = np.stack([trace.attention(layer)[:, pos, 1:pos] for layer in (0, 1)])
        layer, head, key = np.unravel_index(weights.argmax(), weights.shape)
        look = heads.sharpest_look(trace, pos)
        assert look[:3] == (layer, head, key + 1)
        assert look.weight == pytest.approx(weights.max(), abs=1e-6)


def test_who_has_only_the_first_token_before_it_looks_back_at_nothing(trace):
    assert heads.sharpest_look(trace, 0) is None
    assert heads.sharpest_look(trace, 1) is None


def test_the_storyteller_copies_the_name_with_one_head():
    model = load_model("storyteller")
    trace = model.trace(model.encode("Lily and Tim went to the lighthouse. Lily and"))
    look = heads.sharpest_look(trace, len(trace) - 1)
    assert look[:2] == (4, 4)
    assert trace.tokens[look.key] == " Tim"
    assert look.weight > 0.99


def causal(n_heads, n_tokens):
    scores = np.random.default_rng(0).random((n_heads, n_tokens, n_tokens))
    scores = np.tril(scores).astype(np.float32)
    return scores / scores.sum(-1, keepdims=True)


def test_tiles_of_a_short_prompt_hold_every_weight():
    attention = causal(3, 5)
    tiles = heads.shrunk(attention, 64).astype(float)
    np.testing.assert_allclose(np.clip((tiles - 1) / 254, 0, None) ** 2, attention, atol=0.005)


def test_tiles_tell_a_masked_key_from_a_weight_too_small_to_see():
    attention = np.array([[[1, 0, 0], [1, 1e-9, 0], [0.25, 1e-9, 0.75]]], np.float32)
    readable = np.tril(np.ones((3, 3), bool))
    np.testing.assert_array_equal(heads.shrunk(attention, 3)[0] > 0, readable)


def test_pooling_keeps_a_single_strong_weight():
    attention = np.zeros((1, 200, 200), np.float32)
    attention[0, 150, 37] = 1
    tiles = heads.shrunk(attention, 20)
    assert tiles.shape == (1, 20, 20)
    assert tiles[0, 15, 3] == tiles.max() == 255


@pytest.mark.parametrize(("n_bytes", "size"), [(400, 64), (10**6, 5)])
def test_all_tiles_keep_to_their_bytes_and_pixels(trace, n_bytes, size):
    tiles = heads.head_tiles(trace, n_bytes, size, 0, len(trace)).tiles
    assert tiles.nbytes <= n_bytes
    assert tiles.shape[-1] <= size
    assert tiles.shape[:2] == (trace.n_layers, trace.n_heads)

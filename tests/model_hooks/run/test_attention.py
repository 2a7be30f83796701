"""Both kinds of what is known of an attention layer, and how it is cut and joined."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaConfig

from model_hooks.run.attention import (
    IN_BLOCKS_FROM,
    QueryKeyValue,
    RecordedAttention,
    ReturnedWeights,
    learn_formula,
)

N_HEADS, N_KV_HEADS, D_HEAD, N_POS = 4, 2, 8, 6


@pytest.fixture
def module():
    sizes = {"hidden_size": 32, "num_attention_heads": N_HEADS, "num_key_value_heads": N_KV_HEADS}
    return LlamaAttention(LlamaConfig(**sizes, head_dim=D_HEAD), layer_idx=0).eval()


@pytest.fixture
def inputs():
    torch.manual_seed(0)
    shapes = ((N_HEADS, N_POS, D_HEAD), *((N_KV_HEADS, N_POS, D_HEAD),) * 2)
    return QueryKeyValue(*(torch.randn(1, *shape) for shape in shapes))


def by_hand(inputs, mask=None):
    """softmax(q k^T / sqrt(d)) of every head, in float64."""
    query, key = (tensor[0].double().numpy() for tensor in inputs[:2])
    key = key.repeat(N_HEADS // N_KV_HEADS, 0)
    scores = query @ key.swapaxes(1, 2) / D_HEAD**0.5
    allowed = np.tri(N_POS, dtype=bool) if mask is None else mask
    scores = np.where(allowed, scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def recorded(module, inputs, first=0, mask=None):
    """The call for the positions from `first` on, which saw all keys."""
    return RecordedAttention(
        module=module,
        inputs=QueryKeyValue(*(tensor[:, :, first:] for tensor in inputs)),
        n_keys=N_POS,
        mask=mask,
        scaling=module.scaling,
    )


def test_weights_are_those_of_the_formula(module, inputs):
    call = recorded(module, inputs)
    np.testing.assert_allclose(call.weights(), by_hand(inputs), atol=1e-6)
    for head in range(N_HEADS):
        np.testing.assert_allclose(call.head_weights(head), by_hand(inputs)[head], atol=1e-6)
        formula = call.formula(inputs.key, head)
        np.testing.assert_allclose(formula, by_hand(inputs)[head], atol=1e-6)


def test_a_mask_is_kept_to(module, inputs):
    mask = torch.tensor(np.tri(N_POS, dtype=bool))
    mask[4, 1] = False
    call = recorded(module, inputs, mask=mask[None, None])
    np.testing.assert_allclose(call.weights(), by_hand(inputs, mask.numpy()), atol=1e-6)
    np.testing.assert_array_equal(call.readable(), mask)


def test_a_mask_may_differ_from_head_to_head(module, inputs):
    mask = torch.tensor(np.tri(N_POS, dtype=bool)).repeat(N_HEADS, 1, 1)
    mask[2, 4, 1] = mask[3, 5, 0] = False
    call = recorded(module, inputs, mask=mask[None])
    expected = by_hand(inputs, mask.numpy())
    np.testing.assert_allclose(call.weights(), expected, atol=1e-6)
    for head in range(N_HEADS):
        np.testing.assert_allclose(call.formula(inputs.key, head), expected[head], atol=1e-6)


def test_without_a_mask_or_causality_everything_is_read(module, inputs):
    call = RecordedAttention(module, inputs, N_POS, scaling=module.scaling, causal=False)
    assert call.readable().all()


def test_keys_of_earlier_calls_are_read_too(module, inputs):
    beginning = RecordedAttention(
        module, QueryKeyValue(*(t[:, :, :4] for t in inputs)), 4, scaling=module.scaling
    )
    rest = recorded(module, inputs, first=4)
    np.testing.assert_allclose(rest.weights([beginning]), by_hand(inputs)[:, 4:], atol=1e-6)
    one_head = rest.head_weights(3, [beginning])
    np.testing.assert_allclose(one_head, by_hand(inputs)[3, 4:], atol=1e-6)
    assert (rest.n_rows, rest.n_keys, beginning.n_rows) == (2, N_POS, 4)
    whole = torch.tensor(np.tri(N_POS, dtype=bool))
    whole[5, 2] = False
    told = recorded(module, inputs, first=4, mask=whole[None, None])  # the last rows are its own
    expected = by_hand(inputs, whole.numpy())[:, 4:]
    np.testing.assert_allclose(told.weights([beginning]), expected, atol=1e-6)
    np.testing.assert_allclose(
        told.row_weights(range(1, 2), [beginning]), expected[:, 1:], atol=1e-6
    )


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_rows_alone_are_those_among_all(module, inputs, masked, learned):
    allowed = np.tri(N_POS, dtype=bool)
    allowed[4, 1] = not masked
    mask = torch.tensor(allowed)[None, None] if masked else None
    for first in (0, 2):
        own = None if mask is None else mask[:, :, first:]
        call = recorded(module, inputs, first, own)
        before = RecordedAttention(
            module, QueryKeyValue(*(t[:, :, :first] for t in inputs)), first, scaling=module.scaling
        )
        if learned:
            learn_formula(recorded(module, inputs))
        for start, stop in ((0, 1), (1, 3), (N_POS - first - 1, N_POS - first)):
            expected = by_hand(inputs, allowed)[:, first + start : first + stop]
            rows = call.row_weights(range(start, stop), [before] if first else [])
            np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_both_kinds_tell_the_same(module, inputs):
    """As if a family had returned the weights of a recorded call."""
    call = recorded(module, inputs)
    returned = ReturnedWeights(call.weights()[None])
    for one in (call, returned):
        assert (one.n_rows, one.n_keys, one.n_heads) == (N_POS, N_POS, N_HEADS)
        np.testing.assert_array_equal(one.readable(), np.tri(N_POS, dtype=bool))
        rows = one.row_weights(range(2, 5))
        np.testing.assert_allclose(rows, by_hand(inputs)[:, 2:5], atol=1e-6)
        shorter = one.shortened(4)
        np.testing.assert_allclose(shorter.weights(), by_hand(inputs)[:, :4, :4], atol=1e-6)
        assert shorter.n_keys == shorter.n_rows == 4
    np.testing.assert_array_equal(returned.weights(), call.weights())
    np.testing.assert_array_equal(returned.head_weights(2), call.weights()[2])
    assert returned.inputs is returned.scale is returned.softcap is None
    assert call.scale == pytest.approx(D_HEAD**-0.5)


def test_what_depends_on_earlier_keys_cannot_be_cut(module, inputs):
    assert recorded(module, inputs, first=4).shortened(1) is None
    assert ReturnedWeights(torch.ones(1, 2, 1, 5)).shortened(1) is None
    shaped = RecordedAttention(
        module, inputs, N_POS, extra={"position_bias": torch.zeros(1, N_HEADS, N_POS, N_POS)}
    )
    assert shaped.shortened(3) is None


def test_scale_and_softcap_are_those_of_the_call(module, inputs):
    call = RecordedAttention(module, inputs, N_POS, scaling=0.25, extra={"softcap": 30.0})
    assert (call.scale, call.softcap) == (0.25, 30.0)
    assert RecordedAttention(module, inputs, N_POS).scale == pytest.approx(D_HEAD**-0.5)
    assert len(call.tensors) == 3


N_LONG = 2 * IN_BLOCKS_FROM + 13


@pytest.fixture
def long_inputs():
    torch.manual_seed(0)
    shapes = ((N_HEADS, N_LONG, D_HEAD), *((N_KV_HEADS, N_LONG, D_HEAD),) * 2)
    return QueryKeyValue(*(2 * torch.randn(1, *shape) for shape in shapes))


@pytest.mark.parametrize("window", [None, 40, 300])
@pytest.mark.parametrize("additive", [False, True])
@pytest.mark.parametrize("first", [0, 130])
def test_a_long_text_has_the_weights_of_the_family_s_own_function(
    module, long_inputs, window, additive, first
):
    far = torch.arange(N_LONG)[:, None] - torch.arange(N_LONG)
    allowed = (far >= 0) & (far < (window or N_LONG))
    mask = torch.where(allowed, 0.0, torch.finfo(torch.float32).min) if additive else allowed
    mask = None if window is None and not additive else mask[None, None, first:]
    call = RecordedAttention(
        module=module,
        inputs=QueryKeyValue(*(tensor[:, :, first:] for tensor in long_inputs)),
        n_keys=N_LONG,
        mask=mask,
        scaling=module.scaling,
    )
    learn_formula(recorded(module, QueryKeyValue(*(one[:, :, :N_POS] for one in long_inputs))))
    earlier = [replace(call, inputs=QueryKeyValue(*(one[:, :, :first] for one in long_inputs)))]
    earlier = earlier if first else []
    expected = call.weights_for(long_inputs.key)
    assert ((expected > 0) == allowed[first:]).all()
    np.testing.assert_allclose(call.weights(earlier), expected, atol=1.5e-6)
    np.testing.assert_allclose(call.head_weights(3, earlier), expected[3], atol=1.5e-6)
    rows = range(100, 333)
    some = call.row_weights(rows, earlier)
    np.testing.assert_allclose(some, expected[:, 100:333], atol=1.5e-6)
    np.testing.assert_array_equal(call.row_weights(rows, earlier, 2)[0], some[2])
    np.testing.assert_array_equal(call.readable(rows), allowed[first:][100:333])


def test_a_query_of_a_long_text_that_may_read_nothing_shares_alike_as_in_its_family(
    module, long_inputs
):
    allowed = torch.ones(N_LONG, N_LONG, dtype=torch.bool).tril()
    allowed[:3] = False
    call = replace(recorded(module, long_inputs, mask=allowed[None, None]), n_keys=N_LONG)
    learn_formula(recorded(module, QueryKeyValue(*(one[:, :, :N_POS] for one in long_inputs))))
    np.testing.assert_allclose(call.weights(), call.weights_for(long_inputs.key), atol=1.5e-6)

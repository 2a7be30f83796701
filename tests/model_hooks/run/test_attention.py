"""Both kinds of what is known of an attention layer, and how it is cut and joined."""

import numpy as np
import pytest
import torch
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaConfig

from model_hooks.run.attention import (
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

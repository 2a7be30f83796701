"""A head's arithmetic, step by step, ends where the model's own attention does."""

import numpy as np
import pytest
from transformers import Gemma2Config, Gemma2ForCausalLM, GptOssConfig, GptOssForCausalLM

from model_hooks import HookedModel
from model_hooks.read.arithmetic import (
    head_outputs,
    output_projection,
    query_arithmetic,
    value_norms,
)


@pytest.mark.parametrize("head", [0, 1])
def test_formula_gives_the_models_own_weights(trace, head):
    steps = query_arithmetic(trace, 1, head, 4)
    np.testing.assert_allclose(steps.weights, trace.attention(1)[head, 4], atol=1e-6)
    assert steps.difference < 1e-6
    assert steps.readable.tolist() == [True] * 5 + [False]
    assert steps.scores[5] == -np.inf
    np.testing.assert_allclose(steps.output, trace.attention(1)[head, 4] @ steps.values, atol=1e-5)


def test_score_is_the_sum_of_the_products_times_the_scale(trace):
    steps = query_arithmetic(trace, 0, 1, 3)
    by_hand = sum(float(q) * float(k) for q, k in zip(steps.query, steps.keys[2], strict=True))
    assert steps.products[2] == pytest.approx(by_hand, rel=1e-4)
    assert steps.scores[2] == pytest.approx(by_hand / len(steps.query) ** 0.5, rel=1e-4)


def test_heads_through_the_output_projection_add_up_to_what_attention_adds(hooked, trace):
    projection = output_projection(hooked, trace, 1)
    total = np.einsum("hpv,hvd->pd", head_outputs(trace, 1), projection.rows)
    if projection.bias is not None:
        total = total + projection.bias
    np.testing.assert_allclose(total, trace.layers[1].attn_out, atol=1e-4)
    assert projection.difference < 1e-4
    assert projection.path.endswith(("o_proj", "c_proj"))


def test_value_norm_is_the_size_of_what_one_key_adds(hooked, trace):
    projection = output_projection(hooked, trace, 0)
    n_shared = len(trace.layers[0].query) // len(trace.layers[0].value)
    added = trace.layers[0].value[1 // n_shared][2] @ projection.rows[1]
    found = value_norms(trace, 0, projection)[1, 2]
    assert found == pytest.approx(float(np.sqrt((added**2).sum())), rel=1e-5)


SIZES = {
    "vocab_size": 7,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}


def test_softcap_is_part_of_the_formula_and_a_norm_after_attention_is_admitted(tokenizer):
    model = Gemma2ForCausalLM(Gemma2Config(**SIZES, attn_logit_softcapping=0.5))
    for layer in model.model.layers:
        layer.self_attn.q_proj.weight.data *= 50
    hooked = HookedModel.wrap(model, tokenizer, "tiny")
    trace = hooked.trace([1, 2, 3, 4, 5])
    assert query_arithmetic(trace, 0, 3, 4).difference < 1e-6
    assert output_projection(hooked, trace, 0) is None


def test_a_sink_of_its_own_shows_as_a_difference(tokenizer):
    config = GptOssConfig(**SIZES, num_local_experts=2, num_experts_per_tok=1, sliding_window=8)
    hooked = HookedModel.wrap(GptOssForCausalLM(config), tokenizer, "tiny")
    steps = query_arithmetic(hooked.trace([1, 2, 3, 4, 5]), 0, 0, 4)
    assert steps.recorded.sum() < 0.99
    assert steps.difference > 0.01

"""Direct logit attribution against the final norm and LM head written out in NumPy."""

import numpy as np
import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    OpenAIGPTConfig,
    OpenAIGPTLMHeadModel,
)

from model_hooks import HookedModel, PromptError
from model_hooks.read.attribution import attribute_logit, direct_effects, token_direction
from tests.conftest import WORDS, tiny_gpt2, tiny_llama, with_random_weights
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

PROMPT = "the cat sat on the mat"
NO_ENDS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
SMALL = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    **NO_ENDS,
}


def wrapped(make, tokenizer):
    """A hooked model whose norms have gains and biases that matter."""
    model = with_random_weights(make)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1 and ("norm" in name or "ln_" in name):
                parameter.add_(0.3 * torch.randn_like(parameter))
    return HookedModel.wrap(model, tokenizer, "tiny")


def final_norm_and_head(hooked):
    """Return gain, bias and epsilon of the final norm, and the LM head's weight."""
    model = hooked.model
    if hasattr(model, "transformer"):
        norm = model.transformer.ln_f
        return (
            *(p.detach().double().numpy() for p in (norm.weight, norm.bias)),
            norm.eps,
            model.lm_head.weight.detach().double().numpy(),
        )
    norm = model.model.norm
    gain = norm.weight.detach().double().numpy()
    return gain, 0 * gain, norm.variance_epsilon, model.lm_head.weight.detach().double().numpy()


@pytest.mark.parametrize(("make", "centres"), [(tiny_gpt2, True), (tiny_llama, False)])
@pytest.mark.parametrize("pos", [0, -1])
def test_parts_are_those_of_the_linearised_norm(make, centres, pos, tokenizer):
    hooked = wrapped(make, tokenizer)
    trace = hooked.trace(PROMPT)
    gain, bias, epsilon, weight = final_norm_and_head(hooked)
    token_id = 4
    final = trace.layers[-1].resid_post[pos].astype(np.float64)

    def centred(x):
        return x - x.mean() if centres else x

    scale = np.sqrt((centred(final) ** 2).mean() + epsilon)

    def effect(x):
        return weight[token_id] @ (gain * centred(x.astype(np.float64)) / scale)

    found = attribute_logit(hooked, trace, token_id, pos)
    assert found.is_exact
    assert found.softcap is None
    assert found.embedding == pytest.approx(effect(trace.embedding[pos]), abs=1e-4)
    for i, layer in enumerate(trace.layers):
        assert found.attention[i] == pytest.approx(effect(layer.attn_out[pos]), abs=1e-4)
        assert found.feedforward[i] == pytest.approx(effect(layer.mlp_out[pos]), abs=1e-4)
    assert found.constant == pytest.approx(weight[token_id] @ bias, abs=1e-4)
    assert found.logit == pytest.approx(float(hooked.logits(trace)[pos, token_id]), abs=1e-4)


def test_parts_sum_to_the_logit_for_every_token_and_position(hooked, trace):
    for pos in range(len(trace)):
        with torch.inference_mode():
            plain = hooked.model(torch.tensor(trace.token_ids[None, : pos + 1])).logits[0, -1]
        for token_id in range(len(WORDS)):
            found = attribute_logit(hooked, trace, token_id, pos)
            assert found.total == pytest.approx(float(plain[token_id]), abs=1e-4)
            assert found.difference < 1e-4


def test_comparing_two_tokens_subtracts_part_by_part(hooked, trace):
    one, other = (attribute_logit(hooked, trace, token) for token in (3, 5))
    both = attribute_logit(hooked, trace, 3, against=5)
    np.testing.assert_allclose(both.attention, one.attention - other.attention, atol=1e-5)
    np.testing.assert_allclose(both.feedforward, one.feedforward - other.feedforward, atol=1e-5)
    assert both.logit == pytest.approx(one.logit - other.logit, abs=1e-5)
    assert both.is_exact


def test_effects_of_pieces_add_up_to_the_effect_of_the_whole(hooked, trace):
    final = trace.layers[-1].resid_post[-1]
    whole = trace.layers[0].mlp_out[-1]
    pieces = np.stack([whole * 0.25, whole * 0.75, 0 * whole])
    effects = direct_effects(hooked, pieces, final, [1, 6])
    expected = direct_effects(hooked, whole[None], final, [1, 6])[0]
    np.testing.assert_allclose(effects.sum(0), expected, atol=1e-5)
    np.testing.assert_array_equal(effects[2], 0)


def test_softcap_is_left_out_and_named(tokenizer):
    hooked = wrapped(
        lambda: Gemma2ForCausalLM(
            Gemma2Config(
                num_key_value_heads=1,
                head_dim=8,
                final_logit_softcapping=0.5,
                query_pre_attn_scalar=8,
                tie_word_embeddings=False,
                **SMALL,
            )
        ),
        tokenizer,
    )
    trace = hooked.trace(PROMPT)
    found = attribute_logit(hooked, trace, 2)
    assert found.softcap == 0.5
    assert found.is_exact
    output = float(trace.last_logits[2])
    assert abs(found.logit - output) > 0.05
    assert 0.5 * np.tanh(found.total / 0.5) == pytest.approx(output, abs=1e-4)


def test_parallel_blocks_add_up(tokenizer):
    config = GPTNeoXConfig(use_parallel_residual=True, **SMALL)
    hooked = wrapped(lambda: GPTNeoXForCausalLM(config), tokenizer)
    assert hooked.info.parallel
    found = attribute_logit(hooked, hooked.trace(PROMPT), 2)
    assert found.is_exact
    assert found.difference < 1e-4


def test_norm_on_the_stream_is_not_called_exact(tokenizer):
    config = OpenAIGPTConfig(
        vocab_size=len(WORDS), n_embd=16, n_layer=2, n_head=2, n_positions=32, **NO_ENDS
    )
    hooked = wrapped(lambda: OpenAIGPTLMHeadModel(config), tokenizer)
    assert hooked.info.norm_placement == "post"
    assert not attribute_logit(hooked, hooked.trace(PROMPT), 2).is_exact


@pytest.mark.parametrize("family", ["deepseek_v4", "gemma3n_text", "hy_v4", "qwen4_exp_text"])
def test_a_stream_of_several_lanes_is_read_whole(family):
    plain = build(family)
    prompt = tiny_prompt(12)
    with torch.no_grad():
        logits = plain(torch.tensor([prompt])).logits[0, -1].numpy()
    hooked = HookedModel.wrap(plain, tiny_tokenizer(), family)
    token_id = int(logits.argmax())
    found = attribute_logit(hooked, hooked.trace(prompt), token_id)
    if found.softcap is None:
        assert found.logit == pytest.approx(logits[token_id], abs=1e-4)
    assert not found.is_exact or found.difference < 1e-3


@pytest.mark.parametrize("token_id", [-1, len(WORDS)])
def test_token_the_model_lacks_is_refused(hooked, trace, token_id):
    with pytest.raises(PromptError):
        attribute_logit(hooked, trace, token_id)


@pytest.mark.parametrize("family", ["gpt2", "cohere", "gemma2", "opt", "openai-gpt"])
def test_direction_of_a_token_gives_the_effects_of_the_models_own_tail(family, tokenizer):
    model = HookedModel.wrap(build(family), tokenizer, family)
    final = model.trace([1, 2, 3, 4]).layers[-1].resid_post[-1]
    parts = np.random.default_rng(0).normal(size=(5, len(final)))
    expected = direct_effects(model, parts, final, [7])[:, 0]
    found = parts @ token_direction(model, final, 7)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())

"""Mainstream families, tiny and with random weights, against their own eager attention."""

import copy
import functools

import numpy as np
import pytest
import torch

from benchmarks.eager_reference import Reference, eager_reference
from model_hooks import Decoding, HookedModel, NotCausalError, NotRecordableError, Trace
from tests.tiny_models import (
    FAMILIES,
    SLIDING_WINDOW,
    build,
    tiny_prompt,
    tiny_tokenizer,
)

PROMPT = tiny_prompt(24)
NEW_TOKENS = 6

# Sequential blocks with the norm before each half, where the halves simply add up.
SEQUENTIAL = [f for f in FAMILIES if f not in ("gptj", "gpt_neox", "falcon", "phi", "cohere")]

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals


@functools.cache
def hooked(model_type: str) -> HookedModel:
    return HookedModel.wrap(build(model_type), tiny_tokenizer(), model_type)


@functools.cache
def trace_of(model_type: str) -> Trace:
    return hooked(model_type).trace(PROMPT)


@functools.cache
def reference_of(model_type: str) -> Reference:
    return eager_reference(build(model_type), PROMPT)


def assert_close(array: np.ndarray, truth: np.ndarray) -> None:
    scale = max(1.0, float(np.abs(truth).max()))
    assert array.shape == truth.shape
    assert np.abs(array - truth).max() <= 1e-5 * scale


@pytest.mark.parametrize("model_type", FAMILIES)
def test_attention_of_every_layer_and_head_equals_the_models_own(model_type):
    trace, reference = trace_of(model_type), reference_of(model_type)
    assert trace.attention_layers == tuple(range(trace.n_layers))
    assert trace.n_layers == len(reference.attentions)
    for layer, attention in enumerate(reference.attentions):
        for pos in (0, 7, len(PROMPT) - 1):  # before the whole layer is computed
            rows = trace.attention_rows(layer, pos, pos + 1)
            assert_close(rows, attention[:, pos : pos + 1])
        assert_close(trace.attention(layer), attention)
        assert_close(trace.attention(layer, 1), attention[1])


@pytest.mark.parametrize("model_type", FAMILIES)
def test_layer_outputs_and_last_logits_equal_the_models_own(model_type):
    trace, reference = trace_of(model_type), reference_of(model_type)
    assert_close(trace.embedding, reference.embedding)
    for layer, output in enumerate(reference.layer_outputs):
        assert_close(trace.layer_output(layer), output)
    assert_close(trace.last_logits, reference.last_logits)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_logit_lens_of_the_last_layer_is_the_output(model_type):
    lens = hooked(model_type).logit_lens(trace_of(model_type))
    logits = torch.tensor(reference_of(model_type).last_logits)
    assert_close(lens[-1], torch.log_softmax(logits, -1).numpy())


@pytest.mark.parametrize("model_type", FAMILIES)
def test_what_the_halves_add_up_to_is_the_output(model_type):
    for layer in trace_of(model_type).layers:
        assert np.abs(layer.attn_out).max() > 0
        assert np.abs(layer.mlp_out).max() > 0
        total = layer.resid_pre + layer.attn_out + layer.mlp_out
        assert_close(layer.resid_post, total)


@pytest.mark.parametrize("model_type", SEQUENTIAL)
def test_the_middle_state_lies_between_the_halves(model_type):
    for layer in trace_of(model_type).layers:
        assert_close(layer.resid_mid, layer.resid_pre + layer.attn_out)
        assert_close(layer.resid_post, layer.resid_mid + layer.mlp_out)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_greedy_steps_equal_generate_with_the_cache_and_without(model_type):
    plain = build(model_type)
    truth = plain.generate(
        torch.tensor([PROMPT]),
        attention_mask=torch.ones(1, len(PROMPT), dtype=torch.long),
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS,
    )[0, len(PROMPT) :].tolist()
    model = hooked(model_type)
    for use_cache in (True, False):
        generation = model.start(PROMPT, Decoding(), use_cache=use_cache)
        for _ in range(NEW_TOKENS):
            generation = model.step(generation)
        assert [step.token_id for step in generation.steps] == truth
        fresh, grown = model.trace(generation.token_ids), generation.trace()
        for layer in range(fresh.n_layers):
            assert_close(grown.attention(layer), fresh.attention(layer))
            assert_close(grown.layer_output(layer), fresh.layer_output(layer))


def test_a_window_shorter_than_the_prompt_hides_what_lies_before_it():
    attention = trace_of("mistral").attention(0)
    row, column = np.indices(attention.shape[1:])
    assert (attention[:, column <= row - SLIDING_WINDOW] == 0).all()
    assert (attention[:, (column <= row) & (column > row - SLIDING_WINDOW)] > 0).all()


def test_wrapping_leaves_the_models_own_answer_as_it_was():
    plain = build("gemma2")
    wrapped = copy.deepcopy(plain)
    HookedModel.wrap(wrapped, tiny_tokenizer())
    with torch.inference_mode():
        own = plain(input_ids=torch.tensor([PROMPT])).logits
        after = wrapped(input_ids=torch.tensor([PROMPT])).logits
    assert_close(after.numpy(), own.numpy())


def test_attention_that_is_chosen_by_an_index_equals_the_models_own():
    # Such a family asks for "eager" or "sdpa" by name before it applies its choice of keys.
    trace, reference = trace_of("deepseek_v32"), reference_of("deepseek_v32")
    assert (reference.attentions[0][:, -1] == 0).sum() > len(PROMPT)
    for layer, attention in enumerate(reference.attentions):
        assert_close(trace.attention(layer), attention)


@pytest.mark.parametrize("model_type", ["jamba", "qwen3_next"])
def test_a_hybrid_says_which_layers_have_attention(model_type):
    trace, reference = trace_of(model_type), reference_of(model_type)
    assert trace.attention_layers == (1, 3)
    for layer, attention in zip(trace.attention_layers, reference.attentions, strict=True):
        assert_close(trace.attention(layer), attention)
    for layer, output in enumerate(reference.layer_outputs):
        assert_close(trace.layer_output(layer), output)


def test_blocks_that_run_several_times_are_recorded_each_time():
    trace, reference = trace_of("hrm_text"), reference_of("hrm_text")
    assert trace.n_layers == len(reference.layer_outputs) > 4
    assert_close(trace.layer_output(trace.n_layers - 1), reference.layer_outputs[-1])


def test_parallel_streams_are_recorded_side_by_side():
    trace, reference = trace_of("gemma3n_text"), reference_of("gemma3n_text")
    assert trace.embedding.shape == (len(PROMPT), 4 * 64)
    assert_close(trace.layer_output(0), reference.layer_outputs[0])
    lens = hooked("gemma3n_text").logit_lens(trace)
    logits = torch.tensor(reference.last_logits)
    assert_close(lens[-1], torch.log_softmax(logits, -1).numpy())


@pytest.mark.parametrize("model_type", ["mamba", "rwkv"])
def test_a_model_without_attention_is_refused_in_one_sentence(model_type):
    with pytest.raises(NotRecordableError, match="no attention"):
        hooked(model_type)


def test_a_model_that_looks_ahead_is_refused_in_one_sentence():
    with pytest.raises(NotCausalError, match="see later ones"):
        hooked("xlnet")


# Known from each family's paper or model card: position, norm, its placement, activation, gate,
# parallel halves.
FACTS = {
    "gpt2": ("learned", "LayerNorm", "pre", "gelu_new", False, False),
    "gptj": ("rope", "LayerNorm", "pre", "gelu_new", False, True),
    "gpt_neox": ("rope", "LayerNorm", "pre", "gelu", False, True),
    "opt": ("learned", "LayerNorm", "pre", "relu", False, False),
    "bloom": ("alibi", "LayerNorm", "pre", "gelu", False, False),
    "mpt": ("alibi", "LayerNorm", "pre", "gelu", False, False),
    "llama": ("rope", "RMSNorm", "pre", "silu", True, False),
    "gemma2": ("rope", "RMSNorm", "pre and post", "gelu_pytorch_tanh", True, False),
    "olmo2": ("rope", "RMSNorm", "post", "silu", True, False),
    "cohere": ("rope", "LayerNorm", "pre", "silu", True, True),
    "stablelm": ("rope", "LayerNorm", "pre", "silu", True, False),
    "mixtral": ("rope", "RMSNorm", "pre", "silu", True, False),
    "jamba": ("none", "RMSNorm", "pre", "silu", True, False),
}


@pytest.mark.parametrize("model_type", FACTS)
def test_facts_about_a_family_are_the_known_ones(model_type):
    info = hooked(model_type).info
    facts = (info.position, info.norm, info.norm_placement, info.activation, info.gated_mlp)
    assert (*facts, info.parallel) == FACTS[model_type]
    trace = trace_of(model_type)
    layer = trace.layers[trace.attention_layers[0]]
    assert (info.n_layers, info.n_heads, info.d_model) == (
        trace.n_layers,
        trace.n_heads,
        trace.embedding.shape[1],
    )
    if layer.query is not None:
        assert (info.n_kv_heads, info.d_head) == (len(layer.key), layer.query.shape[2])


@pytest.mark.parametrize("model_type", ["gpt_neo", "mistral", "gemma2", "gemma3_text", "gpt_oss"])
def test_the_window_named_for_a_layer_is_as_far_as_it_looks_back(model_type):
    windows, trace = hooked(model_type).info.sliding_window, trace_of(model_type)
    assert any(windows)
    for layer, window in enumerate(windows):
        last = trace.attention(layer)[:, -1]
        allowed = len(PROMPT) if window is None else window
        assert (last[:, : len(PROMPT) - allowed] == 0).all()
        assert (last[:, len(PROMPT) - allowed] > 0).any()

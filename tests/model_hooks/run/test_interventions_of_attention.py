"""Attention patterns and shared KV heads, against models that were built that way."""

import functools
from typing import get_args

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from model_hooks import (
    AblateMLP,
    AttentionPattern,
    HookedModel,
    InterventionError,
    Knockout,
    ShareKVHeads,
)
from model_hooks.run.interventions.patterns import PatternKind
from model_hooks.run.masks import NarrowedMask
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

PROMPT = tiny_prompt(24)
NEW_TOKENS = 6
OWN_ATTENTION = ("gpt_neo", "gptj", "bloom", "mpt", "falcon")
"""Families whose attention no mask of ours reaches."""

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals


@functools.cache
def hooked(model_type: str) -> HookedModel:
    return HookedModel.wrap(build(model_type), tiny_tokenizer(), model_type)


def rows(text: str) -> np.ndarray:
    """A mask as it is drawn: x where a query (row) may read a key (column)."""
    return np.array([[cell == "x" for cell in row] for row in text.split()])


@pytest.mark.parametrize(
    ("pattern", "drawn"),
    [
        (AttentionPattern("full"), "x.... xx... xxx.. xxxx. xxxxx"),
        (AttentionPattern("window", 2), "x.... xx... .xx.. ..xx. ...xx"),
        (AttentionPattern("window_first", 1, n_first=2), "x.... xx... xxx.. xx.x. xx..x"),
        (AttentionPattern("strided", 1, stride=2), "x.... .x... x.x.. .x.x. x.x.x"),
        (AttentionPattern("block", 2), "x.... xx... ..x.. ..xx. ....x"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_each_pattern_lets_a_query_read_the_drawn_keys(pattern, drawn):
    np.testing.assert_array_equal(pattern.readable(5), rows(drawn))


@pytest.mark.parametrize(
    "pattern",
    [
        AttentionPattern("full"),
        AttentionPattern("window", 3),
        AttentionPattern("window_first", 3, n_first=2),
        AttentionPattern("strided", 2, stride=4),
        AttentionPattern("block", 3),
    ],
    ids=lambda pattern: pattern.kind,
)
@pytest.mark.parametrize("window", [None, 4])
def test_what_must_be_cached_is_what_any_later_query_may_read(pattern, window):
    readable = pattern.readable(60)
    if window:
        readable &= AttentionPattern("window", window).readable(60)
    for n_positions in range(20):
        needed = readable[n_positions:, :n_positions].any(0).sum()
        assert pattern.n_cached(n_positions, window) == needed


def test_a_window_makes_a_llama_the_mistral_with_that_window():
    sizes = {
        "vocab_size": 160,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    }
    torch.manual_seed(0)
    llama = LlamaForCausalLM(LlamaConfig(**sizes)).eval()
    mistral = MistralForCausalLM(MistralConfig(**sizes, sliding_window=5)).eval()
    for parameter in llama.parameters():
        parameter.data.mul_(4 if parameter.ndim > 1 else 1)
    mistral.load_state_dict(llama.state_dict())
    mistral.set_attn_implementation("eager")
    with torch.inference_mode():
        truth = mistral(torch.tensor([PROMPT])).logits[0, -1].numpy()
        unlimited = llama(torch.tensor([PROMPT])).logits[0, -1].numpy()
    wrapped = HookedModel.wrap(llama, tiny_tokenizer())
    got = wrapped.trace(PROMPT, [AttentionPattern("window", 5)]).last_logits
    np.testing.assert_allclose(got, truth, atol=1e-4)
    assert np.abs(truth - unlimited).max() > 0.1


@pytest.mark.parametrize("model_type", ["llama", "phi"])
@pytest.mark.parametrize("n_groups", [1, 2])
def test_shared_heads_equal_the_model_whose_projections_were_pooled(model_type, n_groups):
    plain = build(model_type, num_attention_heads=4, num_key_value_heads=4)
    pooled = build(model_type, num_attention_heads=4, num_key_value_heads=n_groups)
    weights = {}
    for name, weight in plain.state_dict().items():
        if "k_proj" in name or "v_proj" in name:
            per_head = weight.unflatten(0, (n_groups, 4 // n_groups, -1))
            weight = per_head.mean(1).flatten(0, 1)
        weights[name] = weight
    pooled.load_state_dict(weights)
    with torch.inference_mode():
        truth = pooled(torch.tensor([PROMPT])).logits[0, -1].numpy()
    wrapped = HookedModel.wrap(plain, tiny_tokenizer())
    got = wrapped.trace(PROMPT, [ShareKVHeads(n_groups)]).last_logits
    np.testing.assert_allclose(got, truth, atol=1e-4 * np.abs(truth).max())
    assert np.abs(got - wrapped.trace(PROMPT).last_logits).max() > 0.1


# With an unlimited model, a native window of 8 in every layer or every other one, grouped heads,
# a softcap, and sinks.
@pytest.mark.parametrize(
    "model_type", ["gpt2", "opt", "llama", "mistral", "gemma2", "gemma3_text", "qwen3", "gpt_oss"]
)
@pytest.mark.parametrize(
    "intervention",
    [
        AttentionPattern("window", 5),
        AttentionPattern("window_first", 4, n_first=2),
        AttentionPattern("strided", 3, stride=4),
        AttentionPattern("block", 6, layers=(0, 3)),
        ShareKVHeads(1),
    ],
    ids=lambda value: getattr(value, "kind", "shared"),
)
def test_the_cache_changes_no_token_and_no_weight(model_type, intervention):
    model = hooked(model_type)
    model.forget()
    both = []
    for use_cache in (True, False):
        generation = model.start(PROMPT, use_cache=use_cache, interventions=[intervention])
        for _ in range(NEW_TOKENS):
            generation = model.step(generation)
        both.append(generation)
    on, off = both
    assert on.steps[-1].rows_computed == 1
    assert off.steps[-1].rows_computed == len(PROMPT) + NEW_TOKENS - 1
    assert on.token_ids == off.token_ids
    fresh = model.trace(on.token_ids, [intervention])
    for generation in both:
        grown = generation.trace()
        for layer in range(grown.n_layers):
            np.testing.assert_allclose(grown.attention(layer), fresh.attention(layer), atol=2e-5)


@pytest.mark.parametrize("model_type", ["llama", "mistral", "gemma2", "gpt_oss"])
def test_exactly_the_pairs_outside_the_pattern_or_the_own_window_get_no_weight(model_type):
    model, pattern = hooked(model_type), AttentionPattern("window_first", 3, n_first=2)
    trace = model.trace(PROMPT, [pattern])
    query, key = np.indices((len(PROMPT), len(PROMPT)))
    for layer, window in enumerate(model.info.sliding_window):
        readable = pattern.readable(len(PROMPT))
        if window:
            readable = readable & (query - key < window)
        np.testing.assert_array_equal((trace.attention(layer) > 0).any(0), readable)


def test_layers_that_are_not_named_keep_what_they_read():
    model = hooked("llama")
    plain, trace = (
        model.trace(PROMPT),
        model.trace(PROMPT, [AttentionPattern("window", 3, 0, 1, (1,))]),
    )
    np.testing.assert_array_equal(trace.attention(0), plain.attention(0))
    assert (trace.attention(1)[:, -1, :-3] == 0).all()
    assert (trace.attention(2)[:, -1, :-3] > 0).any()


@pytest.mark.parametrize("window", [24, 1000])
def test_a_window_as_long_as_the_text_changes_nothing(window):
    model = hooked("llama")
    got = model.trace(PROMPT, [AttentionPattern("window", window)]).last_logits
    np.testing.assert_array_equal(got, model.trace(PROMPT).last_logits)


def test_a_pattern_and_a_knockout_act_together():
    trace = hooked("llama").trace(PROMPT, [AttentionPattern("window", 3), Knockout(9, 8)])
    assert (trace.attention(0)[:, 9] > 0).any(0).nonzero()[0].tolist() == [7, 9]


def test_additive_masks_keep_what_they_add():
    mask = torch.full((1, 1, 3, 3), -0.5).tril()
    query = key = torch.zeros(1, 2, 3, 4)
    narrowed = NarrowedMask(mask, query, key, end=3, causal=True)
    AttentionPattern("window", 2).effects()["mask"](narrowed)
    edited = narrowed.tensor
    assert edited[0, 0, 2].tolist() == [torch.finfo(torch.float32).min, -0.5, -0.5]
    assert mask[0, 0, 2, 0] == -0.5


def test_heads_of_a_group_become_their_mean():
    heads = torch.tensor([1.0, 3.0, 10.0, 20.0])[None, :, None, None]
    assert ShareKVHeads(2).pooled(heads).flatten().tolist() == [2, 2, 15, 15]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: AttentionPattern("window", 0), "could not even read itself"),
        (lambda: AttentionPattern("block", -2), "could not even read itself"),
        (lambda: AttentionPattern("window_first", 2, n_first=-1), "0 or more"),
        (lambda: AttentionPattern("strided", 2, stride=0), "leads nowhere"),
        (lambda: ShareKVHeads(0), "1 or more"),
    ],
)
def test_sizes_out_of_range_are_refused_at_once(make, says):
    with pytest.raises(InterventionError, match=says):
        make()


def test_one_head_makes_one_group():
    heads = torch.rand(1, 1, 3, 4)
    assert torch.equal(ShareKVHeads(1).pooled(heads), heads)
    with pytest.raises(InterventionError, match=r"^1 KV head cannot .*choose 1\."):
        ShareKVHeads(2).pooled(heads)


@pytest.mark.parametrize("kind", get_args(PatternKind))
def test_a_kind_of_pattern_is_enough_to_make_one(kind):
    assert AttentionPattern(kind).window == 1


@pytest.mark.parametrize(
    ("model_type", "intervention", "says"),
    [
        ("llama", ShareKVHeads(4), "2 KV heads cannot be put into 4 groups.*1 or 2"),
        ("llama", AttentionPattern("window", 2, layers=(9,)), "no layer 9"),
        ("nemotron_h", AblateMLP(0), "Layer 0 has no feedforward to change"),
        (
            "longcat_flash",
            AblateMLP(0),
            "feedforward of layer 0 adds to the residual stream inside",
        ),
        ("jamba", AttentionPattern("window", 2, layers=(0,)), "Layer 0 has no attention"),
        *((family, AttentionPattern("full"), "a way of its own") for family in OWN_ATTENTION),
    ],
)
def test_what_a_model_cannot_do_is_said_in_one_sentence(model_type, intervention, says):
    with pytest.raises(InterventionError, match=says):
        hooked(model_type).trace(PROMPT, [intervention])

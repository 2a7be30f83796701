"""What is read of each token adds up to what attention adds, whole runs and KV cache alike."""

from functools import cache

import numpy as np
import pytest

from model_hooks import (
    AblateAttention,
    AblateHead,
    HookedModel,
    NotRecordableError,
    PromptError,
    load_model,
)
from model_hooks.read.attribution import attribute_logit, direct_effects
from model_hooks.read.contributions import contributions, next_contributions
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

FAMILIES = ["gpt2", "gpt_neox", "llama", "mistral", "gpt_oss", "granite"]
"""Biases, blocks side by side, shared keys and values, windows, sinks, a scaled stream."""


@cache
def wrapped(family):
    return HookedModel.wrap(build(family), tiny_tokenizer(), family)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pos", [5, -1])
def test_parts_are_those_of_direct_attribution_and_heads_add_up_to_them(family, pos):
    hooked = wrapped(family)
    trace = hooked.trace(tiny_prompt(14))
    found = contributions(hooked, trace, 7, pos)
    split = attribute_logit(hooked, trace, 7, pos)
    assert found.is_exact
    np.testing.assert_allclose(found.attention, split.attention, atol=1e-3)
    np.testing.assert_allclose(found.feedforward, split.feedforward, atol=1e-3)
    assert found.total == pytest.approx(split.logit - split.constant, abs=1e-3)
    assert found.by_key.sum() == pytest.approx(found.by_head.sum(), abs=1e-6)
    assert len(found.by_key) == len(found.attended) == found.pos + 1
    assert found.attended.sum() <= 1 + 1e-5


def test_a_key_adds_its_value_times_weight_and_output_projection():
    hooked = wrapped("llama")
    trace = hooked.trace(tiny_prompt(9))
    final, by_key = trace.layers[-1].resid_post[-1], np.zeros(9)
    for layer, block in zip(trace.layers, hooked.model.model.layers, strict=True):
        rows = block.self_attn.o_proj.weight.detach().numpy().T
        per_head = rows.reshape(trace.n_heads, -1, rows.shape[-1])
        for head in range(trace.n_heads):
            value = layer.value[head // 2]  # two query heads share one
            vectors = layer.attention[head, -1][:, None] * (value @ per_head[head])
            by_key += direct_effects(hooked, vectors, final, [7])[:, 0]
    assert trace.n_heads == 2 * len(trace.layers[0].value)
    np.testing.assert_allclose(contributions(hooked, trace, 7).by_key, by_key, atol=1e-3)


@pytest.mark.parametrize("family", ["llama", "mistral", "gpt2"])
@pytest.mark.parametrize("use_cache", [True, False])
def test_the_next_token_of_a_written_text_is_read_as_in_one_run_of_it(family, use_cache):
    hooked = wrapped(family)
    ids, off = tuple(tiny_prompt(14)), (AblateHead(2, 1),)
    for n_written in range(3):
        text = ids[:11], ids[11 : 11 + n_written]
        found = next_contributions(hooked, *text, 7, use_cache, off)
        whole = contributions(hooked, hooked.trace(ids[: 11 + n_written], off), 7)
        assert found.is_exact
        assert found.pos == whole.pos == 10 + n_written
        for name in ("by_key", "by_head", "attention", "feedforward", "attended"):
            np.testing.assert_allclose(
                getattr(found, name), getattr(whole, name), atol=1e-3, err_msg=name
            )


def test_what_is_switched_off_adds_nothing():
    hooked = wrapped("llama")
    off = (AblateHead(0, 2), AblateAttention(1))
    found = contributions(hooked, hooked.trace(tiny_prompt(9), off), 7)
    assert found.is_exact
    assert found.by_head[0, 2] == 0
    assert not found.by_head[1].any()
    assert found.attention[1] == 0
    assert found.by_head[0, 1] != 0


@pytest.mark.parametrize("family", ["olmo2", "bloom"])
def test_heads_that_do_not_simply_add_up_are_told_and_weights_rank_instead(family):
    """One has a norm after attention; the other keeps its values to itself."""
    hooked = wrapped(family)
    found = contributions(hooked, hooked.trace(tiny_prompt(9)), 7)
    assert not found.is_exact
    assert np.isnan(found.by_head).all()
    assert found.ranking is found.attended
    assert found.attended.sum() == pytest.approx(1, abs=1e-5)
    assert (found.most_read == -1).all()


def test_norms_on_the_stream_itself_are_told():
    hooked = load_model("twin-original-2017")
    found = contributions(hooked, hooked.trace("Lily and Tim went"), 7)
    assert not found.is_exact


@pytest.mark.parametrize(
    ("prompt", "cause", "n"),
    [
        ("Lily and Tim went to the lighthouse. Lily and", " Tim", 7.93),
        ("The capital of France is", " France", 10.5),
        ("A baby cat is called a", " cat", 6.77),
    ],
)
def test_the_storyteller_reads_the_answer_where_it_stands(prompt, cause, n):
    hooked = load_model("storyteller")
    trace = hooked.trace(prompt)
    found = contributions(hooked, trace, int(trace.last_logits.argmax()))
    assert found.is_exact
    assert trace.tokens[found.ranking.argmax()] == cause
    assert found.by_key.max() == pytest.approx(n, abs=0.05)
    layer, head = np.unravel_index(found.by_head.argmax(), found.by_head.shape)
    assert (layer, head) == (4, 4)
    assert trace.tokens[found.most_read[layer, head]] == cause


@pytest.mark.parametrize("token_id", [2**63, -1])
def test_a_written_token_that_is_not_there_is_refused(token_id):
    hooked = wrapped("gpt2")
    with pytest.raises(PromptError):
        next_contributions(hooked, tuple(tiny_prompt(4)), (token_id,), 7)


def test_a_family_whose_end_cannot_be_derived_says_so():
    """Reformer goes back through its blocks by itself."""
    hooked = wrapped("reformer")
    trace = hooked.trace(tiny_prompt(14))
    with pytest.raises(NotRecordableError, match="cannot be derived"):
        contributions(hooked, trace, 7)

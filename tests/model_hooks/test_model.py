import contextlib
import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model_hooks import AblateMLP, Decoding, HookedModel, InlookError, LayerError, PromptError
from model_hooks.run.attention import RecordedAttention

PROMPT = "the cat sat on the mat"


@pytest.fixture
def trace(hooked):
    return hooked.trace(PROMPT)


def eager(hooked, token_ids):
    """The same weights through transformers' own eager attention."""
    recorded = hooked.model.config._attn_implementation
    hooked.model.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            return hooked.model(
                torch.tensor([list(token_ids)]), output_attentions=True, output_hidden_states=True
            )
    finally:
        hooked.model.set_attn_implementation(recorded)


def test_the_last_row_of_the_lens_is_the_output(hooked, trace):
    expected = torch.log_softmax(torch.tensor(trace.last_logits), -1).numpy()
    np.testing.assert_allclose(hooked.logit_lens(trace)[-1], expected, atol=1e-5)


def test_lens_rows_apply_norm_and_head_to_each_layer(hooked, trace):
    base = hooked.model.base_model
    norm = base.ln_f if hasattr(base, "ln_f") else base.norm
    for layer, row in enumerate(hooked.logit_lens(trace, pos=2)):
        resid = torch.tensor(trace.layer_output(layer)[2])
        with torch.no_grad():
            logits = hooked.model.get_output_embeddings()(norm(resid))
        np.testing.assert_allclose(row, torch.log_softmax(logits, -1).numpy(), atol=1e-5)


def test_logits_of_every_position_equal_the_models_own(hooked, trace):
    expected = eager(hooked, trace.token_ids).logits[0].numpy()
    np.testing.assert_allclose(hooked.logits(trace), expected, atol=1e-5)
    np.testing.assert_allclose(trace.last_logits, expected[-1], atol=1e-5)


def test_embedding_is_what_enters_the_first_block(hooked, trace):
    hidden = eager(hooked, trace.token_ids).hidden_states
    np.testing.assert_allclose(trace.embedding, hidden[0][0].numpy(), atol=1e-6)


def test_shapes_are_those_of_the_config(hooked, trace):
    info, layer = hooked.info, trace.layers[0]
    assert layer.query.shape == (info.n_heads, 6, info.d_head)
    assert layer.key.shape == layer.value.shape == (info.n_kv_heads, 6, info.d_head)
    assert trace.attention(0).shape == (info.n_heads, 6, 6)
    assert trace.attention(0, 1).shape == (6, 6)
    assert layer.attn_out.shape == (6, info.d_model)
    assert trace.last_logits.shape == (info.vocab_size,)


def test_attention_is_computed_once_and_read_only(trace):
    assert trace.attention(0) is trace.attention(0)
    for array in (trace.attention(0), trace.layer_output(0), trace.last_logits, trace.token_ids):
        with pytest.raises(ValueError, match="read-only"):
            array[..., 0] = 0


def test_one_head_of_a_long_text_equals_its_layer(hooked, monkeypatch):
    monkeypatch.setattr("model_hooks.run.trace.PER_HEAD_FROM", 1)
    alone = hooked.trace(PROMPT).attention(1, 1)
    np.testing.assert_allclose(alone, hooked.trace(PROMPT).attention(1)[1], atol=1e-6)


def test_rows_of_a_text_that_was_written_are_those_of_its_layer(hooked):
    generation = hooked.start(PROMPT, Decoding())
    for _ in range(4):
        generation = hooked.step(generation)
    fresh, whole = generation.trace(), generation.trace()
    assert "attention" not in fresh.layers[1].__dict__
    n_tokens = len(fresh)
    for start in range(n_tokens):
        for stop in range(start + 1, n_tokens + 1):
            rows = fresh.attention_rows(1, start, stop)
            np.testing.assert_allclose(rows, whole.attention(1)[:, start:stop], atol=1e-6)
    assert "attention" not in fresh.layers[1].__dict__


def test_a_row_is_computed_without_the_others(hooked, monkeypatch):
    asked, original = [], RecordedAttention.weights_for

    def counting(call, keys):
        asked.append(call.n_rows)
        return original(call, keys)

    monkeypatch.setattr(RecordedAttention, "weights_for", counting)
    trace = hooked.trace(PROMPT)
    trace.attention_rows(0, 2, 3)
    trace.attention_rows(1, 1, 5)
    assert asked == [1, 4]


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 3), (0, 99), (6, 7)])
def test_rows_that_are_not_there_are_one_sentence(trace, start, stop):
    with pytest.raises(PromptError, match="this text has 6 tokens"):
        trace.attention_rows(0, start, stop)


@pytest.mark.parametrize(("layer", "head"), [(2, None), (-3, None), (0, 99), (0, -99)])
def test_a_layer_or_head_that_is_not_there_is_one_sentence(trace, layer, head):
    with pytest.raises(LayerError, match="run from 0 to"):
        trace.attention(layer, head)


def test_token_ids_and_text_give_the_same_trace(hooked, trace):
    again = hooked.trace(hooked.encode(PROMPT))
    assert again.tokens == trace.tokens
    np.testing.assert_array_equal(again.last_logits, trace.last_logits)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("", "empty"),
        ([], "empty"),
        ([1, 99], "99 is out of range.*0 to 6"),
        ([-1], "out of range"),
        ([1.5], "whole numbers"),
        ("cat " * 5000, "5000 tokens, but this model reads at most"),
    ],
)
def test_a_prompt_that_cannot_run_is_one_sentence(hooked, prompt, message):
    for run in (hooked.trace, hooked.start):
        with pytest.raises(PromptError, match=message):
            run(prompt)


def test_a_prompt_of_exactly_the_context_runs(hooked):
    size = hooked.info.context_size
    assert len(hooked.trace([1] * size)) == size
    with pytest.raises(PromptError, match=str(size + 1)):
        hooked.trace([1] * (size + 1))


@settings(deadline=None, max_examples=60)
@given(text=st.text(st.characters(), max_size=60))
def test_any_text_gives_a_trace_or_one_sentence(hooked, text):
    with contextlib.suppress(InlookError):
        trace = hooked.trace(text)
        assert len(trace.tokens) == len(trace.token_ids) >= 1


def test_eight_threads_get_their_own_records(hooked):
    prompts = [" ".join(["the", "cat", "sat", "on", "mat", "dog"][: 1 + i]) for i in range(6)]
    sampled = Decoding(strategy="sample", temperature=2.0, seed=3)

    def work(i):
        prompt = prompts[i % 6]
        trace = hooked.trace(prompt)
        steps = list(hooked.generate(prompt, sampled, 4, use_cache=i % 2 == 0))
        return trace.attention(1), trace.layers[0].mlp_out, [step.token_id for step in steps]

    serial = [work(i) for i in range(12)]
    hooked.forget()
    with ThreadPoolExecutor(max_workers=8) as pool:
        together = list(pool.map(work, [i % 12 for i in range(96)]))
    for i, (attention, mlp_out, tokens) in enumerate(together):
        np.testing.assert_allclose(attention, serial[i % 12][0], atol=1e-6)
        np.testing.assert_allclose(mlp_out, serial[i % 12][1], atol=1e-6)
        assert tokens == serial[i % 12][2]


def test_a_model_that_is_wrapped_twice_records_the_same_by_both(tiny_model, tokenizer):
    model = copy.deepcopy(tiny_model)
    one, other = (HookedModel.wrap(model, tokenizer, name) for name in ("one", "other"))
    changed = (AblateMLP(0),)
    for interventions in ((), changed):
        a, b = (hooked.trace([1, 2, 3], interventions=interventions) for hooked in (one, other))
        np.testing.assert_array_equal(a.last_logits, b.last_logits)
        np.testing.assert_array_equal(a.attention(1), b.attention(1))
    assert (one.trace([1, 2, 3]).last_logits != a.last_logits).any()

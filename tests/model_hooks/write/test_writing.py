import pickle

import numpy as np
import pytest
import torch

from model_hooks import AblateHead, Decoding, DecodingError, InterventionError, PromptError
from model_hooks.write.writing import (
    next_attention,
    next_distribution,
    write_again,
    write_token,
    write_tokens,
)

PROMPT = (1, 2, 3, 4, 1, 5)
SAMPLING = Decoding("sample", temperature=1.5, top_k=5, repetition_penalty=1.2, seed=3)
COSTS = ("rows_computed", "flops", "cache_bytes", "prefill", "pos", "reused")


@pytest.fixture(autouse=True)
def _fresh(hooked):
    hooked.forget()


def written(model, n_tokens, decoding=SAMPLING, use_cache=True, interventions=(), prompt=PROMPT):
    """Token by token, holding nothing but token IDs."""
    steps = []
    for _ in range(n_tokens):
        ids = tuple(step.token_id for step in steps)
        steps.append(write_token(model, prompt, ids, decoding, use_cache, interventions))
    return steps


def generated(model, n_tokens, decoding=SAMPLING, use_cache=True, interventions=()):
    generation = model.start(PROMPT, decoding, use_cache, interventions)
    for _ in range(n_tokens):
        generation = model.step(generation)
    return generation.steps


def ids_of(steps):
    return tuple(step.token_id for step in steps)


@pytest.mark.parametrize("use_cache", [True, False])
def test_greedy_tokens_equal_those_of_generate(hooked, use_cache):
    expected = hooked.model.generate(
        torch.tensor([PROMPT]),
        do_sample=False,
        max_new_tokens=12,
        pad_token_id=0,
        eos_token_id=None,
    )
    assert PROMPT + ids_of(written(hooked, 12, Decoding(), use_cache)) == tuple(
        expected[0].tolist()
    )


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("interventions", [(), (AblateHead(0, 1),)], ids=["whole", "ablated"])
def test_a_text_equals_that_of_a_generation_at_the_same_costs(hooked, use_cache, interventions):
    ours = written(hooked, 6, use_cache=use_cache, interventions=interventions)
    hooked.forget()
    theirs = generated(hooked, 6, use_cache=use_cache, interventions=interventions)
    assert ids_of(ours) == ids_of(theirs)
    for step, other in zip(ours, theirs, strict=True):
        assert [getattr(step, name) for name in COSTS] == [getattr(other, name) for name in COSTS]
        for name in ("probability", "raw_probability", "entropy_bits"):
            assert getattr(step, name) == pytest.approx(getattr(other, name), abs=1e-5)


def test_each_step_computes_one_position_with_the_cache_and_all_without(hooked):
    on, off = written(hooked, 4), written(hooked, 4, use_cache=False)
    assert [step.rows_computed for step in on] == [6, 1, 1, 1]
    assert [step.rows_computed for step in off] == [6, 7, 8, 9]
    assert [step.prefill for step in on] == [True, False, False, False]


def test_a_text_goes_on_right_after_everything_was_forgotten(hooked):
    expected = written(hooked, 6)
    hooked.forget()
    first = written(hooked, 3)
    hooked.forget()
    step = write_token(hooked, PROMPT, ids_of(first), SAMPLING)
    assert step.token_id == expected[3].token_id
    assert step.rows_computed == len(PROMPT) + 3
    assert write_token(hooked, PROMPT, (*ids_of(first), step.token_id), SAMPLING).rows_computed == 1


def test_the_attention_of_a_step_is_the_last_row_of_the_trace(hooked):
    steps = ids_of(written(hooked, 4))
    trace = hooked.trace([*PROMPT, *steps])
    for layer in range(hooked.info.n_layers):
        np.testing.assert_allclose(
            next_attention(hooked, PROMPT, steps, layer), trace.attention(layer)[:, -1], atol=1e-5
        )


@pytest.mark.parametrize("use_cache", [True, False])
def test_the_next_distribution_is_that_of_the_text_as_a_prompt(hooked, use_cache):
    steps = ids_of(written(hooked, 3, use_cache=use_cache))
    stages = next_distribution(hooked, PROMPT, steps, SAMPLING, use_cache)
    logits = hooked.trace([*PROMPT, *steps]).last_logits
    np.testing.assert_allclose(stages[0].scores, logits, atol=1e-5)
    assert [stage.name for stage in stages] == ["raw", "repetition_penalty", "temperature", "top_k"]
    after = write_token(hooked, PROMPT, steps, SAMPLING, use_cache)
    assert after.reused
    assert after.probability == pytest.approx(stages[-1].probabilities[after.token_id])


def test_an_intervention_changes_what_is_written(hooked):
    whole = next_distribution(hooked, PROMPT, (2,), SAMPLING)[0].scores
    ablated = next_distribution(hooked, PROMPT, (2,), SAMPLING, True, (AblateHead(0, 0),))[0].scores
    expected = hooked.trace([*PROMPT, 2], [AblateHead(0, 0)]).last_logits
    np.testing.assert_allclose(ablated, expected, atol=1e-5)
    assert np.abs(whole - ablated).max() > 1e-3


def test_a_step_tells_what_was_switched_off_in_it(hooked):
    off = (AblateHead(0, 0),)
    alone = write_token(hooked, PROMPT, (), SAMPLING, True, off)
    many = [*write_tokens(hooked, PROMPT, (), SAMPLING, 2, True, off)]
    again = [*write_again(hooked, PROMPT, (), SAMPLING, (1, 2), True, off)]
    assert [step.interventions for step in (alone, *many, *again)] == [off] * 5
    assert write_token(hooked, PROMPT, (), SAMPLING).interventions == ()


def test_a_chosen_token_is_taken_and_called_forced(hooked):
    picked = write_token(hooked, PROMPT, (), Decoding())
    other = (picked.token_id + 1) % hooked.info.vocab_size
    step = write_token(hooked, PROMPT, (), Decoding(), choose=other)
    assert (step.token_id, step.forced, step.reused) == (other, True, True)
    assert step.token == hooked.token_strings([other])[0]
    assert step.rank > 1


def test_a_known_text_is_written_again_and_only_other_tokens_count_as_chosen(hooked):
    text = ids_of(written(hooked, 5))
    changed = (*text[:2], (text[2] + 1) % hooked.info.vocab_size, *text[3:])
    hooked.forget()
    steps = list(write_again(hooked, PROMPT, (), SAMPLING, changed))
    assert ids_of(steps) == changed
    assert [step.forced for step in steps[:3]] == [False, False, True]
    assert [step.rows_computed for step in steps] == [6, 1, 1, 1, 1]


def test_many_tokens_come_one_by_one_until_the_text_ends(hooked, monkeypatch):
    expected = ids_of(written(hooked, 5))
    steps = write_tokens(hooked, PROMPT, (), SAMPLING, 5)
    assert next(steps).token_id == expected[0]
    assert ids_of(steps) == expected[1:]
    monkeypatch.setattr(hooked.model.generation_config, "eos_token_id", expected[0])
    assert len(list(write_tokens(hooked, PROMPT, (), SAMPLING, 5))) == 1


def test_answers_survive_pickling(hooked):
    step = write_token(hooked, PROMPT, (), SAMPLING)
    assert pickle.loads(pickle.dumps(step)) == step
    stages = next_distribution(hooked, PROMPT, (), SAMPLING)
    again = pickle.loads(pickle.dumps(stages))
    for stage, other in zip(stages, again, strict=True):
        np.testing.assert_array_equal(stage.scores, other.scores)


def test_what_cannot_be_written_is_refused(hooked):
    size = hooked.info.context_size
    with pytest.raises(PromptError, match="empty"):
        write_token(hooked, (), (), Decoding())
    with pytest.raises(PromptError, match="99 is out of range"):
        write_token(hooked, PROMPT, (99,), Decoding())
    with pytest.raises(PromptError, match="99 is out of range"):
        write_token(hooked, PROMPT, (), Decoding(), choose=99)
    with pytest.raises(DecodingError, match="top_k"):
        next_distribution(hooked, PROMPT, (), Decoding("sample", top_k=10**6))
    with pytest.raises(InterventionError, match="layer 9"):
        next_attention(hooked, PROMPT, (), 0, True, (AblateHead(9, 0),))
    with pytest.raises(PromptError, match=f"context is full.*{size}"):
        write_token(hooked, PROMPT, (1,) * (size - len(PROMPT) + 1), Decoding())

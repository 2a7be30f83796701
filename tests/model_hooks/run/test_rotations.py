"""Rotations that change with the length of a text, against fresh runs of the plain model."""

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from model_hooks import Decoding, HookedModel
from model_hooks.experiments import race
from model_hooks.experiments.continuations import write_texts
from model_hooks.parts.abilities import Stretch
from model_hooks.read.gradients import stream_gradients
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals

LENGTH = 20
"""Up to here the rotation is the original one."""


def stretched(rope_type: str):
    """A model that turns otherwise beyond 20 positions, and the same one untouched."""
    if rope_type == "dynamic":
        return build(
            "llama",
            max_position_embeddings=LENGTH,
            rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0},
        )
    d_rotated = build("phi3").model.rotary_emb.inv_freq.numel()
    return build(
        "phi3",
        max_position_embeddings=64,
        original_max_position_embeddings=LENGTH,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "short_factor": [1.0] * d_rotated,
            "long_factor": [4.0] * d_rotated,
            "original_max_position_embeddings": LENGTH,
        },
    )


def fresh_logits(plain, token_ids) -> np.ndarray:
    with torch.no_grad():
        logits = copy.deepcopy(plain)(torch.tensor([list(token_ids)]), use_cache=False).logits
    return logits[0, -1].numpy()


@pytest.fixture(params=["dynamic", "longrope"])
def pair(request):
    plain = stretched(request.param)
    model = HookedModel.wrap(copy.deepcopy(plain), tiny_tokenizer(), request.param)
    model.info = replace(model.info, context_size=64)  # `dynamic` is for texts beyond the stated
    return plain, model


def test_beyond_the_length_keys_turn_otherwise(pair):
    """Else nothing here could fail."""
    short, long = (pair[1].trace(tiny_prompt(length)).layers[0].key for length in (LENGTH, 40))
    assert not np.allclose(short[:, 10], long[:, 10], atol=1e-3)


def test_writing_across_the_length_equals_fresh_runs(pair):
    plain, model = pair
    generation = model.start(tiny_prompt(LENGTH - 3))
    for _ in range(8):
        generation = model.step(generation)
        step = generation.steps[-1]
        np.testing.assert_allclose(
            step.logits, fresh_logits(plain, generation.token_ids[:-1]), atol=1e-4, rtol=1e-3
        )
    rows = [step.rows_computed for step in generation.steps]
    assert rows[1:3] == [1, 1]  # before the length, the cache is used
    assert max(rows[3:]) > LENGTH  # at the length, everything runs again


def test_a_trace_of_what_was_written_across_it_is_that_of_a_fresh_run(pair):
    _, model = pair
    generation = model.start(tiny_prompt(LENGTH - 2))
    for _ in range(4):
        generation = model.step(generation)
    written, fresh = generation.trace(), model.trace(generation.token_ids)
    for layer in range(model.info.n_layers):
        np.testing.assert_allclose(
            written.layers[layer].key, fresh.layers[layer].key, atol=1e-4, rtol=1e-3
        )


def test_a_longer_text_before_does_not_change_a_shorter_one(pair):
    plain, model = pair
    for length in (LENGTH + 4, LENGTH - 1, LENGTH):
        model.trace(tiny_prompt(40))
        short = tiny_prompt(length, seed=1)
        logits = model.trace(short).last_logits
        np.testing.assert_allclose(logits, fresh_logits(plain, short), atol=1e-4, rtol=1e-3)


def test_an_edited_prompt_across_the_length_equals_a_fresh_run(pair):
    plain, model = pair
    first = tiny_prompt(40)
    model.step(model.start(first))
    for length in (LENGTH - 2, LENGTH + 10, 30):
        edited = [*first[:length], 60, 61, 62]
        logits = model.start(edited).next_logits()
        np.testing.assert_allclose(logits, fresh_logits(plain, edited), atol=1e-4, rtol=1e-3)


def test_a_text_beyond_the_length_goes_on_from_nothing_that_a_shorter_one_left(pair):
    plain, model = pair
    first = tiny_prompt(LENGTH - 2)
    model.start(first).next_logits()
    for seed in (1, 2):
        longer = [*first, *tiny_prompt(10, seed=seed)]
        logits = model.start(longer).next_logits()
        np.testing.assert_allclose(logits, fresh_logits(plain, longer), atol=1e-4, rtol=1e-3)


def test_both_runs_of_a_race_across_the_length_are_the_same(pair):
    _, model = pair
    side_by_side = race.start(model, tuple(tiny_prompt(LENGTH - 3)), Decoding())
    for _ in range(8):
        side_by_side = race.step_both(model, side_by_side)
    assert side_by_side.parted_at is None
    assert side_by_side.largest_difference < 1e-3
    rows = [step.rows_computed for step in side_by_side.on.steps]
    assert rows[1:3] == [1, 1]
    assert max(rows[3:]) > LENGTH


def test_texts_written_together_across_the_length_are_those_written_alone(pair):
    _, model = pair
    prompt = tuple(tiny_prompt(LENGTH - 3))
    *_, (text,) = write_texts(model, prompt, Decoding(), 8, (0,))
    assert text.token_ids == tuple(s.token_id for s in model.generate(prompt, max_new_tokens=8))


def test_gradients_of_texts_beyond_and_within_the_length_can_be_followed(pair):
    _, model = pair
    for length in (LENGTH + 4, LENGTH - 4):
        found = stream_gradients(model, model.trace(tiny_prompt(length)))
        assert np.isfinite(found.gradient_sizes).all()


def test_texts_of_many_lengths_at_once_do_not_turn_each_other(pair):
    plain, model = pair
    prompts = [tiny_prompt(length, seed=length) for length in (10, 40, 19, 30, 21)]
    truth = [fresh_logits(plain, prompt) for prompt in prompts]
    with ThreadPoolExecutor(4) as threads:
        runs = [threads.submit(model.trace, prompt) for prompt in prompts * 4]
    for run, logits in zip(runs, truth * 4, strict=True):
        np.testing.assert_allclose(run.result().last_logits, logits, atol=1e-4, rtol=1e-3)


def test_rotations_of_two_lengths_are_both_minded():
    near, far = Stretch(20, by_length=False), Stretch(30, by_length=False)
    assert near.is_same(25, 35)
    assert not far.is_same(25, 35)
    assert not Stretch(20, by_length=True).is_same(25, 26)

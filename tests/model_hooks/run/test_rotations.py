"""Rotations that change with the length of a text, against fresh runs of the plain model."""

import copy

import numpy as np
import pytest
import torch

from model_hooks import HookedModel
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals

LENGTH = 12
"""Up to here the rotation is the original one."""


def stretched(rope_type: str):
    """A model that turns otherwise beyond 12 positions, and the same one untouched."""
    if rope_type == "dynamic":
        model = build(
            "llama",
            max_position_embeddings=LENGTH,
            rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0},
        )
        model.config.max_position_embeddings = 64  # so that longer texts are no error
        return model
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
    return plain, HookedModel.wrap(copy.deepcopy(plain), tiny_tokenizer(), request.param)


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
    model.trace(tiny_prompt(40))
    for length in (LENGTH - 1, LENGTH, LENGTH + 4):
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

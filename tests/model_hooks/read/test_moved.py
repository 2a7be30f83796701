"""A text at other positions is the model's own run, under whatever was changed in it."""

from functools import cache

import numpy as np
import pytest
import torch

from model_hooks import AblateHead, HookedModel, PromptError
from model_hooks.read.moved import at_once, moved_scores, moved_shares, next_token_at, run_at
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

PROMPT_IDS = tiny_prompt(12)


@cache
def hooked(family: str) -> HookedModel:
    return HookedModel.wrap(build(family), tiny_tokenizer(), family)


def traced(family: str, *interventions):
    return hooked(family), hooked(family).trace(PROMPT_IDS, interventions)


@torch.inference_mode()
def plain_prediction(family: str, first: int) -> np.ndarray:
    """The next token by the model's own forward pass, told its positions."""
    positions = torch.arange(first, first + len(PROMPT_IDS))[None]
    output = hooked(family).model(input_ids=torch.tensor([PROMPT_IDS]), position_ids=positions)
    return torch.softmax(output.logits[0, -1].double(), -1).numpy()


@pytest.mark.parametrize("first", [0, 1, 30, 100])
@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "gptj"])
def test_the_moved_prediction_is_the_models_own(family, first):
    found = next_token_at(*traced(family), first)
    np.testing.assert_allclose(found, plain_prediction(family, first), atol=1e-6)


@pytest.mark.parametrize("family", ["llama", "gpt_neox", "gptj", "cohere", "smollm3"])
def test_moved_rotary_model_predicts_the_same(family):
    assert moved_shares(*traced(family), (0, 1, 30, 100)).max() < 1e-5


@pytest.mark.parametrize("family", ["gpt2", "opt"])
def test_moved_absolute_model_predicts_something_else(family):
    shares = moved_shares(*traced(family), (0, 1, 100))
    assert shares[0] < 1e-6
    assert shares[1:].min() > 0.005
    here, there = (plain_prediction(family, first) for first in (0, 100))
    kept = np.minimum(here, there).sum()  # what both give to the same tokens
    assert shares[2] == pytest.approx(1 - kept, abs=1e-5)


def test_what_was_changed_in_the_run_is_changed_at_other_positions_too():
    change = AblateHead(1, 2)
    model, trace = traced("llama", change)
    expected = torch.softmax(torch.tensor(trace.last_logits).double(), -1)
    np.testing.assert_allclose(next_token_at(model, trace, 30), expected, atol=1e-6)
    without = next_token_at(*traced("llama"), 30)
    assert np.abs(without - expected.numpy()).max() > 1e-4
    # Head 2 of layer 1 changes what layers 2 and 3 compare, not what it compares itself.
    before, after = at_once(*traced("llama")), at_once(model, trace)
    np.testing.assert_allclose(before[1].query, after[1].query, atol=1e-6)
    assert np.abs(before[2].query - after[2].query).max() > 1e-4


@pytest.mark.parametrize("family", ["llama", "gptj"])
def test_all_layers_at_once_are_what_a_run_at_0_compares(family):
    model, trace = traced(family)
    own = run_at(model, [PROMPT_IDS], [0]).layers
    for layer, compared in enumerate(at_once(model, trace)):
        np.testing.assert_allclose(compared.query, own[layer].query, atol=1e-6)
        np.testing.assert_allclose(compared.key, own[layer].key, atol=1e-6)


def test_scores_of_turned_vectors_stay_and_those_of_added_ones_change():
    rotary, absolute = (moved_scores(*traced(family), 30) for family in ("llama", "gpt2"))
    assert rotary.differences.shape == (4, 4)
    assert (rotary.differences <= 1e-5 * np.maximum(rotary.largest, 1)).all()
    assert (absolute.differences > 1e-3 * absolute.largest).all()


def test_scores_that_cannot_be_seen_are_unknown():
    model = HookedModel.wrap(build("jamba"), tiny_tokenizer())
    scores = moved_scores(model, model.trace(PROMPT_IDS), 0)
    assert np.isnan(scores.differences).all(1).tolist() == [True, False, True, False]


def test_model_that_counts_positions_itself_says_so():
    with pytest.raises(PromptError, match="counts positions itself"):
        next_token_at(*traced("bloom"), 3)


def test_position_beyond_the_table_is_refused():
    with pytest.raises(PromptError, match="has no position 128"):
        next_token_at(*traced("gpt2"), 128 - len(PROMPT_IDS) + 1)

"""What a KV cache is trusted for, against fresh runs of the plain model."""

import copy

import numpy as np
import pytest
import torch

from model_hooks import HookedModel
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals

FAMILIES = ("gpt2", "gemma3_text", "jamba", "minimax", "bamba", "xlm-roberta-xl", "deepseek_v4")


def fresh_logits(plain, token_ids) -> np.ndarray:
    with torch.no_grad():
        return plain(torch.tensor([list(token_ids)]), use_cache=False).logits[0, -1].numpy()


def assert_as_fresh(logits, plain, token_ids) -> None:
    truth = fresh_logits(plain, token_ids)
    there = np.isfinite(truth)
    gap = np.abs(logits - truth)[there].max()
    assert gap <= 1e-3 * np.abs(truth[there]).max(), f"{len(token_ids)} tokens: {gap}"


def test_a_shortcut_for_several_tokens_is_not_taken_for_rounding():
    """Zamba's state space layers take several tokens by one: each layer is off by 2e-4."""
    model = HookedModel.wrap(build("zamba"), tiny_tokenizer(), "zamba")
    assert model.abilities.continues
    assert not model.abilities.continues_by_many


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request):
    plain = build(request.param)
    return plain, HookedModel.wrap(copy.deepcopy(plain), tiny_tokenizer(), request.param)


@pytest.mark.parametrize("n_more", [1, 2, 5])
def test_going_on_from_an_earlier_prompt_equals_a_fresh_run(pair, n_more):
    plain, model = pair
    model.forget()
    first = tiny_prompt(24)
    model.step(model.start(first))
    longer = [*first, *tiny_prompt(n_more, seed=1)]
    assert_as_fresh(model.start(longer).next_logits(), plain, longer)


@pytest.mark.parametrize("n_kept", [17, 20, 22])
def test_an_edited_prompt_equals_a_fresh_run(pair, n_kept):
    plain, model = pair
    model.forget()
    first = tiny_prompt(24)
    generation = model.step(model.step(model.start(first)))
    edited = [*first[:n_kept], *tiny_prompt(3, seed=2)]
    assert_as_fresh(model.start(edited).next_logits(), plain, edited)
    # What the first text left is as it was.
    assert_as_fresh(model.step(generation).steps[-1].logits, plain, generation.token_ids)


def test_a_padding_token_in_the_text_does_not_spoil_the_next_steps(pair):
    plain, model = pair
    model.forget()
    padding = plain.config.pad_token_id or 0
    generation = model.start(tiny_prompt(6))
    for token_id in (padding, 30, 31, padding, 32):
        generation = model.step(generation, choose=token_id)
        assert_as_fresh(generation.next_logits(), plain, generation.token_ids)


def test_what_is_trusted_is_told_apart():
    plain = {
        name: HookedModel.wrap(build(name), tiny_tokenizer(), name).abilities
        for name in ("llama", "gemma3_text", "jamba", "minimax", "deepseek_v4", "xlm-roberta-xl")
    }
    assert plain["llama"].continues_by_many
    assert plain["llama"].shortens
    assert plain["llama"].uncounted_id is None
    assert not plain["minimax"].shortens
    assert not plain["gemma3_text"].shortens
    assert plain["gemma3_text"].continues_by_many
    assert plain["jamba"].continues
    assert not plain["jamba"].continues_by_many
    assert not plain["deepseek_v4"].continues
    assert not plain["deepseek_v4"].names_positions
    assert plain["xlm-roberta-xl"].uncounted_id == build("xlm-roberta-xl").config.pad_token_id

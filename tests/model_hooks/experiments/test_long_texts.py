"""Long texts are read by the model as they are, written by the model itself, and refused kindly."""

from functools import cache

import numpy as np
import pytest
import torch

from model_hooks import AblateMLP, Decoding, HookedModel
from model_hooks.experiments.long_texts import limits_of, losses_or_reason, own_text, text_tokens
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer


@cache
def hooked(family: str) -> HookedModel:
    return HookedModel.wrap(build(family), tiny_tokenizer(), family)


@pytest.mark.parametrize(
    ("family", "longest", "n_vectors"),
    [("gpt2", 128, 128), ("opt", 128, 128), ("llama", None, None), ("bloom", None, None)],
)
def test_vectors_end_and_rotation_does_not(family, longest, n_vectors):
    found = limits_of(hooked(family))
    assert (found.longest, found.n_vectors) == (longest, n_vectors)
    assert (found.why_not_scalable is None) == (family == "llama")


def test_special_tokens_stand_apart_from_the_text(hooked_with_start):
    model, start = hooked_with_start
    found = text_tokens(model, "w20 w21")
    assert found.before == (start,)
    assert (*found.before, *found.own) == tuple(model.encode("w20 w21"))
    assert text_tokens(hooked("llama"), "w20 w21").before == ()


@pytest.fixture
def hooked_with_start():
    """A model whose tokenizer puts a token before every text."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = tiny_tokenizer()
    start = tokenizer.convert_tokens_to_ids("w5")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="w5 $A", special_tokens=[("w5", start)]
    )
    return HookedModel.wrap(build("llama"), tokenizer, "llama"), start


def test_losses_under_a_change_are_those_of_the_changed_run():
    model, text = hooked("llama"), tuple(tiny_prompt(20))
    changed = losses_or_reason(model, text, None, (AblateMLP(1),))
    logits = torch.tensor(model.logits(model.trace(text, [AblateMLP(1)])))[:-1]
    expected = torch.nn.functional.cross_entropy(
        logits, torch.tensor(text[1:]), reduction="none"
    ).numpy()
    np.testing.assert_allclose(changed, expected, atol=1e-4)
    assert np.abs(changed - losses_or_reason(model, text)).max() > 1e-3


def test_a_text_that_cannot_be_read_gets_one_sentence():
    said = losses_or_reason(hooked("gpt2"), tuple(tiny_prompt(100)) * 2)
    assert "failed to run 200 tokens" in said


def test_the_model_goes_on_from_half_of_what_it_sees():
    model, prompt = hooked("llama"), tuple(tiny_prompt(6))
    text = own_text(model, prompt, 40, 16)
    assert len(text) == 40
    assert text[:6] == prompt
    # The first stretch goes on from the prompt, the second from the last 8 of the 16 tokens.
    first, second = (
        [step.token_id for step in model.generate(list(start), Decoding("sample", seed=seed), n)]
        for start, seed, n in ((prompt, 1, 10), (text[8:16], 2, 8))
    )
    assert (text[6:16], text[16:24]) == (tuple(first), tuple(second))


def test_a_prompt_longer_than_asked_for_is_cut():
    assert own_text(hooked("llama"), tuple(tiny_prompt(6)), 4, 16) == tuple(tiny_prompt(6))[:4]

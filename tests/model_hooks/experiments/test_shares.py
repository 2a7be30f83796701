"""A share of a change leads from one model to the other; distances are those of the book."""

import numpy as np
import pytest
import torch

from model_hooks import HookedModel, NotSiblingsError, PromptError
from model_hooks.experiments.shares import (
    SCALES,
    changes_between,
    is_fine_tuned,
    shares_of_change,
)
from model_hooks.read.between import Other
from tests.conftest import tiny_gpt2, tiny_llama, with_random_weights

TEXT = "the cat sat on the mat"


@pytest.fixture(scope="module")
def base(tokenizer):
    return HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, "base")


@pytest.fixture(scope="module")
def tuned(tokenizer):
    model = with_random_weights(tiny_llama)
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight.mul_(3)
    return HookedModel.wrap(model, tokenizer, "tuned")


def chances(model, text=TEXT):
    logits = model.logits(model.trace(text)).astype(np.float64)
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


@pytest.fixture(scope="module")
def found(base, tuned):
    other = Other(tuned, tuned.trace(TEXT))
    return shares_of_change(base, base.trace("the dog"), other, 3, 7)


@pytest.mark.parametrize(("scale", "which"), [(0.0, "base"), (1.0, "tuned")])
def test_the_ends_are_the_models_themselves(request, found, scale, which):
    expected = chances(request.getfixturevalue(which))[3]
    at = found.probabilities[SCALES.index(scale)]
    np.testing.assert_allclose(at, expected[list(found.token_ids)], rtol=1e-12)


def test_distances_are_kullback_and_leiblers(base, tuned, found):
    p, q = chances(tuned), chances(base)
    expected = (p * np.log2(p / q)).sum(-1)
    np.testing.assert_allclose(found.kl_base[SCALES.index(1.0)], expected, atol=1e-9)
    assert not found.kl_base[0].any()


def test_tokens_are_those_that_any_share_expects_most(found):
    largest = found.probabilities.max(0)
    assert (np.diff(largest) <= 0).all()
    assert len(set(found.token_ids)) == len(found.token_ids) == 7


def test_only_two_models_can_be_a_pair(base, tuned, tokenizer):
    gpt2 = HookedModel.wrap(with_random_weights(tiny_gpt2), tokenizer, "gpt2")
    trace = base.trace(TEXT)
    assert is_fine_tuned(base, Other(tuned, trace))
    assert not is_fine_tuned(base, Other(base, trace))
    assert not is_fine_tuned(base, Other(gpt2, trace))
    assert {one.relative for one in changes_between(base, Other(base, trace))} == {0.0}
    with pytest.raises(NotSiblingsError):
        shares_of_change(base, trace, Other(gpt2, gpt2.trace(TEXT)))


def test_what_is_not_there_is_refused(base, tuned):
    trace = base.trace(TEXT)
    with pytest.raises(PromptError, match="no position 9"):
        shares_of_change(base, trace, Other(tuned, tuned.trace(TEXT)), 9)
    with pytest.raises(PromptError, match="n_tokens"):
        shares_of_change(base, trace, Other(tuned, tuned.trace(TEXT)), 0, 0)

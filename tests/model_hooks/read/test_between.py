"""How far apart two runs are: torch's numbers, nothing against oneself, and signs that flip."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from model_hooks import AblateHead, ComparisonError, HookedModel
from model_hooks.arrays import log_softmax
from model_hooks.read.between import (
    Other,
    apart,
    heads_apart,
    kl_bits,
    lens_apart,
    total_variation,
    vocabulary_of,
)
from tests.conftest import tiny_llama, with_random_weights
from tests.tiny_models import build, tiny_tokenizer

PROMPT, OTHER = "the cat sat on the mat", "the dog sat on the mat"
logits = some.lists(some.floats(-30, 30), min_size=4, max_size=4)


@pytest.fixture(scope="module")
def hooked(tokenizer) -> HookedModel:
    """One family is enough here."""
    return HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, "tiny")


def torchs_kl_bits(log_p, log_q):
    p, q = torch.tensor(log_p), torch.tensor(log_q)
    terms = torch.nn.functional.kl_div(q, p, reduction="none", log_target=True)
    return (terms.sum(-1) / np.log(2)).numpy()


def pairs_of(n):
    return tuple((i, i) for i in range(n))


def output(hooked, run):
    return log_softmax(hooked.logits(run).astype(np.float64))


@given(logits, logits)
def test_the_divergence_is_torchs(one, other):
    p, q = log_softmax(np.array([one])), log_softmax(np.array([other]))
    assert kl_bits(p, q) == pytest.approx(torchs_kl_bits(p, q), abs=1e-9)


def test_hand_typed_distributions():
    p, q = np.array([[0.5, 0.5, 0.0]]), np.array([[0.25, 0.25, 0.5]])
    with np.errstate(divide="ignore"):
        assert kl_bits(np.log(p), np.log(q)) == pytest.approx([1.0])
        assert kl_bits(np.log(q), np.log(p))[0] == np.inf
    assert total_variation(p, q) == pytest.approx([0.5])


def test_two_texts_are_as_far_apart_as_the_plain_models_outputs(hooked):
    a, b = hooked.trace(PROMPT), hooked.trace(OTHER)
    found = apart(hooked, a, Other(hooked, b), pairs_of(len(a)))
    p, q = output(hooked, a), output(hooked, b)
    assert found.kl_ab == pytest.approx(torchs_kl_bits(p, q), abs=1e-5)
    assert found.kl_ab[0] == 0
    assert found.kl_ab[1] > 1e-4
    assert found.total_variation == pytest.approx(
        np.abs(np.exp(p) - np.exp(q)).sum(-1) / 2, abs=1e-5
    )
    assert (found.best_a == p.argmax(-1)).all()
    assert (found.best_b == q.argmax(-1)).all()
    for whose, run in enumerate((a, b)):
        assert np.isnan(found.surprise[whose, :, -1]).all()
        for to, log_probs in enumerate((p, q)):
            expected = -log_probs[np.arange(len(run) - 1), run.token_ids[1:]] / np.log(2)
            assert found.surprise[whose, to, :-1] == pytest.approx(expected, abs=1e-4)


def test_a_run_against_itself_and_a_model_loaded_twice_are_exactly_nothing_apart(tokenizer):
    one, two = (HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, name) for name in "ab")
    assert vocabulary_of(one) == vocabulary_of(two)
    trace = one.trace(PROMPT)
    pairs = pairs_of(len(trace))
    for other in (Other(one, trace), Other(two, two.trace(PROMPT))):
        found, lens = apart(one, trace, other, pairs), lens_apart(one, trace, other, pairs, True)
        for numbers in (
            found.kl_ab,
            found.kl_ba,
            found.total_variation,
            lens.kl_ab,
            lens.difference,
        ):
            assert not numbers.any()
        assert lens.part_at == (None,) * len(trace)
        assert not heads_apart(trace, other, pairs).distance.any()


def test_to_swap_the_runs_flips_the_signs(hooked):
    a, b = hooked.trace(PROMPT), hooked.trace(PROMPT, [AblateHead(0, 1)])
    pairs = pairs_of(len(a))
    there, back = (
        apart(hooked, a, Other(hooked, b), pairs),
        apart(hooked, b, Other(hooked, a), pairs),
    )
    assert (there.kl_ab == back.kl_ba).all()
    assert (there.best_a == back.best_b).all()
    lens = lens_apart(hooked, a, Other(hooked, b), pairs)
    swapped = lens_apart(hooked, b, Other(hooked, a), pairs)
    same_end = there.best_a == there.best_b
    assert (lens.difference[:, same_end] == -swapped.difference[:, same_end]).all()
    assert lens.part_at == swapped.part_at
    assert lens.difference.any()


def test_positions_count_from_the_end_too(hooked):
    a, b = hooked.trace(PROMPT), hooked.trace(OTHER)
    last = ((len(a) - 1, len(b) - 1),)
    for question in (apart, lens_apart):
        counted = question(hooked, a, Other(hooked, b), last)
        from_the_end = question(hooked, a, Other(hooked, b), ((-1, -1),))
        np.testing.assert_array_equal(from_the_end.kl_ab, counted.kl_ab)


def test_the_lens_ends_where_the_outputs_do(hooked):
    a, b = hooked.trace(PROMPT), hooked.trace(OTHER)
    pairs = pairs_of(len(a))
    lens = lens_apart(hooked, a, Other(hooked, b), pairs)
    found = apart(hooked, a, Other(hooked, b), pairs)
    assert lens.kl_ab[-1] == pytest.approx(found.kl_ab, abs=1e-6)
    ends_alike = found.best_a == found.best_b
    assert [at is None for at in lens.part_at] == ends_alike.tolist()


def test_the_head_that_is_off_reads_as_before_and_the_next_layer_may_not(hooked):
    a, b = hooked.trace(PROMPT), hooked.trace(OTHER)
    found = heads_apart(a, Other(hooked, b), pairs_of(len(a)))
    expected = [
        [np.abs(a.attention(i, h) - b.attention(i, h)).sum(-1).mean() / 2 for h in range(a.n_heads)]
        for i in a.attention_layers
    ]
    assert found.distance == pytest.approx(np.array(expected), abs=1e-6)


def test_weight_on_what_the_other_text_lacks_lies_elsewhere(hooked):
    a, b = hooked.trace("the cat"), hooked.trace("cat")
    found = heads_apart(a, Other(hooked, b), ((1, 0),))
    expected = [[a.attention(i, h)[1, 0] for h in range(a.n_heads)] for i in a.attention_layers]
    assert found.distance == pytest.approx(np.array(expected), abs=1e-6)


def test_what_cannot_be_subtracted_says_why(hooked):
    a = hooked.trace(PROMPT)
    stranger = HookedModel.wrap(build("gpt2", n_head=1, n_layer=1), tiny_tokenizer(), "gpt2")
    other = Other(stranger, stranger.trace([1, 2, 3]))
    for question in (apart, lens_apart):
        with pytest.raises(ComparisonError, match="vocabularies"):
            question(hooked, a, other, ((0, 0),))
    with pytest.raises(ComparisonError, match="heads"):
        heads_apart(a, other, ((0, 0),))

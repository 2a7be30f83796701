"""One choice taken apart: each number equals what the plain model and plain formulas give."""

import math

import numpy as np
import pytest
import torch

from model_hooks import Decoding, HookedModel, PromptError
from model_hooks.read.choice import draw_counts, entropy_curve, surprisals, token_score
from tests import tiny_models

PROMPT = "the cat sat on the mat"


@pytest.mark.parametrize("pos", [0, 3, -1])
def test_score_is_the_dot_product_of_norm_output_and_row(hooked, trace, pos):
    score = token_score(hooked, trace, 4, pos)
    resid = torch.tensor(trace.layer_output(-1)[pos])
    with torch.inference_mode():
        vector = hooked.anatomy.final_norm(resid[None])[0]
        expected = float(hooked.model.get_output_embeddings().weight[4] @ vector)
    assert score.product == pytest.approx(expected, abs=1e-4)
    assert score.logit == pytest.approx(float(hooked.logits(trace)[pos, 4]), abs=1e-5)
    assert score.is_exact
    assert score.difference < 1e-4


@pytest.mark.parametrize("family", ["gemma2", "cohere", "granite", "phi", "gptj"])
def test_scale_softcap_and_bias_of_a_family_are_part_of_the_score(family):
    model = tiny_models.build(family)
    hooked = HookedModel.wrap(model, tiny_models.tiny_tokenizer(), family)
    trace = hooked.trace(list(range(10, 20)))
    score = token_score(hooked, trace, 17)
    assert score.is_exact
    assert score.score == pytest.approx(float(trace.last_logits[17]), abs=1e-3)
    if family == "gemma2":
        assert score.softcap == model.config.final_logit_softcapping
    if family == "cohere":
        assert score.scale == pytest.approx(model.config.logit_scale, rel=1e-3)
    if family == "granite":
        assert score.scale == pytest.approx(1 / model.config.logits_scaling, rel=1e-3)


def test_token_that_the_model_lacks_is_refused(hooked, trace):
    with pytest.raises(PromptError, match="out of range"):
        token_score(hooked, trace, 7)


def test_surprisals_are_the_cross_entropy_of_the_plain_model(hooked, trace):
    found = surprisals(hooked, trace)
    ids = torch.tensor([hooked.encode(PROMPT)])
    with torch.inference_mode():
        logits = hooked.model(ids).logits[0]
    losses = torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:], reduction="none")
    np.testing.assert_allclose(found.bits[1:], losses.numpy() / math.log(2), atol=1e-5)
    assert np.isnan(found.bits[0])
    expected = logits[:-1].argmax(-1)
    np.testing.assert_array_equal(found.top_ids[1:], expected.numpy())
    is_top = expected == ids[0, 1:]
    np.testing.assert_array_equal(found.ranks[1:] == 1, is_top.numpy())


def test_one_token_has_no_surprisal(hooked):
    found = surprisals(hooked, hooked.trace("cat"))
    assert np.isnan(found.bits).all()
    assert len(found.bits) == 1


def test_entropy_of_three_tokens_equals_the_sum_worked_out_by_hand():
    logits = np.log(np.array([0.5, 0.25, 0.25], np.float32))
    free, filtered = entropy_curve(Decoding("sample", top_k=1), logits, [0], [1.0, 0.5])
    assert free[0] == pytest.approx(0.5 * 1 + 0.25 * 2 + 0.25 * 2)
    # At temperature 1/2 the probabilities are squared and shared out anew: 4/6, 1/6, 1/6.
    assert free[1] == pytest.approx(4 / 6 * math.log2(6 / 4) + 2 / 6 * math.log2(6))
    np.testing.assert_allclose(filtered, 0)


def test_draws_repeat_with_their_seed_and_follow_the_probabilities():
    logits = np.log(np.array([0.7, 0.2, 0.1, 1e-30], np.float32))
    stage = Decoding("sample", top_k=3).stages(logits, [0])[-1]
    counts = draw_counts(stage, 10_000, seed=1)
    np.testing.assert_array_equal(counts, draw_counts(stage, 10_000, seed=1))
    assert counts.sum() == 10_000
    assert counts[3] == 0
    assert (counts != draw_counts(stage, 10_000, seed=2)).any()
    deviation = np.sqrt(10_000 * np.array([0.7 * 0.3, 0.2 * 0.8, 0.1 * 0.9]))
    assert (np.abs(counts[:3] - [7000, 2000, 1000]) < 4 * deviation).all()

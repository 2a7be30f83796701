"""One choice taken apart: each number equals what the plain model and plain formulas give."""

import math
import pickle

import numpy as np
import pytest
import torch

from model_hooks import AblateMLP, Decoding, HookedModel, PromptError
from model_hooks.errors import RunError
from model_hooks.read.choice import (
    draw_counts,
    draws_after,
    entropies_after,
    entropy_curve,
    stages_after,
    surprisals,
    token_score,
)
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
    assert score.n_tokens == hooked.info.vocab_size
    head = hooked.model.get_submodule(score.path)
    np.testing.assert_allclose(score.row, head.weight[4].detach().numpy(), atol=1e-6)


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


def test_surprisals_are_the_same_in_small_pieces(hooked, trace, monkeypatch):
    whole = surprisals(hooked, trace)
    monkeypatch.setattr("model_hooks.read.tail.MAX_ROWS", 2)
    for found, expected in zip(surprisals(hooked, trace), whole, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


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


@pytest.mark.parametrize("pos", [0, 3, -1])
def test_the_stages_after_a_position_are_those_of_the_text_up_to_there(hooked, trace, pos):
    decoding = Decoding("sample", temperature=0.7, top_k=4, repetition_penalty=1.5)
    prefix = trace.token_ids[: pos + 1 or None]
    expected = decoding.stages(hooked.trace(prefix).last_logits, prefix)
    for stage, other in zip(stages_after(hooked, trace, decoding, pos), expected, strict=True):
        assert stage.name == other.name
        np.testing.assert_allclose(stage.scores, other.scores, atol=1e-5)
    counts = draws_after(hooked, trace, decoding, 500, 3, pos)
    assert (counts[expected[-1].removed] == 0).all()
    assert counts.sum() == 500
    entropies = entropies_after(hooked, trace, decoding, (0.7, 2.0), pos)
    assert entropies[1, 0] == pytest.approx(expected[-1].entropy_bits, abs=1e-4)
    assert (entropies[:, 0] < entropies[:, 1]).all()


def test_the_stages_are_those_of_the_run_and_not_of_the_whole_model(hooked):
    ablated = hooked.trace(PROMPT, [AblateMLP(1)])
    stages = stages_after(hooked, ablated, Decoding(), 2)
    logits = hooked.trace(ablated.token_ids[:3], [AblateMLP(1)]).last_logits
    np.testing.assert_allclose(stages[0].scores, logits, atol=1e-5)


def test_damaged_weights_leave_nothing_to_pick_from():
    model = tiny_models.build("gpt2")
    hooked = HookedModel.wrap(model, tiny_models.tiny_tokenizer(), "gpt2")
    whole = hooked.trace([10, 11, 12])
    with torch.no_grad():
        model.transformer.ln_f.weight[0] = math.nan
    with pytest.raises(RunError, match="float32"):
        stages_after(hooked, whole, Decoding(), 1)
    assert stages_after(hooked, whole, Decoding())  # recorded before


def test_answers_survive_pickling(hooked, trace):
    for answer in (token_score(hooked, trace, 4), surprisals(hooked, trace)):
        again = pickle.loads(pickle.dumps(answer))
        assert type(again) is type(answer)
        np.testing.assert_equal(_values(again), _values(answer))


def _values(answer):
    return answer._asdict() if hasattr(answer, "_asdict") else vars(answer)

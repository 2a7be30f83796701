"""The logit lens against the LM head applied by hand, and ranks against argsort."""

import numpy as np
import pytest
import torch

from model_hooks import AblateHead, PromptError
from model_hooks.read.lens import (
    checked_output,
    lens_at,
    output_log_probs,
    ranks_of,
    read_lens,
    read_tokens,
    stream_at,
    stream_points,
    word_token_ids,
)


@torch.inference_mode()
def by_hand(hooked, resid):
    """Probabilities after the final norm and the LM head, each called alone."""
    model = hooked.model
    norm = model.transformer.ln_f if hasattr(model, "transformer") else model.model.norm
    return torch.softmax(model.lm_head(norm(torch.tensor(resid))), -1).numpy()


def test_each_row_is_the_lm_head_after_the_final_norm(hooked, trace):
    log_probs = lens_at(hooked, trace, pos=2)
    states = [trace.embedding[2]]
    for layer in trace.layers:
        states += [layer.resid_mid[2], layer.resid_post[2]]
    np.testing.assert_allclose(np.exp(log_probs), by_hand(hooked, np.stack(states)), atol=1e-5)


@pytest.mark.parametrize("halves", [False, True])
def test_grid_keeps_what_the_full_probabilities_say(hooked, trace, halves):
    lens = read_lens(hooked, trace, 1, 5, halves=halves)
    points = stream_points(hooked, halves)
    assert lens.points == points
    assert len(points) == 1 + trace.n_layers * (2 if halves else 1)
    probabilities = by_hand(hooked, stream_at(trace, points, slice(1, 5)))
    order = np.argsort(-probabilities, axis=-1, kind="stable")
    np.testing.assert_array_equal(lens.top_ids, order[..., :3])
    final = order[-1, :, 0]
    np.testing.assert_array_equal(lens.final_ids, final)
    ranks = np.argsort(order, axis=-1, kind="stable") + 1
    columns = np.arange(4)
    np.testing.assert_array_equal(lens.final_ranks, ranks[:, columns, final])
    np.testing.assert_allclose(
        lens.final_probabilities, probabilities[:, columns, final], atol=1e-5
    )
    np.testing.assert_allclose(
        lens.top_probabilities, np.take_along_axis(probabilities, lens.top_ids, -1), atol=1e-5
    )


def test_grid_is_the_same_in_small_pieces(hooked, trace, monkeypatch):
    whole = read_lens(hooked, trace, halves=True)
    monkeypatch.setattr("model_hooks.read.tail.MAX_ROWS", 4)
    pieces = read_lens(hooked, trace, halves=True)
    np.testing.assert_array_equal(whole.top_ids, pieces.top_ids)
    np.testing.assert_array_equal(whole.final_ranks, pieces.final_ranks)
    np.testing.assert_allclose(whole.top_probabilities, pieces.top_probabilities, atol=1e-6)


def test_prompt_that_fills_the_context_can_be_read(hooked):
    full = hooked.trace([1, 2, 3, 4] * (hooked.info.context_size // 4))
    assert read_lens(hooked, full).final_ids.shape == (hooked.info.context_size,)


@pytest.mark.parametrize("pos", [0, 3, -1])
def test_last_row_equals_a_plain_run(hooked, trace, pos):
    end = len(trace) if pos == -1 else pos + 1
    with torch.inference_mode():
        logits = hooked.model(torch.tensor(trace.token_ids[None, :end])).logits[0, -1]
    expected = torch.log_softmax(logits, -1).numpy()
    np.testing.assert_allclose(lens_at(hooked, trace, pos)[-1], expected, atol=1e-5)
    np.testing.assert_allclose(output_log_probs(hooked, trace, pos), expected, atol=1e-5)


def test_equal_scores_rank_by_token_id():
    scores = np.array([[0.5, 2.0, 0.5, 0.5]], dtype=np.float32)
    assert ranks_of(scores, [0, 1, 2, 3]).tolist() == [[2, 1, 3, 4]]
    assert ranks_of(scores, []).shape == (1, 0)


def test_positions_outside_the_text_are_refused(hooked, trace):
    with pytest.raises(PromptError):
        read_lens(hooked, trace, 3, 3)
    with pytest.raises(PromptError):
        lens_at(hooked, trace, 99)


def test_word_gets_no_special_tokens(hooked):
    assert word_token_ids(hooked, "cat dog") == (2, 6)
    assert word_token_ids(hooked, "") == ()


def test_a_run_with_interventions_is_checked_by_one_with_the_same(hooked):
    ablated = hooked.trace("the cat sat on the mat", [AblateHead(0, 1)])
    for pos in (2, -1):
        output = output_log_probs(hooked, ablated, pos)
        np.testing.assert_allclose(lens_at(hooked, ablated, pos)[-1], output, atol=1e-5)
    whole = output_log_probs(hooked, hooked.trace("the cat sat on the mat"), 2)
    assert np.abs(whole - output_log_probs(hooked, ablated, 2)).max() > 1e-3


def test_what_is_handed_out_cannot_be_written_to(hooked, trace):
    lens = read_lens(hooked, trace)
    arrays = [lens.top_ids, lens.top_probabilities, lens.final_ids, lens.final_ranks]
    for array in (*arrays, lens.final_probabilities, lens_at(hooked, trace)):
        assert not array.flags.writeable


@pytest.mark.parametrize("pos", [0, 3, -1])
@pytest.mark.parametrize("halves", [True, False])
def test_some_tokens_are_read_as_among_all(hooked, trace, pos, halves):
    whole = lens_at(hooked, trace, pos, halves)
    order = np.argsort(-whole, axis=-1, kind="stable")
    some = read_tokens(hooked, trace, pos, (5, 1), n_leading=2, halves=halves)
    assert some.pos == (len(trace) - 1 if pos == -1 else pos)
    assert some.points == stream_points(hooked, halves)
    np.testing.assert_array_equal(some.leading, order[:, :2])
    assert some.token_ids == tuple(sorted({1, 5, *order[:, :2].ravel().tolist()}))
    np.testing.assert_array_equal(some.log_probs, whole[:, some.token_ids])
    ranks = np.argsort(order, axis=-1, kind="stable") + 1
    np.testing.assert_array_equal(some.ranks, ranks[:, some.token_ids])


def test_tokens_and_positions_that_are_not_there_are_refused(hooked, trace):
    for given in ((99,), (0, (10**6,)), (0, (), 0)):
        with pytest.raises(PromptError):
            read_tokens(hooked, trace, *given)


def test_the_output_comes_with_how_far_the_lens_is_from_it(hooked, trace, monkeypatch):
    output, difference = checked_output(hooked, trace, 2)
    np.testing.assert_array_equal(output, output_log_probs(hooked, trace, 2))
    assert 0 <= difference < 1e-5
    other = output_log_probs(hooked, trace, 1)
    monkeypatch.setattr("model_hooks.read.lens.output_log_probs", lambda *given: other)
    apart = np.abs(np.exp(output) - np.exp(other)).max()
    assert checked_output(hooked, trace, 2).difference == pytest.approx(apart, abs=1e-5)

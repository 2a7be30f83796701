"""What heads do, on patterns small enough to work out by hand."""

import numpy as np
import pytest

from model_hooks.read import patterns

# Three heads over "a b a b": one reads the previous token, one the first, one itself.
PREVIOUS = [[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
FIRST = [[1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
ITSELF = np.eye(4)
EVEN = [[1, 0, 0, 0], [1 / 2, 1 / 2, 0, 0], [1 / 3, 1 / 3, 1 / 3, 0], [1 / 4] * 4]
HEADS = np.array([PREVIOUS, FIRST, ITSELF, EVEN], np.float32)
IDS = np.array([5, 6, 5, 6])


def equal(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_previous_token_score_is_the_mean_just_below_the_diagonal():
    equal(patterns.previous_token_score(HEADS), [1, 1 / 3, 0, (1 / 2 + 1 / 3 + 1 / 4) / 3])


def test_first_token_score_is_the_mean_of_the_first_column():
    equal(patterns.first_token_score(HEADS), [1 / 3, 1, 0, (1 / 2 + 1 / 3 + 1 / 4) / 3])


def test_same_token_score_counts_earlier_copies_only():
    # Queries 2 and 3 have a copy, at 0 and 1.
    equal(patterns.same_token_score(HEADS, IDS), [0, 0.5, 0, (1 / 3 + 1 / 4) / 2])


def test_induction_score_counts_what_followed_an_earlier_copy():
    # Query 2 ("a") looks for what followed the first "a": position 1; query 3 for position 2.
    equal(patterns.induction_score(HEADS, IDS), [1, 0, 0, (1 / 3 + 1 / 4) / 2])


def test_scores_of_repetition_are_undefined_without_one():
    ids = np.arange(4)
    assert np.isnan(patterns.same_token_score(HEADS, ids)).all()
    assert np.isnan(patterns.induction_score(HEADS, ids)).all()


def test_entropy_is_zero_for_one_key_and_log2_n_for_n_equal_ones():
    equal(patterns.entropy_bits(HEADS), [0, 0, 0, (1 + np.log2(3) + 2) / 3])


def test_distance_is_one_for_the_previous_token_and_zero_for_itself():
    equal(patterns.mean_distance(HEADS), [1, 2, 0, (0.5 + 1 + 1.5) / 3])


@pytest.mark.parametrize(
    "score",
    [
        patterns.previous_token_score,
        patterns.first_token_score,
        patterns.entropy_bits,
        patterns.mean_distance,
    ],
)
def test_one_token_has_no_score(score):
    assert np.isnan(score(np.ones((2, 1, 1), np.float32))).all()


def test_hiding_the_first_token_leaves_the_other_weights_alone():
    kept = patterns.without_first_token(HEADS[3], rescale=False)
    equal(kept[3], [0, 1 / 4, 1 / 4, 1 / 4])
    assert HEADS[3, 3, 0] == 0.25


def test_rescaled_rows_sum_to_one_unless_only_the_first_token_was_read():
    kept = patterns.without_first_token(HEADS[3], rescale=True)
    equal(kept.sum(-1), [0, 1, 1, 1])
    equal(kept[3], [0, 1 / 3, 1 / 3, 1 / 3])


def test_keys_that_no_head_reads_are_masked_but_a_zero_of_one_head_is_not():
    window = np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5]])
    other = np.array([[1, 0, 0], [0, 1, 0], [0, 0.1, 0.9]])
    readable = patterns.readable_keys(np.stack([window, other]))
    assert readable.tolist() == [[True, False, False], [True, True, False], [False, True, True]]


def test_the_mask_found_is_the_window_of_a_real_model(tokenizer):
    from transformers import MistralConfig, MistralForCausalLM

    from model_hooks import HookedModel

    config = MistralConfig(
        vocab_size=7,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        sliding_window=3,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = HookedModel.wrap(MistralForCausalLM(config), tokenizer, "tiny")
    readable = patterns.readable_keys(model.trace([1, 2, 3, 4, 5, 6]).attention(0))
    back = np.arange(6)[:, None] - np.arange(6)
    assert (readable == ((back >= 0) & (back < 3))).all()


def test_rollout_of_two_layers_matches_the_paper_by_hand():
    first = np.array([[[1, 0], [0.5, 0.5]]])
    second = np.array([[[1, 0], [1, 0]], [[1, 0], [0, 1.0]]])
    # 0.5 A + 0.5 I: [[1, 0], [.25, .75]], then the mean of the heads: [[1, 0], [.25, .75]].
    after_first = patterns.rollout_step(None, first)
    equal(after_first, [[1, 0], [0.25, 0.75]])
    equal(patterns.rollout_step(after_first, second), [[1, 0], [0.4375, 0.5625]])


@pytest.mark.parametrize("n_tokens", [1, 5, 48, 103])
def test_a_small_picture_keeps_the_largest_weight_of_each_block(n_tokens):
    pattern = np.tril(np.random.default_rng(0).random((n_tokens, n_tokens))).astype(np.float32)
    size = min(n_tokens, 10)
    expected = np.full((size, size), np.nan)
    for query, key in zip(*np.tril_indices(n_tokens), strict=True):
        cell = tuple(
            sum(i * n_tokens // size <= pos for i in range(1, size)) for pos in (query, key)
        )
        expected[cell] = np.fmax(expected[cell], pattern[query, key])
    np.testing.assert_array_equal(patterns.largest_of_blocks(pattern, 10), expected)

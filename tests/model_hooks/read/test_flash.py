"""The tile-by-tile walk ends where ordinary attention ends, and its memory traffic adds up."""

import numpy as np
import pytest

from model_hooks import AttentionPattern, HookedModel
from model_hooks.read.flash import (
    flash_walk,
    standard_accesses,
    tile_sizes,
    tiled_accesses,
    walk_tiles,
)
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

PROMPT = tiny_prompt(24)
SHAPE = 13, 5  # positions and width, so that no tile size divides the text

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals


@pytest.fixture(scope="module")
def head():
    """A query, key and value whose scores are large, in float64."""
    return 3 * np.random.default_rng(0).standard_normal((3, *SHAPE))


def ordinary(query, key, value, readable, scale):
    scores = np.where(readable, query @ key.T * scale, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ value


MASKS = {
    "causal": np.tri(13, dtype=bool),
    "window": np.tri(13, dtype=bool) & ~np.tri(13, k=-3, dtype=bool),
    "everything": np.ones((13, 13), dtype=bool),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("tile", [(1, 1), (2, 5), (5, 2), (4, 4), (13, 13), (50, 50)])
def test_every_tile_size_ends_in_the_ordinary_output(head, mask, tile):
    readable = MASKS[mask]
    _, output, _ = walk_tiles(*head, readable, *tile, scale=0.4)
    np.testing.assert_allclose(output, ordinary(*head, readable, 0.4), rtol=1e-12)


@pytest.mark.parametrize("mask", MASKS)
def test_after_each_tile_a_row_is_exact_attention_over_the_keys_seen_so_far(head, mask):
    readable = MASKS[mask]
    steps, _, _ = walk_tiles(*head, readable, 3, 4, scale=0.4)
    for step in steps:
        seen = readable[step.queries, : step.keys.stop]
        rows = seen.any(-1)
        scores = np.where(seen, head[0][step.queries] @ head[1][: step.keys.stop].T * 0.4, -np.inf)
        truth = ordinary(
            head[0], head[1], head[2], readable & (np.arange(13) < step.keys.stop), 0.4
        )
        np.testing.assert_allclose(step.output_after[rows], truth[step.queries][rows], rtol=1e-12)
        np.testing.assert_allclose(step.max_after, scores.max(-1))
        np.testing.assert_allclose(
            step.sum_after[rows], np.exp(scores - scores.max(-1, keepdims=True)).sum(-1)[rows]
        )
        assert (step.output_after[~rows] == 0).all()


def test_tiles_above_the_diagonal_are_left_out(head):
    steps, _, n_skipped = walk_tiles(*head, MASKS["causal"], 4, 4, scale=1.0)
    assert n_skipped == 6  # of 4 x 4 tiles, those above the diagonal
    assert len(steps) == 10


def test_a_kept_maximum_keeps_the_old_sum_and_a_larger_one_shrinks_it():
    query, key = np.array([[0.0], [1.0]]), np.array([[1.0], [3.0]])
    steps, _, _ = walk_tiles(query, key, key, np.tri(2, dtype=bool), 2, 1, scale=1.0)
    np.testing.assert_allclose(steps[1].kept, [1, np.exp(1 - 3)])
    assert steps[0].kept.tolist() == [0, 0]  # nothing was read before the first tile


@pytest.mark.parametrize("columns", [1, 2, 5, 13, 50])
@pytest.mark.parametrize("rows", [1, 4, 50])
def test_the_walk_moves_as_many_numbers_as_the_formula_counts(head, rows, columns):
    steps, output, _ = walk_tiles(*head, MASKS["everything"], rows, columns, scale=1.0)
    moved = output.size + 2 * len(output) + sum(step.moved for step in steps)
    assert moved == tiled_accesses(*SHAPE, columns)


def test_accesses_are_those_counted_by_hand():
    # n = 4, d = 2, two tiles of two keys. Standard: Q, K (16), S out, S in, P out, P in (64), V in
    # and O out (16). Tiled: O, l, m set (16), K, V (16), twice Q, O, l, m in (24) and O, l, m out
    # (16).
    assert standard_accesses(4, 2) == 16 + 64 + 16
    assert tiled_accesses(4, 2, 2) == 16 + 16 + 2 * (24 + 16)


def test_tiles_fill_fast_memory_as_the_paper_says():
    assert tile_sizes(64, 25_600) == (64, 100)
    assert tile_sizes(64, 1000) == (4, 4)
    with pytest.raises(ValueError, match="holds no tile"):
        tile_sizes(64, 0)


@pytest.mark.parametrize("model_type", ["gpt2", "llama", "mistral", "gemma2", "gemma3_text"])
def test_the_walk_over_a_recorded_head_ends_in_the_models_own_output(model_type):
    model = HookedModel.wrap(build(model_type), tiny_tokenizer())
    trace = model.trace(PROMPT)
    for layer in range(2):
        walk = flash_walk(trace, layer, 3, 5, 4)
        kv_head = 3 * len(trace.layers[layer].value) // 4
        truth = trace.attention(layer, 3) @ trace.layers[layer].value[kv_head]
        np.testing.assert_allclose(walk.output, truth, atol=1e-5 * np.abs(truth).max())
        assert walk.difference == np.abs(walk.output - walk.expected).max()
        distances = walk.distances()
        assert distances[-1] == pytest.approx(walk.difference)
        assert distances[0] > 100 * distances[-1]


def test_what_the_mask_forbids_is_what_gets_no_weight():
    for model_type in ("llama", "mistral", "gemma2", "bloom"):
        model = HookedModel.wrap(build(model_type), tiny_tokenizer())
        trace = model.trace(PROMPT)
        generation = model.start(PROMPT[:14], use_cache=True)
        for token_id in PROMPT[14:]:
            generation = model.step(generation, choose=token_id)
        grown = generation.trace()
        for layer in range(2):
            expected = (trace.attention(layer) > 0).any(0)
            np.testing.assert_array_equal(trace.layers[layer].readable, expected)
            np.testing.assert_array_equal(grown.layers[layer].readable, expected)


def test_a_walk_under_a_pattern_skips_what_the_pattern_takes_away():
    model = HookedModel.wrap(build("llama"), tiny_tokenizer())
    whole = flash_walk(model.trace(PROMPT), 0, 0, 4, 4)
    local = flash_walk(model.trace(PROMPT, [AttentionPattern("block", 4)]), 0, 0, 4, 4)
    assert (len(whole.steps), len(local.steps)) == (21, 6)
    assert local.difference < 1e-5


def test_families_that_keep_queries_to_themselves_have_no_walk():
    model = HookedModel.wrap(build("bloom"), tiny_tokenizer())
    assert flash_walk(model.trace(PROMPT), 0, 0, 4, 4) is None


def test_empty_tiles_are_refused(head):
    with pytest.raises(ValueError, match="are empty"):
        walk_tiles(*head, MASKS["causal"], 0, 4, scale=1.0)

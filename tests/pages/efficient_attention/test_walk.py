"""A walk through tiles is told as it went."""

import numpy as np
import pytest

from model_hooks.read.flash import flash_walk
from pages.efficient_attention.walk import MOST_TILES, in_words, kept_rows, table_of, tile_sizes


@pytest.mark.parametrize("n_tokens", [1, 2, 6, 33, 500, 4096])
def test_tiles_are_few_enough_to_be_told_apart_and_none_is_twice_the_text(n_tokens):
    sizes = tile_sizes(n_tokens)
    assert all(-(-n_tokens // size) <= MOST_TILES or size == 512 for size in sizes)
    assert all(size < 2 * n_tokens for size in sizes)
    assert sizes == sorted(set(sizes))


def test_steps_say_who_meets_whom_and_what_is_scaled_down(trace):
    walk = flash_walk(trace, 0, 0, 2, 2)
    said = [in_words(walk, now) for now in range(len(walk.steps))]
    assert said[0].startswith("**Step 1 of 6.** Queries 0 to 1 meet keys 0 to 1. These queries")
    for step, words in zip(walk.steps, said, strict=True):
        had = np.isfinite(step.max_before)
        grown = int((step.max_after[had] > step.max_before[had]).sum())
        assert (f"{grown} of 2 found a score above" in words) == (grown > 0)
        assert ("None found a new largest score" in words) == (had.all() and not grown)


def test_one_query_and_one_key_are_named_in_the_singular(trace):
    assert "Query 5 meets key 5." in in_words(flash_walk(trace, 0, 0, 1, 1), 20)


def test_the_tables_hold_the_numbers_of_the_walk(trace):
    walk = flash_walk(trace, 0, 0, 2, 2)
    first = kept_rows(walk.steps[0], ["0: the", "1: &lt;b&gt;"])
    assert first["Query"].tolist() == ["0: the", "1: <b>"]
    assert first["Largest score before"].tolist() == ["-∞", "-∞"]
    assert first["Sum after"].tolist() == [f"{n:.4f}" for n in walk.steps[0].sum_after]
    frame = table_of(walk, walk.distances())
    assert frame["numbers_moved"].tolist() == [step.moved for step in walk.steps]
    assert frame["first_key"].tolist() == [step.keys.start for step in walk.steps]

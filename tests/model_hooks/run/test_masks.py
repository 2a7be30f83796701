"""Masks by drawing: x where a query (row) may read a key (column)."""

import numpy as np
import pytest
import torch

from model_hooks.run.masks import NarrowedMask, additive, allowed_by, explicit, rows_of

LOWEST = torch.finfo(torch.float32).min


def drawn(text: str) -> np.ndarray:
    return np.array([[cell == "x" for cell in row] for row in text.split()])


def narrowed(n_query, n_keys, end, mask=None, n_heads=2) -> NarrowedMask:
    query, key = torch.zeros(1, n_heads, n_query, 4), torch.zeros(1, 1, n_keys, 4)
    return NarrowedMask(mask, query, key, end, causal=True)


def shown(mask: NarrowedMask, head=0) -> np.ndarray:
    return allowed_by(mask.tensor)[0, head].numpy()


def test_no_mask_is_causal_or_full():
    cpu = torch.device("cpu")
    np.testing.assert_array_equal(explicit(None, 2, 4, True, cpu)[0, 0], drawn("xxx. xxxx"))
    assert explicit(None, 2, 4, False, cpu).all()
    given = torch.zeros(1, 1, 2, 4)
    assert explicit(given, 2, 4, True, cpu) is given


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("given", ["none", "a row per query", "one row for all"])
def test_some_rows_of_a_mask_are_those_of_the_whole(causal, given):
    cpu, mask = torch.device("cpu"), None
    if given != "none":
        mask = torch.tensor(drawn("x.xxx xx.xx xxx.x"))[None, None]
        mask = mask if given == "a row per query" else mask[:, :, :1]
    whole = explicit(mask, 3, 5, causal, cpu).expand(-1, -1, 3, -1)
    for rows in (range(0, 1), range(1, 3), range(0, 3)):
        some = rows_of(mask, rows, 3, 5, causal, cpu)
        assert torch.equal(some.expand(-1, -1, len(rows), -1), whole[:, :, rows.start : rows.stop])


def test_booleans_and_summands_say_the_same():
    allowed = torch.tensor(drawn("x.. xx. .xx"))[None, None]
    summand = additive(allowed, torch.float32)
    assert set(summand.unique().tolist()) == {LOWEST, 0.0}
    assert torch.equal(allowed_by(summand), allowed)
    assert additive(summand, torch.float32) is summand
    assert allowed_by(allowed) is allowed


def test_an_untouched_mask_stays_as_it_is():
    assert narrowed(3, 3, 3).tensor is None
    mask = narrowed(3, 3, 3)
    mask.forbid(7, 1)  # not in this call
    mask.forbid(2, 1, head=9)
    mask.keep(torch.tensor(drawn("xxx xxx xxx")))
    assert mask.tensor is None


def test_pairs_are_told_by_their_positions():
    """One new query at position 5, and the last three keys of a window."""
    mask = narrowed(1, 3, 6)
    assert mask.queries.tolist() == [[5]]
    assert mask.keys.tolist() == [3, 4, 5]
    mask.forbid(5, 4)
    np.testing.assert_array_equal(shown(mask), drawn("x.x"))
    mask.forbid(5, 2)  # before the window
    np.testing.assert_array_equal(shown(mask), drawn("x.x"))


def test_one_head_leaves_the_others_alone():
    mask = narrowed(3, 3, 3)
    mask.forbid(2, 0, head=1)
    np.testing.assert_array_equal(shown(mask, 0), drawn("x.. xx. xxx"))
    np.testing.assert_array_equal(shown(mask, 1), drawn("x.. xx. .xx"))
    mask.forbid(2, 1)
    np.testing.assert_array_equal(shown(mask, 0), drawn("x.. xx. x.x"))
    np.testing.assert_array_equal(shown(mask, 1), drawn("x.. xx. ..x"))


@pytest.mark.parametrize("kind", ["boolean", "additive", "one row for all"])
def test_the_models_own_mask_is_never_written_to(kind):
    own = torch.ones(1, 1, 3, 3, dtype=torch.bool).tril()
    if kind == "additive":
        own = additive(own, torch.float32)
    if kind == "one row for all":
        own = own[:, :, -1:]
    before = own.clone()
    mask = narrowed(3, 3, 3, own)
    mask.forbid(2, 0)
    mask.keep(torch.tensor(drawn("x.. xx. .xx")))
    assert torch.equal(own, before)
    assert not shown(mask)[2, 0]
    assert shown(mask)[2, 1]


def test_queries_and_keys_that_are_no_positions_are_noticed():
    assert narrowed(3, 3, 3).one_key_each
    assert not narrowed(3, 5, 3).one_key_each

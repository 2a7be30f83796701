"""What is said of a router, on choices written by hand."""

import numpy as np
import pytest

from model_hooks import Routing
from pages.feedforward.experts import (
    MAX_COLUMNS,
    load_sentence,
    no_router_sentence,
    table_of,
    window,
)


@pytest.fixture
def routing():
    """Three tokens; two of four experts run for each."""
    chosen = np.array([[0, 2], [2, 0], [2, 3]])
    weights = np.array([[0.7, 0.3], [0.6, 0.4], [0.9, 0.1]], np.float32)
    return Routing(1, "router", np.arange(12, dtype=np.float32).reshape(3, 4), chosen, weights)


def test_the_busiest_expert_and_the_idle_ones_are_counted(routing):
    assert load_sentence(routing) == (
        "Over all 3 tokens, expert 2 is picked most often (3 times); 1 of 4 never."
    )
    hidden = Routing(1, "router", routing.scores, None, None)
    assert load_sentence(hidden) is None


def test_layers_with_a_router_are_named_instead(routing):
    assert no_router_sentence([None, routing], 0).endswith("Layer with one: 1.")
    assert no_router_sentence([routing, routing, None], 2).endswith("Layers with one: 1, 1.")
    assert no_router_sentence([None], 0).endswith("Layer with one: none.")


def test_the_file_has_weights_only_where_an_expert_ran(routing):
    frame = table_of(routing, ["the", "cat", "sat"])
    assert frame[frame.weight.notna()].groupby("pos").expert.apply(list).tolist() == [
        [0, 2],
        [0, 2],
        [2, 3],
    ]
    assert frame.score.tolist() == list(range(12))
    assert frame.token.tolist() == ["the"] * 4 + ["cat"] * 4 + ["sat"] * 4


@pytest.mark.parametrize(("n_tokens", "pos"), [(1, 0), (48, 20), (200, 0), (200, 99), (200, 199)])
def test_the_picture_holds_the_selected_token(n_tokens, pos):
    span = window(n_tokens, pos)
    assert 0 <= span.start <= pos < span.stop <= n_tokens
    assert span.stop - span.start == min(n_tokens, MAX_COLUMNS)

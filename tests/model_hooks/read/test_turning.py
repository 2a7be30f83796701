"""A query and a key turned back are what the model turned, and a head's pairs are counted so."""

from functools import cache

import numpy as np
import pytest

from model_hooks import AblateMLP, HookedModel, LayerError
from model_hooks.read.positions import positions_of
from model_hooks.read.turning import pair_use, unturned_pair
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

PROMPT_IDS = tiny_prompt(12)


@cache
def hooked(family: str) -> HookedModel:
    return HookedModel.wrap(build(family), tiny_tokenizer(), family)


@pytest.mark.parametrize(("family", "head"), [("llama", 3), ("phi", 1), ("cohere", 0)])
def test_a_turned_pair_meets_the_recorded_score_again(family, head):
    model = hooked(family)
    trace = model.trace(PROMPT_IDS)
    pair, rotation = unturned_pair(model, trace, 1, head, 9, 4), positions_of(model).rotations[1]
    recorded = trace.layers[1]
    key = recorded.key[head * len(recorded.key) // len(recorded.query), 4]
    score = float(recorded.query[head, 9] @ key) * recorded.scale
    assert pair.recorded == pytest.approx(score, abs=1e-5)
    moved = rotation.products_at(pair.query, pair.key, np.array([9, 59]), np.array([4, 54]))
    np.testing.assert_allclose(pair.scale * moved, score, atol=1e-4)
    assert pair.turn_error < 1e-5


def test_a_family_that_hides_its_queries_gives_their_product():
    model = hooked("gptj")
    pair = unturned_pair(model, model.trace(PROMPT_IDS), 0, 1, 5, 2)
    rotation = positions_of(model).rotations[0]
    product = float(rotation.turned(pair.query, 5) @ rotation.turned(pair.key, 2))
    assert pair.scale is None
    assert pair.recorded == pytest.approx(product, rel=1e-4)


def test_a_pair_of_a_changed_run_is_that_of_the_changed_run():
    model = hooked("llama")
    trace = model.trace(PROMPT_IDS, [AblateMLP(0)])
    recorded = trace.layers[1]
    score = float(recorded.query[0, 9] @ recorded.key[0, 4]) * recorded.scale
    assert unturned_pair(model, trace, 1, 0, 9, 4).recorded == pytest.approx(score, abs=1e-5)
    plain = unturned_pair(model, model.trace(PROMPT_IDS), 1, 0, 9, 4).recorded
    assert abs(plain - score) > 1e-4


def test_use_is_the_mean_product_of_lengths():
    model, head = hooked("llama"), 3
    trace = model.trace(PROMPT_IDS)
    rotation, recorded = positions_of(model).rotations[0], trace.layers[0]
    keys = recorded.key[head * len(recorded.key) // len(recorded.query)]
    total = np.zeros(rotation.n_pairs)
    for query in range(len(trace)):
        for key in range(query + 1):
            q, k = recorded.query[head, query], keys[key]
            for pair, (a, b) in enumerate(rotation.pairs):
                total[pair] += np.hypot(q[a], q[b]) * np.hypot(k[a], k[b])
    np.testing.assert_allclose(pair_use(model, trace, 0)[head], total / total.sum(), rtol=1e-5)


def test_dimensions_without_rotation_take_their_share_of_the_whole():
    model = hooked("phi")  # half of each head is turned
    use = pair_use(model, model.trace(PROMPT_IDS), 1)
    assert (use > 0).all()
    assert (use.sum(1) < 0.9).all()


def test_a_layer_that_turns_nothing_has_no_pairs():
    model = hooked("smollm3")
    trace = model.trace(PROMPT_IDS)
    assert unturned_pair(model, trace, 1, 0, 3, 1) is None
    assert pair_use(model, trace, 1) is None
    assert pair_use(model, trace, 0) is not None


def test_a_layer_or_head_that_is_not_there_is_refused():
    model = hooked("llama")
    trace = model.trace(PROMPT_IDS)
    with pytest.raises(LayerError, match="no layer 9"):
        unturned_pair(model, trace, 9, 0, 3, 1)
    with pytest.raises(LayerError, match="no head 9"):
        unturned_pair(model, trace, 0, 9, 3, 1)

"""How far a layer is said to look back, against hand-made rules and the weights of a run."""

import numpy as np
import pytest

from model_hooks import HookedModel
from model_hooks.run.reach import reach_of
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals

N = 30


def causal(text, head, query, key):
    return key <= query


@pytest.mark.parametrize("size", [1, 8, 4096])
def test_a_window_and_a_chunk_reach_as_far_as_their_size(size):
    assert reach_of(lambda t, h, q, k: (k <= q) & (q - k < size)) == size
    assert reach_of(lambda t, h, q, k: (k <= q) & (q // size == k // size)) == size


def test_a_rule_without_an_end_reaches_everything():
    assert reach_of(causal) is None


def test_a_rule_that_knows_its_own_positions_only_leaves_the_hint():
    """As one that lets the parts of an image read each other."""
    model = HookedModel.wrap(build("gemma4_unified"), tiny_tokenizer(), "gemma4_unified")
    assert len(model.info.sliding_window) == model.info.n_layers
    assert model.trace(tiny_prompt(12)).layers


@pytest.mark.parametrize(
    ("model_type", "more"),
    [
        ("exaone4", {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}),
        (
            "llama4_text",
            {"attention_chunk_size": 8, "layer_types": ["chunked_attention", "full_attention"]},
        ),
        ("gemma3_text", {"layer_types": ["sliding_attention", "full_attention"]}),
        ("mistral", {}),
        ("qwen2", {"sliding_window": 8, "use_sliding_window": False}),
    ],
)
def test_a_layer_reaches_what_got_any_weight_in_a_run(model_type, more):
    if "layer_types" in more:
        more = {**more, "num_hidden_layers": 2}
    model = HookedModel.wrap(build(model_type, **more), tiny_tokenizer(), model_type)
    trace = model.trace(tiny_prompt(N))
    for layer in trace.attention_layers:
        weights = trace.attention(layer).max(0)
        reach = max(int(i - np.nonzero(row)[0][0]) + 1 for i, row in enumerate(weights))
        assert model.info.sliding_window[layer] == (None if reach == N else reach)

"""What attention costs is counted from the masks of real runs and the sizes of real caches."""

import pickle

import numpy as np
import pytest

from model_hooks import AttentionPattern, HookedModel
from model_hooks.read.attention_cost import kv_sharing, pattern_costs
from model_hooks.read.cached import cached_bytes
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

PROMPT = tiny_prompt(24)

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals


def hooked_of(model_type):
    return HookedModel.wrap(build(model_type), tiny_tokenizer(), model_type)


@pytest.mark.parametrize("model_type", ["gpt2", "llama", "mistral", "gemma2", "jamba"])
def test_without_a_pattern_the_cache_is_as_large_as_the_models_own(model_type):
    model = hooked_of(model_type)
    trace = model.trace(PROMPT)
    costs = pattern_costs(model, trace, AttentionPattern("full"))
    assert costs.cached_bytes.before == costs.cached_bytes.after
    own = cached_bytes(model, tuple(PROMPT))
    if model_type == "jamba":  # its other layers keep a state of their own
        assert costs.cached_bytes.before < own
    else:
        assert costs.cached_bytes.before == own


@pytest.mark.parametrize("model_type", ["llama", "gpt2"])
def test_a_token_takes_in_the_cache_what_a_longer_text_takes_more(model_type):
    model = hooked_of(model_type)
    more = cached_bytes(model, tuple(PROMPT)) - cached_bytes(model, tuple(PROMPT[:-1]))
    assert kv_sharing(model, model.trace(PROMPT)).bytes_per_token == more


def test_pairs_and_operations_are_those_of_the_masks_that_ran():
    model, pattern = hooked_of("llama"), AttentionPattern("window", 5, layers=(1,))
    before, after = model.trace(PROMPT), model.trace(PROMPT, [pattern])
    costs = pattern_costs(model, before, pattern)
    n_pairs = [
        sum(int((trace.attention(layer, 0) > 0).sum()) for layer in range(trace.n_layers))
        for trace in (before, after)
    ]
    assert [*costs.pairs] == n_pairs
    n_heads, _, d_head = before.layers[0].query.shape
    assert [*costs.flops] == [4 * n * n_heads * d_head for n in n_pairs]
    assert costs.pairs.share == pytest.approx(n_pairs[1] / n_pairs[0])


def test_what_a_later_token_may_read_is_kept():
    model = hooked_of("llama")
    costs = pattern_costs(model, model.trace(PROMPT), AttentionPattern("window_first", 5, 2))
    # Of 24 tokens, the next one reads the last 4 and the first 2.
    assert costs.cached_bytes.after * 24 == costs.cached_bytes.before * 6


def test_a_pattern_is_laid_over_what_the_run_was_under():
    model, window = hooked_of("llama"), AttentionPattern("window", 3)
    costs = pattern_costs(model, model.trace(PROMPT, [window]), AttentionPattern("block", 2))
    both = np.tri(24, dtype=bool) & ~np.tri(24, k=-3, dtype=bool)
    assert costs.pairs.before == both.sum() * model.info.n_layers
    block = np.arange(24) // 2
    assert costs.pairs.after == (both & (block[:, None] == block)).sum() * model.info.n_layers


def test_shared_heads_are_those_that_were_recorded():
    model = hooked_of("llama")
    recorded = model.trace(PROMPT).layers[0]
    found = kv_sharing(model, model.trace(PROMPT))
    assert found.query_shape == recorded.query.shape
    assert found.key_shape == recorded.key.shape
    assert (found.sizes.n_heads, found.sizes.n_kv_heads) == (len(recorded.query), len(recorded.key))
    assert model.model.get_submodule(found.path) is model.anatomy.blocks[0].attention
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_family_with_attention_of_its_own_tells_what_its_config_says():
    model = hooked_of("bloom")
    found = kv_sharing(model, model.trace(PROMPT))
    assert (found.query_shape, found.key_shape) == (None, None)
    assert found.sizes.n_heads == model.info.n_heads
    assert found.bytes_per_token * 24 == cached_bytes(model, tuple(PROMPT))

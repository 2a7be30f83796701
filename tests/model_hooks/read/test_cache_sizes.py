"""Arithmetic on cache sizes, against a paper, transformers' own configs and real tensors."""

import pytest
from transformers import AutoConfig

from model_hooks import HookedModel
from model_hooks.read.cache_sizes import DTYPES, PUBLIC, CacheSizes, LayerSizes, sizes_of
from model_hooks.write.caching import cache_bytes
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

BY_NAME = {sizes.name: sizes for sizes in PUBLIC}


def test_one_position_of_opt_13b_takes_the_800_kb_that_kwon_et_al_quote():
    assert BY_NAME["OPT 13B"].n_bytes(1) == 800 * 1024


# transformers says of these that the defaults of their config are those of the published model.
@pytest.mark.parametrize(
    ("model_type", "name"),
    [
        ("gpt2", "GPT-2 small"),
        ("llama", "Llama 2 7B"),
        ("phi3", "Phi-3 mini 4k"),
        ("mistral", "Mistral 7B v0.1"),
        ("falcon", "Falcon 7B"),
    ],
)
def test_public_sizes_are_the_defaults_of_transformers(model_type, name):
    config, sizes = AutoConfig.for_model(model_type), BY_NAME[name]
    assert len(sizes.layers) == config.num_hidden_layers
    assert sizes.n_heads == config.num_attention_heads
    n_kv_heads = getattr(config, "num_key_value_heads", None) or sizes.n_heads
    if getattr(config, "multi_query", False):
        n_kv_heads = 1
    assert sizes.n_kv_heads == n_kv_heads
    d_head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    assert {layer.d_key for layer in sizes.layers} == {d_head}


def test_public_models_show_all_three_ways_to_share_heads():
    assert {sizes.kind for sizes in PUBLIC} == {"multi-head", "grouped", "multi-query"}
    assert all(sizes.source.startswith("https://huggingface.co/") for sizes in PUBLIC)


@pytest.mark.parametrize("model_type", ["gpt2", "mixtral", "gemma3_text", "deepseek_v3"])
def test_arithmetic_equals_the_bytes_of_a_real_cache(model_type):
    model = HookedModel.wrap(build(model_type), tiny_tokenizer(), model_type)
    for length in (3, 20):
        _, cache = model.run_unrecorded(tiny_prompt(length))
        assert sizes_of(cache, model.info).n_bytes(length) == cache_bytes(cache)


def test_a_cache_without_keys_has_no_sizes(hooked):
    assert sizes_of(None, hooked.info) is None


def test_longest_text_that_fits_is_the_last_that_does():
    sizes = BY_NAME["Gemma 2B"]
    for memory, batch in ((0, 1), (1e6, 1), (1e9, 3)):
        longest = sizes.positions_that_fit(memory, batch)
        assert sizes.n_bytes(longest, batch) <= memory < sizes.n_bytes(longest + 1, batch)
    assert sizes.texts_that_fit(1e6, 10) == int(1e6 // sizes.n_bytes(10))


def test_a_window_bounds_the_cache():
    layer = LayerSizes(n_kv_heads=2, d_key=4, d_value=3, bytes_per_number=2, window=5)
    sizes = CacheSizes("w", 2, (layer, layer), None, "float16")
    assert [sizes.n_bytes(n) for n in (1, 4, 5, 99)] == [56, 224, 224, 224]
    assert sizes.positions_that_fit(224) is None
    assert sizes.positions_that_fit(223) == 3
    assert sizes.window == 5


def test_fewer_heads_and_smaller_numbers_shrink_the_cache_in_proportion():
    sizes = BY_NAME["Llama 2 7B"]
    assert sizes.with_kv_heads(8).n_bytes(100) * 4 == sizes.n_bytes(100)
    assert sizes.with_kv_heads(1).kind == "multi-query"
    for dtype, n_bytes in DTYPES.items():
        assert sizes.stored_in(dtype).n_bytes(100) == 2 * 32 * 32 * 128 * 100 * n_bytes

"""What a cache keeps, against the trace of the same text."""

import numpy as np
import pytest
import torch

from model_hooks.write.caching import fork, keys_and_values, layers_with_state, shortened
from tests.tiny_models import build, tiny_prompt

PROMPT = "the cat sat on the mat"


def filled(model, ids):
    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids]), use_cache=True).past_key_values


def test_kept_keys_and_values_are_those_of_the_trace(hooked, trace):
    cache = filled(hooked.model, hooked.encode(PROMPT))
    for layer, recorded in enumerate(trace.layers):
        key, value = keys_and_values(cache, layer)
        np.testing.assert_allclose(key, recorded.key, atol=1e-6)
        np.testing.assert_allclose(value, recorded.value, atol=1e-6)


def test_a_layer_that_keeps_a_state_has_no_keys():
    cache = filled(build("lfm2"), tiny_prompt(5))
    assert layers_with_state(cache) == (0, 2)
    assert keys_and_values(cache, 0) is None
    assert keys_and_values(cache, 1) is not None
    assert keys_and_values(None, 0) is None


@pytest.mark.parametrize("length", [1, 4, 6, 9])
def test_a_shorter_cache_keeps_the_beginning_and_leaves_the_longer_one(hooked, trace, length):
    cache = filled(hooked.model, hooked.encode(PROMPT))
    shorter = shortened(cache, length)
    for layer, recorded in enumerate(trace.layers):
        for kept, whole in ((shorter, slice(length)), (cache, slice(None))):
            key, value = keys_and_values(kept, layer)
            np.testing.assert_allclose(key, recorded.key[:, whole], atol=1e-6)
            np.testing.assert_allclose(value, recorded.value[:, whole], atol=1e-6)


def test_a_cache_with_a_state_cannot_be_cut():
    assert shortened(filled(build("lfm2"), tiny_prompt(5)), 3) is None
    assert shortened(None, 3) is None


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "lfm2"])
def test_a_fork_grows_alone_and_shares_what_was_there(family):
    model, ids = build(family), tiny_prompt(5)
    cache = filled(model, ids)
    before = [keys_and_values(cache, layer) for layer in range(model.config.num_hidden_layers)]
    other = fork(cache)
    assert all(a is not b for a, b in zip(other.layers, cache.layers, strict=True))
    if family == "llama":
        assert other.layers[0].keys is cache.layers[0].keys
    with torch.inference_mode():
        model(input_ids=torch.tensor([[9]]), past_key_values=other, use_cache=True)
    assert other.get_seq_length() == 6
    for layer, kept in enumerate(before):
        for now, then in zip(keys_and_values(cache, layer) or (), kept or (), strict=True):
            np.testing.assert_array_equal(now, then)

"""What a cache keeps, against the trace of the same text."""

import numpy as np
import torch

from model_hooks.write.caching import keys_and_values, layers_with_state
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

"""What a cache is said to hold, against a trace of the same text and the tensors' own bytes."""

import pickle

import numpy as np
import pytest

from model_hooks import AblateHead, HookedModel
from model_hooks.read.cached import (
    cache_kind,
    cached_bytes,
    cached_layers,
    cached_vectors,
    weight_bytes_of_a_step,
)
from model_hooks.write.decoding import Decoding
from model_hooks.write.writing import write_token
from tests.tiny_models import build, tiny_tokenizer

TEXT = (1, 2, 3, 4, 1, 5)


@pytest.fixture(autouse=True)
def _fresh(hooked):
    hooked.forget()


@pytest.mark.parametrize("interventions", [(), (AblateHead(0, 0),)], ids=["whole", "ablated"])
def test_kept_vectors_are_the_keys_and_values_of_the_trace(hooked, interventions):
    trace = hooked.trace(TEXT, interventions)
    for layer in range(hooked.info.n_layers):
        kept = cached_vectors(hooked, TEXT, layer, interventions)
        np.testing.assert_allclose(kept.key, trace.layers[layer].key, atol=1e-5)
        np.testing.assert_allclose(kept.value, trace.layers[layer].value, atol=1e-5)
    assert cached_vectors(hooked, TEXT, 99) is None


def test_shapes_and_bytes_follow_from_the_models_sizes(hooked):
    info = hooked.info
    shape = (1, info.n_kv_heads, len(TEXT), info.d_head)
    layers = cached_layers(hooked, TEXT)
    assert [layer[:3] for layer in layers] == [(shape, shape, "float32")] * info.n_layers
    assert sum(layer.n_bytes for layer in layers) == cached_bytes(hooked, TEXT)
    assert cached_bytes(hooked, TEXT) == 2 * info.n_layers * np.prod(shape) * 4
    assert cache_kind(hooked).sizes.n_bytes(len(TEXT)) == cached_bytes(hooked, TEXT)
    assert cache_kind(hooked).layers_with_state == ()


def test_a_step_goes_on_from_the_cache_that_was_looked_at(hooked):
    cached_layers(hooked, TEXT)
    step = write_token(hooked, TEXT, (2,), Decoding())
    assert step.cache_bytes == cached_bytes(hooked, (*TEXT, 2))
    assert cached_bytes(hooked, TEXT) < step.cache_bytes


def test_a_hybrid_model_keeps_vectors_in_some_layers_and_states_in_others():
    model = HookedModel.wrap(build("lfm2"), tiny_tokenizer(), "lfm2")
    kind, layers = cache_kind(model), cached_layers(model, tuple(range(10, 16)))
    assert kind.layers_with_state == tuple(i for i, kept in enumerate(layers) if kept is None)
    assert 0 < len(kind.layers_with_state) < len(layers)


def test_a_step_multiplies_with_every_weight_but_the_embeddings_once(hooked):
    model = hooked.model
    matrices = [p for p in model.parameters() if p.ndim == 2]
    embeddings = {id(m.weight) for m in model.modules() if hasattr(m, "num_embeddings")}
    n_bytes = sum(p.nbytes for p in matrices if id(p) not in embeddings)
    if id(model.get_output_embeddings().weight) in embeddings:
        n_bytes += model.get_output_embeddings().weight.nbytes
    assert weight_bytes_of_a_step(hooked) == n_bytes


def test_answers_survive_pickling(hooked):
    layers, kind = cached_layers(hooked, TEXT), cache_kind(hooked)
    assert pickle.loads(pickle.dumps((layers, kind))) == (layers, kind)
    kept = cached_vectors(hooked, TEXT, 1)
    again = pickle.loads(pickle.dumps(kept))
    np.testing.assert_array_equal(again.key, kept.key)

"""What a model is said to be able to do, against what then happens."""

import functools
import pickle

import numpy as np
import pytest
from transformers import LlamaForCausalLM

from model_hooks import (
    AblateAttention,
    AblateHead,
    AblateMLP,
    HookedModel,
    InterventionError,
    LayerError,
    NotCausalError,
    NotRecordableError,
)
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals

PROMPT = tiny_prompt(10)
# Plain, post-norm, parallel, own attention, shared experts, hybrids, and one that alternates.
FAMILIES = ("gpt2", "llama", "olmo2", "gptj", "bloom", "mixtral", "lfm2", "jamba", "nemotron_h")


@functools.cache
def hooked(model_type: str) -> HookedModel:
    return HookedModel.wrap(build(model_type), tiny_tokenizer(), model_type)


def accepts(model, change) -> bool:
    try:
        model.trace(PROMPT, [change])
    except InterventionError:
        return False
    return True


@pytest.mark.parametrize("model_type", FAMILIES)
def test_what_can_be_changed_is_what_a_run_accepts(model_type):
    model = hooked(model_type)
    for i, layer in enumerate(model.abilities.layers):
        assert layer.changes_heads == accepts(model, AblateHead(i, 0))
        assert layer.changes_attention == accepts(model, AblateAttention(i))
        assert layer.changes_feedforward == accepts(model, AblateMLP(i))


@pytest.mark.parametrize("model_type", FAMILIES)
def test_what_is_recorded_is_what_a_trace_holds(model_type):
    model = hooked(model_type)
    trace = model.trace(PROMPT)
    for layer, recorded in zip(model.abilities.layers, trace.layers, strict=True):
        assert layer.has_attention == recorded.has_attention
        assert layer.records_queries == (recorded.query is not None)
        assert layer.n_heads == recorded.n_heads
        assert layer.n_kv_heads == (None if recorded.key is None else len(recorded.key))


@pytest.mark.parametrize("model_type", FAMILIES)
def test_neurons_are_read_where_they_are_said_to_be(model_type):
    model = hooked(model_type)
    trace = model.trace(PROMPT)
    for i, layer in enumerate(model.abilities.layers):
        if layer.neurons_path is None:
            with pytest.raises(LayerError):
                model.neurons(trace, i)
        else:
            assert model.neurons(trace, i).path == layer.neurons_path


@pytest.mark.parametrize("model_type", FAMILIES)
def test_paths_lead_to_modules_whose_weights_have_the_shapes(model_type):
    model = hooked(model_type)
    abilities = model.abilities
    for layer in abilities.layers:
        for path in (layer.path, layer.attention_path, layer.attn_out_path, layer.mlp_out_path):
            assert path is None or model.model.get_submodule(path)
    embedding = model.model.get_submodule(abilities.embedding.path)
    assert embedding is model.model.get_input_embeddings()
    for facts in (abilities.embedding, abilities.final_norm, abilities.lm_head):
        module = model.model.get_submodule(facts.path)
        assert tuple(module.weight.shape) == facts.shape
        assert facts.has_bias == ("bias" in dict(module.named_parameters()))


@pytest.mark.parametrize("model_type", FAMILIES)
def test_abilities_are_a_plain_value(model_type):
    abilities = hooked(model_type).abilities
    assert pickle.loads(pickle.dumps(abilities)) == abilities
    assert hash(abilities) == hash(pickle.loads(pickle.dumps(abilities)))


def test_ways_are_told_apart():
    assert hooked("llama").abilities.continues
    assert not hooked("llama").abilities.returns_weights
    assert hooked("bloom").abilities.returns_weights
    assert hooked("llama").abilities.takes_positions
    assert not hooked("bloom").abilities.takes_positions
    assert hooked("jamba").abilities.feedforward_layers == (0, 1, 2, 3)
    assert hooked("mixtral").abilities.layers[0].router_path.endswith("mlp.gate")
    assert hooked("gpt2").abilities.layers[0].router_path is None


def test_a_cache_that_is_wrong_is_not_trusted():
    """Keys of a wrong place: every step would then differ from a run of the whole text."""
    model = build("llama")
    rotary = model.model.rotary_emb
    run = rotary.forward

    def always_from_the_start(x, position_ids):
        return run(x, position_ids - position_ids[:, :1])

    rotary.forward = always_from_the_start
    wrapped = HookedModel.wrap(model, tiny_tokenizer(), "odd")
    assert not wrapped.abilities.continues
    generation = wrapped.start(PROMPT)
    for _ in range(2):
        generation = wrapped.step(generation)
    assert generation.steps[-1].rows_computed == len(PROMPT) + 1
    fresh = wrapped.trace(generation.token_ids[:-1]).last_logits
    np.testing.assert_allclose(generation.steps[-1].logits, fresh, atol=1e-5)


def test_a_model_without_attention_is_one_sentence():
    with pytest.raises(NotRecordableError, match="no attention layers"):
        HookedModel.wrap(build("mamba"), tiny_tokenizer(), "mamba")


def test_a_model_without_an_lm_head_is_one_sentence():
    class Headless(LlamaForCausalLM):
        def get_output_embeddings(self):
            return None

    headless = Headless(build("llama").config)
    with pytest.raises(NotCausalError, match="Headless has no LM head"):
        HookedModel.wrap(headless, tiny_tokenizer(), "headless")

"""What is said about a block, compared with configs and with what each family's paper says."""

import functools

import numpy as np
import pytest
import torch

from model_hooks import HookedModel
from model_hooks.parts.differences import differences
from model_hooks.parts.facts import (
    ORIGINAL_2017,
    BlockFacts,
    cache_numbers_per_token,
    feedforward_name,
)
from model_hooks.read.architecture import block_facts, count_parameters
from tests.tiny_models import build, tiny_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals

BEFORE = ("before attention", "before feedforward")
AFTER = ("after attention", "after feedforward")
SHARED = ("before both",)
ON_SUM = ("on the sum after attention", "on the sum after feedforward")
WIDTHS = ("moe_intermediate_size", "intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size")
AROUND = (BEFORE[0], AFTER[0], BEFORE[1], AFTER[1])

# Known from each family's paper or model card: wiring, places of the norms, their kind, the
# feedforward's name, biases in attention and in the feedforward.
FAMILIES = {
    "opt": ("sequential", BEFORE, "LayerNorm", "ReLU", True, True),
    "opt post": ("post", ON_SUM, "LayerNorm", "ReLU", True, True),
    "gpt2": ("sequential", BEFORE, "LayerNorm", "GELU", True, True),
    "gpt_neox": ("parallel", BEFORE, "LayerNorm", "GELU", True, True),
    "gptj": ("parallel", SHARED, "LayerNorm", "GELU", False, True),
    "phi": ("parallel", SHARED, "LayerNorm", "GELU", True, True),
    "bloom": ("sequential", BEFORE, "LayerNorm", "GELU", True, True),
    "falcon": ("parallel", SHARED, "LayerNorm", "GELU", False, False),
    "cohere": ("parallel", SHARED, "LayerNorm", "SwiGLU", False, False),
    "llama": ("sequential", BEFORE, "RMSNorm", "SwiGLU", False, False),
    "qwen2": ("sequential", BEFORE, "RMSNorm", "SwiGLU", True, False),
    "gemma2": ("sequential", AROUND, "RMSNorm", "GeGLU", False, False),
    "olmo2": ("sequential", AFTER, "RMSNorm", "SwiGLU", False, False),
    "mixtral": ("sequential", BEFORE, "RMSNorm", "SwiGLU", False, False),
    "qwen3_moe": ("sequential", BEFORE, "RMSNorm", "SwiGLU", False, False),
    "gpt_oss": ("sequential", BEFORE, "RMSNorm", "SwiGLU", True, True),
}


@functools.cache
def hooked(name: str) -> HookedModel:
    options = {"do_layer_norm_before": False} if name == "opt post" else {}
    return HookedModel.wrap(build(name.removesuffix(" post"), **options), tiny_tokenizer(), name)


@functools.cache
def facts_of(name: str) -> tuple[BlockFacts, ...]:
    return block_facts(hooked(name))


@pytest.mark.parametrize("name", FAMILIES)
def test_block_is_wired_and_normalised_as_published(name):
    wiring, places, kind, feedforward, attention_bias, feedforward_bias = FAMILIES[name]
    for facts in facts_of(name):
        assert facts.wiring == wiring
        assert sorted(norm.place for norm in facts.main_norms) == sorted(places)
        assert {norm.kind for norm in facts.main_norms} == {kind}
        assert facts.feedforward.name == feedforward
        assert (facts.attention.bias, facts.feedforward.bias) == (attention_bias, feedforward_bias)


@pytest.mark.parametrize("name", FAMILIES)
def test_sizes_are_those_of_the_config(name):
    config = hooked(name).model.config
    n_kv_heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    if name == "falcon":
        n_kv_heads = 1  # multi_query
    sizes = (getattr(config, field, None) for field in WIDTHS)
    four_times = name in ("gpt2", "gptj", "bloom")
    width = 4 * config.hidden_size if four_times else next(size for size in sizes if size)
    n_experts = getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None)
    for facts in facts_of(name):
        attention, feedforward = facts.attention, facts.feedforward
        assert (attention.n_heads, attention.n_kv_heads) == (config.num_attention_heads, n_kv_heads)
        assert feedforward.width == width
        assert feedforward.n_experts == n_experts
        if n_experts:
            assert feedforward.experts_per_token == config.num_experts_per_tok
        kinds = {1: "multi-query", config.num_attention_heads: "multi-head"}
        assert attention.kind == kinds.get(n_kv_heads, "grouped-query")


@pytest.mark.parametrize("name", [*FAMILIES, "jamba", "deepseek_v3", "gemma3n_text", "nemotron_h"])
def test_parameters_of_the_parts_add_up_and_tied_ones_count_once(name):
    model = hooked(name)
    counts = count_parameters(model)
    unique = {id(p): p.numel() for p in model.model.parameters()}
    assert sum(counts.values()) == sum(unique.values()) == model.info.n_parameters
    assert counts["token embedding"] == model.model.get_input_embeddings().weight.numel()
    assert (counts["LM head"] == 0) == model.info.tied_embeddings


def test_parameters_of_a_llama_are_those_counted_by_hand():
    config = hooked("llama").model.config
    d, width, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    kv = config.num_key_value_heads * config.head_dim
    counts = count_parameters(hooked("llama"))
    assert counts["attention"] == layers * (2 * d * d + 2 * d * kv)
    assert counts["feedforward"] == layers * 3 * d * width
    assert counts["norms"] == (2 * layers + 1) * d
    assert counts["LM head"] == config.vocab_size * d


def test_the_block_of_2017_has_as_many_parameters_as_its_parts():
    # Table 3 of the paper: 65 million for 6 encoder and 6 decoder blocks (which attend twice) and
    # a vocabulary of about 37,000.
    attention = 4 * 512 * 512
    blocks = 12 * ORIGINAL_2017.n_parameters + 6 * (attention + 2 * 512)
    assert 63e6 < blocks + 37000 * 512 < 66e6
    assert differences(ORIGINAL_2017) == ()


def test_differences_from_2017_are_the_choices_that_changed():
    assert [d.topic for d in differences(facts_of("opt post")[0])] == ["positions", "biases"]
    llama = {d.topic: d.now for d in differences(facts_of("llama")[0])}
    assert llama == {
        "norm place": "before each part",
        "norm kind": "RMSNorm",
        "attention": "grouped-query attention",
        "positions": "rope",
        "activation": "SiLU",
        "gate": "a gate",
        "biases": "none",
    }
    neox = {d.topic: d.now for d in differences(facts_of("gpt_neox")[0])}
    assert neox["wiring"] == "side by side"
    mixtral = {d.topic: d.now for d in differences(facts_of("mixtral")[0])}
    assert mixtral["experts"] == "2 of 4 experts"
    assert "query and key norm" in {d.topic for d in differences(facts_of("olmo2")[0])}
    assert "window" in {d.topic for d in differences(facts_of("gemma2")[0])}


def test_layers_without_attention_say_what_mixes_there():
    jamba = facts_of("jamba")
    assert [facts.mixer for facts in jamba] == ["JambaMambaMixer", None, "JambaMambaMixer", None]
    assert [facts.attention is None for facts in jamba] == [True, False, True, False]
    assert jamba[1].feedforward.n_experts == 4
    assert jamba[0].feedforward.n_experts is None


def test_a_block_with_one_part_only_has_no_second_one():
    mamba, experts, attention, feedforward = facts_of("nemotron_h")
    assert mamba.mixer == "NemotronHMamba2Mixer"
    assert mamba.feedforward is None
    assert attention.attention is not None
    assert attention.feedforward is None
    for facts in (experts, feedforward):
        assert facts.mixer is facts.attention is None
        assert facts.feedforward.name == "ReLU²"
        assert [norm.place for norm in facts.main_norms] == ["before feedforward"]


def test_wiring_is_read_although_a_relu_is_off_altogether_at_some_tokens():
    ids, options = [1, 2, 3, 5, 8, 13], {"do_layer_norm_before": False, "enable_bias": False}
    before = HookedModel.wrap(build("opt", **options), tiny_tokenizer(), "opt")
    two = before.trace(ids).layers[1].resid_mid[:2]
    direction = np.linalg.lstsq(two, np.array([1, -1], dtype=np.float32))[0]
    model = build("opt", **options)
    with torch.no_grad():  # every neuron is on at the first token and off at the second
        weight = model.model.decoder.layers[1].fc1.weight
        weight.copy_(torch.tensor(direction).expand_as(weight))
    hooked = HookedModel.wrap(model, tiny_tokenizer(), "opt")
    added = [layer.mlp_out for layer in hooked.trace(ids).layers]
    off = (added[1] == 0).all(axis=1)
    assert 0 < off.sum() < len(off)
    assert [facts.wiring for facts in block_facts(hooked)] == ["post"] * len(added)


def test_latent_attention_and_shared_experts_are_recognised():
    dense, mixture = facts_of("deepseek_v3")[:2]
    assert dense.attention.kind == "latent"
    assert dense.feedforward.n_experts is None
    assert (mixture.feedforward.n_experts, mixture.feedforward.shared_expert) == (4, True)


def test_unknown_wiring_still_names_norms_and_parts():
    facts = facts_of("gemma3n_text")[0]
    assert facts.wiring == "unknown"
    assert {norm.place for norm in facts.main_norms} == set(AROUND)
    topics = {d.topic for d in differences(facts)}
    assert "norm place" not in topics
    assert {"norm kind", "gate", "positions"} <= topics


def test_cache_counts_a_key_and_a_value_per_kv_head():
    attention = facts_of("llama")[0].attention
    trace = hooked("llama").trace([10, 11, 12])
    layer = trace.layers[0]
    per_token = cache_numbers_per_token(attention.n_kv_heads, attention.d_head, attention.d_head)
    assert per_token == (layer.key.size + layer.value.size) / len(trace)


@pytest.mark.parametrize(
    ("activation", "gated", "name"),
    [
        ("relu", False, "ReLU"),
        ("gelu_new", False, "GELU"),
        ("silu", True, "SwiGLU"),
        ("gelu_pytorch_tanh", True, "GeGLU"),
        ("relu2", False, "ReLU²"),
        ("mish", True, "gated mish"),
    ],
)
def test_feedforward_has_its_common_name(activation, gated, name):
    assert feedforward_name(activation, gated) == name

import numpy as np
import pytest
import torch

from model_hooks import HookedModel, LayerError
from model_hooks.run.neurons import NeuronTrace, how_added
from tests.tiny_models import build, tiny_tokenizer

PROMPT = "the cat sat on the mat"


@pytest.fixture
def neurons(hooked, trace):
    return hooked.neurons(trace, 1)


def test_activations_times_output_rows_are_what_the_feedforward_adds(hooked, trace, neurons):
    total = neurons.activation @ neurons.output_rows
    if neurons.bias is not None:
        total = total + neurons.bias
    np.testing.assert_allclose(total, trace.layers[1].mlp_out, atol=1e-4)


def test_neurons_equal_the_modules_own_forward(hooked, trace, neurons):
    block = hooked.anatomy.blocks[1].module
    norm = getattr(block, "ln_2", None) or block.post_attention_layernorm
    with torch.no_grad():
        hidden = norm(torch.tensor(trace.layers[1].resid_mid))
        if hooked.info.gated_mlp:
            gate = block.mlp.gate_proj(hidden)
            up = block.mlp.up_proj(hidden)
            expected = torch.nn.functional.silu(gate) * up
            np.testing.assert_allclose(neurons.up, up.numpy(), rtol=1e-3, atol=1e-4)
        else:
            gate = block.mlp.c_fc(hidden)
            expected = block.mlp.act(gate)
            assert neurons.up is None
    np.testing.assert_allclose(neurons.pre_activation, gate.numpy(), atol=1e-5)
    np.testing.assert_allclose(neurons.activation, expected.numpy(), atol=1e-5)
    assert neurons.gated == hooked.info.gated_mlp


def test_the_second_factor_is_unknown_only_where_the_gate_is_zero():
    gate, up = np.array([[0.0, 1.0, -2.0]]), np.array([[5.0, 3.0, 0.25]])

    def made(activated):
        return NeuronTrace(0, "down", gate * up, None, activated, np.zeros((3, 2)), None)

    np.testing.assert_array_equal(made(gate).up, [[np.nan, 3.0, 0.25]])
    assert made(gate * up).up is None
    assert made(None).up is None


def test_shapes_are_positions_by_neurons(hooked, trace, neurons):
    assert neurons.activation.shape == (len(trace), hooked.info.d_mlp)
    assert neurons.output_rows.shape == (hooked.info.d_mlp, hooked.info.d_model)


def test_another_layer_is_not_mixed_in(hooked, trace, neurons):
    assert not np.allclose(hooked.neurons(trace, 0).activation, neurons.activation)


def test_a_layer_that_is_not_there_is_one_sentence(hooked, trace):
    with pytest.raises(LayerError, match="run from 0 to 1"):
        hooked.neurons(trace, 2)


@pytest.mark.parametrize("family", ["opt", "gpt_neox", "gptj", "phi", "gemma2", "bloom"])
def test_neurons_of_other_families_add_up_too(family, tokenizer):
    hooked = HookedModel.wrap(build(family), tokenizer, family)
    trace = hooked.trace([1, 2, 3, 4])
    neurons = hooked.neurons(trace, 0)
    total = neurons.activation @ neurons.output_rows
    total = total + (0 if neurons.bias is None else neurons.bias)
    if family == "gemma2":  # a norm follows the feedforward
        with torch.no_grad():
            norm = hooked.anatomy.blocks[0].module.post_feedforward_layernorm
            total = norm(torch.tensor(total)).numpy()
    np.testing.assert_allclose(total, trace.layers[0].mlp_out, rtol=1e-3, atol=1e-3)


def test_a_mixture_of_experts_says_why_it_has_no_single_layer(tokenizer):
    hooked = HookedModel.wrap(build("mixtral"), tokenizer, "mixtral")
    with pytest.raises(LayerError, match="experts"):
        hooked.neurons(hooked.trace([1, 2, 3]), 0)


def test_an_activation_function_that_blocks_share_is_read_in_its_own_layer(tokenizer):
    hooked = HookedModel.wrap(build("openai-gpt"), tokenizer, "openai-gpt")
    trace = hooked.trace([1, 2, 3, 4])
    for layer in (0, 1):
        neurons = hooked.neurons(trace, layer)
        assert not neurons.gated
        np.testing.assert_array_equal(neurons.activated, neurons.activation)


def test_what_is_no_feedforward_is_not_taken_for_one(tokenizer):
    hooked = HookedModel.wrap(build("qwen3_next"), tokenizer, "qwen3_next")
    with pytest.raises(LayerError, match="no single hidden layer"):
        hooked.neurons(hooked.trace([1, 2, 3]), 0)
    hooked = HookedModel.wrap(build("nemotron_h"), tokenizer, "nemotron_h")
    with pytest.raises(LayerError, match="has no feedforward"):
        hooked.neurons(hooked.trace([1, 2, 3]), 0)


def test_curve_is_what_the_module_itself_makes_of_the_inputs(hooked, trace, neurons):
    inputs = neurons.pre_activation[2]
    found = hooked.activation_function(1, inputs)
    np.testing.assert_allclose(found, neurons.activated[2], atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_how_a_sum_is_added_is_found_out_and_nothing_else_is_taken_for_it(dtype):
    block = HookedModel.wrap(build("llama").to(dtype), tiny_tokenizer(), "llama").anatomy.blocks[0]
    total = np.random.default_rng(0).normal(size=(4, 16)).astype(np.float32)
    for scale in (1.0, 0.25, -3.0):
        found = how_added(total, scale * total, block)
        assert found.scale == pytest.approx(scale)
        assert found.norm is None
    assert how_added(total, total[::-1].copy(), block) is None
    assert how_added(total, 1.1 * total + 0.1 * total[:, ::-1], block) is None

"""Norms step by step: by hand, against torch, and against the modules of real families."""

import functools

import numpy as np
import pytest
import torch
from torch import nn

from model_hooks import AblateHead, HookedModel
from model_hooks.errors import LayerError, PromptError
from model_hooks.parts.norms import norm_kind
from model_hooks.read.architecture import block_facts
from model_hooks.read.norms import (
    mean_share,
    norm_at,
    norm_calls,
    norm_operations,
    norm_steps,
    norm_times,
    other_norm,
    time_norms,
)
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals
X = np.array([1.0, 2.0, 6.0], dtype=np.float32)


@functools.cache
def hooked(model_type: str) -> HookedModel:
    return HookedModel.wrap(build(model_type), tiny_tokenizer(), model_type)


def test_layer_norm_by_hand():
    module = nn.LayerNorm(3, eps=0.0)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
        module.bias.copy_(torch.tensor([0.0, 0.0, 1.0]))
    steps = norm_steps(module, X)
    assert steps.kind == "LayerNorm"
    assert steps.mean == 3
    np.testing.assert_allclose(steps.centred, [-2, -1, 3])
    assert steps.mean_square == pytest.approx(14 / 3)
    expected = np.array([-2, -2, 9]) / np.sqrt(14 / 3) + [0, 0, 1]
    np.testing.assert_allclose(steps.output, expected)
    assert steps.difference < 1e-6


def test_rms_norm_by_hand_and_the_two_differ_by_the_mean():
    steps = norm_steps(nn.RMSNorm(3, eps=0.0), X)
    assert steps.kind == "RMSNorm"
    np.testing.assert_allclose(steps.output, X / np.sqrt(41 / 3), rtol=1e-6)
    other = other_norm(steps)
    assert other.kind == "LayerNorm"
    assert other.module_output is None
    # rms**2 = deviation**2 + mean**2, and the numbers lie on one line.
    assert steps.mean_square == pytest.approx(other.mean_square + steps.mean**2)
    np.testing.assert_allclose(
        other.normalised * other.divisor, steps.normalised * steps.divisor - steps.mean
    )


@pytest.mark.parametrize("model_type", ["gpt2", "llama", "gemma2", "cohere", "olmo2", "olmo"])
def test_steps_give_what_every_norm_of_the_model_gave(model_type):
    model = hooked(model_type)
    trace = model.trace(tiny_prompt(8))
    for norm in block_facts(model)[0].main_norms:
        module = model.model.get_submodule(norm.path)
        with torch.inference_mode():
            taken, given = norm_calls(model, trace, module)
        assert len(taken) == len(trace)
        steps = norm_steps(module, taken[3], given[3])
        assert steps.kind == norm.kind
        assert steps.difference <= 1e-5 * max(1, np.abs(given[3]).max())
        np.testing.assert_array_equal(steps.module_output, given[3])
        assert steps.weight_is_offset == (model_type == "gemma2")


def test_the_first_norm_reads_the_stream():
    model = hooked("llama")
    trace = model.trace(tiny_prompt(8))
    taken, _ = norm_calls(model, trace, model.anatomy.blocks[2].module.input_layernorm)
    np.testing.assert_array_equal(taken, trace.layers[2].resid_pre)


def test_kind_is_told_by_what_a_norm_does_not_by_its_name():
    class LayerNorm(nn.RMSNorm):
        pass

    assert norm_kind(LayerNorm(8)) == "RMSNorm"
    assert norm_kind(nn.LayerNorm(8)) == "LayerNorm"


def test_something_else_is_refused_in_one_sentence():
    class OtherNorm(nn.RMSNorm):
        def forward(self, x):
            return x / x.abs().max()

    with pytest.raises(LayerError, match="OtherNorm is neither"):
        norm_steps(OtherNorm(3), X)


def test_rms_norm_is_counted_cheaper_and_times_are_positive():
    assert norm_operations("RMSNorm") < norm_operations("LayerNorm", bias=False)
    assert norm_operations("LayerNorm", bias=False) < norm_operations("LayerNorm")
    times = time_norms(np.ones((4, 16), dtype=np.float32), repeats=3)
    assert min(times.layer_norm, times.rms_norm, times.fused_layer_norm) > 0
    own = norm_times(hooked("llama"), 5)
    assert min(own.layer_norm, own.rms_norm, own.fused_rms_norm) > 0


def test_a_norm_of_a_run_is_followed_under_what_was_changed_in_it():
    model = hooked("llama")
    path = "model.layers.1.post_attention_layernorm"
    whole = norm_at(model, model.trace(tiny_prompt(8)), path, 3)
    changed = model.trace(tiny_prompt(8), [AblateHead(1, 0)])
    ablated = norm_at(model, changed, path, 3)
    np.testing.assert_allclose(ablated.steps.vector, changed.layers[1].resid_mid[3], rtol=1e-5)
    assert not np.allclose(whole.steps.vector, ablated.steps.vector)
    assert {whole.steps.kind, whole.other.kind} == {"LayerNorm", "RMSNorm"}
    with pytest.raises(LayerError, match="no module nowhere"):
        norm_at(model, changed, "nowhere", 3)
    with pytest.raises(PromptError, match="position 99"):
        norm_at(model, changed, path, 99)


def test_share_of_the_mean_is_what_subtracting_it_takes_away():
    found = mean_share(X)
    removed = np.linalg.norm(X) ** 2 - np.linalg.norm(X - X.mean()) ** 2
    assert found.mean == 3
    assert found.share == pytest.approx(np.sqrt(removed) / np.linalg.norm(X))
    assert mean_share(np.zeros(3, np.float32)).share == 0

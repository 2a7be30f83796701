"""A run that fails, or leaves the range of its numbers, ends in one sentence."""

import numpy as np
import pytest
import torch

from model_hooks import Decoding, HookedModel, InlookError
from model_hooks.errors import RunError
from model_hooks.run.capture import LayerRecord
from model_hooks.run.numbers import are_logits, check_numbers
from tests.tiny_models import build, tiny_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals

RARE = 50


def overflowing(layer: int):
    """A model whose layer leaves the range of float16 for one rare token."""
    model = build("gpt2").half()
    with torch.no_grad():
        model.transformer.wte.weight[RARE] = 100.0
        block = model.transformer.h[layer]
        block.mlp.c_proj.register_forward_hook(
            lambda module, args, output: torch.where(output.abs() < 1e4, output, torch.inf)
        )
        block.register_forward_hook(
            lambda module, args, output: torch.where(
                output.abs().amax(-1, keepdim=True) > 50, torch.inf, output
            )
        )
    return model


@pytest.mark.parametrize("layer", [0, 2])
def test_the_first_layer_and_position_without_numbers_are_named(layer):
    plain = overflowing(layer)
    with torch.no_grad():
        assert plain(torch.tensor([[5, 6, 7]])).logits.isfinite().all()
        assert plain(torch.tensor([[5, 6, RARE]])).logits[0, -1].isnan().any()
    model = HookedModel.wrap(plain, tiny_tokenizer(), "overflow")
    for run in (
        lambda: model.trace([5, 6, RARE, 7]),
        lambda: model.step(model.start([5, 6, RARE], Decoding("sample", seed=1))),
        lambda: model.start([5, 6, RARE]).next_stages(),
    ):
        with pytest.raises(RunError, match=f"layer {layer}, position 2 .*float16"):
            run()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_logits_without_numbers_are_told_by_the_format_of_what_they_came_from(dtype):
    logits = np.array([0.0, np.nan], np.float32)
    layer = LayerRecord(
        0, torch.zeros(2, 4, dtype=dtype), resid_post=torch.zeros(2, 4, dtype=dtype)
    )
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(RunError, match=rf"the logits after position 6 on.*range of {name}\."):
        check_numbers([layer], logits, 7)
    with pytest.raises(RunError, match=r"the logits after position 6 on.*range of float32\."):
        check_numbers([], logits, 7)
    check_numbers([layer], np.array([0.0, -np.inf], np.float32), 7)
    check_numbers([], np.zeros(2, np.float32), 7)


def test_a_step_names_the_position_in_the_whole_text():
    model = HookedModel.wrap(overflowing(1), tiny_tokenizer(), "overflow")
    generation = model.step(model.start([5, 6, 7, 8]), choose=RARE)
    with pytest.raises(RunError, match="layer 1, position 4"):
        model.step(generation)


def test_what_a_model_raises_is_one_sentence_with_its_reason():
    plain = build("llama")
    model = HookedModel.wrap(plain, tiny_tokenizer(), "odd")

    def refuse(module, args):
        raise KeyError("no such expert")

    handle = plain.model.layers[1].mlp.register_forward_pre_hook(refuse)
    with pytest.raises(InlookError, match=r"failed to run 3 tokens .*no such expert"):
        model.trace([5, 6, 7])
    with pytest.raises(InlookError, match="no such expert"):
        model.step(model.start([5, 6, 7]))
    handle.remove()
    assert len(model.trace([5, 6, 7])) == 3


def test_memory_that_does_not_suffice_is_said_so():
    plain = build("llama")
    model = HookedModel.wrap(plain, tiny_tokenizer(), "large")

    def fill(module, args):
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate")

    plain.model.layers[0].register_forward_pre_hook(fill)
    with pytest.raises(InlookError, match="memory does not suffice to run 3 tokens"):
        model.trace([5, 6, 7])


def test_a_token_that_is_ruled_out_is_still_a_logit():
    assert are_logits(np.array([0.0, -np.inf]))
    assert not are_logits(np.array([[0.0, 1.0], [np.nan, 1.0]]))
    assert not are_logits(np.array([-np.inf, -np.inf]))
    assert not are_logits(np.array([np.inf, 0.0]))

import copy

import numpy as np
import pytest
import torch

from model_hooks import (
    AblateAttention,
    AblateHead,
    AblateMLP,
    HookedModel,
    InterventionError,
    Knockout,
)
from model_hooks.run.masks import NarrowedMask
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

PROMPT = "the cat sat on the mat"


def output_projection(hooked, layer):
    attention = hooked.anatomy.blocks[layer].attention
    return getattr(attention, "c_proj", None) or attention.o_proj


def logits_with(hooked, module, edit, at_input=False):
    """Last logits of the same weights with one module's tensor edited by hand."""

    def edit_input(_module, args):
        return (edit(args[0].clone()), *args[1:])

    def edit_output(_module, _args, output):
        if isinstance(output, tuple):
            return (edit(output[0].clone()), *output[1:])
        return edit(output.clone())

    handle = (
        module.register_forward_pre_hook(edit_input)
        if at_input
        else module.register_forward_hook(edit_output)
    )
    try:
        return hooked.trace(PROMPT).last_logits
    finally:
        handle.remove()


def test_an_ablated_head_equals_zeroing_its_slice_by_hand(hooked):
    d_head = hooked.info.d_head

    def zero_head_1(hidden):
        hidden[..., d_head : 2 * d_head] = 0
        return hidden

    expected = logits_with(hooked, output_projection(hooked, 0), zero_head_1, at_input=True)
    got = hooked.trace(PROMPT, [AblateHead(0, 1)]).last_logits
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert np.abs(got - hooked.trace(PROMPT).last_logits).max() > 1e-3


def test_ablated_attention_equals_zeroing_its_output_by_hand(hooked):
    attention = hooked.anatomy.blocks[1].attention
    expected = logits_with(hooked, attention, torch.zeros_like)
    trace = hooked.trace(PROMPT, [AblateAttention(1)])
    np.testing.assert_allclose(trace.last_logits, expected, atol=1e-5)
    assert (trace.layers[1].attn_out == 0).all()


def test_an_ablated_feedforward_equals_zeroing_its_output_by_hand(hooked):
    mlp = hooked.anatomy.blocks[0].module.mlp
    trace = hooked.trace(PROMPT, [AblateMLP(0)])
    np.testing.assert_allclose(
        trace.last_logits, logits_with(hooked, mlp, torch.zeros_like), atol=1e-5
    )
    assert (trace.layers[0].mlp_out == 0).all()


def test_a_module_that_runs_after_both_parts_is_taken_for_neither():
    """Emu3 has one dropout for both: what stands before it gives what is added."""
    plain, prompt = build("emu3"), tiny_prompt(12)
    hooked = HookedModel.wrap(copy.deepcopy(plain), tiny_tokenizer(), "emu3")
    for part, kind in (("mlp", AblateMLP), ("self_attn", AblateAttention)):
        module = plain.get_submodule(f"model.layers.0.{part}")
        handle = module.register_forward_hook(
            lambda _, args, out: (
                out * 0 if isinstance(out, torch.Tensor) else (out[0] * 0, *out[1:])
            )
        )
        with torch.no_grad():
            truth = plain(input_ids=torch.tensor([prompt]), use_cache=False).logits[0, -1]
        handle.remove()
        found = hooked.trace(prompt, [kind(0)]).last_logits
        np.testing.assert_allclose(found, truth.numpy(), atol=1e-5)


def test_a_knocked_out_link_gets_no_weight_and_the_row_still_sums_to_one(hooked):
    plain = hooked.trace(PROMPT)
    trace = hooked.trace(PROMPT, [Knockout(query=4, key=2, layer=0)])
    weights = trace.attention(0)
    np.testing.assert_allclose(weights[:, 4, 2], 0, atol=1e-7)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)
    rest = plain.attention(0)[:, 4].copy()
    rest[:, 2] = 0
    np.testing.assert_allclose(weights[:, 4], rest / rest.sum(-1, keepdims=True), atol=1e-5)


def test_a_knockout_in_one_head_leaves_the_others_alone(hooked):
    plain = hooked.trace(PROMPT).attention(0)
    weights = hooked.trace(PROMPT, [Knockout(4, 2, layer=0, head=1)]).attention(0)
    assert weights[1, 4, 2] == pytest.approx(0, abs=1e-7)
    np.testing.assert_allclose(weights[0], plain[0], atol=1e-6)


def test_additive_masks_are_edited_too():
    mask = torch.zeros(1, 1, 3, 3)
    query, key = torch.zeros(1, 2, 3, 4), torch.zeros(1, 1, 3, 4)
    narrowed = NarrowedMask(mask, query, key, end=3, causal=True)
    Knockout(2, 1, head=1).effects()["mask"](narrowed)
    edited = narrowed.tensor
    assert edited.shape == (1, 2, 3, 3)
    assert edited[0, 1, 2, 1] == torch.finfo(torch.float32).min
    assert edited.count_nonzero() == 1
    assert mask.count_nonzero() == 0


INTERVENTIONS = [AblateHead(0, 1), AblateMLP(1), Knockout(4, 2), Knockout(8, 3)]


def test_interventions_act_alike_with_the_cache_on_and_off(hooked):
    hooked.forget()
    texts = []
    for use_cache in (True, False):
        generation = hooked.start(PROMPT, use_cache=use_cache, interventions=INTERVENTIONS)
        for _ in range(6):
            generation = hooked.step(generation)
        texts.append(generation)
    on, off = texts
    assert on.token_ids == off.token_ids
    fresh = hooked.trace(list(on.token_ids), INTERVENTIONS)
    for generation in texts:
        trace = generation.trace()
        np.testing.assert_allclose(trace.last_logits, fresh.last_logits, atol=1e-5)
        np.testing.assert_allclose(trace.attention(1), fresh.attention(1), atol=1e-5)


def test_an_intervention_never_reaches_another_run(hooked):
    before = hooked.trace(PROMPT).last_logits
    hooked.step(hooked.start(PROMPT, interventions=[AblateMLP(0)]))
    hooked.trace(PROMPT, [AblateMLP(0)])
    np.testing.assert_array_equal(hooked.trace(PROMPT).last_logits, before)
    step = hooked.step(hooked.start(PROMPT)).steps[0]
    np.testing.assert_allclose(step.logits, before, atol=1e-5)


@pytest.mark.parametrize(
    "intervention",
    [
        AblateHead(0, 99),
        AblateHead(9, 0),
        AblateAttention(-1),
        AblateMLP(2),
        Knockout(1, 3),
        Knockout(2, 2),
        Knockout(-1, 0),
        Knockout(2, -1),
        Knockout(3, 1, layer=7),
    ],
    ids=str,
)
def test_what_the_model_lacks_cannot_be_switched_off(hooked, intervention):
    with pytest.raises(InterventionError):
        hooked.trace(PROMPT, [intervention])

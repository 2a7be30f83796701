import numpy as np
import pytest
import torch

from model_hooks import AblateHead, AblateMLP, HookedModel, PromptError
from model_hooks.read.feedforward import (
    feedforward_lens,
    probabilities_without,
)
from tests.tiny_models import build, tiny_tokenizer

WORD, POS = 3, 4


def tail(hooked):
    """The final norm and the LM head of the two tiny models, found by name."""
    model = hooked.model
    norm = model.transformer.ln_f if hasattr(model, "transformer") else model.model.norm
    return lambda hidden: model.lm_head(norm(hidden))


def test_lens_is_final_norm_and_lm_head_before_and_after_each_feedforward(hooked, trace):
    lens = feedforward_lens(hooked, trace, WORD, POS)
    assert lens.layers == (0, 1)
    for layer, recorded in enumerate(trace.layers):
        for side, state in enumerate((recorded.resid_mid, recorded.resid_post)):
            with torch.no_grad():
                logits = tail(hooked)(torch.tensor(state[POS]))
            assert lens.logits[layer, side] == pytest.approx(float(logits[WORD]), abs=1e-4)
            probability = float(logits.softmax(-1)[WORD])
            assert lens.probabilities[layer, side] == pytest.approx(probability, abs=1e-5)
            assert lens.ranks[layer, side] == 1 + int((logits > logits[WORD]).sum())


def test_switching_a_feedforward_off_equals_zeroing_its_output_by_hand(hooked, trace):
    mlp = hooked.anatomy.blocks[0].module.mlp
    handle = mlp.register_forward_hook(lambda module, args, output: torch.zeros_like(output))
    ids = torch.tensor([trace.token_ids[: POS + 1].tolist()])
    with torch.no_grad():
        by_hand = hooked.model(ids).logits[0, -1].softmax(-1).numpy()
    handle.remove()
    found = probabilities_without(hooked, trace, 0, POS)
    np.testing.assert_allclose(found, by_hand, atol=1e-5)
    with torch.no_grad():
        whole = hooked.model(ids).logits[0, -1].softmax(-1).numpy()
    np.testing.assert_allclose(probabilities_without(hooked, trace, None, POS), whole, atol=1e-5)


def test_layers_that_only_mix_positions_have_no_feedforward():
    hybrid = HookedModel.wrap(build("nemotron_h"), tiny_tokenizer(), "nemotron_h")
    kinds = hybrid.model.config.layers_block_type
    expected = tuple(i for i, kind in enumerate(kinds) if kind in ("mlp", "moe"))
    assert 0 < len(expected) < len(kinds)
    assert hybrid.abilities.feedforward_layers == expected


def test_a_position_that_is_not_there_is_one_sentence(hooked, trace):
    with pytest.raises(PromptError, match="position 99"):
        feedforward_lens(hooked, trace, WORD, 99)


@pytest.mark.parametrize("layer", [0, 1])
def test_switched_off_under_what_the_run_was_under(hooked, trace, layer):
    ablated = hooked.trace("the cat sat on the mat", [AblateHead(0, 0)])
    found = probabilities_without(hooked, ablated, layer, POS)
    off = [AblateHead(0, 0), AblateMLP(layer)]
    logits = hooked.trace(ablated.token_ids[: POS + 1], off).last_logits
    np.testing.assert_allclose(found, torch.tensor(logits).softmax(-1).numpy(), atol=1e-5)
    assert np.abs(found - probabilities_without(hooked, trace, layer, POS)).max() > 1e-4

import numpy as np
import pytest
import torch

from model_hooks import HookedModel, PromptError
from model_hooks.read.feedforward import (
    feedforward_layers,
    feedforward_lens,
    neuron_effects,
    neuron_writes,
    probabilities_without,
    promoted_tokens,
    strongest,
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


def test_neurons_sum_to_what_the_feedforward_adds_to_a_logit(hooked, trace):
    effects = neuron_effects(hooked, trace, hooked.neurons(trace, 1), WORD, POS)
    assert effects.total == pytest.approx(effects.whole, abs=1e-4)


@pytest.mark.parametrize("family", ["opt", "gemma2", "gpt_neox", "olmo2"])
def test_neurons_of_other_families_sum_to_it_too(family):
    hooked = HookedModel.wrap(build(family), tiny_tokenizer(), family)
    trace = hooked.trace([1, 5, 9, 2])
    effects = neuron_effects(hooked, trace, hooked.neurons(trace, 0), WORD, 2)
    assert effects.total == pytest.approx(effects.whole, abs=1e-3)


def test_the_strongest_neurons_tokens_are_its_output_row_through_the_model_by_hand(hooked, trace):
    neurons = hooked.neurons(trace, 1)
    [neuron] = strongest(neuron_effects(hooked, trace, neurons, WORD, POS).sizes, 1)
    write = neurons.activation[POS, neuron] * neurons.output_rows[neuron]
    np.testing.assert_allclose(
        neuron_writes(hooked, trace, neurons, POS, [neuron])[0], write, rtol=1e-4, atol=1e-6
    )
    after = trace.layers[1].resid_post[POS].astype(np.float64)
    model = hooked.model
    if hasattr(model, "transformer"):  # LayerNorm: centred, then divided by the deviation
        norm, centred = model.transformer.ln_f, write - write.mean()
        divided = centred / np.sqrt(after.var() + norm.eps)
    else:
        norm = model.model.norm
        divided = write / np.sqrt((after**2).mean() + norm.variance_epsilon)
    by_hand = model.lm_head.weight.detach().numpy() @ (divided * norm.weight.detach().numpy())
    found = promoted_tokens(hooked, trace, 1, write[None], POS)[0]
    np.testing.assert_allclose(found, by_hand, atol=1e-4)


def test_layers_that_only_mix_positions_have_no_feedforward():
    hybrid = HookedModel.wrap(build("nemotron_h"), tiny_tokenizer(), "nemotron_h")
    kinds = hybrid.model.config.layers_block_type
    expected = tuple(i for i, kind in enumerate(kinds) if kind in ("mlp", "moe"))
    assert 0 < len(expected) < len(kinds)
    assert feedforward_layers(hybrid) == expected


def test_a_position_that_is_not_there_is_one_sentence(hooked, trace):
    with pytest.raises(PromptError, match="position 99"):
        feedforward_lens(hooked, trace, WORD, 99)


def test_strongest_counts_absolute_values():
    assert strongest(np.array([0.5, -3.0, 2.0, 0.0]), 2) == [1, 2]

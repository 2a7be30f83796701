"""Neurons one by one, against the whole feedforward and the plain modules of the model."""

import gc
import pickle

import numpy as np
import pytest
import torch

from model_hooks import AblateHead, HookedModel, LayerError
from model_hooks.read.neurons import (
    activation_curve,
    neuron_effects,
    neuron_writes,
    neurons_of,
    promoted_tokens,
    pushed_tokens,
    strongest,
)
from tests.tiny_models import build, tiny_tokenizer

WORD, POS = 3, 4


def test_neurons_sum_to_what_the_feedforward_adds_to_a_logit(hooked, trace):
    effects = neuron_effects(hooked, trace, 1, WORD, POS)
    assert effects.total == pytest.approx(effects.whole, abs=1e-4)


@pytest.mark.parametrize("family", ["opt", "gemma2", "gpt_neox", "olmo2"])
def test_neurons_of_other_families_sum_to_it_too(family):
    hooked = HookedModel.wrap(build(family), tiny_tokenizer(), family)
    trace = hooked.trace([1, 5, 9, 2])
    effects = neuron_effects(hooked, trace, 0, WORD, 2)
    assert effects.total == pytest.approx(effects.whole, abs=1e-3)


def test_the_strongest_neurons_tokens_are_its_output_row_through_the_model_by_hand(hooked, trace):
    neurons = hooked.neurons(trace, 1)
    [neuron] = strongest(neuron_effects(hooked, trace, 1, WORD, POS).sizes, 1)
    write = neurons.activation[POS, neuron] * neurons.output_rows[neuron]
    np.testing.assert_allclose(
        neuron_writes(hooked, trace, 1, POS, [neuron])[0], write, rtol=1e-4, atol=1e-6
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


def test_strongest_counts_absolute_values():
    assert strongest(np.array([0.5, -3.0, 2.0, 0.0]), 2) == [1, 2]


def test_pushed_tokens_are_the_ends_of_what_a_neuron_adds_to_all_logits(hooked, trace):
    writes = neuron_writes(hooked, trace, 1, POS, [5, 2])
    rows = promoted_tokens(hooked, trace, 1, writes, POS)
    for row, pushes in zip(rows, pushed_tokens(hooked, trace, 1, (5, 2), 2, POS), strict=True):
        assert pushes.token_ids[0] == row.argmax()
        assert pushes.token_ids[-1] == row.argmin()
        assert len(pushes.token_ids) == 4
        np.testing.assert_array_equal(pushes.effects, row[list(pushes.token_ids)])
    [few] = pushed_tokens(hooked, trace, 1, (0,), 99, POS)
    assert len(few.token_ids) == 2 * (hooked.info.vocab_size // 2)


def test_the_curve_is_the_activation_function_of_the_model(hooked, trace):
    curve = activation_curve(hooked, trace, 0, 50, POS)
    expected = hooked.anatomy.blocks[0].module.mlp
    act = expected.act if hasattr(expected, "act") else expected.act_fn
    np.testing.assert_allclose(curve.outputs, act(torch.tensor(curve.inputs)).numpy(), atol=1e-5)
    pre = neurons_of(hooked, trace, 0).pre_activation[POS]
    assert curve.inputs[0] <= pre.min()
    assert pre.max() <= curve.inputs[-1]


def test_neurons_are_read_once_per_run_and_go_with_it(hooked, monkeypatch):
    reads = []
    read = HookedModel.neurons
    monkeypatch.setattr(HookedModel, "neurons", lambda *args: (reads.append(1), read(*args))[1])
    whole, ablated = (hooked.trace("the cat sat", off) for off in ((), (AblateHead(0, 0),)))
    first = neurons_of(hooked, whole, 1)
    assert neurons_of(hooked, whole, 1) is first
    other = neurons_of(hooked, ablated, 1)
    assert len(reads) == 2
    assert np.abs(first.activation - other.activation).max() > 1e-4
    del whole
    gc.collect()
    again = hooked.trace("the cat sat")
    np.testing.assert_array_equal(neurons_of(hooked, again, 1).activation, first.activation)
    assert len(reads) == 3


def test_answers_survive_pickling(hooked, trace):
    effects = neuron_effects(hooked, trace, 1, WORD, POS)
    np.testing.assert_equal(vars(pickle.loads(pickle.dumps(effects))), vars(effects))
    found = neurons_of(hooked, trace, 1)
    np.testing.assert_equal(vars(pickle.loads(pickle.dumps(found))), vars(found))


def test_a_layer_that_is_not_there_is_one_sentence(hooked, trace):
    with pytest.raises(LayerError, match="layer 9"):
        neurons_of(hooked, trace, 9)

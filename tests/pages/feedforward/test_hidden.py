"""A neuron's formula holds in numbers, and its file lists what was recorded."""

import re

import numpy as np
import pytest

from model_hooks.read.neurons import neuron_effects
from pages.feedforward.hidden import Hidden, formula, function_name, table_of

POS, LAYER, WORD = 3, 1, 2


@pytest.fixture
def hidden(hooked, trace):
    effects = neuron_effects(hooked, trace, LAYER, WORD, POS)
    return Hidden(LAYER, POS, hooked.neurons(trace, LAYER), effects)


def test_the_factors_of_the_formula_give_the_activation(hidden, hooked):
    text = formula(hidden, 4, function_name(hooked.info))
    numbers = [float(one) for one in re.findall(r"-?\d[\d.]*(?:e-\d+)?", text)]
    activation = float(hidden.neurons.activation[POS, 4])
    assert numbers[-1] == pytest.approx(activation, rel=6e-3)
    assert numbers[0] == pytest.approx(float(hidden.neurons.pre_activation[POS, 4]), rel=6e-3)
    if hooked.info.gated_mlp:
        assert numbers[1] * numbers[2] == pytest.approx(activation, rel=2e-2)


def test_the_strongest_have_the_largest_numbers_whichever_way_they_point(hidden):
    for order, values in (("effect", hidden.effects.effects), ("size", hidden.effects.sizes)):
        ranked = hidden.ranked(order)
        assert len(ranked) == 12
        others = np.delete(np.abs(values), ranked)
        assert np.abs(values[ranked]).min() >= others.max()


def test_the_file_lists_every_neuron(hidden, hooked):
    frame = table_of(hidden)
    assert len(frame) == hidden.neurons.activation.shape[1]
    np.testing.assert_allclose(frame.activation, hidden.neurons.activation[POS])
    if hooked.info.gated_mlp:
        np.testing.assert_allclose(frame.activated * frame.up, frame.activation, atol=1e-5)
    else:
        assert "up" not in frame
    np.testing.assert_allclose(frame.effect_on_word, hidden.effects.effects)

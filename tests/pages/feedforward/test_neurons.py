"""What is said of neurons: where they fire, what they push, and what they sum to."""

import numpy as np
import pytest

from model_hooks.read.neurons import NeuronEffects, Pushes, neuron_effects
from pages.feedforward.hidden import Hidden
from pages.feedforward.neurons import fires_on, hovers, pushes_table, sum_text


def test_the_token_where_a_neuron_fires_most_has_the_full_shade(hooked, trace):
    neurons = hooked.neurons(trace, 0)
    shades, notes = fires_on(neurons, 5)
    values = neurons.activation[:, 5]
    assert int(shades.argmax()) == int(np.abs(values).argmax())
    assert shades.max() == pytest.approx(1)
    np.testing.assert_allclose([float(note) for note in notes], values, atol=5e-3)


def test_hovers_keep_tokens_from_being_read_as_html(hooked, trace):
    effects = neuron_effects(hooked, trace, 0, 2, 3)
    hidden = Hidden(0, 3, hooked.neurons(trace, 0), effects)
    [text] = hovers(hidden, [4], "<b>", [["<i>", "cat"]])
    assert "to the score of &lt;b&gt;" in text
    assert text.endswith("pushes most: &lt;i&gt;, cat")
    assert f"{effects.effects[4]:+.4f}" in text


def test_the_sum_names_a_bias_where_there_is_one():
    effects = NeuronEffects(np.ones(2), np.array([0.5, -0.25]), 0.0, 0.26)
    assert "all 2 neurons add +0.2500" in sum_text(effects, "cat")
    assert "adds +0.2600. They differ by 1e-02." in sum_text(effects, "cat")
    biased = NeuronEffects(np.ones(2), np.array([0.5, -0.25]), 0.01, 0.26)
    assert "neurons (and a bias of +0.01) add +0.2600" in sum_text(biased, "cat")


def test_the_file_of_pushes_names_each_token():
    frame = pushes_table(Pushes((4, 2), np.array([0.5, -0.5])), {2: "cat", 4: " on"})
    assert frame.values.tolist() == [[4, " on", 0.5], [2, "cat", -0.5]]

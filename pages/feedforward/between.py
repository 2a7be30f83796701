"""What lies between two runs in the feedforwards? B's word around each of them, and neurons."""

import streamlit as st

from model_hooks import ComparisonError
from model_hooks.read.between import OTHER_VOCABULARY
from model_hooks.read.feedforward import FeedforwardLens
from model_hooks.read.neurons import NeuronEffects, neuron_effects, pushed_tokens, strongest
from pages.ask.computed import computed
from pages.ask.pair import is_one_vocabulary, of_both
from pages.ask.session import info, run, tokens_of_run
from pages.feedforward.scene import Scene
from pages.feedforward.steps import lens_of
from pages.state.visit import view
from pages.text import visible
from pages.widgets.chart import chart
from pages.widgets.controls import current_position
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from pages.widgets.words import token_texts
from viz import difference_heatmap, neuron_bars
from viz.numbers import signed

N_NEURONS = 12
HELP = (
    "The probability of the word that is followed in **B**, read right before and right after each "
    "feedforward: in B minus in A. Below, the neurons of the chosen layer that differ most in what "
    "they add to the word's score."
)

_effects = computed(neuron_effects)
_pushes = computed(pushed_tokens)


def draw(scene: Scene) -> None:
    """Draw B - A of the way of B's word, and of the neurons of the chosen layer.

    Raises:
        InlookError: They cannot be compared; the message says why.
    """
    if not is_one_vocabulary():
        raise ComparisonError(OTHER_VOCABULARY)
    a, b = of_both(lambda: _lens(scene.word))
    if a.probabilities.shape != b.probabilities.shape:
        raise ComparisonError(
            f"A has {len(a.probabilities)} layers and B {len(b.probabilities)}: there is no "
            "telling which of them stand for each other."
        )
    heading("B - A, feedforward by feedforward", help=HELP)
    chart(
        drawing(
            difference_heatmap,
            (b.probabilities - a.probabilities).T,
            rows=["before", "after"],
            columns=[str(layer) for layer in range(len(b.probabilities))],
            row_title="its feedforward",
            column_title="layer",
            measure="probability of the word",
        ),
        key="feedforward_difference",
        alt=f"B - A of the probability of {scene.name} before and after each feedforward",
    )
    _draw_neurons(scene)


def _draw_neurons(scene: Scene) -> None:
    layer = view().layer
    a, b = of_both(lambda: _neurons(layer, scene.word))
    if a.effects.shape != b.effects.shape:
        raise ComparisonError(
            f"Layer {layer} has {len(a.effects):,} neurons in A and {len(b.effects):,} in B, so "
            "they are not subtracted."
        )
    difference = b.effects - a.effects
    which = strongest(difference, N_NEURONS)
    values = difference[which]
    pushed = _pushes(*scene.asked, layer, tuple(which), 1, scene.pos)
    texts = token_texts(one.token_ids[0] for one in pushed)
    chart(
        drawing(
            neuron_bars,
            which,
            values,
            [visible(texts[one.token_ids[0]]) for one in pushed],
            measure="B - A of what is added to the word's score",
            hovers=[
                f"neuron {i}<br>A {signed(a.effects[i])}, B {signed(b.effects[i])}" for i in which
            ],
        ),
        key="feedforward_neurons_difference",
        alt=f"The {len(which)} neurons of layer {layer} that differ most between A and B",
    )
    with_names = of_both(lambda: info().name)
    if with_names[0] != with_names[1]:
        st.caption(
            "Neurons of two models are subtracted by their numbers: that means something only "
            "where one model was trained on from the other."
        )


def _lens(word: int) -> FeedforwardLens:
    return lens_of(*run(), word, current_position(len(tokens_of_run())))


def _neurons(layer: int, word: int) -> NeuronEffects:
    return _effects(*run(), layer, word, current_position(len(tokens_of_run())))

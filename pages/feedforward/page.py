"""Feedforward: where does the model keep what it knows?"""

import html

import numpy as np
import streamlit as st

from model_hooks import InlookError
from pages.ask.session import current_model, current_token_ids, current_trace
from pages.feedforward import views
from pages.layers.views import NO_NUMBERS, read_from
from pages.state.selection import select, selection
from pages.widgets.chart import chart
from pages.widgets.components import token_strip
from pages.widgets.controls import current_position, pick_layer, pick_position
from pages.widgets.download import csv_button
from pages.widgets.provenance import numbers_from
from pages.text import escape_markdown, visible
from pages.widgets.words import pick_word
from viz import (
    activation_curves,
    before_after_bars,
    expert_heatmap,
    feedforward_steps,
    gate_and_up,
    most_changed,
    neuron_bars,
    promoted_bars,
    switched_off_bars,
)

NEURONS, ACTIVATION, OFF, EXPERTS = (
    "The neurons",
    "The activation function",
    "Switch it off",
    "The router's choice",
)

st.title("Feedforward")
st.markdown(
    "**Where does the model keep what it knows?** Much of it lies in the feedforward of each "
    "layer: hundreds of small pattern detectors, the neurons, that work on every token alone and "
    "push the prediction towards some words."
)

model, trace = current_model(), current_trace()
info, source = model.info, (selection().model, current_token_ids())
labels = [visible(token) for token in trace.tokens]
if selection().prompt.strip() != views.SHAWSHANK:
    st.button(
        f"Try “{views.SHAWSHANK}”: which layer knows the film?",
        icon=":material/movie:",
        key="feedforward.shawshank",
        on_click=lambda: select(prompt=views.SHAWSHANK, pos=None),
    )


@st.fragment
def explore() -> None:
    """Draw everything below the question; a click reruns nothing else."""
    pos = current_position(len(trace))
    token_strip(
        trace.tokens,
        key="feedforward_tokens",
        selected=pos,
        on_pick=lambda picked: select(pos=picked),
        label="Token to look at",
    )
    output = views.output_of(*source, pos)
    by_number, words = st.columns([1, 2], vertical_alignment="bottom")
    with by_number:
        pick_position(trace.tokens, key="feedforward.pos", label="Token to look at")
    if not np.isfinite(output.max()):
        st.error(NO_NUMBERS, icon=":material/error:")
        return
    with words:
        word = pick_word(model, output, key="feedforward.word", label="Next word to follow")

    st.subheader("Which layer brings the word?", help=views.STEPS_HELP)
    layer = steps(pos, word)
    titles = [NEURONS, ACTIVATION, OFF]
    titles = [EXPERTS, OFF, NEURONS, ACTIVATION] if views.has_routers(model) else titles
    tabs = st.tabs(titles, key="feedforward.tabs", on_change="rerun")
    for tab, title in zip(tabs, titles, strict=True):
        if not tab.open:
            continue
        with tab:
            if title == OFF:
                switched_off(pos, word, layer)
            elif title == EXPERTS:
                experts(pos, layer)
            else:
                inside(title, pos, word, layer)


def steps(pos: int, word: int) -> int:
    """The word before and after every feedforward; returns the selected layer."""
    lens, name = views.lens_of(*source, pos, word), views.shown(model, word)
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        layer = pick_layer(info, key="feedforward.layer")
    with right:
        measure = views.pick_measure()
    st.markdown(views.answer(lens, name, layer))
    best = views.best_layer(lens)
    if best is not None and best != layer:
        st.button(
            f"Look into layer {best}",
            icon=":material/search:",
            key="feedforward.best",
            on_click=lambda: select(layer=best),
        )
    chart(
        feedforward_steps(views.values_of(lens, measure), name, measure=measure, selected=layer),
        key="feedforward_steps",
        on_click=lambda point: select(layer=int(point.customdata)),
        alt=f"{measure} of {name} before and after each layer's feedforward",
    )
    read_from(model, len(lens.layers), 2)
    csv_button(lambda: views.steps_frame(lens), "feedforward_steps")
    return layer


def inside(title: str, pos: int, word: int, layer: int) -> None:
    """The hidden layer of one feedforward: its neurons, or their activation function."""
    try:
        neurons = views.neurons_of(*source, layer)
        effects = views.effects_of(*source, layer, pos, word)
    except InlookError as error:
        st.info(escape_markdown(str(error)), icon=":material/info:")
        return
    if title == NEURONS:
        strongest(neurons, effects, pos, word, layer)
    else:
        activation(neurons, effects, pos, layer)


def strongest(neurons, effects, pos: int, word: int, layer: int) -> None:
    """The strongest neurons, and the tokens that one of them pushes."""
    n_neurons, name = len(effects.sizes), views.shown(model, word)
    st.subheader(f"The strongest of {n_neurons:,} neurons", help=views.NEURONS_HELP)
    order = views.pick_order(name)
    which = views.ranked(effects, order)
    neuron = min(views.chosen_neuron(layer, which[0]), n_neurons - 1)
    pushes = views.pushes_of(*source, layer, pos, tuple(dict.fromkeys([*which, neuron])))
    pushed = [[views.shown(model, i) for i in push.token_ids] for push in pushes]
    by_effect = order == views.BY_EFFECT
    many, one = st.columns(2, gap="large")
    with many:
        chart(
            neuron_bars(
                which,
                (effects.effects if by_effect else effects.sizes)[which],
                [tokens[0] for tokens in pushed[: len(which)]],
                measure="added to the word's score" if by_effect else "size of what it adds",
                hovers=views.hovers(
                    neurons, effects, pos, which, html.escape(name),
                    [html.escape(", ".join(tokens[:3])) for tokens in pushed[: len(which)]],
                ),
                selected=neuron,
            ),
            key="feedforward_neurons",
            on_click=lambda point: views.choose_neuron(layer, int(point.customdata)),
            alt=f"The {len(which)} strongest neurons of layer {layer}",
        )  # fmt: skip
        numbers_from(neurons.path, neurons.activation.shape, "input", layer=layer)
        csv_button(lambda: views.neurons_frame(neurons, effects, pos), "neurons")
    with one:
        views.pick_neuron(layer, n_neurons, which[0])
        st.markdown(
            views.formula(neurons, neuron, pos, views.function_name(info))
            + f" It adds a vector of size {effects.sizes[neuron]:.3f}, which pushes these tokens:"
        )
        at = list(dict.fromkeys([*which, neuron])).index(neuron)
        chart(
            promoted_bars(pushed[at], pushes[at].effects, "added to the token's score"),
            key="feedforward_pushes",
            alt=f"Tokens that neuron {neuron} promotes and suppresses",
        )
        csv_button(lambda: views.pushes_frame(model, pushes[at]), "promoted_tokens")
    st.caption(views.sum_line(effects, name))
    st.markdown(f"**Where else does neuron {neuron} fire?** Its activation at every token:")
    weights, notes = views.fires_on(neurons, neuron)
    token_strip(
        trace.tokens,
        key="feedforward_fires",
        selected=pos,
        weights=weights,
        notes=notes,
        height=190,
        on_pick=lambda picked: select(pos=picked),
        label=f"Activation of neuron {neuron} at every token",
    )


def activation(neurons, effects, pos: int, layer: int) -> None:
    """The activation function with this token's numbers on it; with a gate, what it lets by."""
    name = views.function_name(info)
    st.subheader(f"What {name} does", help=views.ACTIVATION_HELP)
    if neurons.pre_activation is None:
        st.info(
            "This family computes its activation function inside another step, so what goes into "
            "it cannot be read.",
            icon=":material/info:",
        )
        return
    first = views.ranked(effects, views.BY_EFFECT)[0]
    neuron = views.pick_neuron(layer, len(effects.sizes), first)
    which, points = views.dots(neurons, pos, neuron)
    st.markdown(views.share_off(neurons, pos, name))
    left, right = st.columns(2, gap="large") if neurons.gated else (st.container(), None)
    with left:
        chart(
            activation_curves(
                {name: views.curve(model, neurons, pos)},
                points,
                output_name="what comes out: the gate" if neurons.gated else "activation",
            ),
            key="feedforward_curve",
            alt=f"{name} with the pre-activations of this token",
        )
        st.caption(
            ("" if len(which) == len(effects.sizes) else f"Drawn: {len(which)} of them, evenly. ")
            + views.formula(neurons, neuron, pos, name)
        )
    if right is not None:
        with right:
            chart(
                gate_and_up(
                    neurons.activated[pos, which],
                    neurons.up[pos, which],
                    [f"neuron {i}" for i in which],
                    which.index(neuron),
                ),
                key="feedforward_gate",
                alt="Gate and up of every neuron; the size of a dot is their product",
            )
            st.caption(
                "This feedforward is **gated**: a second projection, *up*, is multiplied with the "
                "gate. Large dots are neurons with a large product; open diamonds are negative."
            )
    numbers_from(neurons.path, neurons.activation.shape, "input, and the steps before it,", layer)
    csv_button(lambda: views.neurons_frame(neurons, effects, pos), "activations")


def switched_off(pos: int, word: int, layer: int) -> None:
    """The prediction without one feedforward, and the word without each."""
    st.subheader("What would be lost without it?", help=views.OFF_HELP)
    name = views.shown(model, word)
    try:
        before = views.without_of(*source, pos, None)
        after = views.without_of(*source, pos, layer)
    except InlookError as error:
        st.info(escape_markdown(str(error)), icon=":material/info:")
        return
    st.markdown(views.change_line(model, before, after, word, layer))
    in_turn, here = st.columns(2, gap="large")
    with in_turn:
        st.markdown(f"**{escape_markdown(name)}, each feedforward switched off in turn**")
        asked = views.work_of(info, pos + 1) <= views.MAX_WORK or st.toggle(
            "Run the model once per layer (takes a while)", key="feedforward.each"
        )
        if asked:
            each = views.without_each(*source, pos, word)
            chart(
                switched_off_bars(each, float(before[word]), name, selected=layer),
                key="feedforward_each",
                on_click=lambda point: select(layer=int(point.x)),
                alt=f"Probability of {name} without each layer's feedforward",
            )
            csv_button(lambda: views.each_frame(each, float(before[word])), "switched_off")
    with here:
        st.markdown(f"**The next token, with and without layer {layer}'s feedforward**")
        ids = most_changed(before, after)
        chart(
            before_after_bars(
                [views.shown(model, i) for i in ids],
                before[ids],
                after[ids],
                f"without feedforward {layer}",
            ),
            key="feedforward_off",
            alt=f"Next token with and without the feedforward of layer {layer}",
        )
        csv_button(lambda: views.off_frame(model, before, after), "without_feedforward")
    tap = model.anatomy.blocks[layer].mlp_out
    numbers_from(None, (info.vocab_size,), f"softmax of the logits, `{tap.path}` set to zero")


def experts(pos: int, layer: int) -> None:
    """Which experts the router of a layer picked for each token."""
    st.subheader("Which experts run?", help=views.EXPERTS_HELP)
    routings = views.routing_of(*source)
    if (routing := routings[layer]) is None:
        st.info(views.no_router_line(routings, layer), icon=":material/info:")
        return
    st.markdown(views.choice_line(routing, labels[pos], pos))
    span = views.expert_window(len(trace), pos)
    weights = routing.scores if routing.chosen is None else routing.weights
    chart(
        expert_heatmap(
            weights[span],
            labels[span],
            measure="score" if routing.chosen is None else "weight",
            start=span.start,
            selected=pos,
        ),
        key="feedforward_experts",
        on_cell=lambda cell: select(pos=span.start + cell[1]),
        alt=f"Experts that layer {layer}'s router picked for each token",
    )
    if routing.chosen is not None:
        st.caption(views.load_line(routing))
    numbers_from(routing.path, routing.scores.shape, layer=layer)
    csv_button(lambda: views.experts_frame(routing, trace), "experts")


explore()
views.try_next()

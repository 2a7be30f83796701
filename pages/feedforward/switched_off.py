"""What would be lost without one feedforward? The prediction without it, and without each."""

from contextlib import suppress

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float

from model_hooks import InlookError, ModelInfo
from model_hooks.read.feedforward import probabilities_without
from pages.ask.computed import computed
from pages.feedforward.scene import Scene, bold
from pages.state.visit import put
from pages.text import escape_markdown
from pages.widgets.before_after import BeforeAfter, draw_before_after
from pages.widgets.bind import bind
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.heading import heading
from pages.widgets.provenance import numbers_from
from pages.widgets.words import token_labels
from viz import switched_off_bars
from viz.numbers import percent

MAX_WORK = 2e11
"""Multiplications that may run unasked when every feedforward is switched off in turn: seconds."""
HELP = (
    "The text runs once more while one feedforward adds nothing, at all tokens (ablation). If the "
    "word's probability falls, the feedforward mattered; if it does not, others may have stood in "
    "for it. A layer that many others rely on breaks more than one word."
)

_without = computed(probabilities_without, says="Switching off one feedforward after another…")


def draw(scene: Scene, layer: int) -> None:
    """Draw the prediction without one feedforward, and the word without each."""
    heading("What would be lost without it?", help=HELP)
    try:
        before = _without(*scene.asked, None, scene.pos)
        after = _without(*scene.asked, layer, scene.pos)
    except InlookError as error:
        st.info(escape_markdown(str(error)), icon=":material/info:")
        return
    st.markdown(change_sentence(before, after, scene.word, layer))
    in_turn, here = st.columns(2, gap="large")
    with in_turn:
        st.markdown(bold(f"{scene.name}, each feedforward switched off in turn"))
        _draw_each(scene, float(before[scene.word]), layer)
    with here:
        st.markdown(f"**The next token, with and without layer {layer}'s feedforward**")
        change = f"without feedforward {layer}"
        draw_before_after(BeforeAfter(before, after, change), key="without_feedforward")
    path = scene.abilities.layers[layer].mlp_out_path
    numbers_from(None, (scene.info.vocab_size,), f"softmax of the logits, `{path}` set to zero")


def change_sentence(
    before: Float[np.ndarray, "vocab"],
    after: Float[np.ndarray, "vocab"],
    token_id: int,
    layer: int,
) -> str:
    """Say what a switched-off feedforward did to a word, and what the model says instead."""
    first, now = int(before.argmax()), int(after.argmax())
    names = {i: bold(label) for i, label in token_labels([token_id, first, now]).items()}
    p, q = (percent(float(side[token_id])) for side in (before, after))
    verb = "falls" if after[token_id] < before[token_id] else "rises"
    start = (
        f"Without the feedforward of layer {layer}, {names[token_id]} {verb} from {p} to **{q}**. "
    )
    if first == now:
        return start + f"The most probable token stays {names[first]}."
    return (
        start + f"The most probable token was {names[first]} and becomes {names[now]} "
        f"({percent(float(after[now]))})."
    )


def work_of(info: ModelInfo, n_tokens: int) -> float:
    """Estimate the multiplications of one run per layer."""
    return float(info.n_parameters) * n_tokens * info.n_layers


def table_of(each: Float[np.ndarray, "layer"], as_it_is: float) -> pd.DataFrame:
    """Return a word's probability without each feedforward, for download."""
    return pd.DataFrame({"layer": range(len(each)), "probability": each, "as_it_is": as_it_is})


def _draw_each(scene: Scene, as_it_is: float, layer: int) -> None:
    is_quick = work_of(scene.info, scene.pos + 1) <= MAX_WORK
    if not is_quick and not bind(
        st.toggle, "Run the model once per layer (takes a while)", "feedforward.each"
    ):
        return
    each = _without_each(scene)
    chart(
        drawing(switched_off_bars, each, as_it_is, scene.name, selected=layer),
        key="feedforward_each",
        on_click=lambda point: put(layer=int(point.x)),
        alt=f"Probability of {scene.name} without each layer's feedforward",
    )
    csv_button(lambda: table_of(each, as_it_is), "switched_off")


def _without_each(scene: Scene) -> Float[np.ndarray, "layer"]:
    """Return the word's probability without each layer's feedforward; NaN where it must stay.

    Each layer is a question of its own, whose answer holds for every word.
    """
    found = np.full(scene.info.n_layers, np.nan)
    for layer, abilities in enumerate(scene.abilities.layers):
        if abilities.changes_feedforward:
            with suppress(InlookError):  # without this one, the values are no numbers any more
                found[layer] = _without(*scene.asked, layer, scene.pos)[scene.word]
    return found

"""Which experts does the router of a layer pick for each token?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from model_hooks import Routing
from model_hooks.read.recorded import routing_of
from pages.ask.computed import computed
from pages.feedforward.scene import Scene
from pages.state.visit import put
from pages.text import visible
from pages.widgets.chart import chart
from pages.widgets.download import csv_button
from pages.widgets.drawing import drawing
from pages.widgets.experts import choice_line
from pages.widgets.heading import heading
from pages.widgets.provenance import numbers_from
from viz import expert_heatmap
from viz.numbers import plural

MAX_COLUMNS = 48
"""Tokens of the picture: of a longer text, those around the selected one."""
HELP = (
    "This model has several feedforwards per layer, called **experts**. For each token, a "
    "**router** picks a few of them and adds up what they give, by these weights. Empty cells: the "
    "expert did not run."
)

_routing = computed(routing_of, says="Asking the routers…")


def draw(scene: Scene, layer: int) -> None:
    """Draw the experts of every token around the selected one."""
    heading("Which experts run?", help=HELP)
    routings: tuple[Routing | None, ...] = _routing(*scene.asked)
    if (routing := routings[layer]) is None:
        st.info(no_router_sentence(routings, layer), icon=":material/info:")
        return
    st.markdown(choice_line(routing, visible(scene.tokens[scene.pos]), scene.pos))
    span, weights = window(len(scene.tokens), scene.pos), routing.weights
    chart(
        drawing(
            expert_heatmap,
            (routing.scores if weights is None else weights)[span],
            [visible(token) for token in scene.tokens[span]],
            measure="score" if weights is None else "weight",
            start=span.start,
            selected=scene.pos,
        ),
        key="feedforward_experts",
        on_cell=lambda cell: put(pos=span.start + cell[1]),
        alt=f"Experts that layer {layer}'s router picked for each token",
    )
    if (sentence := load_sentence(routing)) is not None:
        st.caption(sentence)
    numbers_from(routing.path, routing.scores.shape, layer=layer)
    csv_button(lambda: table_of(routing, scene.tokens), "experts")


def window(n_tokens: int, pos: int) -> slice:
    """Return the positions of the picture."""
    start = min(max(0, pos - MAX_COLUMNS // 2), max(0, n_tokens - MAX_COLUMNS))
    return slice(start, min(n_tokens, start + MAX_COLUMNS))


def no_router_sentence(routings: Sequence[Routing | None], layer: int) -> str:
    """Say where there are routers instead."""
    others = [str(routing.layer) for routing in routings if routing is not None]
    word = plural(max(len(others), 1), "Layer")
    return (
        f"Layer {layer} has no router that can be read. {word} with one: "
        f"{', '.join(others) or 'none'}."
    )


def load_sentence(routing: Routing) -> str | None:
    """Say how evenly a prompt's tokens are spread over the experts; None if it is unknown."""
    if routing.chosen is None:
        return None
    counts = np.bincount(routing.chosen.ravel(), minlength=routing.n_experts)
    idle = int((counts == 0).sum())
    return (
        f"Over all {len(routing.scores):,} tokens, expert {int(counts.argmax())} is picked most "
        f"often ({int(counts.max()):,} times); {idle} of {routing.n_experts} never."
    )


def table_of(routing: Routing, tokens: Sequence[str]) -> pd.DataFrame:
    """Return a router's scores and weights, one line per token and expert, for download."""
    n_pos, n_experts = routing.scores.shape
    weights = routing.weights
    positions = np.repeat(np.arange(n_pos), n_experts)
    return pd.DataFrame(
        {
            "pos": positions,
            "token": [tokens[pos] for pos in positions],
            "expert": np.tile(np.arange(n_experts), n_pos),
            "score": routing.scores.ravel(),
            "weight": np.full(routing.scores.size, np.nan) if weights is None else weights.ravel(),
        }
    )
